"""Due instants: from a date as a circular states it to the first instant that is late, and back."""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from rules.calendar import WorkCalendar

ONE_DAY = timedelta(days=1)
ONE_MINUTE = timedelta(minutes=1)
MIDNIGHT = time(0, 0)
NOON = time(12, 0)
ONCE = "once"


@dataclass(frozen=True, kw_only=True)
class StatedDeadline:
    """A deadline as people say it: a day (inclusive) or a day and a time, both local."""

    day: date
    at: time | None = None


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """One occurrence of a deliverable.

    Its key is ``once`` or the local date as the circular states it (``nominal``), which an adjustment moves no more
    than a renewed calendar does; the deadline is what became of that date. ``opens`` is the first day of a span.
    """

    key: str
    deadline: StatedDeadline | None
    nominal: date | None = None
    opens: date | None = None


class NamedTime(StrEnum):
    """A time of day that a circular names in words."""

    NOON = "noon"
    KNOCKING_OFF = "knocking_off"  # 下班前: when the office closes on that day


DayTime = time | NamedTime | None


@dataclass(frozen=True, kw_only=True)
class Season:
    """Days, both ends included, on which the office closes at an hour of their own."""

    first: date
    last: date
    knocking_off: time


@dataclass(frozen=True, kw_only=True)
class OfficeHours:
    """When the office closes: the hour of the first season that has the day, else the usual one."""

    knocking_off: time
    seasons: tuple[Season, ...] = ()

    def knocking_off_on(self, day: date) -> time:
        """Return the hour at which the office closes on a day."""
        return next((s.knocking_off for s in self.seasons if s.first <= day <= s.last), self.knocking_off)


class Adjustment(StrEnum):
    """What becomes of a deadline that falls on a day off. A make-up day is a working day."""

    NONE = "none"
    FOLLOWING = "following"  # the next working day
    PRECEDING = "preceding"  # the working day before
    FOLLOWING_UNLESS_WEEKEND = "following-unless-weekend"  # past public holidays, but not past an ordinary weekend


class TenDays(StrEnum):
    """The parts of a month: 上旬, 中旬, 下旬."""

    FIRST = "first"
    SECOND = "second"
    LAST = "last"


def local_instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of a local wall time."""
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def due_instant(deadline: StatedDeadline, zone: ZoneInfo) -> datetime:
    """Return the first instant that is late, in UTC: the next local midnight, or the end of the stated minute."""
    if deadline.at is None:
        return local_instant(deadline.day + ONE_DAY, MIDNIGHT, zone)
    return local_instant(deadline.day, deadline.at, zone) + ONE_MINUTE


def stated(due: datetime, zone: ZoneInfo) -> StatedDeadline:
    """Return a due instant as people say it: the inverse of :func:`due_instant`.

    A deadline stated as 23:59 comes back as its whole day, which is the same instant.
    """
    local = due.astimezone(zone)
    if local.time() == MIDNIGHT:
        return StatedDeadline(day=local.date() - ONE_DAY)
    last_minute = (due - ONE_MINUTE).astimezone(zone)
    return StatedDeadline(day=last_minute.date(), at=last_minute.time())


def is_overdue(due: datetime | None, as_of: datetime) -> bool:
    """Whether a thing due at ``due`` is late at ``as_of``; what has no due instant never is."""
    return due is not None and as_of >= due


def adjusted(day: date, adjustment: Adjustment, calendar: WorkCalendar) -> date:
    """Return the day to which a deadline moves."""
    match adjustment:
        case Adjustment.FOLLOWING:
            return calendar.working_day_on_or_after(day)
        case Adjustment.PRECEDING:
            return calendar.working_day_on_or_before(day)
        case Adjustment.FOLLOWING_UNLESS_WEEKEND:
            return calendar.first_day_past_holidays(day)
        case Adjustment.NONE:
            return day


def settled(
    nominal: date, at: DayTime, adjustment: Adjustment, calendar: WorkCalendar, hours: OfficeHours | None
) -> StatedDeadline:
    """Return the deadline that a stated date and time come to; the office closes by the hours of the adjusted day.

    Raises:
        ValueError: it is the office's closing hour, and no hours are known.

    """
    day = adjusted(nominal, adjustment, calendar)
    if at is NamedTime.NOON:
        return StatedDeadline(day=day, at=NOON)
    if at is NamedTime.KNOCKING_OFF:
        if hours is None:
            raise ValueError("knocking_off is named, and office_hours are not")
        return StatedDeadline(day=day, at=hours.knocking_off_on(day))
    return StatedDeadline(day=day, at=at)


def day_of_month(year: int, month: int, day: int | None) -> date:
    """Return a day of a month; None, or one that the month does not have, is its last (月底)."""
    last = monthrange(year, month)[1]
    return date(year, month, last if day is None else min(day, last))


def end_of_ten_days(year: int, month: int, part: TenDays) -> date:
    """Return the last day of a part of a month: the 10th, the 20th, the end."""
    return day_of_month(year, month, {TenDays.FIRST: 10, TenDays.SECOND: 20, TenDays.LAST: None}[part])


def month_after(day: date) -> tuple[int, int]:
    """Return year and month of the month after a day's."""
    following = date(day.year, day.month, 1) + timedelta(days=31)
    return following.year, following.month


SERIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_FREQUENCY = re.compile(r"FREQ=(\w+)", re.IGNORECASE)
_TIME_OF_DAY = re.compile(r"BY(HOUR|MINUTE|SECOND)|DTSTART|RDATE|EXDATE", re.IGNORECASE)


def recurring_days(rule: str, *, first: date, until: date) -> Iterator[date]:
    """Yield the days of an RFC 5545 rule from ``first`` to ``until``, both inclusive.

    Raises:
        ValueError: the rule cannot be read, or speaks of more than days.

    """
    frequency = _FREQUENCY.search(rule)
    if frequency is None or frequency[1].upper() not in SERIES:
        raise ValueError(f"{rule!r} is no RFC 5545 rule of days; write FREQ= with one of {', '.join(SERIES)}")
    if (foreign := _TIME_OF_DAY.search(rule)) is not None:
        raise ValueError(f"{rule!r} names {foreign[0].upper()}; a rule says days, `due_time` and `from` the rest")
    begin = datetime.combine(first, MIDNIGHT)
    for moment in rrulestr(rule, dtstart=begin).between(begin, datetime.combine(until, MIDNIGHT), inc=True):
        yield moment.date()


def within_horizon(occurrences: Iterable[Occurrence], today: date, horizon_days: int) -> Iterator[Occurrence]:
    """Yield what a series has within so many days, in order; its first occurrence always.

    So every unit owes something at launch, and is told of it.
    """
    last = today + timedelta(days=horizon_days)
    for number, occurrence in enumerate(occurrences):
        if number == 0 or occurrence.nominal is None or occurrence.nominal <= last:
            yield occurrence


def chased_from(occurrence: Occurrence, since: datetime, zone: ZoneInfo, horizon_days: int | None = None) -> datetime:
    """Return the moment before which nothing is owed to be said of an occurrence.

    A unit takes part ``since`` then; a span must have begun; one of a series has come over the horizon. None of it
    depends on when a run finds it, so that a late run says what a punctual one would have said.
    """
    begins = [since]
    if occurrence.opens is not None:
        begins.append(local_instant(occurrence.opens, MIDNIGHT, zone))
    if horizon_days is not None and occurrence.nominal is not None:
        begins.append(local_instant(occurrence.nominal - timedelta(days=horizon_days), MIDNIGHT, zone))
    return max(begins)
