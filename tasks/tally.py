"""The tally that ends each run: what was decided, for whom, what was skipped and why, as a page that staff read."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prefect.artifacts import acreate_markdown_artifact
from prefect.runtime import flow_run

from office.intake import Collected
from office.outbox import Delivered
from office.planning import Planned
from office.run_report import Report, Run, report_of_run
from office.views.tally import in_one_line, in_sentences, tally_page
from tasks.desk import premises
from tasks.speaking import say
from tasks.views import publish_views


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
    """Publish the campaign's pages and the run's own, say in its log what it did, and return its counts."""
    planned, collected = planned or Planned(), collected or Collected()
    views = await publish_views(campaign, moment)
    answers = {notice: planned.planned.get(notice, 0) + count for notice, count in collected.answers.items()}
    counts = {
        "planned": {**planned.planned, **answers},
        "mails": dict(collected.mails),
        "outcomes": dict(delivered.outcomes),
        "unsent": delivered.unsent_by_reason(),
        "skips": dict(planned.skips),
    }
    run = Run(
        campaign=campaign,
        step=step,
        moment=moment,
        id=str(flow_run.id or ""),
        counts=counts,
        whom=planned.whom,
        views=views,
    )
    report = await asyncio.to_thread(_report, run)
    say(in_sentences(report))
    await acreate_markdown_artifact(
        markdown=tally_page(premises().templates, report),
        key=f"tally-{campaign}-{step}",
        description=in_one_line(report),
    )
    return Tally(
        campaign=campaign,
        step=step,
        as_of=moment,
        **counts,
        unreached=len(report.needs.unreached),
        unmatched=report.needs.unmatched,
        stops=report.needs.stops,
        years_to_renew=report.needs.years_to_renew,
    )


def _report(run: Run) -> Report:
    house = premises()
    with house.ledger.reading() as session:
        return report_of_run(session, house, run)
