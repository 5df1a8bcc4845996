"""What a deliverable's deadline comes to: its occurrences, and how each was found, in words."""

from collections.abc import Iterator
from datetime import date

from definition.dues import DAYS, Event, Landmarks, phrasing_of
from definition.models import Campaign, Deliverable, DeliverableKind
from rules.deadlines import ONCE, Adjustment, DayTime, NamedTime, Occurrence, recurring_days, settled

MOVED = {
    Adjustment.FOLLOWING: "moved to the next working day",
    Adjustment.PRECEDING: "moved to the working day before",
    Adjustment.FOLLOWING_UNLESS_WEEKEND: "moved past the public holiday",
}


def landmarks_of(campaign: Campaign) -> Landmarks:
    """Return the days from which deadlines are counted."""
    events: dict[Event, date | None] = {
        Event.CIRCULAR: campaign.issued_on,
        Event.ACTIVITY_START: campaign.opens_on,
        Event.ACTIVITY_END: campaign.ends_on,
    }
    return Landmarks(events=events, calendar=campaign.work_calendar())


def occurrences_of(campaign: Campaign, deliverable: Deliverable) -> tuple[Occurrence, ...]:
    """Return the occurrences of a deliverable; voluntary materials have none until something comes in.

    Raises:
        ValueError: the rule cannot be read, or names a day or an hour that the campaign does not say.

    """
    return tuple(occurrence for occurrence, _ in explained(campaign, deliverable))


def explained(campaign: Campaign, deliverable: Deliverable) -> Iterator[tuple[Occurrence, str]]:
    """Yield the occurrences of a deliverable, each with how its deadline was found.

    Raises:
        ValueError: as :func:`occurrences_of` has it.

    """
    if deliverable.kind is DeliverableKind.FREE:
        return
    landmarks = landmarks_of(campaign)
    rule, first, until = deliverable.recurrence, deliverable.from_, deliverable.until
    if rule is not None and first is not None and until is not None:
        for day in recurring_days(rule, first=first, until=until):
            yield _settled(campaign, deliverable, landmarks, day, day.isoformat(), deliverable.due_time, rule)
    elif deliverable.due is not None:
        due = phrasing_of(deliverable.due)
        day = due.nominal(landmarks)
        yield _settled(
            campaign, deliverable, landmarks, day, ONCE, due.before, due.in_words(landmarks), opens=due.opens
        )


def _settled(
    campaign: Campaign,
    deliverable: Deliverable,
    landmarks: Landmarks,
    nominal: date,
    key: str,
    at: DayTime,
    how: str,
    *,
    opens: date | None = None,
) -> tuple[Occurrence, str]:
    deadline = settled(nominal, at, deliverable.adjust, landmarks.calendar, campaign.hours())
    told = [how]
    if at is NamedTime.KNOCKING_OFF:
        told.append("before the office closes")
    if deadline.day != nominal:
        told.append(f"{MOVED[deliverable.adjust]} from {nominal:{DAYS}}")
    return Occurrence(key=key, deadline=deadline, nominal=nominal, opens=opens), ", ".join(told)
