"""Draining the outbox: every flow ends with it, and `deliver` does only that."""

from datetime import datetime

from prefect import flow

from office.outbox import Delivered
from tasks.delivery import deliver_shard, repair_contacts
from tasks.desk import moment_of
from tasks.naming import run_name
from tasks.tally import Tally, publish_tally


async def drain_outbox(campaign: str, moment: datetime) -> Delivered:
    """Send all that waits and may leave, shard by shard; where an address failed, go on to the next contact."""
    total = Delivered()
    while True:
        passed_over = 0
        while (shard := await deliver_shard(campaign, moment, passed_over)).looked_at:
            total += shard
            passed_over += len(shard.unsent)
        if not await repair_contacts(campaign, moment):
            return total


@flow(name="deliver", flow_run_name=run_name, persist_result=False)
async def deliver(campaign: str, as_of: datetime | None = None) -> Tally:
    """Send what waits: after the fence was opened, the window opened, or a run was cut short."""
    moment = moment_of(as_of)
    delivered = await drain_outbox(campaign, moment)
    return await publish_tally(campaign, "deliver", moment, delivered=delivered)
