"""Collect: what came by mail is matched, checked, recorded and answered."""

from datetime import datetime

from prefect import flow

from flows.deliver import drain_outbox
from rules.timetable import StepKind
from tasks.collection import fetch_mailbox, take_in_mail
from tasks.desk import moment_of
from tasks.naming import run_name
from tasks.tally import Tally, publish_tally


@flow(name="collect", flow_run_name=run_name, persist_result=False)
async def collect(campaign: str, as_of: datetime | None = None) -> Tally:
    """Fetch the mailbox for all campaigns, then take in and answer this campaign's mails."""
    moment = moment_of(as_of)
    await fetch_mailbox(moment)
    collected = await take_in_mail(campaign, moment)
    delivered = await drain_outbox(campaign, moment)
    return await publish_tally(campaign, StepKind.COLLECT, moment, collected=collected, delivered=delivered)
