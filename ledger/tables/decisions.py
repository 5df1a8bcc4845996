"""What decisions changed, value by value, and every definition under which a campaign ran."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class Changed(StrEnum):
    """What a decision can change; each is a column of an obligation, a party or a campaign."""

    DUE = "due_at"
    CHASE_FROM = "chase_from"
    EXEMPT = "exempt_at"
    ORIGINAL = "original_at"
    LEFT = "left_at"
    SUPERIOR = "superior_id"
    STATE = "state"
    DEFINITION = "digest"


class ChangeRow(Base):
    """One value before and after a decision, as text; append-only, and vouched for by the decision's audit entry.

    Of an obligation if that is named, else of a party, else of the campaign itself.
    """

    __tablename__ = "changes"
    __table_args__ = (
        Index("ix_changes_obligation", "obligation_id", "field"),
        Index("ix_changes_party", "party_id", "field"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), index=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    party_id: Mapped[int | None] = mapped_column(ForeignKey("parties.id"))
    obligation_id: Mapped[int | None] = mapped_column(ForeignKey("obligations.id"))
    field: Mapped[str] = mapped_column(String(16))
    before: Mapped[str | None] = mapped_column(String(64))
    after: Mapped[str | None] = mapped_column(String(64))


class DefinitionRow(Written, Base):
    """A definition that an amendment replaced or put in its place, by its digest."""

    __tablename__ = "definitions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    definition: Mapped[dict[str, Any]]
