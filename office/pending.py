"""Documents of which a unit was asked what they are, and its answer: the name in the subject of its next mail."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import DeliverableKind
from ledger.acts import Act
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import CampaignRow, FileRow, IntakeRow, IntakeState, MessageRow, PartyRow
from office.destination import DOCUMENTS, IncomingFile
from office.premises import Premises
from office.rulebook import rulebook_of
from rules.subjects import named_in

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


def documents_asked_about(session: Session, premises: Premises, party: PartyRow, words: str) -> Pending | None:
    """Return the documents that some words name: those of the unit's latest mail in the queue that has such."""
    campaign = rulebook_of(session.get_one(CampaignRow, party.campaign_id)).campaign
    documents = [(d.key, (d.title, d.label)) for d in campaign.deliverables if d.kind is DeliverableKind.DOCUMENT]
    if len(named_in(words, documents)) != 1:
        return None
    query = (
        select(IntakeRow, FileRow)
        .join(FileRow, FileRow.intake_id == IntakeRow.id)
        .where(IntakeRow.party_id == party.id, IntakeRow.state == IntakeState.QUEUED, FileRow.submission_id.is_(None))
        .order_by(IntakeRow.id.desc(), FileRow.id)
    )
    kinds = [str(kind) for kind in DOCUMENTS]
    found = [(row, file) for row, file in session.execute(query)]
    latest = next((row for row, file in found if file.kind in kinds), None)
    if latest is None:
        return None
    mine = [file for row, file in found if row.id == latest.id]
    files = tuple(
        IncomingFile(name=file.name, content=premises.files.get(file.sha256)) for file in mine if file.kind in kinds
    )
    return Pending(row=latest, code=party.code, files=files, nothing_else=len(files) == len(mine))


def plan_answer(session: Session, premises: Premises, act: Act, row: IntakeRow, notice: str) -> str:
    """Plan an answer to a mail of which nothing was recorded; return its notice."""
    party = session.get_one(PartyRow, row.party_id)
    answer = NewMessage(party_id=party.id, notice=notice, occasion=f"intake:{row.id}")
    plan_messages(session, act, party.campaign_id, premises.mail_domain, [answer])
    return notice
