"""Planning: what is due to be said, written into the outbox in the transaction that found it due."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import advance, office_of
from ledger.facts import load_obligations, load_said, mailed_on
from ledger.outbox import NewMessage, plan_messages
from ledger.planning import PlannedSet, due_instants, plan_launch, plan_reminders
from ledger.tables import CampaignRow, CampaignState, PartyKind, PartyRow
from office.horizon import extend_horizon
from office.premises import Premises
from office.rulebook import Rulebook, open_book
from rules.notices import (
    NoticeDue,
    Plan,
    escalations_due,
    launches_due,
    reminder_classes,
    reminders_due,
    said_index,
)
from rules.timetable import Step, StepKind


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a planning did: messages planned by notice, and the obligations passed over by reason."""

    planned: Mapping[str, int] = field(default_factory=dict)
    skips: Mapping[str, int] = field(default_factory=dict)


def decide(session: Session, row: CampaignRow, book: Rulebook, kind: StepKind, act: Act, *, replay: bool) -> Plan:
    """Return what a step of a kind would say at the act's moment.

    ``replay`` uses only what was known by then; otherwise everything on record counts, so that a late run reminds
    nobody who has reported since.
    """
    known_at = act.as_of if replay else None
    if row.state == CampaignState.CLOSED and kind is not StepKind.LAUNCH and not replay:
        return Plan()
    obligations = load_obligations(session, row.id, known_at=known_at)
    said = said_index(load_said(session, row.id, known_at=known_at))
    if kind is StepKind.LAUNCH:
        return launches_due(obligations, said)
    today = act.as_of.astimezone(book.zone).date().isoformat()
    if kind is StepKind.REMIND:
        mailed = {party for party, _ in mailed_on(session, row.id, f"remind:{today}")}
        return reminders_due(
            obligations,
            said,
            act.as_of,
            policy_of=book.policy_of,
            hours=book.hours,
            mailed=frozenset() if replay else frozenset(mailed),
        )
    mailed_rungs = mailed_on(session, row.id, f"escalate:%:{today}")
    return escalations_due(
        obligations,
        said,
        act.as_of,
        ladder=book.ladder,
        hours=book.hours,
        office_id=office_of(session, row.id).id,
        mailed=frozenset() if replay else frozenset(mailed_rungs),
    )


def plan_step(session: Session, premises: Premises, act: Act, campaign: str, kind: StepKind) -> Planned:
    """Plan the notices of a launch, remind or escalate step."""
    row, book = open_book(session, campaign)
    advance(act, row, rehearsal=premises.rehearsal)
    extend_horizon(session, act, campaign)
    if kind is StepKind.LAUNCH:
        return _counted("launch", plan_launch(session, act, row.id, premises.mail_domain))
    if kind is StepKind.REMIND and row.state != CampaignState.CLOSED:
        return _counted("reminder", _plan_reminders(session, premises, act, row, book))
    plan = decide(session, row, book, kind, act, replay=False)
    rows = plan_messages(session, act, row.id, premises.mail_domain, (_message(notice) for notice in plan.notices))
    return Planned(planned=dict(Counter(r.notice for r in rows)), skips={str(k): n for k, n in plan.skips.items()})


def _plan_reminders(session: Session, premises: Premises, act: Act, row: CampaignRow, book: Rulebook) -> PlannedSet:
    """Let the rule name the classes, and the ledger apply them to all obligations at once."""
    classes = reminder_classes(due_instants(session, row.id), act.as_of, policy_of=book.policy_of, hours=book.hours)
    today = act.as_of.astimezone(book.zone).date().isoformat()
    return plan_reminders(session, act, row.id, premises.mail_domain, occasion=f"remind:{today}", classes=classes)


def _counted(notice: str, done: PlannedSet) -> Planned:
    return Planned(
        planned={notice: done.messages} if done.messages else {}, skips={str(k): n for k, n in done.skips.items()}
    )


def _message(notice: NoticeDue) -> NewMessage:
    return NewMessage(
        party_id=notice.party_id,
        notice=notice.notice,
        occasion=notice.occasion,
        items=notice.items,
        expires=notice.expires,
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
    if step.final:
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
