"""Lanes: how fast mail may go to one provider's addresses, and how a lane slows when the provider says so.

A lane's pace is a fraction of its full speed. It halves with each throttling reply and doubles again for every five
quiet minutes; nobody has to write the recovery down, it follows from the moment of the last reply.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DEFAULT = "default"
SLOWEST = 1 / 16
FROM_SLOWEST = 4  # doublings to full speed
DOUBLES_AFTER = timedelta(minutes=5)
BURST = timedelta(seconds=10)  # replies on many connections at once are one refusal
PAUSE = timedelta(minutes=1)  # after a throttling reply that states no time


@dataclass(frozen=True, kw_only=True)
class Lane:
    """The addresses of one provider and its limits. ``per_minute`` None: as fast as it goes."""

    name: str
    domains: tuple[str, ...] = ()
    connections: int
    messages_per_connection: int
    per_minute: int | None = None


@dataclass(frozen=True, kw_only=True)
class LanePace:
    """How a lane stands: its pace when it was last slowed, when that was, and until when nothing goes at all."""

    pace: float = 1.0
    slowed_at: datetime | None = None
    closed_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a lane allows now: connections, and the pause between two messages (None: no pause)."""

    connections: int
    interval: timedelta | None


def lane_of(address: str, lanes: Sequence[Lane]) -> Lane:
    """Return the lane of an address: the one naming its domain or a domain above it, else the default one.

    Raises:
        ValueError: there is no default lane.

    """
    domain = address.rpartition("@")[2].lower()
    while domain:
        for lane in lanes:
            if domain in lane.domains:
                return lane
        domain = domain.partition(".")[2]
    for lane in lanes:
        if lane.name == DEFAULT:
            return lane
    raise ValueError(f"there is no lane named {DEFAULT!r}; add one to MUSTER_LANES")


def slowed(state: LanePace, now: datetime, retry_after: timedelta | None) -> LanePace:
    """Return a lane's state after a throttling reply."""
    until = now + (retry_after or PAUSE)
    closed = max(until, state.closed_until) if state.closed_until is not None else until
    if state.slowed_at is not None and now - state.slowed_at < BURST:
        return LanePace(pace=state.pace, slowed_at=state.slowed_at, closed_until=closed)
    return LanePace(pace=max(SLOWEST, pace_at(state, now) / 2), slowed_at=now, closed_until=closed)


def pace_at(state: LanePace, now: datetime) -> float:
    """Return the pace at a moment, recovery counted: 1 is full speed."""
    if state.slowed_at is None:
        return 1.0
    quiet = max(timedelta(), now - state.slowed_at)
    doublings: float = min(quiet / DOUBLES_AFTER, FROM_SLOWEST)  # more than enough, and no float holds 2 to the 1024th
    return min(1.0, state.pace * math.pow(2.0, doublings))


def allowance(lane: Lane, state: LanePace, now: datetime) -> Allowance | None:
    """Return what a lane allows now; None while it is closed."""
    if state.closed_until is not None and now < state.closed_until:
        return None
    pace = pace_at(state, now)
    interval = timedelta(minutes=1) / (lane.per_minute * pace) if lane.per_minute is not None else None
    return Allowance(connections=max(1, int(lane.connections * pace)), interval=interval)
