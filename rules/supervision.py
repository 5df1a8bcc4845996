"""Supervision orders (督办单): which colour, and by when the unit is to have reported."""

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum

from rules.ageing import working_days_between
from rules.deadlines import StatedDeadline, is_overdue, stated
from rules.timetable import Hours

NEAR = 3  # working days before the due day from which an order may be given


class Grade(StrEnum):
    """The colour of an order."""

    BLUE = "blue"  # 蓝: due within three working days
    YELLOW = "yellow"  # 黄: overdue
    RED = "red"  # 红: overdue, and the superior has heard of it


RANK = {Grade.BLUE: 0, Grade.YELLOW: 1, Grade.RED: 2}


def grade_of(due: datetime | None, as_of: datetime, hours: Hours, *, superior_told: datetime | None) -> Grade | None:
    """Return the colour for one thing that is owed; None if it is due later than that, or never.

    ``superior_told`` is when the superior's rung went out for that due instant.
    """
    if due is None:
        return None
    if is_overdue(due, as_of):
        return Grade.RED if superior_told is not None and superior_told <= as_of else Grade.YELLOW
    left = working_days_between(as_of.astimezone(hours.zone).date(), stated(due, hours.zone).day, hours)
    return Grade.BLUE if left <= NEAR else None


def worst(grades: Iterable[Grade]) -> Grade | None:
    """Return the colour of an order over several things: the worst of theirs."""
    return max(grades, key=RANK.__getitem__, default=None)


def demanded_by(dues: Iterable[datetime], as_of: datetime, hours: Hours, *, within: int) -> StatedDeadline:
    """Return by when an order demands the reports.

    What is not late yet, by its own deadline (the earliest of several); with anything late among it, ``within``
    working days from now.
    """
    every = sorted(dues)
    if every and not is_overdue(every[0], as_of):
        return stated(every[0], hours.zone)
    return StatedDeadline(day=hours.calendar.add_working_days(as_of.astimezone(hours.zone).date(), within))


def days_late(due: datetime, as_of: datetime, hours: Hours) -> int:
    """Return the calendar days since the stated due day; 0 if it is not late, or on the day itself."""
    if not is_overdue(due, as_of):
        return 0
    today: date = as_of.astimezone(hours.zone).date()
    return (today - stated(due, hours.zone).day).days
