"""The agenda of a campaign: the timetable in force with what decisions moved, what is to come, and what is overdue.

A step is done if one of its kind ended well for its moment or a later one: whoever runs late says all that should have
been said. So at most the last of a kind is ever made up for, and those before it are put on record as superseded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import find_campaign
from ledger.errors import UnknownCampaign
from ledger.planning import due_instants
from ledger.steps import last_runs, still_owed
from ledger.steps import record_step as put_on_record
from ledger.tables import CampaignRow, CampaignState, PartyKind, PartyRow
from office import wording
from office.launching import load
from office.premises import Premises
from office.rulebook import Rulebook, open_book, rulebook_of
from office.timetable import title_of
from rules.timetable import DatedDeliverable, Step, StepKind, escalation_steps, in_order, reminder_steps

# Steps of one moment start one after the other: mails are taken in before units are reminded, and all before it is
# added up. By kind, so that a step that is added moves no other.
AFTER = {
    StepKind.LAUNCH: timedelta(0),
    StepKind.COLLECT: timedelta(0),
    StepKind.REMIND: timedelta(minutes=1),
    StepKind.ESCALATE: timedelta(minutes=2),
    StepKind.CONSOLIDATE: timedelta(minutes=3),
}
AT_REST = {  # the kinds of step that a campaign in some state has
    CampaignState.LAUNCHED: frozenset(StepKind),
    CampaignState.PAUSED: frozenset({StepKind.COLLECT, StepKind.CONSOLIDATE}),
    CampaignState.CLOSED: frozenset[StepKind](),
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A step as a run of it is planned. ``key`` names it for ever, ``starts`` is when its run begins."""

    key: str
    kind: StepKind
    moment: datetime
    starts: datetime
    title: str


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """What a campaign has on: every entry of the timetable in force, and the overdue ones, one of a kind at most.

    ``unlaunched`` is set where the moment of launch had passed before anybody deployed the campaign: a launch is never
    made up for unasked.
    """

    campaign: str
    entries: tuple[Entry, ...] = ()
    overdue: tuple[Entry, ...] = ()
    unlaunched: bool = False

    def coming(self, as_of: datetime) -> tuple[Entry, ...]:
        """Return what is later than a moment."""
        return tuple(entry for entry in self.entries if entry.starts > as_of)


def agenda_of(session: Session, premises: Premises, campaign: str, as_of: datetime, *, since: datetime) -> Agenda:
    """Return a campaign's agenda at a moment; ``since`` is when it was deployed, by the campaign's clock.

    Raises:
        FileNotFoundError: it was not launched, and there is no such folder.
        definition.faults.FaultyCampaign: it was not launched, and its folder has faults.

    """
    try:
        row = find_campaign(session, campaign)
    except UnknownCampaign:
        return _before_launch(Rulebook(load(premises, campaign).campaign), campaign, as_of, since)
    book = rulebook_of(row)
    kinds = AT_REST[CampaignState(row.state)]
    entries = _entries(book, [step for step in steps_in_force(session, row, book) if step.kind in kinds])
    done = last_runs(session, row.id)
    return Agenda(campaign=campaign, entries=entries, overdue=tuple(_overdue(entries, done, as_of)))


def _before_launch(book: Rulebook, campaign: str, as_of: datetime, since: datetime) -> Agenda:
    """Return the agenda of a campaign that is not launched: its launch is made up for if it was deployed in time."""
    if as_of >= book.launch_at and (since > book.launch_at or as_of >= book.close_at):
        return Agenda(campaign=campaign, unlaunched=True)
    entries = _entries(book, book.steps)
    overdue = tuple(e for e in entries if e.kind is StepKind.LAUNCH and e.starts <= as_of)
    return Agenda(campaign=campaign, entries=entries, overdue=overdue)


def steps_in_force(session: Session, row: CampaignRow, book: Rulebook) -> tuple[Step, ...]:
    """Return the timetable with what decisions added: days on which a moved deadline has rungs, and joiners' launch."""
    moved = [pair for pair in due_instants(session, row.id) if pair not in {(d.key, d.due) for d in book.dated}]
    titles = {d.key: d.title for d in book.campaign.deliverables}
    dated = [
        DatedDeliverable(key=key, title=titles[key] + wording.MOVED, due=due, reminders=book.policy_of(key))
        for key, due in (still_owed(session, row.id, moved) if moved else ())
        if key in titles
    ]
    more = [
        *reminder_steps(dated, book.hours),
        *escalation_steps(dated, book.ladder, book.hours, until=book.close_at),
    ]
    taken = {(step.kind, step.moment) for step in book.steps}
    added = [s for s in more if (s.kind, s.moment) not in taken and book.launch_at < s.moment < book.close_at]
    return in_order([*book.steps, *added, *_joiners(session, row)])


def _joiners(session: Session, row: CampaignRow) -> list[Step]:
    """Return a launch for the unit that joined last: a run of it writes to all that have joined since the last run."""
    query = select(func.max(PartyRow.joined_at)).where(
        PartyRow.campaign_id == row.id,
        PartyRow.kind == PartyKind.UNIT,
        PartyRow.left_at.is_(None),
        PartyRow.joined_at > row.as_of,
    )
    joined = session.scalar(query)
    return [] if joined is None else [Step(kind=StepKind.LAUNCH, moment=joined, subject=wording.JOINED)]


def _entries(book: Rulebook, steps: Iterable[Step]) -> tuple[Entry, ...]:
    """Return steps as entries; two of one kind and moment are one."""
    merged: dict[tuple[StepKind, datetime], list[str]] = {}
    for step in steps:
        merged.setdefault((step.kind, step.moment), []).append(step.subject)
    return tuple(
        Entry(
            key=f"{kind}:{moment.astimezone(book.zone):%Y-%m-%dT%H:%M}",
            kind=kind,
            moment=moment,
            starts=moment + AFTER[kind],
            title=title_of(book, kind, moment, "；".join(dict.fromkeys(subjects))),
        )
        for (kind, moment), subjects in merged.items()
    )


def _overdue(entries: Sequence[Entry], done: Mapping[str, datetime], as_of: datetime) -> Iterable[Entry]:
    """Yield of each kind the last entry whose time has come, unless a run for it or for later is on record."""
    for kind in StepKind:
        last = max((e for e in entries if e.kind is kind and e.starts <= as_of), key=lambda e: e.moment, default=None)
        if last is not None and (kind not in done or done[kind] < last.moment):
            yield last


def record_step(session: Session, act: Act, campaign: str, kind: StepKind) -> list[str]:
    """Record that a step ended well at the act's moment; return the keys of the earlier ones it stands for."""
    row, book = open_book(session, campaign)
    before = last_runs(session, row.id).get(kind)
    steps = [e for e in _entries(book, steps_in_force(session, row, book)) if e.kind is kind and e.moment <= act.as_of]
    fresh = [e for e in steps if before is None or e.moment > before]
    missed = [{"step": e.key, "title": e.title} for e in fresh[:-1]]
    carried_out = max(fresh or steps, key=lambda e: e.moment, default=None)
    put_on_record(session, act, row.id, kind, step_at=carried_out.moment if carried_out else None, superseded=missed)
    return [entry["step"] for entry in missed]
