"""The desk: what units ask for, what was decided and approved, who was called, and what is to be told to Prefect."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
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


class ApprovalState(StrEnum):
    """What became of a list that staff are asked about."""

    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"
    LAPSED = "lapsed"  # a later day's list took its place, or nothing was left of it


class ApprovalRow(Written, Base):
    """An occasion that waits for staff's consent: the list that is shown, and what was said to it.

    ``shown`` are [party, obligation, due instant] of the day on which it was asked for; ``again_at`` of a declined
    one is when staff are asked again.
    """

    __tablename__ = "approvals"
    __table_args__ = (UniqueConstraint("campaign_id", "occasion"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    occasion: Mapped[str] = mapped_column(String(64))
    rung: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default=ApprovalState.ASKED)
    shown: Mapped[list[Any]]
    shown_digest: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(100), default="")
    grounds: Mapped[str] = mapped_column(String(1000), default="")
    decided_at: Mapped[datetime | None]
    again_at: Mapped[datetime | None]


class AcknowledgementRow(Written, Base):
    """What a party that was told on a rung promises: by when, for which obligations. The last of a rung counts.

    ``items`` are [obligation, due instant]; ``until`` is the first instant at which the promise is broken.
    """

    __tablename__ = "acknowledgements"

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("parties.id"), index=True)
    rung: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime]
    items: Mapped[list[Any]]
    actor: Mapped[str] = mapped_column(String(100))


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
    """An event to be told to Prefect: written with its cause, told after the commit, at least once.

    ``told_at`` is when the bundle it was told in was known to have arrived.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_untold", "id", sqlite_where=text("told_at IS NULL"), postgresql_where=text("told_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"))
    name: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]]
    bundle_id: Mapped[str | None] = mapped_column(String(36))
    told_at: Mapped[datetime | None]


class BundleRow(Written, Base):
    """Events of one kind, campaign and origin that are told as one, under the id that Prefect knows them by.

    ``emitted_at`` is when it was sent last, ``listed_at`` when Prefect was seen to have it.
    """

    __tablename__ = "bundles"
    __table_args__ = (
        Index("ix_bundles_recorded_at", "recorded_at"),
        Index(
            "ix_bundles_unlisted",
            "recorded_at",
            sqlite_where=text("listed_at IS NULL"),
            postgresql_where=text("listed_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"))
    name: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(8))
    count: Mapped[int]
    payload: Mapped[dict[str, Any]]
    occurred_at: Mapped[datetime]
    emitted_at: Mapped[datetime | None]
    listed_at: Mapped[datetime | None]
