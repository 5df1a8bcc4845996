"""Working calendars as data: campaigns/calendar/<country>/<year>.yaml, and local days that depart from them.

Local days stand in campaigns/calendar/<country>/local.yaml for every campaign, and in the calendar.yaml of a
campaign's folder for that campaign, which has the last word.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from definition.faults import Fault, FaultyCampaign, Gravity
from definition.models import CalendarDays, LocalDay
from definition.parts import Part
from definition.yaml_source import pydantic_faults, read_yaml
from rules.calendar import SATURDAY

LOCAL_DAYS = "local.yaml"  # beside the years of a country
OWN_DAYS = "calendar.yaml"  # in a campaign's folder
RENEW = ".venv/bin/python -m definition.renew_calendar"


class YearDays(Part):
    """The file of a year: days by the festival they belong to."""

    year: int
    holidays: dict[str, tuple[date, ...]]
    makeup_days: dict[str, tuple[date, ...]]

    @model_validator(mode="after")
    def _of_the_year(self) -> Self:
        for days in (*self.holidays.values(), *self.makeup_days.values()):
            if strays := [day for day in days if day.year != self.year]:
                raise ValueError(f"{strays[0]} is no day of {self.year}")
        return self


class StatedDay(Part):
    """A day of a local file, and on whose word."""

    day: date
    grounds: str = Field(min_length=1)


class LocalDays(Part):
    """A local file: days off, and days on which offices work."""

    holidays: tuple[StatedDay, ...] = ()
    working_days: tuple[StatedDay, ...] = ()

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if twice := {d.day for d in self.holidays} & {d.day for d in self.working_days}:
            raise ValueError(f"{min(twice)} is both a holiday and a working day")
        return self


_Model = TypeVar("_Model", bound=Part)


def load_calendar(
    calendars: Path, country: str, years: Iterable[int], *, own: Path | None = None
) -> tuple[CalendarDays, list[Fault]]:
    """Return the days of the years with the local ones worked in, and what is wrong with the files.

    A missing year falls back to Monday–Friday; a warning says so and how to renew.
    """
    names: dict[date, str] = {}
    holidays: set[date] = set()
    makeup_days: set[date] = set()
    known: list[int] = []
    faults: list[Fault] = []
    for year in sorted(set(years)):
        path = calendars / country / f"{year}.yaml"
        name = f"calendar/{country}/{year}.yaml"
        if not path.is_file():
            faults.append(_missing(name, year))
            continue
        found = _read(path, name, YearDays, faults)
        if found is not None:
            for into, stated in ((holidays, found.holidays), (makeup_days, found.makeup_days)):
                into.update(day for days in stated.values() for day in days)
                names |= {day: festival for festival, days in stated.items() for day in days}
            known.append(year)
    local = _local_days(calendars / country / LOCAL_DAYS, f"calendar/{country}/{LOCAL_DAYS}", faults)
    local |= _local_days(own, OWN_DAYS, faults) if own is not None else {}
    for day in local.values():
        _work_in(day, holidays, makeup_days)
    days = CalendarDays(
        holidays=tuple(sorted(holidays)),
        makeup_days=tuple(sorted(makeup_days)),
        years=tuple(known),
        names=dict(sorted(names.items())),
        local=tuple(local[day] for day in sorted(local)),
    )
    return days, faults


def years_on_record(calendars: Path, country: str) -> tuple[int, ...]:
    """Return the years for which a country has a file."""
    found = (int(path.stem) for path in (calendars / country).glob("*.yaml") if path.stem.isdigit())
    return tuple(sorted(found))


def _missing(name: str, year: int) -> Fault:
    return Fault(
        file=name,
        line=None,
        gravity=Gravity.WARNING,
        problem=f"the holidays of {year} are not on record, so Monday–Friday are taken as working days",
        remedy=f"they are announced in November {year - 1}; then run `{RENEW} {year}`",
    )


def _local_days(path: Path, name: str, faults: list[Fault]) -> dict[date, LocalDay]:
    found = _read(path, name, LocalDays, faults) if path.is_file() else None
    if found is None:
        return {}
    stated = [*((d, False) for d in found.holidays), *((d, True) for d in found.working_days)]
    return {d.day: LocalDay(day=d.day, works=works, grounds=d.grounds) for d, works in stated}


def _work_in(local: LocalDay, holidays: set[date], makeup_days: set[date]) -> None:
    (holidays if local.works else makeup_days).discard(local.day)
    if not local.works:
        holidays.add(local.day)
    elif local.day.weekday() >= SATURDAY:
        makeup_days.add(local.day)


def _read(path: Path, name: str, model: type[_Model], faults: list[Fault]) -> _Model | None:
    try:
        source = read_yaml(path, name)
        return model.model_validate(source.value)
    except FaultyCampaign as error:
        faults.extend(error.faults)
    except ValidationError as error:
        faults.extend(pydantic_faults(source, error.errors()))
    return None
