"""How fast mail may go to one provider, and how a lane slows and recovers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.lanes import (
    BURST,
    DEFAULT,
    DOUBLES_AFTER,
    PAUSE,
    SLOWEST,
    Allowance,
    Lane,
    LanePace,
    allowance,
    lane_of,
    pace_at,
    slowed,
)

NOON = datetime(2020, 5, 29, 4, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
OTHERS = Lane(name=DEFAULT, connections=40, messages_per_connection=100)
QQ = Lane(name="qq", domains=("qq.com", "foxmail.com"), connections=4, messages_per_connection=20, per_minute=60)
VIP = Lane(name="vip", domains=("vip.qq.com",), connections=2, messages_per_connection=20)
HALF = LanePace(pace=0.5, slowed_at=NOON)


@pytest.mark.parametrize("lanes", [(OTHERS, QQ, VIP), (VIP, QQ, OTHERS)])
@pytest.mark.parametrize(
    ("address", "lane"),
    [
        ("a@qq.com", QQ),
        ("a@foxmail.com", QQ),
        ("A@QQ.Com", QQ),
        ("a@mail.qq.com", QQ),
        ("a@a.b.c.qq.com", QQ),
        ("a@vip.qq.com", VIP),  # the nearest name wins, in whatever order the lanes stand
        ("a@x.vip.qq.com", VIP),
        ('"b@qq.com"@unit.example', OTHERS),  # the domain is what follows the last @
        ("a@notqq.com", OTHERS),
        ("a@qq.com.example", OTHERS),
        ("a@com", OTHERS),
        ("a@", OTHERS),
    ],
)
def test_an_address_goes_by_the_lane_of_its_domain_or_of_one_above(
    lanes: tuple[Lane, ...], address: str, lane: Lane
) -> None:
    assert lane_of(address, lanes) is lane


def test_without_a_default_lane_the_setting_to_mend_is_named() -> None:
    assert lane_of("a@qq.com", (QQ,)) is QQ
    with pytest.raises(ValueError, match="MUSTER_LANES"):
        lane_of("a@unit.example", (QQ,))


def test_a_lane_that_was_never_slowed_goes_at_full_speed() -> None:
    assert pace_at(LanePace(), NOON) == 1
    assert allowance(QQ, LanePace(), NOON) == Allowance(connections=4, interval=SECOND)


def test_a_throttling_reply_halves_the_pace_and_closes_the_lane_for_a_moment() -> None:
    assert slowed(LanePace(), NOON, None) == LanePace(pace=0.5, slowed_at=NOON, closed_until=NOON + PAUSE)


def test_the_provider_says_how_long_the_lane_is_closed() -> None:
    assert slowed(LanePace(), NOON, timedelta(minutes=9)).closed_until == NOON + timedelta(minutes=9)


@pytest.mark.parametrize(("after", "pace"), [(timedelta(), 0.5), (BURST - TICK, 0.5), (BURST, 0.25)])
def test_replies_on_many_connections_at_once_are_one_refusal(after: timedelta, pace: float) -> None:
    again = slowed(slowed(LanePace(), NOON, None), NOON + after, None)
    assert again.pace == pytest.approx(pace, rel=0.03)  # a burst later, a little has been recovered
    assert again.slowed_at == (NOON if after < BURST else NOON + after)
    assert again.closed_until == NOON + after + PAUSE  # though each of them keeps the lane closed


def test_a_burst_is_counted_from_its_first_reply_so_that_a_steady_refusal_slows_on() -> None:
    state = LanePace()
    for second in range(0, 60, 5):
        state = slowed(state, NOON + second * SECOND, None)
    assert state.pace == pytest.approx(SLOWEST, rel=0.1)


def test_a_reply_that_states_less_does_not_open_the_lane_sooner() -> None:
    long = slowed(LanePace(), NOON, timedelta(hours=1))
    assert slowed(long, NOON + SECOND, timedelta(minutes=1)).closed_until == NOON + timedelta(hours=1)
    assert slowed(long, NOON + timedelta(minutes=20), None).closed_until == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("minutes", "pace"), [(0, 1 / 16), (5, 1 / 8), (10, 1 / 4), (15, 1 / 2), (20, 1), (25, 1), (60, 1)]
)
def test_every_five_quiet_minutes_double_the_pace(minutes: int, pace: float) -> None:
    assert pace_at(LanePace(pace=SLOWEST, slowed_at=NOON), NOON + timedelta(minutes=minutes)) == pytest.approx(pace)


def test_a_clock_that_goes_back_recovers_nothing() -> None:
    assert pace_at(HALF, NOON - timedelta(hours=1)) == 0.5


@pytest.mark.parametrize("days", [4, 40, 400])
def test_a_lane_that_was_slowed_days_ago_is_at_full_speed(days: int) -> None:
    now = NOON + timedelta(days=days)
    assert pace_at(HALF, now) == 1
    assert allowance(QQ, HALF, now) == Allowance(connections=4, interval=SECOND)


@pytest.mark.parametrize(
    ("lane", "pace", "connections", "interval"),
    [
        (QQ, 1, 4, SECOND),
        (QQ, 1 / 2, 2, 2 * SECOND),
        (QQ, 1 / 4, 1, 4 * SECOND),
        (QQ, 1 / 16, 1, 16 * SECOND),  # one connection is always left, to find out whether the provider relents
        (OTHERS, 1 / 2, 20, None),
        (OTHERS, 1 / 16, 2, None),
        (VIP, 1 / 16, 1, None),
    ],
)
def test_a_slow_lane_has_fewer_connections_and_longer_pauses(
    lane: Lane, pace: float, connections: int, interval: timedelta | None
) -> None:
    slow = LanePace(pace=pace, slowed_at=NOON)
    assert allowance(lane, slow, NOON) == Allowance(connections=connections, interval=interval)


@pytest.mark.parametrize(
    ("before", "is_open"), [(timedelta(minutes=1), False), (TICK, False), (timedelta(), True), (-TICK, True)]
)
def test_nothing_goes_until_the_moment_at_which_a_lane_opens(before: timedelta, is_open: bool) -> None:
    closed = replace(HALF, closed_until=NOON)
    assert (allowance(QQ, closed, NOON - before) is not None) is is_open


# Quiet times and stated times in seconds; quiet ones of up to two hours, in which any lane recovers.
REPLIES = st.lists(st.tuples(st.integers(0, 7200) | st.integers(0, 30), st.none() | st.integers(1, 86400)), max_size=30)


@given(replies=REPLIES)
def test_whatever_replies_come_the_pace_stays_within_bounds_and_nothing_opens_sooner(
    replies: list[tuple[int, int | None]],
) -> None:
    state, now = LanePace(), NOON
    for quiet, stated in replies:
        now += timedelta(seconds=quiet)
        before, reached = state, pace_at(state, now)
        state = slowed(state, now, None if stated is None else timedelta(seconds=stated))
        assert state.closed_until is not None
        assert state.closed_until >= max(now + SECOND, before.closed_until or now)
        assert SLOWEST <= state.pace <= pace_at(state, now) <= 1
        if before.slowed_at is None or now - before.slowed_at >= BURST:
            assert (state.pace, state.slowed_at) == (max(SLOWEST, reached / 2), now)
        else:
            assert (state.pace, state.slowed_at) == (before.pace, before.slowed_at)
        doubled = pace_at(state, now + DOUBLES_AFTER)
        assert doubled == pytest.approx(min(1, 2 * pace_at(state, now)))
        assert allowance(QQ, state, state.closed_until) is not None


@given(quiet=st.integers(0, 7200), pace=st.floats(SLOWEST, 1), connections=st.integers(1, 200))
def test_a_lane_that_is_open_always_has_a_connection_and_never_more_than_its_own(
    quiet: int, pace: float, connections: int
) -> None:
    state = LanePace(pace=pace, slowed_at=NOON)
    found = allowance(replace(QQ, connections=connections), state, NOON + timedelta(seconds=quiet))
    assert found is not None
    assert 1 <= found.connections <= connections
    assert found.interval is not None
    assert SECOND <= found.interval <= 16 * SECOND
