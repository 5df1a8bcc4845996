"""The occurrences of a deliverable: what its deadline or its rule comes to, and how, in words."""

from definition.dues import DAYS, Event, Landmarks, phrasing_of
from definition.models import Campaign, Deliverable, DeliverableKind
from rules.calendar import DayKind
from rules.deadlines import (
    ONCE,
    Adjustment,
    DayTime,
    NamedTime,
    Occurrence,
    OfficeHours,
    Season,
    recurring_days,
    settled,
)

OFF = {
    DayKind.HOLIDAY: "a public holiday",
    DayKind.WEEKEND: "a weekend",
    DayKind.MAKEUP: "a make-up working day",
    DayKind.WORKING: "a working day",
}


def landmarks_of(campaign: Campaign) -> Landmarks:
    """Return the days of a campaign that deadlines are counted from."""
    events = {
        Event.CIRCULAR: campaign.issued_on,
        Event.ACTIVITY_START: campaign.opens_on,
        Event.ACTIVITY_END: campaign.ends_on,
    }
    return Landmarks(events=events, calendar=campaign.work_calendar())


def office_hours_of(campaign: Campaign) -> OfficeHours | None:
    """Return when the office closes, if the campaign says so."""
    hours = campaign.office_hours
    if hours is None:
        return None
    seasons = tuple(Season(first=s.from_, last=s.until, knocking_off=s.knocking_off) for s in hours.seasons)
    return OfficeHours(knocking_off=hours.knocking_off, seasons=seasons)


def time_of(deliverable: Deliverable) -> DayTime:
    """Return the time of day by which a deliverable is due on its day."""
    if deliverable.recurrence is not None or deliverable.due is None:
        return deliverable.due_time
    return phrasing_of(deliverable.due).before


def occurrences_of(campaign: Campaign, deliverable: Deliverable) -> tuple[Occurrence, ...]:
    """Return every occurrence of a deliverable, in order; voluntary materials have none until something comes in.

    Raises:
        ValueError: its rule cannot be read, or it names what the campaign does not say.

    """
    if deliverable.kind is DeliverableKind.FREE:
        return ()
    calendar, hours, at = campaign.work_calendar(), office_hours_of(campaign), time_of(deliverable)
    if deliverable.recurrence is not None and deliverable.from_ is not None and deliverable.until is not None:
        return tuple(
            Occurrence(
                key=day.isoformat(),
                deadline=settled(day, at, deliverable.adjust, calendar, hours),
                nominal=day,
            )
            for day in recurring_days(deliverable.recurrence, first=deliverable.from_, until=deliverable.until)
        )
    if deliverable.due is None:
        return (Occurrence(key=ONCE, deadline=None),)
    phrasing = phrasing_of(deliverable.due)
    day = phrasing.nominal(landmarks_of(campaign))
    deadline = settled(day, at, deliverable.adjust, calendar, hours)
    return (Occurrence(key=ONCE, deadline=deadline, nominal=day, opens=phrasing.opens),)


def how_derived(campaign: Campaign, deliverable: Deliverable, occurrence: Occurrence) -> str:
    """Return in words how the deadline of an occurrence was found."""
    if occurrence.deadline is None or occurrence.nominal is None:
        return "any time"
    if deliverable.recurrence is not None:
        words = f"{deliverable.recurrence}: {occurrence.nominal:{DAYS}}"
    elif deliverable.due is not None:
        words = phrasing_of(deliverable.due).in_words(landmarks_of(campaign))
    else:
        words = "any time"
    at = time_of(deliverable)
    ending = f"; by {at.replace('_', ' ')}" if isinstance(at, NamedTime) else ""
    return words + _adjustment(campaign, deliverable.adjust, occurrence) + ending


def _adjustment(campaign: Campaign, adjustment: Adjustment, occurrence: Occurrence) -> str:
    """Return what the adjustment did, with the kinds of both days; nothing on an ordinary working day."""
    assert occurrence.deadline is not None  # noqa: S101  asked for dated ones only
    assert occurrence.nominal is not None  # noqa: S101
    calendar, nominal, day = campaign.work_calendar(), occurrence.nominal, occurrence.deadline.day
    kind = calendar.kind_of(nominal)
    what = OFF[kind] + (f" ({name})" if (name := campaign.calendar_days.names.get(nominal)) else "")
    if day != nominal:
        moved = "moved on to" if day > nominal else "moved back to"
        return f", {what}, {moved} {day:{DAYS}} ({adjustment}), {OFF[calendar.kind_of(day)]}"
    return "" if kind is DayKind.WORKING else f", {what}, not moved ({adjustment})"
