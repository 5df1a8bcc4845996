"""What is known of a campaign, as the values that rules take. One query a table, never one a unit."""

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, String, case, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from ledger.requests import EXTENSION, REFUSED
from ledger.tables import (
    Changed,
    ChangeRow,
    ContactRow,
    DecisionRow,
    DeliverableRow,
    DraftRow,
    ItemRow,
    MessageRow,
    ObligationRow,
    PartyRow,
    RequestRow,
    SubmissionRow,
)
from ledger.tables.base import table_of
from rules.notices import Said
from rules.obligations import RANK, Obligation, SubmissionState, Version

# Tables rather than models where thousands of rows are read: a row costs half as much.
_obligations, _submissions = table_of(ObligationRow), table_of(SubmissionRow)
_parties, _deliverables = table_of(PartyRow), table_of(DeliverableRow)
_messages, _items = table_of(MessageRow), table_of(ItemRow)
_drafts = table_of(DraftRow)

RETURNED_BY_STAFF, EXTENDED, REOPENED = "returned", "extended", "reopened"  # decisions that move a due instant
MOVES_DUE = (RETURNED_BY_STAFF, EXTENDED, REOPENED)
JUDGES = ("accepted", "submitted")  # others, that give a version another state


def load_obligations(
    session: Session,
    campaign_id: int,
    *,
    known_at: datetime | None = None,
    party_ids: Collection[int] | None = None,
    named_in: Collection[int] = (),
) -> list[Obligation]:
    """Return the campaign's obligations with the versions handed in.

    ``known_at`` leaves out what was made or handed in for a later moment, so that a past decision can be replayed.
    ``party_ids`` limits them to those of some parties, and of those that the messages ``named_in`` speak of.
    """
    wanted = _obligations.c.campaign_id == campaign_id
    if party_ids is not None:  # parties are of one campaign; to name it too would have it read as a whole
        of_party = _obligations.c.party_id.in_(party_ids)
        named = select(ItemRow.obligation_id).where(ItemRow.message_id.in_(named_in))
        wanted = or_(of_party, _obligations.c.id.in_(named)) if named_in else of_party
    moved, states = _decided(session, campaign_id, known_at)
    then = _values_then(session, campaign_id, known_at) if known_at is not None else Then()
    versions = _versions(session, wanted, known_at, states)
    query = (
        select(
            _obligations.c.id,
            _obligations.c.party_id,
            _parties.c.superior_id,
            _parties.c.department_id,
            _parties.c.category,
            _deliverables.c.key,
            _obligations.c.occurrence,
            _obligations.c.due_at,
            _obligations.c.chase_from,
            _obligations.c.exempt_at,
            _parties.c.left_at,
        )
        .select_from(_obligations)
        .join(_parties, _parties.c.id == _obligations.c.party_id)
        .join(_deliverables, _deliverables.c.id == _obligations.c.deliverable_id)
        .where(wanted)
        .order_by(_obligations.c.id)
    )
    if known_at is not None:
        query = query.where(_obligations.c.as_of <= known_at)
    return [
        Obligation(
            id_,
            party_id,
            then.superior(party_id, superior_id),
            category,
            deliverable,
            occurrence,
            *moved.get(id_, UNMOVED).at_that_time(due, chase_from),
            versions.get(id_, ()),
            then.exempt(id_, exempt_at) is not None,
            then.left(party_id, left_at),
            moved.get(id_, UNMOVED).first_due,
            department_id,
        )
        for (
            id_, party_id, superior_id, department_id, category, deliverable, occurrence,
            due, chase_from, exempt_at, left_at,
        ) in session.connection().execute(query).all()
    ]  # fmt: skip


def count_obligations(session: Session, campaign_id: int) -> int:
    """Return how many obligations a campaign has."""
    query = select(func.count()).select_from(_obligations).where(_obligations.c.campaign_id == campaign_id)
    return session.scalars(query).one()


@dataclass(kw_only=True)
class _Moved:
    """How decisions moved a due instant: what it was at a past moment, and by what lateness is judged."""

    first_due: datetime | None = None
    then: tuple[datetime | None, datetime] | None = None
    by: int = 0  # the decision before which it was so

    def was(self, decision_id: int, due: datetime | None, chase_from: datetime) -> None:
        """Note what it was before a later decision; the first of them tells."""
        if self.then is None or decision_id < self.by:
            self.then, self.by = (due, chase_from), decision_id

    def at_that_time(self, due: datetime | None, chase_from: datetime) -> tuple[datetime | None, datetime]:
        """Return the due instant and the begin of chasing as they were known."""
        return self.then or (due, chase_from)


UNMOVED = _Moved()


