"""When a mail that came too early or too late can go."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from rules.delivery import in_window, next_opening

ZONE = ZoneInfo("Asia/Shanghai")
WINDOW = (time(8, 30), time(18, 0))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2020, 5, day, hour, minute, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        (at(29, 0), at(29, 8, 30)),
        (at(29, 8, 29), at(29, 8, 30)),
        (at(29, 18), at(30, 8, 30)),
        (at(31, 23, 59), datetime(2020, 6, 1, 8, 30, tzinfo=ZONE)),
    ],
)
def test_the_window_opens_next_on_this_day_or_the_one_after(moment: datetime, opens: datetime) -> None:
    assert not in_window(moment, WINDOW, ZONE)
    assert next_opening(moment, WINDOW, ZONE) == opens
    assert in_window(opens, WINDOW, ZONE)


def test_what_is_full_for_today_waits_for_tomorrow_s_opening() -> None:
    assert next_opening(at(29, 7), WINDOW, ZONE, today=False) == at(30, 8, 30)
