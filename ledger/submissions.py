"""Verbs on what came in: mails as they are fetched, and the submissions made of them."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, String, cast, func, insert, select
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.tables import (
    FigureRow,
    FileRow,
    FindingRow,
    IntakeRow,
    IntakeState,
    ObligationRow,
    SubmissionRow,
)
from ledger.tables.base import Base, table_of
from rules.forms import Checked
from rules.obligations import SubmissionState

JUDGED = {state: EventKind(f"muster.submission.{state}") for state in SubmissionState}
NOT_KEPT = re.compile("[\0\ud800-\udfff]")  # what PostgreSQL keeps in no text, and UTF-8 knows no bytes for


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """A file whose bytes are in the file store."""

    sha256: str
    name: str
    kind: str
    size: int


@dataclass(frozen=True, kw_only=True)
class NewSubmission:
    """A version to be recorded."""

    obligation: ObligationRow
    channel: str
    received_at: datetime
    state: SubmissionState
    file: KeptFile | None  # None: a nil return, which has none
    checked: Checked | None = None
    intake_id: int | None = None
    entered_by: str = ""
    grounds: str = ""


def fitting(model: type[Base], **texts: str) -> dict[str, str]:
    """Return texts from outside as their columns can hold them: PostgreSQL refuses what SQLite lets pass."""
    columns = table_of(model).c
    return {name: keepable(text)[: _length(columns[name].type)] for name, text in texts.items()}


def keepable(text: str) -> str:
    """Return a text without the characters that no database keeps."""
    return NOT_KEPT.sub("", text)


def _length(kind: object) -> int | None:
    return kind.length if isinstance(kind, String) else None


def answered_by(session: Session, obligation_ids: Collection[int], sha256: str) -> dict[int, bool]:
    """Return the obligations that some bytes were handed in for, and whether they stand there.

    They stand if they make up the latest version and it was not returned: to hand them in again would change nothing.
    """
    latest = (
        select(SubmissionRow.obligation_id, func.max(SubmissionRow.version).label("version"))
        .where(SubmissionRow.obligation_id.in_(obligation_ids))
        .group_by(SubmissionRow.obligation_id)
        .subquery()
    )
    query = (
        select(SubmissionRow.obligation_id, SubmissionRow.version, SubmissionRow.state, latest.c.version)
        .join(FileRow, FileRow.submission_id == SubmissionRow.id)
        .join(latest, latest.c.obligation_id == SubmissionRow.obligation_id)
        .where(FileRow.sha256 == sha256)
    )
    stands: dict[int, bool] = {}
    for obligation_id, version, state, last in session.execute(query):
        here = version == last and state != SubmissionState.RETURNED
        stands[obligation_id] = stands.get(obligation_id, False) or here
    return stands


def record_submission(session: Session, act: Act, new: NewSubmission) -> SubmissionRow:
    """Record one version with its file, findings and figures, and the audit entry that names the file's hash."""
    latest = session.scalar(
        select(func.max(SubmissionRow.version)).where(SubmissionRow.obligation_id == new.obligation.id)
    )
    row = SubmissionRow(
        obligation_id=new.obligation.id,
        version=(latest or 0) + 1,
        received_at=new.received_at,
        state=new.state,
        intake_id=new.intake_id,
        **fitting(SubmissionRow, channel=new.channel, entered_by=new.entered_by or act.actor, grounds=new.grounds),
        **written(act),
    )
    session.add(row)
    session.flush()
    file = record_file(session, act, new.file, submission_id=row.id, intake_id=new.intake_id) if new.file else None
    if new.checked is not None and file is not None:
        _record_checked(session, act, row.id, file.id, new.checked)
    detail = {
        "submission": row.id,
        "obligation": new.obligation.id,
        "version": row.version,
        "state": str(new.state),
        "channel": new.channel,
        "received_at": new.received_at.isoformat(),
        "file": new.file.sha256 if new.file else None,
        "grounds": keepable(new.grounds),
    }
    audit.append(
        session,
        act,
        f"submission.{new.state}",
        detail,
        campaign_id=new.obligation.campaign_id,
        party_id=new.obligation.party_id,
    )
    told = {key: detail[key] for key in ("submission", "obligation", "version", "channel")}
    for kind in (EventKind.RECEIVED, JUDGED[new.state]):
        note(session, act, kind, told, new.obligation.campaign_id)
    return row


