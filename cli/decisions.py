"""Commands with which staff depart from the timetable, each with grounds, and each taken back with `muster undo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli import showing
from cli.desk import Refused, act, premises
from cli.leaving import when_answer_leaves
from cli.review import day_or_moment
from cli.showing import rule, say, table, times_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from office.destination import IncomingFile
    from office.foretelling import Foretold

To = Annotated[tuple[str, ...], Parameter(name=("--to", "--category"), consume_multiple=True, negative="")]
EVERYBODY = ("all",)


def extend(
    unit: str,
    deliverable: str,
    *,
    until: str,
    grounds: str,
    campaign: str | None = None,
    occurrence: str | None = None,
) -> None:
    """Give units a later deadline without their asking; who still owes it is told.

    Args:
        unit: the unit's code; or a category, several joined by commas, or all.
        deliverable: its key, title or label.
        until: the new deadline, such as 2020-06-11 (inclusive) or 2020-06-11T16:00.
        grounds: why; the units read it in their mail.
        campaign: the campaign's key; the one launched last unless given.
        occurrence: of a series, which one, such as 2023-07-07.

    """
    from office.choosing import names_in  # noqa: PLC0415
    from office.extending import extend as decide  # noqa: PLC0415

    day = day_or_moment(until)
    house = premises()
    with house.ledger.writing() as session:
        key = _named(session, campaign)
        made = decide(
            session,
            house,
            act(),
            key,
            deliverable,
            to=names_in(unit),
            until=day,
            grounds=grounds,
            occurrence=occurrence,
        )
        leaves = when_answer_leaves(session, house, key)
    say(f"decision {made.id}: {deliverable} of {unit} is extended to {until}; who owes it is told: {leaves}")


def exempt(
    unit: str, deliverable: str, *, grounds: str, campaign: str | None = None, occurrence: str | None = None
) -> None:
    """Exempt units from a deliverable (免报): nothing more is said of it, and it stands outside the rates.

    Args:
        unit: the unit's code; or a category, several joined by commas, or all.
        deliverable: its key, title or label.
        grounds: why; the units read it in their mail.
        campaign: the campaign's key; the one launched last unless given.
        occurrence: of a series, which one; all of them unless given.

    """
    from office.choosing import names_in  # noqa: PLC0415
    from office.exempting import exempt as decide  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        key = _named(session, campaign)
        made = decide(
            session, house, act(), key, deliverable, to=names_in(unit), grounds=grounds, occurrence=occurrence
        )
        leaves = when_answer_leaves(session, house, key)
    say(f"decision {made.id}: {unit} is exempt from {deliverable}, and is told: {leaves}")


def remove_unit(unit: str, *, grounds: str, campaign: str | None = None) -> None:
    """Let a unit leave: it is not chased any more; what is not yet due stands outside the rates, what was due stays.

    Args:
        unit: the unit's code.
        grounds: why; the unit reads it in its mail.
        campaign: the campaign's key, where a unit takes part in several.

    """
    from office.leaving import leave as decide  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        made = decide(session, house, act(), find_unit(session, unit, campaign), grounds)
    say(f"decision {made.id}: {unit} has left, and is told; `muster come-back {unit}` or `muster undo {made.id}`")


def come_back(unit: str, *, grounds: str, campaign: str | None = None) -> None:
    """Let a unit that left take part again: what fell due meanwhile it owes by the joiner's day, of a series nothing.

    Args:
        unit: the unit's code.
        grounds: why; the unit reads it in its mail.
        campaign: the campaign's key, where a unit takes part in several.

    """
    from office.leaving import come_back as decide  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        made = decide(session, house, act(), find_unit(session, unit, campaign), grounds)
    say(f"decision {made.id}: {unit} takes part again")


def superior(unit: str, above: str, *, grounds: str, campaign: str | None = None) -> None:
    """Name another superior of a unit; later lists of silent units go to it.

    Args:
        unit: the unit's code.
        above: the new superior's code, or OFFICE.
        grounds: why; kept in the audit trail.
        campaign: the campaign's key, where a unit takes part in several.

    """
    from office.leaving import change_superior  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        made = change_superior(session, act(), find_unit(session, unit, campaign), above, grounds)
    say(f"decision {made.id}: {above} is the superior of {unit} from now on")


def pause(campaign: str, *, grounds: str) -> None:
    """Pause a campaign: nothing is chased, nothing sent in bulk; replies still go, hand-ins are still taken.

    Args:
        campaign: the campaign's key.
        grounds: why; kept in the audit trail.

    """
    from office.pausing import pause as decide  # noqa: PLC0415

    with premises().ledger.writing() as session:
        made = decide(session, act(), campaign, grounds)
    say(f"decision {made.id}: {campaign} is paused; `muster resume {campaign} --grounds …`")


def resume(campaign: str, *, grounds: str) -> None:
    """Resume a paused campaign; of what fell due meanwhile each unit hears at most the latest reminder.

    Args:
        campaign: the campaign's key.
        grounds: why; kept in the audit trail.

    """
    from office.pausing import resume as decide  # noqa: PLC0415

    with premises().ledger.writing() as session:
        made = decide(session, act(), campaign, grounds)
    say(f"decision {made.id}: {campaign} goes on")


def close(campaign: str, *, grounds: str) -> None:
    """Close a campaign before its day: nothing is chased any more, and every unit is told where it stands.

    Args:
        campaign: the campaign's key.
        grounds: why; kept in the audit trail.

    """
    from office.pausing import close as decide  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        made = decide(session, house, act(), campaign, grounds)
    say(f"decision {made.id}: {campaign} is closed; corrections are still taken")


def reopen_campaign(campaign: str, *, grounds: str, until: str | None = None) -> None:
    """Reopen a closed campaign, until another day if one is named.

    Args:
        campaign: the campaign's key.
        grounds: why; kept in the audit trail.
        until: the day on which it closes, such as 2020-07-20.

    """
    from datetime import datetime  # noqa: PLC0415

    from office.pausing import reopen_campaign as decide  # noqa: PLC0415

    day = day_or_moment(until) if until is not None else None
    if isinstance(day, datetime):
        raise Refused("a campaign closes on a day; write 2020-07-20")
    with premises().ledger.writing() as session:
        made = decide(session, act(), campaign, grounds, until=day)
        closes = made.after["closes_on"]
    say(f"decision {made.id}: {campaign} is open again until {closes}")


def correct(  # noqa: PLR0913  each is an option of the command
    deliverable: str | None = None,
    *,
    grounds: str,
    text: str = "",
    to: To = EVERYBODY,
    due: str | None = None,
    file: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    occurrence: str | None = None,
    campaign: str | None = None,
    yes: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Correct the circular (更正): another deadline, another attachment, or both; each unit gets one mail about it.

    Where that judges anew what was handed in, the rates before and after are shown first, and it is asked for.

    Args:
        deliverable: the key, title or label of what gets another deadline.
        grounds: why; kept in the audit trail.
        text: what is corrected, as the units read it; of a deadline alone it need not be said.
        to: categories, or units by their codes; all unless given. With all, who joins later gets it corrected.
        due: that deadline, such as 2020-06-11 (inclusive).
        file: attachments; each takes the place of the one of its name, or is added.
        occurrence: of a series, which one, such as 2023-07-07.
        campaign: the campaign's key; the one launched last unless given.
        yes: do not ask, whatever it does to the rates.

    """
    from office.correcting import Correction  # noqa: PLC0415
    from office.correcting import correct as decide  # noqa: PLC0415
    from office.foretelling import foretell  # noqa: PLC0415

    correction = Correction(
        said=text,
        deliverable=deliverable,
        until=day_or_moment(due) if due is not None else None,
        occurrence=occurrence,
        files=_read(file or []),
    )
    house = premises()
    with house.ledger.writing() as session:
        key = _named(session, campaign)
        foretold = foretell(session, house, act(), key, correction, to=to, grounds=grounds)
    if foretold.rewrites:
        _agreed(foretold, yes=yes)
    with house.ledger.writing() as session:
        made = decide(session, house, act(), key, correction, to=to, grounds=grounds)
        leaves = when_answer_leaves(session, house, key)
    say(f"decision {made.id}: the circular is corrected; the units are told: {leaves}")


