"""A prompt note to approvers: an extension was asked for after the day's digest had gone.

The digest is one mail a day, and who asks for an extension often has until this evening. So what comes after it is
told at once, then at most once an hour; the next digest lists whatever is still open.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import contacts_of, office_of
from ledger.outbox import NewMessage, plan_messages
from ledger.requests import EXTENSION, open_requests
from ledger.tables import CampaignRow, MessageRow
from office.alerts import READERS, REQUESTS, waiting_alert
from office.premises import Premises
from office.rulebook import open_book

APART = timedelta(hours=1)


def note_requests(session: Session, premises: Premises, act: Act, campaign: str) -> bool:
    """Plan a note about the extensions that no digest and no note has told yet; return whether one was planned.

    Before the day's digest there is nothing to do: it lists them. A note that waits to be composed tells them too.
    """
    row, book = open_book(session, campaign)
    today = act.as_of.astimezone(book.zone).date().isoformat()
    digest = _latest(session, row, f"digest:{today}%")
    if digest is None or waiting_alert(session, row.id, REQUESTS) is not None:
        return False
    note = _latest(session, row, f"alert:{REQUESTS}:%")
    told = max(digest, note) if note is not None else digest
    asked = [r.id for r in open_requests(session, row.id) if r.kind == EXTENSION and r.asked_at > told]
    if not asked:
        return False
    office = office_of(session, row.id)
    reader = next((c for c in contacts_of(session, office.id) if c.role == READERS[REQUESTS] and not c.bad_since), None)
    detail = {"topic": REQUESTS, "since": digest.isoformat()} | ({"contact": reader.id} if reader else {})
    new = NewMessage(party_id=office.id, notice="alert", occasion=f"alert:{REQUESTS}:{max(asked)}", detail=detail)
    [planned] = plan_messages(session, act, row.id, premises.mail_domain, [new])
    if note is not None and note + APART > act.as_of:
        planned.not_before = note + APART
    return True


def _latest(session: Session, row: CampaignRow, occasions: str) -> datetime | None:
    """Return when the latest mail of some occasions was planned."""
    of_them = (MessageRow.campaign_id == row.id, MessageRow.occasion.like(occasions))
    query = select(MessageRow.as_of).where(*of_them).order_by(MessageRow.as_of.desc())
    return session.scalars(query.limit(1)).first()