def record_file(
    session: Session, act: Act, file: KeptFile, *, submission_id: int | None, intake_id: int | None
) -> FileRow:
    """Record a file as it came, with the submission it makes up or only the mail it came in."""
    row = FileRow(
        submission_id=submission_id,
        intake_id=intake_id,
        sha256=file.sha256,
        size=file.size,
        **fitting(FileRow, name=file.name, kind=file.kind),
        **written(act),
    )
    session.add(row)
    session.flush()
    return row


def _record_checked(session: Session, act: Act, submission_id: int, file_id: int, checked: Checked) -> None:
    if checked.findings:
        findings = [
            {
                "submission_id": submission_id,
                "severity": f.severity,
                "code": f.code,
                "params": {name: keepable(value) for name, value in f.params.items()},
                **fitting(
                    FindingRow, sheet=f.sheet, cell=f.cell, row=f.row, column=f.column, field=f.field, read=f.read
                ),
                **written(act),
            }
            for f in checked.findings
        ]
        session.execute(insert(FindingRow), findings)
    if checked.figures:
        figures = [
            {
                "submission_id": submission_id,
                "file_id": file_id,
                "number": f.number,
                "text": None if f.text is None else fitting(FigureRow, text=f.text)["text"],
                **fitting(FigureRow, row=f.row, column=f.column, sheet=f.sheet, cell=f.cell),
                **written(act),
            }
            for f in checked.figures
        ]
        session.execute(insert(FigureRow), figures)


def is_fetched(session: Session, mailbox: str, uid_validity: str, uid: str) -> bool:
    """Whether a mail was fetched before."""
    query = select(IntakeRow.id).where(
        IntakeRow.mailbox == mailbox, IntakeRow.uid_validity == uid_validity, IntakeRow.uid == uid
    )
    return session.scalar(query) is not None


def last_uid(session: Session, mailbox: str, uid_validity: str) -> int:
    """Return the highest number on record under a mailbox's numbering; 0 if there is none."""
    query = select(func.max(cast(IntakeRow.uid, BigInteger))).where(
        IntakeRow.mailbox == mailbox, IntakeRow.uid_validity == uid_validity
    )
    return session.scalar(query) or 0


def under_another_number(session: Session, mailbox: str, uid_validity: str, raw_sha256: str) -> IntakeRow | None:
    """Return the row of the same mail, byte for byte, from before a mailbox was numbered anew."""
    query = (
        select(IntakeRow)
        .where(IntakeRow.mailbox == mailbox, IntakeRow.uid_validity != uid_validity, IntakeRow.raw_sha256 == raw_sha256)
        .limit(1)
    )
    return session.scalar(query)


def waiting_intake(session: Session, campaign_id: int, limit: int) -> list[IntakeRow]:
    """Return a campaign's mails that were fetched and not yet looked at, oldest first."""
    query = (
        select(IntakeRow)
        .where(IntakeRow.campaign_id == campaign_id, IntakeRow.state == IntakeState.WAITING)
        .order_by(IntakeRow.received_at, IntakeRow.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def settle(row: IntakeRow, *, kind: str, state: IntakeState, reason: str = "", problems: Sequence[str] = ()) -> None:
    """Say what became of a mail."""
    row.kind = kind
    row.state = state
    row.reason = fitting(IntakeRow, reason=reason)["reason"]
    row.problems = [keepable(problem) for problem in problems]
