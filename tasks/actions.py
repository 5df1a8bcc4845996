"""The task that carries out what staff ask for from the run UI: one verb, one write transaction, one act."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.errors import LedgerError
from ledger.tables import AuditRow, CampaignRow, CampaignState, PartyRow
from office import wording
from office.choosing import campaign_meant
from office.effects import Effect, effect_since, fates_of, mark
from office.premises import Premises
from office.refusals import in_chinese
from office.rulebook import Rulebook, rulebook_of
from office.units import find_unit
from office.views.pages import code, to_the_letter
from office.workbooks import NotPlacedError
from settings import settings
from tasks.desk import act_of, now, premises

AGAIN = "这次运行此前已经办理完毕，没有重复办理；办理记录可用 muster decisions 查到。"


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a verb did, in a sentence; and of one that does nothing, what it shows."""

    said: str
    shown: str = ""  # markdown: of a preview, the mail as it would read
    drains: bool = True  # whether what was planned leaves now
    everywhere: bool = False  # whether it concerns the mail of every campaign
    only_shown: bool = False


class Desk:
    """Where a verb is carried out: the session, the house, the act, and the campaign that is meant."""

    def __init__(self, session: Session, house: Premises, act: Act, campaign: CampaignRow) -> None:
        """Sit down."""
        self.session = session
        self.house = house
        self.act = act
        self.row = campaign

    @property
    def campaign(self) -> str:
        """The key of the campaign that is meant."""
        return self.row.key

    @property
    def book(self) -> Rulebook:
        """Its rulebook."""
        return rulebook_of(self.row)

    def unit(self, named: str) -> PartyRow:
        """Return the unit of the campaign that staff name, by code or full name."""
        return find_unit(self.session, named, self.campaign)

    def instant(self, moment: datetime) -> datetime:
        """Return a moment in UTC; without an offset it is local to the campaign."""
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=self.zone)).astimezone(UTC)

    @property
    def zone(self) -> ZoneInfo:
        """The campaign's zone."""
        return self.book.zone


Verb = Callable[[Desk, Mapping[str, object]], Done]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an action: done, with its effect; or refused, with the sentence that says why."""

    refused: str = ""
    campaign: str = ""
    title: str = ""
    drains: tuple[str, ...] = ()  # the campaigns whose mail may leave now
    done: Done = field(default_factory=lambda: Done(said=""))
    effect: Effect = field(default_factory=Effect)


@task(name="act", task_run_name=wording.TASK["act"], cache_policy=NO_CACHE, persist_result=False)
async def carry_out(verb: Verb, campaign: str, requested_by: str, given: Mapping[str, object]) -> Outcome:
    """Carry out a verb in the name of a member of staff; whatever refuses it rolls everything back."""
    act = replace(act_of(f"staff:{requested_by}", now()), asked=_asked())
    return await asyncio.to_thread(_carry_out, verb, campaign, act, given)


def _asked() -> datetime | None:
    """Return when the form was sent; of a run that somebody retries nothing is known, it is as if sent now."""
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    return run.created if run is not None and flow_run.run_count < 2 else None  # noqa: PLR2004


def _carry_out(verb: Verb, campaign: str, act: Act, given: Mapping[str, object]) -> Outcome:
    _ = settings().secret  # a placeholder is refused before anything is planned
    house, key = premises(), ""
    try:
        with house.ledger.writing() as session:
            row = campaign_meant(session, campaign)
            key, title, before = row.key, row.title, mark(session)
            act = replace(act, wall=datetime.now(UTC))  # others may have been writing until now
            if _was_done(session, act):
                return Outcome(campaign=key, title=title, drains=(key,), done=Done(said=AGAIN))
            done = verb(Desk(session, house, act, row), given)
            effect = effect_since(session, key, before)
            return Outcome(campaign=key, title=title, drains=_drains(session, key, done), done=done, effect=effect)
    except (ValueError, LedgerError, NotPlacedError) as error:
        return Outcome(campaign=key, refused=in_chinese(error, {name: str(value) for name, value in given.items()}))


def _drains(session: Session, campaign: str, done: Done) -> tuple[str, ...]:
    """Return the campaigns whose mail may leave after something was done."""
    if not done.drains:
        return ()
    if not done.everywhere:
        return (campaign,)
    query = select(CampaignRow.key).where(CampaignRow.state != CampaignState.CLOSED).order_by(CampaignRow.id)
    return tuple(session.scalars(query))


def _was_done(session: Session, act: Act) -> bool:
    """Whether this run carried its verb out before it was cut short: somebody retries it."""
    if flow_run.run_count < 2:  # noqa: PLR2004  a first run looks through no trail
        return False
    query = select(AuditRow.seq).where(AuditRow.flow_run_id == act.flow_run_id, AuditRow.actor == act.actor)
    return session.scalar(query.limit(1)) is not None


async def publish_effect(action: str, given: Mapping[str, object], outcome: Outcome) -> None:
    """Show what an action did as an artifact of the run, under a key that is the campaign's."""
    markdown = await asyncio.to_thread(_markdown, action, given, outcome, now())
    await acreate_markdown_artifact(
        markdown=markdown, key=f"action-{outcome.campaign}", description=f"{action}：{outcome.done.said}"
    )


def _markdown(action: str, given: Mapping[str, object], outcome: Outcome, moment: datetime) -> str:
    house = premises()
    templates = Environment(
        loader=FileSystemLoader(house.templates / "artifacts"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  Markdown: `to_the_letter` keeps text from being taken for it
        finalize=to_the_letter,
    )
    templates.filters["code"] = code
    with house.ledger.reading() as session:
        book = rulebook_of(campaign_meant(session, outcome.campaign))
        fates = fates_of(session, house, act_of("rule:deliver", moment), outcome.campaign, outcome.effect.mails)
    return templates.get_template("action.md").render(
        action=action,
        campaign=outcome.title,
        key=outcome.campaign,
        moment=wording.moment_text(moment, book.zone),
        requested_by=given["requested_by"],
        reason=given["reason"],
        done=outcome.done,
        effect=outcome.effect,
        fates=fates,
        mails=outcome.effect.mails[:3],
    )
