"""Obligations and what was handed in for them: submissions, files, findings, figures."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class ObligationRow(Written, Base):
    """Unit × deliverable × occurrence, frozen when made. No due instant: voluntary."""

    __tablename__ = "obligations"
    __table_args__ = (UniqueConstraint("party_id", "deliverable_id", "occurrence"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("parties.id"))
    deliverable_id: Mapped[int] = mapped_column(ForeignKey("deliverables.id"))
    occurrence: Mapped[str] = mapped_column(String(64))
    due_at: Mapped[datetime | None]
    chase_from: Mapped[datetime]
    exempt_at: Mapped[datetime | None]
    original_at: Mapped[datetime | None]  # when the sealed original on paper came, where one is asked for


class SubmissionRow(Written, Base):
    """One version handed in for an obligation."""

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("obligation_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    obligation_id: Mapped[int] = mapped_column(ForeignKey("obligations.id"))
    version: Mapped[int]
    channel: Mapped[str] = mapped_column(String(16))  # mail, portal, phone, paper
    received_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16))
    intake_id: Mapped[int | None] = mapped_column(ForeignKey("intake.id"), index=True)
    entered_by: Mapped[str] = mapped_column(String(100))
    grounds: Mapped[str] = mapped_column(String(1000), default="")


class FileRow(Written, Base):
    """A file as it came: name, size, and the sha256 under which its bytes are kept."""

    __tablename__ = "files"

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("submissions.id"), index=True)
    intake_id: Mapped[int | None] = mapped_column(ForeignKey("intake.id"), index=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(300))
    kind: Mapped[str] = mapped_column(String(16))
    size: Mapped[int]


class FindingRow(Written, Base):
    """One fault or query in a submission."""

    __tablename__ = "findings"

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("submissions.id"), index=True)
    severity: Mapped[str] = mapped_column(String(8))
    code: Mapped[str] = mapped_column(String(32))
    sheet: Mapped[str] = mapped_column(String(100))
    cell: Mapped[str] = mapped_column(String(16))
    row: Mapped[str] = mapped_column(String(64))
    column: Mapped[str] = mapped_column(String(64))
    field: Mapped[str] = mapped_column(String(300))
    read: Mapped[str] = mapped_column(String(500))
    params: Mapped[dict[str, Any]]


class FigureRow(Written, Base):
    """A value taken from a submission, with the file, sheet and cell it stands in."""

    __tablename__ = "figures"

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("submissions.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id"))
    row: Mapped[str] = mapped_column(String(64))
    column: Mapped[str] = mapped_column(String(64))
    number: Mapped[float | None] = mapped_column(Numeric(20, 4, asdecimal=False))
    text: Mapped[str | None] = mapped_column(String(4000))
    sheet: Mapped[str] = mapped_column(String(100))
    cell: Mapped[str] = mapped_column(String(16))


class AnswerRow(Written, Base):
    """What became of a finding that asked: its proposed value confirmed, or another given, or the matter explained."""

    __tablename__ = "answers"

    id: Mapped[int] = mapped_column(primary_key=True)
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), unique=True)
    actor: Mapped[str] = mapped_column(String(100))
    number: Mapped[float | None] = mapped_column(Numeric(20, 4, asdecimal=False))
    text: Mapped[str] = mapped_column(String(1000), default="")


class DraftRow(Written, Base):
    """What a unit has typed into a web form and not handed in yet: one draft an obligation."""

    __tablename__ = "drafts"

    id: Mapped[int] = mapped_column(primary_key=True)
    obligation_id: Mapped[int] = mapped_column(ForeignKey("obligations.id"), unique=True)
    entries: Mapped[dict[str, Any]]  # text as typed, by "row.column"
