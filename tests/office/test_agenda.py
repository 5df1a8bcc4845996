"""The agenda: what is to come and what is overdue, and which mail waits though nobody was woken for it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger.steps import last_runs, record_drain
from ledger.tables import AuditRow, CampaignRow, StepRunRow
from office.agenda import Agenda, agenda_of, record_step
from office.exempting import exempt
from office.extending import extend
from office.launching import go_live
from office.pausing import close, pause
from office.stops import hold
from office.wakes import marks, may_leave
from rules.timetable import StepKind
from tests.office.test_mailbook import answered, launched
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, LAUNCH, Desk, act, local

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        yield opened


def agenda(desk: Desk, at: datetime) -> Agenda:
    with desk.house.ledger.reading() as session:
        return agenda_of(session, desk.house, KEY, at, since=LAUNCH - HOUR)


def overdue(desk: Desk, at: datetime) -> list[str]:
    return [entry.key for entry in agenda(desk, at).overdue]


def done(desk: Desk, kind: StepKind, at: datetime) -> list[str]:
    with desk.house.ledger.writing() as session:
        return record_step(session, act(at), KEY, kind)


def test_a_step_is_overdue_until_one_of_its_kind_ended_well_for_its_moment_or_later(desk: Desk) -> None:
    done(desk, StepKind.LAUNCH, LAUNCH)
    done(desk, StepKind.COLLECT, local(5, 29, 8, 31))
    assert overdue(desk, local(5, 29, 9)) == []  # it begins a minute later
    assert overdue(desk, local(5, 29, 9, 1)) == ["remind:2020-05-29T09:00"]
    done(desk, StepKind.REMIND, local(5, 29, 8, 59))  # for an earlier moment
    assert overdue(desk, local(5, 29, 9, 5)) == ["remind:2020-05-29T09:00"]
    done(desk, StepKind.REMIND, local(5, 29, 9))
    assert overdue(desk, local(5, 29, 9, 5)) == []


def test_of_the_steps_that_were_missed_the_last_is_run_and_the_others_are_recorded_as_superseded(desk: Desk) -> None:
    done(desk, StepKind.LAUNCH, LAUNCH)
    assert [key for key in overdue(desk, local(6, 8, 10)) if key.startswith("remind")] == ["remind:2020-06-08T09:00"]
    missed = done(desk, StepKind.REMIND, local(6, 8, 10))
    assert missed[0] == "remind:2020-05-29T09:00"
    assert missed[-1] == "remind:2020-06-05T09:00"
    assert done(desk, StepKind.REMIND, local(6, 8, 11)) == []  # once
    with desk.house.ledger.reading() as session:
        first, second = session.scalars(
            select(StepRunRow).where(StepRunRow.kind == "remind").order_by(StepRunRow.id)
        ).all()
        told = session.scalars(select(AuditRow.detail).where(AuditRow.verb == "steps.superseded")).all()
    assert (first.step_at, second.step_at) == (local(6, 8), local(6, 8))
    assert [entry["step"] for entry in first.superseded] == missed
    assert first.superseded[0]["title"].startswith("提醒 · 活动计划表、负责人及联络员推荐表")
    assert [detail["kind"] for detail in told] == ["remind"]


def test_a_run_for_an_earlier_moment_takes_nothing_back(desk: Desk) -> None:
    done(desk, StepKind.REMIND, local(6, 8, 10))
    assert done(desk, StepKind.REMIND, local(5, 29, 9)) == []
    with desk.house.ledger.reading() as session:
        row = session.scalars(select(CampaignRow)).one()
        assert last_runs(session, row.id)["remind"] == local(6, 8, 10)


def test_a_moved_deadline_has_days_of_its_own_as_long_as_somebody_owes_by_it(desk: Desk) -> None:
    before = {entry.key for entry in agenda(desk, LAUNCH).entries}
    with desk.house.ledger.writing() as session:
        extend(
            session, desk.house, act(local(6, 1)), KEY, "scheme", to=["BH001"], until=date(2020, 6, 17), grounds="来函"
        )
    added = {entry.key: entry.title for entry in agenda(desk, LAUNCH).entries if entry.key not in before}
    assert added == {
        "remind:2020-06-15T09:00": "提醒 · 活动方案（改期） · 距截止 2 天",
        "remind:2020-06-17T09:00": "提醒 · 活动方案（改期） · 今日截止",
        "remind:2020-06-18T09:00": "提醒 · 活动方案（改期） · 逾期 1 天",
    }
    with desk.house.ledger.writing() as session:
        exempt(session, desk.house, act(local(6, 3)), KEY, "scheme", to=["BH001"], grounds="合并办理")
    assert {entry.key for entry in agenda(desk, LAUNCH).entries} == before


def test_at_rest_a_campaign_has_only_what_its_state_allows(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        pause(session, act(local(5, 28)), KEY, "防汛优先")
    paused = agenda(desk, local(5, 29, 10))
    assert {entry.kind for entry in paused.entries} == {StepKind.COLLECT, StepKind.CONSOLIDATE}
    with desk.house.ledger.writing() as session:
        close(session, desk.house, act(local(5, 29)), KEY, "提前结束")
    assert agenda(desk, local(5, 29, 10)).entries == ()


def test_before_the_launch_only_the_launch_is_overdue_and_only_if_it_was_deployed_in_time(
    desk: Desk, tmp_path: Path
) -> None:
    shutil.copytree(desk.house.campaigns / "calendar", tmp_path / "campaigns" / "calendar")
    folder = shutil.copytree(desk.house.campaigns / KEY, tmp_path / "campaigns" / "month-b")
    text = (folder / "campaign.yaml").read_text(encoding="utf-8")
    (folder / "campaign.yaml").write_text(text.replace(f"key: {KEY}", "key: month-b"), encoding="utf-8")
    house = replace(desk.house, campaigns=tmp_path / "campaigns")

    def of(at: datetime, since: datetime) -> Agenda:
        with house.ledger.reading() as session:
            return agenda_of(session, house, "month-b", at, since=since)

    late = of(local(6, 8, 10), LAUNCH - HOUR)
    assert [entry.kind for entry in late.overdue] == [StepKind.LAUNCH]
    assert late.entries
    assert of(LAUNCH - HOUR, LAUNCH - HOUR).overdue == ()
    unasked = of(local(6, 8, 10), LAUNCH + HOUR)
    assert (unasked.unlaunched, unasked.entries, unasked.overdue) == (True, (), ())
    assert of(local(7, 11), LAUNCH - HOUR).unlaunched  # it has closed


def may_some_leave(desk: Desk, at: datetime) -> bool:
    with desk.house.ledger.reading() as session:
        mark = marks(session, at).get(KEY)
        return mark is not None and may_leave(session, desk.house, KEY, mark, at)


def drained(desk: Desk, at: datetime) -> None:
    """Put on record that the queue was gone through, and that what is left waits for something."""
    with desk.house.ledger.writing() as session:
        mark = marks(session, at)[KEY]
        row = session.scalars(select(CampaignRow)).one()
        record_drain(
            session, act(at), row.id, newest=mark.newest, due=mark.due, live=mark.live, stops=mark.stops,
            closed=mark.closed,
        )  # fmt: skip


def test_mail_of_a_campaign_at_rest_leaves_when_the_window_opens_if_it_has_closed_and_not_if_it_is_paused(
    desk: Desk,
) -> None:
    evening, morning = local(5, 27, 19), local(5, 28, 8, 31)
    drained(desk, evening)
    with desk.house.ledger.writing() as session:
        pause(session, act(evening), KEY, "防汛应急响应")
    assert not may_some_leave(desk, morning)
    with desk.house.ledger.writing() as session:
        close(session, desk.house, act(evening), KEY, "活动结束")
    drained(desk, evening)
    assert not may_some_leave(desk, evening + HOUR)
    assert may_some_leave(desk, morning)


def test_mail_that_waits_is_news_once_and_again_when_the_window_opens_or_a_day_begins(desk: Desk) -> None:
    evening, morning = local(5, 27, 19), local(5, 28, 8, 31)
    assert may_some_leave(desk, evening)  # nobody has looked yet
    drained(desk, evening)
    assert not may_some_leave(desk, evening + HOUR)  # and it waits for the window
    assert may_some_leave(desk, morning)
    drained(desk, morning)
    assert not may_some_leave(desk, morning + HOUR / 2)
    assert may_some_leave(desk, morning + HOUR)  # once an hour, whatever keeps it in
    desk.house = replace(desk.house, rehearsal=False)
    assert not may_some_leave(desk, morning + HOUR)  # the fence does
    with desk.house.ledger.writing() as session:
        go_live(session, act(morning), KEY, "负责人同意")
    assert may_some_leave(desk, morning + HOUR / 2)
    with desk.house.ledger.writing() as session:
        hold(session, act(morning), f"campaign:{KEY}", "名单有误")
    assert not may_some_leave(desk, morning + HOUR)
    answered(desk, morning, {})
