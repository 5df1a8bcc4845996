"""Verbs on messages: plan, claim, mark, record, settle. A message is claimed, then sent, then recorded.

Reading is by plain rows and writing by the set: a launch of thousands of mails goes through here.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import bindparam, func, insert, literal_column, or_, select, text, tuple_, update
from sqlalchemy.orm import Session

from ledger import audit, senders
from ledger.acts import Act
from ledger.bulk import Bulk, Step, run_together
from ledger.campaigns import written
from ledger.errors import TakenOver, UnknownMessage
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.tables import GONE, UNTOLD, AttemptRow, ItemRow, MailClass, MessageRow, MessageState
from ledger.tables.base import table_of
from ledger.tables.messages import ASTRAY, CAUSED, CHASES, IS_CLAIMED, WAITS
from rules.notices import ItemDue

CLASS_OF = {
    "launch": MailClass.BULK,
    "closing": MailClass.BULK,
    "circulation": MailClass.BULK,
    "correction": MailClass.BULK,
    "announcement": MailClass.BULK,
    "reminder": MailClass.CHASE,
    "reminder_responsible": MailClass.CHASE,
    "escalation_bulletin": MailClass.BULK,
    "escalation": MailClass.CHASE,
    "escalation_digest": MailClass.CHASE,
    "supervision_order": MailClass.CHASE,
}
# Smaller goes first: an escalation before a reminder, so that the daily cap never eats a rung of the ladder.
PRIORITY_OF = {
    "alert": 5,
    "receipt": 10,
    "returned": 10,
    "granted": 10,
    "refused": 10,
    "contact_changed": 10,
    "answer": 10,
    "decided": 10,
    "acknowledged": 12,
    "summary": 20,
    "digest": 20,
    "supervision_order": 28,
    "escalation": 30,
    "escalation_digest": 30,
    "reminder_responsible": 38,
    "reminder": 40,
    "correction": 45,
}
BULK_PRIORITY = 50
Place = tuple[int, int]  # where a message stands in the queue: priority, id
HEAD: Place = (-1, -1)
ONCE_MORE = "a receipt may be tried once more without asking"

_messages = table_of(MessageRow)
_items = table_of(ItemRow)
_attempts = table_of(AttemptRow)
OPEN_TO_ITS_SENDER = text("state IN ('claimed', 'ambiguous')")
_COMPOSED = ("contact_id", "address", "lane", "subject", "dated_at", "raw_sha256", "skeleton_sha256", "fields")
_CLAIM = Bulk(
    update(_messages)
    .where(_messages.c.id == bindparam("b_id"), text(WAITS))
    .values(
        state=literal_column("'claimed'"),
        claimed_by=bindparam("b_sender"),
        **{name: bindparam(f"b_{name}") for name in _COMPOSED},
    ),
    (*(f"b_{name}" for name in _COMPOSED), "b_sender", "b_id"),
)
_record = (
    update(_messages)
    .where(_messages.c.id == bindparam("b_id"))
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        not_before=bindparam("b_not_before"),
        sent_as_of=func.coalesce(bindparam("b_sent", type_=_messages.c.sent_as_of.type), _messages.c.sent_as_of),
        tries=_messages.c.tries + bindparam("b_tries"),
    )
)
_RECORDED = ("b_state", "b_reason", "b_not_before", "b_sent", "b_tries", "b_id")
_RECORD = Bulk(_record, _RECORDED)
_RECORD_OWN = Bulk(
    _record.where(_messages.c.claimed_by == bindparam("b_sender"), OPEN_TO_ITS_SENDER), (*_RECORDED, "b_sender")
)
_APPEND = Bulk(insert(_attempts).inline(), ("batch", *audit.ATTEMPT_COLUMNS))


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


class Waiting(NamedTuple):
    """A message in the queue, as the claim reads it."""

    id: int
    party_id: int
    notice: str
    occasion: str
    generation: int
    mail_class: str
    priority: int
    message_id: str
    state: str
    expires_at: datetime | None
    detail: dict[str, Any]
    contact_id: int | None
    address: str | None
    subject: str | None
    dated_at: datetime | None
    raw_sha256: str | None
    skeleton_sha256: str | None
    fields: dict[str, Any] | None
    tries: int

    @property
    def place(self) -> Place:
        """Where it stands in the queue."""
        return self.priority, self.id


class Item(NamedTuple):
    """What a message says of one obligation."""

    id: int
    message_id: int
    obligation_id: int
    rung: str
    due_at: datetime | None


class Claim(NamedTuple):
    """A message addressed, composed and dated: what the claim puts on record of it, in the order of its columns."""

    message_id: int
    contact_id: int
    address: str
    lane: str
    subject: str
    dated_at: datetime
    raw_sha256: str
    skeleton_sha256: str
    fields: Mapping[str, Any]


class Result(NamedTuple):
    """A change of a message's state: by the relay's answer, by a rule, or by staff."""

    message_id: int
    state: MessageState
    code: int | None = None
    text: str = ""
    address: str | None = None
    lane: str | None = None
    again_at: datetime | None = None  # of a deferred one
    tried: bool = False  # the relay was spoken to


def class_of(notice: str) -> MailClass:
    """Return the class of a notice's mails."""
    return CLASS_OF.get(notice, MailClass.REPLY)


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
            mail_class=class_of(new.notice),
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
        told = {"count": len(ids), "notices": dict(Counter(row.notice for row in rows))}
        note(session, act, EventKind.PLANNED, told, campaign_id)
    return rows


