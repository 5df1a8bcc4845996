"""What was run: the steps that ended, and what the last drain of a campaign's queue left in it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class StepRunRow(Written, Base):
    """A step that ended well. ``step_at`` is the entry of the timetable it carried out, if one had come by then.

    ``superseded`` are the earlier ones that never ran and that it stands for: a run says what should have been said.
    """

    __tablename__ = "step_runs"
    __table_args__ = (Index("ix_step_runs_kind", "campaign_id", "kind", "as_of"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    kind: Mapped[str] = mapped_column(String(16))
    step_at: Mapped[datetime | None]
    superseded: Mapped[list[Any]]


class DrainRow(Written, Base):
    """What the last run that sent a campaign's mail has dealt with; whatever differs from it is news."""

    __tablename__ = "drains"

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    newest: Mapped[int]
    due: Mapped[int]
    live: Mapped[bool]
    stops: Mapped[int]
    closed: Mapped[int]
