"""Runs left under way by the dead: found by their process, or by their silence, and marked as crashed.

A worker marks a run whose process died. Where worker and process die together nobody does: the run would stand as
running for ever, and hold its deployment's slot.
"""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import psutil
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import LogSort, TaskRunSort
from prefect.runtime import flow_run
from prefect.states import Crashed

from office import wording
from tasks.many_runs import read_all
from tasks.places import HOLDERS

GRACE = timedelta(minutes=2)  # the worker marks its dead by itself within seconds, and a process takes some to start
SILENCE = timedelta(minutes=30)  # of a run whose process we cannot know
RUN_ID = "PREFECT__FLOW_RUN_ID"  # in the environment of each process that runs a flow


async def bury_the_dead(client: PrefectClient) -> list[str]:
    """Mark as crashed the runs that nobody runs any more; return their names."""
    under_way = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=HOLDERS)))
    runs = [run for run in await read_all(client, under_way) if _is_ours(run) and _is_old(run, GRACE)]
    if not runs:
        return []
    alive = await asyncio.to_thread(running_here)
    buried = []
    for run in runs:
        if str(run.id) not in alive and await _is_dead(client, run):
            await client.set_flow_run_state(run.id, Crashed(message=wording.LEFT_BY_THE_DEAD), force=True)
            buried.append(run.name)
    return buried


async def _is_dead(client: PrefectClient, run: FlowRun) -> bool:
    """Whether a run that no process here has is dead: it had one here, or it never got one, or it is silent."""
    had_one = run.infrastructure_pid is not None or (run.deployment_id is not None and run.start_time is None)
    return datetime.now(UTC) - await _last_sign(client, run) > (GRACE if had_one else SILENCE)


def running_here() -> Collection[str]:
    """Return the runs that processes of this machine run, by what stands in their environment."""
    found = set()
    for process in psutil.process_iter():
        try:
            found.add(process.environ().get(RUN_ID, ""))
        except (psutil.Error, OSError):
            continue  # another user's, or gone
    return found


def _is_ours(run: FlowRun) -> bool:
    """Whether a run has a process to itself, and is not this one."""
    return run.parent_task_run_id is None and str(run.id) != flow_run.id


def _is_old(run: FlowRun, age: timedelta) -> bool:
    return run.state is not None and datetime.now(UTC) - run.state.timestamp > age


async def _last_sign(client: PrefectClient, run: FlowRun) -> datetime:
    """Return when a run was last heard of: by its state, its tasks or its log."""
    signs = [run.state.timestamp] if run.state is not None else []
    tasks = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[run.id]))
    for task in await client.read_task_runs(task_run_filter=tasks, sort=TaskRunSort.END_TIME_DESC, limit=1):
        signs += [moment for moment in (task.start_time, task.end_time) if moment is not None]
    logs = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
    signs += [log.timestamp for log in await client.read_logs(log_filter=logs, sort=LogSort.TIMESTAMP_DESC, limit=1)]
    return max(signs, default=datetime.min.replace(tzinfo=UTC))
