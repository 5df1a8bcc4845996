"""How long something has waited, in working days, and how bad that is: both sides of each edge."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from rules.ageing import Age, age_of, waited, working_days_between
from rules.calendar import WorkCalendar
from rules.timetable import Hours

ZONE = ZoneInfo("Asia/Shanghai")
HOURS = Hours(
    zone=ZONE,
    calendar=WorkCalendar(
        holidays=frozenset({date(2020, 6, 25), date(2020, 6, 26), date(2020, 6, 27)}),
        makeup_days=frozenset({date(2020, 6, 28)}),
        years=frozenset({2020}),
    ),
    send_at=time(9),
)


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        (date(2020, 6, 5), date(2020, 6, 5), 0),  # Friday, the same day
        (date(2020, 6, 5), date(2020, 6, 7), 0),  # Friday to Sunday
        (date(2020, 6, 5), date(2020, 6, 8), 1),  # Friday to Monday
        (date(2020, 6, 6), date(2020, 6, 8), 1),  # Saturday to Monday
        (date(2020, 6, 24), date(2020, 6, 27), 0),  # Wednesday over Dragon Boat to Saturday
        (date(2020, 6, 24), date(2020, 6, 28), 1),  # to the make-up Sunday
        (date(2020, 6, 8), date(2020, 6, 5), 0),  # backwards
    ],
)
def test_working_days_are_counted_after_the_first_day_up_to_the_last(first: date, last: date, days: int) -> None:
    assert working_days_between(first, last, HOURS) == days


@pytest.mark.parametrize(
    ("days", "age"),
    [(0, Age.FRESH), (1, Age.FRESH), (2, Age.AGED), (3, Age.AGED), (4, Age.OLD)],
)
def test_over_one_working_day_is_noticed_and_over_three_is_bad(days: int, age: Age) -> None:
    assert age_of(days) is age


def test_waiting_is_counted_by_local_days() -> None:
    since = datetime(2020, 6, 4, 15, 59, tzinfo=UTC)  # Thursday 23:59 in Shanghai
    assert waited(since, datetime(2020, 6, 4, 16, tzinfo=UTC), HOURS) == 1  # Friday 00:00
    assert waited(datetime(2020, 6, 4, 16, tzinfo=UTC), datetime(2020, 6, 5, 15, tzinfo=UTC), HOURS) == 0
