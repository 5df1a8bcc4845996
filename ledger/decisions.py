"""Decisions over obligations, parties and campaigns: recorded, applied, withdrawn from the queue, taken back.

Each names the values it changes. To take one back is another decision that swaps them; what a past moment knew is
read off the same rows.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select, text, update
from sqlalchemy.orm import Session, aliased

from ledger.acts import Act
from ledger.campaigns import Change, record_decision, written
from ledger.errors import UnknownDecision
from ledger.outbox import Item, drop_items, retire
from ledger.replay import EXTENDED, UNDONE
from ledger.tables import (
    CampaignRow,
    CampaignState,
    Changed,
    ChangeRow,
    DecisionRow,
    DefinitionRow,
    DeliverableRow,
    ItemRow,
    MailClass,
    MessageRow,
    MessageState,
    ObligationRow,
    PartyRow,
)
from ledger.tables.base import table_of
from rules.delivery import BULLETIN

OF_OBLIGATION = frozenset({Changed.DUE, Changed.CHASE_FROM, Changed.EXEMPT, Changed.ORIGINAL})
OF_PARTY = frozenset({Changed.LEFT, Changed.SUPERIOR})
WITHDRAWN = "a decision has overtaken it"
QUEUED = text("messages.state IN ('planned', 'deferred', 'held')")
NAMES_WHO_OWES = or_(MessageRow.mail_class == MailClass.CHASE.value, MessageRow.notice == BULLETIN)
AT_ONCE = 500  # numbers named in one statement


def iso(moment: datetime | None) -> str | None:
    """Return an instant as a change keeps it."""
    return moment.isoformat() if moment is not None else None


def find_decision(session: Session, number: int) -> DecisionRow:
    """Return a decision.

    Raises:
        UnknownDecision: there is none of that number.

    """
    row = session.get(DecisionRow, number)
    if row is None:
        raise UnknownDecision(f"there is no decision {number}; `muster decisions` lists them")
    return row


def decide(  # noqa: PLR0913  a decision has that many sides
    session: Session,
    act: Act,
    campaign_id: int,
    kind: str,
    grounds: str,
    *,
    changes: Sequence[Change],
    party_id: int | None = None,
    obligation_id: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reverses: int | None = None,
) -> DecisionRow:
    """Record a decision and let it hold: its values are set, and what waits to be said of them is withdrawn."""
    session.flush()
    decision = record_decision(
        session,
        act,
        campaign_id,
        kind,
        grounds,
        party_id=party_id,
        obligation_id=obligation_id,
        before=before,
        after=after,
        reverses=reverses,
        changes=changes,
    )
    _apply(session, campaign_id, changes)
    _withdraw(session, act, campaign_id, changes)
    session.expire_all()
    session.refresh(decision)  # whoever decided reads it after the session has ended
    return decision


def due_changes(act: Act, obligation: ObligationRow, due: datetime | None) -> tuple[Change, ...]:
    """Return the changes that give an obligation another due instant.

    The unit is told by the decision, so reminders whose moment lies before it are not made up for.
    """
    whose = {"party_id": obligation.party_id, "obligation_id": obligation.id}
    chase_from = max(obligation.chase_from, act.as_of)
    return (
        Change(Changed.DUE, iso(obligation.due_at), iso(due), **whose),
        Change(Changed.CHASE_FROM, iso(obligation.chase_from), iso(chase_from), **whose),
    )


def _apply(session: Session, campaign_id: int, changes: Iterable[Change]) -> None:
    by_field: dict[Changed, list[Change]] = defaultdict(list)
    for change in changes:
        by_field[change.field].append(change)
    for field, some in by_field.items():
        if field in OF_OBLIGATION:
            table, ids = table_of(ObligationRow), [c.obligation_id for c in some]
        elif field in OF_PARTY:
            table, ids = table_of(PartyRow), [c.party_id for c in some]
        else:
            table, ids = table_of(CampaignRow), [campaign_id]
        values = {field.value: bindparam("b_value", type_=table.c[field.value].type)}
        statement = update(table).where(table.c.id == bindparam("b_id")).values(values)
        rows = [{"b_id": id_, "b_value": _value(c)} for id_, c in zip(ids, some, strict=True)]
        session.connection().execute(statement, rows)
        if field is Changed.DEFINITION:
            _put_in_force(session, campaign_id, some[-1].after)


def _value(change: Change) -> datetime | int | str | None:
    if change.after is None:
        return None
    if change.field is Changed.SUPERIOR:
        return int(change.after)
    return change.after if change.field in (Changed.STATE, Changed.DEFINITION) else datetime.fromisoformat(change.after)


def keep_definition(session: Session, act: Act, digest: str, definition: Mapping[str, Any]) -> None:
    """Keep a definition under its digest, unless it is kept already."""
    if session.get(DefinitionRow, digest) is None:
        session.add(DefinitionRow(digest=digest, definition=dict(definition), **written(act)))
        session.flush()


def definition_kept(session: Session, digest: str) -> dict[str, Any] | None:
    """Return a definition that was in force at some time, if it is kept."""
    row = session.get(DefinitionRow, digest)
    return row.definition if row is not None else None


def _put_in_force(session: Session, campaign_id: int, digest: str | None) -> None:
    definition = definition_kept(session, digest or "")
    if definition is None:
        return
    session.execute(update(CampaignRow).where(CampaignRow.id == campaign_id).values(definition=definition))
    titles = {d["key"]: d["title"] for d in definition["deliverables"]}
    for row in session.scalars(select(DeliverableRow).where(DeliverableRow.campaign_id == campaign_id)):
        row.title = titles.get(row.key, row.title)
    session.flush()


def _withdraw(session: Session, act: Act, campaign_id: int, changes: Sequence[Change]) -> None:
    """Take what is no longer true out of the mails that wait; those that have nothing left to say are superseded."""
    fields = {change.field for change in changes}
    touched = {c.obligation_id for c in changes if c.field in (Changed.DUE, Changed.EXEMPT) and c.before != c.after}
    withdraw_chase(session, act, campaign_id, obligation_ids={id_ for id_ in touched if id_ is not None})
    for change in changes:
        if change.field is Changed.LEFT and change.party_id is not None:
            _withdraw_party(session, act, campaign_id, change.party_id)
        if change.field is Changed.SUPERIOR and change.party_id is not None and change.before is not None:
            _withdraw_digests(session, act, campaign_id, change.party_id, int(change.before))
    if Changed.STATE in fields:
        _retire(session, act, campaign_id, session.scalars(_queued(campaign_id, NAMES_WHO_OWES)).all())
    if Changed.DEFINITION in fields:
        recompose(session, campaign_id)


def _queued(campaign_id: int, wanted: Any) -> Any:  # noqa: ANN401  a condition, and a select of ids
    return select(MessageRow.id).where(MessageRow.campaign_id == campaign_id, wanted, QUEUED)


def withdraw_chase(
    session: Session, act: Act, campaign_id: int, *, obligation_ids: Collection[int], why: str = WITHDRAWN
) -> int:
    """Take obligations out of the chase mails that wait; return out of how many. What goes on waiting is made anew."""
    touched: set[int] = set()
    named = sorted(obligation_ids)
    for some in (named[at : at + AT_ONCE] for at in range(0, len(named), AT_ONCE)):
        touched |= _drop(session, campaign_id, ItemRow.obligation_id.in_(some))
        parties = select(ObligationRow.party_id).where(ObligationRow.id.in_(some))
        _compose_anew(session, MessageRow.party_id.in_(parties))
    _end_empty(session, act, campaign_id, touched, why)
    return len(touched)


def withdraw_rungs(
    session: Session, act: Act, campaign_id: int, *, obligation_ids: Collection[int], rungs: Collection[str], why: str
) -> None:
    """Take what waits to be said of obligations on some rungs out of its mails."""
    wanted = ItemRow.obligation_id.in_(sorted(obligation_ids)), ItemRow.rung.in_(sorted(rungs))
    _end_empty(session, act, campaign_id, _drop(session, campaign_id, *wanted), why)


def _drop(session: Session, campaign_id: int, wanted: Any, *more: Any) -> set[int]:  # noqa: ANN401  conditions
    """Take items out of the chase mails that wait; return the mails."""
    stands = (
        select(ItemRow.id, ItemRow.message_id, ItemRow.obligation_id, ItemRow.rung, ItemRow.due_at)
        .join(MessageRow, MessageRow.id == ItemRow.message_id)
        .where(wanted, *more, ~ItemRow.gone, MessageRow.campaign_id == campaign_id, QUEUED, NAMES_WHO_OWES)
    )
    items = [Item._make(row) for row in session.execute(stands)]
    drop_items(session, items)
    touched = {item.message_id for item in items}
    _compose_anew(session, MessageRow.id.in_(touched))
    return touched


def _compose_anew(session: Session, wanted: Any) -> None:  # noqa: ANN401  a condition
    """Let mails that wait after an attempt be composed anew: what they said is no longer true."""
    composed = update(MessageRow).where(wanted, QUEUED, MessageRow.skeleton_sha256.is_not(None))
    session.execute(composed.values(skeleton_sha256=None, fields=None, raw_sha256=None))


def recompose(session: Session, campaign_id: int) -> None:
    """Let everything of a campaign that waits after an attempt be composed anew."""
    _compose_anew(session, MessageRow.campaign_id == campaign_id)


def _end_empty(session: Session, act: Act, campaign_id: int, touched: Collection[int], why: str = WITHDRAWN) -> None:
    full: set[int] = set()
    ids = sorted(touched)
    for some in (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)):
        full |= set(session.scalars(select(ItemRow.message_id).where(ItemRow.message_id.in_(some), ~ItemRow.gone)))
    _retire(session, act, campaign_id, [id_ for id_ in ids if id_ not in full], why)


def _retire(session: Session, act: Act, campaign_id: int, ids: Iterable[int], why: str = WITHDRAWN) -> None:
    retire(session, act, campaign_id, dict.fromkeys(ids, (MessageState.SUPERSEDED, why)))


def _withdraw_party(session: Session, act: Act, campaign_id: int, party_id: int) -> None:
    """Withdraw the chase of a unit, and what waits to be said of it to others.

    What goes to everybody waits on: it is not sent while the unit is away, and is if its leaving is taken back before.
    """
    own = _queued(campaign_id, MessageRow.mail_class == MailClass.CHASE.value).where(MessageRow.party_id == party_id)
    _retire(session, act, campaign_id, session.scalars(own).all())
    mine = select(ObligationRow.id).where(ObligationRow.party_id == party_id)
    _end_empty(session, act, campaign_id, _drop(session, campaign_id, ItemRow.obligation_id.in_(mine)))


def _withdraw_digests(session: Session, act: Act, campaign_id: int, party_id: int, superior_id: int) -> None:
    """Take a unit out of the lists that wait to go to the superior it had."""
    mine = select(ObligationRow.id).where(ObligationRow.party_id == party_id)
    touched = _drop(session, campaign_id, ItemRow.obligation_id.in_(mine), ItemRow.party_id == superior_id)
    _end_empty(session, act, campaign_id, touched)


def withdraw_occasion(session: Session, act: Act, campaign_id: int, occasion: str) -> int:
    """Supersede what waits to be sent on an occasion; return how many mails that were."""
    session.flush()
    stands = select(MessageRow.id).where(MessageRow.campaign_id == campaign_id, MessageRow.occasion == occasion, QUEUED)
    waiting = session.scalars(stands).all()
    _retire(session, act, campaign_id, waiting)
    session.expire_all()
    return len(waiting)


def changes_of(session: Session, decision_id: int) -> list[Change]:
    """Return what a decision changed, in order; of an extension of an older ledger, by what it says itself."""
    query = select(ChangeRow).where(ChangeRow.decision_id == decision_id).order_by(ChangeRow.id)
    found = [
        Change(Changed(row.field), row.before, row.after, row.party_id, row.obligation_id)
        for row in session.scalars(query)
    ]
    decision = session.get_one(DecisionRow, decision_id)
    if found or decision.kind != EXTENDED or "due" not in decision.before:
        return found
    whose = {"party_id": decision.party_id, "obligation_id": decision.obligation_id}
    chase_from = decision.before["chase_from"]
    return [
        Change(Changed.DUE, decision.before["due"], decision.after["due"], **whose),
        Change(Changed.CHASE_FROM, chase_from, max(chase_from, iso(decision.as_of) or ""), **whose),
    ]


def undone_numbers(session: Session, campaign_id: int) -> dict[int, int]:
    """Return which decisions of a campaign were taken back, each with the decision that did so, if that holds."""
    query = select(DecisionRow.id, DecisionRow.reverses).where(
        DecisionRow.campaign_id == campaign_id, DecisionRow.reverses.is_not(None)
    )
    undone: dict[int, int] = {}
    for id_, reversed_id in session.execute(query.order_by(DecisionRow.id.desc())):
        if id_ not in undone and reversed_id is not None:
            undone.setdefault(reversed_id, id_)
    return undone


def overtaken_by(session: Session, decision: DecisionRow) -> int | None:
    """Return the number of a later decision over the same thing that holds, if there is one."""
    mine, later = aliased(ChangeRow), aliased(ChangeRow)
    same = (
        (later.field == mine.field)
        & (later.id > mine.id)
        & (later.campaign_id == mine.campaign_id)
        & later.obligation_id.is_not_distinct_from(mine.obligation_id)
        & later.party_id.is_not_distinct_from(mine.party_id)
    )
    query = (
        select(later.decision_id)
        .select_from(mine)
        .join(later, same)
        .join(DecisionRow, DecisionRow.id == later.decision_id)
        .where(
            mine.decision_id == decision.id,
            later.decision_id != decision.id,
            mine.field != Changed.CHASE_FROM.value,
            DecisionRow.kind != UNDONE,
        )
        .order_by(later.decision_id.desc())
        .distinct()
    )
    undone = undone_numbers(session, decision.campaign_id)
    return next((id_ for id_ in session.scalars(query) if id_ not in undone), None)


def still_stands(session: Session, campaign_id: int, changes: Iterable[Change]) -> bool:
    """Whether everything is still as some changes left it."""
    for change in changes:
        if change.field is Changed.CHASE_FROM:
            continue
        if change.field in OF_OBLIGATION:
            row: Any = session.get_one(ObligationRow, change.obligation_id)
        elif change.field in OF_PARTY:
            row = session.get_one(PartyRow, change.party_id)
        else:
            row = session.get_one(CampaignRow, campaign_id)
        now = getattr(row, change.field.value)
        if (iso(now) if isinstance(now, datetime) else None if now is None else str(now)) != change.after:
            return False
    return True


def swapped(session: Session, act: Act, changes: Iterable[Change]) -> list[Change]:
    """Return the changes that take others back. Who is chased again is chased from now on."""
    back: list[Change] = []
    again: set[int] = set()
    for change in changes:
        if change.field is Changed.CHASE_FROM and change.obligation_id is not None:
            again.add(change.obligation_id)
            continue
        back.append(change._replace(before=change.after, after=change.before))
        if change.after is not None and change.field is Changed.EXEMPT and change.obligation_id is not None:
            again.add(change.obligation_id)
        if change.after is not None and change.field is Changed.LEFT:
            again |= set(session.scalars(select(ObligationRow.id).where(ObligationRow.party_id == change.party_id)))
    for obligation in map(session.get_one, [ObligationRow] * len(again), sorted(again)):
        whose = {"party_id": obligation.party_id, "obligation_id": obligation.id}
        was = obligation.chase_from
        back.append(Change(Changed.CHASE_FROM, iso(was), iso(max(was, act.as_of)), **whose))
    return back


def value_at(session: Session, campaign: CampaignRow, field: Changed, known_at: datetime) -> str:
    """Return what the state or the definition of a campaign was at a moment, by what was decided since."""
    query = (
        select(ChangeRow.before)
        .join(DecisionRow, DecisionRow.id == ChangeRow.decision_id)
        .where(
            ChangeRow.campaign_id == campaign.id,
            ChangeRow.obligation_id.is_(None),
            ChangeRow.party_id.is_(None),
            ChangeRow.field == field.value,
            DecisionRow.as_of > known_at,
        )
        .order_by(ChangeRow.id)
        .limit(1)
    )
    then: str | None = session.scalar(query)
    return then if then is not None else getattr(campaign, field.value)


def state_changes(session: Session, campaign_id: int) -> list[tuple[datetime, str]]:
    """Return the moments at which a campaign's state changed, each with the state from then on."""
    query = (
        select(DecisionRow.as_of, ChangeRow.after)
        .join(DecisionRow, DecisionRow.id == ChangeRow.decision_id)
        .where(ChangeRow.campaign_id == campaign_id, ChangeRow.field == Changed.STATE.value)
        .order_by(ChangeRow.id)
    )
    return [(as_of, after or "") for as_of, after in session.execute(query)]


def was_closed(changes: Iterable[tuple[datetime, str]], moment: datetime) -> bool:
    """Whether a campaign whose state changed like that was closed at a moment."""
    states = [state for as_of, state in changes if as_of <= moment]
    return bool(states) and states[-1] == CampaignState.CLOSED


def root_of(session: Session, decision: DecisionRow) -> tuple[DecisionRow, bool]:
    """Return the decision that a chain of takings-back began with, and whether this one takes it back."""
    odd = False
    while decision.kind == UNDONE and decision.reverses is not None:
        decision, odd = session.get_one(DecisionRow, decision.reverses), not odd
    return decision, odd
