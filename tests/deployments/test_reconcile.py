"""Reconcile: whatever was lost, late or doubled, each thing is done once and nothing is left undone."""

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from ledger.acts import Act
from ledger.tables import CampaignRow, MessageRow, MessageState, StepRunRow
from office.launching import join_unit
from tests.deployments.month import Month, ask, local

FRIDAY_EVENING, MONDAY = local(6, 5, 18, 30), local(6, 8, 10)


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


def test_a_weekend_without_server_is_made_up_for_once_on_monday_and_within_the_sending_window(month: Month) -> None:
    """Down from Thursday evening to Monday: the reminders of Friday's last day for the scheme, and the day after."""
    launch(month)
    month.at(local(6, 4, 18, 30))
    month.reconcile()
    month.work()
    told_before = len(messages(MessageRow.id))
    # Meanwhile: 06-05 08:30 collect, 06-05 09:00 remind (today), 06-05 09:00 escalate, 06-08 08:30 collect.
    month.at(local(6, 8, 7))  # before the window: what is overdue is done, and no mail but replies leaves
    found = month.reconcile()
    assert len(found["overdue"]) == 3, found
    month.work()
    assert messages(MessageRow.id, state="sent")[told_before:] == []
    month.at(local(6, 8, 8, 45))
    month.reconcile()
    month.work()
    month.at(local(6, 8, 9, 30))
    month.reconcile()
    month.work()
    assert month.reconcile() == {}


def test_missed_steps_are_recorded_as_superseded_by_the_one_that_was_made_up_for(month: Month) -> None:
    launch(month)
    month.at(local(6, 8, 10))
    found = month.reconcile()
    assert len(found["overdue"]) == len(set(found["overdue"])) == 3  # one of a kind: collect, remind, escalate
    month.work()
    remind = steps_recorded(month.key)["remind"]
    assert len(remind) == 1
    missed = [entry["step"] for entry in remind[0].superseded]
    assert missed[0] == "remind:2020-05-29T09:00"
    assert len(missed) == len(set(missed)) >= 3
    assert remind[0].step_at == local(6, 8, 9)
    again = [(party, occasion) for party, occasion in messages(MessageRow.party_id, MessageRow.occasion)]
    assert len(again) == len(set(again))


def test_a_step_that_ended_well_for_its_moment_or_later_is_not_run_again(month: Month) -> None:
    launch(month)
    month.at(local(5, 29, 9, 30))
    month.step("remind")
    month.step("collect")
    found = month.reconcile()
    assert "overdue" not in found
    assert [run.name for run in month.runs() if run.name.startswith("补办")] == []


def test_reconciling_twice_before_the_worker_comes_starts_one_run(month: Month) -> None:
    launch(month)
    month.at(local(5, 29, 9, 30))
    assert month.reconcile()["overdue"] == [
        "收件 · 2020年“安全生产月”和“安全生产专题行”活动 · 5月29日 08:30",
        "提醒 · 活动计划表、负责人及联络员推荐表 · 距截止 2 天",
    ]
    assert "overdue" not in month.reconcile()


def test_mail_that_nobody_was_woken_for_is_sent_and_behind_the_fence_nothing_is_tried_again(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.desk import premises  # noqa: PLC0415

    launch(month)
    with premises().ledger.writing() as session:
        lost = select(MessageRow.id).limit(1).scalar_subquery()
        session.execute(update(MessageRow).where(MessageRow.id == lost).values(state=MessageState.PLANNED))
    assert month.reconcile() == {"woken": [f"发信 · 有邮件等待发送（{month.key}）"]}
    assert month.work() == ["发信 · 有邮件等待发送"]
    assert month.reconcile() == {}


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
            found = await client.read_deployment_by_name(f"{kind}/{month.key}")
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
    slots = ask(lambda client: client.read_deployment_by_name(f"collect/{month.key}")).global_concurrency_limit
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
        limit = (await client.read_deployment_by_name(f"remind/{month.key}")).global_concurrency_limit
        await client.update_global_concurrency_limit(str(limit.id), GlobalConcurrencyLimitUpdate(active_slots=1))

    ask(leak)
    assert month.reconcile() == {"freed": [f"remind/{month.key}"]}
    assert month.reconcile() == {}
