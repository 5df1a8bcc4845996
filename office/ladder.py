"""The ladder at work: what its rungs would say at a moment, and the messages by which they say it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import office_of
from ledger.facts import load_obligations, load_said, notices_on
from ledger.ladder import load_brakes
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import CampaignRow, CampaignState, MessageRow, PartyKind, PartyRow
from office.premises import Premises
from office.rulebook import Rulebook
from rules.delivery import BULLETIN
from rules.notices import NoticeDue, Plan, escalations_due, said_index
from rules.obligations import Obligation
from rules.said import SaidAt

LIST_OF = "list_of"  # in a message's detail: the message whose items it speaks of


def rungs_due(
    session: Session,
    row: CampaignRow,
    book: Rulebook,
    as_of: datetime,
    *,
    known_at: datetime | None = None,
    facts: tuple[Sequence[Obligation], SaidAt] | None = None,
) -> Plan:
    """Return what the ladder would say at a moment; with ``known_at``, by what was known then."""
    if row.state != CampaignState.LAUNCHED and known_at is None:
        return Plan()
    obligations, said = facts or (load_obligations(session, row.id), said_index(load_said(session, row.id)))
    today = as_of.astimezone(book.zone).date().isoformat()
    mailed = notices_on(session, row.id, f"escalate:%:{today}") if known_at is None else set()
    return escalations_due(
        obligations,
        said,
        as_of,
        ladder=book.ladder,
        hours=book.hours,
        office_id=office_of(session, row.id).id,
        mailed=frozenset(mailed),
        brakes=load_brakes(session, row.id, known_at=known_at),
    )


def send_rungs(
    session: Session, premises: Premises, act: Act, row: CampaignRow, notices: Iterable[NoticeDue]
) -> list[MessageRow]:
    """Plan the messages of rungs. A bulletin's list is kept by the office's copy; all who take part get the same."""
    news = [
        NewMessage(party_id=n.party_id, notice=n.notice, occasion=n.occasion, items=n.items, expires=n.expires)
        for n in notices
    ]
    rows = plan_messages(session, act, row.id, premises.mail_domain, news)
    copies = [
        NewMessage(party_id=unit, notice=BULLETIN, occasion=one.occasion, detail={LIST_OF: one.id})
        for one in rows
        if one.notice == BULLETIN
        for unit in _taking_part(session, row.id)
    ]
    return [*rows, *(plan_messages(session, act, row.id, premises.mail_domain, copies) if copies else [])]


def _taking_part(session: Session, campaign_id: int) -> Sequence[int]:
    query = select(PartyRow.id).where(
        PartyRow.campaign_id == campaign_id, PartyRow.kind == PartyKind.UNIT, PartyRow.left_at.is_(None)
    )
    return session.scalars(query.order_by(PartyRow.id)).all()
