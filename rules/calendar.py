"""Working days of a State Council calendar: weekends, holidays and make-up days (调休上班)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

SATURDAY = 5
NOVEMBER = 11  # in which the State Council announces the next year


class DayKind(StrEnum):
    """What a day is."""

    WORKING = "working"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    MAKEUP = "makeup"  # 调休上班


@dataclass(frozen=True, kw_only=True)
class WorkCalendar:
    """Departures from Monday–Friday, and the years for which they are known.

    ``holidays`` are the days that the State Council lists, the Saturdays and Sundays among them included.
    In a year that is not known, Monday–Friday holds; callers ask :meth:`knows` and warn.
    """

    holidays: frozenset[date] = frozenset()
    makeup_days: frozenset[date] = frozenset()
    years: frozenset[int] = frozenset()

    def knows(self, day: date) -> bool:
        """Whether the holidays of that day's year are on record."""
        return day.year in self.years

    def is_working_day(self, day: date) -> bool:
        """Whether offices work: a make-up Sunday counts, a public holiday does not."""
        if day in self.makeup_days:
            return True
        return day.weekday() < SATURDAY and day not in self.holidays

    def kind_of(self, day: date) -> DayKind:
        """Return what a day is."""
        if day in self.makeup_days:
            return DayKind.MAKEUP
        if day in self.holidays:
            return DayKind.HOLIDAY
        return DayKind.WORKING if day.weekday() < SATURDAY else DayKind.WEEKEND

    def working_day_on_or_before(self, day: date) -> date:
        """Return the day itself if offices work, else the nearest working day before."""
        while not self.is_working_day(day):
            day -= timedelta(days=1)
        return day

    def working_day_on_or_after(self, day: date) -> date:
        """Return the day itself if offices work, else the nearest working day after."""
        while not self.is_working_day(day):
            day += timedelta(days=1)
        return day

    def first_day_past_holidays(self, day: date) -> date:
        """Return the day itself unless the list of holidays has it, else the first after it that the list has not.

        That may be an ordinary Saturday or Sunday.
        """
        while day in self.holidays:
            day += timedelta(days=1)
        return day

    def add_working_days(self, day: date, count: int) -> date:
        """Return the ``count``-th working day after ``day`` (0: the day itself).

        Raises:
            ValueError: for a negative count.

        """
        if count < 0:
            raise ValueError(f"count of working days is {count}; give 0 or more")
        for _ in range(count):
            day = self.working_day_on_or_after(day + timedelta(days=1))
        return day


def years_to_renew(known: Iterable[int], needed: Iterable[int], today: date) -> tuple[int, ...]:
    """Return the years that are needed, not on record, and announced by now: from November of the year before."""
    missing = set(needed) - set(known)
    return tuple(sorted(year for year in missing if today >= date(year - 1, NOVEMBER, 1)))
