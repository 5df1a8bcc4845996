"""Working days of a State Council calendar: weekends, holidays and make-up days (调休上班)."""

from dataclasses import dataclass
from datetime import date, timedelta

SATURDAY = 5


@dataclass(frozen=True, kw_only=True)
class WorkCalendar:
    """Departures from Monday–Friday, and the years for which they are known.

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
