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
)

SHANGHAI = ZoneInfo("Asia/Shanghai")


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


# The Dragon Boat holiday of 2020: Thursday 06-25 to Saturday 06-27; Sunday 06-28 is a make-up working day.
CALENDAR = WorkCalendar(
    holidays=frozenset({date(2020, 6, 25), date(2020, 6, 26), date(2020, 6, 27)}),
    makeup_days=frozenset({date(2020, 6, 28)}),
    years=frozenset({2020}),
)
SUMMER = Season(first=date(2020, 6, 1), last=date(2020, 9, 30), knocking_off=time(18, 0))
CLOSES = OfficeHours(knocking_off=time(17, 30), seasons=(SUMMER,))


@pytest.mark.parametrize(
    ("stated_day", "none", "following", "preceding", "unless_weekend"),
    [
        # Thursday, a holiday: following is the made-up Sunday; past the listed holidays comes the same Sunday
        (date(2020, 6, 25), date(2020, 6, 25), date(2020, 6, 28), date(2020, 6, 24), date(2020, 6, 28)),
        # Saturday within the holiday
        (date(2020, 6, 27), date(2020, 6, 27), date(2020, 6, 28), date(2020, 6, 24), date(2020, 6, 28)),
        # Sunday, made up: a working day, nothing moves
        (date(2020, 6, 28), date(2020, 6, 28), date(2020, 6, 28), date(2020, 6, 28), date(2020, 6, 28)),
        # Wednesday, an ordinary working day
        (date(2020, 6, 24), date(2020, 6, 24), date(2020, 6, 24), date(2020, 6, 24), date(2020, 6, 24)),
        # Saturday of an ordinary weekend: Monday, Friday; unless weekend stays
        (date(2020, 6, 13), date(2020, 6, 13), date(2020, 6, 15), date(2020, 6, 12), date(2020, 6, 13)),
        # Sunday of an ordinary weekend
        (date(2020, 5, 31), date(2020, 5, 31), date(2020, 6, 1), date(2020, 5, 29), date(2020, 5, 31)),
    ],
)
def test_a_deadline_on_a_day_off_moves_as_its_rule_says(
    stated_day: date, none: date, following: date, preceding: date, unless_weekend: date
) -> None:
    assert [adjusted(stated_day, rule, CALENDAR) for rule in Adjustment] == [none, following, preceding, unless_weekend]


def test_past_a_holiday_that_ends_before_a_weekend_the_weekend_stops_it() -> None:
    # 2019-06-07 (Friday) to 06-09 is listed; without the Sunday in the list, the day stops there
    calendar = WorkCalendar(holidays=frozenset({date(2019, 6, 7), date(2019, 6, 8)}))
    assert adjusted(date(2019, 6, 7), Adjustment.FOLLOWING_UNLESS_WEEKEND, calendar) == date(2019, 6, 9)  # Sunday
    assert adjusted(date(2019, 6, 7), Adjustment.FOLLOWING, calendar) == date(2019, 6, 10)  # Monday


@pytest.mark.parametrize(
    ("day", "at", "due"),
    [
        (date(2020, 5, 29), NamedTime.NOON, (12, 1)),  # Friday
        (date(2020, 5, 29), NamedTime.KNOCKING_OFF, (17, 31)),  # Friday, the usual hour
        (date(2020, 6, 1), NamedTime.KNOCKING_OFF, (18, 1)),  # Monday, the first day of summer hours
        (date(2020, 9, 30), NamedTime.KNOCKING_OFF, (18, 1)),  # Wednesday, their last
        (date(2020, 10, 9), NamedTime.KNOCKING_OFF, (17, 31)),  # Friday
        (date(2020, 6, 5), time(16, 0), (16, 1)),  # Friday
    ],
)
def test_a_named_hour_is_late_from_the_minute_after(day: date, at: NamedTime | time, due: tuple[int, int]) -> None:
    instant = due_instant(settled(day, at, Adjustment.NONE, CALENDAR, CLOSES), SHANGHAI)
    assert instant == datetime(day.year, day.month, day.day, *due, tzinfo=SHANGHAI)
    assert not is_overdue(instant, instant - timedelta(seconds=1))
    assert is_overdue(instant, instant)


def test_the_office_closes_by_the_hours_of_the_day_to_which_a_deadline_moved() -> None:
    # Sunday 05-31 moves to Monday 06-01, when summer hours have begun
    moved = settled(date(2020, 5, 31), NamedTime.KNOCKING_OFF, Adjustment.FOLLOWING, CALENDAR, CLOSES)
    assert moved == StatedDeadline(day=date(2020, 6, 1), at=time(18, 0))


def test_knocking_off_without_office_hours_is_an_error() -> None:
    with pytest.raises(ValueError, match="office_hours are not"):
        settled(date(2020, 6, 1), NamedTime.KNOCKING_OFF, Adjustment.NONE, CALENDAR, None)


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        # weekly, on Fridays, both ends included
        ("FREQ=WEEKLY;BYDAY=FR", [date(2023, 1, 6), date(2023, 1, 13), date(2023, 1, 20), date(2023, 1, 27)]),
        # monthly on several days: Thursday, Sunday, Wednesday
        ("FREQ=MONTHLY;BYMONTHDAY=5,15,25", [date(2023, 1, 5), date(2023, 1, 15), date(2023, 1, 25)]),
        # month end, of short months too
        ("FREQ=MONTHLY;BYMONTHDAY=-1", [date(2023, 1, 31)]),
    ],
)
def test_a_series_gives_its_days_both_ends_included(rule: str, days: list[date]) -> None:
    assert list(recurring_days(rule, first=date(2023, 1, 5), until=date(2023, 1, 31))) == days


def test_a_quarterly_series_and_the_end_of_short_months() -> None:
    quarterly = recurring_days(
        "FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=25", first=date(2023, 1, 1), until=date(2023, 12, 31)
    )
    assert [d.isoformat() for d in quarterly] == ["2023-01-25", "2023-04-25", "2023-07-25", "2023-10-25"]
    ends = recurring_days("FREQ=MONTHLY;BYMONTHDAY=-1", first=date(2023, 1, 1), until=date(2023, 4, 30))
    assert [d.isoformat() for d in ends] == ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"]


@pytest.mark.parametrize("rule", ["EVERY=FRIDAY", "FREQ=HOURLY", "FREQ=WEEKLY;BYHOUR=16"])
def test_a_rule_that_says_no_days_is_an_error(rule: str) -> None:
    with pytest.raises(ValueError, match=rule.split("=", maxsplit=1)[0]):
        list(recurring_days(rule, first=date(2023, 1, 1), until=date(2023, 2, 1)))


def test_a_span_is_chased_from_its_first_day() -> None:
    span = Occurrence(key="once", deadline=StatedDeadline(day=date(2020, 6, 7)), opens=date(2020, 6, 1))
    launch = datetime(2020, 5, 27, 7, 0, tzinfo=UTC)
    assert chased_from(span, launch, SHANGHAI) == datetime(2020, 5, 31, 16, 0, tzinfo=UTC)
    assert chased_from(span, datetime(2020, 6, 3, tzinfo=UTC), SHANGHAI) == datetime(2020, 6, 3, tzinfo=UTC)
