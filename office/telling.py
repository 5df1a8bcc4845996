"""Telling units what was decided: one mail a unit, on the occasion of the decision, naming what it is about."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import GONE, DecisionRow, MessageRow, ObligationRow
from office.premises import Premises
from rules.notices import ItemDue


def occasion_of(decision: DecisionRow) -> str:
    """Return the occasion of the mails that tell of a decision."""
    return f"decision:{decision.id}"


def tell(
    session: Session,
    premises: Premises,
    act: Act,
    notice: str,
    decision: DecisionRow,
    obligations: Iterable[ObligationRow] = (),
    *,
    parties: Collection[int] = (),
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Plan one mail to each unit that owes some obligations, and to ``parties`` besides; return how many."""
    occasion = occasion_of(decision)
    named: dict[int, list[ItemDue]] = defaultdict(list)
    for party_id in parties:
        named[party_id] = []
    for ob in obligations:
        named[ob.party_id].append(ItemDue(obligation_id=ob.id, rung=occasion, due=ob.due_at))
    news = [
        NewMessage(party_id=party_id, notice=notice, occasion=occasion, items=tuple(items), detail=detail or {})
        for party_id, items in named.items()
    ]
    return len(plan_messages(session, act, decision.campaign_id, premises.mail_domain, news))


def told_by(session: Session, decision: DecisionRow) -> set[int]:
    """Return the units that were told of a decision, or whose mail about it is on its way."""
    query = select(MessageRow.party_id).where(
        MessageRow.campaign_id == decision.campaign_id,
        MessageRow.occasion == occasion_of(decision),
        MessageRow.state.not_in(GONE),
    )
    return set(session.scalars(query))
