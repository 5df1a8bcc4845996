"""What is a unit's own: everything that a page names by a number is looked up here, and nowhere else."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables import (
    DeliverableRow,
    FileRow,
    FindingRow,
    IntakeRow,
    MessageRow,
    ObligationRow,
    PartyRow,
    SubmissionRow,
)


class NotYoursError(LookupError):
    """There is no such thing of this unit's; whether it is another's is nobody's business."""


def own_obligation(session: Session, party: PartyRow, obligation_id: int) -> ObligationRow:
    """Return an obligation of a unit.

    Raises:
        NotYoursError: the unit has none of that number.

    """
    row = session.get(ObligationRow, obligation_id)
    if row is None or row.party_id != party.id:
        raise NotYoursError
    return row


def deliverable_key(session: Session, obligation: ObligationRow) -> str:
    """Return the key of the deliverable that an obligation is of."""
    return session.get_one(DeliverableRow, obligation.deliverable_id).key


def own_intake(session: Session, party: PartyRow, intake_id: int) -> IntakeRow:
    """Return what a unit handed in at once.

    Raises:
        NotYoursError: the unit handed in nothing of that number.

    """
    row = session.get(IntakeRow, intake_id)
    if row is None or row.party_id != party.id:
        raise NotYoursError
    return row


def submissions_of(session: Session, intake: IntakeRow) -> set[int]:
    """Return the numbers of the versions that one hand-in made."""
    return set(session.scalars(select(SubmissionRow.id).where(SubmissionRow.intake_id == intake.id)))


def is_answered_by_mail(session: Session, intake: IntakeRow) -> bool:
    """Whether a mail tells what became of a hand-in; of what was refused on the page, none does."""
    query = select(MessageRow.id).where(
        MessageRow.campaign_id == intake.campaign_id,
        MessageRow.party_id == intake.party_id,
        MessageRow.occasion == f"intake:{intake.id}",
    )
    return session.scalar(query.limit(1)) is not None


def own_file(session: Session, party: PartyRow, file_id: int) -> FileRow:
    """Return a file that a unit handed in.

    Raises:
        NotYoursError: the unit handed in none of that number.

    """
    query = (
        select(FileRow)
        .join(SubmissionRow, SubmissionRow.id == FileRow.submission_id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .where(FileRow.id == file_id, ObligationRow.party_id == party.id)
    )
    row = session.scalar(query)
    if row is None:
        raise NotYoursError
    return row


def own_finding(session: Session, party: PartyRow, finding_id: int) -> tuple[FindingRow, int]:
    """Return a finding in a unit's hand-in, and the obligation it belongs to.

    Raises:
        NotYoursError: the unit's hand-ins have none of that number.

    """
    query = (
        select(FindingRow, ObligationRow.id)
        .join(SubmissionRow, SubmissionRow.id == FindingRow.submission_id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .where(FindingRow.id == finding_id, ObligationRow.party_id == party.id)
    )
    found = session.execute(query).first()
    if found is None:
        raise NotYoursError
    return found[0], found[1]