def _agreed(foretold: "Foretold", *, yes: bool) -> None:
    """Show what a correction does to what was handed in, and ask for it."""
    from office.wording import rate_text  # noqa: PLC0415

    rows = [
        (name, str(t.late), str(t.on_time), rate_text(t.report_rate), rate_text(t.on_time_rate))
        for name, t in (("now", foretold.before), ("corrected", foretold.after))
    ]
    table(("", "late", "on time", "报送率", "及时率"), rows, title="what was handed in is judged by the new deadline")
    say(f"units that become late: {foretold.become_late}; that become on time: {foretold.become_on_time}")
    if not yes and showing.asked("type yes to correct the circular so: ") != "yes":
        raise Refused("not confirmed, so nothing was corrected; type yes, or give --yes")


def announce(
    campaign: str,
    *,
    subject: str,
    text: str,
    grounds: str,
    to: To = EVERYBODY,
    file: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    confirm: str | None = None,
    preview: bool = False,
) -> None:
    """Announce something to units. Shows the mail and to how many it goes, and asks for the campaign's key.

    Args:
        campaign: the campaign's key.
        subject: one line.
        text: what the units are told.
        grounds: why; kept in the audit trail.
        to: categories, or units by their codes; all unless given.
        file: files to be enclosed.
        confirm: the campaign's key again, instead of typing it.
        preview: show the mail and to how many it would go, and no more.

    """
    from office.announcing import Announcement  # noqa: PLC0415
    from office.announcing import announce as decide  # noqa: PLC0415
    from office.announcing import preview as look  # noqa: PLC0415

    announcement = Announcement(subject=subject, text=text, files=_read(file or []))
    house = premises()
    with house.ledger.reading() as session:
        seen = look(session, house, act(), campaign, announcement, to=to)
        count = len(seen.units)
    say(seen.mail.subject)
    say(rule())
    say(seen.mail.text)
    say(rule())
    if preview:
        say(f"would go to {count} units; nothing was sent")
        return
    typed = confirm if confirm is not None else showing.asked(f"type {campaign} to send this to {count} units: ")
    if typed.strip() != campaign:
        raise Refused(f"not confirmed, so nothing was sent; type the campaign's key, or give --confirm {campaign}")
    with house.ledger.writing() as session:
        made = decide(session, house, act(), campaign, announcement, to=to, grounds=grounds)
        leaves = when_answer_leaves(session, house, campaign)
    say(f"decision {made.id}: announced to {count} units: {leaves}")


