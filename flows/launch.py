"""Launch: every unit learns what it owes, by when, and on which forms."""

from datetime import datetime

from prefect import flow

from flows.deliver import drain_outbox
from rules.timetable import StepKind
from tasks.desk import moment_of
from tasks.naming import run_name
from tasks.planning import freeze_campaign, plan_notices
from tasks.steps import record_step
from tasks.tally import Tally, publish_tally
from tasks.turns import take_over


@flow(name="launch", flow_run_name=run_name, persist_result=False)
async def launch(campaign: str, as_of: datetime | None = None) -> Tally:
    """Freeze the obligations and send the notice; run again, write only to units that have joined since."""
    await take_over()
    moment = moment_of(as_of)
    await freeze_campaign(campaign, moment)
    planned = await plan_notices(campaign, StepKind.LAUNCH, moment)
    delivered = await drain_outbox(campaign, moment)
    await record_step(campaign, StepKind.LAUNCH, moment)
    return await publish_tally(campaign, StepKind.LAUNCH, moment, planned=planned, delivered=delivered)
