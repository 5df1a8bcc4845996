"""What was sent of some obligations, in words: when, on which rung, to whom, and what became of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables import ItemRow, MessageRow, MessageState
from office import wording

LEFT = (MessageState.SENT, MessageState.AMBIGUOUS, MessageState.BOUNCED)


@dataclass(frozen=True, kw_only=True)
class Told:
    """A mail that names an obligation: on which rung, under which due instant, and how it stands."""

    message_id: int
    party_id: int
    obligation_id: int
    notice: str
    occasion: str
    rung: str
    due: datetime | None
    gone: bool  # the item was taken out before the mail left
    state: str
    reason: str
    address: str | None
    planned_at: datetime
    sent_at: datetime | None
    not_before: datetime | None

    @property
    def left(self) -> bool:
        """Whether it left, as far as anybody can tell."""
        return not self.gone and self.state in LEFT


def mails_about(session: Session, obligation_ids: Collection[int], *, known_at: datetime | None = None) -> list[Told]:
    """Return every mail that names one of some obligations, the oldest first."""
    query = (
        select(
            MessageRow.id,
            MessageRow.party_id,
            ItemRow.obligation_id,
            MessageRow.notice,
            MessageRow.occasion,
            ItemRow.rung,
            ItemRow.due_at,
            ItemRow.gone,
            MessageRow.state,
            MessageRow.reason,
            MessageRow.address,
            MessageRow.as_of,
            MessageRow.sent_as_of,
            MessageRow.not_before,
        )
        .join(MessageRow, MessageRow.id == ItemRow.message_id)
        .where(ItemRow.obligation_id.in_(obligation_ids))
        .order_by(MessageRow.as_of, MessageRow.id)
    )
    if known_at is not None:
        query = query.where(MessageRow.as_of <= known_at)
    names = list(Told.__dataclass_fields__)
    return [Told(**dict(zip(names, row, strict=True))) for row in session.execute(query)]


def rung_text(rung: str, notice: str) -> str:
    """Return a rung as staff call it; of other mails, what they are."""
    kind, *parts = rung.split(":")
    if kind == "decision" or kind not in wording.RUNG:
        return wording.NOTICE.get(notice, notice)
    said = wording.RUNG[kind].format(n=parts[0] if parts else "")
    return said + (wording.TO_RESPONSIBLE if parts[-1:] == ["responsible"] else "")
