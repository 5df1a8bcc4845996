"""Commands over what stands on the Prefect server: put a campaign's month there, and take it away."""

import asyncio
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from cli.desk import Refused, premises, use_prefect
from cli.showing import say

if TYPE_CHECKING:
    from ledger.tables import CampaignRow
    from office.rulebook import Rulebook
    from tasks.changes import Changes

STYLES = {"+": "green", "~": "yellow", "-": "red"}


def deploy(campaign: str | None = None, *, house: bool = False, all: bool = False) -> None:  # noqa: A002  the flag
    """Put a campaign's month on the Prefect server: its flows, and a run for each step to come. Run again, only what
    differs is changed; the plan shows + new, ~ changed, - removed.

    Args:
        campaign: key or folder; it need not be launched yet.
        house: bring up to date what is there once for all campaigns, with or without a campaign.
        all: show each run and each deployment; without it those of a kind are one line.

    """  # noqa: D205  the help's first paragraph
    if campaign is None and not house:
        raise Refused("name a campaign to deploy, or --house for what is there once for all campaigns")
    _reach_server()
    from deployments.deploying import deploy_campaign, deploy_house  # noqa: PLC0415

    premises()
    if campaign is not None:
        _book_of(campaign)  # of one that is not there nothing is done, not even for the house
    _carry_out(deploy_house(), each=all)
    if campaign is not None:
        _carry_out(deploy_campaign(campaign), each=all)
        _say_if_unlaunched(campaign)


def undeploy(campaign: str, *, all: bool = False) -> None:  # noqa: A002  the flag
    """Take a campaign off the Prefect server: its flows and the runs that have not begun. The ledger stays as it is.

    Args:
        campaign: the campaign's key.
        all: show each run and each deployment; without it those of a kind are one line.

    """
    _reach_server()
    from deployments.deploying import undeploy_campaign  # noqa: PLC0415

    if not _carry_out(undeploy_campaign(campaign), each=all):
        _book_of(campaign)  # nothing of it stood there: because there is no such campaign?


def _book_of(campaign: str) -> "tuple[CampaignRow | None, Rulebook]":
    """Return a campaign that was launched, or lies in a folder; of another it is said which there are."""
    from office.timetable import find_rulebook  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        return find_rulebook(session, house, campaign)


def _say_if_unlaunched(campaign: str) -> None:
    """Say so where the launch is not among the runs, as its moment has passed: nobody launches unasked."""
    from tasks.desk import now  # noqa: PLC0415

    row, book = _book_of(campaign)
    if row is not None or now() < book.launch_at:
        return
    key, at = book.campaign.key, f"{book.launch_at.astimezone(book.zone):%Y-%m-%d %H:%M}"
    if now() >= book.close_at:
        say(f"{key} was to be launched on {at} and has closed since: it has no step to come", style="yellow")
    else:
        say(f"{key} was to be launched on {at}; `muster run launch {key}`, and the rest is planned", style="yellow")


def _carry_out(change: Coroutine[Any, Any, "Changes"], *, each: bool) -> bool:
    """Make a change and show its plan; return whether anything differs now."""
    changes = asyncio.run(change)
    for line in changes.lines() if each else changes.summary():
        say(line, style=STYLES.get(line[0]))
    return bool(changes)


def _reach_server() -> None:
    """Say at once how to start a server where none answers, before all that deploying needs is imported."""
    use_prefect()
    if "PREFECT_API_URL" not in os.environ:
        raise Refused("no Prefect server stands here, and PREFECT_API_URL names none; start one with `muster up`")
    where = asyncio.run(_where_none_answers())
    if where is not None:
        raise Refused(f"no Prefect server answers at {where}; start one with `muster up`")


async def _where_none_answers() -> str | None:
    """Return the address of the server if it does not answer."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    async with get_client() as client:
        return str(client.api_url) if await client.api_healthcheck() is not None else None
