"""Exemption (免报): a unit need not hand in something, or not on some occasion."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import Change
from ledger.decisions import decide, iso
from ledger.tables import Changed, DecisionRow
from office.choosing import deliverable_named, owed_of, units_named
from office.premises import Premises
from office.refusals import NotPossible
from office.review import grounds_of
from office.rulebook import open_book
from office.telling import tell

EXEMPTED = "exempted"
NOTICE = "decided"


def exempt(
    session: Session,
    premises: Premises,
    act: Act,
    campaign: str,
    deliverable: str,
    *,
    to: Sequence[str],
    grounds: str,
    occurrence: str | None = None,
) -> DecisionRow:
    """Exempt the units that ``to`` means from a deliverable, or from one occurrence of it; they are told.

    What waits to be said of it is withdrawn at once, and it stands outside the rates.

    Raises:
        NotPossible: nobody is left to be exempted.
        ValueError: nobody is meant, or there are no grounds.

    """
    said = grounds_of(grounds, "it is exempted")
    row, book = open_book(session, campaign)
    parties = {unit.id for unit in units_named(session, row, book, to)}
    meant = [o for o in owed_of(session, row, book, deliverable, occurrence) if o.party_id in parties]
    fresh = [o for o in meant if o.exempt_at is None and o.due_at is not None]
    if not fresh:
        raise NotPossible(
            "nobody_meant",
            f"nobody of {', '.join(to)} owes {deliverable}; nothing was changed",
            staff="exempt_nobody",
        )
    one = fresh[0] if len(fresh) == 1 else None
    whose = {o.party_id for o in fresh}
    decision = decide(
        session,
        act,
        row.id,
        EXEMPTED,
        said,
        party_id=fresh[0].party_id if len(whose) == 1 else None,
        obligation_id=one.id if one is not None else None,
        after={
            "to": list(to),
            "deliverable": deliverable,
            "key": deliverable_named(book, deliverable),
            "occurrence": occurrence,
        },
        changes=[Change(Changed.EXEMPT, None, iso(act.as_of), o.party_id, o.id) for o in fresh],
    )
    tell(session, premises, act, NOTICE, decision, fresh)
    return decision
