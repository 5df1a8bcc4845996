"""Documents of which a unit was asked what they are, and its answer: the name in the subject of its next mail."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import DeliverableKind
from ledger.tables import (
    CampaignRow,
    FileRow,
    IntakeRow,
    IntakeState,
    MessageRow,
    ObligationRow,
    PartyRow,
    SubmissionRow,
)
from office.destination import DOCUMENTS, IncomingFile
from office.premises import Premises
from office.rulebook import rulebook_of
from rules.subjects import is_just_a_name, named_in

RECENT_SUBJECTS = 50


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The documents of an earlier mail that could not be placed; ``nothing_else`` keeps that mail in the queue."""

    row: IntakeRow
    code: str
    files: tuple[IncomingFile, ...]
    nothing_else: bool


def subjects_to(session: Session, party_id: int) -> list[str]:
    """Return the subjects of our latest mails to a party, as its mail program may quote them."""
    query = (
        select(MessageRow.subject)
        .where(MessageRow.party_id == party_id, MessageRow.subject.is_not(None))
        .order_by(MessageRow.id.desc())
        .limit(RECENT_SUBJECTS)
    )
    return [subject for subject in session.scalars(query) if subject]


def names_to(session: Session, party: PartyRow) -> list[str]:
    """Return the names that a unit may give in a subject: of what is to be reported, and its own."""
    campaign = rulebook_of(session.get_one(CampaignRow, party.campaign_id)).campaign
    return [party.name, *(name for d in campaign.deliverables for name in (d.title, d.label) if name)]


def documents_asked_about(session: Session, premises: Premises, party: PartyRow, words: str) -> Pending | None:
    """Return the documents that some words name, and do nothing else: those of the unit's latest mail that has such.

    What makes up a version by now was named before.
    """
    campaign = rulebook_of(session.get_one(CampaignRow, party.campaign_id)).campaign
    documents = [(d.key, (d.title, d.label)) for d in campaign.deliverables if d.kind is DeliverableKind.DOCUMENT]
    if len(named_in(words, documents)) != 1 or not is_just_a_name(words, names_to(session, party)):
        return None
    placed = (
        select(FileRow.sha256)
        .join(SubmissionRow, SubmissionRow.id == FileRow.submission_id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .where(ObligationRow.party_id == party.id)
    )
    query = (
        select(IntakeRow, FileRow)
        .join(FileRow, FileRow.intake_id == IntakeRow.id)
        .where(IntakeRow.party_id == party.id, IntakeRow.state == IntakeState.QUEUED, FileRow.submission_id.is_(None))
        .order_by(IntakeRow.id.desc(), FileRow.id)
    )
    kinds = [str(kind) for kind in DOCUMENTS]
    found = [(row, file) for row, file in session.execute(query)]
    used = set(session.scalars(placed)) if found else set()
    latest = next((row for row, file in found if file.kind in kinds and file.sha256 not in used), None)
    if latest is None:
        return None
    mine = [file for row, file in found if row.id == latest.id]
    files = tuple(
        IncomingFile(name=file.name, content=premises.files.get(file.sha256))
        for file in mine
        if file.kind in kinds and file.sha256 not in used
    )
    left = sum(file.sha256 not in used for file in mine)
    return Pending(row=latest, code=party.code, files=files, nothing_else=len(files) == left)
