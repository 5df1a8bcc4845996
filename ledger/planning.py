"""Planning by the set: a rule names the few classes, SQL applies them to hundreds of thousands of obligations.

Every obligation of the campaign gets its verdict in one pass (into a temporary table): due to be said, or why not.
Mails, items and the counts of the tally are then read off that table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import deliverable_ids, written
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.outbox import BULK_PRIORITY, PRIORITY_OF, class_of
from ledger.tables import ItemRow, MessageRow, MessageState, ObligationRow, PartyRow, SubmissionRow
from ledger.tables.base import Instant, table_of
from rules.notices import REMINDER_OF, ReminderClass, Skip
from rules.obligations import SubmissionState
from rules.said import COMMON
from rules.timetable import Reader

LAUNCH = "launch"
NAMED = 20  # obligations told of each reason that is not common
STANDS = "state NOT IN ('superseded', 'expired')"  # to the letter as in the partial unique index

_temporary = MetaData()
_classes = Table(
    "due_classes",
    _temporary,
    Column("deliverable_id", Integer),
    Column("due_at", Instant),
    Column("rung", String(64)),
    Column("moment", Instant),
    Column("expires_at", Instant),
    Column("skip", String(32)),
    Column("spares_after", Instant),
    Column("spares_before", Instant),
    prefixes=["TEMPORARY"],
)
_verdicts = Table(
    "due_items",
    _temporary,
    Column("obligation_id", Integer),
    Column("party_id", Integer),
    Column("rung", String(64)),
    Column("due_at", Instant),
    Column("expires_at", Instant),
    Column("skip", String(32)),
    prefixes=["TEMPORARY"],
)
_mails = Table(
    "due_mails",
    _temporary,
    Column("party_id", Integer, primary_key=True, autoincrement=False),
    Column("message_id", String(120)),
    Column("expires_at", Instant),
    prefixes=["TEMPORARY"],
)
TABLES = (_classes, _verdicts, _mails)
_messages, _items, _obligations = table_of(MessageRow), table_of(ItemRow), table_of(ObligationRow)
_parties, _submissions = table_of(PartyRow), table_of(SubmissionRow)


@dataclass(frozen=True, kw_only=True)
class PlannedSet:
    """What a planning by the set did: how many messages, and how many obligations were passed over by reason.

    ``passed`` are the first obligations of the reasons that are not common.
    """

    messages: int = 0
    skips: Mapping[Skip, int] = field(default_factory=dict)
    passed: Mapping[Skip, Sequence[int]] = field(default_factory=dict, compare=False)


def due_instants(session: Session, campaign_id: int) -> list[tuple[str, datetime]]:
    """Return the (deliverable key, due instant) pairs that a campaign's obligations have."""
    titles = {id_: key for key, id_ in deliverable_ids(session, campaign_id).items()}
    query = select(_obligations.c.deliverable_id, _obligations.c.due_at).distinct()
    query = query.where(_obligations.c.campaign_id == campaign_id, _obligations.c.due_at.is_not(None))
    return [(titles[deliverable_id], due) for deliverable_id, due in session.execute(query)]


