"""Catching up: what is due and was not done, and what waits for a run that nobody started, gets a run now.

The key of such a run names what it is for and the quarter of an hour: however often it is asked for, there is one, and
a step that fails is tried four times an hour and not at every look.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType

from office import wording
from office.agenda import Agenda
from office.wakes import intake_marks, marks, may_leave
from tasks.desk import now, premises
from tasks.many_runs import read_all
from tasks.places import HOLDERS
from tasks.tags import campaigns_of
from tasks.timetable_runs import Place, is_left_out, start_run

AGAIN = timedelta(minutes=15)
SOON = timedelta(minutes=1)
Busy = Collection[tuple[str, str]]  # campaign and kind


async def kinds_under_way(client: PrefectClient) -> Busy:
    """Return which kinds of run each campaign has under way, or about to begin."""
    begun = FlowRunFilter(state=_states(HOLDERS))
    soon = FlowRunFilter(
        state=_states([StateType.SCHEDULED]),
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=datetime.now(UTC) + SOON),
    )
    runs = [*await read_all(client, begun), *await read_all(client, soon)]
    return {(campaign, kind) for run in runs for campaign in campaigns_of(run.tags) for kind in run.tags}


async def make_up(client: PrefectClient, place: Place, agenda: Agenda, busy: Busy) -> list[str]:
    """Start a run for each overdue step that has none under way, and that nobody left out; return their titles."""
    started = []
    for entry in agenda.overdue:
        if (place.campaign, entry.kind) in busy or entry.kind not in place.deployments:
            continue
        if await is_left_out(client, place.campaign, entry):
            continue
        key, name = f"{place.campaign}/{entry.key}/again-{_quarter()}", wording.MADE_UP.format(title=entry.title)
        if await start_run(client, place.deployments[entry.kind], key=key, name=name):
            started.append(entry.title)
    return started


async def wake(client: PrefectClient, place: Place, waiting: Mapping[str, str], busy: Busy) -> list[str]:
    """Start a run for mail that waits to be sent, or to be taken in, and has none under way; return their names."""
    started = []
    for kind, mark in waiting.items():
        if (place.campaign, kind) in busy or kind not in place.deployments:
            continue
        key, name = f"{place.campaign}/{kind}:{mark}/woken-{_quarter()}", wording.WOKEN[kind]
        if await start_run(client, place.deployments[kind], key=key, name=name):
            started.append(f"{name}（{place.campaign}）")
    return started


async def what_waits(campaigns: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Return by campaign which kinds of run its waiting mail needs, each with a mark that changes with what waits."""
    return await asyncio.to_thread(_waiting, campaigns)


def _waiting(campaigns: Sequence[str]) -> dict[str, dict[str, str]]:
    house, as_of = premises(), now()
    found: dict[str, dict[str, str]] = {campaign: {} for campaign in campaigns}
    with house.ledger.reading() as session:
        for campaign, mark in intake_marks(session).items():
            if campaign in found:
                found[campaign]["collect"] = f"{mark.newest}.{mark.due}"
        for campaign, mark in marks(session, as_of, datetime.now(UTC)).items():
            if campaign in found and may_leave(session, house, campaign, mark, as_of):
                found[campaign]["deliver"] = f"{mark.newest}.{mark.due}.{mark.stops}.{mark.closed}"
    return found


def _states(types: Sequence[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))


def _quarter() -> int:
    """Return the number of the quarter of an hour that it is."""
    return int(datetime.now(UTC).timestamp() // AGAIN.total_seconds())
