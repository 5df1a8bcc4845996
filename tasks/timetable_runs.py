"""The timetable as explicit one-off flow runs, synced from the ledger by difference.

A run is named by an idempotency key, campaign/step/revision, which is unique for its flow for ever, and what Prefect
answers to a repeat depends on what became of the first (read in its source, 3.9.1): a run that was deleted frees its
key, one that was cancelled or has ended keeps it, and is returned instead of a new one. So a superseded run is
deleted, never cancelled. A run that a person cancelled stays cancelled: its step is left out. One that ended before
its step's time, as somebody started it by hand, does not stand for the step: that gets the next revision.

No ``as_of`` is among the parameters: a run that starts late decides for the present moment. What it was meant for
stands in its name and key.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Scheduled

from office import wording
from office.agenda import Agenda, Entry, agenda_of
from tasks.changes import Changes, Kind, new, removed
from tasks.desk import clock, now, premises
from tasks.many_runs import Planned, delete_waiting, plan_runs, read_all
from tasks.tags import campaign_tag

TIMETABLE = "timetable"  # the tag of the runs that this module owns
REVISIONS = 50
TOLERANCE = timedelta(seconds=1)
WAITING = frozenset({StateType.SCHEDULED})
UNDER_WAY = frozenset({StateType.PENDING, StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a campaign stands on the server: the deployment of each kind of step, and since when it is there."""

    campaign: str
    deployments: Mapping[str, UUID]
    since: datetime  # by the campaign's clock


async def read_agenda(place: Place) -> Agenda:
    """Return a deployed campaign's agenda at this moment."""
    return await asyncio.to_thread(_agenda, place)


def _agenda(place: Place) -> Agenda:
    house = premises()
    with house.ledger.reading() as session:
        return agenda_of(session, house, place.campaign, now(), since=place.since)


async def sync_timetable(client: PrefectClient, place: Place, agenda: Agenda) -> Changes:
    """Delete the runs that are superseded and make those that are missing; what is as it should be is not touched."""
    runs = await _runs_of(client, place.campaign)
    kept, changes = await _without_superseded(client, runs, agenda)
    by_step: dict[str, list[FlowRun]] = {}
    for run in kept:
        by_step.setdefault(_step_of(run), []).append(run)
    wanted = [entry for entry in agenda.coming(now()) if entry.kind in place.deployments]
    missing = [entry for entry in wanted if not any(map(_stands_for, by_step.get(entry.key, [])))]
    revisions = {e.key: 1 + max(map(_revision_of, by_step.get(e.key, [])), default=0) for e in missing}
    for kind in dict.fromkeys(entry.kind for entry in missing):
        await _make(client, place, [entry for entry in missing if entry.kind == kind], revisions)
    changes += Changes(unchanged=len(wanted) - len(missing))
    return sum((new(told(entry), kind=_kind(entry.key)) for entry in missing), changes)


async def remove_timetable(client: PrefectClient, campaign: str) -> Changes:
    """Delete every run of a campaign's timetable that has not begun."""
    waiting = [run for run in await _runs_of(client, campaign) if run.state_type in WAITING]
    deleted = await delete_waiting(client, [run.id for run in waiting])
    gone = (removed(f"run {run.name}", kind=_kind(_step_of(run))) for run in waiting if run.id in deleted)
    return sum(gone, Changes())


async def is_left_out(client: PrefectClient, campaign: str, entry: Entry) -> bool:
    """Whether a person cancelled the run that was planned for a step."""
    keys = FlowRunFilterIdempotencyKey(any_=[f"{campaign}/{entry.key}/{n}" for n in range(1, REVISIONS + 1)])
    cancelled = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLED]))
    found = await client.read_flow_runs(flow_run_filter=FlowRunFilter(idempotency_key=keys, state=cancelled), limit=1)
    return bool(found)


async def start_run(client: PrefectClient, deployment: UUID, *, key: str, name: str) -> bool:
    """Ask for a run now; return whether it is a new one, and not what an earlier request of the same key made."""
    asked = datetime.now(UTC) - TOLERANCE
    run = await client.create_flow_run_from_deployment(deployment, state=Scheduled(), name=name, idempotency_key=key)
    return run.created is None or run.created >= asked


