"""Tasks that send what waits in the outbox, some shards a task run: few, however many mails."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from itertools import count
from uuid import UUID

from prefect import task
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE

from ledger.campaigns import find_campaign
from ledger.outbox import HEAD, Place, count_waiting
from mail.relay import SmtpServer
from office import wording
from office.outbox import Delivered, repair
from settings import settings
from tasks.desk import act_of, premises
from tasks.own_loop import OwnLoop
from tasks.sending import Sender
from tasks.speaking import say

ACTOR = "rule:deliver"
WORTH_SHOWING = 100  # fewer are sent before anybody has opened the page
LARGEST_SHARD = 1000  # on SQLite others cannot write while a shard is claimed
BATCHES = 25  # task runs of a pass through the queue at most: the run page stays readable
_sender: ContextVar[tuple[OwnLoop, Sender]] = ContextVar("sender")


@asynccontextmanager
async def open_sender(as_of: datetime) -> AsyncIterator[None]:
    """Open the connections that the shards of one drain share; what they send is claimed in this sender's name."""
    run = act_of(ACTOR, as_of)
    async with OwnLoop() as loop:
        sender = Sender(premises(), relay(), run.again)
        await loop.run(sender.sign_on())
        token = _sender.set((loop, sender))
        try:
            yield
        finally:
            _sender.reset(token)
            await asyncio.shield(loop.run(sender.sign_off()))


@task(name="deliver a batch", task_run_name=wording.TASK["deliver"], cache_policy=NO_CACHE)
async def deliver_batch(
    campaign: str, limit: int, after: Place = HEAD, only_lanes: Sequence[str] = (), shards: int = 1
) -> Delivered:
    """Claim and send so many shards beyond a place in the queue, one after the other, and record what came of them.

    Safe to run twice: a message is claimed before it is sent, and one lost in between is listed, not sent again.
    """
    return await _send(campaign, limit, after, only_lanes, shards)


@task(name="deliver as lanes free up", task_run_name=wording.TASK["lanes"], cache_policy=NO_CACHE)
async def deliver_by_rate(campaign: str, limit: int, lanes: Sequence[str]) -> Delivered:
    """Go through the queue again for lanes whose rate was used up, as long as that sends something.

    One task run, however many times that is: at sixty a minute five thousand mails are a hundred times.
    """
    total = Delivered(full_lanes=frozenset(lanes))
    while total.full_lanes and not total.relay_is_down:
        again = await _send(campaign, limit, HEAD, sorted(total.full_lanes))
        total = total.without_full_lanes() + again
        say([wording.BY_RATE.format(count=total.handed_over)])  # a run that says nothing for long is taken for dead
        if not again.handed_over:
            break
    return total


async def _send(
    campaign: str, limit: int, after: Place, only_lanes: Sequence[str], shards: int | None = None
) -> Delivered:
    """Send so many shards, or all that there are; the result says how far the queue was looked at."""
    loop, sender = _sender.get()
    total, place = Delivered(), after
    for _ in count() if shards is None else range(shards):
        shard = await loop.run(sender.send_shard(campaign, limit=limit, after=place, only_lanes=only_lanes))
        total += shard
        if is_over(shard, only_lanes) or shard.reached is None:
            break
        place = shard.reached
    return total


def is_over(sent: Delivered, only_lanes: Sequence[str]) -> bool:
    """Whether a pass through the queue ends here: at its end, without a relay, or as its lanes are full."""
    return sent.reached is None or sent.relay_is_down or bool(only_lanes and sent.full_lanes >= set(only_lanes))


@task(name="write to the next contact", task_run_name=wording.TASK["repair"], cache_policy=NO_CACHE)
async def repair_contacts(campaign: str, as_of: datetime) -> int:
    """Plan the next generation of refused and bounced mails to contacts that still work; return how many."""
    return await asyncio.to_thread(_repair, campaign, as_of)


def _repair(campaign: str, as_of: datetime) -> int:
    house, act = premises(), act_of(ACTOR, as_of)
    with house.ledger.writing() as session:
        return repair(session, house, act, campaign)


class Progress:
    """How far a drain has come, for those who watch the run."""

    def __init__(self, waiting: int) -> None:
        """Begin with so many messages waiting."""
        self.waiting = waiting
        self._seen = 0
        self._artifact: UUID | None = None

    @property
    def shard_size(self) -> int:
        """How many messages are claimed at once; more when many wait."""
        return max(settings().shard_size, min(LARGEST_SHARD, self.waiting // BATCHES))

    @property
    def shards_at_once(self) -> int:
        """How many shards a task run sends, so that a pass is not too many task runs."""
        return max(1, math.ceil(self.waiting / self.shard_size / BATCHES))

    async def show(self, done: int) -> None:
        """Show that so many more messages were looked at."""
        self._seen += done
        if self.waiting < WORTH_SHOWING:
            return
        percent = min(100.0, 100.0 * self._seen / self.waiting)
        if self._artifact is None:
            self._artifact = await acreate_progress_artifact(progress=percent, description=wording.PROGRESS)
        else:
            await aupdate_progress_artifact(artifact_id=self._artifact, progress=percent)


async def measure_queue(campaign: str, as_of: datetime) -> Progress:
    """Return the progress of a drain that begins now."""
    return Progress(await asyncio.to_thread(_count, campaign, as_of))


def _count(campaign: str, as_of: datetime) -> int:
    with premises().ledger.reading() as session:
        return count_waiting(session, find_campaign(session, campaign).id, by=as_of)


def relay() -> SmtpServer:
    """Return the relay as settings name it: the development mailbox, where there is to be one."""
    config = settings()
    if config.dev_mailbox:
        return SmtpServer(
            host="127.0.0.1", port=config.dev_mailbox_smtp_port, tls="none", local_hostname=config.mail_domain
        )
    return SmtpServer(
        host=config.smtp_host,
        port=config.smtp_port,
        tls=config.smtp_tls,
        username=config.smtp_username,
        password=config.smtp_password.get_secret_value(),
        oauth_token=config.smtp_oauth_token.get_secret_value(),
        ca_file=config.smtp_ca_file,
        local_hostname=config.mail_domain,
        timeout_s=config.smtp_timeout_s,
        final_timeout_s=config.smtp_final_timeout_s,
    )
