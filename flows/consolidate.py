"""Consolidate: one workbook and one page for the office, every figure traceable to a cell."""

from datetime import datetime

from prefect import flow

from flows.deliver import drain_outbox
from rules.timetable import StepKind
from tasks.collection import hear_units_first
from tasks.consolidation import write_reports
from tasks.desk import moment_of
from tasks.naming import run_name
from tasks.steps import record_step
from tasks.tally import Tally, publish_tally
from tasks.turns import take_over


@flow(name="consolidate", flow_run_name=run_name, persist_result=False)
async def consolidate(campaign: str, as_of: datetime | None = None) -> Tally:
    """Write workbook and summary and send them to the office; at the close, tell every unit where it stands."""
    await take_over()
    moment = moment_of(as_of)
    heard = await hear_units_first(campaign, moment) if as_of is None else None
    planned = await write_reports(campaign, moment)
    delivered = await drain_outbox(campaign, moment)
    await record_step(campaign, StepKind.CONSOLIDATE, moment)
    return await publish_tally(
        campaign, StepKind.CONSOLIDATE, moment, planned=planned, collected=heard, delivered=delivered
    )
