"""Whose mail it is: by a token of ours, by the mail it answers, by a workbook, by a sender known for one unit."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from documents.reading import UnreadableWorkbook, read_workbook
from documents.sniff import FileKind, sniff
from ledger.campaigns import CORRESPONDENT
from ledger.tables import ContactRow, MessageRow, PartyRow
from mail.parsing import IncomingMail
from mail.tokens import find_tokens
from office.premises import Premises

ANSWERED_ID, RETURNED_ID = "reply", "returned mail"  # found by a Message-ID alone, which is not signed


@dataclass(frozen=True, kw_only=True)
class Match:
    """To whom a mail belongs, and how that was found."""

    party_id: int | None = None
    message: MessageRow | None = None  # the mail of ours that it answers or reports on
    by: str = ""


def find_sender(session: Session, premises: Premises, mail: IncomingMail) -> Match:
    """Find the unit a mail comes from: recipient token, the mail it answers, subject token, workbook token, sender."""
    for recipient in mail.recipients:
        if match := _by_token(session, premises, recipient, "address"):
            return match
    for reference in (mail.in_reply_to, *mail.references):
        if match := _by_token(session, premises, reference, "references"):
            return match
        message = session.scalar(select(MessageRow).where(MessageRow.message_id == reference)) if reference else None
        if message is not None:
            return Match(party_id=message.party_id, message=message, by=ANSWERED_ID)
    if match := _by_token(session, premises, mail.subject, "subject"):
        return match
    for attachment in mail.attachments:
        if match := _by_token(session, premises, _workbook_token(attachment.content), "workbook"):
            return match
    known = session.scalars(
        select(ContactRow.party_id)
        .where(ContactRow.address == mail.from_address.lower(), ContactRow.role != CORRESPONDENT)
        .distinct()
        .limit(2)
    ).all()
    return Match(party_id=known[0], by="sender") if len(known) == 1 else Match()


def bears_token(premises: Premises, mail: IncomingMail) -> bool:
    """Whether a mail bears a token of ours outside its attachments, so that these need not be asked whose it is."""
    told = (*mail.recipients, mail.in_reply_to, *mail.references, mail.subject)
    return any(True for text in told for _ in find_tokens(text, premises.secret))


def _by_token(session: Session, premises: Premises, text: str, by: str) -> Match | None:
    for token in find_tokens(text, premises.secret):
        if token.kind == "m" and (message := session.get(MessageRow, token.number)) is not None:
            return Match(party_id=message.party_id, message=message, by=by)
        if token.kind == "p" and session.get(PartyRow, token.number) is not None:
            return Match(party_id=token.number, by=by)
    return None


def _workbook_token(content: bytes) -> str:
    if sniff(content) is not FileKind.XLSX:
        return ""
    try:
        return read_workbook(content, ()).token or ""
    except UnreadableWorkbook:
        return ""
