"""Taking turns: of the runs of a deployment that wait although their time has come, one does the work of all.

A step decides for the present moment, so whoever's turn it is does what the others would. After an outage they would
all start, one after the other, to find nothing left; and until then each would ask the server for its turn every few
seconds, which keeps a server on SQLite from everything else.
"""

import logging
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from office import wording
from tasks.many_runs import delete_waiting, read_all
from tasks.speaking import say

WAITS = ("AwaitingConcurrencySlot",)  # whose time has come, and whom the worker has asked for: one turn away
LESS = {"fetch": False}  # a parameter of collect with which a run does less: what it would do is done without it too

logger = logging.getLogger(__name__)


async def take_over() -> int:
    """Delete the runs that wait for the same as the current run, and say so; return how many.

    A run that a person started is left to its turn: it bears no key. So is one that was tried before, which a person
    may have asked to be tried again. Where that cannot be done, they all have their turn, and find nothing to do.
    """
    ours = _current_run()
    if ours is None or ours.deployment_id is None:
        return 0
    try:
        count = await _take_over(ours, ours.deployment_id)
    except Exception:
        logger.exception("the runs that wait for their turn could not be taken over; they will have it")
        return 0
    if count:
        say([wording.TOOK_OVER.format(count=count)])
    return count


async def _take_over(ours: FlowRun, deployment: UUID) -> int:
    which = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=list(WAITS))),
        start_time=FlowRunFilterStartTime(is_null_=True),
    )
    async with get_client() as client:
        waiting = [run.id for run in await read_all(client, which) if run.idempotency_key and _asks_no_more(run, ours)]
        return len(await delete_waiting(client, waiting))


def _current_run() -> FlowRun | None:
    context = FlowRunContext.get()
    return context.flow_run if context is not None else None


def _asks_no_more(other: FlowRun, ours: FlowRun) -> bool:
    """Whether all that another run was asked for is done by ours."""
    asked: list[dict[str, Any]] = [ours.parameters, {**ours.parameters, **LESS}]
    return other.parameters in asked
