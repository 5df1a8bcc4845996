"""The desk: what units ask for, what was decided and approved, who was called, and what is to be told to Prefect."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class RequestRow(Written, Base):
    """What a unit asks for: extension, change of contact."""

    __tablename__ = "requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("parties.id"))
    obligation_id: Mapped[int | None] = mapped_column(ForeignKey("obligations.id"))
    kind: Mapped[str] = mapped_column(String(32))
    asked_at: Mapped[datetime]
    wish: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(String(1000))
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"))


class DecisionRow(Written, Base):
    """An act with actor, moment and grounds; reversed by a later one, never erased."""

    __tablename__ = "decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    party_id: Mapped[int | None] = mapped_column(ForeignKey("parties.id"))
    obligation_id: Mapped[int | None] = mapped_column(ForeignKey("obligations.id"))
    kind: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(100))
    grounds: Mapped[str] = mapped_column(String(1000))
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    reverses: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"))


class ApprovalRow(Written, Base):
    """Staff's consent to an occasion, with the list that was shown (as digest) when it was given."""

    __tablename__ = "approvals"

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    occasion: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(100))
    shown_digest: Mapped[str] = mapped_column(String(64))
    grounds: Mapped[str] = mapped_column(String(1000), default="")


class CallRow(Written, Base):
    """A telephone call with a party, about one obligation or in general."""

    __tablename__ = "calls"

    id: Mapped[int] = mapped_column(primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("parties.id"), index=True)
    obligation_id: Mapped[int | None] = mapped_column(ForeignKey("obligations.id"))
    actor: Mapped[str] = mapped_column(String(100))
    called_at: Mapped[datetime]
    said: Mapped[str] = mapped_column(String(1000))


class EventRow(Written, Base):
    """An event to be told to Prefect: written with its cause, told after the commit, at least once."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_untold", "id", sqlite_where=text("told_at IS NULL"), postgresql_where=text("told_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"))
    name: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]]
    told_at: Mapped[datetime | None]
