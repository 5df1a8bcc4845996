"""Working calendars by country and year, as data: campaigns/calendar/<country>/<year>.yaml."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from definition.faults import Fault, Gravity
from definition.models import CalendarDays
from definition.yaml_source import read_yaml

Days = dict[str, list[date]]


def load_calendar(calendars: Path, country: str, years: Iterable[int]) -> tuple[CalendarDays, list[Fault]]:
    """Return the days of the years, and a warning for each year that is not on record.

    A missing year falls back to Monday–Friday; the warning says so and how to renew.
    """
    holidays: list[date] = []
    makeup_days: list[date] = []
    known: list[int] = []
    warnings: list[Fault] = []
    for year in sorted(set(years)):
        path = calendars / country / f"{year}.yaml"
        name = f"calendar/{country}/{year}.yaml"
        if not path.is_file():
            warnings.append(
                Fault(
                    file=name,
                    line=None,
                    gravity=Gravity.WARNING,
                    problem=f"the holidays of {year} are not on record, so Monday–Friday are taken as working days",
                    remedy=f"once announced, run `python -m definition.renew_calendar {year}`",
                )
            )
            continue
        value = read_yaml(path, name).value
        holidays.extend(date.fromisoformat(day) for days in value["holidays"].values() for day in days)
        makeup_days.extend(date.fromisoformat(day) for days in value["makeup_days"].values() for day in days)
        known.append(year)
    days = CalendarDays(holidays=tuple(sorted(holidays)), makeup_days=tuple(sorted(makeup_days)), years=tuple(known))
    return days, warnings
