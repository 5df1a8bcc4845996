"""What holds rungs of the ladder back: promises, requests for extension, lists that wait for staff."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.errors import UnknownApproval
from ledger.parts import in_parts
from ledger.replay import EXTENDED, UNDONE
from ledger.requests import EXTENSION, REFUSED
from ledger.tables import (
    AcknowledgementRow,
    ApprovalRow,
    ApprovalState,
    DecisionRow,
    DeliverableRow,
    ItemRow,
    MessageRow,
    ObligationRow,
    PartyRow,
    RequestRow,
)
from rules.ladder import Asked, Brakes, Key
from rules.obligations import titled

Shown = tuple[int, int, datetime | None]  # party, obligation, due instant


def load_brakes(session: Session, campaign_id: int, *, known_at: datetime | None = None) -> Brakes:
    """Return what holds a campaign's rungs back; with ``known_at``, by what was known then."""
    return Brakes(
        promised=promises(session, campaign_id, known_at=known_at),
        asked=_asked(session, campaign_id, known_at),
        declined=_declined(session, campaign_id, known_at),
    )


def promises(session: Session, campaign_id: int, *, known_at: datetime | None = None) -> dict[Key, datetime]:
    """Return until when what was said is not followed up; a later promise takes an earlier one's place."""
    query = select(AcknowledgementRow).where(AcknowledgementRow.campaign_id == campaign_id)
    if known_at is not None:
        query = query.where(AcknowledgementRow.as_of <= known_at)
    found: dict[Key, datetime] = {}
    for row in session.scalars(query.order_by(AcknowledgementRow.id)):
        found |= {(obligation, row.rung, _instant(due)): row.until for obligation, due in row.items}
    return found


def promises_about(
    session: Session, obligation_id: int, *, known_at: datetime | None = None
) -> list[AcknowledgementRow]:
    """Return what was promised of an obligation, by whomever, the oldest first."""
    campaign = select(ObligationRow.campaign_id).where(ObligationRow.id == obligation_id).scalar_subquery()
    query = select(AcknowledgementRow).where(AcknowledgementRow.campaign_id == campaign)
    if known_at is not None:
        query = query.where(AcknowledgementRow.as_of <= known_at)
    made = session.scalars(query.order_by(AcknowledgementRow.id))
    return [row for row in made if any(obligation == obligation_id for obligation, _ in row.items)]


def _asked(session: Session, campaign_id: int, known_at: datetime | None) -> dict[int, list[Asked]]:
    query = (
        select(RequestRow.id, RequestRow.obligation_id, RequestRow.asked_at, DecisionRow.as_of)
        .outerjoin(DecisionRow, DecisionRow.id == RequestRow.decision_id)
        .where(
            RequestRow.campaign_id == campaign_id,
            RequestRow.kind == EXTENSION,
            RequestRow.obligation_id.is_not(None),
        )
    )
    answers: dict[int, datetime] = {}
    if known_at is not None:
        query = query.where(RequestRow.as_of <= known_at)
        answers = _answered_then(session, campaign_id, known_at)
    found: dict[int, list[Asked]] = {}
    for request_id, obligation_id, at, answered in session.execute(query):
        then = answered if known_at is None else answers.get(request_id)
        found.setdefault(int(obligation_id or 0), []).append(Asked(at, then))
    return found


def _answered_then(session: Session, campaign_id: int, known_at: datetime) -> dict[int, datetime]:
    """Return the requests that were answered at a moment, and since when: an answer may have been taken back later."""
    query = (
        select(DecisionRow.id, DecisionRow.as_of, DecisionRow.after, DecisionRow.reverses)
        .where(DecisionRow.campaign_id == campaign_id, DecisionRow.as_of <= known_at)
        .where(DecisionRow.kind.in_((EXTENDED, REFUSED, UNDONE)))
        .order_by(DecisionRow.id)
    )
    answered: dict[int, datetime] = {}
    by: dict[int, list[int]] = {}
    for id_, as_of, after, reverses in session.execute(query):
        if reverses is not None:
            for request in by.pop(reverses, []):
                answered.pop(request, None)
            continue
        by[id_] = [*after.get("settled", ()), *([after["request"]] if "request" in after else [])]
        answered |= dict.fromkeys(by[id_], as_of)
    return answered


def _declined(session: Session, campaign_id: int, known_at: datetime | None) -> dict[Key, datetime]:
    query = select(ApprovalRow).where(
        ApprovalRow.campaign_id == campaign_id, ApprovalRow.state == ApprovalState.DECLINED
    )
    if known_at is not None:
        query = query.where(ApprovalRow.decided_at <= known_at)
    found: dict[Key, datetime] = {}
    for row in session.scalars(query.order_by(ApprovalRow.id)):
        if row.again_at is not None:
            found |= {(obligation, row.rung, _instant(due)): row.again_at for _, obligation, due in row.shown}
    return found


