"""The desk: what units ask for, what was decided, what was approved."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
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