def amend(folder: str, *, grounds: str | None = None) -> None:
    """Show how a folder differs from what its campaign runs by; with --grounds, let the campaign run by the folder.

    Args:
        folder: key or folder.
        grounds: why; kept in the audit trail. Without them nothing is changed.

    """
    from office.amending import amend as decide  # noqa: PLC0415
    from office.amending import compare  # noqa: PLC0415
    from office.launching import load  # noqa: PLC0415

    house = premises()
    loaded = load(house, folder)
    with house.ledger.reading() as session:
        found = compare(session, loaded)
    for line in found.differences:
        say(str(line))
    for refusal in found.refusals:
        say(refusal, style="red")
    if found.refusals:
        raise Refused("the campaign cannot be amended like this; nothing was changed")
    if grounds is None:
        many = len(found.differences)
        say(f"{many} differences; `muster amend {folder} --grounds …` lets the campaign run by them")
        return
    with house.ledger.writing() as session:
        made = decide(session, house, act(), loaded, grounds)
        moved, added = made.after["moved"], len(made.after["added"])
    say(f"decision {made.id}: amended; {moved} deadlines moved, {added} obligations added; nobody was told of it:")
    say("`muster correct` or `muster announce` tells the units")


def decisions(campaign: str | None = None, *, unit: str | None = None) -> None:
    """List decisions: number, when, what, about whom, who, on what grounds, and whether it was taken back.

    Args:
        campaign: the campaign's key; the one launched last unless given.
        unit: only those that touched a unit, by its code.

    """
    from ledger.campaigns import find_campaign, latest_campaign  # noqa: PLC0415
    from office.decision_list import decisions as lines  # noqa: PLC0415
    from office.rulebook import rulebook_of  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415

    with premises().ledger.reading() as session:
        row = find_campaign(session, campaign) if campaign is not None else latest_campaign(session)
        zone = rulebook_of(row).zone
        party = find_unit(session, unit, row.key) if unit is not None else None
        rows = lines(session, zone, row.id, party)
    title = f"decisions of {row.key}, {times_of(zone.key)}"
    table(("number", "when", "what", "about", "who", "grounds", ""), rows, title=title)
    say(f"{len(rows)} decisions; `muster undo NUMBER --grounds …` takes one back")


def undo(decision: int, *, grounds: str) -> None:
    """Take a decision back by another: what it changed is as before, and whoever was told of it is told.

    Args:
        decision: its number, as `muster decisions` lists it.
        grounds: why; kept in the audit trail, and read by the units that are told.

    """
    from office.telling import told_by  # noqa: PLC0415
    from office.undoing import undo as take_back  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        made = take_back(session, house, act(), decision, grounds)
        told = len(told_by(session, made))
    whom = f"{told} units are told" if told else "nobody is told"
    say(f"decision {decision} is taken back by decision {made.id}: what it changed is as before; {whom}")


def _named(session: "Session", campaign: str | None) -> str:
    """Return the key of the campaign meant: the one named, or the one launched last."""
    from ledger.campaigns import latest_campaign  # noqa: PLC0415

    return campaign if campaign is not None else latest_campaign(session).key


def _read(paths: list[Path]) -> "tuple[IncomingFile, ...]":
    from office.destination import IncomingFile  # noqa: PLC0415

    for missing in (path for path in paths if not path.is_file()):
        raise Refused(f"there is no file {missing}")
    return tuple(IncomingFile(name=path.name, content=path.read_bytes()) for path in paths)