def told_on(session: Session, party_id: int, rung: str) -> list[tuple[int, datetime | None]]:
    """Return the obligations, each with its due instant then, of which a party was told on a rung."""
    query = (
        select(ItemRow.obligation_id, ItemRow.due_at)
        .join(MessageRow, MessageRow.id == ItemRow.message_id)
        .where(MessageRow.party_id == party_id, ItemRow.rung == rung, ~ItemRow.gone)
        .distinct()
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def acknowledgements_of(session: Session, party_id: int, rung: str | None = None) -> Sequence[AcknowledgementRow]:
    """Return what a party promised, the oldest first."""
    query = select(AcknowledgementRow).where(AcknowledgementRow.party_id == party_id)
    if rung is not None:
        query = query.where(AcknowledgementRow.rung == rung)
    return session.scalars(query.order_by(AcknowledgementRow.id)).all()


def record_acknowledgement(
    session: Session,
    act: Act,
    party: PartyRow,
    rung: str,
    until: datetime,
    items: Iterable[tuple[int, datetime | None]],
) -> AcknowledgementRow:
    """Put on record what a party promises in answer to a rung."""
    named = [[obligation, due.isoformat() if due else None] for obligation, due in items]
    row = AcknowledgementRow(
        campaign_id=party.campaign_id,
        party_id=party.id,
        rung=rung,
        until=until,
        items=named,
        actor=act.actor,
        **written(act),
    )
    session.add(row)
    session.flush()
    detail = {"acknowledgement": row.id, "rung": rung, "until": until.isoformat(), "obligations": [o for o, _ in named]}
    audit.append(session, act, "rung.acknowledged", detail, campaign_id=party.campaign_id, party_id=party.id)
    return row


def open_approvals(session: Session, campaign_id: int | None = None) -> Sequence[ApprovalRow]:
    """Return the lists that wait for staff, the oldest first."""
    query = select(ApprovalRow).where(ApprovalRow.state == ApprovalState.ASKED)
    if campaign_id is not None:
        query = query.where(ApprovalRow.campaign_id == campaign_id)
    return session.scalars(query.order_by(ApprovalRow.as_of, ApprovalRow.id)).all()


def find_approval(session: Session, occasion: str, campaign_id: int | None = None) -> ApprovalRow:
    """Return the list of an occasion, of whichever campaign it waits in unless one is named.

    Raises:
        UnknownApproval: nobody was asked about it, or in several campaigns.

    """
    query = select(ApprovalRow).where(ApprovalRow.occasion == occasion).order_by(ApprovalRow.id)
    if campaign_id is not None:
        query = query.where(ApprovalRow.campaign_id == campaign_id)
    rows = session.scalars(query).all()
    found = [row for row in rows if row.state == ApprovalState.ASKED] or rows[-1:]
    if not found:
        raise UnknownApproval(f"nothing waits for consent on {occasion!r}; `muster approvals` lists what does")
    if len(found) > 1:
        raise UnknownApproval(f"{occasion} waits in {len(found)} campaigns; name one with --campaign")
    return found[0]


def ask_approval(
    session: Session, act: Act, campaign_id: int, occasion: str, rung: str, shown: Iterable[Shown]
) -> ApprovalRow | None:
    """Put a list before staff, once an occasion; return None if they were asked before."""
    known = select(ApprovalRow.id).where(ApprovalRow.campaign_id == campaign_id, ApprovalRow.occasion == occasion)
    if session.scalar(known) is not None:
        return None
    listed = sorted([party, obligation, due.isoformat() if due else None] for party, obligation, due in shown)
    digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    row = ApprovalRow(
        campaign_id=campaign_id, occasion=occasion, rung=rung, shown=listed, shown_digest=digest, **written(act)
    )
    session.add(row)
    session.flush()
    detail = {"occasion": occasion, "items": len(listed), "shown": digest}
    audit.append(session, act, "approval.asked", detail, campaign_id=campaign_id)
    return row


def shown_in(row: ApprovalRow) -> set[Shown]:
    """Return what a list shows."""
    return {(party, obligation, _instant(due)) for party, obligation, due in row.shown}


def settle_approval(
    session: Session,
    act: Act,
    row: ApprovalRow,
    state: ApprovalState,
    grounds: str = "",
    *,
    again_at: datetime | None = None,
    mails: int = 0,
) -> None:
    """Put on record what became of a list."""
    row.state, row.actor, row.grounds = state, act.actor, grounds
    row.decided_at, row.again_at = act.as_of, again_at
    session.flush()
    detail = {
        "occasion": row.occasion,
        "shown": row.shown_digest,
        "grounds": grounds,
        "mails": mails,
        "again_at": again_at.isoformat() if again_at else None,
    }
    audit.append(session, act, f"approval.{state}", detail, campaign_id=row.campaign_id)


def parties_owing(session: Session, obligation_ids: Iterable[int]) -> dict[int, int]:
    """Return the party of each of several obligations."""
    query = select(ObligationRow.id, ObligationRow.party_id)
    return {
        id_: party_id
        for some in in_parts(obligation_ids)
        for id_, party_id in session.execute(query.where(ObligationRow.id.in_(some)))
    }


def refused_extensions(session: Session, obligation_ids: Collection[int]) -> set[int]:
    """Return those of several obligations whose last request for extension was refused."""
    query = (
        select(RequestRow.obligation_id, DecisionRow.kind)
        .outerjoin(DecisionRow, DecisionRow.id == RequestRow.decision_id)
        .where(RequestRow.kind == EXTENSION)
        .order_by(RequestRow.id)
    )
    last = {
        id_: kind
        for some in in_parts(obligation_ids)
        for id_, kind in session.execute(query.where(RequestRow.obligation_id.in_(some)))
    }
    return {id_ for id_, kind in last.items() if id_ is not None and kind == REFUSED}


def titles_of(session: Session, obligation_ids: Iterable[int]) -> dict[int, str]:
    """Return what each of several obligations is called, of a series with its occurrence."""
    query = select(ObligationRow.id, ObligationRow.occurrence, DeliverableRow.title).join(
        DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id
    )
    return {
        id_: titled(title, at)
        for some in in_parts(obligation_ids)
        for id_, at, title in session.execute(query.where(ObligationRow.id.in_(some)))
    }


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
