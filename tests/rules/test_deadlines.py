"""Due instants, on both sides of their edge."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.calendar import WorkCalendar
from rules.deadlines import (
    Adjustment,
    NamedTime,
    Occurrence,
    OfficeHours,
    Season,
    StatedDeadline,
    adjusted,
    chased_from,
    due_instant,
    is_overdue,
    recurring_days,
    settled,
    stated,
    within_horizon,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
# The Dragon Boat holiday of 2023: Thursday 06-22 to Saturday 06-24; Sunday 06-25 made up.
DRAGON_BOAT = WorkCalendar(
    holidays=frozenset(date(2023, 6, day) for day in (22, 23, 24)),
    makeup_days=frozenset({date(2023, 6, 25)}),
    years=frozenset({2023}),
)
SUMMER = OfficeHours(
    knocking_off=time(17, 30),
    seasons=(Season(first=date(2023, 6, 1), last=date(2023, 9, 30), knocking_off=time(18, 0)),),
)


@pytest.mark.parametrize(
    ("deadline", "due"),
    [
        # Sunday 05-31, the whole day: late from Monday 00:00 in Shanghai, which is Sunday 16:00 UTC
        (StatedDeadline(day=date(2020, 5, 31)), datetime(2020, 5, 31, 16, 0, tzinfo=UTC)),
        # Friday 16:00: late from 16:01
        (StatedDeadline(day=date(2020, 6, 5), at=time(16, 0)), datetime(2020, 6, 5, 8, 1, tzinfo=UTC)),
    ],
)
def test_due_is_the_first_instant_that_is_late(deadline: StatedDeadline, due: datetime) -> None:
    assert due_instant(deadline, SHANGHAI) == due
    assert not is_overdue(due, due - timedelta(microseconds=1))
    assert is_overdue(due, due)


def test_what_has_no_due_instant_is_never_overdue() -> None:
    assert not is_overdue(None, datetime(2099, 1, 1, tzinfo=UTC))


@given(
    day=st.dates(date(2019, 1, 1), date(2030, 12, 31)),
    at=st.none() | st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
def test_a_deadline_comes_back_as_it_was_stated(day: date, at: time | None) -> None:
    deadline = StatedDeadline(day=day, at=at)
    back = stated(due_instant(deadline, SHANGHAI), SHANGHAI)
    whole_day = at is None or at == time(23, 59)  # the same instant either way
    assert back == (StatedDeadline(day=day) if whole_day else deadline)


@pytest.mark.parametrize(
    ("adjustment", "stated_day", "day"),
    [
        (Adjustment.NONE, date(2023, 6, 23), date(2023, 6, 23)),  # Friday, holiday: stays
        (Adjustment.FOLLOWING, date(2023, 6, 23), date(2023, 6, 25)),  # → Sunday, made up
        (Adjustment.FOLLOWING, date(2023, 6, 25), date(2023, 6, 25)),  # a made-up Sunday is a working day
        (Adjustment.FOLLOWING, date(2023, 7, 15), date(2023, 7, 17)),  # ordinary Saturday → Monday
        (Adjustment.PRECEDING, date(2023, 6, 24), date(2023, 6, 21)),  # Saturday of the holiday → Wednesday
        (Adjustment.PRECEDING, date(2023, 7, 16), date(2023, 7, 14)),  # ordinary Sunday → Friday
        (Adjustment.FOLLOWING_UNLESS_WEEKEND, date(2023, 6, 24), date(2023, 6, 25)),  # the holiday's Saturday moves
        (Adjustment.FOLLOWING_UNLESS_WEEKEND, date(2023, 7, 15), date(2023, 7, 15)),  # an ordinary Saturday stays
    ],
)
def test_a_deadline_on_a_day_off_moves_by_its_adjustment(adjustment: Adjustment, stated_day: date, day: date) -> None:
    assert adjusted(stated_day, adjustment, DRAGON_BOAT) == day


def test_past_a_holiday_that_ends_before_a_weekend_the_deadline_stops_on_saturday() -> None:
    tomb_sweeping = WorkCalendar(holidays=frozenset({date(2024, 4, 4), date(2024, 4, 5)}))  # as if without its Saturday
    found = adjusted(date(2024, 4, 4), Adjustment.FOLLOWING_UNLESS_WEEKEND, tomb_sweeping)
    assert found == date(2024, 4, 6)  # Saturday


@pytest.mark.parametrize(
    ("day", "at", "hour"),
    [
        (date(2023, 5, 31), NamedTime.KNOCKING_OFF, time(17, 30)),  # Wednesday, the last before summer
        (date(2023, 6, 1), NamedTime.KNOCKING_OFF, time(18, 0)),  # Thursday, the first of it
        (date(2023, 9, 30), NamedTime.KNOCKING_OFF, time(18, 0)),  # Saturday, the last of it
        (date(2023, 10, 1), NamedTime.KNOCKING_OFF, time(17, 30)),
        (date(2023, 6, 1), NamedTime.NOON, time(12, 0)),
    ],
)
def test_the_office_closes_by_the_season(day: date, at: NamedTime, hour: time) -> None:
    assert settled(day, at, Adjustment.NONE, DRAGON_BOAT, SUMMER) == StatedDeadline(day=day, at=hour)


def test_the_closing_hour_is_that_of_the_day_to_which_the_deadline_moves() -> None:
    hours = OfficeHours(
        knocking_off=time(17, 30),
        seasons=(Season(first=date(2023, 6, 25), last=date(2023, 6, 25), knocking_off=time(16, 0)),),
    )
    found = settled(date(2023, 6, 23), NamedTime.KNOCKING_OFF, Adjustment.FOLLOWING, DRAGON_BOAT, hours)
    assert found == StatedDeadline(day=date(2023, 6, 25), at=time(16, 0))


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=WEEKLY;BYDAY=FR", ["2023-06-02", "2023-06-09", "2023-06-16", "2023-06-23", "2023-06-30"]),
        ("FREQ=MONTHLY;BYMONTHDAY=5,15,25", ["2023-06-05", "2023-06-15", "2023-06-25"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", ["2023-06-30"]),
        ("FREQ=YEARLY;BYMONTH=3,6,9,12;BYMONTHDAY=-1", ["2023-06-30"]),
    ],
)
def test_a_rule_gives_its_days_both_ends_included(rule: str, days: list[str]) -> None:
    found = recurring_days(rule, first=date(2023, 6, 2), until=date(2023, 6, 30))
    assert [day.isoformat() for day in found] == days


def test_month_end_falls_on_the_last_day_of_short_months_too() -> None:
    found = recurring_days("FREQ=MONTHLY;BYMONTHDAY=-1", first=date(2023, 1, 1), until=date(2023, 4, 30))
    assert [day.isoformat() for day in found] == ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"]


@pytest.mark.parametrize("rule", ["EVERY=FRIDAY", "FREQ=HOURLY", "FREQ=DAILY;BYHOUR=9,16", "FREQ=WEEKLY;BYDAY=XX"])
def test_a_rule_that_cannot_be_read_or_speaks_of_hours_is_an_error(rule: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        list(recurring_days(rule, first=date(2023, 1, 1), until=date(2023, 2, 1)))


def weekly(first: date, count: int) -> list[Occurrence]:
    days = [first + timedelta(weeks=n) for n in range(count)]
    return [Occurrence(key=d.isoformat(), deadline=StatedDeadline(day=d), nominal=d) for d in days]


def test_the_horizon_holds_its_last_day_and_the_first_occurrence_always() -> None:
    series = weekly(date(2023, 5, 5), 10)
    assert [o.key for o in within_horizon(series, date(2023, 5, 5), 14)] == ["2023-05-05", "2023-05-12", "2023-05-19"]
    assert [o.key for o in within_horizon(series, date(2023, 1, 1), 14)] == ["2023-05-05"]


@given(gaps=st.lists(st.integers(0, 40), max_size=12), horizon=st.integers(1, 60), count=st.integers(1, 30))
def test_whatever_the_days_of_the_runs_no_occurrence_is_missing_or_out_of_turn(
    gaps: list[int], horizon: int, count: int
) -> None:
    series = weekly(date(2023, 5, 5), count)
    made: list[str] = []
    today = date(2023, 5, 1)
    for gap in gaps:
        today += timedelta(days=gap)
        made += [o.key for o in within_horizon(series, today, horizon) if o.key not in made]
    assert made == [o.key for o in within_horizon(series, today, horizon)] if gaps else made == []


def test_a_late_run_chases_from_the_same_moment_as_a_punctual_one() -> None:
    launched = datetime(2023, 5, 4, 2, tzinfo=UTC)
    [*_, last] = weekly(date(2023, 5, 5), 10)  # Friday 07-07
    assert chased_from(last, launched, SHANGHAI, 35) == datetime(2023, 6, 1, 16, tzinfo=UTC)  # 06-02 00:00 local
    [first] = weekly(date(2023, 5, 5), 1)
    assert chased_from(first, launched, SHANGHAI, 35) == launched


def test_nothing_is_chased_before_a_span_begins() -> None:
    span = Occurrence(
        key="once", deadline=StatedDeadline(day=date(2023, 6, 9)), nominal=date(2023, 6, 9), opens=date(2023, 6, 5)
    )
    assert chased_from(span, datetime(2023, 5, 4, tzinfo=UTC), SHANGHAI) == datetime(2023, 6, 4, 16, tzinfo=UTC)
