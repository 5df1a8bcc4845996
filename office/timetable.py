"""The timetable of a campaign as people see it: what a run is about, and the plan of the month."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.orm import Session

from definition.occurrences import how_derived
from ledger.acts import Act
from ledger.campaigns import find_campaign
from ledger.errors import UnknownCampaign
from ledger.facts import load_obligations, mails_by_occasion, party_names
from ledger.tables import CampaignRow
from office import wording
from office.horizon import beyond
from office.launching import load
from office.one_mailbox import of_one_mailbox
from office.planning import decide
from office.premises import Premises
from office.rulebook import Rulebook, owed_by_unit, rulebook_of
from rules.deadlines import stated
from rules.notices import REMINDER_OF, Plan
from rules.obligations import is_owed
from rules.timetable import Reader, Step, StepKind, latest_moment


def find_rulebook(session: Session, premises: Premises, campaign: str) -> tuple[CampaignRow | None, Rulebook]:
    """Return a campaign's rulebook: from the ledger once launched, from its folder before."""
    try:
        row = find_campaign(session, campaign)
    except UnknownCampaign:
        return None, Rulebook(load(premises, campaign).campaign)
    return row, rulebook_of(row)


def run_title(premises: Premises, campaign: str, flow: str, as_of: datetime) -> str:
    """Return what a run of a flow at a moment is about."""
    with premises.ledger.reading() as session:
        _, book = find_rulebook(session, premises, campaign)
    if flow not in set(StepKind):
        return f"{wording.STEP.get(flow, flow)} · {book.campaign.title} · {wording.moment_text(as_of, book.zone)}"
    step = latest_moment(book.steps, StepKind(flow), as_of)
    same_day = step is not None and step.moment.astimezone(book.zone).date() == as_of.astimezone(book.zone).date()
    return title_of(book, StepKind(flow), as_of, step.subject if step and same_day else "")


def title_of(book: Rulebook, kind: StepKind, moment: datetime, subject: str) -> str:
    """Return what a step at a moment is about; without a subject of its own, the moment."""
    at = wording.moment_text(moment, book.zone)
    if kind in (StepKind.LAUNCH, StepKind.COLLECT):
        return f"{wording.STEP[kind]} · {book.campaign.title} · {at}"
    return f"{wording.STEP[kind]} · {subject or at}"


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """A step of the plan: when, what, to how many at most (or how many were written to), and why."""

    step: Step
    parties: int | None  # None: depends on what comes in
    mailed: int | None  # None: not yet
    why: str


def plan_of_month(premises: Premises, campaign: str) -> tuple[Rulebook, list[PlannedStep]]:
    """Return the whole month with the most that each step could write to."""
    with premises.ledger.reading() as session:
        row, book = find_rulebook(session, premises, campaign)
        if row is None:
            units = load(premises, campaign).units
            owing = {u.code: {key for key, _ in owed_by_unit(book, u, joined=None)} for u in units}
        else:
            owing = {}
            for ob in load_obligations(session, row.id):
                owing.setdefault(str(ob.party_id), set())
                if is_owed(ob):
                    owing[str(ob.party_id)].add(ob.deliverable)
        mails = mails_by_occasion(session, row.id) if row is not None else {}
        passed = row.latest_as_of if row is not None else None
    return book, [
        replace(
            _planned(book, step, owing),
            mailed=mails_of_step(book, step, mails) if passed and step.moment <= passed else None,
        )
        for step in book.steps
    ]


def mails_of_step(book: Rulebook, step: Step, mails: Mapping[str, int]) -> int | None:
    """Return how many mails a past step's day saw; None of a kind whose mails depend on what comes in."""
    day = step.moment.astimezone(book.zone).date().isoformat()
    prefix = {StepKind.REMIND: "remind:", StepKind.ESCALATE: "escalate:", StepKind.CONSOLIDATE: "consolidate:"}
    if step.kind is StepKind.LAUNCH:
        return mails.get("launch", 0)
    if step.kind not in prefix:
        return None
    return sum(n for occasion, n in mails.items() if occasion.startswith(prefix[step.kind]) and occasion.endswith(day))


