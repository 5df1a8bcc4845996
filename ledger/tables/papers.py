"""Papers the office gives out: supervision orders (督办单) and circulations (通报), from draft to number."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class PaperKind(StrEnum):
    """What a paper is."""

    ORDER = "order"  # 督办单, to one unit
    CIRCULATION = "circulation"  # 通报, to all


class PaperState(StrEnum):
    """The life of a paper."""

    DRAFT = "draft"  # drafted, and renewed by each later drafting
    APPROVED = "approved"  # numbered, and planned to go out
    DROPPED = "dropped"  # nothing left to say, or staff dropped it


class PaperRow(Written, Base):
    """One paper. ``facts`` are the things it names; ``sha256`` its bytes as last drafted or as approved."""

    __tablename__ = "papers"
    __table_args__ = (UniqueConstraint("campaign_id", "kind", "year", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    party_id: Mapped[int | None] = mapped_column(ForeignKey("parties.id"))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default=PaperState.DRAFT)
    grade: Mapped[str] = mapped_column(String(8), default="")
    year: Mapped[int | None]
    number: Mapped[int | None]
    number_text: Mapped[str] = mapped_column(String(100), default="")
    name: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    facts: Mapped[dict[str, Any]]
    drafted_at: Mapped[datetime]  # by the campaign's clock: since when it waits, however often it is renewed
    reason: Mapped[str] = mapped_column(String(300), default="")  # why it was dropped
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"))
