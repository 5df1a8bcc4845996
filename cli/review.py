"""Commands over what units handed in: its queries, its versions and files, and what staff decide over it."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.desk import Refused, act, moment_of, premises
from cli.leaving import when_answer_leaves
from cli.showing import say, table, times_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DAY = len("2020-06-05")


def findings(*, unit: str | None = None) -> None:
    """List the queries that nobody has answered: what was read, and the value proposed.

    Args:
        unit: only those of a unit, by its code.

    """
    from office.units import find_unit  # noqa: PLC0415
    from office.worklists import open_findings  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        if unit is not None:
            find_unit(session, unit)  # a code mistyped would look like nothing to do
        rows = open_findings(session, house, unit)
    table(("id", "unit", "material (submission)", "place", "field", "what", "proposed", "do"), rows, title="queries")
    say(f"{len(rows)} to be answered: `muster confirm ID [--value V] --grounds …`")


def confirm(finding: int, *, value: float | None = None, grounds: str) -> None:
    """Answer a query: with the value it proposes, with another, or in words where it proposes none.

    Args:
        finding: the query's number, as `muster findings` lists it.
        value: the right number, where it is not the one proposed.
        grounds: who was asked and what was said; the unit reads it in its receipt.

    """
    from ledger.review import find_finding, find_submission  # noqa: PLC0415
    from office.confirming import proposed_value  # noqa: PLC0415
    from office.review import confirm_finding, grounds_of  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        said = grounds_of(grounds, "it is answered")
        row = find_finding(session, finding)
        given = value if value is not None else proposed_value(row)
        confirm_finding(session, house, act(), finding, number=given, text=said)
        submission, _ = find_submission(session, row.submission_id)
        state = submission.state
    answered = "in words" if given is None else f"with {given:.15g}"
    say(f"query {finding} is answered {answered}; submission {submission.id} is {state}")


def accept(submission: int, *, grounds: str) -> None:
    """Accept a version; a receipt goes to the unit.

    Args:
        submission: its number, as `muster queue` and `muster versions` list it.
        grounds: why; kept in the audit trail.

    """
    from office.review import accept as judge  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        decision = judge(session, house, act(), submission, grounds)
        leaves = when_answer_leaves(session, house, campaign_of(session, decision.campaign_id))
    say(f"submission {submission} is accepted; the receipt is planned: {leaves}")


def return_(submission: int, *reasons: str, due: str | None = None) -> None:
    """Return a version to its unit with reasons; the unit owes it again, and is reminded by the new date.

    Args:
        submission: its number, as `muster queue` and `muster versions` list it.
        reasons: what has to be mended, each quoted; the unit reads them in its mail.
        due: the new deadline, such as 2020-06-11 (inclusive); without it the old one, or some working days from now.

    """
    from ledger.tables import ObligationRow  # noqa: PLC0415
    from office.review import return_to_unit  # noqa: PLC0415
    from office.rulebook import open_book  # noqa: PLC0415
    from office.wording import due_text  # noqa: PLC0415

    until = day_or_moment(due) if due is not None else None
    house = premises()
    with house.ledger.writing() as session:
        decision = return_to_unit(session, house, act(), submission, reasons=reasons, due=until)
        key = campaign_of(session, decision.campaign_id)
        leaves = when_answer_leaves(session, house, key)
        obligation = session.get_one(ObligationRow, decision.obligation_id)
        by = due_text(obligation.due_at, open_book(session, key)[1].zone)
    say(f"submission {submission} is returned, due {by}; the mail is planned: {leaves}")


def reopen(submission: int, *, grounds: str) -> None:
    """Take a judgement back: the version waits for staff again, and a date that its return moved is as before.

    Args:
        submission: its number, as `muster versions` lists it.
        grounds: why; kept in the audit trail.

    """
    from office.review import reopen as take_back  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        take_back(session, house, act(), submission, grounds)
    say(f"submission {submission} waits again: `muster accept` or `muster return` it")


def versions(unit: str, deliverable: str, *, campaign: str | None = None, occurrence: str | None = None) -> None:
    """Show the versions a unit handed in, and which figures changed from one to the next.

    Args:
        unit: the unit's code.
        deliverable: its key, title or label.
        campaign: the campaign's key, where a unit takes part in several.
        occurrence: of a series, which one, such as 2023-07-07.

    """
    from office.stops import zone_of_house  # noqa: PLC0415
    from office.units import find_obligation, find_unit  # noqa: PLC0415
    from office.versions import versions_with_changes  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        party = find_unit(session, unit, campaign)
        found = versions_with_changes(session, find_obligation(session, party, deliverable, occurrence))
        zone = zone_of_house(session, campaign)
    rows = [(str(v.id), str(v.version), v.state, v.received, v.channel, "\n".join(v.files)) for v in found]
    title = f"{unit} {deliverable}, {times_of(zone.key)}"
    table(("submission", "version", "state", "received", "by", "files"), rows, title=title)
    for line in found:
        if line.changes:
            changes = [(c.place, c.before, c.after) for c in line.changes]
            table(("figure", "before", "now"), changes, title=f"version {line.version}: what changed")
    many = "" if len(found) == 1 else "s"
    say(f"{len(found)} version{many}; `muster files SUBMISSION --to FOLDER` opens one")


def files(submission: int, *, to: Path) -> None:
    """Write the files of a version into a folder, to be opened.

    Args:
        submission: its number, as `muster queue` and `muster versions` list it.
        to: the folder.

    """
    from office.versions import save_files  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        try:
            paths = save_files(session, house, submission, to)
        except OSError as error:
            raise Refused(f"{to} cannot be written: {error.strerror}") from None
    for path in paths:
        say(str(path))


def original(
    unit: str,
    deliverable: str,
    *,
    received: str,
    grounds: str = "",
    campaign: str | None = None,
    occurrence: str | None = None,
) -> None:
    """Record that the sealed paper original of something came.

    Args:
        unit: the unit's code.
        deliverable: its key, title or label.
        received: the true moment, such as 2020-06-01T10:00; local unless it has an offset.
        grounds: who brought it; kept in the audit trail.
        campaign: the campaign's key, where a unit takes part in several.
        occurrence: of a series, which one, such as 2023-07-07.

    """
    from office.paper import record_original  # noqa: PLC0415
    from office.rulebook import open_book  # noqa: PLC0415
    from office.units import find_obligation, find_unit  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        party = find_unit(session, unit, campaign)
        zone = open_book(session, campaign_of(session, party.campaign_id))[1].zone
        moment = moment_of(received, zone.key)
        assert moment is not None  # noqa: S101  received is required
        obligation = find_obligation(session, party, deliverable, occurrence)
        record_original(session, act(), obligation, moment, grounds)
    say(f"the original of {deliverable} of {unit} is received")


def originals(campaign: str) -> None:
    """List what was reported and whose sealed original on paper has not come.

    Args:
        campaign: the campaign's key.

    """
    from office.paper import outstanding_originals  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        rows = outstanding_originals(session, campaign)
    table(("代码", "单位", "材料"), rows, title="纸质件未到")
    say(f"{len(rows)} outstanding: `muster original UNIT DELIVERABLE --received TIME`")


def day_or_moment(text: str) -> date | datetime:
    """Read a deadline: a day, or a day and a time, local."""
    try:
        return date.fromisoformat(text) if len(text) == DAY else datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is no deadline; write 2020-06-11 (inclusive) or 2020-06-11T16:00") from None


def campaign_of(session: "Session", campaign_id: int) -> str:
    """Return the key of a campaign on record."""
    from ledger.tables import CampaignRow  # noqa: PLC0415

    return session.get_one(CampaignRow, campaign_id).key
