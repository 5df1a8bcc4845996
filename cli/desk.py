"""What every command needs: the premises opened, the act in whose name it writes, moments read, and its refusal."""

import getpass
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.acts import Act
    from office.premises import Premises


MOST_MAILS = 2**31 - 1


class Refused(Exception):  # noqa: N818  what happened
    """The operator's wish cannot be carried out; the sentence says why."""


def premises() -> "Premises":
    """Open the premises that settings name; what cannot be opened is refused in a sentence."""
    quiet_prefect()
    from sqlalchemy.exc import ArgumentError, OperationalError  # noqa: PLC0415

    from tasks import desk  # noqa: PLC0415

    try:
        return desk.premises()
    except OperationalError as error:
        raise Refused(f"the ledger cannot be opened: {error.orig}; see MUSTER_VAR_DIR and MUSTER_LEDGER_URL") from None
    except ArgumentError as error:
        raise Refused(f"MUSTER_LEDGER_URL: {error}") from None


def quiet_prefect() -> None:
    """Keep Prefect from talking to anybody: no analytics, and no server of its own where none is set."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")


def use_prefect() -> None:
    """Speak to the Prefect server of `muster up`, if that stands; else to the one the environment names, or none.

    To be called before anything imports Prefect, which reads its environment then. An address in the environment wins.
    """
    quiet_prefect()
    from deployments.standing import environment_of, read_note  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config = settings()
    auth = config.prefect_auth.get_secret_value()
    standing = None if "PREFECT_API_URL" in os.environ else read_note(config.var_dir)
    if standing is not None:
        os.environ.update(environment_of(standing, auth))
    elif auth:
        os.environ.setdefault("PREFECT_API_AUTH_STRING", auth)


def act(as_of: datetime | None = None) -> "Act":
    """Return the act of whoever sits at the keyboard."""
    from ledger.acts import Act  # noqa: PLC0415
    from tasks.desk import now  # noqa: PLC0415

    return Act.now(f"staff:{getpass.getuser()}", as_of or now())


def moment_of(text: str | None, zone: str = "Asia/Shanghai") -> datetime | None:
    """Read a moment; without an offset it is local to the campaign's zone."""
    if text is None:
        return None
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is no moment; write 2020-05-29T09:00 (local) or 2020-05-29T09:00+08:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def zone_of_campaign(campaign: str) -> str:
    """Return the name of a campaign's zone, launched or not."""
    from office.timetable import find_rulebook  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        return find_rulebook(session, house, campaign)[1].campaign.zone


def mail_number(number: int) -> int:
    """Return a number that a mail may have; a larger one no database would look for."""
    if not 0 < number <= MOST_MAILS:
        raise Refused(f"there is no mail {number}; `muster mails` lists them")
    return number
