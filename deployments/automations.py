"""Automations: what follows when something happened, as a typed catalogue that is synced by difference.

One automation a campaign and kind, each naming the deployment it runs. A deployment keeps its id when it is deployed
again, and its concurrency limit holds for whoever starts it; an automation for all campaigns would have to name one
deployment, whose limit then held for all of them together, and to find the campaign by a template, which renders empty
where it is misspelt. They are ours by their tags, made and compared through the API, and not owned by deployments:
Prefect deletes those that are at every deploy.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import Flow
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import CallWebhook, RunDeployment
from prefect.events.filters import AutomationFilter, AutomationFilterTags
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from definition.models import Campaign
from deployments.catalogue import HOUSE_WIDE, STEPS
from deployments.house import POOL
from flows.alarm import WATCHED
from ledger.event_kinds import EventKind, Origin
from office import wording
from office.broken_runs import LATE
from office.timetable import find_rulebook
from settings import settings
from tasks.alarms import BROKEN
from tasks.changes import SAME, Changes, Kind, changed, kept, new, removed
from tasks.desk import premises
from tasks.events import resource_of
from tasks.tags import campaign_of, campaign_tag

OURS = "muster"  # the tag of all that are made here
MARK = "automation:"  # the tag that says which one it is
PAGE = 200
FLOW_RUN = "prefect.flow-run"
# Broken runs often come together. The first of half a minute starts the alarm, which begins when it is over and looks
# for itself: those in between start nothing and are told all the same.
TOGETHER = timedelta(seconds=30)
LATE_FOR = timedelta(minutes=5)
BEGUN = ("Pending", "Running", "Completed", "Cancelled", "Cancelling", "AwaitingConcurrencySlot", *BROKEN)
WEBHOOK_PAYLOAD = (
    '{"run": {{ event.resource["prefect.resource.name"] | tojson }}, '
    '"state": {{ event.resource["prefect.state-name"] | tojson }}, '
    '"message": {{ event.resource["prefect.state-message"] | tojson }}, '
    '"id": {{ event.resource["prefect.resource.id"] | tojson }}}'
)


class AutomationsNotMade(ValueError):  # noqa: N818  it is what happened
    """The automations cannot be made as settings wish; the sentence names the remedy."""


@dataclass(frozen=True, kw_only=True)
class Wake:
    """An automation of a campaign: when something happened in it, a flow is run.

    ``origin`` leaves out what flow runs cause themselves, where they also do what the flow would.
    """

    key: str
    on: EventKind
    runs: str
    house_wide: bool = False  # the deployment is there once for all campaigns, and is told which one is meant
    origin: Origin | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    wanted: Callable[[Campaign], bool] = lambda _: True


# A poller fetches the mailbox, so no woken collection does.
WAKES = (
    Wake(key="planned", on=EventKind.PLANNED, runs="deliver", origin=Origin.DESK),
    Wake(key="opened", on=EventKind.OPENED, runs="deliver", origin=Origin.DESK),
    Wake(key="mail", on=EventKind.MAIL, runs="collect", parameters={"fetch": False}),
    Wake(key="received", on=EventKind.RECEIVED, runs="collect", origin=Origin.DESK, parameters={"fetch": False}),
    Wake(key="bounced", on=EventKind.BOUNCED, runs="deliver"),
    Wake(key="extension", on=EventKind.EXTENSION, runs="tell_approvers", house_wide=True),
    Wake(key="complete", on=EventKind.COMPLETE, runs="consolidate", wanted=lambda c: c.consolidate_when_complete),
)
ALARMS = ("broken", "late")  # keys of those that are there once for all campaigns
Deployments = Mapping[tuple[str, str], UUID]  # by flow and campaign


async def sync_automations(campaigns: Sequence[str] | None = None) -> Changes:
    """Bring the automations on the server to what they should be; return what was changed.

    A deployment that is not there has none. Of campaigns that are not among ``campaigns`` they are left as they are;
    without it all are looked at. One that staff have switched off stays so.

    Raises:
        AutomationsNotMade: the webhook block that settings name does not exist.

    """
    async with get_client() as client:
        deployments = await _deployments(client)
        deployed = sorted({name for flow, name in deployments if flow in STEPS})
        chosen = [one for one in deployed if campaigns is None or one in campaigns]
        wanted = [*alarms(deployments, await _webhook(client))]
        for campaign in chosen:
            definition = await asyncio.to_thread(_definition, campaign)
            wanted += wakes(campaign, definition, deployments) if definition is not None else []
        there = await _present(client)
        if campaigns is not None:
            there = {mark: one for mark, one in there.items() if campaign_of(one.tags) in ("", *campaigns)}
        return await _sync(client, wanted, there)


def wakes(campaign: str, definition: Campaign, deployments: Deployments) -> Iterator[AutomationCore]:
    """Yield the automations of a campaign whose deployments are there."""
    for wake in WAKES:
        deployment = deployments.get((wake.runs, HOUSE_WIDE if wake.house_wide else campaign))
        if deployment is None or not wake.wanted(definition):
            continue
        match = {"prefect.resource.id": resource_of(campaign)}
        if wake.origin is not None:
            match["muster.origin"] = wake.origin.value
        parameters = {**({"campaign": campaign} if wake.house_wide else {}), **wake.parameters}
        yield _automation(
            wake.key,
            campaign,
            EventTrigger(expect={wake.on.value}, match=match, threshold=1, within=timedelta(0)),
            [RunDeployment(source="selected", deployment_id=deployment, parameters=parameters or None)],
        )


def alarms(deployments: Deployments, webhook: UUID | None) -> Iterator[AutomationCore]:
    """Yield the automations about runs that break or are late, if the alarm is deployed or a webhook is set."""
    deployment = deployments.get(("alarm", HOUSE_WIDE))
    call = [CallWebhook(block_document_id=webhook, payload=WEBHOOK_PAYLOAD)] if webhook is not None else []
    triggers = {"broken": (_broken(), TOGETHER), "late": (_late(), timedelta(0))}
    for key in ALARMS:
        trigger, after = triggers[key]
        run = (
            [RunDeployment(source="selected", deployment_id=deployment, parameters=None, schedule_after=after)]
            if deployment is not None
            else []
        )
        if run or call:
            yield _automation(key, "", trigger, [*run, *call])


def _broken() -> EventTrigger:
    return EventTrigger(
        expect={f"{FLOW_RUN}.{state}" for state in BROKEN},
        match={"prefect.resource.id": f"{FLOW_RUN}.*"},
        match_related=_of_ours(),
        threshold=1,
        within=TOGETHER,
    )


def _late() -> EventTrigger:
    """Return the trigger on a late run of which nothing more is heard: most are late by seconds only."""
    return EventTrigger(
        after={f"{FLOW_RUN}.{LATE}"},
        expect={f"{FLOW_RUN}.{state}" for state in BEGUN},
        match={"prefect.resource.id": f"{FLOW_RUN}.*"},
        match_related=_of_ours(),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=LATE_FOR,
    )


def _of_ours() -> list[dict[str, str | list[str]]]:
    """Return what the runs of our own deployments are related to: their flow, and the work pool."""
    return [
        {"prefect.resource.role": "flow", "prefect.resource.name": sorted(WATCHED)},
        {"prefect.resource.role": "work-pool", "prefect.resource.name": POOL},
    ]


def _automation(key: str, campaign: str, trigger: EventTrigger, actions: Sequence[Any]) -> AutomationCore:
    title, description = wording.AUTOMATION[key]
    tags = [OURS, MARK + key, *([campaign_tag(campaign)] if campaign else [])]
    name = f"{title} · {campaign}" if campaign else title
    return AutomationCore(name=name, description=description, tags=tags, trigger=trigger, actions=list(actions))


async def _deployments(client: PrefectClient) -> Deployments:
    """Return the ids of our deployments by flow and campaign, or what stands for all campaigns."""
    names: list[Flow] = []
    while len(page := await client.read_flows(limit=PAGE, offset=len(names))) == PAGE:
        names += page
    flows = {flow.id: flow.name for flow in [*names, *page]}
    found: list[DeploymentResponse] = []
    while len(some := await client.read_deployments(limit=PAGE, offset=len(found))) == PAGE:
        found += some
    found += some
    ours = (one for one in found if one.work_pool_name == POOL)
    return {(flows.get(one.flow_id, ""), campaign_of(one.tags) or HOUSE_WIDE): one.id for one in ours}


async def _webhook(client: PrefectClient) -> UUID | None:
    name = settings().alarm_webhook_block
    if not name:
        return None
    try:
        return (await client.read_block_document_by_name(name, block_type_slug="webhook")).id
    except ObjectNotFound:
        raise AutomationsNotMade(
            f"MUSTER_ALARM_WEBHOOK_BLOCK is {name}, and Prefect has no Webhook block of that name: "
            "make one in its UI under Blocks, or leave the setting empty"
        ) from None


def _definition(campaign: str) -> Campaign | None:
    """Return a campaign's definition; None where it is known no more."""
    house = premises()
    try:
        with house.ledger.reading() as session:
            return find_rulebook(session, house, campaign)[1].campaign
    except FileNotFoundError:
        return None