def waiting(
    session: Session, campaign_id: int, act: Act, *, after: Place, limit: int, only_lanes: Collection[str] = ()
) -> list[Waiting]:
    """Return messages that wait to be sent, in order, beyond a place; only of some lanes (and of none), if named."""
    columns = [_messages.c[name] for name in Waiting._fields]
    query = (
        select(*columns)
        .where(
            _messages.c.campaign_id == campaign_id,
            text(WAITS),  # to the letter, for the sake of the partial index
            tuple_(_messages.c.priority, _messages.c.id) > tuple_(*after),
            or_(_messages.c.not_before.is_(None), _messages.c.not_before <= act.as_of),
        )
        .order_by(_messages.c.priority, _messages.c.id)
        .limit(limit)
    )
    if only_lanes:
        query = query.where(or_(_messages.c.lane.in_(sorted(only_lanes)), _messages.c.lane.is_(None)))
    return [Waiting._make(row) for row in session.connection().execute(query).all()]


def still_waiting(session: Session, message_ids: Collection[int]) -> frozenset[int]:
    """Return those of several messages that wait to be sent."""
    query = select(_messages.c.id).where(_messages.c.id.in_(message_ids), text(WAITS))
    return frozenset(session.scalars(query))


def count_waiting(session: Session, campaign_id: int, *, by: datetime | None = None) -> int:
    """Return how many messages wait to be sent; with ``by``, of those whose time has come at that moment."""
    query = select(func.count()).select_from(_messages).where(_messages.c.campaign_id == campaign_id, text(WAITS))
    if by is not None:
        query = query.where(or_(_messages.c.not_before.is_(None), _messages.c.not_before <= by))
    return session.scalars(query).one()


def items_of(session: Session, message_ids: Collection[int], *, dropped_too: bool = False) -> dict[int, list[Item]]:
    """Return the items that stand of several messages, by message; with ``dropped_too`` all that they ever had."""
    found: dict[int, list[Item]] = {id_: [] for id_ in message_ids}
    query = (
        select(*(_items.c[name] for name in Item._fields))
        .where(_items.c.message_id.in_(message_ids))
        .order_by(_items.c.id)
    )
    if not dropped_too:
        query = query.where(~_items.c.gone)
    for row in session.connection().execute(query).all():
        found[row[1]].append(Item._make(row))
    return found


def drop_items(session: Session, items: Iterable[Item]) -> None:
    """Take items out of their messages: there is nothing left to say of them."""
    ids = [item.id for item in items]
    if ids:
        session.execute(update(ItemRow).where(ItemRow.id.in_(ids)).values(gone=True))


