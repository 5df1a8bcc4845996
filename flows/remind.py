"""Remind: units that still owe hear of it before, on and after the day; units that reported do not."""

from datetime import datetime

from prefect import flow

from flows.deliver import drain_outbox
from rules.timetable import StepKind
from tasks.collection import hear_units_first
from tasks.desk import moment_of
from tasks.naming import run_name
from tasks.planning import plan_notices
from tasks.steps import record_step
from tasks.tally import Tally, publish_tally
from tasks.turns import take_over


@flow(name="remind", flow_run_name=run_name, persist_result=False)
async def remind(campaign: str, as_of: datetime | None = None) -> Tally:
    """Send the reminders that should have been sent by now and were not; a later one supersedes an earlier."""
    await take_over()
    moment = moment_of(as_of)
    heard = await hear_units_first(campaign, moment) if as_of is None else None
    planned = await plan_notices(campaign, StepKind.REMIND, moment)
    delivered = await drain_outbox(campaign, moment)
    await record_step(campaign, StepKind.REMIND, moment)
    return await publish_tally(campaign, StepKind.REMIND, moment, planned=planned, collected=heard, delivered=delivered)
