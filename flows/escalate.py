"""Escalate: silence goes up the ladder — responsible person, superior, the office's lead."""

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


@flow(name="escalate", flow_run_name=run_name, persist_result=False)
async def escalate(campaign: str, as_of: datetime | None = None) -> Tally:
    """Send each overdue obligation's next rung, once the rung before has had a working day to take effect."""
    await take_over()
    moment = moment_of(as_of)
    heard = await hear_units_first(campaign, moment) if as_of is None else None
    planned = await plan_notices(campaign, StepKind.ESCALATE, moment)
    delivered = await drain_outbox(campaign, moment)
    await record_step(campaign, StepKind.ESCALATE, moment)
    return await publish_tally(
        campaign, StepKind.ESCALATE, moment, planned=planned, collected=heard, delivered=delivered
    )
