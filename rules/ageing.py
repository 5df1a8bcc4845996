"""Ageing: how many working days something has waited for staff, and how bad that is."""

from datetime import date, datetime, timedelta
from enum import StrEnum

from rules.timetable import Hours

NOTICEABLE, BAD = 1, 3  # working days, more than which a thing has waited noticeably, or badly


class Age(StrEnum):
    """How long something has waited."""

    FRESH = "fresh"
    AGED = "aged"  # over one working day
    OLD = "old"  # over three


def working_days_between(first: date, last: date, hours: Hours) -> int:
    """Return how many working days lie after ``first``, up to and including ``last``; 0 if it is no later."""
    days = (first + timedelta(days=n) for n in range(1, (last - first).days + 1))
    return sum(hours.calendar.is_working_day(day) for day in days)


def waited(since: datetime, as_of: datetime, hours: Hours) -> int:
    """Return the working days that have begun since the local day on which something began to wait."""
    return working_days_between(since.astimezone(hours.zone).date(), as_of.astimezone(hours.zone).date(), hours)


def age_of(days: int) -> Age:
    """Return how bad it is that something has waited so many working days."""
    if days > BAD:
        return Age.OLD
    return Age.AGED if days > NOTICEABLE else Age.FRESH
