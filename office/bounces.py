"""What a delivery report means for the mail it is about, and for the mailbox that did not take it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import events
from ledger.acts import Act
from ledger.campaigns import contacts_of, count_soft_bounce, has_soft_bounced
from ledger.event_kinds import EventKind
from ledger.outbox import Result, record
from ledger.senders import at_data
from ledger.submissions import settle
from ledger.tables import IntakeKind, IntakeRow, IntakeState, MessageRow, MessageState
from mail.bounces import Bounce, BounceKind, concerns, original_message_id
from mail.parsing import IncomingMail
from office.mailboxes import give_up_mailbox
from office.matching import ANSWERED_ID, find_sender
from office.premises import Premises

MAY_BOUNCE = (MessageState.CLAIMED, MessageState.SENT, MessageState.AMBIGUOUS)
OVERTAKEN = "it left: a report on it came back before our own result was on record"


def take_bounce(
    session: Session, premises: Premises, act: Act, row: IntakeRow, mail: IncomingMail, bounce: Bounce
) -> None:
    """Settle a delivery report: a hard one marks message and contact, a soft one is counted, a delayed one noted.

    Only a report on a mail of ours, that names the address the mail went to, is believed. With our signed token it
    need not name any.
    """
    note = _note(bounce)
    match = find_sender(session, premises, mail)
    message = match.message or returned_mail(session, premises.files.get(row.raw_sha256))
    if bounce.kind is BounceKind.DELAYED:
        settle(row, kind=IntakeKind.BOUNCE, state=IntakeState.DONE, reason=note)
    elif message is None:
        settle_unknown_bounce(row, bounce)
    elif not concerns(bounce, message.address or ""):
        reason = f"it speaks of {bounce.recipient}, but the mail went to {message.address}; {note}"
        settle(row, kind=IntakeKind.BOUNCE, state=IntakeState.QUEUED, reason=reason)
    elif not bounce.recipient and (match.message is None or match.by == ANSWERED_ID):
        reason = f"it bears no token of ours and names no address; {note}"
        settle(row, kind=IntakeKind.BOUNCE, state=IntakeState.QUEUED, reason=reason)
    elif message.state in (MessageState.BOUNCED, MessageState.REFUSED):
        settle(row, kind=IntakeKind.BOUNCE, state=IntakeState.DONE, reason=f"known before; {note}")
    else:
        _believe(session, premises, act, message, bounce)
        settle(row, kind=IntakeKind.BOUNCE, state=IntakeState.DONE, reason=note)


def _note(bounce: Bounce) -> str:
    return f"{bounce.kind}: {bounce.status or ''} {bounce.diagnostic}".strip()


def settle_unknown_bounce(row: IntakeRow, bounce: Bounce) -> None:
    """Settle a report on a mail that is not known: a person looks, unless it is only late."""
    state = IntakeState.DONE if bounce.kind is BounceKind.DELAYED else IntakeState.QUEUED
    settle(row, kind=IntakeKind.BOUNCE, state=state, reason=f"which mail bounced is not known; {_note(bounce)}")


def _believe(session: Session, premises: Premises, act: Act, message: MessageRow, bounce: Bounce) -> None:
    """Draw the consequences of a report: a hard one for message and mailbox, a soft one for the party's contacts."""
    note = _note(bounce)
    if bounce.kind is not BounceKind.HARD:
        _count(session, act, message, note)
        return
    if message.state in MAY_BOUNCE:
        _record_bounce(session, act, message, note)
    if message.address is not None:
        give_up_mailbox(session, premises, act, message.address, note)


def _count(session: Session, act: Act, message: MessageRow, note: str) -> None:
    """Count a soft bounce, once a mail however many reports on it come in."""
    if has_soft_bounced(session, message.party_id, message.id):
        return
    for contact in contacts_of(session, message.party_id):
        if contact.address == message.address:
            count_soft_bounce(session, act, contact, message.id, note)


def _record_bounce(session: Session, act: Act, message: MessageRow, note: str) -> None:
    """Put on record that a mail came back.

    The report may be faster than the sender's own result: then it says itself that the mail had left. The sender
    no longer has the message, and its result is left out like any of a message that others have judged. One that is
    not at DATA yet stays with its sender: the report is on an attempt before, and this one will have its own.
    """
    states = [(MessageState.BOUNCED, note)]
    if message.state == MessageState.CLAIMED:
        if message.id not in at_data(session).get(message.claimed_by or "", ()):
            return
        states.insert(0, (MessageState.SENT, OVERTAKEN))
    for state, text in states:
        left = state is MessageState.SENT
        result = Result(message.id, state, text=text, address=message.address, lane=message.lane, tried=left)
        record(session, act, message.campaign_id, [result])
    told = {"message": message.id, "party": message.party_id, "notice": message.notice}
    events.note(session, act, EventKind.BOUNCED, told, message.campaign_id)
    session.expire(message)  # a second report on it may lie in the same batch


def returned_mail(session: Session, raw: bytes) -> MessageRow | None:
    """Return the mail whose Message-ID stands in what a report returns: some providers rewrite the envelope."""
    original = original_message_id(raw)
    return session.scalar(select(MessageRow).where(MessageRow.message_id == original)) if original else None
