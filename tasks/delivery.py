"""Tasks that send what waits in the outbox, a shard a task run."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from uuid import UUID

from prefect import task
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE

from ledger.campaigns import find_campaign
from ledger.outbox import Place, count_waiting
from mail.relay import SmtpServer
from office import wording
from office.outbox import Delivered, repair
from settings import settings
from tasks.desk import act_of, premises
from tasks.own_loop import OwnLoop
from tasks.sending import Sender

ACTOR = "rule:deliver"
WORTH_SHOWING = 100  # fewer are sent before anybody has opened the page
LARGEST_SHARD = 1000  # on SQLite others cannot write while a shard is claimed
SHARDS = 40  # task runs of a drain at most, roughly: the run page stays readable
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


@task(name="deliver a shard", task_run_name=wording.TASK["deliver"], cache_policy=NO_CACHE)
async def deliver_shard(campaign: str, limit: int, after: Place, only_lanes: Sequence[str] = ()) -> Delivered:
    """Claim a shard beyond a place in the queue, send it over the open connections, record what came of it.

    Safe to run twice: a message is claimed before it is sent, and one lost in between is listed, not sent again.
    """
    loop, sender = _sender.get()
    return await loop.run(sender.send_shard(campaign, limit=limit, after=after, only_lanes=only_lanes))


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
        """How many messages a shard takes, so that the drain is not too many task runs."""
        return max(settings().shard_size, min(LARGEST_SHARD, self.waiting // SHARDS))

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
    house, act = premises(), act_of(ACTOR, as_of)
    with house.ledger.reading() as session:
        return count_waiting(session, find_campaign(session, campaign).id, act)


def relay() -> SmtpServer:
    """Return the relay as settings name it."""
    config = settings()
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
