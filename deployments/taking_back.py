"""Runs that were cut short with the house: those not begun are begun anew, those under way are said to be over.

For before the worker starts: whatever its pool holds as begun then has no process any more, and Prefect would show it
so for ever. A step that is said to have crashed is done again by the reconcile flow, which knows from the ledger what
it had done; a staff action is not repeated by itself.
"""

from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Crashed, Scheduled

CUT_SHORT = "运行途中服务被停止，没有做完；该做的步骤由对账自动补做。"
AT_ONCE = 200


async def take_back(pool: str) -> str:
    """Take back the runs of a pool that nobody runs; return in words how many, or nothing."""
    again = over = 0
    async with get_client() as client:
        while found := await client.read_flow_runs(flow_run_filter=_begun(), work_pool_filter=_of(pool), limit=AT_ONCE):
            for run in found:
                waits = run.state_type == StateType.PENDING
                await client.set_flow_run_state(run.id, _instead(run), force=True)
                again, over = again + waits, over + (not waits)
    return f"{again} runs begun anew, {over} cut short" if again or over else ""


def _instead(run: FlowRun) -> State[Any]:
    match run.state_type:
        case StateType.PENDING:
            return Scheduled(scheduled_time=run.expected_start_time)
        case StateType.CANCELLING:
            return Cancelled()
        case _:
            return Crashed(message=CUT_SHORT)


def _begun() -> FlowRunFilter:
    begun = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=begun)))


def _of(pool: str) -> WorkPoolFilter:
    return WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
