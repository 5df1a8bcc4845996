"""The outbox: messages, the items they name, and every attempt to send them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class MessageState(StrEnum):
    """The life of a message."""

    PLANNED = "planned"
    CLAIMED = "claimed"  # a sender has it; from here on it may have left
    SENT = "sent"
    DEFERRED = "deferred"  # the peer asked to come again
    REFUSED = "refused"  # the peer will not take it, or there is nobody to write to
    BOUNCED = "bounced"  # taken, then returned
    AMBIGUOUS = "ambiguous"  # lost after the final dot: nobody can tell; not re-sent by guess
    SUPERSEDED = "superseded"  # nothing left to say, or a later one says it
    EXPIRED = "expired"
    HELD = "held"


WAITS = "state IN ('planned', 'deferred')"
IS_CLAIMED = "state = 'claimed'"
ASTRAY = "state IN ('refused', 'bounced', 'ambiguous')"
CAUSED = "caused_by IS NOT NULL"
BY_A_RUN = "flow_run_id IS NOT NULL"
CHASES = "mail_class = 'chase'"
GONE = (MessageState.SUPERSEDED, MessageState.EXPIRED)
UNTOLD = (MessageState.REFUSED, MessageState.BOUNCED, *GONE)


class MailClass(StrEnum):
    """Three classes of mail, each with its own limits."""

    REPLY = "reply"  # receipt, findings, answers: at once, outside cap and window
    CHASE = "chase"  # reminder, escalation: window and daily cap
    BULK = "bulk"  # launch, announcement, closing: window


class MessageRow(Written, Base):
    """One notice to one recipient. The address is a column, not a key: it is chosen at the first claim."""

    __tablename__ = "messages"
    __table_args__ = (
        Index(
            "uq_messages_occasion",
            "campaign_id",
            "party_id",
            "notice",
            "occasion",
            "generation",
            unique=True,
            sqlite_where=text("state NOT IN ('superseded', 'expired')"),
            postgresql_where=text("state NOT IN ('superseded', 'expired')"),
        ),
        # The queue as senders read it: in order, only what waits.
        Index(
            "ix_messages_queue",
            "campaign_id",
            "priority",
            "id",
            sqlite_where=text(WAITS),
            postgresql_where=text(WAITS),
        ),
        # What some sender has; few rows, asked for with every claim.
        Index("ix_messages_claimed", "id", sqlite_where=text(IS_CLAIMED), postgresql_where=text(IS_CLAIMED)),
        # What needs a second look: another contact, a person's word.
        Index("ix_messages_astray", "campaign_id", "state", sqlite_where=text(ASTRAY), postgresql_where=text(ASTRAY)),
        Index("ix_messages_caused_by", "caused_by", sqlite_where=text(CAUSED), postgresql_where=text(CAUSED)),
        Index("ix_messages_chased", "address", "sent_as_of", sqlite_where=text(CHASES), postgresql_where=text(CHASES)),
        # What a run wrote and tried, for its page; what `muster serve` sends bears no run.
        Index("ix_messages_run", "flow_run_id", sqlite_where=text(BY_A_RUN), postgresql_where=text(BY_A_RUN)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("parties.id"))
    notice: Mapped[str] = mapped_column(String(32))
    occasion: Mapped[str] = mapped_column(String(64))
    generation: Mapped[int] = mapped_column(default=0)
    caused_by: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))
    mail_class: Mapped[str] = mapped_column(String(8))
    priority: Mapped[int]
    message_id: Mapped[str] = mapped_column(String(120), unique=True)
    state: Mapped[str] = mapped_column(String(16), default=MessageState.PLANNED)
    reason: Mapped[str] = mapped_column(String(300), default="")
    not_before: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    detail: Mapped[dict[str, Any]]  # what composing needs beyond the items: file hashes, problems of a mail
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    address: Mapped[str | None] = mapped_column(String(320))
    lane: Mapped[str | None] = mapped_column(String(32))
    subject: Mapped[str | None] = mapped_column(String(500))
    dated_at: Mapped[datetime | None]
    raw_sha256: Mapped[str | None] = mapped_column(String(64))  # of the exact bytes that left or were to leave
    skeleton_sha256: Mapped[str | None] = mapped_column(String(64))  # what they share with others of their step
    fields: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # and what is this recipient's own
    claimed_by: Mapped[str | None] = mapped_column(String(64))  # the sender that has or had it
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    sent_as_of: Mapped[datetime | None]


class ItemRow(Written, Base):
    """Message ↔ obligation ↔ rung: what a mail says of what. ``gone`` once superseded or expired.

    Like attempts it names its neighbours without foreign keys: both are written by the ten thousand, only by the
    ledger's verbs, and none of their neighbours is ever deleted.
    """

    __tablename__ = "items"
    __table_args__ = (
        Index(
            "uq_items_rung",
            "party_id",
            "obligation_id",
            "rung",
            "due_at",
            "generation",
            unique=True,
            sqlite_where=text("NOT gone"),
            postgresql_where=text("NOT gone"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(index=True)
    party_id: Mapped[int]
    obligation_id: Mapped[int] = mapped_column(index=True)
    rung: Mapped[str] = mapped_column(String(64))
    due_at: Mapped[datetime | None]
    generation: Mapped[int] = mapped_column(default=0)
    gone: Mapped[bool] = mapped_column(default=False)


class AttemptRow(Written, Base):
    """One change of a message's state; append-only. ``batch`` is the group that one audit entry vouches for."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("ix_attempts_run", "flow_run_id", sqlite_where=text(BY_A_RUN), postgresql_where=text(BY_A_RUN)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(index=True)
    batch: Mapped[str] = mapped_column(String(32), index=True)
    state: Mapped[str] = mapped_column(String(16))
    address: Mapped[str | None] = mapped_column(String(320))
    smtp_code: Mapped[int | None]
    smtp_text: Mapped[str] = mapped_column(String(1000), default="")
    lane: Mapped[str | None] = mapped_column(String(32))
