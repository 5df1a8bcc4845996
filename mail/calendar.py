"""Deadlines as an .ics attachment (RFC 5545, METHOD:PUBLISH) with UIDs that stay the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from icalendar import Alarm, Calendar, Event

LENGTH = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """One entry. ``due`` is the first instant that is late; the entry ends there."""

    uid: str
    due: datetime
    summary: str
    description: str
    sequence: int = 0


def deadlines_ics(deadlines: Sequence[Deadline], *, name: str, stamp: datetime) -> bytes:
    """Return a calendar of deadlines; each entry is the half hour that ends at the due instant."""
    calendar = Calendar()
    calendar.add("prodid", "-//Muster//deadlines//ZH")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", name)
    for deadline in deadlines:
        event = Event()
        event.add("uid", deadline.uid)
        event.add("dtstamp", stamp)
        event.add("dtstart", deadline.due - LENGTH)
        event.add("dtend", deadline.due)
        event.add("summary", deadline.summary)
        event.add("description", deadline.description)
        event.add("sequence", deadline.sequence)
        event.add("transp", "TRANSPARENT")
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", deadline.summary)
        alarm.add("trigger", timedelta(days=-1))
        event.add_component(alarm)
        calendar.add_component(event)
    ics: bytes = calendar.to_ical()
    return ics