def note_lane(session: Session, lane_of: Mapping[int, str]) -> None:
    """Note the lane of messages that have to wait for it, so that the next look can pass them over."""
    if lane_of:
        rows = [{"b_id": id_, "b_lane": lane} for id_, lane in lane_of.items()]
        session.connection().execute(
            update(_messages).where(_messages.c.id == bindparam("b_id")).values(lane=bindparam("b_lane")), rows
        )


def claim(session: Session, act: Act, campaign_id: int, sender: str, claims: Sequence[Claim]) -> None:
    """Take messages before they are sent. The sender's lease says until when nobody else may judge their fate."""
    if not claims:
        return
    results = [
        Result(message_id=c.message_id, state=MessageState.CLAIMED, address=c.address, lane=c.lane) for c in claims
    ]
    taking = (_CLAIM, [(*claim[1:], sender, claim.message_id) for claim in claims])
    taken, *_ = run_together(session, [taking, *_vouched(session, act, campaign_id, results)])
    if taken != len(claims):  # the caller looked under a lock; somebody wrote past it
        raise UnknownMessage(
            f"{len(claims) - taken} of {len(claims)} messages to be claimed wait no longer; claim again"
        )


def still_with(session: Session, sender: str, message_ids: Collection[int]) -> frozenset[int]:
    """Return which messages a sender still has, and lock them until the transaction ends.

    Ambiguous ones count: their sender, if it lives after all, knows what came of them.
    """
    query = select(_messages.c.id).where(
        _messages.c.id.in_(message_ids), _messages.c.claimed_by == sender, OPEN_TO_ITS_SENDER
    )
    return frozenset(session.scalars(query.with_for_update()))


def record(session: Session, act: Act, campaign_id: int, results: Sequence[Result]) -> None:
    """Record what came of messages, as a group that one audit entry vouches for."""
    if results:
        run_together(session, [(_RECORD, _recorded(act, results)), *_vouched(session, act, campaign_id, results)])


def commit_group(
    session: Session, act: Act, campaign_id: int, sender: str, *, at_data: Collection[int], results: Sequence[Result]
) -> bool:
    """Put on record which messages a sender has at DATA from now on, and what came of others.

    Return False if the sender was struck off: it may send nothing more of what it had.

    Raises:
        TakenOver: some of the results are of messages that the sender no longer has; nothing may be committed.

    """
    marking = senders.marking(sender, at_data, act.wall)
    if not results:
        return run_together(session, [marking]) == [1]
    own = (_RECORD_OWN, [(*row, sender) for row in _recorded(act, results)])
    stands, ours, *_ = run_together(session, [marking, own, *_vouched(session, act, campaign_id, results)])
    if ours != len(results):
        raise TakenOver("some of these messages were taken over by others; ask which with still_with")
    return stands == 1


def _recorded(act: Act, results: Sequence[Result]) -> list[tuple[Any, ...]]:
    told = (MessageState.SENT, MessageState.AMBIGUOUS)
    return [
        (
            r.state,
            "" if r.state is MessageState.SENT else r.text[:300],
            r.again_at,
            act.as_of if r.state in told else None,
            int(r.tried),
            r.message_id,
        )
        for r in results
    ]


def retire(session: Session, act: Act, campaign_id: int, ended: Mapping[int, tuple[MessageState, str]]) -> None:
    """End messages unsent, each with state and reason.

    Superseded; expired; refused as there is no address; ambiguous if it may have left before.
    """
    gone = [id_ for id_, (state, _) in ended.items() if state in GONE]
    if gone:
        session.execute(update(ItemRow).where(ItemRow.message_id.in_(gone)).values(gone=True))
    results = [Result(message_id=id_, state=state, text=reason) for id_, (state, reason) in ended.items()]
    record(session, act, campaign_id, results)


