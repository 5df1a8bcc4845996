"""What senders share: who is sending, the connections each holds, how the lanes stand, and what is on hold."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class SenderRow(Base):
    """A process that sends. Once ``lease_until`` (wall time) has passed, what it had claimed is judged by others."""

    __tablename__ = "senders"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int]
    flow_run_id: Mapped[str | None] = mapped_column(String(36))
    started_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    at_data: Mapped[list[int]] = mapped_column(JSON)  # the messages it may have begun to hand over


class SlotRow(Base):
    """The connections of a lane that a sender holds; they count while its lease runs."""

    __tablename__ = "lane_slots"

    lane: Mapped[str] = mapped_column(String(32), primary_key=True)
    sender: Mapped[str] = mapped_column(ForeignKey("senders.name", ondelete="CASCADE"), primary_key=True)
    connections: Mapped[int]


class LaneRow(Base):
    """How a lane stands, in wall time: its pace when it was last slowed, and the next free moment of its rate."""

    __tablename__ = "lanes"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    pace: Mapped[float] = mapped_column(default=1.0)
    slowed_at: Mapped[datetime | None]
    closed_until: Mapped[datetime | None]
    next_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(300), default="")


class HoldRow(Written, Base):
    """A stop put on sending, by staff (the kill switch) or by a rule (the relay refuses us). Lifted, never erased.

    ``scope`` is ``all``, ``campaign:<key>`` or ``lane:<name>``.
    """

    __tablename__ = "holds"

    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(String(100), index=True)
    actor: Mapped[str] = mapped_column(String(100))
    grounds: Mapped[str] = mapped_column(String(1000))
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str] = mapped_column(String(100), default="")
    lifted_grounds: Mapped[str] = mapped_column(String(1000), default="")
