"""Commands of the staff's day: what waits, who must be telephoned, handing in for a unit, the audit trail."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cli.desk import Refused, act, moment_of, premises, zone_of_campaign
from cli.leaving import when_answer_leaves
from cli.showing import say, table, times_of

SHOWN = 100  # rows of a kind
MAILS = ("id", "received", "campaign", "unit", "kind", "from", "subject", "why", "do")
VERSIONS = ("submission", "received", "campaign", "unit", "material", "version", "do")
REQUESTS = ("id", "asked", "campaign", "unit", "wish", "reason", "do")
QUERIES = ("id", "unit", "material (submission)", "place", "field", "what", "proposed", "do")
CONSENT = ("occasion", "campaign", "rung", "units", "items", "asked", "do")
PAPERS = ("id", "campaign", "kind", "to", "drafted", "do")
LOST = ("id", "unit", "notice", "when", "address", "last word", "do")


def queue() -> None:
    """List what waits for a person, each with its verb: mails, versions, queries, requests, consent, papers, doubts."""
    from office.approvals import waiting_lists  # noqa: PLC0415
    from office.papers import drafts_waiting  # noqa: PLC0415
    from office.queue import ambiguous_mails, waiting_for_a_person  # noqa: PLC0415
    from office.stops import zone_of_house  # noqa: PLC0415
    from office.worklists import open_findings, waiting_requests, waiting_versions  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        zone = zone_of_house(session)
        rows, lost = waiting_for_a_person(session, zone), ambiguous_mails(session, zone)
        versions, wishes = waiting_versions(session, zone), waiting_requests(session, zone)
        queries, drafts = open_findings(session, house), drafts_waiting(session)
        consent = [(*line, f"muster approve {line[0]} or decline {line[0]}") for line in waiting_lists(session)]
    times = times_of(zone.key)
    table(MAILS, rows, title=f"staff queue: mails that could not be placed or read, {times}")
    say(f"{len(rows)} waiting")
    if rows:
        say(
            "mails that came in: `muster mail in-ID` shows one, --eml FILE saves it with its files; then "
            "`muster assign in-ID UNIT [--deliverable D]` takes its files in for the unit, "
            '`muster answer in-ID "…"` writes to its sender, `muster dismiss in-ID --grounds …` closes it'
        )
    _list(
        f"handed in, to be accepted or returned, {times}", VERSIONS, versions,
        "to be judged: `muster files SUBMISSION --to FOLDER`, then "
        '`muster accept SUBMISSION --grounds …` or `muster return SUBMISSION "reason" [--due DAY]`',
    )  # fmt: skip
    _list(f"requests, {times}", REQUESTS, wishes,
          "to be decided: `muster grant ID --grounds …` or `muster refuse ID --grounds …`")  # fmt: skip
    _list("queries (核实)", QUERIES, queries,
          "queries nobody has answered: `muster confirm ID [--value V] --grounds …`")  # fmt: skip
    _list(f"rungs that wait for consent, {times}", CONSENT, consent,
          "to be agreed to: `muster approvals OCCASION` shows whom one names, "
          "then `muster approve OCCASION --grounds …` or `muster decline OCCASION --grounds …`")  # fmt: skip
    _list(f"drafted papers, {times}", PAPERS, drafts,
          "papers to be approved: `muster papers --to FOLDER`, then `muster approve-paper ID --grounds …`")  # fmt: skip
    _list(f"mails to units that may have left, or not, {times}", LOST, lost,
          "to be settled: `muster mail ID`, then `muster settle ID --as sent|again --grounds …`")  # fmt: skip


def _list(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], verbs: str) -> None:
    """Print what waits of one kind, if anything does, and how its verbs are used."""
    if rows:
        table(columns, rows[:SHOWN], title=title)
        shown = f" ({SHOWN} shown)" if len(rows) > SHOWN else ""
        say(f"{len(rows)}{shown} {verbs}")


def contacts(campaign: str) -> None:
    """List the units whose contacts need a person: those that no mail reaches first.

    Args:
        campaign: the campaign's key; before its launch its folder is looked at.

    """
    from office import wording  # noqa: PLC0415
    from office.contacts import Trouble  # noqa: PLC0415
    from office.queue import contact_work  # noqa: PLC0415

    found = contact_work(premises(), campaign)
    rows = [
        (t.code, t.name, wording.TROUBLE[t.trouble], t.written_to or "—", "\n".join(t.failing), "\n".join(t.phones))
        for t in found
    ]
    table(("代码", "单位", "情况", "现写往", "失效的地址", "电话"), rows)
    kinds = {trouble: sum(t.trouble is trouble for t in found) for trouble in Trouble}
    counted = "".join(f"; {wording.TROUBLE[trouble]} {count}" for trouble, count in kinds.items() if count)
    say(f"{len(found)} to be looked at{counted}")


def hand_in(
    campaign: str,
    unit: str,
    *files: Path,
    received: str,
    grounds: str,
    channel: str = "phone",
    nil: str | None = None,
    occurrence: str | None = None,
) -> None:
    """Hand in for a unit that called, came, or sent paper; or with --nil, that it has nothing to report.

    Args:
        campaign: the campaign's key.
        unit: the unit's code.
        files: what it handed in; none with --nil.
        received: the true moment, such as 2020-06-01T10:00; local unless it has an offset.
        grounds: who called or came, and what was agreed; kept in the audit trail.
        channel: phone, paper or person.
        nil: the deliverable, by key, title or label, of which the unit has nothing to report (零报告).
        occurrence: of a series with --nil, which one, such as 2023-07-07; else the earliest still owed.

    """
    if channel not in ("phone", "paper", "person"):
        raise Refused(f"channel {channel!r}; use phone, paper or person")
    if bool(files) == (nil is not None):
        raise Refused("name at least one file, what the unit handed in; or no file and --nil DELIVERABLE")
    if occurrence is not None and nil is None:
        raise Refused("--occurrence is for --nil; a file tells by itself what it answers")
    moment = moment_of(received, zone_of_campaign(campaign))
    assert moment is not None  # noqa: S101  received is required
    if nil is not None:
        _hand_in_nil(campaign, unit, nil, occurrence, channel=channel, received_at=moment, grounds=grounds)
        return
    _hand_in_files(campaign, unit, files, channel=channel, received_at=moment, grounds=grounds)


def _hand_in_files(
    campaign: str, unit: str, files: tuple[Path, ...], *, channel: str, received_at: datetime, grounds: str
) -> None:
    from office.destination import IncomingFile  # noqa: PLC0415
    from office.handin import hand_in_on_behalf  # noqa: PLC0415

    for missing in (path for path in files if not path.is_file()):
        raise Refused(f"there is no file {missing}; name the files that {unit} handed in")
    incoming = tuple(IncomingFile(name=path.name, content=path.read_bytes()) for path in files)
    house = premises()
    with house.ledger.writing() as session:
        taken = hand_in_on_behalf(
            session, house, act(), campaign, unit, incoming, channel=channel, received_at=received_at, grounds=grounds
        )
        leaves = when_answer_leaves(session, house, campaign)
    for problem in taken.problems:
        say(problem)
    answer = f"; the answer is planned: {leaves}" if taken.notice else ""
    known = "" if taken.recorded or taken.problems else " (handed in before, byte for byte)"
    say(f"{taken.recorded} recorded{known}{answer}")
    if taken.problems:
        raise SystemExit(1)


def _hand_in_nil(
    campaign: str, unit: str, deliverable: str, occurrence: str | None, *, channel: str, received_at: datetime,
    grounds: str,
) -> None:  # fmt: skip
    from office.nil import nil_on_behalf  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415
    from office.workbooks import NotPlacedError  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        party = find_unit(session, unit, campaign)
        try:
            taken = nil_on_behalf(
                session, house, act(), party, deliverable,
                channel=channel, received_at=received_at, grounds=grounds, occurrence=occurrence,
            )  # fmt: skip
        except NotPlacedError as error:
            raise Refused(f"no nil return of {unit} was recorded: {error.reason}") from None
        leaves = when_answer_leaves(session, house, campaign)
    if taken.recorded:
        say(f"the nil return of {unit} is recorded; the receipt is planned: {leaves}")
    else:
        say(f"{unit} had handed in that nil return before; nothing was changed")


def audit(unit: str | None = None, *, campaign: str | None = None, verify: bool = False) -> None:
    """Show the audit trail of a unit, or --verify the whole chain.

    Args:
        unit: the unit's code.
        campaign: the campaign's key, where a unit takes part in several.
        verify: walk the chain from its first entry; exits 1 at the first that does not fit.

    """
    from ledger import audit as trail  # noqa: PLC0415
    from office.queue import trail_of  # noqa: PLC0415
    from office.stops import zone_of_house  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        if verify:
            verdict = trail.verify(session)
            if verdict.fault:
                raise Refused(f"the audit trail does not verify: {verdict.fault}")
            say(f"the audit trail verifies: {verdict.entries} entries, last hash {verdict.head}")
            return
        if unit is None:
            raise Refused("name a unit's code, or --verify")
        zone = zone_of_house(session, campaign)
        rows = trail_of(session, unit, campaign, zone)
    title = f"audit trail of {unit}, {times_of(zone.key)}"
    table(("entry", "as of", "who", "what", "detail"), rows, title=title)
