"""Verbs on messages: plan, claim, mark. A message is claimed, then sent, then marked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.tables import UNTOLD, AttemptRow, ItemRow, MailClass, MessageRow, MessageState
from rules.notices import ItemDue

LEASE = timedelta(minutes=15)
FIRST_RETRY = timedelta(minutes=6)  # greylisting opens after five
CLASS_OF = {
    "launch": MailClass.BULK,
    "closing": MailClass.BULK,
    "reminder": MailClass.CHASE,
    "escalation": MailClass.CHASE,
    "escalation_digest": MailClass.CHASE,
}
# Smaller goes first: an escalation before a reminder, so that the daily cap never eats a rung of the ladder.
PRIORITY_OF = {"receipt": 10, "returned": 10, "summary": 20, "escalation": 30, "escalation_digest": 30, "reminder": 40}
BULK_PRIORITY = 50
WAITING = (MessageState.PLANNED, MessageState.DEFERRED)


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """A message to be planned."""

    party_id: int
    notice: str
    occasion: str
    items: tuple[ItemDue, ...] = ()
    expires: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    generation: int = 0
    caused_by: int | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one attempt."""

    message_id: int
    state: MessageState
    code: int | None = None
    text: str = ""


def plan_messages(
    session: Session, act: Act, campaign_id: int, domain: str, messages: Iterable[NewMessage]
) -> list[MessageRow]:
    """Plan messages in the caller's transaction, which also holds their reason. One audit entry for all."""
    news = list(messages)
    rows = [
        MessageRow(
            campaign_id=campaign_id,
            party_id=new.party_id,
            notice=new.notice,
            occasion=new.occasion,
            generation=new.generation,
            caused_by=new.caused_by,
            mail_class=CLASS_OF.get(new.notice, MailClass.REPLY),
            priority=PRIORITY_OF.get(new.notice, BULK_PRIORITY),
            message_id=f"<{uuid4().hex}@{domain}>",
            expires_at=new.expires,
            detail=dict(new.detail),
            **written(act),
        )
        for new in news
    ]
    session.add_all(rows)
    session.flush()
    session.add_all(
        ItemRow(
            message_id=row.id,
            party_id=row.party_id,
            obligation_id=item.obligation_id,
            rung=item.rung,
            due_at=item.due,
            generation=row.generation,
            **written(act),
        )
        for row, new in zip(rows, news, strict=True)
        for item in new.items
    )
    session.flush()
    if rows:
        ids = [row.id for row in rows]
        detail = {"count": len(ids), "first": ids[0], "last": ids[-1], "occasions": sorted({r.occasion for r in rows})}
        audit.append(session, act, "messages.planned", detail, campaign_id=campaign_id)
    return rows


def waiting(session: Session, campaign_id: int, act: Act, *, after: int, limit: int) -> list[MessageRow]:
    """Return messages that wait to be sent, in order of priority, beyond ``after`` messages already looked at."""
    query = (
        select(MessageRow)
        .where(
            MessageRow.campaign_id == campaign_id,
            MessageRow.state.in_(WAITING),
            or_(MessageRow.not_before.is_(None), MessageRow.not_before <= act.as_of),
        )
        .order_by(MessageRow.priority, MessageRow.id)
        .offset(after)
        .limit(limit)
    )
    return list(session.scalars(query))


def items_of(session: Session, message_ids: Sequence[int]) -> dict[int, list[ItemRow]]:
    """Return the items that stand of several messages, by message."""
    found: dict[int, list[ItemRow]] = {id_: [] for id_ in message_ids}
    query = select(ItemRow).where(ItemRow.message_id.in_(message_ids), ~ItemRow.gone).order_by(ItemRow.id)
    for item in session.scalars(query):
        found[item.message_id].append(item)
    return found


def drop_items(items: Iterable[ItemRow]) -> None:
    """Take items out of a message: there is nothing left to say of them."""
    for item in items:
        item.gone = True


def retire(session: Session, act: Act, message: MessageRow, state: MessageState, reason: str) -> None:
    """End a message unsent: superseded, expired, or refused because there is nobody to write to."""
    if state is not MessageState.REFUSED:
        session.execute(update(ItemRow).where(ItemRow.message_id == message.id).values(gone=True))
    message.reason = reason
    _attempts(session, act, [Result(message_id=message.id, state=state, text=reason)])


def claim(act: Act, message: MessageRow, claimed_by: str) -> None:
    """Take a message before it is sent; the lease says until when nobody else may judge its fate."""
    message.state = MessageState.CLAIMED
    message.claimed_by = claimed_by
    message.lease_until = act.wall + LEASE


def abandoned(session: Session, act: Act, campaign_id: int) -> list[int]:
    """Return the messages whose sender vanished with them: they may have left, so nobody may guess."""
    query = select(MessageRow.id).where(
        MessageRow.campaign_id == campaign_id,
        MessageRow.state == MessageState.CLAIMED,
        MessageRow.lease_until < act.wall,
    )
    return list(session.scalars(query))


def mark(session: Session, act: Act, results: Sequence[Result]) -> None:
    """Record what came of attempts, as a group that one audit entry vouches for."""
    if results:
        _attempts(session, act, results)


def _attempts(session: Session, act: Act, results: Sequence[Result]) -> None:
    batch = uuid4().hex
    ids = [r.message_id for r in results]
    messages = {m.id: m for m in session.scalars(select(MessageRow).where(MessageRow.id.in_(ids)))}
    rows = []
    for result in results:
        message = messages[result.message_id]
        message.state = result.state
        message.lease_until = None
        if result.state in (MessageState.SENT, MessageState.AMBIGUOUS):
            message.sent_as_of = act.as_of
        elif result.state is MessageState.DEFERRED:
            message.not_before = act.as_of + FIRST_RETRY
        rows.append(
            AttemptRow(
                message_id=message.id,
                batch=batch,
                state=result.state,
                address=message.address,
                smtp_code=result.code,
                smtp_text=result.text[:1000],
                **written(act),
            )
        )
    session.add_all(rows)
    session.flush()
    detail = {"batch": batch, "count": len(rows), "digest": audit.attempts_digest(rows)}
    audit.append(session, act, audit.ATTEMPTED, detail, campaign_id=messages[ids[0]].campaign_id)


def chased_between(session: Session, addresses: Sequence[str], start: datetime, end: datetime) -> dict[str, int]:
    """Return how many chase mails each address got, over all campaigns, in an interval of as_of."""
    query = (
        select(MessageRow.address, func.count())
        .where(
            MessageRow.address.in_(addresses),
            MessageRow.mail_class == MailClass.CHASE,
            MessageRow.state.not_in(UNTOLD),
            MessageRow.sent_as_of >= start,
            MessageRow.sent_as_of < end,
        )
        .group_by(MessageRow.address)
    )
    return {address: count for address, count in session.execute(query) if address is not None}


def without_successor(session: Session, campaign_id: int) -> list[MessageRow]:
    """Return refused and bounced messages that no later generation has taken up."""
    later = select(MessageRow.caused_by).where(MessageRow.caused_by.is_not(None))
    query = select(MessageRow).where(
        MessageRow.campaign_id == campaign_id,
        MessageRow.state.in_((MessageState.REFUSED, MessageState.BOUNCED)),
        MessageRow.address.is_not(None),
        MessageRow.id.not_in(later),
    )
    return list(session.scalars(query))
