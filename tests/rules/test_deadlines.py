"""Due instants, on both sides of their edge."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.deadlines import StatedDeadline, due_instant, is_overdue, recurring, stated

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


def test_a_weekly_rule_gives_each_friday_both_ends_included() -> None:
    found = list(recurring("FREQ=WEEKLY;BYDAY=FR", first=date(2023, 5, 5), until=date(2023, 5, 26), at=time(16, 0)))
    assert [o.key for o in found] == ["2023-05-05", "2023-05-12", "2023-05-19", "2023-05-26"]
    assert found[0].deadline == StatedDeadline(day=date(2023, 5, 5), at=time(16, 0))


def test_month_end_falls_on_the_last_day_of_short_months_too() -> None:
    found = recurring("FREQ=MONTHLY;BYMONTHDAY=-1", first=date(2023, 1, 1), until=date(2023, 4, 30))
    assert [o.key for o in found] == ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"]


def test_a_rule_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="EVERY"):
        list(recurring("EVERY=FRIDAY", first=date(2023, 1, 1), until=date(2023, 2, 1)))
