"""The working calendar as the office looks it up: of a country, or as a campaign runs by it."""

from datetime import date

from definition.calendars import load_calendar, years_on_record
from definition.faults import FaultyCampaign, Gravity
from definition.models import CalendarDays
from office.premises import Premises
from office.timetable import find_rulebook
from rules.deadlines import stated


def days_of_country(premises: Premises, country: str, year: int) -> tuple[CalendarDays, tuple[int, ...]]:
    """Return the days of a country's year with its local days, and the years that are on record.

    Raises:
        ValueError: there is no such calendar.
        FaultyCampaign: its files have faults.

    """
    calendars = premises.campaigns / "calendar"
    if not (calendars / country).is_dir():
        known = ", ".join(sorted(p.name for p in calendars.iterdir() if p.is_dir()))
        raise ValueError(f"no calendar {country!r}; there are {known}")
    days, faults = load_calendar(calendars, country, [year])
    if errors := [fault for fault in faults if fault.gravity is Gravity.ERROR]:
        raise FaultyCampaign(errors)
    return days, years_on_record(calendars, country)


def days_of_campaign(premises: Premises, campaign: str) -> tuple[CalendarDays, list[tuple[date, str, str]]]:
    """Return the days a campaign runs by, frozen once it is launched, and its deadlines as (day, due, title)."""
    with premises.ledger.reading() as session:
        _, book = find_rulebook(session, premises, campaign)
    dues = []
    for dated in book.dated:
        deadline = stated(dated.due, book.zone)
        dues.append((deadline.day, "due" if deadline.at is None else f"due {deadline.at:%H:%M}", dated.title))
    return book.campaign.calendar_days, dues
