"""Draining the outbox: every flow ends with it, and `deliver` does only that."""

from datetime import datetime

from prefect import flow

from ledger.outbox import HEAD
from office.outbox import Delivered
from tasks.delivery import Progress, deliver_batch, deliver_by_rate, measure_queue, open_sender, repair_contacts
from tasks.desk import moment_of
from tasks.events import tell_events
from tasks.naming import run_name
from tasks.steps import look_at_queue, settle_queue
from tasks.tally import Tally, publish_tally
from tasks.turns import take_over


async def drain_outbox(campaign: str, moment: datetime) -> Delivered:
    """Send all that waits and may leave, batch by batch; where an address failed, go on to the next contact."""
    total = Delivered()
    progress = await measure_queue(campaign, moment)
    before = await look_at_queue(campaign, moment)
    async with open_sender(moment):
        while True:
            passed = await _through_the_queue(campaign, progress)
            total = total.then(passed)
            repaired = await repair_contacts(campaign, moment)
            if passed.relay_is_down or not (repaired or passed.needs_another_look):
                break
    if not total.relay_is_down:
        await settle_queue(campaign, moment, before)
    return total


async def _through_the_queue(campaign: str, progress: Progress) -> Delivered:
    """Go through the queue once; then again for lanes whose rate was used up, as long as that sends something."""
    total, place = Delivered(), HEAD
    while True:
        batch = await deliver_batch(campaign, progress.shard_size, place, shards=progress.shards_at_once)
        total += batch
        await progress.show(batch.handed_over)
        if batch.reached is None or batch.relay_is_down:
            break
        place = batch.reached
    if total.full_lanes and not total.relay_is_down:
        again = await deliver_by_rate(campaign, progress.shard_size, sorted(total.full_lanes))
        await progress.show(again.handed_over)
        total = total.without_full_lanes() + again
    return total


@flow(name="deliver", flow_run_name=run_name, persist_result=False)
async def deliver(campaign: str, as_of: datetime | None = None) -> Tally:
    """Send what waits: after the fence was opened, the window opened, or a run was cut short."""
    await take_over()
    moment = moment_of(as_of)
    delivered = await drain_outbox(campaign, moment)
    await tell_events()
    return await publish_tally(campaign, "deliver", moment, delivered=delivered)
