"""Two reminders of one unit that would reach one mailbox: one mail says what both were to say."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session, aliased

from ledger import outbox
from ledger.acts import Act
from ledger.tables import ItemRow, MessageRow, MessageState
from rules.notices import REMINDER_OF
from rules.timetable import Reader

ONE_MAILBOX = "said in another mail to the same mailbox"


class Twins(NamedTuple):
    """A unit's reminders of one occasion to its liaison and its responsible person."""

    party_id: int
    liaison: int
    responsible: int


def twins_planned(session: Session, act: Act, campaign_id: int, occasion: str) -> list[Twins]:
    """Return the pairs that an act has just planned; no sender can know them yet."""
    first, second = aliased(MessageRow), aliased(MessageRow)
    query = (
        select(first.party_id, first.id, second.id)
        .join(second, second.party_id == first.party_id)
        .where(first.notice == REMINDER_OF[Reader.LIAISON], second.notice == REMINDER_OF[Reader.RESPONSIBLE])
        .order_by(first.id)
    )
    for row in (first, second):
        query = query.where(
            row.campaign_id == campaign_id,
            row.occasion == occasion,
            row.state == MessageState.PLANNED,
            row.recorded_at == act.wall,
        )
    return [Twins._make(row) for row in session.execute(query)]


def merge(session: Session, act: Act, campaign_id: int, pairs: Sequence[Twins]) -> None:
    """Let the liaison's mail say what the other was to say. The items move, so that each rung stays said."""
    for pair in pairs:
        session.execute(update(ItemRow).where(ItemRow.message_id == pair.responsible).values(message_id=pair.liaison))
        kept, other = session.get_one(MessageRow, pair.liaison), session.get_one(MessageRow, pair.responsible)
        ends = (kept.expires_at, other.expires_at)
        kept.expires_at = None if None in ends else max(end for end in ends if end is not None)
    session.flush()
    outbox.retire(
        session,
        act,
        campaign_id,
        {pair.responsible: (MessageState.SUPERSEDED, f"{ONE_MAILBOX}: mail {pair.liaison}") for pair in pairs},
    )
