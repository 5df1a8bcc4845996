"""Taking turns: of the runs of a deployment that wait although their time has come, one does the work of all.

A step decides for the present moment, so whoever's turn it is does what the others would. After an outage they would
all start, one after the other, to find nothing left; and until then each would ask the server for its turn every few
seconds, which keeps a server on SQLite from everything else.
"""

from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from office import wording
from tasks.many_runs import delete_waiting, read_all
from tasks.speaking import say

WAITS = ("Scheduled", "Late", "AwaitingConcurrencySlot")


async def take_over() -> int:
    """Delete the runs that wait for the same as the current run, and say so; return how many.

    Only those that were due before now: what came about since may be missed by this run. A run that a person started
    is left to its turn; it bears no key.
    """
    ours = _current_run()
    if ours is None or ours.deployment_id is None:
        return 0
    due = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[ours.deployment_id]),
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=list(WAITS))),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
    async with get_client() as client:
        waiting = [run.id for run in await read_all(client, due) if run.idempotency_key and _asks_no_more(run, ours)]
        count = len(await delete_waiting(client, waiting))
    if count:
        say([wording.TOOK_OVER.format(count=count)])
    return count


def _current_run() -> FlowRun | None:
    context = FlowRunContext.get()
    return context.flow_run if context is not None else None


def _asks_no_more(other: FlowRun, ours: FlowRun) -> bool:
    """Whether all that another run was asked for is done by ours: the same, or the same without fetching mail."""
    asked: list[dict[str, Any]] = [ours.parameters, {**ours.parameters, "fetch": False}]
    return other.parameters in asked