def give_back(session: Session, act: Act, campaign_id: int, sender: str, message_ids: Collection[int], why: str) -> int:
    """Return claimed messages that have not reached DATA to the queue; return how many."""
    query = select(_messages.c.id, _messages.c.tries, _messages.c.not_before).where(
        _messages.c.id.in_(message_ids),
        _messages.c.claimed_by == sender,
        _messages.c.state == MessageState.CLAIMED,
    )
    begun = senders.at_data(session).get(sender, frozenset())
    results = [
        Result(message_id=id_, state=_before(tries), text=why, again_at=not_before)
        for id_, tries, not_before in session.execute(query.with_for_update())
        if id_ not in begun
    ]
    record(session, act, campaign_id, results)
    return len(results)


def _before(tries: int) -> MessageState:
    return MessageState.DEFERRED if tries else MessageState.PLANNED


def judge_abandoned(session: Session, act: Act, live: Collection[str]) -> dict[int, tuple[str, str]]:
    """Judge what senders had claimed that are no longer ``live``; return (state, notice) of each by message id.

    Not at DATA: it goes back to the queue. At DATA: it may have left, so it is ambiguous; and so is what a sender had
    of whom nothing is on record.
    """
    names = ("id", "campaign_id", "notice", "tries", "claimed_by", "address", "lane")
    query = select(*(_messages.c[name] for name in names)).where(
        text(IS_CLAIMED), _messages.c.claimed_by.not_in(list(live))
    )
    begun = senders.at_data(session)
    by_campaign: dict[int, list[Result]] = {}
    judged: dict[int, tuple[str, str]] = {}
    for id_, campaign_id, notice, tries, sender, address, lane in session.execute(query.with_for_update()):
        tried = sender not in begun or id_ in begun[sender]
        if tried:
            state, why = MessageState.AMBIGUOUS, "its sender vanished after DATA had begun; it may have left"
        else:
            state, why = _before(tries), "its sender vanished before DATA; it goes back to the queue"
        result = Result(message_id=id_, state=state, text=why, address=address, lane=lane, tried=tried)
        by_campaign.setdefault(campaign_id, []).append(result)
        judged[id_] = (state, notice)
    for campaign_id, results in by_campaign.items():
        record(session, act, campaign_id, results)
    return judged


def tries_of(session: Session, message_ids: Collection[int]) -> dict[int, int]:
    """Return how often messages were tried before."""
    if not message_ids:
        return {}
    query = select(_messages.c.id, _messages.c.tries).where(_messages.c.id.in_(message_ids))
    return {id_: tries for id_, tries in session.execute(query)}  # noqa: C416  rows, not pairs, for the type checker


def in_doubt(session: Session, message_ids: Collection[int]) -> frozenset[int]:
    """Return which messages were tried once more by rule after an attempt of which nobody could tell whether it left.

    Not those of which a person has said since that it did not.
    """
    query = select(_attempts.c.message_id, _attempts.c.state, _attempts.c.smtp_text).where(
        _attempts.c.message_id.in_(message_ids)
    )
    doubtful: set[int] = set()
    before: dict[int, str] = {}
    for id_, state, said in session.execute(query.order_by(_attempts.c.id)):
        if before.get(id_) == MessageState.AMBIGUOUS:
            (doubtful.add if said == ONCE_MORE else doubtful.discard)(id_)
        before[id_] = state
    return frozenset(doubtful)


def messages_in(session: Session, message_ids: Collection[int], state: MessageState) -> list[MessageRow]:
    """Return those of several messages that are in a state."""
    if not message_ids:
        return []
    query = select(MessageRow).where(MessageRow.id.in_(message_ids), MessageRow.state == state)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def find_message(session: Session, message_id: int) -> MessageRow:
    """Return a message.

    Raises:
        UnknownMessage: there is none of that number.

    """
    row = session.get(MessageRow, message_id)
    if row is None:
        raise UnknownMessage(f"there is no mail {message_id}; `muster mails` lists them")
    return row


def attempts_of(session: Session, message_id: int) -> list[AttemptRow]:
    """Return every change of a message's state, in order."""
    query = select(AttemptRow).where(AttemptRow.message_id == message_id).order_by(AttemptRow.id)
    return list(session.scalars(query))


