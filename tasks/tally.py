"""The tally that ends each run: what was done, what was skipped and why, as an artifact that staff read."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from prefect.artifacts import acreate_markdown_artifact

from office import wording
from office.board import overall
from office.contacts import Trouble, contact_troubles
from office.intake import Collected
from office.outbox import Delivered
from office.planning import Planned
from office.queue import unmatched_waiting
from office.rulebook import open_book
from office.stops import stops_in_words
from rules.rates import Totals
from tasks.desk import premises


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The counts of one run; plain values, so that the run's result can be read anywhere.

    Beside them what needs a person: units that no mail reaches, mails that are nobody's, and what stops sending.
    """

    campaign: str
    step: str
    as_of: datetime
    planned: Mapping[str, int] = field(default_factory=dict)
    mails: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    unsent: Mapping[str, int] = field(default_factory=dict)
    skips: Mapping[str, int] = field(default_factory=dict)
    unreached: int = 0
    unmatched: int = 0  # mails of which nobody can tell whose they are; they wait for staff, of whichever campaign
    stops: tuple[str, ...] = ()
    years_to_renew: tuple[int, ...] = ()  # announced, and not in the calendar the campaign runs by


async def publish_tally(
    campaign: str,
    step: str,
    moment: datetime,
    *,
    planned: Planned | None = None,
    collected: Collected | None = None,
    delivered: Delivered,
) -> Tally:
    """Publish the run's counts under a key that stays the same from run to run, and return them."""
    planned, collected = planned or Planned(), collected or Collected()
    needs = await asyncio.to_thread(_needs_a_person, campaign, moment)
    answers = {notice: planned.planned.get(notice, 0) + count for notice, count in collected.answers.items()}
    tally = Tally(
        campaign=campaign,
        step=step,
        as_of=moment,
        planned={**planned.planned, **answers},
        mails=dict(collected.mails),
        outcomes=dict(delivered.outcomes),
        unsent=delivered.unsent_by_reason(),
        skips=dict(planned.skips),
        unreached=needs.unreached,
        unmatched=needs.unmatched,
        stops=needs.stops,
        years_to_renew=needs.years_to_renew,
    )
    markdown = await asyncio.to_thread(_markdown, tally)
    await acreate_markdown_artifact(
        markdown=markdown, key=f"tally-{campaign}-{step}", description=f"{wording.STEP[step]}：本次办理情况"
    )
    return tally


@dataclass(frozen=True, kw_only=True)
class _Needs:
    """What needs a person beside a run's own counts."""

    unreached: int
    unmatched: int
    stops: tuple[str, ...]
    years_to_renew: tuple[int, ...]


def _needs_a_person(campaign: str, moment: datetime) -> _Needs:
    house = premises()
    with house.ledger.reading() as session:
        row, book = open_book(session, campaign)
        return _Needs(
            unreached=sum(t.trouble is Trouble.UNREACHED for t in contact_troubles(session, row.id)),
            unmatched=unmatched_waiting(session),
            stops=stops_in_words(session, house, campaign),
            years_to_renew=book.years_to_renew(moment),
        )


def _markdown(tally: Tally) -> str:
    house = premises()
    templates = Environment(
        loader=FileSystemLoader(house.templates / "artifacts"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  markdown, not HTML
    )
    with house.ledger.reading() as session:
        title, zone, totals = overall(session, tally.campaign)
    return templates.get_template("tally.md").render(
        step=wording.STEP[tally.step],
        campaign=title,
        key=tally.campaign,
        moment=wording.moment_text(tally.as_of, zone),
        planned=_named(tally.planned, wording.NOTICE),
        mails=_named(tally.mails, wording.MAIL_KIND),
        outcomes=_named(tally.outcomes, wording.OUTCOME),
        unsent=_named(tally.unsent, wording.UNSENT),
        skips=_named(tally.skips, wording.SKIP),
        unreached=tally.unreached,
        unmatched=tally.unmatched,
        stops=tally.stops,
        years_to_renew=tally.years_to_renew,
        totals=_rates(totals),
    )


def _named(counts: Mapping[str, int], words: Mapping[str, str]) -> list[tuple[str, int]]:
    return [(words[key], count) for key, count in counts.items() if count]


def _rates(totals: Totals) -> dict[str, str | int]:
    return {
        "owed": totals.owed,
        "reported": totals.reported,
        "on_time": totals.on_time,
        "returned": totals.returned,
        "missing": totals.missing,
        "report_rate": wording.rate_text(totals.report_rate),
        "on_time_rate": wording.rate_text(totals.on_time_rate),
    }
