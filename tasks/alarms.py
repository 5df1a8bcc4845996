"""Tasks of the short flows that events start: which runs broke, and who is told of it; who asked for an extension."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import FlowRun

from office.broken_runs import LATE, BrokenRun, tell_operators
from office.request_notes import note_requests
from tasks.desk import act_of, premises
from tasks.tags import campaign_of

BROKEN = ("Failed", "Crashed", "TimedOut")
LATE_AFTER = timedelta(minutes=4)  # of an alarm that comes after five
LOOKS_BACK = timedelta(days=4)  # a long weekend
PAGE = 200


@task(name="tell operators of broken runs", cache_policy=NO_CACHE)
async def tell_of_broken_runs(flows: Sequence[str], as_of: datetime) -> dict[str, int]:
    """Plan alerts about runs of some flows that broke and were not told; return how many are told in which campaign."""
    runs = await broken_runs(flows)
    return await asyncio.to_thread(_tell, runs, as_of)


async def broken_runs(flows: Sequence[str]) -> list[BrokenRun]:
    """Return the runs of some flows that broke lately, or are late for so long that somebody should know."""
    now = datetime.now(UTC)
    which = FlowRunFilter(
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[*BROKEN, LATE])),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=now - LOOKS_BACK, before_=now),
    )
    async with get_client() as client:
        of_flows = FlowFilter(name=FlowFilterName(any_=list(flows)))
        names = {flow.id: flow.name for flow in await client.read_flows(flow_filter=of_flows)}
        found: list[FlowRun] = []
        while True:
            page = await client.read_flow_runs(
                flow_filter=of_flows, flow_run_filter=which, limit=PAGE, offset=len(found)
            )
            found += page
            if len(page) < PAGE:
                break
    broken = (_read(run, names[run.flow_id]) for run in found if run.deployment_id is not None)
    return [run for run in broken if run.state != LATE or now - run.at >= LATE_AFTER]


def _read(run: FlowRun, flow: str) -> BrokenRun:
    campaign = campaign_of(run.tags)
    late = run.state_name == LATE
    at = (run.expected_start_time if late else run.end_time) or run.expected_start_time or datetime.now(UTC)
    said = "" if late or run.state is None else run.state.message or ""
    return BrokenRun(
        id=str(run.id), flow=flow, campaign=campaign, name=run.name, state=run.state_name or "", said=said, at=at
    )


def _tell(runs: Sequence[BrokenRun], as_of: datetime) -> dict[str, int]:
    house, act = premises(), act_of("rule:alarm", as_of)
    with house.ledger.writing() as session:
        return dict(tell_operators(session, house, act, runs))


@task(name="tell approvers of requests", cache_policy=NO_CACHE)
async def tell_of_requests(campaign: str, as_of: datetime) -> bool:
    """Plan a note to the approvers about extensions that were asked for after the day's digest, if there are any."""
    return await asyncio.to_thread(_note, campaign, as_of)


def _note(campaign: str, as_of: datetime) -> bool:
    house, act = premises(), act_of("rule:tell_approvers", as_of)
    with house.ledger.writing() as session:
        return note_requests(session, house, act, campaign)
