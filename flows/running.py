"""Running a flow here and now, with the tags by which staff find it."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from prefect import tags

from flows.collect import collect
from flows.consolidate import consolidate
from flows.deliver import deliver
from flows.escalate import escalate
from flows.launch import launch
from flows.remind import remind
from settings import settings
from tasks.tags import campaign_tag
from tasks.tally import Tally

StepFlow = Callable[..., Awaitable[Tally]]

FLOWS: dict[str, StepFlow] = {flow.name: flow for flow in (launch, collect, remind, escalate, consolidate, deliver)}


async def run_step(kind: str, campaign: str, as_of: datetime | None = None, **how: bool) -> Tally:
    """Run the flow of a step kind for a campaign, at a moment or now; ``how`` is what that flow alone may be told."""
    _ = settings().secret  # a placeholder is refused before anything is planned
    with tags(campaign_tag(campaign), kind):
        return await FLOWS[kind](campaign, as_of, **how)
