"""Putting on record that a step ended, and what its drain of the queue has dealt with."""

import asyncio
from dataclasses import asdict, replace
from datetime import UTC, datetime

from ledger.campaigns import find_campaign
from ledger.steps import record_drain
from office import agenda
from office.wakes import Mark, marks
from rules.timetable import StepKind
from tasks.desk import act_of, premises

ACTOR = "rule:record"


async def record_step(campaign: str, kind: StepKind, as_of: datetime) -> None:
    """Record that a step ended well, so that nobody makes up for it; earlier ones that never ran are superseded."""
    await asyncio.to_thread(_record, campaign, kind, as_of)


def _record(campaign: str, kind: StepKind, as_of: datetime) -> None:
    with premises().ledger.writing() as session:
        agenda.record_step(session, act_of(ACTOR, as_of), campaign, kind)


async def look_at_queue(campaign: str, as_of: datetime) -> Mark:
    """Return what a campaign has to send as a drain of its queue begins."""
    return await asyncio.to_thread(_look, campaign, as_of)


def _look(campaign: str, as_of: datetime) -> Mark:
    with premises().ledger.reading() as session:
        return marks(session, as_of, datetime.now(UTC)).get(campaign, Mark())


async def settle_queue(campaign: str, as_of: datetime, before: Mark) -> None:
    """Record what a drain has dealt with. What came about while it ran may have been missed by it, and stays news."""
    await asyncio.to_thread(_settle, campaign, as_of, before)


def _settle(campaign: str, as_of: datetime, before: Mark) -> None:
    left = _look(campaign, as_of)
    settled = asdict(replace(left, newest=min(left.newest, before.newest), live=before.live, stops=before.stops))
    del settled["held"]
    with premises().ledger.writing() as session:
        record_drain(session, act_of(ACTOR, as_of), find_campaign(session, campaign).id, **settled)
