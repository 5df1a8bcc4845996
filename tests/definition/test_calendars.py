"""The calendars that ship, against a second source."""

from datetime import date, timedelta
from pathlib import Path

import holidays
import pytest

from definition.calendars import load_calendar
from definition.models import CalendarDays
from rules.calendar import WorkCalendar, years_to_renew

YEARS = range(2019, 2027)


@pytest.fixture(scope="module")
def shipped(house: Path) -> CalendarDays:
    """Return the days on record."""
    days, warnings = load_calendar(house / "campaigns" / "calendar", "cn", YEARS)
    assert warnings == []
    return days


@pytest.mark.parametrize("year", YEARS)
def test_a_year_has_the_working_days_that_a_second_source_has(shipped: CalendarDays, year: int) -> None:
    # The data's source is chinesecalendar. For these years the two agree on every day; a difference found later is
    # to be explained here by the State Council's notice, and listed.
    calendar = WorkCalendar(
        holidays=frozenset(shipped.holidays), makeup_days=frozenset(shipped.makeup_days), years=frozenset(shipped.years)
    )
    second = holidays.country_holidays("CN", years=year)
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(366)]
    differing = [d for d in days if d.year == year and calendar.is_working_day(d) is not second.is_working_day(d)]
    assert differing == []


def test_a_missing_year_is_asked_for_from_november_of_the_year_before() -> None:
    known, needed = [2025, 2026], [2026, 2027]
    assert years_to_renew(known, needed, date(2026, 10, 31)) == ()  # Saturday
    assert years_to_renew(known, needed, date(2026, 11, 1)) == (2027,)  # Sunday
    assert years_to_renew([*known, 2027], needed, date(2026, 11, 1)) == ()
