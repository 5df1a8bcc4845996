"""Wakes: whether there is mail to send, asked so cheaply that one may ask every second."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, literal, or_, select, text, union_all
from sqlalchemy.orm import Session

from ledger.senders import is_held
from ledger.steps import last_drain
from ledger.tables import CampaignRow, CampaignState, HoldRow, IntakeRow, IntakeState, LaneRow, MessageRow, SenderRow
from ledger.tables.base import table_of
from ledger.tables.messages import IS_CLAIMED, WAITS
from office.premises import Premises
from office.rulebook import open_book
from rules.delivery import in_window

SWEEP = timedelta(hours=1)

_messages, _campaigns, _senders = table_of(MessageRow), table_of(CampaignRow), table_of(SenderRow)
_holds, _lanes, _intake = table_of(HoldRow), table_of(LaneRow), table_of(IntakeRow)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a campaign has to send, as little of it as tells whether something came about since another mark.

    Attributes:
        newest: the highest number of a message that is due; numbers only grow.
        due: how many are due, and how many a vanished sender had claimed.
        live: whether the fence is open.
        held: whether everything or the campaign is on hold.
        stops: how often a stop was placed or lifted so far.
        closed: how many lanes are closed for a while by their provider's wish.

    """

    newest: int = 0
    due: int = 0
    live: bool = False
    held: bool = False
    stops: int = 0
    closed: int = 0

    def is_news_after(self, settled: "Mark") -> bool:
        """Whether something came about since another mark that may let mail leave."""
        return (
            self.newest > settled.newest
            or self.due > settled.due
            or self.closed < settled.closed
            or (self.live, self.stops) != (settled.live, settled.stops)
        )

    def lowered_to(self, now: "Mark") -> "Mark":
        """Return the same mark after others have sent, or a lane was closed: neither is news, what follows may be."""
        return replace(
            self,
            newest=min(self.newest, now.newest),
            due=min(self.due, now.due),
            closed=max(self.closed, now.closed),
        )


def marks(session: Session, now: datetime, wall: datetime | None = None) -> Mapping[str, Mark]:
    """Return the mark of every campaign that has something to send at a moment. Two queries, by partial indexes.

    ``wall`` is what the wall's clock shows then, where the campaigns run by a clock of their own.
    """
    wall = wall or now
    scopes, stops, closed = _stops(session, wall)
    due = select(_messages.c.campaign_id, _messages.c.id).where(
        text(WAITS), or_(_messages.c.not_before.is_(None), _messages.c.not_before <= now)
    )
    live_senders = select(_senders.c.name).where(_senders.c.lease_until >= wall)
    # Number 0: they are none the newer for being abandoned.
    abandoned = select(_messages.c.campaign_id, literal(0)).where(
        text(IS_CLAIMED), _messages.c.claimed_by.not_in(live_senders)
    )
    both = union_all(due, abandoned).subquery()
    query = (
        select(_campaigns.c.key, _campaigns.c.live, func.max(both.c.id), func.count())
        .join(both, both.c.campaign_id == _campaigns.c.id)
        .group_by(_campaigns.c.key, _campaigns.c.live)
    )
    return {
        key: Mark(newest=newest, due=count, live=live, held=is_held(scopes, key), stops=stops, closed=closed)
        for key, live, newest, count in session.execute(query)
    }


def may_leave(session: Session, premises: Premises, campaign: str, mark: Mark, as_of: datetime) -> bool:
    """Whether some of what a campaign has to send may leave, for all that is known of the last drain of its queue.

    Something came about since, or the sending window has opened, or a new day has begun, which lifts the daily cap;
    else it is tried once an hour, lest anything that nobody thought of keeps it in.
    """
    if mark.held:
        return False
    row, book = open_book(session, campaign)
    last = last_drain(session, row.id)
    if last is None or mark.is_news_after(
        Mark(newest=last.newest, due=last.due, live=last.live, stops=last.stops, closed=last.closed)
    ):
        return True
    kept_in = not (mark.live or premises.rehearsal) or row.state == CampaignState.PAUSED
    window = book.campaign.sending.window
    if kept_in or not in_window(as_of, window, book.zone):
        return False
    another_day = as_of.astimezone(book.zone).date() != last.as_of.astimezone(book.zone).date()
    return another_day or not in_window(last.as_of, window, book.zone) or as_of - last.as_of >= SWEEP


def intake_marks(session: Session) -> Mapping[str, Mark]:
    """Return the mark of every campaign with mails that were fetched and wait to be taken in. One query."""
    query = (
        select(_campaigns.c.key, func.max(_intake.c.id), func.count())
        .join(_intake, _intake.c.campaign_id == _campaigns.c.id)
        .where(_intake.c.state == IntakeState.WAITING)
        .group_by(_campaigns.c.key)
    )
    return {key: Mark(newest=newest, due=count) for key, newest, count in session.execute(query)}


def _stops(session: Session, now: datetime) -> tuple[frozenset[str], int, int]:
    """Return the scopes on hold, how often stops were placed and lifted, and how many lanes are closed."""
    holds = select(_holds.c.scope, _holds.c.lifted_at)
    closed = select(literal(""), _lanes.c.closed_until).where(_lanes.c.closed_until > now)
    rows = session.execute(union_all(holds, closed)).all()
    lanes = sum(not scope for scope, _ in rows)
    lifted = sum(bool(scope) and at is not None for scope, at in rows)
    scopes = frozenset(scope for scope, at in rows if scope and at is None)
    return scopes, len(rows) - lanes + lifted, lanes