def deadlines_of(book: Rulebook) -> list[tuple[str, str, str, str]]:
    """Return each deadline in order of time: local with its weekday, the deliverable, the occurrence, how found."""
    dated = [
        (due, d.title, o.key, how_derived(book.campaign, d, o))
        for d in book.campaign.deliverables
        for o in book.occurrences[d.key]
        if (due := book.due(o)) is not None
    ]
    return [(_stated_text(due, book), title, key, how) for due, title, key, how in sorted(dated)]


def _stated_text(due: datetime, book: Rulebook) -> str:
    deadline = stated(due, book.zone)
    return f"{deadline.day:%Y-%m-%d %a} " + ("all day" if deadline.at is None else f"{deadline.at:%H:%M}")


_WHY = {
    StepKind.LAUNCH: "freezes the obligations; notice with forms and calendar",
    StepKind.COLLECT: "takes in what came by mail and answers it",
    StepKind.REMIND: "to units that still owe it",
    StepKind.ESCALATE: "to whom the ladder names, for units still silent",
    StepKind.CONSOLIDATE: "workbook and summary to the office",
}


def _planned(book: Rulebook, step: Step, owing: Mapping[str, set[str]]) -> PlannedStep:
    why = _WHY[step.kind] + ("; closing mail to every unit" if step.final else "")
    if step.kind is StepKind.LAUNCH:
        return PlannedStep(step=step, parties=len(owing), mailed=None, why=why)
    if step.kind is StepKind.REMIND:
        titles = {d.title: d.key for d in book.campaign.deliverables}
        keys = {key for title, key in titles.items() if title in step.subject}
        return PlannedStep(step=step, parties=sum(bool(keys & owed) for owed in owing.values()), mailed=None, why=why)
    return PlannedStep(step=step, parties=None, mailed=None, why=why)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Who would be written to at a moment: (step kind, party, notice, rungs) rows, and who not, by reason."""

    mails: list[tuple[StepKind, str, str, str]] = field(default_factory=list)
    skips: dict[StepKind, Mapping[str, int]] = field(default_factory=dict)
    beyond: list[str] = field(default_factory=list)  # what lies over the horizon, and so in none of the rows


IN_ONE = " (in one mail with the liaison's: same address)"


def outlook(premises: Premises, campaign: str, as_of: datetime, *, replay: bool) -> Outlook:
    """Return who would be written to at ``as_of`` by each step, and who not and why; nothing is written.

    ``replay`` decides with the facts known then.

    Raises:
        UnknownCampaign: it has not been launched, so nobody owes anything yet.

    """
    found = Outlook()
    with premises.ledger.reading() as session:
        row = find_campaign(session, campaign)
        book, names = rulebook_of(row), party_names(session, row.id)
        act = Act.now("staff:plan", as_of)
        found.beyond.extend([] if replay else beyond(session, row, book, act))
        for kind in (StepKind.LAUNCH, StepKind.REMIND, StepKind.ESCALATE):
            plan: Plan = decide(session, row, book, kind, act, replay=replay)
            above = {n.party_id for n in plan.notices if n.notice == REMINDER_OF[Reader.RESPONSIBLE]}
            shared = of_one_mailbox(session, above) if above else frozenset()
            told = {n.party_id for n in plan.notices if n.notice == REMINDER_OF[Reader.LIAISON]} & shared
            for notice in (*plan.notices, *plan.to_approve):
                rungs = ", ".join(sorted({item.rung for item in notice.items}))
                found.mails.append(
                    (
                        kind,
                        f"{names[notice.party_id].code} {names[notice.party_id].name}",
                        notice.notice
                        + (" (when approved)" if notice in plan.to_approve else "")
                        + (IN_ONE if notice.party_id in told and notice.notice != REMINDER_OF[Reader.LIAISON] else ""),
                        f"{len(notice.items)} items: {rungs}",
                    )
                )
            found.skips[kind] = {str(skip): count for skip, count in plan.skips.items()}
    return found