def _decided(session: Session, campaign_id: int, known_at: datetime | None) -> tuple[dict[int, _Moved], dict[int, str]]:
    """Return what decisions did to due instants, by obligation, and the states that versions had at a past moment.

    Few due instants are moved, and they are read together; judgements are asked for only where a past is replayed.
    """
    kinds = MOVES_DUE if known_at is None else (*MOVES_DUE, *JUDGES)
    query = (
        select(DecisionRow.id, DecisionRow.obligation_id, DecisionRow.kind, DecisionRow.as_of, DecisionRow.before)
        .where(DecisionRow.campaign_id == campaign_id, DecisionRow.kind.in_(kinds))
        .order_by(DecisionRow.id)
    )
    moved: dict[int, _Moved] = {}
    states: dict[int, str] = {}
    for decision_id, obligation_id, kind, as_of, before in session.execute(query):
        if known_at is not None and as_of > known_at:
            states = {int(id_): state for id_, state in before.get("states", {}).items()} | states
        if obligation_id is None or "due" not in before:
            continue
        due = datetime.fromisoformat(before["due"]) if before["due"] else None
        of_it = moved.setdefault(obligation_id, _Moved())
        if known_at is not None and as_of > known_at:
            of_it.was(decision_id, due, datetime.fromisoformat(before["chase_from"]))
        elif kind == RETURNED_BY_STAFF and of_it.first_due is None:
            of_it.first_due = due
    if known_at is not None:
        for obligation_id, (decision_id, due, chase_from) in _dues_then(session, campaign_id, known_at).items():
            moved.setdefault(obligation_id, _Moved()).was(decision_id, due, chase_from)
    return moved, states


def _changed_since(session: Session, campaign_id: int, known_at: datetime, *fields: Changed) -> Iterator[ChangeRow]:
    """Yield what decisions changed after a moment, in order."""
    query = (
        select(ChangeRow)
        .join(DecisionRow, DecisionRow.id == ChangeRow.decision_id)
        .where(ChangeRow.campaign_id == campaign_id, ChangeRow.field.in_(fields), DecisionRow.as_of > known_at)
        .order_by(ChangeRow.id)
    )
    yield from session.scalars(query)


def _dues_then(
    session: Session, campaign_id: int, known_at: datetime
) -> dict[int, tuple[int, datetime | None, datetime]]:
    """Return the due instants and begins of chasing that decisions changed after a moment, as they were then."""
    dues: dict[int, tuple[int, datetime | None]] = {}
    then: dict[int, tuple[int, datetime | None, datetime]] = {}
    for row in _changed_since(session, campaign_id, known_at, Changed.DUE, Changed.CHASE_FROM):
        if row.obligation_id is None:
            continue
        moment = datetime.fromisoformat(row.before) if row.before else None
        if row.field == Changed.DUE:
            dues.setdefault(row.obligation_id, (row.decision_id, moment))
        elif row.obligation_id in dues and moment is not None:  # written right after its due instant
            then.setdefault(row.obligation_id, (*dues[row.obligation_id], moment))
    return then


@dataclass(kw_only=True)
class Then:
    """What decisions after a moment changed, as it was at that moment; what none of them touched is as it is now."""

    exempted: Mapping[int, datetime | None] = field(default_factory=dict)
    gone: Mapping[int, datetime | None] = field(default_factory=dict)
    above: Mapping[int, int | None] = field(default_factory=dict)

    def exempt(self, obligation_id: int, now: datetime | None) -> datetime | None:
        """Return since when an obligation was exempt."""
        return self.exempted.get(obligation_id, now)

    def left(self, party_id: int, now: datetime | None) -> datetime | None:
        """Return since when a unit had left."""
        return self.gone.get(party_id, now)

    def superior(self, party_id: int, now: int | None) -> int | None:
        """Return the superior of a unit."""
        return self.above.get(party_id, now)


def _values_then(session: Session, campaign_id: int, known_at: datetime) -> Then:
    exempted: dict[int, datetime | None] = {}
    gone: dict[int, datetime | None] = {}
    above: dict[int, int | None] = {}
    for row in _changed_since(session, campaign_id, known_at, Changed.EXEMPT, Changed.LEFT, Changed.SUPERIOR):
        if row.obligation_id is not None:
            exempted.setdefault(row.obligation_id, _moment(row.before))
        elif row.party_id is not None and row.field == Changed.LEFT:
            gone.setdefault(row.party_id, _moment(row.before))
        elif row.party_id is not None:
            above.setdefault(row.party_id, int(row.before) if row.before else None)
    return Then(exempted=exempted, gone=gone, above=above)


def _moment(kept: str | None) -> datetime | None:
    return datetime.fromisoformat(kept) if kept else None