def plan_reminders(
    session: Session,
    act: Act,
    campaign_id: int,
    domain: str,
    *,
    occasion: str,
    classes: Sequence[ReminderClass],
    reader: Reader = Reader.LIAISON,
) -> PlannedSet:
    """Plan one reminder for every party that owes something a class says is due; in the caller's transaction.

    What has no class is counted among the liaison's reasons only: others have reminders of some deliverables.
    """
    notice = REMINDER_OF[reader]
    _open_tables(session)
    ids = deliverable_ids(session, campaign_id)
    rows = [
        {
            "deliverable_id": ids[c.deliverable],
            "due_at": c.due,
            "rung": c.rung.key if c.rung else None,
            "moment": c.rung.moment if c.rung else None,
            "expires_at": c.rung.expires if c.rung else None,
            "skip": c.skip,
            "spares_after": c.spares.after if c.spares else None,
            "spares_before": c.spares.before if c.spares else None,
        }
        for c in classes
    ]
    if rows:
        session.connection().execute(insert(_classes), rows)
    mailed = select(_messages.c.party_id).where(
        _messages.c.campaign_id == campaign_id,
        _messages.c.notice == notice,
        _messages.c.occasion == occasion,
        text(STANDS),
    )
    said = exists().where(
        _items.c.party_id == _obligations.c.party_id,
        _items.c.obligation_id == _obligations.c.id,
        _items.c.rung == _classes.c.rung,
        _items.c.due_at == _obligations.c.due_at,
        text("NOT items.gone"),
    )
    just_returned = exists().where(
        _submissions.c.obligation_id == _obligations.c.id,
        _submissions.c.state == SubmissionState.RETURNED.value,
        _submissions.c.as_of > _classes.c.spares_after,
        or_(_classes.c.spares_before.is_(None), _submissions.c.as_of < _classes.c.spares_before),
    )
    verdict = case(
        *_outside(),
        (_classes.c.skip.is_not(None), _classes.c.skip),
        (said, literal(Skip.SAID.value)),
        (_classes.c.moment < _obligations.c.chase_from, literal(Skip.BEFORE_JOINING.value)),
        (_classes.c.expires_at <= bindparam("now", act.as_of, type_=Instant), literal(Skip.EXPIRED.value)),
        (just_returned, literal(Skip.JUST_RETURNED.value)),
        (_obligations.c.party_id.in_(mailed), literal(Skip.MAILED_TODAY.value)),
        else_=null(),
    )
    same = (_classes.c.deliverable_id == _obligations.c.deliverable_id) & (_classes.c.due_at == _obligations.c.due_at)
    query = (
        select(
            _obligations.c.id,
            _obligations.c.party_id,
            _classes.c.rung,
            _obligations.c.due_at,
            _classes.c.expires_at,
            verdict,
        )
        .select_from(
            _obligations.join(_parties, _parties.c.id == _obligations.c.party_id).join(
                _classes, same, isouter=reader is Reader.LIAISON
            )
        )
        .where(_obligations.c.campaign_id == campaign_id)
    )
    session.execute(insert(_verdicts).from_select(list(_verdicts.c.keys()), query))
    return _write(session, act, campaign_id, domain, notice=notice, occasion=occasion)


def plan_launch(session: Session, act: Act, campaign_id: int, domain: str) -> PlannedSet:
    """Plan the launch notice for every party that was not told of the launch; in the caller's transaction."""
    _open_tables(session)
    told = select(_items.c.party_id).where(_items.c.rung == LAUNCH, text("NOT items.gone"))
    told = told.join(_obligations, _obligations.c.id == _items.c.obligation_id).where(
        _obligations.c.campaign_id == campaign_id, _obligations.c.party_id == _items.c.party_id
    )
    verdict = case(*_outside(), (_obligations.c.party_id.in_(told), literal(Skip.SAID.value)), else_=null())
    query = (
        select(
            _obligations.c.id,
            _obligations.c.party_id,
            literal(LAUNCH),
            _obligations.c.due_at,
            literal(None, type_=Instant),
            verdict,
        )
        .select_from(_obligations.join(_parties, _parties.c.id == _obligations.c.party_id))
        .where(_obligations.c.campaign_id == campaign_id)
    )
    session.execute(insert(_verdicts).from_select(list(_verdicts.c.keys()), query))
    return _write(session, act, campaign_id, domain, notice=LAUNCH, occasion=LAUNCH)


def _open_tables(session: Session) -> None:
    for table in TABLES:
        table.create(session.connection())


def _random_message_id(dialect: str, domain: str) -> ColumnElement[str]:
    """Return a Message-ID made at random: who knows one cannot guess another's, and so not forge a report about it."""
    random = cast(func.gen_random_uuid(), String) if dialect == "postgresql" else func.hex(func.randomblob(16))
    return literal("<").concat(func.lower(func.replace(random, "-", ""))).concat(literal(f"@{domain}>"))


