"""Deploying: the month stands on the server as runs before it happens, and only what differs is ever changed."""

import asyncio
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ledger.acts import Act
from office import wording
from office.extending import extend
from office.pausing import close, pause, resume
from office.timetable import plan_of_month
from settings import settings
from tests.deployments.month import Month, ask, local


def acting(month: Month, deed: Any) -> None:
    """Let staff do something at the clock's moment."""
    from tasks.desk import now, premises  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        deed(session, house, Act.now("staff:test", now()))


def test_the_month_stands_on_the_server_before_it_happens(month: Month) -> None:
    from tasks.desk import clock, premises  # noqa: PLC0415

    changes = month.deploy()
    runs = month.runs()
    _, steps = plan_of_month(premises(), month.key)
    assert len(runs) == len(steps)
    assert runs[0].name == "下发通知 · 2020年“安全生产月”和“安全生产专题行”活动 · 5月27日 15:00"
    names = [run.name for run in runs]
    assert "提醒 · 活动计划表、负责人及联络员推荐表 · 距截止 2 天" in names
    assert names[-1] == "汇总 · 最终汇总"
    reminder = runs[names.index("提醒 · 活动计划表、负责人及联络员推荐表 · 距截止 2 天")]
    assert set(reminder.tags) == {f"campaign:{month.key}", "remind", "timetable"}
    assert reminder.parameters == {"campaign": month.key}
    assert reminder.idempotency_key == f"{month.key}/remind:2020-05-29T09:00/1"
    assert abs(reminder.expected_start_time - clock().wall(local(5, 29, 9, 1))) < timedelta(seconds=1)
    assert [line for line in changes.lines() if line.startswith("+ deployment")] == [
        f"+ deployment {kind}/{wording.STEP[kind]} · {month.key}"
        for kind in ("launch", "collect", "remind", "escalate", "consolidate", "deliver")
    ]


def test_steps_of_one_moment_start_one_after_the_other(month: Month) -> None:
    month.deploy()
    times = [run.expected_start_time for run in month.runs()]
    assert min(b - a for a, b in pairwise(times)) == timedelta(minutes=1)


def test_deploying_again_touches_nothing(month: Month) -> None:
    month.deploy()
    before = [(run.id, run.expected_start_time) for run in month.runs()]
    again = month.deploy()
    assert list(again.lines()) == [
        f"= {len(before) + 12} unchanged"
    ]  # six deployments, five automations and the work pool
    assert [(run.id, run.expected_start_time) for run in month.runs()] == before


def test_of_a_deployment_only_what_differs_is_written(month: Month) -> None:
    from prefect.client.schemas.actions import DeploymentUpdate  # noqa: PLC0415

    month.deploy()
    before = {run.id for run in month.runs()}

    async def meddle(client: Any) -> None:
        found = await client.read_deployment_by_name(f"remind/提醒 · {month.key}")
        await client.update_deployment(found.id, DeploymentUpdate(description="?", concurrency_limit=3))

    ask(meddle)
    assert [str(change) for change in month.deploy().changes] == [
        f"~ deployment remind/提醒 · {month.key}: description, concurrency limit"
    ]
    assert {run.id for run in month.runs()} == before
    assert not month.deploy().changes


def test_one_that_was_deployed_under_another_name_takes_its_new_one_and_loses_nothing(month: Month) -> None:
    month.deploy()
    planned = [run.name for run in month.runs() if "remind" in run.tags]
    assert planned

    async def call_it_otherwise(client: Any) -> None:
        found = await client.read_deployment_by_name(f"remind/提醒 · {month.key}")
        copied = {
            name: getattr(found, name)
            for name in ("version", "tags", "entrypoint", "parameters", "work_pool_name", "pull_steps")
        }
        await client.delete_deployment(found.id)
        await client.create_deployment(found.flow_id, month.key, paused=True, **copied)

    ask(call_it_otherwise)
    before = [run.name for run in month.runs() if "remind" in run.tags]
    assert before == []
    assert f"~ deployment remind/提醒 · {month.key}: was called {month.key}" in month.deploy().lines()
    assert [run.name for run in month.runs() if "remind" in run.tags] == planned
    again = month.deploy()
    assert not again
    assert ask(lambda client: client.read_deployment_by_name(f"remind/提醒 · {month.key}")).paused


