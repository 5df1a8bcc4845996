"""The staff queue's verbs on a mail that came in: take it in for a unit, answer it, or dismiss it."""

from collections.abc import Collection
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from documents.opening import UnreadableWorkbook
from documents.sandbox import SANDBOX
from documents.sniff import FileKind, sniff
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import CORRESPONDENT, contacts_of, find_campaign, office_of, record_decision, written
from ledger.outbox import NewMessage, plan_messages
from ledger.submissions import fitting, keepable, settle
from ledger.tables import (
    CampaignRow,
    CampaignState,
    ContactRow,
    FileRow,
    IntakeKind,
    IntakeRow,
    IntakeState,
    MessageRow,
    ObligationRow,
    PartyRow,
    SubmissionRow,
)
from mail.parsing import parse_mail
from office.destination import HandIn, IncomingFile
from office.handin import TakenIn, take_in
from office.incoming import find_incoming, number_of
from office.pending import subjects_to
from office.premises import Premises
from office.review import grounds_of
from office.units import find_deliverable
from rules.addresses import ADDRESS
from rules.subjects import new_words

ASSIGNED, ANSWERED, DISMISSED = "mail_assigned", "mail_answered", "mail_dismissed"


def assign(
    session: Session,
    premises: Premises,
    act: Act,
    number: str,
    party: PartyRow,
    *,
    deliverable: str | None = None,
    grounds: str,
) -> TakenIn:
    """Take in the files of a queued mail for a unit; one answer goes to the unit. The row is closed.

    Raises:
        UnknownMessage: there is no such mail.
        ValueError: it does not wait, has no files left, or none of them can be recorded; nothing is changed then.

    """
    row = _queued(session, number)
    said = grounds_of(grounds, "it is the unit's")
    files = _unplaced(session, premises, row)
    if not files:
        raise ValueError(f"{number} has no files that could be taken in; `muster answer` or `muster dismiss` it")
    key = find_deliverable(session, party, deliverable).key if deliverable is not None else ""
    before = {"intake": row.id, "party": row.party_id, "why": row.reason}
    decision = record_decision(
        session, act, party.campaign_id, ASSIGNED, said, party_id=party.id, before=before, after={"intake": row.id}
    )
    row.party_id, row.campaign_id, row.matched_by = party.id, party.campaign_id, "staff"
    row.problems = []
    hand_in = HandIn(
        party=party,
        channel="mail",
        received_at=row.received_at,
        files=files,
        intake=row,
        subject=new_words(row.subject, subjects_to(session, party.id)),
        entered_by=act.actor,
        grounds=said,
        deliverable=key,
        occasion=f"decision:{decision.id}",
    )
    taken = take_in(session, premises, act, hand_in)
    if taken.problems and not taken.recorded:
        raise ValueError(f"nothing of {number} could be taken in for {party.code}: {'; '.join(taken.reasons)}")
    state = IntakeState.QUEUED if taken.problems else IntakeState.DONE
    kind = IntakeKind.HAND_IN if taken.recorded else IntakeKind.DUPLICATE
    reason = "; ".join((f"assigned: {said}", *taken.reasons))
    settle(row, kind=kind, state=state, reason=reason, problems=taken.problems)
    return taken


def _queued(session: Session, number: str) -> IntakeRow:
    row = find_incoming(session, number)
    if row.state != IntakeState.QUEUED:
        raise ValueError(f"{number} does not wait for a person any more: {row.state}, {row.reason or row.kind}")
    return row


def _unplaced(session: Session, premises: Premises, row: IntakeRow) -> tuple[IncomingFile, ...]:
    """Return the files of a mail that make up no version yet; of one that broke our code, those read from its bytes."""
    kept = session.scalars(select(FileRow).where(FileRow.intake_id == row.id).order_by(FileRow.id)).all()
    placed = {file.sha256 for file in kept if file.submission_id is not None}
    left = {file.sha256: file.name for file in kept if file.sha256 not in placed}
    if kept or not row.raw_sha256:
        known = {file.sha256 for file in kept} | _handed_in(session, row)
        files = (IncomingFile(name=name, content=premises.files.get(hash_)) for hash_, name in left.items())
        return tuple(file for file in files if not _is_unfolded(file, known))
    mail = parse_mail(premises.files.get(row.raw_sha256))
    return tuple(IncomingFile(name=a.file_name, content=a.content) for a in mail.attachments)