def _versions(
    session: Session, wanted: ColumnElement[bool], known_at: datetime | None, states: Mapping[int, str]
) -> dict[int, tuple[Version, ...]]:
    """Return the versions by obligation; ``states`` are those that some had at the moment that is replayed."""
    query = (
        select(
            _submissions.c.id,
            _submissions.c.obligation_id,
            _submissions.c.version,
            _submissions.c.received_at,
            _submissions.c.state,
            _submissions.c.as_of,
        )
        .select_from(_submissions)
        .join(_obligations, _obligations.c.id == _submissions.c.obligation_id)
        .where(wanted)
    )
    if known_at is not None:
        query = query.where(_submissions.c.received_at <= known_at, _submissions.c.as_of <= known_at)
    found: dict[int, tuple[Version, ...]] = {}
    for id_, obligation_id, number, received_at, state, as_of in session.connection().execute(query).all():
        version = Version(
            number=number, received_at=received_at, state=SubmissionState(states.get(id_, state)), taken_in_at=as_of
        )
        found[obligation_id] = (*found.get(obligation_id, ()), version)
    return found


def times_moved(session: Session, obligation_ids: Collection[int]) -> dict[int, int]:
    """Return how many decisions moved the due instant of each obligation that was moved."""
    movers: dict[int, set[int]] = {}
    judged = select(DecisionRow.id, DecisionRow.obligation_id, DecisionRow.before, DecisionRow.after)
    for id_, obligation_id, before, after in session.execute(
        judged.where(DecisionRow.obligation_id.in_(obligation_ids))
    ):
        if obligation_id is not None and "due" in after and before.get("due") != after["due"]:
            movers.setdefault(obligation_id, set()).add(id_)
    changed = select(ChangeRow.decision_id, ChangeRow.obligation_id).where(
        ChangeRow.obligation_id.in_(obligation_ids),
        ChangeRow.field == Changed.DUE,
        ChangeRow.before.is_distinct_from(ChangeRow.after),
    )
    for id_, obligation_id in session.execute(changed):
        if obligation_id is not None:
            movers.setdefault(obligation_id, set()).add(id_)
    return {obligation_id: len(decisions) for obligation_id, decisions in movers.items()}


_RANK = {state.value: rank for state, rank in RANK.items()}
NAMED, DEAD, UNNAMED = "n", "d", "-"  # what a message says of an obligation: names it, names it in vain, or not


def look_alike(session: Session, message_ids: Collection[int]) -> dict[int, str]:
    """Return for each message a key of what its party owes, how each thing stands, and which it names.

    Messages of one notice with the same key say the same, but for names. A key with :data:`DEAD` in it names
    something that is no longer owed, or under another due instant.
    """
    standing = (
        select(func.max(case(_RANK, value=_submissions.c.state)))
        .where(_submissions.c.obligation_id == _obligations.c.id)
        .scalar_subquery()
    )
    handed_in = func.coalesce(standing, -1)
    owed = _obligations.c.exempt_at.is_(None) & _parties.c.left_at.is_(None) & (handed_in < 1)
    same_due = func.coalesce(_obligations.c.due_at == _items.c.due_at, _obligations.c.due_at.is_(None))
    named = case((_items.c.id.is_(None), UNNAMED), (owed & same_due, NAMED), else_=DEAD)
    has_draft = select(_drafts.c.id).where(_drafts.c.obligation_id == _obligations.c.id).exists()
    last_asked = (
        select(func.max(RequestRow.id)).where(RequestRow.obligation_id.is_not(None), RequestRow.kind == EXTENSION)
    ).group_by(RequestRow.obligation_id)
    was_refused = _obligations.c.id.in_(
        select(RequestRow.obligation_id)
        .join(DecisionRow, DecisionRow.id == RequestRow.decision_id)
        .where(RequestRow.id.in_(last_asked), DecisionRow.kind == REFUSED)
    )
    facts = (
        case((has_draft, "w"), else_=""),
        case((was_refused, "r"), else_=""),
        cast(_obligations.c.deliverable_id, String),
        _obligations.c.occurrence,
        func.coalesce(cast(_obligations.c.due_at, String), ""),
        case((_obligations.c.exempt_at.is_(None), ""), else_="x"),
        func.coalesce(cast(_parties.c.left_at, String), ""),
        cast(handed_in, String),
        named,
    )
    line = functools.reduce(lambda so_far, fact: so_far.concat("|").concat(fact), facts)
    query = (
        select(_messages.c.id, func.aggregate_strings(line, ";"))
        .select_from(_messages)
        .join(_parties, _parties.c.id == _messages.c.party_id)
        .join(_obligations, _obligations.c.party_id == _messages.c.party_id)
        .join(
            _items,
            (_items.c.message_id == _messages.c.id) & (_items.c.obligation_id == _obligations.c.id) & ~_items.c.gone,
            isouter=True,
        )
        .where(_messages.c.id.in_(message_ids))
        .group_by(_messages.c.id)
    )
    return {row[0]: row[1] for row in session.connection().execute(query).all()}