def test_the_house_keeps_its_schedule_and_changes_it_with_the_setting(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployments.deploying import deploy_house  # noqa: PLC0415

    async def schedule(client: Any) -> Any:
        (found,) = (await client.read_deployment_by_name("reconcile/对账")).schedules
        return found

    asyncio.run(deploy_house())
    first = ask(schedule)
    assert not asyncio.run(deploy_house()).changes
    assert ask(schedule).id == first.id
    assert first.schedule.interval == timedelta(seconds=180)
    monkeypatch.setenv("MUSTER_RECONCILE_S", "60")
    settings.cache_clear()
    assert [str(c) for c in asyncio.run(deploy_house()).changes] == ["~ deployment reconcile/对账: schedule"]
    assert ask(schedule).schedule.interval == timedelta(seconds=60)


def test_a_run_that_was_deleted_is_made_again_and_one_that_was_cancelled_is_not(month: Month) -> None:
    from prefect.states import Cancelled  # noqa: PLC0415

    month.deploy()
    deleted, cancelled = month.runs()[3:5]

    async def meddle(client: Any) -> None:
        await client.delete_flow_run(deleted.id)
        await client.set_flow_run_state(cancelled.id, Cancelled(), force=True)

    ask(meddle)
    assert [change.what.endswith(deleted.name) for change in month.deploy().changes] == [True]
    keys = [run.idempotency_key for run in month.runs()]
    assert deleted.idempotency_key in keys
    assert cancelled.idempotency_key not in keys
    assert not month.deploy().changes


def test_a_run_that_somebody_started_before_its_time_does_not_stand_for_the_step(month: Month) -> None:
    from prefect.states import Completed  # noqa: PLC0415

    month.deploy()
    early = month.runs()[2]
    ask(lambda client: client.set_flow_run_state(early.id, Completed(), force=True))
    month.deploy()
    assert early.idempotency_key.replace("/1", "/2") in [run.idempotency_key for run in month.runs()]
    assert not month.deploy().changes


def test_an_extension_gets_runs_on_the_days_on_which_its_rungs_open(month: Month) -> None:
    month.at(local(5, 27, 15))
    month.step("launch")
    month.deploy()
    before = {run.id for run in month.runs()}
    more: Any = {"to": ["BH001"], "until": date(2020, 6, 10), "grounds": "来函申请"}
    acting(month, lambda session, house, act: extend(session, house, act, month.key, "scheme", **more))
    changes = month.deploy()
    assert [str(change) for change in changes.changes][:3] == [
        "+ run 2020-06-10 09:00 提醒 · 活动方案（改期） · 今日截止",
        "+ run 2020-06-11 09:00 提醒 · 活动方案（改期） · 逾期 1 天",
        "+ run 2020-06-12 09:00 催办 · 活动方案（改期） · 第1级",
    ]
    assert len(changes.changes) == 5  # and the two rungs above; two days before it there is a run already
    assert before < {run.id for run in month.runs()}


def test_a_paused_campaign_keeps_what_takes_in_and_a_resumed_one_has_all_again(month: Month) -> None:
    month.at(local(5, 27, 15))
    month.step("launch")
    month.deploy()
    before = [run.idempotency_key for run in month.runs()]
    acting(month, lambda session, _, act: pause(session, act, month.key, "防汛优先"))
    month.deploy()
    assert {tag for run in month.runs() for tag in run.tags} == {
        f"campaign:{month.key}", "timetable", "collect", "consolidate",
    }  # fmt: skip
    acting(month, lambda session, _, act: resume(session, act, month.key, "恢复"))
    month.deploy()
    assert [run.idempotency_key for run in month.runs()] == before
    acting(month, lambda session, house, act: close(session, house, act, month.key, "提前结束"))
    found = month.reconcile()
    assert set(found) == {"removed", "woken"}  # what tells the units of it waits to be sent
    assert [run.name for run in month.runs()] == ["发信 · 有邮件等待发送"]


def test_a_campaign_that_is_undeployed_leaves_nothing_that_would_run_and_all_that_has(month: Month) -> None:
    month.deploy()
    month.at(local(5, 27, 15, 5))
    month.reconcile()
    assert month.work() == ["补办 · 下发通知 · 2020年“安全生产月”和“安全生产专题行”活动 · 5月27日 15:00"]
    changes = month.undeploy()
    assert {change.sign.value for change in changes.changes} == {"-"}
    assert month.runs() == []
    assert len(month.runs(state="COMPLETED")) == 1
    assert month.deployed() == []


def test_a_campaign_whose_launch_had_passed_before_it_was_deployed_is_not_launched_unasked(month: Month) -> None:
    month.at(local(6, 3, 12))
    month.deploy()
    assert month.runs() == []
    assert month.reconcile() == {}
    month.step("launch")
    month.reconcile()
    names = [run.name for run in month.runs()]
    assert "汇总 · 最终汇总" in names
    assert "补办 · 提醒 · 活动方案 · 距截止 2 天" in names
