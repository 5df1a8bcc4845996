"""Broken runs: the operators are told by mail of runs that failed, died or did not begin, one mail a day and flow."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import contacts_of, office_of
from ledger.tables import CampaignRow, CampaignState, MessageRow
from office import wording
from office.alerts import RUN, alert_staff, waiting_alert
from office.mailbook import one_line
from office.premises import Premises
from office.rulebook import rulebook_of

SAID = 200  # characters of what the system said
REMEMBERED = timedelta(days=7)
OPERATORS = "ops"
LATE = "Late"  # Prefect's name of the state


@dataclass(frozen=True, kw_only=True)
class BrokenRun:
    """A run that did not come to its end. ``campaign`` is empty for one that serves all."""

    id: str
    flow: str
    campaign: str
    name: str
    state: str
    said: str
    at: datetime


def tell_operators(session: Session, premises: Premises, act: Act, runs: Iterable[BrokenRun]) -> Counter[str]:
    """Plan alerts about the runs that no alert has told yet; return how many are told in the name of which campaign.

    A run of no campaign, or of one that was never launched and so has no office to write to, is told to the operators
    of the campaigns under way, each mailbox once.
    """
    under_way = list(session.scalars(select(CampaignRow).where(CampaignRow.state != CampaignState.CLOSED.value)))
    launched = {row.key: row for row in session.scalars(select(CampaignRow))}
    told: Counter[str] = Counter()
    for (campaign, flow), group in groupby(sorted(runs, key=_place), key=_place):
        these = list(group)
        own = launched.get(campaign)
        for row in [own] if own is not None else _one_a_mailbox(session, under_way):
            if count := _tell(session, premises, act, row, flow, these):
                told[row.key] += count
    return told


def _place(run: BrokenRun) -> tuple[str, str]:
    return run.campaign, run.flow


def _one_a_mailbox(session: Session, campaigns: Sequence[CampaignRow]) -> list[CampaignRow]:
    found: dict[frozenset[str], CampaignRow] = {}
    for row in campaigns:
        people = contacts_of(session, office_of(session, row.id).id)
        found.setdefault(frozenset(c.address for c in people if c.role == OPERATORS), row)
    return list(found.values())


def _tell(
    session: Session, premises: Premises, act: Act, row: CampaignRow, flow: str, runs: Sequence[BrokenRun]
) -> int:
    topic = f"{RUN}:{flow}"
    known = _told(session, act, row, topic)
    new = {_mark(run): _line(row, run) for run in sorted(runs, key=lambda r: r.at) if _mark(run) not in known}
    if not new:
        return 0
    waiting = waiting_alert(session, row.id, topic)
    if waiting is not None:
        waiting.detail = {**waiting.detail, "runs": {**waiting.detail["runs"], **new}}
        session.flush()
    else:
        alert_staff(session, premises, act, row.key, topic, facts={"runs": new})
    return len(new)


def _mark(run: BrokenRun) -> str:
    """Return by what it is known that a run was told of: one that was late is told of again when it breaks."""
    return f"{run.id} {run.state}" if run.state == LATE else run.id


def _told(session: Session, act: Act, row: CampaignRow, topic: str) -> set[str]:
    query = select(MessageRow.detail).where(
        MessageRow.campaign_id == row.id,
        MessageRow.occasion.like(f"alert:{topic}:%"),
        MessageRow.recorded_at > act.wall - REMEMBERED,
    )
    details: Iterable[Mapping[str, Mapping[str, str]]] = session.scalars(query)
    return {run for detail in details for run in detail["runs"]}


def _line(row: CampaignRow, run: BrokenRun) -> str:
    moment = wording.moment_text(run.at, rulebook_of(row).zone)
    line = wording.BROKEN_RUN.format(moment=moment, name=run.name, state=wording.RUN_STATE.get(run.state, run.state))
    said = one_line(run.said)[:SAID]
    return line + (wording.BROKEN_RUN_SAID.format(said=said) if said else "")
