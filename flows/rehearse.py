"""Rehearse: the whole month by moving the clock, through the same flows as production."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from definition.models import DeliverableKind
from deployments.stage import JOINS_AFTER_DAYS, Stage
from flows.running import run_step
from ledger.acts import Act
from ledger.ladder import open_approvals
from office.accounts import Accounts, accounts_of
from office.approvals import approve
from office.destination import IncomingFile
from office.handin import hand_in_on_behalf
from office.launching import join_unit
from office.papers import draft_circulation, draft_orders, write_ahead
from office.queue import ambiguous_mails
from rehearsal.recount import read_lines, recount
from rules.deadlines import local_instant
from rules.timetable import Step, StepKind
from tasks.desk import premises

OPERATOR = "staff:rehearsal"
SHOWN = 200  # characters of what was expected and found
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something that must hold after the month: a sentence with figures, and where to look if it does not."""

    name: str
    holds: bool
    expected: str
    found: str
    look: str


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """The month as it went."""

    accounts: Accounts
    checks: tuple[Check, ...]
    workbook: Path | None
    summary: Path | None
    papers: tuple[Path, ...]  # the drafts of 督办单 and 通报
    runs: int


async def rehearse(
    stage: Stage, progress: Progress, *, twice: bool = False, missed: Callable[[Step], bool] = lambda _: False
) -> Rehearsed:
    """Walk the real timetable.

    ``twice`` runs every step two times, and then the whole sequence again; ``missed`` names steps that never run,
    as when a machine is down.
    """
    steps = tuple(step for step in _steps(stage) if not missed(step))
    runs = 0
    for number, step in enumerate(steps, start=1):
        progress(number, len(steps), f"{step.kind} {step.subject}")
        await asyncio.to_thread(_let_the_world_act, stage, step.moment)
        for _ in range(2 if twice else 1):
            await run_step(step.kind, stage.key, step.moment)
            runs += 1
    if twice:
        before = dict(stage.world.post_office.counts)
        for step in steps:
            await run_step(step.kind, stage.key, step.moment)
            runs += 1
        after = dict(stage.world.post_office.counts)
        again = _check(
            f"A second pass over the whole month sent nothing: the post office still has {after['from_office']} mails.",
            expected=before,
            found=after,
            look="muster mails: the last ones planned",
        )
    checks = [*await asyncio.to_thread(_checks, stage), *([again] if twice else [])]
    papers = await asyncio.to_thread(_draft_papers, stage, steps[-1].moment)
    with premises().ledger.reading() as session:
        accounts = accounts_of(session, stage.key)
    reports = premises().reports / stage.key
    return Rehearsed(
        accounts=accounts,
        checks=tuple(checks),
        workbook=_newest(reports, ".xlsx"),
        summary=_newest(reports, ".docx"),
        papers=papers,
        runs=runs,
    )


def _steps(stage: Stage) -> tuple[Step, ...]:
    """Return the timetable, with a launch of its own for the newcomer on the day it joins."""
    steps = list(stage.book.steps)
    if stage.newcomer is not None:
        joins = joins_at(stage)
        later = next((i for i, s in enumerate(steps) if s.moment > joins), len(steps))
        steps.insert(later, Step(kind=StepKind.LAUNCH, moment=joins, subject=f"新增单位 {stage.newcomer.name}"))
    return tuple(steps)


def joins_at(stage: Stage) -> datetime:
    """Return when the newcomer joins."""
    day = stage.book.launch_at.astimezone(stage.book.zone).date() + timedelta(days=JOINS_AFTER_DAYS)
    return local_instant(day, stage.book.hours.send_at, stage.book.zone) + timedelta(hours=1)


def _let_the_world_act(stage: Stage, moment: datetime) -> None:
    """Move the world, then do what staff would have done meanwhile: note calls, agree to rungs, enrol the newcomer."""
    stage.world.advance_to(moment)
    staff_act(stage, moment)
    if stage.newcomer is not None and moment == joins_at(stage):
        enrol_newcomer(stage, moment)


def staff_act(stage: Stage, moment: datetime) -> None:
    """Do what waits for staff: note the calls, agree to the rungs."""
    house = premises()
    act = Act.now(OPERATOR, moment)
    while stage.world.calls:
        call = stage.world.calls.pop(0)
        with house.ledger.writing() as session:
            hand_in_on_behalf(
                session,
                house,
                act,
                stage.key,
                call.code,
                (IncomingFile(name=call.file.name.partition("-")[2], content=call.file.read_bytes()),),
                channel="phone",
                received_at=call.at,
                grounds="单位来电报送，由值班人员代为录入",
            )
    with house.ledger.writing() as session:
        for waiting in open_approvals(session):
            approve(session, house, act, waiting.occasion, grounds="名单已核对，同意发出", campaign=stage.key)


