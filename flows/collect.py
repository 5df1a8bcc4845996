"""Collect: what came by mail is matched, checked, recorded and answered."""

from datetime import datetime

from prefect import flow

from flows.deliver import drain_outbox
from mail.mailbox import MailboxAway
from rules.timetable import StepKind
from tasks.collection import fetch_mailbox, take_in_mail
from tasks.desk import moment_of
from tasks.events import tell_events
from tasks.naming import run_name
from tasks.steps import record_step
from tasks.tally import Tally, publish_tally
from tasks.turns import take_over


@flow(name="collect", flow_run_name=run_name, persist_result=False)
async def collect(campaign: str, as_of: datetime | None = None, *, fetch: bool = True) -> Tally:
    """Fetch the mailbox for all campaigns, then take in and answer this campaign's mails.

    A mailbox that is away fails the run, at its end: what was fetched before is taken in all the same. Where a poller
    fetches (`muster serve`), the run does not.
    """
    await take_over()
    moment = moment_of(as_of)
    away: MailboxAway | None = None
    if fetch:
        try:
            await fetch_mailbox(moment)
        except MailboxAway as error:
            away = error
    collected = await take_in_mail(campaign, moment)
    delivered = await drain_outbox(campaign, moment)
    await tell_events()
    if away is None:
        await record_step(campaign, StepKind.COLLECT, moment)
    tally = await publish_tally(campaign, StepKind.COLLECT, moment, collected=collected, delivered=delivered)
    if away is not None:
        raise away
    return tally
