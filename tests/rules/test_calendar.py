"""Working days around the Dragon Boat holiday of 2020 (06-25 Thu to 06-27 Sat; 06-28 Sun made up)."""

from datetime import date

import pytest

from rules.calendar import WorkCalendar

DRAGON_BOAT = WorkCalendar(
    holidays=frozenset({date(2020, 6, 25), date(2020, 6, 26), date(2020, 6, 27)}),
    makeup_days=frozenset({date(2020, 6, 28)}),
    years=frozenset({2020}),
)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2020, 6, 24), True),  # Wednesday before
        (date(2020, 6, 25), False),  # Thursday, holiday
        (date(2020, 6, 26), False),  # Friday, holiday
        (date(2020, 6, 27), False),  # Saturday
        (date(2020, 6, 28), True),  # Sunday, made up
        (date(2020, 6, 29), True),  # Monday
        (date(2020, 7, 4), False),  # an ordinary Saturday
    ],
)
def test_a_makeup_sunday_works_and_a_holiday_thursday_does_not(day: date, works: bool) -> None:
    assert DRAGON_BOAT.is_working_day(day) is works


@pytest.mark.parametrize(
    ("day", "before", "after"),
    [
        (date(2020, 6, 26), date(2020, 6, 24), date(2020, 6, 28)),  # Friday holiday
        (date(2020, 6, 28), date(2020, 6, 28), date(2020, 6, 28)),  # made-up Sunday is its own
        (date(2020, 5, 31), date(2020, 5, 29), date(2020, 6, 1)),  # Sunday → Friday, Monday
    ],
)
def test_the_nearest_working_day(day: date, before: date, after: date) -> None:
    assert DRAGON_BOAT.working_day_on_or_before(day) == before
    assert DRAGON_BOAT.working_day_on_or_after(day) == after


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        (date(2020, 6, 24), 1, date(2020, 6, 28)),  # Wed + 1 = made-up Sunday
        (date(2020, 6, 24), 2, date(2020, 6, 29)),
        (date(2020, 6, 30), 4, date(2020, 7, 6)),  # Tue + 4 = Monday
        (date(2020, 6, 30), 0, date(2020, 6, 30)),
    ],
)
def test_working_days_are_counted_over_holidays(start: date, count: int, end: date) -> None:
    assert DRAGON_BOAT.add_working_days(start, count) == end


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="count of working days is -1"):
        DRAGON_BOAT.add_working_days(date(2020, 6, 30), -1)


def test_an_unknown_year_is_said_to_be_unknown_and_falls_back_to_monday_to_friday() -> None:
    new_year = date(2031, 1, 1)  # Wednesday
    assert not DRAGON_BOAT.knows(new_year)
    assert DRAGON_BOAT.is_working_day(new_year)
