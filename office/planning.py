"""Planning: what is due to be said, written into the outbox in the transaction that found it due."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import advance, office_of
from ledger.decisions import value_at
from ledger.facts import count_obligations, load_obligations, load_said, mailed_on, notices_on
from ledger.outbox import NewMessage, plan_messages
from ledger.planning import PlannedSet, due_instants, plan_launch, plan_reminders
from ledger.tables import CampaignRow, CampaignState, Changed, PartyKind, PartyRow
from office.approvals import ask_for_consent
from office.horizon import extend_horizon
from office.ladder import rungs_due, send_rungs
from office.milestones import note_complete, note_overdue
from office.one_mailbox import merge_reminders
from office.premises import Premises
from office.rulebook import Rulebook, book_at, open_book
from rules.notices import (
    REMINDER_OF,
    Plan,
    Skip,
    launches_due,
    reminder_classes,
    reminders_due,
    said_index,
)
from rules.timetable import Reader, Step, StepKind


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a planning did: messages planned by notice, and the obligations passed over by reason.

    ``whom``: of the reasons that are not common the obligations, or the first of them.
    """

    planned: Mapping[str, int] = field(default_factory=dict)
    skips: Mapping[str, int] = field(default_factory=dict)
    whom: Mapping[str, Sequence[int]] = field(default_factory=dict, compare=False)

    def with_more(self, other: "Planned") -> "Planned":
        """Add what another planning of the same step did."""
        return Planned(
            planned=dict(Counter(self.planned) + Counter(other.planned)),
            skips=dict(Counter(self.skips) + Counter(other.skips)),
            whom={key: [*self.whom.get(key, ()), *other.whom.get(key, ())] for key in {*self.whom, *other.whom}},
        )


def decide(session: Session, row: CampaignRow, book: Rulebook, kind: StepKind, act: Act, *, replay: bool) -> Plan:
    """Return what a step of a kind would say at the act's moment.

    ``replay`` uses only what was known by then; otherwise everything on record counts, so that a late run reminds
    nobody who has reported since.
    """
    known_at = act.as_of if replay else None
    if replay:
        book = book_at(session, row, act.as_of)
    state = value_at(session, row, Changed.STATE, act.as_of) if replay else row.state
    obligations = load_obligations(session, row.id, known_at=known_at)
    if (reason := at_rest(state, kind)) is not None:
        return Plan(skips={reason: len(obligations)})
    said = said_index(load_said(session, row.id, known_at=known_at))
    if kind is StepKind.LAUNCH:
        return launches_due(obligations, said)
    today = act.as_of.astimezone(book.zone).date().isoformat()
    if kind is StepKind.ESCALATE:
        return rungs_due(session, row, book, act.as_of, known_at=known_at, facts=(obligations, said))
    mailed = set() if replay else notices_on(session, row.id, f"remind:{today}")
    plans = [
        reminders_due(
            obligations,
            said,
            act.as_of,
            policy_of=book.policy_of,
            hours=book.hours,
            mailed=frozenset(party for party, notice in mailed if notice == REMINDER_OF[reader]),
            reader=reader,
        )
        for reader in Reader
    ]
    skips = sum((Counter(plan.skips) for plan in plans), Counter[Skip]())
    return Plan(notices=tuple(notice for plan in plans for notice in plan.notices), skips=skips)


def at_rest(state: str, kind: StepKind) -> Skip | None:
    """Return why a campaign in some state says nothing in a step: paused, or closed, which nothing is chased in."""
    if state == CampaignState.PAUSED:
        return Skip.CAMPAIGN_PAUSED
    return Skip.CAMPAIGN_CLOSED if state == CampaignState.CLOSED and kind is not StepKind.LAUNCH else None


