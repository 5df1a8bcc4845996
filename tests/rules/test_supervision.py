"""The colour of a supervision order, and by when it demands: weekdays written out, both sides of each edge."""

from datetime import UTC, date, datetime, timedelta

import pytest

from rules.deadlines import StatedDeadline
from rules.supervision import Grade, days_late, demanded_by, grade_of, worst
from tests.rules.test_ageing import HOURS

DUE = datetime(2020, 6, 5, 16, tzinfo=UTC)  # Friday 06-05, the whole day
HOLIDAY_DUE = datetime(2020, 6, 30, 16, tzinfo=UTC)  # Tuesday 06-30, after Dragon Boat and a make-up Sunday
SUNDAY_DUE = datetime(2020, 5, 31, 16, tzinfo=UTC)  # Sunday 05-31
TOLD = datetime(2020, 6, 11, 1, tzinfo=UTC)  # Thursday 06-11 09:00


def morning(month: int, day: int) -> datetime:
    return datetime(2020, month, day, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("due", "as_of", "grade"),
    [
        (DUE, morning(6, 1), None),  # Monday: four working days to Friday
        (DUE, morning(6, 2), Grade.BLUE),  # Tuesday: three
        (DUE, DUE - timedelta(microseconds=1), Grade.BLUE),  # Friday, the last instant
        (DUE, DUE, Grade.YELLOW),  # Saturday 00:00
        (SUNDAY_DUE, morning(5, 25), None),  # Monday: four working days before the Sunday
        (SUNDAY_DUE, morning(5, 26), Grade.BLUE),  # Tuesday: Wednesday, Thursday, Friday
        (HOLIDAY_DUE, morning(6, 23), None),  # Tuesday: 24, 28, 29, 30
        (HOLIDAY_DUE, morning(6, 24), Grade.BLUE),  # Wednesday: the make-up Sunday 28, Monday 29, Tuesday 30
        (HOLIDAY_DUE, morning(6, 27), Grade.BLUE),  # Saturday, a holiday
        (None, morning(6, 24), None),  # voluntary
    ],
)
def test_blue_is_due_within_three_working_days_and_yellow_is_overdue(
    due: datetime | None, as_of: datetime, grade: Grade | None
) -> None:
    assert grade_of(due, as_of, HOURS, superior_told=None) is grade


def test_red_is_overdue_from_the_moment_the_superior_was_told() -> None:
    assert grade_of(DUE, TOLD - timedelta(microseconds=1), HOURS, superior_told=TOLD) is Grade.YELLOW
    assert grade_of(DUE, TOLD, HOURS, superior_told=TOLD) is Grade.RED
    assert grade_of(DUE, morning(6, 4), HOURS, superior_told=morning(6, 3)) is Grade.BLUE  # not late: never red


def test_an_order_bears_the_worst_of_its_colours() -> None:
    assert worst([Grade.BLUE, Grade.RED, Grade.YELLOW]) is Grade.RED
    assert worst([Grade.BLUE]) is Grade.BLUE
    assert worst([]) is None


def test_what_is_not_late_is_demanded_by_its_own_deadline() -> None:
    assert demanded_by([HOLIDAY_DUE, DUE], morning(6, 4), HOURS, within=2) == StatedDeadline(day=date(2020, 6, 5))


def test_what_is_late_is_demanded_within_working_days_from_now() -> None:
    friday = morning(6, 12)
    assert demanded_by([DUE, HOLIDAY_DUE], friday, HOURS, within=1) == StatedDeadline(day=date(2020, 6, 15))  # Monday
    wednesday = morning(6, 24)
    assert demanded_by([DUE], wednesday, HOURS, within=2) == StatedDeadline(day=date(2020, 6, 29))  # Sunday, Monday


def test_days_late_are_calendar_days_since_the_stated_day() -> None:
    assert days_late(DUE, DUE - timedelta(microseconds=1), HOURS) == 0
    assert days_late(DUE, DUE, HOURS) == 1  # Saturday 00:00
    assert days_late(DUE, morning(6, 8), HOURS) == 3  # Monday
