"""Automations: synced by difference, no template misspelt, and what happens runs the deployment it should."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from jinja2 import Environment, StrictUndefined
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.events.actions import CallWebhook, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Crashed, Failed
from prefect.workers.process import ProcessWorker
from pydantic import SecretStr

from definition.loading import load_campaign
from definition.models import Campaign
from deployments import automations
from deployments.automations import (
    ALARMS,
    WAKES,
    WEBHOOK_PAYLOAD,
    AutomationsNotMade,
    alarms,
    sync_automations,
    wakes,
)
from deployments.catalogue import HOUSE_WIDE
from deployments.house import POOL
from flows.alarm import WATCHED, alarm
from flows.running import FLOWS
from flows.tell_approvers import tell_approvers
from ledger.event_kinds import EventKind, Origin
from office import wording
from settings import settings
from tasks.alarms import broken_runs
from tasks.changes import Changes, Sign
from tasks.events import Bundle, emit_to_prefect

CAMPAIGN, KEY = "safety-month-2020", "woken"  # whose definition; under which key, which no other test has runs of
ENTRYPOINTS = {name: f"flows.{name}.{name}" for name in (*FLOWS, "alarm", "tell_approvers")}
HOUSE_FLOWS = {"alarm": alarm, "tell_approvers": tell_approvers}


@pytest.fixture(scope="session")
def definition(house: Path) -> Campaign:
    return load_campaign(
        house / "campaigns" / CAMPAIGN,
        calendars=house / "campaigns" / "calendar",
        notices=house / "templates" / "email",
    ).campaign


@pytest.fixture
async def client(prefect: str, pool: None) -> AsyncIterator[PrefectClient]:
    async with get_client() as opened:
        await clear(opened)  # other tests of this run deploy too
        yield opened
        await clear(opened)


async def clear(client: PrefectClient) -> None:
    for one in await client.read_automations():
        await client.delete_automation(one.id)
    for deployment in await client.read_deployments():
        await client.delete_deployment(deployment.id)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, definition: Campaign) -> dict[str, Campaign]:
    """Return the definitions of the campaigns that are known."""
    found = dict.fromkeys((KEY, "other", "broken"), definition)
    monkeypatch.setattr(automations, "_definition", found.get)
    return found


@pytest.fixture(scope="session")
async def pool(prefect: str) -> None:
    """Make the work pool, once for all tests."""
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))


async def deploy(client: PrefectClient, flow: str, name: str) -> UUID:
    flow_id = await client.create_flow({**FLOWS, **HOUSE_FLOWS}[flow])  # type: ignore[arg-type]
    tags = [f"campaign:{name}", flow] if name != HOUSE_WIDE else [flow]
    return await client.create_deployment(
        flow_id, name, work_pool_name=POOL, entrypoint=ENTRYPOINTS[flow], tags=tags, enforce_parameter_schema=False
    )


async def deploy_all(client: PrefectClient, *campaigns: str) -> dict[tuple[str, str], UUID]:
    wanted = [(flow, HOUSE_WIDE) for flow in HOUSE_FLOWS] + [(flow, one) for one in campaigns for flow in FLOWS]
    return {(flow, name): await deploy(client, flow, name) for flow, name in wanted}


def signs(changes: Changes) -> str:
    return "".join(sorted(line[0] for line in changes.lines() if line[0] != "=")) + "=" * changes.unchanged


async def test_automations_are_made_once_and_then_left_alone(client: PrefectClient) -> None:
    await deploy_all(client, KEY)
    first = await sync_automations()
    assert signs(first) == "+" * 8  # two alarms; all of a campaign but the early consolidation
    assert signs(await sync_automations()) == "=" * 8


async def test_only_what_differs_is_changed_and_what_others_made_is_not_touched(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deploy_all(client, KEY)
    await sync_automations()
    foreign = EventTrigger(expect={"x.y"})
    await client.create_automation(AutomationCore(name="theirs", tags=["muster-like"], trigger=foreign, actions=[]))
    before = {one.name: one for one in await client.read_automations()}
    fewer = tuple(replace(w, origin=None) if w.key == "planned" else w for w in WAKES if w.key != "bounced")
    monkeypatch.setattr(automations, "WAKES", fewer)
    lines = await sync_automations()
    assert sorted(map(str, lines.changes)) == [
        f"- automation bounced {KEY}",
        f"~ automation planned {KEY}: trigger",
    ]
    after = {one.name: one for one in await client.read_automations()}
    assert before["theirs"] == after["theirs"]
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{wording.AUTOMATION['planned'][0]} · {KEY}"}
    assert signs(await sync_automations()) == "=" * 7


async def test_one_that_staff_switched_off_stays_so_even_if_it_is_changed(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deploy_all(client, KEY)
    await sync_automations()
    name = f"{wording.AUTOMATION['planned'][0]} · {KEY}"
    [planned] = await client.read_automations_by_name(name)
    await client.pause_automation(planned.id)
    assert f"= automation planned {KEY}: switched off by staff" in (await sync_automations()).lines()
    monkeypatch.setitem(wording.AUTOMATION, "planned", (wording.AUTOMATION["planned"][0], "另一说明"))
    assert f"~ automation planned {KEY}: description" in (await sync_automations()).lines()
    [planned] = await client.read_automations_by_name(name)
    assert (planned.enabled, planned.description) == (False, "另一说明")


async def test_a_campaign_that_says_so_is_consolidated_when_it_is_complete(
    client: PrefectClient, known: dict[str, Campaign]
) -> None:
    known[KEY] = known[KEY].model_copy(update={"consolidate_when_complete": True})
    await deploy_all(client, KEY, "other")
    lines = await sync_automations()
    assert [line for line in lines.lines() if "complete" in line] == [f"+ automation complete {KEY}"]


async def test_undeployed_a_campaign_has_no_automations_and_others_keep_theirs(client: PrefectClient) -> None:
    made = await deploy_all(client, KEY, "other")
    await sync_automations()
    for (_, name), deployment in made.items():
        if name == "other":
            await client.delete_deployment(deployment)
    lines = await sync_automations()
    assert set(map(str, lines.changes)) == {
        f"- automation {wake.key} other" for wake in WAKES if wake.key != "complete"
    }
    assert signs(lines) == "-" * 6 + "=" * 8


async def test_deployed_anew_under_another_id_it_is_that_one_which_is_run(client: PrefectClient) -> None:
    made = await deploy_all(client, KEY)
    await sync_automations()
    await client.delete_deployment(made["deliver", KEY])
    assert len((await sync_automations()).of(Sign.REMOVED)) == 3  # those that ran it
    new = await deploy(client, "deliver", KEY)
    await sync_automations()
    runs = [a for one in await client.read_automations() for a in one.actions if isinstance(a, RunDeployment)]
    assert [a.deployment_id for a in runs].count(new) == 3


async def test_synced_for_one_campaign_others_are_left_as_they_are(client: PrefectClient) -> None:
    await deploy_all(client, KEY)
    await sync_automations()
    await deploy_all(client, "other")
    assert signs(await sync_automations([KEY])) == "=" * 8
    assert signs(await sync_automations(["other"])) == "+" * 6 + "=" * 2


async def test_a_webhook_block_that_is_not_there_is_refused_in_a_sentence(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_ALARM_WEBHOOK_BLOCK", "pager")
    settings.cache_clear()
    try:
        with pytest.raises(AutomationsNotMade, match="MUSTER_ALARM_WEBHOOK_BLOCK is pager"):
            await sync_automations()
    finally:
        settings.cache_clear()


EVENT = {
    "resource": {
        "prefect.resource.id": "prefect.flow-run.1",
        "prefect.resource.name": "提醒 · “计划”",
        "prefect.state-name": "Failed",
        "prefect.state-message": 'it said "no"',
    }
}


def everything(definition: Campaign) -> list[AutomationCore]:
    early = definition.model_copy(update={"consolidate_when_complete": True})
    deployments = {(flow, KEY): uuid4() for flow in FLOWS} | {(flow, HOUSE_WIDE): uuid4() for flow in HOUSE_FLOWS}
    return [*alarms(deployments, uuid4()), *wakes(KEY, early, deployments)]


def test_every_automation_has_its_words_and_no_words_are_left_over(definition: Campaign) -> None:
    keys = [*ALARMS, *(wake.key for wake in WAKES)]
    assert sorted(keys) == sorted(wording.AUTOMATION)
    assert len({one.name for one in everything(definition)}) == len(keys)


def test_no_automation_matches_an_event_that_is_never_written_or_runs_a_flow_that_is_not_there(
    definition: Campaign,
) -> None:
    for wake in WAKES:
        assert wake.on in set(EventKind)
        assert wake.runs in {**FLOWS, **HOUSE_FLOWS}
        flow = {**FLOWS, **HOUSE_FLOWS}[wake.runs]
        taken = flow.parameters.properties  # type: ignore[attr-defined]
        assert {*wake.parameters, "campaign"} <= set(taken)
    assert set(WATCHED) >= set(FLOWS)


def test_templates_name_only_what_the_events_have(definition: Campaign) -> None:
    """Prefect renders a misspelt name as nothing, and says nothing."""
    strict = Environment(undefined=StrictUndefined, autoescape=True)
    templates = [
        text
        for one in everything(definition)
        for action in one.actions
        for text in re.findall(r'"((?:[^"\\]|\\.)*\{\{(?:[^"\\]|\\.)*)"', action.model_dump_json())
    ]
    payloads = [a.payload for one in everything(definition) for a in one.actions if isinstance(a, CallWebhook)]
    assert payloads == [WEBHOOK_PAYLOAD] * 2
    assert len(templates) == len(payloads)  # there are no others
    assert '"state": "Failed"' in strict.from_string(WEBHOOK_PAYLOAD).render(event=EVENT)


async def woken(client: PrefectClient, deployment: UUID, count: int = 1) -> list[FlowRun]:
    which = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    async with asyncio.timeout(20):
        while len(found := await client.read_flow_runs(flow_run_filter=which)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


def happened(kind: EventKind, origin: Origin, campaign: str = KEY) -> Bundle:
    told = {"count": 1, "first_at": datetime.now(UTC).isoformat(), "causes": []}
    return Bundle(id=uuid4(), name=kind, campaign=campaign, origin=origin, occurred=datetime.now(UTC), payload=told)


async def test_what_happens_runs_its_deployment_and_no_other(client: PrefectClient) -> None:
    made = await deploy_all(client, KEY, "other")
    await sync_automations()
    await asyncio.sleep(1)  # the server takes a moment to hear of automations
    await emit_to_prefect(
        [
            happened(EventKind.PLANNED, Origin.FLOW),
            happened(EventKind.MAIL, Origin.DESK),
            happened(EventKind.EXTENSION, Origin.DESK),
        ]
    )
    [collecting] = await woken(client, made["collect", KEY])
    [telling] = await woken(client, made["tell_approvers", HOUSE_WIDE])
    assert (collecting.parameters, telling.parameters) == ({"fetch": False}, {"campaign": KEY})
    await emit_to_prefect([happened(EventKind.PLANNED, Origin.DESK)])
    [_] = await woken(client, made["deliver", KEY])
    all_of_them = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=list(made.values())))
    assert len(await client.read_flow_runs(flow_run_filter=all_of_them)) == 3


@pytest.fixture
async def pager(client: PrefectClient, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Queue[bytes]]:
    """Return what is sent to a webhook that settings name."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = re.findall(rb"content-length: (\d+)", head.lower())
        await heard.put(await reader.readexactly(int(length)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    served = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = served.sockets[0].getsockname()[1]
    await Webhook(url=SecretStr(f"http://127.0.0.1:{port}/alarm")).save("pager", overwrite=True)
    monkeypatch.setenv("MUSTER_ALARM_WEBHOOK_BLOCK", "pager")
    settings.cache_clear()
    yield heard
    served.close()
    settings.cache_clear()


async def test_a_broken_run_calls_the_webhook_that_settings_name(
    client: PrefectClient, pager: asyncio.Queue[bytes]
) -> None:
    remind = await deploy(client, "remind", KEY)
    assert signs(await sync_automations()) == "+" * 2  # the alarm's flow is not deployed
    await asyncio.sleep(1)
    run = await client.create_flow_run_from_deployment(remind, name="提醒 · “计划”")
    await client.set_flow_run_state(run.id, Failed(message='it said "no"'), force=True)
    async with asyncio.timeout(20):
        said = json.loads(await pager.get())
    assert said == {
        "run": "提醒 · “计划”",
        "state": "Failed",
        "message": 'it said "no"',
        "id": f"prefect.flow-run.{run.id}",
    }


async def test_a_broken_run_starts_the_alarm_which_finds_it_and_its_fellows(client: PrefectClient) -> None:
    made = await deploy_all(client, "broken")
    await sync_automations()
    await asyncio.sleep(1)
    remind = made["remind", "broken"]
    runs = [await client.create_flow_run_from_deployment(remind, name=f"提醒 {n}") for n in range(3)]
    await client.set_flow_run_state(runs[0].id, Failed(message="the relay is away"), force=True)
    await client.set_flow_run_state(runs[1].id, Crashed(message="killed"), force=True)
    alarmed = await woken(client, made["alarm", HOUSE_WIDE])
    assert len(alarmed) == 1
    found = [run for run in await broken_runs(WATCHED) if run.campaign == "broken"]
    assert [(r.flow, r.name, r.state, r.said) for r in sorted(found, key=lambda r: r.name)] == [
        ("remind", "提醒 0", "Failed", "the relay is away"),
        ("remind", "提醒 1", "Crashed", "killed"),
    ]