async def _present(client: PrefectClient) -> dict[str, Automation]:
    """Return the automations that are ours, each by what marks it."""
    found: list[Automation] = []
    ours = AutomationFilter(tags=AutomationFilterTags(all_=[OURS]))
    while True:
        page = await client.read_automations(automations=ours, limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return {_mark(one): one for one in found if any(tag.startswith(MARK) for tag in one.tags)}


def _mark(automation: AutomationCore) -> str:
    key = next(tag for tag in automation.tags if tag.startswith(MARK))
    return f"{key.removeprefix(MARK)} {campaign_of(automation.tags)}".strip()


async def _sync(client: PrefectClient, wanted: Sequence[AutomationCore], there: Mapping[str, Automation]) -> Changes:
    """Make what is not there, change what differs, delete what is not wanted, and touch nothing else."""
    changes = Changes()
    for one in wanted:
        name, present = f"automation {_mark(one)}", there.get(_mark(one))
        if present is None:
            await client.create_automation(one)
            changes += new(name, kind=Kind(many="automations", one=_mark(one).split()[0]))
        elif differing := _differing(one, present):
            await _update(client, present, one)
            changes += changed(name, ", ".join(differing), Kind(many="automations", one=_mark(one).split()[0]))
        else:
            changes += SAME if present.enabled else kept(name, "switched off by staff")
    marks = {_mark(one) for one in wanted}
    for mark, gone in there.items():
        if mark not in marks:
            await client.delete_automation(gone.id)
            changes += removed(f"automation {mark}", kind=Kind(many="automations", one=mark.split()[0]))
    return changes


async def _update(client: PrefectClient, present: Automation, wanted: AutomationCore) -> None:
    """Write an automation whole, as the API wants it: the client's own verb leaves out what stands at its default."""
    body = wanted.model_dump(mode="json", exclude={"owner_resource"}) | {"enabled": present.enabled}
    response = await client.request("PUT", "/automations/{id}", path_params={"id": str(present.id)}, json=body)
    response.raise_for_status()


COMPARED = ("name", "description", "tags", "trigger", "actions")


def _differing(one: AutomationCore, other: AutomationCore) -> list[str]:
    """Return the parts in which two automations differ."""
    return [part for part in COMPARED if _plain(one, part) != _plain(other, part)]


def _plain(automation: AutomationCore, part: str) -> object:
    """Return a part for comparing: sets come back in any order, and a lone value as a list of it."""
    return _sorted(automation.model_dump(mode="json", include={part})[part])


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(one) for key, one in value.items()}
    if isinstance(value, list):
        found = [_sorted(one) for one in value]
        plain = [one for one in found if isinstance(one, str)]
        return sorted(plain) if len(plain) == len(found) else found
    return value
