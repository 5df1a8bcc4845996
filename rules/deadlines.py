"""Due instants: from a date as a circular states it to the first instant that is late, and back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

ONE_DAY = timedelta(days=1)
ONE_MINUTE = timedelta(minutes=1)
MIDNIGHT = time(0, 0)


@dataclass(frozen=True, kw_only=True)
class StatedDeadline:
    """A deadline as people say it: a day (inclusive) or a day and a time, both local."""

    day: date
    at: time | None = None


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """One occurrence of a deliverable: its key (``once`` or the local date) and the deadline stated for it."""

    key: str
    deadline: StatedDeadline | None


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


def recurring(rule: str, *, first: date, until: date, at: time | None = None) -> Iterator[Occurrence]:
    """Yield the occurrences of an RFC 5545 rule from ``first`` to ``until``, both days inclusive.

    Raises:
        ValueError: the rule cannot be read.

    """
    begin = datetime.combine(first, MIDNIGHT)
    for moment in rrulestr(rule, dtstart=begin).between(begin, datetime.combine(until, MIDNIGHT), inc=True):
        day = moment.date()
        yield Occurrence(key=day.isoformat(), deadline=StatedDeadline(day=day, at=at))