def plan_step(session: Session, premises: Premises, act: Act, campaign: str, kind: StepKind) -> Planned:
    """Plan the notices of a launch, remind or escalate step."""
    row, book = open_book(session, campaign)
    note_overdue(session, act, row)
    advance(act, row, rehearsal=premises.rehearsal)
    note_complete(session, act, row)
    if (reason := at_rest(row.state, kind)) is not None:
        return Planned(skips={str(reason): count_obligations(session, row.id)})
    extend_horizon(session, act, campaign)
    if kind is StepKind.LAUNCH:
        return _counted("launch", plan_launch(session, act, row.id, premises.mail_domain))
    if kind is StepKind.REMIND:
        return _plan_reminders(session, premises, act, row, book)
    plan = decide(session, row, book, kind, act, replay=False)
    rows = send_rungs(session, premises, act, row, plan.notices)
    ask_for_consent(session, premises, act, row, plan.to_approve)
    return Planned(
        planned=dict(Counter(r.notice for r in rows)),
        skips={str(k): n for k, n in plan.skips.items()},
        whom={str(k): ids for k, ids in plan.passed.items()},
    )


def _plan_reminders(session: Session, premises: Premises, act: Act, row: CampaignRow, book: Rulebook) -> Planned:
    """Let the rule name the classes of each reader, and the ledger apply them to all obligations at once."""
    today = act.as_of.astimezone(book.zone).date().isoformat()
    dues = due_instants(session, row.id)
    found = Planned()
    for reader in Reader:
        classes = reminder_classes(dues, act.as_of, policy_of=book.policy_of, hours=book.hours, reader=reader)
        if reader is not Reader.LIAISON and not classes:
            continue
        done = plan_reminders(
            session,
            act,
            row.id,
            premises.mail_domain,
            occasion=f"remind:{today}",
            classes=classes,
            reader=reader,
        )
        found = found.with_more(_counted(REMINDER_OF[reader], done))
    above = REMINDER_OF[Reader.RESPONSIBLE]
    if not found.planned.get(above):
        return found
    spared = merge_reminders(session, act, row.id, f"remind:{today}")
    left = {notice: n - (spared if notice == above else 0) for notice, n in found.planned.items()}
    return replace(found, planned={notice: n for notice, n in left.items() if n})


def _counted(notice: str, done: PlannedSet) -> Planned:
    return Planned(
        planned={notice: done.messages} if done.messages else {},
        skips={str(k): n for k, n in done.skips.items()},
        whom={str(k): ids for k, ids in done.passed.items()},
    )


def plan_summary(
    session: Session, premises: Premises, act: Act, campaign: str, attachments: list[dict[str, Any]], *, step: Step
) -> Planned:
    """Plan the summary of a consolidation step, and after the final one the closing mail to every unit.

    The occasion is the step's day, not the run's: a run that is late or repeated sends no second summary.
    """
    row, book = open_book(session, campaign)
    day = step.moment.astimezone(book.zone).date().isoformat()
    office = office_of(session, row.id)
    wanted = [
        NewMessage(
            party_id=office.id,
            notice="summary",
            occasion=f"consolidate:{day}",
            detail={"attachments": attachments, "final": step.final},
        )
    ]
    if step.final and row.state == CampaignState.LAUNCHED:  # closed by staff, the units were told then
        units = session.scalars(
            select(PartyRow).where(
                PartyRow.campaign_id == row.id, PartyRow.kind == PartyKind.UNIT, PartyRow.left_at.is_(None)
            )
        )
        wanted.extend(NewMessage(party_id=unit.id, notice="closing", occasion="closing") for unit in units)
    present = mailed_on(session, row.id, f"consolidate:{day}") | mailed_on(session, row.id, "closing")
    news = [new for new in wanted if (new.party_id, new.occasion) not in present]
    rows = plan_messages(session, act, row.id, premises.mail_domain, news)
    skips = {"said": len(wanted) - len(news)} if len(news) < len(wanted) else {}
    return Planned(planned=dict(Counter(r.notice for r in rows)), skips=skips)
