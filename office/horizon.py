"""The rolling horizon: the occurrences of a series become obligations so many days ahead, not all at launch."""

from collections import Counter
from collections.abc import Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.roster import Unit
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import NewObligation, deliverable_ids, freeze_obligations
from ledger.tables import CampaignRow, CampaignState, ObligationRow, PartyKind, PartyRow
from office.launching import OFFICE, obligation_of
from office.rulebook import Rulebook, open_book, owed_by_unit
from rules.deadlines import within_horizon


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

    An occurrence is made at once for all units of the launch; only where one of them is still to be made is more looked
    at. A unit that joined has its own first, which may lie beyond the horizon.
    """
    recurring = {d.key for d in book.campaign.deliverables if d.recurrence is not None}
    if not recurring or row.state == CampaignState.CLOSED:
        return
    series = {id_: key for key, id_ in deliverable_ids(session, row.id).items() if key in recurring}
    if _within(book, recurring, act) <= _begun(session, row, series):
        return
    made = _made(session, series)
    for party, unit in _units(session, row.id):
        joined = party.joined_at if party.joined_at > row.as_of else None
        for key, occurrence in owed_by_unit(book, unit, joined=joined, as_of=act.as_of):
            if key in recurring and (party.id, key, occurrence.key) not in made:
                yield obligation_of(book, party.id, key, occurrence, since=joined or row.as_of)


def _within(book: Rulebook, series: set[str], act: Act) -> set[tuple[str, str]]:
    """Return the occurrences within the horizon, each with its deliverable."""
    today = act.as_of.astimezone(book.zone).date()
    return {
        (key, occurrence.key)
        for key in series
        for occurrence in within_horizon(book.occurrences[key], today, book.campaign.horizon_days)
    }


def _begun(session: Session, row: CampaignRow, series: Mapping[int, str]) -> set[tuple[str, str]]:
    """Return the occurrences that units of the launch have on record, each with its deliverable."""
    query = (
        select(ObligationRow.deliverable_id, ObligationRow.occurrence)
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .where(ObligationRow.deliverable_id.in_(series), PartyRow.joined_at <= row.as_of)
        .distinct()
    )
    return {(series[id_], occurrence) for id_, occurrence in session.execute(query)}


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
