"""The command that serves the pages where units hand in, and the portal that `muster serve` runs beside the sender."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from cli.desk import Refused, act, premises
from cli.showing import say

Days = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=400))]

if TYPE_CHECKING:
    from socket import socket

    from fastapi import FastAPI

    from flows.serving import Companion


def portal(*, host: str | None = None, port: int | None = None) -> None:
    """Serve the pages where units hand in; `muster serve` does so too where MUSTER_PORTAL_URL is set.

    Args:
        host: address to listen on; else MUSTER_PORTAL_HOST.
        port: port to listen on; else MUSTER_PORTAL_PORT.

    """
    from portal.serving import run_alone  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config = settings()
    if not config.portal_url:
        raise Refused("MUSTER_PORTAL_URL is not set, so no mail leads here; see docs/how-to/run-the-portal.md")
    host, port = host or config.portal_host, port or config.portal_port
    app = portal_app()
    door = _listening(host, port)
    say(f"units' pages on {host}:{port}, reached as {config.portal_url}; Ctrl-C ends")
    run_alone(app, door, proxies=config.portal_proxies)


def _listening(host: str, port: int) -> "socket":
    """Return a socket that listens where the pages are to be served: what is said of it then holds."""
    from portal.serving import listen_on  # noqa: PLC0415

    try:
        return listen_on(host, port)
    except OSError as error:
        remedy = "end what listens there, or name another with --port or MUSTER_PORTAL_PORT"
        raise Refused(f"no pages can be served on {host}:{port}: {error.strerror}; {remedy}") from None


def link(unit: str, *, campaign: str | None = None, days: Days = 14) -> None:
    """Print a link to a unit's page, to pass on by telephone or to try the page with. Who has it may hand in for it.

    Args:
        unit: the unit's code.
        campaign: the campaign's key, where a unit takes part in several.
        days: how long it holds.

    """
    from office.links import link_for_days  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415

    house = premises()
    if not house.portal_url:
        raise Refused("MUSTER_PORTAL_URL is not set: there is no page to link to; see docs/how-to/run-the-portal.md")
    with house.ledger.writing() as session:
        address = link_for_days(session, house, act(), find_unit(session, unit, campaign), days)
    say(f"{address}\nholds for {days} days, or until `muster revoke-links {unit}`")


def portal_app() -> "FastAPI":
    """Return the portal over the premises that settings name."""
    from documents.sandbox import SANDBOX  # noqa: PLC0415
    from portal.app import create_app  # noqa: PLC0415
    from portal.rules import MIB, PortalRules  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415
    from tasks.desk import now  # noqa: PLC0415

    config = settings()
    _ = config.secret  # a placeholder is refused now, not with the first visitor
    rules = PortalRules(
        max_upload_bytes=config.portal_max_mb * MIB,
        max_files=config.portal_max_files,
        bodies=config.portal_bodies,
        looking_threads=config.portal_looking_threads,
        secure=config.portal_url.startswith("https://"),
    )
    SANDBOX.warm()  # so that the first upload does not wait for a reading process
    return create_app(premises, now, rules)


def portal_beside() -> "list[Companion]":
    """Return the portal as a companion of the sender, if there is to be one."""
    from portal.serving import run_beside  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config = settings()
    if not config.portal_url:
        return []
    app = portal_app()

    async def pages(stop: asyncio.Event) -> None:
        door = _listening(config.portal_host, config.portal_port)
        say(f"units' pages on {config.portal_host}:{config.portal_port}, reached as {config.portal_url}")
        await run_beside(app, door, stop, proxies=config.portal_proxies)

    return [pages]
