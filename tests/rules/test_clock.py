"""A clock of a campaign's own: what it shows, and when the wall's will show it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rules.clock import Clock

WALL = datetime(2026, 3, 1, tzinfo=UTC)
JUNE = datetime(2020, 6, 1, tzinfo=UTC)


def test_an_hour_passes_in_a_second() -> None:
    clock = Clock(shows=JUNE, at=WALL, speed=3600)
    assert clock.moment(WALL + timedelta(seconds=24)) == JUNE + timedelta(days=1)
    assert clock.wall(JUNE + timedelta(hours=2)) == WALL + timedelta(seconds=2)


@given(seconds=st.integers(-(10**5), 10**5), speed=st.sampled_from([1.0, 60.0, 3600.0, 21600.0]))
def test_there_and_back_is_the_same_moment(seconds: int, speed: float) -> None:
    clock = Clock(shows=JUNE, at=WALL, speed=speed)
    there = clock.moment(WALL + timedelta(seconds=seconds))
    assert abs(clock.wall(there) - (WALL + timedelta(seconds=seconds))) < timedelta(milliseconds=1)