def load_said(session: Session, campaign_id: int, *, known_at: datetime | None = None) -> Iterator[Said]:
    """Yield every item that stands, with the moment its message was sent (or planned, while it waits).

    Refused and bounced ones stand too: the next contact is written to under the same rung, by repair.
    """
    query = (
        select(
            ItemRow.obligation_id,
            ItemRow.rung,
            ItemRow.due_at,
            func.coalesce(MessageRow.sent_as_of, MessageRow.as_of),
        )
        .join(MessageRow, MessageRow.id == ItemRow.message_id)
        .where(MessageRow.campaign_id == campaign_id, ~ItemRow.gone)
    )
    if known_at is not None:
        query = query.where(MessageRow.as_of < known_at)  # what that very moment said is what a replay asks for
    for obligation_id, rung, due, at in session.execute(query):
        yield Said(obligation_id=obligation_id, rung=rung, due=due, at=at)


def mailed_on(session: Session, campaign_id: int, occasion_like: str) -> set[tuple[int, str]]:
    """Return the (party, occasion) pairs of messages that stand, for occasions matching an SQL pattern."""
    query = select(MessageRow.party_id, MessageRow.occasion).where(
        MessageRow.campaign_id == campaign_id,
        MessageRow.occasion.like(occasion_like),
        MessageRow.state.not_in(("superseded", "expired")),
    )
    return {(party, occasion) for party, occasion in session.execute(query)}


def notices_on(session: Session, campaign_id: int, occasion_like: str) -> set[tuple[int, str]]:
    """Return the (party, notice) pairs of messages that stand, for occasions matching an SQL pattern."""
    query = select(MessageRow.party_id, MessageRow.notice).where(
        MessageRow.campaign_id == campaign_id,
        MessageRow.occasion.like(occasion_like),
        MessageRow.state.not_in(("superseded", "expired")),
    )
    return {(party, notice) for party, notice in session.execute(query)}


def mails_by_occasion(session: Session, campaign_id: int) -> dict[str, int]:
    """Return how many messages were planned on each occasion, expired and superseded ones left out."""
    query = (
        select(MessageRow.occasion, func.count())
        .where(MessageRow.campaign_id == campaign_id, MessageRow.state.not_in(("superseded", "expired")))
        .group_by(MessageRow.occasion)
    )
    return {row[0]: row[1] for row in session.execute(query)}


class Party(NamedTuple):
    """A party, as those read it who only name it."""

    id: int
    code: str
    name: str
    kind: str
    category: str
    superior_id: int | None
    left_at: datetime | None
    link_epoch: int = 0


class Address(NamedTuple):
    """A contact, as those read it who write to it."""

    id: int
    party_id: int
    role: str
    rank: int
    name: str
    address: str
    phone: str
    bad_since: datetime | None
    bad_reason: str
    soft_bounces: int
    soft_reason: str


def party_names(session: Session, campaign_id: int, ids: Collection[int] | None = None) -> dict[int, Party]:
    """Return the campaign's parties by id; only some if named."""
    query = select(*(_parties.c[name] for name in Party._fields))
    query = query.where(_parties.c.campaign_id == campaign_id if ids is None else _parties.c.id.in_(ids))
    return {row[0]: Party._make(row) for row in session.connection().execute(query).all()}


def contacts_by_party(session: Session, party_ids: Collection[int]) -> dict[int, list[Address]]:
    """Return the contacts of several parties, bad ones included, each party's in the order of the roster."""
    contacts = table_of(ContactRow)
    query = select(*(contacts.c[name] for name in Address._fields)).where(contacts.c.party_id.in_(party_ids))
    query = query.order_by(contacts.c.rank, contacts.c.id)
    found: dict[int, list[Address]] = {id_: [] for id_ in party_ids}
    for row in session.connection().execute(query).all():
        found[row[1]].append(Address._make(row))
    return found


def told_of_launch(session: Session, campaign_id: int) -> set[int]:
    """Return the units that were told of the launch: a live item that was neither refused nor bounced."""
    message, item = aliased(MessageRow), aliased(ItemRow)
    query = (
        select(item.party_id)
        .join(message, message.id == item.message_id)
        .where(
            message.campaign_id == campaign_id,
            item.rung == "launch",
            ~item.gone,
            message.state.in_(("sent", "ambiguous")),
        )
        .distinct()
    )
    return set(session.scalars(query))
