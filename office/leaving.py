"""Who takes part: a unit leaves a running campaign and comes back; its superior is another from now on.

What fell due before a unit left stays in the rates; what was still to come stands outside them.
"""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import Change, find_party
from ledger.decisions import decide, due_changes, iso
from ledger.tables import CampaignRow, Changed, DecisionRow, DeliverableRow, ObligationRow, PartyKind, PartyRow
from office.premises import Premises
from office.refusals import NotPossible
from office.review import grounds_of
from office.rulebook import Rulebook, rulebook_of
from office.telling import tell
from rules.deadlines import due_instant

LEFT, BACK, SUPERIOR_CHANGED = "unit_left", "unit_back", "superior_changed"
NOTICE = "decided"


def leave(
    session: Session, premises: Premises, act: Act, party: PartyRow, grounds: str, *, reverses: int | None = None
) -> DecisionRow:
    """Let a unit leave: nothing more is said to it, what waits is withdrawn, and what was to come is not counted.

    Raises:
        NotPossible: it has left already, or it is the office itself.
        ValueError: there are no grounds.

    """
    said = grounds_of(grounds, f"{party.code} leaves")
    if party.kind != PartyKind.UNIT or party.left_at is not None:
        raise NotPossible(
            "standing", f"{party.code} takes no part that it could leave", staff="left_already", unit=party.name
        )
    decision = decide(
        session,
        act,
        party.campaign_id,
        LEFT,
        said,
        party_id=party.id,
        reverses=reverses,
        changes=[Change(Changed.LEFT, None, iso(act.as_of), party.id)],
    )
    tell(session, premises, act, NOTICE, decision, parties=[party.id])
    return decision


def come_back(session: Session, premises: Premises, act: Act, party: PartyRow, grounds: str) -> DecisionRow:
    """Let a unit that left take part again, like one that joins: what fell due meanwhile it owes by the joiner's day.

    Of a series it owes what is to come. Where it was wrong that it left, take that back instead: all is as before.

    Raises:
        NotPossible: it has not left.
        ValueError: there are no grounds.

    """
    said = grounds_of(grounds, f"{party.code} comes back")
    if party.left_at is None:
        raise NotPossible("standing", f"{party.code} has not left", staff="not_left", unit=party.name)
    book = rulebook_of(session.get_one(CampaignRow, party.campaign_id))
    changes = [Change(Changed.LEFT, iso(party.left_at), None, party.id), *_missed(session, act, party, book)]
    decision = decide(session, act, party.campaign_id, BACK, said, party_id=party.id, changes=changes)
    owing = select(ObligationRow).where(ObligationRow.party_id == party.id, ObligationRow.due_at > act.as_of)
    tell(session, premises, act, NOTICE, decision, session.scalars(owing).all(), parties=[party.id])
    return decision


def _missed(session: Session, act: Act, party: PartyRow, book: Rulebook) -> Iterator[Change]:
    """Yield what becomes of that which fell due while a unit was away."""
    query = (
        select(ObligationRow, DeliverableRow.key)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(ObligationRow.party_id == party.id, ObligationRow.exempt_at.is_(None))
        .where(ObligationRow.due_at > party.left_at, ObligationRow.due_at <= act.as_of)
    )
    by = due_instant(book.joiner_deadline(act.as_of), book.zone)
    for obligation, key in session.execute(query.order_by(ObligationRow.id)):
        if book.campaign.deliverable(key).recurrence is None:
            yield from due_changes(act, obligation, by)
        else:
            yield Change(Changed.EXEMPT, None, iso(act.as_of), party.id, obligation.id)


def change_superior(session: Session, act: Act, party: PartyRow, superior: str, grounds: str) -> DecisionRow:
    """Name another superior of a unit; lists of silent units that have not left yet go to the new one.

    Raises:
        UnknownParty: the superior takes no part.
        NotPossible: it is that already, or would stand above itself.
        ValueError: there are no grounds.

    """
    said = grounds_of(grounds, f"{party.code} has another superior")
    above = find_party(session, party.campaign_id, superior)
    if above.id == party.superior_id:
        raise NotPossible("standing", f"{superior} is the superior of {party.code} already")
    upward: PartyRow | None = above
    while upward is not None:
        if upward.id == party.id:
            raise NotPossible("standing", f"{superior} stands below {party.code}; name another superior")
        upward = session.get(PartyRow, upward.superior_id) if upward.superior_id is not None else None
    before = str(party.superior_id) if party.superior_id is not None else None
    return decide(
        session,
        act,
        party.campaign_id,
        SUPERIOR_CHANGED,
        said,
        party_id=party.id,
        after={"superior": above.code},
        changes=[Change(Changed.SUPERIOR, before, str(above.id), party.id)],
    )
