"""Deadlines as notices state them, from the YAML that staff write to both sides of the edge."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from definition.loading import Report, check_campaign
from definition.models import Campaign
from definition.occurrences import how_derived, occurrences_of
from rules.deadlines import due_instant, is_overdue

ZONE = ZoneInfo("Asia/Shanghai")
SUMMER = '{from: 2020-06-10, until: 2020-06-20, knocking_off: "18:00"}'
HOURS = f'calendar: cn\noffice_hours: {{knocking_off: "17:30", seasons: [{SUMMER}]}}'


def with_due(house: Path, tmp_path: Path, keys: str, *changes: tuple[str, str]) -> Report:
    """Return the shipped campaign with the deadline of its scheme stated otherwise."""
    folder = Path(shutil.copytree(house / "campaigns" / "safety-month-2020", tmp_path / "campaign"))
    path = folder / "campaign.yaml"
    text = path.read_text(encoding="utf-8").replace("due: 2020-06-05", keys, 1).replace("calendar: cn", HOURS, 1)
    text = text.replace("closes_on: 2020-07-10", "closes_on: 2020-08-31", 1)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return check_campaign(folder, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email")


@pytest.mark.parametrize(
    ("keys", "last"),
    [
        ("due: 2020-06-05", "2020-06-05 23:59 Fri"),  # by a day, inclusive
        ("due: 2020-06-05 16:00", "2020-06-05 16:00 Fri"),  # by a time
        ('due: {on: 2020-06-05, before: "16:00"}', "2020-06-05 16:00 Fri"),
        ("due: {on: 2020-06-05, before: knocking_off}", "2020-06-05 17:30 Fri"),  # 下班前
        ("due: {on: 2020-06-12, before: knocking_off}", "2020-06-12 18:00 Fri"),  # by summer's hours
        ("due: {on: 2020-06-05, before: noon}", "2020-06-05 12:00 Fri"),
        ("due: {month: 2020-06, day: end}", "2020-06-30 23:59 Tue"),  # 月底
        ("due: {month: 2020-06, day: 15}", "2020-06-15 23:59 Mon"),
        ("due: {month: 2020-06, day: 31}", "2020-06-30 23:59 Tue"),  # June has no 31st
        ("due: {month: 2020-06, ten_days: first}", "2020-06-10 23:59 Wed"),  # 上旬
        ("due: {month: 2020-06, ten_days: second}", "2020-06-20 23:59 Sat"),  # 中旬
        ("due: {month: 2020-06, ten_days: last}", "2020-06-30 23:59 Tue"),  # 下旬
        ("due: {after: activity_end, days: 5}", "2020-07-05 23:59 Sun"),
        ("due: {after: activity_end, working_days: 5}", "2020-07-07 23:59 Tue"),
        ("due: {after: circular, working_days: 10}", "2020-06-10 23:59 Wed"),
        ("due: {after: 2020-06-24, working_days: 1}", "2020-06-28 23:59 Sun"),  # a make-up day counts
        ("due: {month_after: activity_end, day: 25}", "2020-07-25 23:59 Sat"),
        ("due: {between: [2020-06-08, 2020-06-12]}", "2020-06-12 23:59 Fri"),
        ("due: 2020-06-25, adjust: none", "2020-06-25 23:59 Thu"),
        ("due: 2020-06-25, adjust: following", "2020-06-28 23:59 Sun"),
        ("due: 2020-06-25, adjust: preceding", "2020-06-24 23:59 Wed"),
        ("due: 2020-06-27, adjust: following-unless-weekend", "2020-06-28 23:59 Sun"),
        ("due: 2020-06-13, adjust: following-unless-weekend", "2020-06-13 23:59 Sat"),
        ("due: {after: activity_end, days: 5, before: noon}, adjust: following", "2020-07-06 12:00 Mon"),
    ],
)  # fmt: skip
def test_a_phrasing_comes_to_its_instant_on_both_sides(house: Path, tmp_path: Path, keys: str, last: str) -> None:
    report = with_due(house, tmp_path, keys)
    assert report.loaded is not None, report.faults
    campaign = report.loaded.campaign
    assert Campaign.model_validate(campaign.dump()) == campaign
    [found] = occurrences_of(campaign, campaign.deliverable("scheme"))
    assert found.deadline is not None
    due = due_instant(found.deadline, ZONE)
    minute = datetime.strptime(last, "%Y-%m-%d %H:%M %a").replace(tzinfo=ZONE)
    assert f"{minute:%a}" == last[-3:]
    assert not is_overdue(due, minute + timedelta(seconds=59))  # the stated minute is in time to its end
    assert is_overdue(due, minute + timedelta(seconds=60))


def test_it_is_said_how_a_deadline_was_found(house: Path, tmp_path: Path) -> None:
    report = with_due(house, tmp_path, "due: {on: 2020-06-25, before: knocking_off}, adjust: following")
    assert report.loaded is not None
    campaign = report.loaded.campaign
    scheme = campaign.deliverable("scheme")
    assert how_derived(campaign, scheme, occurrences_of(campaign, scheme)[0]) == (
        "on the day stated, a public holiday (Dragon Boat Festival), moved on to Sun 2020-06-28 (following), "
        "a make-up working day; by knocking off"
    )


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("due: 2020-06-31", "'2020-06-31' is no date; write 2020-06-05"),
        ("due: {in: 2020-06}", "is no deadline; write 2020-06-05"),
        ("due: {month: 2020-06}", "name the day either by `day`"),
        ("due: {month: 2020-13, day: 1}", "due.month"),
        ("due: {after: activity_end}", "count either `days` or `working_days`"),
        ("due: {after: the_end, days: 3}", "'the_end' is neither one of circular, activity_start, activity_end"),
        ("due: {between: [2020-06-12, 2020-06-08]}", "before it begins; give its first day first"),
        ("due: {on: 2020-06-05, before: 16:00}", "write the time in quotes"),
        ("due: {on: 2020-06-05, before: dusk}", "'dusk' is no time"),
        ("due: 2020-06-05, adjust: sideways", "adjust"),
        ("due: {after: activity_end, days: 90}", "is after the close"),
        ("due: 2020-06-05, due_time: noon", "due_time belongs to a recurrence"),
        ('recurrence: "FREQ=WEEKLY"', "gives no date"),
        ('recurrence: "FREQ=HOURLY", from: 2020-06-01, until: 2020-06-30', "no RFC 5545 rule of days"),
        ('recurrence: "FREQ=WEEKLY;BYDAY=FR", from: 2020-06-30, until: 2020-06-01', "before it begins"),
    ],
)
def test_a_faulty_deadline_is_named_with_its_line(house: Path, tmp_path: Path, keys: str, fault: str) -> None:
    report = with_due(house, tmp_path, keys)
    assert report.loaded is None
    assert any(f.line == 36 and fault in str(f) for f in report.errors), "\n".join(map(str, report.errors))


def test_knocking_off_needs_office_hours_and_the_end_needs_its_day(house: Path, tmp_path: Path) -> None:
    keys = "due: {after: activity_end, days: 3, before: knocking_off}"
    report = with_due(house, tmp_path, keys, (HOURS, "calendar: cn"))
    assert "add `office_hours:" in str(report.errors[0])
    shutil.rmtree(tmp_path / "campaign")
    report = with_due(house, tmp_path, keys, ("ends_on: 2020-06-30\n", ""))
    assert "the campaign has no ends_on — add ends_on" in str(report.errors[0])


def test_a_horizon_shorter_than_the_reminders_is_refused(house: Path, tmp_path: Path) -> None:
    keys = 'recurrence: "FREQ=WEEKLY;BYDAY=FR", from: 2020-06-01, until: 2020-06-30'
    report = with_due(house, tmp_path, keys, ("calendar: cn", "horizon_days: 7\ncalendar: cn"))
    assert "give horizon_days of at least 16" in str(report.errors[0])
