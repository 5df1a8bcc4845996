"""Years of holidays against a second source, and local days."""

from datetime import date, timedelta
from pathlib import Path

import holidays
import pytest

from definition.calendars import load_calendar, years_on_record
from definition.faults import Gravity
from rules.calendar import SATURDAY, years_to_renew


@pytest.mark.parametrize("year", range(2019, 2027))
def test_a_year_agrees_with_a_second_source(house: Path, year: int) -> None:
    """Offices work on the same days by both.

    The lists differ in one way only: ours has the whole of a holiday as the State Council announces it, the second
    source leaves out its Saturdays and Sundays unless they are statutory, as they are days off anyway.
    """
    days, faults = load_calendar(house / "campaigns" / "calendar", "cn", [year])
    ours, second = days.work_calendar(), holidays.country_holidays("CN", years=year)
    assert faults == []
    every = [date(year, 1, 1) + timedelta(days=n) for n in range(366)]
    every = [day for day in every if day.year == year]
    assert [d for d in every if ours.is_working_day(d) != second.is_working_day(d)] == []
    assert [d for d in every if d in second and d not in ours.holidays] == []
    only_ours = [d for d in every if d in ours.holidays and d not in second]
    assert all(d.weekday() >= SATURDAY for d in only_ours)
    assert [d for d in every if d in second.weekend_workdays] == sorted(ours.makeup_days)


def test_local_days_go_before_the_list_and_the_campaign_s_before_the_country_s(tmp_path: Path) -> None:
    (tmp_path / "cn").mkdir()
    (tmp_path / "cn" / "2023.yaml").write_text("year: 2023\nholidays: {Feast: [2023-06-22]}\nmakeup_days: {}\n")
    (tmp_path / "cn" / "local.yaml").write_text(
        "holidays: [{day: 2023-06-26, grounds: flood drill}]\nworking_days: [{day: 2023-06-22, grounds: level II}]\n"
    )
    own = tmp_path / "calendar.yaml"
    own.write_text("working_days: [{day: 2023-06-24, grounds: on duty}, {day: 2023-06-26, grounds: no drill here}]\n")
    days, faults = load_calendar(tmp_path, "cn", [2023], own=own)
    assert faults == []
    works = days.work_calendar().is_working_day
    assert [works(date(2023, 6, day)) for day in (22, 24, 25, 26)] == [True, True, False, True]
    assert [d.grounds for d in days.local] == ["level II", "on duty", "no drill here"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("holidays: [{day: 2023-06-26}]\n", 1, "grounds is missing"),
        ("\nholidays: [{day: 2023-06-31, grounds: x}]\n", 2, "day"),
        ("holyday: []\n", 1, "unknown key 'holyday'"),
        ("holidays: [{day: 2023-06-26, grounds: x}]\nworking_days: [{day: 2023-06-26, grounds: x}]\n", 1, "both"),
    ],
)
def test_a_fault_of_a_local_file_is_named_with_its_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    own = tmp_path / "calendar.yaml"
    own.write_text(text)
    _, faults = load_calendar(tmp_path, "cn", [], own=own)
    assert [(f.file, f.line, f.gravity) for f in faults] == [("calendar.yaml", line, Gravity.ERROR)]
    assert problem in faults[0].problem


@pytest.mark.parametrize(
    ("today", "years"),
    [(date(2026, 10, 31), ()), (date(2026, 11, 1), (2027,)), (date(2027, 11, 1), (2027, 2028))],
)
def test_a_missing_year_warns_from_november_of_the_year_before(
    house: Path, today: date, years: tuple[int, ...]
) -> None:
    known = years_on_record(house / "campaigns" / "calendar", "cn")
    assert known == tuple(range(2019, 2027))
    assert years_to_renew(known, (2026, 2027, 2028), today) == years
