"""Reconcile: whatever was lost, late or doubled, each thing is done once and nothing is left undone."""

import os
import subprocess
import sys
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from ledger.acts import Act
from ledger.tables import CampaignRow, ItemRow, MessageRow, MessageState, StepRunRow
from office import wording
from office.launching import join_unit
from tests.deployments.month import ZONE, Month, ask, local


def messages(*columns: Any, **where: Any) -> list[Any]:
    """Return columns of the ledger's messages."""
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        query = select(*columns).order_by(MessageRow.id)
        for name, value in where.items():
            query = query.where(getattr(MessageRow, name) == value)
        return [tuple(row) for row in session.execute(query)]


def steps_recorded(campaign: str) -> dict[str, list[StepRunRow]]:
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        query = select(StepRunRow).join(CampaignRow, CampaignRow.id == StepRunRow.campaign_id)
        found: dict[str, list[StepRunRow]] = {}
        for row in session.scalars(query.where(CampaignRow.key == campaign).order_by(StepRunRow.id)):
            session.expunge(row)
            found.setdefault(row.kind, []).append(row)
        return found


def launch(month: Month) -> None:
    """Deploy before the launch, and let the launch run."""
    month.deploy()
    month.at(local(5, 27, 15, 10))
    month.reconcile()
    month.work()


def test_where_all_is_as_it_should_be_nothing_is_done_and_nothing_said(month: Month) -> None:
    launch(month)
    before = {run.id for run in month.runs()}
    assert month.reconcile() == {}
    assert month.reconcile() == {}
    assert {run.id for run in month.runs()} == before


def test_a_weekend_without_server_is_made_up_for_once_and_what_was_passed_over_is_on_record(month: Month) -> None:
    """Down from Thursday to Monday, over three steps: Friday's two, and Monday's collection."""
    launch(month)
    month.at(local(6, 4, 10))
    month.reconcile()
    month.work()
    month.at(local(6, 8, 10))
    assert month.reconcile()["overdue"] == [
        "收件 · 2020年“安全生产月”和“安全生产专题行”活动 · 6月8日 08:30",
        "提醒 · 活动方案 · 逾期 3 天",
        "催办 · 活动计划表、负责人及联络员推荐表 · 第3级",
    ]
    month.work()
    assert month.reconcile() == {}
    assert missed_by_the_last("remind", month.key) == ["remind:2020-06-05T09:00"]
    assert missed_by_the_last("collect", month.key) == ["collect:2020-06-05T08:30"]
    said = items()
    assert len(said) == len(set(said))
    scheme = {rung for rung, due, _ in said if due == local(6, 6, 0)}
    assert scheme == {"launch", "before:2", "after:1"}  # “today is the last day” is not said on Monday
    _nothing_left_outside_the_window()


@pytest.mark.minutes
def test_what_is_made_up_for_before_office_hours_waits_for_them(month: Month) -> None:
    """Down from Wednesday, back on Monday at seven."""
    launch(month)
    month.at(local(6, 3, 10))
    month.reconcile()
    month.work()
    month.at(local(6, 8, 7))
    month.reconcile()
    month.work()
    waiting = messages(MessageRow.id, state="planned")
    assert waiting
    assert month.reconcile() == {}  # and makes nothing run while the window is shut
    month.at(local(6, 8, 8, 40))
    assert month.reconcile()["woken"] == [f"发信 · 有邮件等待发送（{month.key}）"]
    month.work()
    assert messages(MessageRow.id, state="planned") == []
    _nothing_left_outside_the_window()


def missed_by_the_last(kind: str, campaign: str) -> list[str]:
    """Return the steps for which the last run of a kind stands."""
    return [entry["step"] for entry in steps_recorded(campaign)[kind][-1].superseded]


def items() -> list[tuple[str, datetime | None, int]]:
    """Return what was said: rung, due instant and obligation of each item that left."""
    from tasks.desk import premises  # noqa: PLC0415

    query = select(ItemRow.rung, ItemRow.due_at, ItemRow.obligation_id).where(~ItemRow.gone)
    with premises().ledger.reading() as session:
        return [(rung, due, number) for rung, due, number in session.execute(query)]


def _nothing_left_outside_the_window() -> None:
    left = [at.astimezone(ZONE).time() for cls, at in messages(MessageRow.mail_class, MessageRow.sent_as_of)
            if at is not None and cls != "reply"]  # fmt: skip
    assert left
    assert all(time(8, 30) <= at < time(18) for at in left), left


def test_reconciling_twice_before_the_worker_comes_starts_one_run(month: Month) -> None:
    launch(month)
    month.at(local(5, 29, 9, 30))
    assert month.reconcile()["overdue"] == [
        "收件 · 2020年“安全生产月”和“安全生产专题行”活动 · 5月29日 08:30",
        "提醒 · 活动计划表、负责人及联络员推荐表 · 距截止 2 天",
    ]
    assert "overdue" not in month.reconcile()


def test_mail_that_nobody_was_woken_for_is_sent(month: Month) -> None:
    from tasks.desk import premises  # noqa: PLC0415

    launch(month)
    with premises().ledger.writing() as session:
        lost = select(MessageRow.id).limit(1).scalar_subquery()
        session.execute(update(MessageRow).where(MessageRow.id == lost).values(state=MessageState.PLANNED))
    assert month.reconcile() == {"woken": [f"发信 · 有邮件等待发送（{month.key}）"]}
    assert month.work() == ["发信 · 有邮件等待发送"]
    assert month.reconcile() == {}


