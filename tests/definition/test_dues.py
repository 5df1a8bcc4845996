"""Deadlines as a circular states them: every phrasing, and the last instant at which it is kept."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from definition.loading import load_campaign
from definition.models import Campaign, LocalDay, WorkingHours
from definition.occurrences import explained, occurrences_of
from rules.deadlines import due_instant

SHANGHAI = ZoneInfo("Asia/Shanghai")
KEY = "safety-month-2020"


@pytest.fixture(scope="module")
def campaign(house: Path) -> Campaign:
    """Return the month of 2020, whose activities end on Tuesday 06-30, with an office that closes at 17:30."""
    loaded = load_campaign(
        house / "campaigns" / KEY, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email"
    )
    hours = WorkingHours.model_validate({"knocking_off": "17:30"})
    return loaded.campaign.model_copy(update={"office_hours": hours})


def dues(campaign: Campaign, **said: Any) -> list[str]:
    """Return until when what is said so is owed: the last minute that is in time, local, with its weekday."""
    report = campaign.deliverable("report").model_dump(by_alias=True) | {"due": None} | said
    item = type(campaign.deliverable("report")).model_validate(report)
    found = []
    for occurrence in occurrences_of(campaign, item):
        assert occurrence.deadline is not None
        last = due_instant(occurrence.deadline, SHANGHAI).astimezone(SHANGHAI).timestamp() - 60
        found.append(f"{datetime.fromtimestamp(last, UTC).astimezone(SHANGHAI):%a %m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("said", "until"),
    [
        ("2020-06-05", "Fri 06-05 23:59"),  # 6月5日前（含当日）
        ("2020-06-05 16:00", "Fri 06-05 16:00"),
        ({"on": "2020-06-05"}, "Fri 06-05 23:59"),
        ({"on": "2020-06-05", "before": "noon"}, "Fri 06-05 12:00"),
        ({"on": "2020-06-05", "before": "knocking_off"}, "Fri 06-05 17:30"),  # 下班前
        ({"month": "2020-06", "day": "end"}, "Tue 06-30 23:59"),  # 6月底
        ({"month": "2020-06", "day": 31}, "Tue 06-30 23:59"),  # a day that June has not
        ({"month": "2020-06", "ten_days": "first"}, "Wed 06-10 23:59"),  # 上旬
        ({"month": "2020-06", "ten_days": "second"}, "Sat 06-20 23:59"),  # 中旬
        ({"month": "2020-06", "ten_days": "last"}, "Tue 06-30 23:59"),  # 下旬
        ({"after": "activity_end", "days": 5}, "Sun 07-05 23:59"),  # 活动结束后5日内
        ({"after": "activity_end", "working_days": 5}, "Tue 07-07 23:59"),
        ({"after": "2020-06-24", "working_days": 1}, "Sun 06-28 23:59"),  # Wednesday; the made-up Sunday counts
        ({"month_after": "activity_start", "day": 25}, "Sat 07-25 23:59"),  # 次月25日前
        ({"between": ["2020-06-01", "2020-06-07"]}, "Sun 06-07 23:59"),
    ],
)
def test_a_deadline_is_kept_until_the_minute_that_its_phrasing_means(
    campaign: Campaign, said: object, until: str
) -> None:
    assert dues(campaign, due=said) == [until]


def test_a_series_is_moved_one_by_one_and_keeps_the_days_that_were_stated_as_its_keys(campaign: Campaign) -> None:
    said = {
        "recurrence": "FREQ=MONTHLY;BYMONTHDAY=5,15,25", "from": "2020-06-01", "until": "2020-06-30",
        "due_time": "16:00", "adjust": "following",
    }  # fmt: skip
    assert dues(campaign, **said) == ["Fri 06-05 16:00", "Mon 06-15 16:00", "Sun 06-28 16:00"]  # the 25th is a holiday
    item = campaign.deliverable("report").model_validate(
        campaign.deliverable("report").model_dump(by_alias=True) | {"due": None} | said
    )
    found = list(explained(campaign, item))
    assert [occurrence.key for occurrence, _ in found] == ["2020-06-05", "2020-06-15", "2020-06-25"]
    assert found[-1][1].endswith("moved to the next working day from Thu 2020-06-25")


def test_an_office_s_own_day_off_goes_before_the_country_s_calendar(campaign: Campaign) -> None:
    off = LocalDay.model_validate({"day": "2020-06-05", "works": False, "grounds": "停电检修"})
    local = campaign.model_copy(update={"local_days": (off,)})
    assert dues(local, due={"on": "2020-06-05"}, adjust="following") == ["Mon 06-08 23:59"]
    assert dues(campaign, due={"on": "2020-06-05"}, adjust="following") == ["Fri 06-05 23:59"]
    made = LocalDay.model_validate({"day": "2020-06-06", "works": True, "grounds": "调休上班"})
    assert dues(campaign.model_copy(update={"local_days": (off, made)}), due="2020-06-05", adjust="following") == [
        "Sat 06-06 23:59"
    ]


def test_a_definition_with_phrasings_comes_back_from_the_ledger_as_it_was(campaign: Campaign) -> None:
    due = {"after": "activity_end", "working_days": 20, "before": "noon"}
    item = campaign.deliverable("report").model_dump(by_alias=True) | {"due": due}
    others = [d.model_dump(by_alias=True) for d in campaign.deliverables if d.key != "report"]
    whole = Campaign.model_validate(campaign.model_dump(by_alias=True) | {"deliverables": [*others, item]})
    back = Campaign.model_validate(whole.dump())
    assert back == whole
    assert back.digest() == whole.digest()


@pytest.mark.parametrize(
    ("due", "said"),
    [
        ("5 June", "is no date"),
        ({"when": "soon"}, "is no deadline"),
        ({"month": "2020-06"}, "name the day either by"),
        ({"month": "2020-13", "day": 1}, "pattern"),
        ({"after": "activity_end"}, "count either"),
        ({"after": "the flood", "days": 3}, "is neither one of"),
        ({"between": ["2020-06-07", "2020-06-01"]}, "before it begins"),
        ({"on": "2020-06-05", "before": "dusk"}, "is no time"),
    ],
)
def test_what_is_no_deadline_is_refused_in_words(campaign: Campaign, due: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        dues(campaign, due=due)


def test_a_deadline_counted_from_a_day_that_the_campaign_does_not_say_is_a_fault(campaign: Campaign) -> None:
    with pytest.raises(ValueError, match="has no ends_on"):
        dues(campaign.model_copy(update={"ends_on": None}), due={"after": "activity_end", "days": 3})
