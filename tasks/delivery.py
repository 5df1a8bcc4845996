"""Tasks that send what waits in the outbox, a shard a task run."""

import asyncio
from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from mail.smtp import Outcome, SmtpPool, SmtpServer
from office.outbox import Delivered, Shard, claim_shard, record_outcomes, repair, settle_abandoned
from settings import settings
from tasks.desk import act_of, premises


@task(name="deliver a shard", cache_policy=NO_CACHE)
async def deliver_shard(campaign: str, as_of: datetime, passed_over: int) -> Delivered:
    """Claim a shard, send it over reused connections, record what came of it.

    ``passed_over`` messages at the head of the queue were looked at in this drain and have to wait.
    Safe to run twice: a message is claimed before it is sent, and one lost in between is listed, not sent again.
    """
    shard = await asyncio.to_thread(_claim, campaign, as_of, passed_over)
    outcomes: list[tuple[int, Outcome]] = []
    if shard.envelopes:
        connections = settings().smtp_connections
        async with SmtpPool(relay(), connections=min(connections, len(shard.envelopes))) as pool:
            outcomes = [pair async for pair in pool.send_all(shard.envelopes)]
    return await asyncio.to_thread(_record, as_of, shard, outcomes)


@task(name="write to the next contact", cache_policy=NO_CACHE)
async def repair_contacts(campaign: str, as_of: datetime) -> int:
    """Plan the next generation of refused and bounced mails to contacts that still work; return how many."""
    return await asyncio.to_thread(_repair, campaign, as_of)


def _claim(campaign: str, as_of: datetime, passed_over: int) -> Shard:
    house, act = premises(), act_of("rule:deliver", as_of)
    with house.ledger.writing() as session:
        settle_abandoned(session, act, campaign)
        return claim_shard(session, house, act, campaign, passed_over=passed_over, limit=settings().shard_size)


def _record(as_of: datetime, shard: Shard, outcomes: list[tuple[int, Outcome]]) -> Delivered:
    house, act = premises(), act_of("rule:deliver", as_of)
    with house.ledger.writing() as session:
        return record_outcomes(session, act, shard, outcomes)


def _repair(campaign: str, as_of: datetime) -> int:
    house, act = premises(), act_of("rule:deliver", as_of)
    with house.ledger.writing() as session:
        return repair(session, house, act, campaign)


def relay() -> SmtpServer:
    """Return the relay as settings name it."""
    config = settings()
    return SmtpServer(
        host=config.smtp_host,
        port=config.smtp_port,
        tls=config.smtp_tls,
        username=config.smtp_username,
        password=config.smtp_password.get_secret_value(),
        local_hostname=config.mail_domain,
        timeout_s=config.smtp_timeout_s,
        final_timeout_s=config.smtp_final_timeout_s,
    )