@pytest.mark.minutes
def test_a_unit_that_joined_is_told_of_the_launch(month: Month) -> None:
    from definition.roster import ContactRole, RosterContact, Unit  # noqa: PLC0415
    from tasks.desk import now, premises  # noqa: PLC0415

    launch(month)
    contact = RosterContact(role=ContactRole.DUTY, name="", address="duty@new.example", phone="")
    unit = Unit(code="N1", name="新单位", category="有关单位", superior="OFFICE", contacts=(contact,))
    month.at(local(5, 28, 14))
    with premises().ledger.writing() as session:
        join_unit(session, Act.now("staff:test", now()), month.key, unit, "新设")
    month.at(local(5, 28, 14, 5))
    month.reconcile()
    month.work()
    assert "duty@new.example" in [address for (address,) in messages(MessageRow.address, notice="launch")]
    assert month.reconcile() == {}


@pytest.mark.minutes
def test_three_campaigns_run_beside_each_other_without_interference(month: Month) -> None:
    keys = [month.key, month.copy("month-b"), month.copy("month-c")]
    for key in keys:
        month.deploy(key)
    assert sorted(month.deployed()) == sorted(keys)
    counts = {key: len(month.runs(key)) for key in keys}
    assert len(set(counts.values())) == 1
    month.at(local(5, 27, 15, 10))
    month.reconcile()
    assert len(month.work()) == 3
    (month.stage.out / "campaigns" / "month-b" / "campaign.yaml").write_text("nonsense", encoding="utf-8")
    month.undeploy("month-c")
    month.at(local(5, 29, 9, 30))
    month.reconcile()
    month.work()
    for key in keys[:2]:
        assert len(steps_recorded(key)["remind"]) == 1
    assert "remind" not in steps_recorded("month-c")
    assert month.runs("month-c") == []
    by_campaign = messages(MessageRow.campaign_id, MessageRow.party_id, MessageRow.notice, MessageRow.occasion)
    assert len(by_campaign) == len(set(by_campaign)) == 3 * 3 + 2 * 3


def test_the_trouble_of_one_campaign_is_not_the_others(month: Month) -> None:
    broken = month.copy("month-b")
    month.deploy()
    month.deploy(broken)
    (month.stage.out / "campaigns" / broken / "campaign.yaml").write_text("nonsense", encoding="utf-8")
    month.at(local(5, 27, 15, 10))
    found = month.reconcile()
    assert [one.partition("：")[0] for one in found["trouble"]] == [broken]
    assert len(found["overdue"]) == 1


def test_runs_left_by_the_dead_are_marked_as_crashed_and_their_slots_given_back(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.states import Pending, Running, Scheduled  # noqa: PLC0415

    monkeypatch.setattr("tasks.dead_runs.GRACE", timedelta(0))
    month.deploy()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=dict(os.environ))
    try:

        async def start(client: Any, kind: str, pid: int) -> Any:
            found = await client.read_deployment_by_name(f"{kind}/{wording.STEP[kind]} · {month.key}")
            run = await client.create_flow_run_from_deployment(found.id, state=Scheduled())
            await client.set_flow_run_state(run.id, Pending())
            await client.set_flow_run_state(run.id, Running())
            await client.update_flow_run(run.id, infrastructure_pid=str(pid))
            return run.id

        dead = ask(lambda client: start(client, "collect", 2**22 + 1))
        alive = ask(lambda client: start(client, "remind", child.pid))
        monkeypatch.setattr("tasks.dead_runs.running_here", lambda: {str(alive)})
        found = month.reconcile()
    finally:
        child.kill()
        child.wait()
    assert len(found["crashed"]) == 1
    assert [run.id for run in month.runs(state="CRASHED")] == [dead]
    assert [run.id for run in month.runs(state="RUNNING")] == [alive]
    assert "运行进程已经中断" in month.runs(state="CRASHED")[0].state.message
    slots = ask(lambda client: client.read_deployment_by_name(f"collect/收件 · {month.key}")).global_concurrency_limit
    assert slots.active_slots == 0


def test_a_process_that_runs_a_flow_is_known_by_its_environment() -> None:
    from tasks.dead_runs import RUN_ID, running_here  # noqa: PLC0415

    command = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]
    child = subprocess.Popen(command, env={**os.environ, RUN_ID: "run-17"}, stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        child.stdout.readline()
        assert "run-17" in running_here()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_slot_that_nobody_holds_is_given_back(month: Month) -> None:
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate  # noqa: PLC0415

    month.deploy()

    async def leak(client: Any) -> None:
        limit = (await client.read_deployment_by_name(f"remind/提醒 · {month.key}")).global_concurrency_limit
        await client.update_global_concurrency_limit(str(limit.id), GlobalConcurrencyLimitUpdate(active_slots=1))

    ask(leak)
    assert month.reconcile() == {"freed": [f"remind/提醒 · {month.key}"]}
    assert month.reconcile() == {}


def test_a_step_whose_run_was_cancelled_is_left_out_when_its_time_has_come(month: Month) -> None:
    from prefect.states import Cancelled  # noqa: PLC0415

    launch(month)
    reminder = next(run for run in month.runs() if "remind" in run.tags)
    ask(lambda client: client.set_flow_run_state(reminder.id, Cancelled(), force=True))
    month.at(local(5, 29, 9, 10))
    assert reminder.name not in month.reconcile().get("overdue", [])