def told(entry: Entry) -> str:
    """Return a planned run as a line of the plan names it: when it is due by the campaign's clock, and what it does."""
    return f"run {entry.key.partition(':')[2].replace('T', ' ')} {entry.title}"


async def _without_superseded(
    client: PrefectClient, runs: Sequence[FlowRun], agenda: Agenda
) -> tuple[list[FlowRun], Changes]:
    """Delete the waiting runs that stand for nothing; return the others."""
    entries = {entry.key: entry for entry in agenda.entries}
    why = {run.id: _superseded(run, entries.get(_step_of(run))) for run in runs if run.state_type in WAITING}
    deleted = await delete_waiting(client, [id_ for id_, reason in why.items() if reason])
    gone = (removed(f"run {run.name}", why[run.id], _kind(_step_of(run))) for run in runs if run.id in deleted)
    return [run for run in runs if run.id not in deleted], sum(gone, Changes())


def _superseded(run: FlowRun, entry: Entry | None) -> str:
    """Return why a waiting run is superseded: its step is gone, or at another time, or called otherwise; else ""."""
    if entry is None:
        return "no longer in the timetable"
    planned, wanted = run.expected_start_time, clock().wall(entry.starts)
    has_come = entry.starts <= now()
    if has_come and (planned is None or planned <= datetime.now(UTC)):
        return ""  # it is late, and will run
    if planned is None or abs(planned - wanted) > TOLERANCE:
        return "planned for another time"
    return "" if has_come or run.name == entry.title else f"now: {entry.title}"


def _stands_for(run: FlowRun) -> bool:
    """Whether a run stands for a step that is to come: it waits, is under way, or a person has cancelled it."""
    return run.state_type in WAITING | UNDER_WAY or run.state_type is StateType.CANCELLED


def _kind(step: str) -> Kind:
    """Return what a run for a step is one of: many are told together, with the first and the last day."""
    kind, _, moment = step.partition(":")
    try:
        day = date.fromisoformat(moment[:10])
    except ValueError:
        day = None
    return Kind(many=f"runs {wording.STEP.get(kind, kind)}", one=moment, day=day)


async def _make(client: PrefectClient, place: Place, entries: Sequence[Entry], revisions: Mapping[str, int]) -> None:
    """Plan runs of one kind; a revision that is used up, by a ledger before this one, is passed over."""
    for further in range(REVISIONS):
        asked = [_planned(place, entry, revisions[entry.key] + further) for entry in entries]
        runs = await plan_runs(client, place.deployments[entries[0].kind], asked)
        entries = [entry for entry, run in zip(entries, runs, strict=True) if run.state_type not in WAITING]
        if not entries:
            return
    raise LookupError(f"{entries[0].key} was planned {REVISIONS} times, and no run of it waits")


def _planned(place: Place, entry: Entry, revision: int) -> Planned:
    return Planned(
        key=f"{place.campaign}/{entry.key}/{revision}",
        name=entry.title,
        at=clock().wall(entry.starts),
        tags=(TIMETABLE,),
    )


def _step_of(run: FlowRun) -> str:
    """Return the key of the step for which a run was made."""
    return (run.idempotency_key or "//").split("/")[1]


def _revision_of(run: FlowRun) -> int:
    """Return how often a run was planned anew for its step."""
    return int((run.idempotency_key or "0").rpartition("/")[2])


async def _runs_of(client: PrefectClient, campaign: str) -> list[FlowRun]:
    """Return the runs of a timetable that wait, and those that have ended or run though their time is to come."""
    ours = FlowRunFilterTags(all_=[campaign_tag(campaign), TIMETABLE])
    waiting = FlowRunFilter(
        tags=ours, state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    )
    ahead = FlowRunFilter(tags=ours, expected_start_time=FlowRunFilterExpectedStartTime(after_=datetime.now(UTC)))
    found = {run.id: run for which in (waiting, ahead) for run in await read_all(client, which)}
    return sorted(found.values(), key=lambda run: run.expected_start_time or datetime.now(UTC))
