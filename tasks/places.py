"""Where campaigns stand on the Prefect server: their deployments, and the slots that the dead still hold."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse

from tasks.desk import clock, now
from tasks.many_runs import PAGE, read_all
from tasks.tags import campaigns_of
from tasks.timetable_runs import Place

HOLDERS = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


async def deployments_with(client: PrefectClient, tags: Sequence[str] = ()) -> list[DeploymentResponse]:
    """Return the deployments that bear all of some tags, page by page."""
    which = DeploymentFilter(tags=DeploymentFilterTags(all_=list(tags))) if tags else None
    found: list[DeploymentResponse] = []
    while True:
        page = await client.read_deployments(deployment_filter=which, limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return found


def places_in(deployments: Sequence[DeploymentResponse]) -> list[Place]:
    """Return the campaigns that some deployments belong to, each with its own."""
    by_campaign: dict[str, list[DeploymentResponse]] = {}
    for one in deployments:
        for campaign in campaigns_of(one.tags):
            by_campaign.setdefault(campaign, []).append(one)
    return [place_in(campaign, by_campaign[campaign]) for campaign in sorted(by_campaign)]


def place_in(campaign: str, deployments: Sequence[DeploymentResponse]) -> Place:
    """Return where a campaign stands, from its deployments."""
    since = min(map(_deployed_at, deployments), default=now())
    return Place(campaign=campaign, deployments={kind_of(one): one.id for one in deployments}, since=since)


def version_now() -> str:
    """Return what a deployment made now bears as its version: the moment, by the campaigns' clock."""
    return now().isoformat(timespec="seconds")


def _deployed_at(deployment: DeploymentResponse) -> datetime:
    """Return when a deployment was made, by the campaigns' clock."""
    try:
        return datetime.fromisoformat(deployment.version or "")
    except ValueError:  # not made by us
        return clock().moment(deployment.created or datetime.now(UTC))


def kind_of(deployment: DeploymentResponse) -> str:
    """Return the name of the flow behind a deployment."""
    return (deployment.entrypoint or "").rpartition(".")[2]


async def free_slots(client: PrefectClient, deployments: Sequence[DeploymentResponse]) -> list[str]:
    """Give back the slots that nobody holds; return the names of the deployments that were shut by them.

    With its default lease storage Prefect forgets in whose hands a slot was when the server ends, and the slot is taken
    for ever: no run of the deployment would begin again.
    """
    shut = [one for one in deployments if _is_full(one)]
    if not shut:
        return []
    held = await _held(client, [one.id for one in shut])
    freed = []
    for one in shut:
        limit = one.global_concurrency_limit
        again = await client.read_deployment(one.id)  # between the two looks a run may have begun
        if limit is None or held.get(one.id, 0) or not _is_full(again) or (await _held(client, [one.id])):
            continue
        await client.update_global_concurrency_limit(str(limit.id), GlobalConcurrencyLimitUpdate(active_slots=0))
        freed.append(f"{kind_of(one)}/{one.name}")
    return freed


def _is_full(deployment: DeploymentResponse) -> bool:
    limit = deployment.global_concurrency_limit
    return limit is not None and 0 < limit.limit <= limit.active_slots


async def _held(client: PrefectClient, deployments: list[UUID]) -> dict[UUID, int]:
    """Return how many runs of each deployment are under way."""
    under_way = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=deployments),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=HOLDERS)),
    )
    held: dict[UUID, int] = {}
    for run in await read_all(client, under_way):
        if run.deployment_id is not None:
            held[run.deployment_id] = held.get(run.deployment_id, 0) + 1
    return held
