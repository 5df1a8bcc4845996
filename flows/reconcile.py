"""Reconcile: what is due and was not done is done, what is missing is made again, what died is buried.

The timetable, events and people start runs; each of the three may fail to. This flow asks the ledger what should have
been, whatever was lost, and makes up for it. It is safe to run at any time, twice, or not for days.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client

from tasks.catching_up import Busy, kinds_under_way, make_up, wake, what_waits
from tasks.changes import Sign
from tasks.dead_runs import bury_the_dead
from tasks.desk import moment_of
from tasks.findings import publish_findings
from tasks.places import deployments_with, free_slots, places_in
from tasks.timetable_runs import Place, read_agenda, sync_timetable
from tasks.views import publish_views

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """What was found and done, by kind; empty where all was as it should be."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, what: list[str]) -> None:
        """Add what was found of one kind."""
        if what:
            self.found.setdefault(kind, []).extend(what)


@flow(name="reconcile", flow_run_name="对账", persist_result=False)
async def reconcile() -> dict[str, list[str]]:
    """Look at every deployed campaign; return what was found and done, by kind."""
    done, moment = Reconciled(), moment_of(None)
    async with get_client() as client:
        done.note("crashed", await bury_the_dead(client))
        deployments = await deployments_with(client)
        done.note("freed", await free_slots(client, deployments))
        places = places_in(deployments)
        busy = await kinds_under_way(client)
        waiting = await what_waits([place.campaign for place in places])
        for place in places:
            try:
                if await _reconcile_one(client, place, waiting[place.campaign], busy, done):
                    await publish_views(place.campaign, moment)
            except Exception as error:  # one campaign's trouble is not the others'
                logger.exception("%s could not be reconciled; it is tried again the next time", place.campaign)
                done.note("trouble", [f"{place.campaign}：{type(error).__name__}: {error}"])
    await publish_findings(done.found)
    return done.found


async def _reconcile_one(
    client: PrefectClient, place: Place, waiting: Mapping[str, str], busy: Busy, done: Reconciled
) -> bool:
    """Sync a campaign's timetable, make up for what is overdue, and let nothing wait that may go.

    Return whether the campaign has any step: of one that is closed the pages change by its runs alone.
    """
    agenda = await read_agenda(place)
    changes = await sync_timetable(client, place, agenda)
    done.note("removed", [change.what for change in changes.of(Sign.REMOVED)])
    done.note("made", [change.what for change in changes.of(Sign.NEW)])
    done.note("overdue", await make_up(client, place, agenda, busy))
    done.note("woken", await wake(client, place, waiting, busy))
    return bool(agenda.entries)
