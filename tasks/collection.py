"""Tasks that fetch the mailbox and take in what came."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from ledger.acts import Act
from ledger.campaigns import find_campaign
from ledger.errors import UnknownCampaign, told
from office import wording
from office.digest import plan_digest
from office.horizon import extend_horizon
from office.intake import Collected, drain_intake, fetch_mail
from office.milestones import note_complete
from tasks.desk import act_of, premises
from tasks.speaking import say

PATIENCE_S = 60.0  # a backlog that takes longer to fetch is left to the collection
logger = logging.getLogger(__name__)


@task(name="fetch mail", task_run_name=wording.TASK["fetch"], cache_policy=NO_CACHE, retries=2, retry_delay_seconds=10)
async def fetch_mailbox(as_of: datetime) -> int:
    """Fetch the mailbox into intake rows, for whichever campaign; return how many mails were new."""
    return await asyncio.to_thread(lambda act: fetch_mail(premises(), act), act_of("rule:collect", as_of))


@task(name="take in mail", task_run_name=wording.TASK["take_in"], cache_policy=NO_CACHE)
async def take_in_mail(campaign: str, as_of: datetime) -> Collected:
    """Match, check, record and answer the campaign's waiting mails, and tell staff what waits for them.

    What came for a period that has just begun is among them.
    """
    return await asyncio.to_thread(_take_in, campaign, act_of("rule:collect", as_of))


@task(name="hear units first", task_run_name=wording.TASK["hear"], cache_policy=NO_CACHE)
async def hear_units_first(campaign: str, as_of: datetime) -> Collected:
    """Take in what units have sent before anything is decided about them; return what that came to.

    After an outage their mails lie there, and the collection starts no sooner than the rest. Whatever is wrong with
    them stops nobody: they are heard by the next collection, which fails aloud if it cannot.
    """
    return await asyncio.to_thread(_hear, campaign, act_of("rule:collect", as_of))


def _hear(campaign: str, act: Act) -> Collected:
    by = time.monotonic() + PATIENCE_S
    with _stopping_nobody(campaign):
        fetch_mail(premises(), act, lambda: time.monotonic() > by)
    with _stopping_nobody(campaign):
        return _drain(campaign, act)
    return Collected()


@contextmanager
def _stopping_nobody(campaign: str) -> Iterator[None]:
    try:
        yield
    except UnknownCampaign:
        pass  # nobody can have sent anything; the step itself says so
    except Exception as error:
        logger.exception("%s: what units sent could not be taken in first", campaign)
        say([wording.NOT_HEARD.format(why=told(error))])


def _take_in(campaign: str, act: Act) -> Collected:
    house = premises()
    collected = _drain(campaign, act)
    with house.ledger.writing() as session:
        plan_digest(session, house, act, campaign)  # what waits for staff now, if they have not heard of it today
        note_complete(session, act, find_campaign(session, campaign))
    return collected


def _drain(campaign: str, act: Act) -> Collected:
    """Take in the mails that wait, once the obligations of a period that has just begun are there to be met."""
    house = premises()
    with house.ledger.writing() as session:
        extend_horizon(session, act, campaign)
    return drain_intake(house, act, campaign)