def enrol_newcomer(stage: Stage, moment: datetime) -> None:
    """Let the newcomer take part from a moment on."""
    if stage.newcomer is None:
        return
    with premises().ledger.writing() as session:
        join_unit(session, Act.now(OPERATOR, moment), stage.key, stage.newcomer, "新设单位，自本日起参加活动")


def _draft_papers(stage: Stage, moment: datetime) -> tuple[Path, ...]:
    """Draft the orders and the circulation that staff would be shown at the end, for people to open."""
    house, act = premises(), Act.now(OPERATOR, moment)
    with house.ledger.reading() as session:
        ahead = write_ahead(session, act, stage.key)
    with house.ledger.writing() as session:
        draft_orders(session, house, act, stage.key, ahead=ahead)
        with suppress(ValueError):  # nothing has fallen due
            draft_circulation(session, house, act, stage.key)
    return tuple(sorted((house.reports / stage.key / "papers").glob("*.docx")))


def _checks(stage: Stage) -> list[Check]:
    """Return what must hold, each from two sides that do not know each other where there are two."""
    house = premises()
    with house.ledger.reading() as session:
        accounts = accounts_of(session, stage.key)
        listed = len(ambiguous_mails(session, stage.book.zone))
    verdict = accounts.audit
    return [
        *_counts_of_mail(accounts, stage.world.post_office.counts, listed),
        _check(
            f"Every unit was told of the launch: {sum(line.units for line in accounts.lines)} units.",
            expected="no unit left out",
            found="、".join(accounts.untold) or "no unit left out",
            look="muster mails --unit CODE --notice launch",
        ),
        _check(
            "No unit was chased for what it had reported before.",
            expected=0,
            found=accounts.chased_after_report,
            look="muster mails --notice reminder, and muster audit UNIT",
        ),
        _check(
            f"The audit trail verifies: {verdict.entries} entries, each fitting the one before.",
            expected="no fault",
            found=verdict.fault or "no fault",
            look="muster audit --verify",
        ),
        *_recounts(stage, house.reports / stage.key),
    ]


def _counts_of_mail(accounts: Accounts, counted: Mapping[str, int], listed: int) -> list[Check]:
    """Compare the post office's counts with the ledger's."""
    states, sent = accounts.messages, accounts.taken_by_relay
    taken, lost, doubtful = counted.get("from_office", 0), counted.get("lost", 0), states.get("ambiguous", 0)
    waiting = {state: n for state, n in states.items() if state in ("planned", "claimed", "deferred", "held")}
    return [
        _check(
            f"The post office took {taken} mails; by the ledger it took {sent}, and {doubtful} more may have left.",
            expected=taken,
            found=sent + doubtful,
            look="the folder mails/ beside muster mails",
        ),
        _check(
            f"Mails after whose final dot the post office hung up: {lost}; listed for staff, not sent again: {listed}.",
            expected={"may have left": lost, "listed": lost},
            found={"may have left": doubtful, "listed": listed},
            look="muster queue, and muster mails --state ambiguous",
        ),
        _check(
            "No address got the same notice twice on one occasion.",
            expected=0,
            found=accounts.said_twice,
            look="muster mails --state sent, the columns occasion and address",
        ),
        _check(
            f"Each of {sum(states.values())} mails written has come to an end; none still waits to be sent.",
            expected={},
            found=waiting,
            look="muster mails --state STATE, and muster lanes",
        ),
    ]


def _recounts(stage: Stage, reports: Path) -> list[Check]:
    """Compare the totals in the workbook with a recount from the files that the units sent."""
    workbook = _newest(reports, ".xlsx")
    checks = []
    for deliverable in stage.book.campaign.deliverables:
        form = stage.book.campaign.form_of(deliverable)
        statistics = form is not None and any(c.title == "统计内容" for c in form.columns)
        if workbook is None or deliverable.kind is not DeliverableKind.FORM or form is None or not statistics:
            continue
        counted = recount(stage.world.sent, deliverable.title)
        printed = read_lines(workbook, "合计", sheet=f"{form.title}汇总")
        sentence = (
            f"{deliverable.title}: the workbook's totals are what a recount from the units' files gives: "
            f"{len(counted)} lines, {sum(counted.values())} in all."
        )
        look = f"sheet {form.title}汇总 of the workbook, and handed-in/"
        differing = sorted(line for line in counted | printed if counted.get(line) != printed.get(line))
        expected = {"/".join(line): counted.get(line) for line in differing}
        found = {"/".join(line): printed.get(line) for line in differing}
        checks.append(_check(sentence, expected=expected, found=found, look=look))
    return checks


def _check(name: str, *, expected: object, found: object, look: str) -> Check:
    return Check(
        name=name, holds=found == expected, expected=f"{expected}"[:SHOWN], found=f"{found}"[:SHOWN], look=look
    )


def _newest(folder: Path, suffix: str) -> Path | None:
    found = sorted(folder.glob(f"*{suffix}"), key=lambda p: p.name) if folder.is_dir() else []
    return found[-1] if found else None
