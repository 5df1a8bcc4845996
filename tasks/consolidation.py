"""The task that writes workbook and summary."""

import asyncio
from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from office import wording
from office.consolidation import consolidate_campaign
from office.planning import Planned
from tasks.desk import act_of, premises


@task(name="write reports", task_run_name=wording.TASK["consolidate"], cache_policy=NO_CACHE)
async def write_reports(campaign: str, as_of: datetime) -> Planned:
    """Write the reports of the moment and plan the mails that carry them."""
    return await asyncio.to_thread(_write, campaign, as_of)


def _write(campaign: str, as_of: datetime) -> Planned:
    house, act = premises(), act_of("rule:consolidate", as_of)
    with house.ledger.writing() as session:
        return consolidate_campaign(session, house, act, campaign)
