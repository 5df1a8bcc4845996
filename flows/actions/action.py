"""From a verb to an action: a flow with a form, that carries the verb out, lets mail leave, and shows the effect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import Flow, State, flow, get_client
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.actions.forms import BY, WHERE, Form
from flows.deliver import drain_outbox
from office.refusals import Mistaken, in_chinese
from tasks.actions import Desk, Done, Outcome, carry_out, publish_effect
from tasks.desk import now
from tasks.events import tell_events
from tasks.tags import campaign_tag

ActionFlow = Flow[..., Any]


@dataclass(frozen=True, kw_only=True)
class Action:
    """What staff can do from the run UI."""

    flow: ActionFlow
    entrypoint: str  # dotted: a file's would put its folder first on the path
    title: str
    description: str


KNOWN: dict[str, Action] = {}


def action(*, title: str, description: str) -> Callable[[Callable[..., Done]], ActionFlow]:
    """Return a decorator that makes a flow of a verb, and makes it known as an action.

    The verb is handed the desk and, by name, what staff filled in; it calls the office and says what it did, in one
    write transaction, which is rolled back by whatever refuses it.
    """

    def made_of(verb: Callable[..., Done]) -> ActionFlow:
        form = Form(verb)
        name = verb.__name__.strip("_")

        async def run(**filled_in: object) -> State[Any]:
            return await _act(title, verb, form, filled_in)

        run.__name__, run.__qualname__, run.__module__ = verb.__name__, verb.__qualname__, verb.__module__
        run.__doc__ = description
        run.__signature__ = form.signature()  # type: ignore[attr-defined]
        made = flow(
            name=name.replace("_", "-"),
            description=description,
            flow_run_name=partial(_name_of_run, title),
            validate_parameters=False,
            persist_result=False,
        )(run)
        entrypoint = f"{verb.__module__}.{verb.__name__}"
        KNOWN[made.name] = Action(flow=made, entrypoint=entrypoint, title=title, description=description)
        return made

    return made_of


async def _act(title: str, verb: Callable[..., Done], form: Form, filled_in: Mapping[str, object]) -> State[Any]:
    """Read the form, carry the verb out, let what it planned leave, show the effect."""
    try:
        given = form.read(filled_in)
    except Mistaken as mistake:
        return Failed(message=in_chinese(mistake, {}))
    outcome = await carry_out(partial(_at_desk, verb), given[WHERE], given[BY], given)
    await _tag(outcome.campaign)
    if outcome.refused:
        return Failed(message=outcome.refused)
    try:
        await _let_leave(outcome)
    finally:  # what was decided holds, and is shown, whatever keeps the mail
        await publish_effect(title, given, outcome)
    return Completed(message=outcome.done.said)


def _at_desk(verb: Callable[..., Done], desk: Desk, given: Mapping[str, object]) -> Done:
    return verb(desk, **{name: value for name, value in given.items() if name not in (WHERE, BY)})


async def _let_leave(outcome: Outcome) -> None:
    if outcome.done.only_shown:
        return
    for campaign in outcome.drains:
        await drain_outbox(campaign, now())
    await tell_events()


async def _tag(campaign: str) -> None:
    """Let the run be found with its campaign's others: which campaign is meant is known only now."""
    if not campaign or flow_run.id is None:
        return
    async with get_client() as client:
        await client.update_flow_run(flow_run.id, tags={*flow_run.tags, campaign_tag(campaign)})


def _name_of_run(title: str) -> str:
    """Return the name of a run: what, of whom, who asked."""
    said = flow_run.parameters
    parts = (title, said.get("unit") or said.get("to") or said.get(WHERE), said.get(BY))
    return " · ".join(str(part).strip()[:60] for part in parts if part)