def _handed_in(session: Session, row: IntakeRow) -> set[str]:
    """Return what the unit of a mail has handed in, by hash."""
    query = (
        select(FileRow.sha256)
        .join(SubmissionRow, SubmissionRow.id == FileRow.submission_id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .where(ObligationRow.party_id == row.party_id)
    )
    return set(session.scalars(query)) if row.party_id is not None else set()


def _is_unfolded(file: IncomingFile, known: Collection[str]) -> bool:
    """Whether a file is a .zip of which every file is on record by itself."""
    if sniff(file.content) is not FileKind.ZIP:
        return False
    try:
        inner = SANDBOX.unpack(file.content)
    except UnreadableWorkbook:
        return False
    return bool(inner) and all(sha256(one.content).hexdigest() in known for one in inner)


def answer(
    session: Session, premises: Premises, act: Act, number: str, text: str, *, campaign: str | None = None
) -> MessageRow:
    """Write to whoever sent a queued mail, and close its row.

    Raises:
        UnknownMessage: there is no such mail.
        ValueError: it does not wait, has no sender to write to, or there is no text.

    """
    row = _queued(session, number)
    said = text.strip()
    if not said:
        raise ValueError("say what to answer")
    address = row.from_address.strip().lower()
    if not ADDRESS.fullmatch(address) or address == premises.intake_address.lower():
        raise ValueError(
            f"{number} names no sender to write to ({row.from_address or 'none'}); telephone, or dismiss it"
        )
    party = _addressee(session, row, campaign)
    contact = _correspondent(session, act, party, address)
    decision = record_decision(
        session,
        act,
        party.campaign_id,
        ANSWERED,
        f"answered {number}",
        party_id=party.id,
        before={"mail": row.id, "subject": row.subject},
        after={"said": keepable(said), "to": address},
    )
    detail = {"contact": contact.id, "answers": row.id}
    new = NewMessage(party_id=party.id, notice="answer", occasion=f"decision:{decision.id}", detail=detail)
    [planned] = plan_messages(session, act, party.campaign_id, premises.mail_domain, [new])
    settle(row, kind=row.kind, state=IntakeState.DONE, reason=f"answered by mail {planned.id}", problems=row.problems)
    return planned


def _addressee(session: Session, row: IntakeRow, campaign: str | None) -> PartyRow:
    """Return the party in whose name an answer is written: the unit, or for a stranger the office itself."""
    if row.party_id is not None:
        return session.get_one(PartyRow, row.party_id)
    if campaign is not None:
        return office_of(session, find_campaign(session, campaign).id)
    open_ones = session.scalars(select(CampaignRow).where(CampaignRow.state != CampaignState.CLOSED)).all()
    if len(open_ones) != 1:
        raise ValueError(f"say for which campaign {number_of(row)} is answered, with --campaign")
    return office_of(session, open_ones[0].id)


def _correspondent(session: Session, act: Act, party: PartyRow, address: str) -> ContactRow:
    """Return the contact at an address; somebody unknown becomes a correspondent, to whom nothing else is written."""
    known = next((c for c in contacts_of(session, party.id) if c.address == address), None)
    if known is not None:
        return known
    contact = ContactRow(party_id=party.id, role=CORRESPONDENT, **fitting(ContactRow, address=address), **written(act))
    session.add(contact)
    session.flush()
    return contact


def dismiss(session: Session, act: Act, number: str, grounds: str) -> IntakeRow:
    """Close a queued mail that asks for nothing.

    Raises:
        UnknownMessage: there is no such mail.
        ValueError: it does not wait, or there are no grounds.

    """
    row = _queued(session, number)
    said = grounds_of(grounds, "it is dismissed")
    if row.campaign_id is not None:
        record_decision(
            session,
            act,
            row.campaign_id,
            DISMISSED,
            said,
            party_id=row.party_id,
            before={"mail": row.id, "why": row.reason},
        )
    else:
        detail = {"mail": row.id, "why": row.reason, "grounds": said}
        audit.append(session, act, f"decision.{DISMISSED}", detail)
    settle(row, kind=row.kind, state=IntakeState.DONE, reason=f"dismissed: {said}", problems=row.problems)
    return row
