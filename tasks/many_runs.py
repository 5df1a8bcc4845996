"""Many flow runs with one request: Prefect's client has no word yet for what its API offers (3.9.1)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentFlowRunCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Scheduled, to_state_create
from prefect.utilities.collections import batched_iterable

# The client's type of a path does not list these two.
MAKE: Any = "/deployments/{id}/create_flow_run/bulk"
DELETE: Any = "/flow_runs/bulk_delete"
PAGE = 200
MADE_AT_ONCE = 100  # the API's own limits
DELETED_AT_ONCE = 50
TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A run to come, as it is asked for."""

    key: str
    name: str
    at: datetime
    tags: tuple[str, ...]


async def plan_runs(client: PrefectClient, deployment: UUID, planned: Sequence[Planned]) -> list[FlowRun]:
    """Plan runs of a deployment; return them in their order. Of a key that is used up, the run that used it returns.

    A server on SQLite whose database another wrote to meanwhile may make none of them: they are asked for again, and
    at last one by one, where the client itself repeats what was refused.
    """
    made: dict[str, FlowRun] = {}
    for _ in range(TRIES):
        if missing := [one for one in planned if one.key not in made]:
            made |= await _plan_at_once(client, deployment, missing)
    for one in planned:
        if one.key not in made:
            made[one.key] = await client.create_flow_run_from_deployment(
                deployment,
                state=Scheduled(scheduled_time=one.at),
                name=one.name,
                tags=one.tags,
                idempotency_key=one.key,
            )
    return [made[one.key] for one in planned]


async def _plan_at_once(client: PrefectClient, deployment: UUID, planned: Sequence[Planned]) -> dict[str, FlowRun]:
    """Ask for runs with one request a hundred; return by their keys those that are there now."""
    made: dict[UUID, str] = {}
    for some in batched_iterable(planned, MADE_AT_ONCE):
        asked = [_asked(one).model_dump(mode="json", exclude_unset=True) for one in some]
        answer = await client.request("POST", MAKE, path_params={"id": deployment}, json=asked)
        results = zip(some, answer.json()["results"], strict=True)
        made |= {UUID(result["flow_run_id"]): one.key for one, result in results if result["flow_run_id"]}
    found = [run for some in batched_iterable(made, PAGE) for run in await read_all(client, with_ids(some))]
    return {made[run.id]: run for run in found}


async def delete_waiting(client: PrefectClient, runs: Iterable[UUID]) -> set[UUID]:
    """Delete those of some runs that still wait; return which those were."""
    deleted: set[UUID] = set()
    for some in batched_iterable(runs, DELETED_AT_ONCE):
        which = with_ids(some).model_copy(
            update={"state": FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))}
        )
        answer = await client.request("POST", DELETE, json={"flow_runs": which.model_dump(mode="json")})
        deleted |= {UUID(id_) for id_ in answer.json()["deleted"]}
    return deleted


async def read_all(client: PrefectClient, which: FlowRunFilter) -> Sequence[FlowRun]:
    """Return all runs that a filter lets through, page by page."""
    found: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(
            flow_run_filter=which, sort=FlowRunSort.ID_DESC, limit=PAGE, offset=len(found)
        )
        found += page
        if len(page) < PAGE:
            return found


def with_ids(ids: Iterable[UUID]) -> FlowRunFilter:
    """Return the filter for runs by their ids."""
    return FlowRunFilter(id=FlowRunFilterId(any_=list(ids)))


def _asked(one: Planned) -> DeploymentFlowRunCreate:
    return DeploymentFlowRunCreate(
        state=to_state_create(Scheduled(scheduled_time=one.at)),
        name=one.name,
        tags=list(one.tags),
        idempotency_key=one.key,
    )
