"""Extension: a later deadline, asked for by the unit or given by staff, for one obligation or for many."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.decisions import decide, due_changes, iso
from ledger.facts import load_obligations
from ledger.replay import EXTENDED
from ledger.requests import EXTENSION
from ledger.tables import DecisionRow, ObligationRow, RequestRow
from office.choosing import one_occurrence, owed_of, units_named
from office.dues import new_due
from office.premises import Premises
from office.refusals import NotPossible
from office.review import grounds_of
from office.rulebook import Rulebook, open_book
from office.telling import tell
from rules.deadlines import StatedDeadline, due_instant
from rules.obligations import is_owed

NOTICE = "decided"


def extend(  # noqa: PLR0913  a decision has that many sides
    session: Session,
    premises: Premises,
    act: Act,
    campaign: str,
    deliverable: str,
    *,
    to: Sequence[str],
    until: date | datetime,
    grounds: str,
    occurrence: str | None = None,
) -> DecisionRow:
    """Give the units that ``to`` means a later deadline for a deliverable; who still owes it is told.

    What was handed in meanwhile is judged by the new deadline too. A request that waits and is met by it is decided.

    Raises:
        NotPossible: the new deadline is not later for anybody, has passed, or lies after the close.
        ValueError: nobody is meant, or there are no grounds.

    """
    said = grounds_of(grounds, "the deadline is extended")
    row, book = open_book(session, campaign)
    parties = {unit.id for unit in units_named(session, row, book, to)}
    due = new_due(book, act, until)
    meant = [o for o in owed_of(session, row, book, deliverable, occurrence) if o.party_id in parties]
    later = [o for o in one_occurrence(meant, deliverable) if _is_later(o, due)]
    if not later:
        raise NotPossible(
            "nobody_meant",
            f"nobody of {', '.join(to)} has an earlier deadline for {deliverable}; nothing was changed",
            staff="no_earlier_due",
        )
    met = list(_met(session, row.id, book, {o.id for o in later}, due))
    after = {"to": list(to), "deliverable": deliverable, "settled": [request.id for request in met]}
    decision = extend_obligations(session, act, later, due, said, after=after)
    for request in met:
        request.decision_id = decision.id
    session.flush()
    still = {o.id for o in load_obligations(session, row.id, party_ids=parties) if is_owed(o)}
    tell(session, premises, act, NOTICE, decision, [o for o in later if o.id in still])
    return decision


def _is_later(obligation: ObligationRow, due: datetime) -> bool:
    return obligation.exempt_at is None and obligation.due_at is not None and obligation.due_at < due


def extend_obligations(
    session: Session,
    act: Act,
    obligations: Sequence[ObligationRow],
    due: datetime,
    grounds: str,
    *,
    after: Mapping[str, object],
) -> DecisionRow:
    """Put an extension of some obligations on record, and let it hold."""
    one = obligations[0] if len(obligations) == 1 else None
    return decide(
        session,
        act,
        obligations[0].campaign_id,
        EXTENDED,
        grounds,
        party_id=one.party_id if one is not None else None,
        obligation_id=one.id if one is not None else None,
        after={"due": iso(due), **after},
        changes=[change for o in obligations for change in due_changes(act, o, due)],
    )


def _met(session: Session, campaign_id: int, book: Rulebook, extended: set[int], due: datetime) -> Iterator[RequestRow]:
    """Yield the requests that an extension meets: whoever asked for no more has got it."""
    query = select(RequestRow).where(
        RequestRow.campaign_id == campaign_id, RequestRow.kind == EXTENSION, RequestRow.decision_id.is_(None)
    )
    for request in session.scalars(query):
        wished = StatedDeadline(day=date.fromisoformat(request.wish["until"]))
        if request.obligation_id in extended and due_instant(wished, book.zone) <= due:
            yield request
