"""The small flows that events start: operators hear of broken runs, approvers of extensions, each once."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select

from deployments.stage import Stage
from ledger.acts import Act
from ledger.tables import MessageRow, ObligationRow, PartyRow
from office.requests import ask_extension
from tests.flows.test_month import SetUp
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too

MORNING = datetime.fromisoformat("2020-05-28T10:00+08:00")  # a working day, within the sending window


async def alarms_about_a_run_that_breaks(campaign: str) -> list[dict[str, int]]:
    """Let a run of a deployment fail that was to remind; return what the alarm tells of it, twice. Leave no trace."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415  after the environment is set
    from prefect.states import Failed  # noqa: PLC0415

    from flows.alarm import alarm  # noqa: PLC0415
    from flows.remind import remind  # noqa: PLC0415

    async with get_client() as client:
        tags = [f"campaign:{campaign}"]
        deployment = await client.create_deployment(await client.create_flow(remind), "alarming", tags=tags)
        run = await client.create_flow_run_from_deployment(deployment, name="提醒 · 活动计划")
        await client.set_flow_run_state(run.id, Failed(message="the disk is full"), force=True)
        told = [await alarm(), await alarm()]
        await client.delete_flow_run(run.id)
        await client.delete_deployment(deployment)
        return told


async def waiting_after_an_alarm() -> list[str]:
    """Let alarms wait for their turn, one of them asked for by a person; return which still do when one has run."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415  after the environment is set
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId  # noqa: PLC0415
    from prefect.flow_engine import run_flow_async  # noqa: PLC0415
    from prefect.states import Pending, Scheduled  # noqa: PLC0415

    from flows.alarm import alarm  # noqa: PLC0415

    keys = {"first": "1", "second": "2", "third": "3", "by hand": None}
    async with get_client() as client:
        flow = await client.create_flow(alarm)
        deployment = await client.create_deployment(flow, "waiting", concurrency_limit=1)
        asked = [
            await client.create_flow_run_from_deployment(
                deployment, name=name, idempotency_key=key, state=Scheduled(scheduled_time=datetime.now(UTC))
            )
            for name, key in keys.items()
        ]
        for run in asked:
            await client.set_flow_run_state(run.id, Pending())  # as the worker asks: the first gets the slot
        await run_flow_async(alarm, flow_run=await client.read_flow_run(asked[0].id), parameters={})
        mine = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
        left = await client.read_flow_runs(flow_run_filter=mine)
        await client.delete_deployment(deployment)
        return sorted(run.name for run in left if run.id != asked[0].id)


def sent(stage: Stage, notice: str) -> list[str]:
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        query = select(MessageRow).where(MessageRow.notice == notice, MessageRow.state == "sent")
        return [row.address or "" for row in session.scalars(query)]


def launched(stage: SetUp) -> Stage:
    from flows.running import run_step  # noqa: PLC0415

    played = stage("safety-month-2020", units=2, seed=1)
    asyncio.run(run_step("launch", played.key, played.book.launch_at))
    return played


def ops_of(stage: Stage) -> set[str]:
    return {person.email for person in stage.book.campaign.office.ops}


def test_operators_get_a_mail_about_a_run_that_broke_and_no_second_one(stage: SetUp, prefect: None) -> None:
    played = launched(stage)
    first, second = asyncio.run(alarms_about_a_run_that_breaks(played.key))
    assert first[played.key] >= 1  # the runs that other tests broke are told too
    assert second == {}
    found = sent(played, "alert")
    assert found
    assert set(found) <= ops_of(played)


def test_an_alarm_takes_over_from_those_that_wait_and_not_from_a_person_s(stage: SetUp, prefect: None) -> None:
    launched(stage)
    assert asyncio.run(waiting_after_an_alarm()) == ["by hand"]


def test_approvers_get_a_mail_about_an_extension_that_no_digest_told_and_no_second_one(
    stage: SetUp, prefect: None
) -> None:
    from flows.tell_approvers import tell_approvers  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    played = launched(stage)
    noon = MORNING + timedelta(hours=2)
    with premises().ledger.writing() as session:
        query = select(ObligationRow).where(ObligationRow.due_at.is_not(None)).order_by(ObligationRow.id)
        first, second = session.scalars(query.limit(2)).all()
        for obligation, moment in ((first, MORNING), (second, noon)):  # the first calls for the day's digest
            party = session.get_one(PartyRow, obligation.party_id)
            act = Act.now(f"unit:{party.code}", moment)
            until = date(2020, 7, 8)
            ask_extension(session, premises(), act, party, obligation.id, until=until, reason="汇总时间紧")
    assert asyncio.run(tell_approvers(played.key, noon))
    assert not asyncio.run(tell_approvers(played.key, noon))
    approvers = {person.email for person in played.book.campaign.office.approvers}
    assert set(sent(played, "alert")) <= approvers
    assert len(sent(played, "alert")) == 1
