"""The rolling horizon: the occurrences of a series become obligations so many days ahead, not all at launch."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from definition.roster import Unit
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import NewObligation, deliverable_ids, freeze_obligations
from ledger.decisions import undone_numbers
from ledger.tables import CampaignRow, CampaignState, DecisionRow, ObligationRow, PartyKind, PartyRow
from office.choosing import units_meant
from office.exempting import EXEMPTED
from office.launching import OFFICE, obligation_of
from office.leaving import BACK
from office.rulebook import Rulebook, open_book, owed_by_unit
from rules.deadlines import is_overdue, within_horizon


def extend_horizon(session: Session, act: Act, campaign: str) -> int:
    """Freeze the occurrences that have come over the horizon since the last run; return how many obligations.

    What is on record is left alone, so that it may be run at any time, late, or twice. A campaign that is closed, or
    has no series, gets none.
    """
    row, book = open_book(session, campaign)
    new = list(over_the_horizon(session, act, row, book))
    if not new:
        return 0
    freeze_obligations(session, act, row.id, new)
    made = Counter(f"{n.deliverable} {n.occurrence}" for n in new)
    audit.append(
        session, act, "obligations.frozen", {"obligations": len(new), "occurrences": dict(made)}, campaign_id=row.id
    )
    return len(new)


def over_the_horizon(session: Session, act: Act, row: CampaignRow, book: Rulebook) -> Iterator[NewObligation]:
    """Yield the obligations of series that are due to be made at the act's moment and are not on record.

    Of a series a unit that came back owes what was still to come then. A unit that joined has a first occurrence of its
    own, which may lie beyond the horizon.
    """
    recurring = {d.key for d in book.campaign.deliverables if d.recurrence is not None}
    if not recurring or row.state == CampaignState.CLOSED:
        return
    series = {id_: key for key, id_ in deliverable_ids(session, row.id).items() if key in recurring}
    if _all_have(_within(book, recurring, act), _counted(session, row, series)):
        return
    made = _made(session, series)
    back = _came_back(session, row.id)
    spared, released = _exempted(session, row, recurring)
    for party, unit in _units(session, row.id):
        joined = party.joined_at if party.joined_at > row.as_of else None
        since = back.get(party.id)
        for key, occurrence in owed_by_unit(book, unit, joined=joined, as_of=act.as_of):
            if key not in recurring or (party.id, key, occurrence.key) in made or (party.id, key) in spared:
                continue
            if since is None or not is_overdue(book.due(occurrence), since):
                begins = [m for m in (joined or row.as_of, since, released.get((party.id, key))) if m is not None]
                yield obligation_of(book, party.id, key, occurrence, since=max(begins))


def _all_have(wanted: set[tuple[str, str]], counted: Mapping[tuple[str, str], int]) -> bool:
    """Whether every occurrence wanted is on record, and of each series all for as many units."""
    counts: dict[str, set[int]] = {}
    for key, occurrence in wanted:
        counts.setdefault(key, set()).add(counted.get((key, occurrence), 0))
    return all(len(found) == 1 and 0 not in found for found in counts.values())


def _within(book: Rulebook, series: set[str], act: Act) -> set[tuple[str, str]]:
    """Return the occurrences within the horizon, each with its deliverable."""
    today = act.as_of.astimezone(book.zone).date()
    return {
        (key, occurrence.key)
        for key in series
        for occurrence in within_horizon(book.occurrences[key], today, book.campaign.horizon_days)
    }


def _counted(session: Session, row: CampaignRow, series: Mapping[int, str]) -> dict[tuple[str, str], int]:
    """Return of how many units of the launch that take part each occurrence is on record."""
    query = (
        select(ObligationRow.deliverable_id, ObligationRow.occurrence, func.count())
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .where(ObligationRow.deliverable_id.in_(series), PartyRow.joined_at <= row.as_of, PartyRow.left_at.is_(None))
        .group_by(ObligationRow.deliverable_id, ObligationRow.occurrence)
    )
    return {(series[id_], occurrence): count for id_, occurrence, count in session.execute(query)}


def beyond(session: Session, row: CampaignRow, book: Rulebook, act: Act) -> list[str]:
    """Say of each series what comes over the horizon by the act's moment and is not on record: nothing tells of it."""
    recurring = {d.key for d in book.campaign.deliverables if d.recurrence is not None}
    if not recurring or row.state == CampaignState.CLOSED:
        return []
    series = {id_: key for key, id_ in deliverable_ids(session, row.id).items() if key in recurring}
    there = set(_counted(session, row, series))
    missing = _within(book, recurring, act) - there
    said = []
    for key in sorted({key for key, _ in missing}):
        first, *more = sorted(at for of, at in missing if of == key)
        last = max((at for of, at in there if of == key), default="none")
        others = f" and {len(more)} more after it" if more else ""
        said.append(
            f"{book.campaign.deliverable(key).title}: occurrences are on record up to {last}, as they are made "
            f"{book.campaign.horizon_days} days ahead; {first}{others} would be made by then, and nothing here is of it"
        )
    return said


def _came_back(session: Session, campaign_id: int) -> dict[int, datetime]:
    """Return the units that left and came back, each with when it did last."""
    query = (
        select(DecisionRow.party_id, func.max(DecisionRow.as_of))
        .where(DecisionRow.campaign_id == campaign_id, DecisionRow.kind == BACK)
        .group_by(DecisionRow.party_id)
    )
    return {party_id: at for party_id, at in session.execute(query) if party_id is not None}


def _exempted(
    session: Session, row: CampaignRow, recurring: set[str]
) -> tuple[set[tuple[int, str]], dict[tuple[int, str], datetime]]:
    """Return who is exempt from a series as a whole, and of whom that was taken back, with when it was."""
    query = select(DecisionRow).where(DecisionRow.campaign_id == row.id, DecisionRow.kind == EXEMPTED)
    undone = undone_numbers(session, row.id)
    spared: set[tuple[int, str]] = set()
    released: dict[tuple[int, str], datetime] = {}
    for decision in session.scalars(query.order_by(DecisionRow.id)):
        key = decision.after.get("key")
        if key not in recurring or decision.after.get("occurrence") is not None:
            continue
        whose = {(unit.id, key) for unit in units_meant(session, row, decision.after["to"])}
        if decision.id in undone:
            at = session.get_one(DecisionRow, undone[decision.id]).as_of
            released |= dict.fromkeys(whose, at)
        else:
            spared |= whose
    return spared, released


def _made(session: Session, series: Mapping[int, str]) -> set[tuple[int, str, str]]:
    query = select(ObligationRow.party_id, ObligationRow.deliverable_id, ObligationRow.occurrence).where(
        ObligationRow.deliverable_id.in_(series)
    )
    return {(party_id, series[id_], occurrence) for party_id, id_, occurrence in session.execute(query)}


def _units(session: Session, campaign_id: int) -> Iterator[tuple[PartyRow, Unit]]:
    """Yield the units that take part, as the roster would name them."""
    query = select(PartyRow).where(
        PartyRow.campaign_id == campaign_id, PartyRow.kind == PartyKind.UNIT, PartyRow.left_at.is_(None)
    )
    for party in session.scalars(query):
        yield party, Unit(code=party.code, name=party.name, category=party.category, superior=OFFICE)
