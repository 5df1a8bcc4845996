"""Mail as it came in, before anybody knows what it is."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class IntakeState(StrEnum):
    """What became of a mail."""

    WAITING = "waiting"  # fetched, not looked at
    DONE = "done"  # recorded and answered, or needs no answer
    QUEUED = "queued"  # waits for a person


class IntakeKind(StrEnum):
    """What a mail turned out to be."""

    HAND_IN = "hand_in"
    DUPLICATE = "duplicate"
    BOUNCE = "bounce"
    AUTO_REPLY = "auto_reply"
    UNMATCHED = "unmatched"  # no token, no known sender
    UNREADABLE = "unreadable"
    QUESTION = "question"  # from a unit, with nothing that can be recorded


class IntakeRow(Written, Base):
    """One mail fetched from a mailbox; the raw bytes are kept by sha256. Never deleted."""

    __tablename__ = "intake"
    __table_args__ = (UniqueConstraint("mailbox", "uid_validity", "uid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    mailbox: Mapped[str] = mapped_column(String(200))
    uid_validity: Mapped[str] = mapped_column(String(32), default="")
    uid: Mapped[str] = mapped_column(String(200))
    raw_sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]
    received_at: Mapped[datetime]
    from_address: Mapped[str] = mapped_column(String(320), default="")
    subject: Mapped[str] = mapped_column(String(500), default="")
    message_id: Mapped[str] = mapped_column(String(500), default="")
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"), index=True)
    party_id: Mapped[int | None] = mapped_column(ForeignKey("parties.id"))
    matched_by: Mapped[str] = mapped_column(String(32), default="")
    from_known: Mapped[bool] = mapped_column(default=False)
    kind: Mapped[str] = mapped_column(String(16), default="")
    state: Mapped[str] = mapped_column(String(16), default=IntakeState.WAITING, index=True)
    reason: Mapped[str] = mapped_column(String(500), default="")
    problems: Mapped[list[Any]]  # sentences for the unit about files that could not be recorded
