"""Deadlines as circulars state them: a date, a day and a time, or one of a few phrasings; and what each comes to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from definition.parts import Part
from rules.calendar import WorkCalendar
from rules.deadlines import NamedTime, TenDays, day_of_month, end_of_ten_days, month_after

ONE_FORMAT = (
    "write 2020-06-05, “2020-06-05 16:00”, or a mapping with one of on, month, month_after, after, between; "
    "docs/how-to/state-a-deadline.md shows each"
)


class Event(StrEnum):
    """A day of the campaign from which others are counted."""

    CIRCULAR = "circular"  # issued_on
    ACTIVITY_START = "activity_start"  # opens_on
    ACTIVITY_END = "activity_end"  # ends_on


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """The days of a campaign that deadlines are counted from, and its working days."""

    events: dict[Event, date | None]
    calendar: WorkCalendar

    def day_of(self, anchor: Event | date) -> date:
        """Return the day of an event.

        Raises:
            ValueError: the campaign does not say when it is.

        """
        day = self.events[anchor] if isinstance(anchor, Event) else anchor
        if day is None:
            raise ValueError(f"{anchor} is named, and the campaign has no ends_on")
        return day


def _anchor(value: object) -> object:
    if isinstance(value, str) and value not in set(Event):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is neither one of {', '.join(Event)} nor a date") from None
    return value


def _day_time(value: object) -> object:
    if isinstance(value, str):
        try:
            return NamedTime(value) if value in set(NamedTime) else time.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no time; write “16:00”, {' or '.join(NamedTime)}") from None
    if isinstance(value, int | float):  # an unquoted 16:00 is a number to YAML
        raise ValueError("write the time in quotes, as “16:00”")  # noqa: TRY004  pydantic wants it
    return value


Anchor = Annotated[Event | date, BeforeValidator(_anchor)]
StatedTime = Annotated[time | NamedTime, BeforeValidator(_day_time)]
DayNumber = Annotated[int, Field(ge=1, le=31)] | Literal["end"]
DAYS = "%a %Y-%m-%d"


class _Stated(Part):
    """A phrasing: the day it comes to before any adjustment, and how, in words."""

    before: StatedTime | None = None

    @property
    def opens(self) -> date | None:
        """The first day of a span."""
        return None


class On(_Stated):
    """``{on: 2020-06-05, before: knocking_off}``: a day, by a time of it."""

    on: date

    def nominal(self, _: Landmarks) -> date:
        """Return the day."""
        return self.on

    def in_words(self, _: Landmarks) -> str:
        """Return how the day is found."""
        return "on the day stated"


class InMonth(_Stated):
    """``{month: 2020-06, day: end}``, ``{month: 2020-06, ten_days: first}``, or by the month after another day's.

    So ``{month_after: activity_end, day: 25}``.
    """

    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")] | None = None
    month_after: Anchor | None = None
    day: DayNumber | None = None
    ten_days: TenDays | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.month is None) == (self.month_after is None):
            raise ValueError("name the month either by `month` or by `month_after`")
        if (self.day is None) == (self.ten_days is None):
            raise ValueError("name the day either by `day` (a number, or end) or by `ten_days` (first, second, last)")
        return self

    def nominal(self, landmarks: Landmarks) -> date:
        """Return the day; one that the month does not have is its last."""
        if self.month is not None:
            year, month = map(int, self.month.split("-"))
        else:
            assert self.month_after is not None  # noqa: S101  one of the two is given
            year, month = month_after(landmarks.day_of(self.month_after))
        if self.ten_days is not None:
            return end_of_ten_days(year, month, self.ten_days)
        return day_of_month(year, month, self.day if isinstance(self.day, int) else None)

    def in_words(self, landmarks: Landmarks) -> str:
        """Return how the day is found."""
        if self.ten_days is not None:
            what = f"end of the {self.ten_days} ten days"
        else:
            what = "end" if self.day == "end" else f"day {self.day}"
        if self.month is not None:
            return f"{what} of {self.month}"
        assert self.month_after is not None  # noqa: S101  one of the two is given
        return f"{what} of the month after {_named(self.month_after, landmarks)}"


class After(_Stated):
    """``{after: activity_end, working_days: 20}``: so many days or working days after a day, which is not counted."""

    after: Anchor
    days: Annotated[int, Field(ge=1)] | None = None
    working_days: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.days is None) == (self.working_days is None):
            raise ValueError("count either `days` or `working_days`")
        return self

    def nominal(self, landmarks: Landmarks) -> date:
        """Return the day counted to."""
        day = landmarks.day_of(self.after)
        if self.working_days is not None:
            return landmarks.calendar.add_working_days(day, self.working_days)
        return day + timedelta(days=self.days or 0)

    def in_words(self, landmarks: Landmarks) -> str:
        """Return how the day is found."""
        count = f"{self.days} days" if self.working_days is None else f"{self.working_days} working days"
        return f"{count} after {_named(self.after, landmarks)}"


class Span(_Stated):
    """``{between: [2020-06-01, 2020-06-07]}``: due is its last day, and nothing is chased before its first."""

    between: tuple[date, date]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.between[0] > self.between[1]:
            raise ValueError(f"the span ends on {self.between[1]}, before it begins; give its first day first")
        return self

    @property
    def opens(self) -> date | None:
        """The first day of the span."""
        return self.between[0]

    def nominal(self, _: Landmarks) -> date:
        """Return the last day."""
        return self.between[1]

    def in_words(self, _: Landmarks) -> str:
        """Return how the day is found."""
        return f"end of the span from {self.between[0]:{DAYS}}"


def _named(anchor: Event | date, landmarks: Landmarks) -> str:
    names = {
        Event.CIRCULAR: "the circular",
        Event.ACTIVITY_START: "the activities begin",
        Event.ACTIVITY_END: "the activities end",
    }
    day = f"{landmarks.day_of(anchor):{DAYS}}"
    return f"{names[anchor]} ({day})" if isinstance(anchor, Event) else day


PHRASINGS = {"on": On, "month": InMonth, "month_after": InMonth, "after": After, "between": Span}
TAGS = ("Day", "Moment", *(kind.__name__ for kind in (On, InMonth, After, Span)))


def _due(value: object) -> object:
    """Keep a bare date a date: pydantic would make midnight of it."""
    if isinstance(value, str):
        text = value.strip()
        try:
            return date.fromisoformat(text) if len(text) == len("2020-06-05") else datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{value!r} is no date; {ONE_FORMAT}") from None
    return value


def _tag(value: object) -> str | None:
    if isinstance(value, date):
        return "Moment" if isinstance(value, datetime) else "Day"
    if isinstance(value, _Stated):
        return type(value).__name__
    keys: Iterable[object] = value if isinstance(value, dict) else ()
    return next((PHRASINGS[key].__name__ for key in keys if isinstance(key, str) and key in PHRASINGS), None)


Phrasing = On | InMonth | After | Span
Due = Annotated[
    Annotated[date, Tag("Day")]
    | Annotated[datetime, Tag("Moment")]
    | Annotated[On, Tag("On")]
    | Annotated[InMonth, Tag("InMonth")]
    | Annotated[After, Tag("After")]
    | Annotated[Span, Tag("Span")],
    Discriminator(_tag, custom_error_type="no_deadline", custom_error_message=f"is no deadline; {ONE_FORMAT}"),
    BeforeValidator(_due),
]


def phrasing_of(due: date | datetime | Phrasing) -> Phrasing:
    """Return a bare date or moment as the phrasing it is short for."""
    if isinstance(due, datetime):
        return On(on=due.date(), before=due.time())
    return On(on=due) if isinstance(due, date) else due
