"""Deploying by difference: what is on the server is compared with the catalogue, and only what differs is changed.

Prefect's own `deploy` writes each deployment anew, which deletes and makes its schedules again and drops the runs they
had planned. Here a deployment that is as it should be is not written to at all, of another only the fields that differ.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from deployments.automations import sync_automations
from deployments.catalogue import HOUSE_WIDE, Deployed, for_campaign, for_house
from deployments.house import POOL
from office.timetable import find_rulebook
from settings import HOUSE
from tasks.changes import SAME, Changes, Kind, changed, new, removed
from tasks.desk import premises
from tasks.places import deployments_with, free_slots, kind_of, place_in, version_now
from tasks.tags import campaign_tag
from tasks.timetable_runs import read_agenda, remove_timetable, sync_timetable

PULL_STEPS = [{"prefect.deployments.steps.set_working_directory": {"directory": str(HOUSE)}}]
SLUG = "interval"


async def deploy_house() -> Changes:
    """Bring the work pool and what is there once for all campaigns to what the catalogue says; return what changed."""
    async with get_client() as client:
        changes = await _ensure_pool(client)
        changes += await _sync(client, for_house(), tag=HOUSE_WIDE)
    return changes + await sync_automations([])


async def deploy_campaign(campaign: str) -> Changes:
    """Bring a campaign's deployments and the runs of its timetable to what they should be; return what changed.

    Raises:
        FileNotFoundError: it was not launched, and there is no such folder.
        definition.faults.FaultyCampaign: it was not launched, and its folder has faults.

    """
    key, title = await asyncio.to_thread(_key_and_title, campaign)
    async with get_client() as client:
        changes = await _ensure_pool(client)
        changes += await _sync(client, for_campaign(key, title), tag=campaign_tag(key))
        place = place_in(key, await deployments_with(client, [campaign_tag(key)]))
        changes += await sync_timetable(client, place, await read_agenda(place))
    return changes + await sync_automations([key])


async def undeploy_campaign(campaign: str) -> Changes:
    """Remove a campaign's deployments and the runs that have not begun; what has run, and the ledger, stay."""
    async with get_client() as client:
        changes = await remove_timetable(client, campaign)
        changes += await _sync(client, (), tag=campaign_tag(campaign))
    return changes + await sync_automations([campaign])


def _key_and_title(campaign: str) -> tuple[str, str]:
    house = premises()
    with house.ledger.reading() as session:
        _, book = find_rulebook(session, house, campaign)
    return book.campaign.key, book.campaign.title


async def _ensure_pool(client: PrefectClient) -> Changes:
    """Make the work pool unless it is there."""
    try:
        await client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
        return new(f"work pool {POOL}", "process")
    return SAME


async def _sync(client: PrefectClient, wanted: Sequence[Deployed], *, tag: str) -> Changes:
    """Bring the deployments that bear a tag to what is wanted."""
    there = {one.entrypoint: one for one in await deployments_with(client, [tag])}
    changes = Changes()
    for one in wanted:
        present = there.pop(one.entrypoint, None)
        if present is None:
            changes += await _create(client, one)
        elif present.name != one.name:
            changes += await _rename(client, one, present)
        else:
            changes += await _update(client, one, present)
    for gone in there.values():
        await client.delete_deployment(gone.id)
        changes += removed(f"deployment {kind_of(gone)}/{gone.name}", kind=_kind(kind_of(gone)))
    return changes


async def _rename(client: PrefectClient, one: Deployed, present: DeploymentResponse) -> Changes:
    """Put one in the place of another, as Prefect renames none; its planned runs go with it, and are made anew.

    It counts as deployed since the other was, and stays paused if that was.
    """
    await _create(client, one, version=present.version, paused=present.paused)
    await client.delete_deployment(present.id)
    return changed(f"deployment {one.full_name}", f"was called {present.name}", _kind(one.flow))


async def _create(client: PrefectClient, one: Deployed, *, version: str | None = None, paused: bool = False) -> Changes:
    await client.create_deployment(
        await client.create_flow(one.load()),
        one.name,
        version=version or version_now(),
        paused=paused,
        schedules=_schedules(one),
        concurrency_limit=one.at_once,
        concurrency_options=_options(one),
        work_pool_name=POOL,
        **_plain_fields(one),
    )
    often = f"every {one.every.total_seconds():g} s" if one.every else ""
    return new(f"deployment {one.full_name}", often, _kind(one.flow))


async def _update(client: PrefectClient, one: Deployed, present: DeploymentResponse) -> Changes:
    """Write the fields that differ, and no other; what staff have paused stays paused."""
    differing = {
        name: wanted
        for name, wanted in _plain_fields(one).items()
        if _comparable(getattr(present, name)) != _comparable(wanted)
    }
    if present.work_pool_name != POOL:
        differing["work_pool_name"] = POOL
    limit = present.global_concurrency_limit
    if (limit.limit if limit is not None else None) != one.at_once:
        differing["concurrency_limit"] = one.at_once
    if present.concurrency_options != _options(one):
        differing["concurrency_options"] = _options(one)
    if differing:
        await client.update_deployment(present.id, DeploymentUpdate(**differing))
    what = [name.replace("_", " ") for name in differing]
    what += await _reschedule(client, one, present)
    what += ["a slot that nobody held"] if await free_slots(client, [present]) else []
    if not what:
        return SAME
    return changed(f"deployment {one.full_name}", ", ".join(what), _kind(one.flow))


async def _reschedule(client: PrefectClient, one: Deployed, present: DeploymentResponse) -> list[str]:
    """Bring the schedule to what it should be; one that is not touched keeps the runs it has planned."""
    if [_interval(schedule) for schedule in present.schedules] == ([one.every] if one.every else []):
        return []
    for schedule in present.schedules:
        await client.delete_deployment_schedule(present.id, schedule.id)
    if one.every:
        await client.create_deployment_schedules(present.id, _schedules(one))
    return ["schedule"]


def _kind(flow: str) -> Kind:
    """Return what a deployment is one of, where several are told together."""
    return Kind(many="deployments", one=flow)


def _plain_fields(one: Deployed) -> dict[str, Any]:
    """Return the fields that Prefect gives back as they were written."""
    return {
        "entrypoint": one.entrypoint,
        "description": one.description,
        "tags": list(one.tags),
        "parameters": dict(one.parameters),
        "parameter_openapi_schema": parameter_schema(one.load()).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "pull_steps": PULL_STEPS,
    }


def _comparable(value: object) -> object:
    """Return a field for comparing: tags come back in any order."""
    return sorted(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value


def _options(one: Deployed) -> ConcurrencyOptions | None:
    if one.at_once is None:
        return None
    return ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy(one.collision))


def _schedules(one: Deployed) -> list[DeploymentScheduleCreate]:
    if one.every is None:
        return []
    return [DeploymentScheduleCreate(schedule=IntervalSchedule(interval=one.every), slug=SLUG)]


def _interval(schedule: DeploymentSchedule) -> timedelta | None:
    return schedule.schedule.interval if isinstance(schedule.schedule, IntervalSchedule) else None
