"""The command over the working calendar."""

import calendar as months
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cli.desk import Refused, premises
from cli.showing import say, table

if TYPE_CHECKING:
    from definition.models import CalendarDays

MARKS = {"holiday": " 休", "makeup": " 班", "weekend": " ·", "working": ""}
HOW_TO = "docs/how-to/renew-the-holidays.md"


def calendar(month: str | None = None, *, country: str = "cn", campaign: str | None = None) -> None:
    """Show a month with its holidays (休), make-up working days (班), weekends (·) and local days.

    Args:
        month: such as 2023-06; the current one unless given.
        country: the calendar, a folder under campaigns/calendar.
        campaign: key or folder: the days this campaign runs by, and what falls due in the month.

    """
    from office.calendars import days_of_campaign, days_of_country  # noqa: PLC0415
    from rules.calendar import years_to_renew  # noqa: PLC0415

    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    first = _month(month, today)
    house = premises()
    dues: list[tuple[date, str, str]] = []
    if campaign is None:
        days, on_record = days_of_country(house, country, first.year)
    else:
        days, dues = days_of_campaign(house, campaign)
        on_record = days.years
    weeks = months.Calendar().monthdatescalendar(first.year, first.month)
    work = days.work_calendar()
    rows = [[f"{d.day}{MARKS[work.kind_of(d)]}" if d.month == first.month else "" for d in week] for week in weeks]
    table(months.day_abbr, rows, title=f"{first:%B %Y}")
    said = sorted([*_departures(days, first), *(due for due in dues if _same_month(due[0], first))])
    if said:
        table(("day", "what", "why"), [(f"{day:%a %Y-%m-%d}", what, why) for day, what, why in said])
    in_month = [d for week in weeks for d in week if d.month == first.month]
    say(f"{sum(work.is_working_day(d) for d in in_month)} working days")
    if first.year not in days.years:
        say(f"the holidays of {first.year} are not on record: Monday–Friday are shown; {HOW_TO}", style="yellow")
    for year in years_to_renew(on_record, (today.year, today.year + 1), today):
        if campaign is None and year != first.year:
            say(f"the holidays of {year} are announced in November and not on record yet: see {HOW_TO}", style="yellow")


def _month(text: str | None, today: date) -> date:
    try:
        return date.fromisoformat(f"{text}-01") if text is not None else today.replace(day=1)
    except ValueError:
        raise Refused(f"{text!r} is no month; write it like 2023-06") from None


def _same_month(day: date, first: date) -> bool:
    return (day.year, day.month) == (first.year, first.month)


def _departures(days: "CalendarDays", first: date) -> list[tuple[date, str, str]]:
    """Return the days of the month that are not as their weekday says, in words."""
    local = {day.day: day for day in days.local}
    found = [
        *((day, "day off", days.names.get(day, "")) for day in days.holidays if day not in local),
        *((day, "make-up working day", days.names.get(day, "")) for day in days.makeup_days if day not in local),
        *((d.day, "local working day" if d.works else "local day off", d.grounds) for d in days.local),
    ]
    return [departure for departure in found if _same_month(departure[0], first)]
