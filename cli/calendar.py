"""The working calendar as a page: holidays, make-up days, and what is not on record yet."""

from calendar import monthrange
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from cli.desk import Refused, premises
from cli.showing import say, table
from definition.models import LocalDay
from rules.calendar import DayKind, years_to_renew

WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SHOWN = {
    DayKind.WORKING: "{day}",
    DayKind.WEEKEND: "({day})",
    DayKind.HOLIDAY: "{day} holiday",
    DayKind.MAKEUP: "{day} works",
}
RENEW = "docs/how-to/renew-the-holidays.md says how to renew them"


def calendar(month: str | None = None, /, *, campaign: str | None = None, country: str = "cn") -> None:
    """Show a month: days off in brackets, public holidays, and the weekend days on which offices work (调休上班).

    Args:
        month: as 2026-10; this month if left out.
        campaign: with the days of this campaign's own office, and its country.
        country: the folder below campaigns/calendar.

    """
    from definition.calendars import load_calendar  # noqa: PLC0415
    from office.timetable import find_rulebook  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    zone, calendars = ZoneInfo("Asia/Shanghai"), settings().campaigns_dir / "calendar"
    local: tuple[LocalDay, ...] = ()
    if campaign is not None:
        house = premises()
        with house.ledger.reading() as session:
            _, book = find_rulebook(session, house, campaign)
        country, zone, local = book.campaign.calendar, book.zone, book.campaign.local_days
    if not (calendars / country).is_dir():
        known = ", ".join(sorted(p.name for p in calendars.iterdir() if p.is_dir()))
        raise Refused(f"no calendar {country!r}; there are: {known}")
    today = datetime.now(UTC).astimezone(zone).date()
    first = _first_of(month) if month is not None else today.replace(day=1)
    days, warnings = load_calendar(calendars, country, (first.year,))
    work = days.work_calendar(local)
    weeks: list[list[str]] = [["" for _ in range(first.weekday())]]
    for number in range(1, monthrange(first.year, first.month)[1] + 1):
        day = first.replace(day=number)
        if len(weeks[-1]) == len(WEEK):
            weeks.append([])
        weeks[-1].append(SHOWN[work.kind_of(day)].format(day=number))
    weeks[-1] += [""] * (len(WEEK) - len(weeks[-1]))
    table(WEEK, [tuple(week) for week in weeks], title=f"{country} {first:%Y-%m}; (n): day off")
    for one in local:
        if (one.day.year, one.day.month) == (first.year, first.month):
            say(f"{one.day:%a %Y-%m-%d}: {'works' if one.works else 'day off'} at this office: {one.grounds}")
    for warning in warnings:
        say(f"{warning}")
    known_years = [int(path.stem) for path in (calendars / country).glob("*.yaml") if path.stem.isdigit()]
    for year in years_to_renew(known_years, (today.year, today.year + 1), today):
        say(f"the holidays of {year} are not on record; {RENEW}. Until then Monday–Friday count as working days")


def _first_of(month: str) -> date:
    try:
        return date.fromisoformat(f"{month}-01")
    except ValueError:
        raise Refused(f"{month!r} is no month; write it as 2026-10") from None