def _vouched(session: Session, act: Act, campaign_id: int, results: Sequence[Result]) -> list[Step]:
    """Return the steps that append a group of attempts and the audit entry that vouches for them."""
    # Begins with the time, so that the index grows at its end.
    batch = f"{int(act.wall.timestamp() * 1e6):015x}{uuid4().hex[:17]}"
    rows = [
        (r.message_id, r.state, r.address, r.code, r.text[:1000], r.lane, act.flow_run_id, act.as_of, act.wall)
        for r in results
    ]
    detail = {"batch": batch, "count": len(rows), "digest": audit.attempts_digest(rows)}
    entry = audit.entry(session, act, audit.ATTEMPTED, detail, campaign_id=campaign_id)
    return [(_APPEND, [(batch, *row) for row in rows]), entry]


def chased_between(session: Session, addresses: Collection[str], start: datetime, end: datetime) -> dict[str, int]:
    """Return how many chase mails each address got or is about to get, over all campaigns, in an interval of as_of."""
    about_to_leave = MessageRow.state == MessageState.CLAIMED
    left = (MessageRow.sent_as_of >= start) & (MessageRow.sent_as_of < end)
    query = (
        select(MessageRow.address, func.count())
        .where(
            MessageRow.address.in_(addresses),
            text(CHASES),
            MessageRow.state.not_in((*UNTOLD, MessageState.HELD)),
            about_to_leave | left,
        )
        .group_by(MessageRow.address)
    )
    return {address: count for address, count in session.execute(query) if address is not None}


def without_successor(session: Session, campaign_id: int) -> list[MessageRow]:
    """Return refused and bounced messages that no later generation has taken up."""
    later = select(MessageRow.caused_by).where(text(CAUSED))
    query = select(MessageRow).where(
        MessageRow.campaign_id == campaign_id,
        MessageRow.state.in_((MessageState.REFUSED, MessageState.BOUNCED)),
        text(ASTRAY),  # to the letter, for the sake of the partial index
        MessageRow.id.not_in(later),
    )
    return list(session.scalars(query))


def ambiguous(session: Session, campaign_id: int | None = None) -> list[MessageRow]:
    """Return the messages of which nobody can tell whether they left, oldest first."""
    query = select(MessageRow).where(MessageRow.state == MessageState.AMBIGUOUS, text(ASTRAY)).order_by(MessageRow.id)
    if campaign_id is not None:
        query = query.where(MessageRow.campaign_id == campaign_id)
    return list(session.scalars(query))


def requeue_held(session: Session, act: Act, lane: str, grounds: str) -> int:
    """Return the messages that a lane's refusal holds to the queue, now that it is released; return how many."""
    query = (
        select(_messages.c.id, _messages.c.campaign_id, _messages.c.tries, _messages.c.address)
        .where(_messages.c.state == MessageState.HELD, _messages.c.lane == lane)
        .order_by(_messages.c.id)
    )
    by_campaign: dict[int, list[Result]] = {}
    for id_, campaign_id, tries, address in session.execute(query.with_for_update()):
        why = f"the lane {lane} was released: {grounds}"
        result = Result(message_id=id_, state=_before(tries), text=why, address=address, lane=lane)
        by_campaign.setdefault(campaign_id, []).append(result)
    for campaign_id, results in by_campaign.items():
        record(session, act, campaign_id, results)
    ids = [result.message_id for results in by_campaign.values() for result in results]
    # What was refused was not the message: it begins anew.
    session.execute(update(_messages).where(_messages.c.id.in_(ids)).values(tries=0))
    return len(ids)


def record_arrival(session: Session, act: Act, message: MessageRow, why: str) -> None:
    """Put on record that an ambiguous message did arrive: sent, at the moment at which it was tried."""
    tried_at = message.sent_as_of
    arrived = Result(
        message_id=message.id, state=MessageState.SENT, text=why, address=message.address, lane=message.lane
    )
    record(session, act, message.campaign_id, [arrived])
    session.execute(update(_messages).where(_messages.c.id == message.id).values(sent_as_of=tried_at))
