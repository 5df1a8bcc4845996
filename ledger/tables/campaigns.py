"""Campaigns with their frozen definition, the parties that take part, their contacts, the deliverables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class CampaignState(StrEnum):
    """Where a campaign stands."""

    LAUNCHED = "launched"
    PAUSED = "paused"  # nothing is chased, nothing sent in bulk; replies go, hand-ins are taken
    CLOSED = "closed"


class PartyKind(StrEnum):
    """What a party is. A superior is a unit or the office; it is no kind of its own."""

    UNIT = "unit"
    OFFICE = "office"


class CampaignRow(Written, Base):
    """One circular being carried out. ``definition`` is what was frozen at launch, ``digest`` its sha256."""

    __tablename__ = "campaigns"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(300))
    definition: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default=CampaignState.LAUNCHED)
    live: Mapped[bool] = mapped_column(default=False)  # the fence: False sends to the allow-list only
    latest_as_of: Mapped[datetime]


class PartyRow(Written, Base):
    """Anyone Muster writes to."""

    __tablename__ = "parties"
    __table_args__ = (UniqueConstraint("campaign_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    code: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(16))
    category: Mapped[str] = mapped_column(String(64), default="")
    superior_id: Mapped[int | None] = mapped_column(ForeignKey("parties.id"))
    department_id: Mapped[int | None]  # the party of its trade, which hears of it on a rung for departments
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    link_epoch: Mapped[int] = mapped_column(default=0, server_default="0")  # raised to revoke all its links


class ContactRow(Written, Base):
    """A person or mailbox of a party. ``rank`` orders contacts of one role; a bad one is passed over."""

    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("parties.id"), index=True)
    role: Mapped[str] = mapped_column(String(32))
    rank: Mapped[int] = mapped_column(default=0)
    name: Mapped[str] = mapped_column(String(100), default="")
    address: Mapped[str] = mapped_column(String(320), index=True)
    phone: Mapped[str] = mapped_column(String(64), default="")
    bad_since: Mapped[datetime | None]
    bad_reason: Mapped[str] = mapped_column(String(500), default="")
    soft_bounces: Mapped[int] = mapped_column(default=0, server_default="0")  # since the last mail that arrived
    soft_reason: Mapped[str] = mapped_column(String(500), default="", server_default="")


class DeliverableRow(Written, Base):
    """A kind of report."""

    __tablename__ = "deliverables"
    __table_args__ = (UniqueConstraint("campaign_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    key: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(16))
