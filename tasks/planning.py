"""Tasks that freeze a campaign and plan what is due to be said."""

import asyncio
from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from ledger.campaigns import find_campaign
from ledger.errors import UnknownCampaign
from office import wording
from office.digest import plan_digest
from office.launching import launch_campaign, load
from office.planning import Planned, plan_step
from rules.timetable import StepKind
from tasks.desk import act_of, premises


@task(name="freeze campaign", task_run_name=wording.TASK["freeze"], cache_policy=NO_CACHE)
async def freeze_campaign(campaign: str, as_of: datetime) -> bool:
    """Freeze definition, parties and obligations, unless that was done; return whether it was done now."""
    return await asyncio.to_thread(_freeze, campaign, as_of)


def _freeze(campaign: str, as_of: datetime) -> bool:
    house, act = premises(), act_of("rule:launch", as_of)
    with house.ledger.writing() as session:
        try:
            find_campaign(session, campaign)
        except UnknownCampaign:
            launch_campaign(session, house, act, load(house, campaign))
            return True
        return False


@task(name="plan notices", task_run_name=wording.TASK["plan"], cache_policy=NO_CACHE)
async def plan_notices(campaign: str, kind: StepKind, as_of: datetime) -> Planned:
    """Plan the notices of a step that are due and unsaid."""
    return await asyncio.to_thread(_plan, campaign, kind, as_of)


def _plan(campaign: str, kind: StepKind, as_of: datetime) -> Planned:
    house, act = premises(), act_of(f"rule:{kind}", as_of)
    with house.ledger.writing() as session:
        if kind is StepKind.REMIND:
            plan_digest(session, house, act, campaign)  # what waits for staff, if they have not heard of it today
        return plan_step(session, house, act, campaign, kind)
