"""What is known of a campaign, as the values that rules take. One query a table, never one a unit."""

import functools
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, String, case, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from ledger.parts import in_parts
from ledger.replay import UNMOVED, Then, moved_by_decisions, values_then
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
    moved, states = moved_by_decisions(session, campaign_id, known_at)
    then = values_then(session, campaign_id, known_at) if known_at is not None else Then()
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


def who_left(session: Session, party_ids: Collection[int]) -> frozenset[int]:
    """Return those of some parties that have left."""
    query = select(_parties.c.id).where(_parties.c.id.in_(party_ids), _parties.c.left_at.is_not(None))
    return frozenset(session.scalars(query)) if party_ids else frozenset()


def count_obligations(session: Session, campaign_id: int) -> int:
    """Return how many obligations a campaign has."""
    query = select(func.count()).select_from(_obligations).where(_obligations.c.campaign_id == campaign_id)
    return session.scalars(query).one()


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
    query = select(*(contacts.c[name] for name in Address._fields)).order_by(contacts.c.rank, contacts.c.id)
    found: dict[int, list[Address]] = {id_: [] for id_ in party_ids}
    for some in in_parts(party_ids):
        for row in session.connection().execute(query.where(contacts.c.party_id.in_(some))).all():
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
