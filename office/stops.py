"""Stops: sending held and released by staff, over everything, a campaign or a lane; and how the lanes stand."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ledger import senders
from ledger.acts import Act
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.facts import contacts_by_party
from ledger.outbox import count_waiting, requeue_held
from ledger.senders import EVERYTHING, Hold, LaneStand, holds_in_force, scope_of_campaign, scope_of_lane
from ledger.tables import CampaignRow, MessageRow, MessageState
from ledger.tables.messages import WAITS
from office import wording
from office.gate import scopes_of
from office.mailbook import one_line
from office.premises import Premises
from office.refusals import Mistaken
from office.rulebook import rulebook_of
from rules.delivery import choose_contact
from rules.lanes import Lane, lane_of, pace_at

HOME = ZoneInfo("Asia/Shanghai")  # where no campaign has said where it is


@dataclass(frozen=True, kw_only=True)
class LaneView:
    """A lane as staff see it. ``lane`` is None for one that settings no longer name but that still matters."""

    name: str
    lane: Lane | None
    pace: float  # 1 is full speed
    closed_until: datetime | None  # None: open
    reason: str  # of the last slowing
    stopped: Hold | None
    waiting: int
    held: int


def hold(session: Session, act: Act, scope: str, grounds: str) -> bool:
    """Stop sending in a scope; return False if it is stopped already.

    Raises:
        ValueError: no grounds.

    """
    return senders.place_hold(session, act, scope, grounds)


def release(session: Session, act: Act, scope: str, grounds: str) -> int:
    """Let sending go on in a scope; return how many messages wait again that a released lane had refused.

    Raises:
        UnknownHold: that is not stopped; the message names what is.
        ValueError: no grounds.

    """
    senders.lift_hold(session, act, scope, grounds)
    lane = _lane_in(scope)
    again = requeue_held(session, act, lane, grounds) if lane is not None else 0
    session.flush()
    for row in session.scalars(select(CampaignRow).where(CampaignRow.live)):
        waiting = count_waiting(session, row.id)
        if waiting and (_campaign_in(scope) or row.key) == row.key:
            note(session, act, EventKind.OPENED, {"waiting": waiting, "why": "released"}, row.id)
    return again


def _campaign_in(scope: str) -> str | None:
    prefix = scope_of_campaign("")
    return scope.removeprefix(prefix) if scope.startswith(prefix) else None


def _lane_in(scope: str) -> str | None:
    prefix = scope_of_lane("")
    return scope.removeprefix(prefix) if scope.startswith(prefix) else None


def scope_of(session: Session, premises: Premises, campaign: str | None, lane: str | None) -> str:
    """Return what a stop is about; neither a campaign nor a lane: everything.

    Raises:
        ValueError: both are named, or one that does not exist.

    """
    if campaign is not None and lane is not None:
        raise ValueError("name a campaign or a lane, not both; a stop each stops both")
    if campaign is not None:
        known = _known_campaigns(session, premises)
        if campaign not in known and scope_of_campaign(campaign) not in senders.scopes_held(session):
            raise Mistaken(
                "unknown_campaign",
                f"no campaign {campaign!r}; there are {', '.join(known) or 'none'}",
                named=campaign,
                known="、".join(known) or "无",
            )
        return scope_of_campaign(campaign)
    if lane is not None:
        lanes = [known_lane.name for known_lane in premises.lanes]
        if lane not in lanes and scope_of_lane(lane) not in senders.scopes_held(session):
            raise Mistaken(
                "unknown_lane", f"no lane {lane!r}; there are {', '.join(lanes)}", named=lane, known="、".join(lanes)
            )
        return scope_of_lane(lane)
    return EVERYTHING


def _known_campaigns(session: Session, premises: Premises) -> list[str]:
    """Return the campaigns that were launched or lie ready: a stop may come before the launch."""
    folders = {path.parent.name for path in premises.campaigns.glob("*/campaign.yaml")}
    return sorted(folders | set(session.scalars(select(CampaignRow.key))))


def lanes_now(session: Session, premises: Premises, now: datetime) -> list[LaneView]:
    """Return how each lane stands at a moment of the wall clock, in the order of settings."""
    stands = senders.lane_stands(session)
    stopped = {one.scope: one for one in holds_in_force(session)}
    waiting = _waiting_by_lane(session, premises)
    held = _held_by_lane(session)
    lanes = {lane.name: lane for lane in premises.lanes}
    matter = {*held, *(lane for scope in stopped if (lane := _lane_in(scope)) is not None)}
    names = [*lanes, *sorted(matter - set(lanes))]
    found = []
    for name in names:
        stand = stands.get(name) or LaneStand()
        until = stand.pace.closed_until
        pace = pace_at(stand.pace, now)
        found.append(
            LaneView(
                name=name,
                lane=lanes.get(name),
                pace=pace,
                closed_until=until if until is not None and now < until else None,
                reason=stand.reason if pace < 1 else "",
                stopped=stopped.get(scope_of_lane(name)),
                waiting=waiting[name],
                held=held[name],
            )
        )
    return found


def _held_by_lane(session: Session) -> Counter[str]:
    query = select(MessageRow.lane, func.count()).where(MessageRow.state == MessageState.HELD).group_by(MessageRow.lane)
    return Counter({lane or "": count for lane, count in session.execute(query)})


def _waiting_by_lane(session: Session, premises: Premises) -> Counter[str]:
    """Count what waits by the lane in which it would go now; what has nobody to go to is in none."""
    query = select(MessageRow.party_id, MessageRow.notice, func.count()).where(text(WAITS))
    rows = session.execute(query.group_by(MessageRow.party_id, MessageRow.notice)).all()
    contacts = contacts_by_party(session, sorted({party_id for party_id, _, _ in rows}))
    waiting: Counter[str] = Counter()
    for party_id, notice, count in rows:
        to = choose_contact(contacts[party_id], notice)
        if to is not None:
            waiting[lane_of(to.address, premises.lanes).name] += count
    return waiting


def stops_in_words(session: Session, premises: Premises, campaign: str) -> tuple[str, ...]:
    """Return the stops that concern a campaign's mail, each with its grounds."""
    concern = scopes_of(campaign, [lane.name for lane in premises.lanes])
    return tuple(
        wording.STOPPED.format(scope=scope_in_words(one.scope), grounds=one_line(one.grounds))
        for one in holds_in_force(session)
        if one.scope in concern
    )


def scope_in_words(scope: str) -> str:
    """Return what a stop is about, in the words of staff."""
    kind, _, name = scope.partition(":")
    return wording.STOP[kind].format(name=name)


def zone_of_house(session: Session, campaign: str | None = None) -> ZoneInfo:
    """Return the zone in which staff read the clock: that of the campaign, or of the one launched last."""
    query = select(CampaignRow).order_by(CampaignRow.id.desc()).limit(1)
    row = session.scalar(query if campaign is None else query.where(CampaignRow.key == campaign))
    return rulebook_of(row).zone if row is not None else HOME