def _outside() -> tuple[tuple[ColumnElement[bool], ColumnElement[str]], ...]:
    """Return the cases in which nothing is to be said of an obligation, whatever the notice."""
    counts = [s.value for s in SubmissionState if s is not SubmissionState.RETURNED]
    reported = exists().where(_submissions.c.obligation_id == _obligations.c.id, _submissions.c.state.in_(counts))
    return (
        (_obligations.c.due_at.is_(None), literal(Skip.VOLUNTARY.value)),
        (_parties.c.left_at.is_not(None), literal(Skip.LEFT.value)),
        (_obligations.c.exempt_at.is_not(None), literal(Skip.EXEMPT.value)),
        (reported, literal(Skip.REPORTED.value)),
    )


def _write(session: Session, act: Act, campaign_id: int, domain: str, *, notice: str, occasion: str) -> PlannedSet:
    """Write messages and items for the verdicts that say so, and the one audit entry for all of them."""
    connection = session.connection()
    due = _verdicts.c.skip.is_(None)
    never = func.count() > func.count(_verdicts.c.expires_at)  # one of its items never expires
    mails = (
        select(
            _verdicts.c.party_id,
            _random_message_id(connection.dialect.name, domain),
            case((never, null()), else_=func.max(_verdicts.c.expires_at)),
        )
        .where(due)
        .group_by(_verdicts.c.party_id)
    )
    connection.execute(insert(_mails).from_select(list(_mails.c.keys()), mails))
    bears = written(act)
    constant = {
        "campaign_id": literal(campaign_id),
        "notice": literal(notice),
        "occasion": literal(occasion),
        "generation": literal(0),
        "mail_class": literal(class_of(notice).value),
        "priority": literal(PRIORITY_OF.get(notice, BULK_PRIORITY)),
        "state": literal(MessageState.PLANNED.value),
        "reason": literal(""),
        "detail": literal({}, type_=_messages.c.detail.type),
        "tries": literal(0),
        "flow_run_id": literal(bears["flow_run_id"], type_=String),
        "as_of": literal(bears["as_of"], type_=Instant),
        "recorded_at": literal(bears["recorded_at"], type_=Instant),
    }
    messages = select(*_mails.c, *constant.values()).order_by(_mails.c.party_id)
    statement = insert(_messages).from_select([*_mails.c.keys(), *constant], messages)
    count = connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    constant = {name: constant[name] for name in ("generation", "flow_run_id", "as_of", "recorded_at")}
    constant["gone"] = literal(False)  # noqa: FBT003  a column's value
    items = (
        select(
            _messages.c.id,
            _verdicts.c.party_id,
            _verdicts.c.obligation_id,
            _verdicts.c.rung,
            _verdicts.c.due_at,
            *constant.values(),
        )
        .select_from(
            _verdicts.join(_mails, _mails.c.party_id == _verdicts.c.party_id).join(
                _messages, _messages.c.message_id == _mails.c.message_id
            )
        )
        .where(due)
    )
    columns = ["message_id", "party_id", "obligation_id", "rung", "due_at", *constant]
    connection.execute(insert(_items).from_select(columns, items))
    by_skip = select(_verdicts.c.skip, func.count()).where(_verdicts.c.skip.is_not(None)).group_by(_verdicts.c.skip)
    skips = {Skip(skip): number for skip, number in session.execute(by_skip)}
    passed = {skip: _first_of(session, skip) for skip in skips if skip not in COMMON}
    for table in TABLES:
        table.drop(connection)
    if count:
        detail = {"count": count, "notice": notice, "occasions": [occasion]}
        audit.append(session, act, "messages.planned", detail, campaign_id=campaign_id)
        note(session, act, EventKind.PLANNED, {"count": count, "notices": {notice: count}}, campaign_id)
    return PlannedSet(messages=count, skips=skips, passed=passed)


def _first_of(session: Session, skip: Skip) -> Sequence[int]:
    """Return the first obligations that were passed over for a reason."""
    query = select(_verdicts.c.obligation_id).where(_verdicts.c.skip == skip.value)
    return session.scalars(query.order_by(_verdicts.c.obligation_id).limit(NAMED)).all()
