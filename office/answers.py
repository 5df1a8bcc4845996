"""The answer to a hand-in: what was recorded of it, with every finding in sentences."""

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from documents.sniff import FileKind
from ledger.decisions import state_changes, was_closed
from ledger.facts import load_obligations
from ledger.tables import AnswerRow, DeliverableRow, FileRow, FindingRow, IntakeRow, ObligationRow, SubmissionRow
from office import wording
from office.letters import Answer, AnswerLine, FindingLine
from office.premises import Premises
from office.rulebook import Rulebook
from rules.forms import Finding, Severity
from rules.obligations import Obligation, SubmissionState, counting_version

PARTS = ("problem", "remedy")
PAGE = "portal"  # the mailbox on record of what came in through the page, itself or before a colon
TYPED = "portal:form"  # the mailbox on record of a form typed on the page: whoever typed it has seen no sheet
SETTLED: Mapping[str, str] = wording.SETTLED
CELL_OF_OTHER = "（{other_cell}）"  # as the sentences of findings name the cell of another number
WITHOUT_CELL = re.compile(r"（[A-Z]{1,3}[1-9][0-9]{0,6}）")
SHOWN = 30  # findings in one mail; the rest are counted
SCANS = frozenset({FileKind.PDF})  # what a scan with the seal may be
STATES = {
    "accepted": "已接收",
    "submitted": "已收到，待办公室审核",
    "queried": "已登记，待核实",
    "returned": "退回，请更正后重报",
}


def answer_of(session: Session, premises: Premises, book: Rulebook, intake_id: int) -> Answer:
    """Return the answer to one mail, upload or hand-in on behalf."""
    intake = session.get_one(IntakeRow, intake_id)
    found = _handed_in(session, intake_id)
    known = _known(session, [obligation for _, obligation, _ in found])
    lines = tuple(
        _line(session, premises, book, submission, known[obligation.id], title)
        for submission, obligation, title in found
    )
    return Answer(
        lines=lines,
        problems=tuple(str(p) for p in intake.problems),
        by_page=intake.mailbox.partition(":")[0] == PAGE,
    )


def _handed_in(session: Session, intake_id: int) -> Sequence[tuple[SubmissionRow, ObligationRow, str]]:
    """Return the versions that came in by one mail or upload, with the title of each, in their order."""
    query = (
        select(SubmissionRow, ObligationRow, DeliverableRow.title)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(SubmissionRow.intake_id == intake_id)
        .order_by(SubmissionRow.id)
    )
    return [(submission, obligation, title) for submission, obligation, title in session.execute(query)]


def answer_of_submission(session: Session, premises: Premises, book: Rulebook, submission_id: int) -> Answer:
    """Return the answer that tells what became of one version."""
    submission = session.get_one(SubmissionRow, submission_id)
    obligation = session.get_one(ObligationRow, submission.obligation_id)
    title = session.get_one(DeliverableRow, obligation.deliverable_id).title
    known = _known(session, [obligation])[obligation.id]
    line = _line(session, premises, book, submission, known, title)
    return Answer(lines=(line,), by_page=submission.channel == PAGE)


def _known(session: Session, rows: Sequence[ObligationRow]) -> dict[int, Obligation]:
    """Return the facts by which obligations of one campaign are judged."""
    if not rows:
        return {}
    parties = {row.party_id for row in rows}
    return {ob.id: ob for ob in load_obligations(session, rows[0].campaign_id, party_ids=parties)}


def _line(
    session: Session,
    premises: Premises,
    book: Rulebook,
    submission: SubmissionRow,
    known: Obligation,
    title: str,
) -> AnswerLine:
    name = session.scalar(select(FileRow.name).where(FileRow.submission_id == submission.id))
    file_name = wording.NIL if name is None else name or "（未命名）"
    rows = session.scalars(
        select(FindingRow).where(FindingRow.submission_id == submission.id).order_by(FindingRow.id)
    ).all()
    weight = {"must": 0, "query": 1, "info": 2}
    rows = sorted(rows, key=lambda f: weight[f.severity])
    answered = answers_to(session, rows)
    typed = bool(typed_on_page(session, [submission]))
    return AnswerLine(
        title=title,
        version=submission.version,
        state=submission.state,
        state_text=STATES[submission.state],
        received_text=wording.moment_text(submission.received_at, book.zone),
        timely_text=wording.timely_text(known, submission.received_at) + _after_close(session, known, submission),
        file_name=file_name,
        findings=tuple(
            sentences_of(premises.finding_texts, f, answered.get(f.id), state=submission.state, typed=typed)
            for f in rows[:SHOWN]
        ),
        more_findings=max(0, len(rows) - SHOWN),
        note=instead_text(submission.version, submission.state, known),
        scan_text=_scan_text(session, book, known),
    )


def _scan_text(session: Session, book: Rulebook, known: Obligation) -> str:
    """Return whether the scan with the seal came among the versions that were not returned, where it is welcome."""
    if not book.campaign.deliverable(known.deliverable).sealed_scan:
        return ""
    query = (
        select(FileRow.kind)
        .join(SubmissionRow, SubmissionRow.id == FileRow.submission_id)
        .where(SubmissionRow.obligation_id == known.id, SubmissionRow.state != SubmissionState.RETURNED.value)
    )
    came = any(kind in SCANS for kind in session.scalars(query))
    return wording.SCAN[True] if came else wording.SCAN_MISSING


def instead_text(number: int, state: str, known: Obligation) -> str:
    """Return what counts instead of a version that was not taken: an earlier one stands as it stood."""
    counts = counting_version(known.versions)
    if state != SubmissionState.RETURNED or counts is None or counts.state is SubmissionState.RETURNED:
        return ""
    said = wording.INSTEAD.format(number=number, earlier=counts.number, state=STATES[counts.state])
    return said + (wording.INSTEAD_QUERIED if counts.state is SubmissionState.QUERIED else "")


def typed_on_page(session: Session, submissions: Sequence[SubmissionRow]) -> frozenset[int]:
    """Return which versions were typed into a form on the page."""
    query = (
        select(SubmissionRow.id)
        .join(IntakeRow, IntakeRow.id == SubmissionRow.intake_id)
        .where(SubmissionRow.id.in_([s.id for s in submissions]), IntakeRow.mailbox == TYPED)
    )
    return frozenset(session.scalars(query))


def _after_close(session: Session, known: Obligation, submission: SubmissionRow) -> str:
    """Return the mark of what came in after the campaign was closed."""
    campaign_id = session.get_one(ObligationRow, known.id).campaign_id
    closed = was_closed(state_changes(session, campaign_id), submission.received_at)
    return wording.AFTER_CLOSE if closed else ""


def finding_lines(
    texts: Mapping[str, Mapping[str, str]], findings: Sequence[FindingRow | Finding], *, typed: bool = False
) -> tuple[FindingLine, ...]:
    """Return findings in sentences; of a form that is ``typed`` on the page they name fields, not cells."""
    return tuple(sentences_of(texts, f, typed=typed) for f in findings)


def sentences_of(
    texts: Mapping[str, Mapping[str, str]],
    found: FindingRow | Finding,
    answer: AnswerRow | None = None,
    *,
    state: str = "",
    typed: bool = False,
) -> FindingLine:
    """Return a finding in sentences; of one that was answered, the answer stands in the place of the remedy.

    In a version whose ``state`` asks for nothing any more, no finding asks for anything either.
    """
    params = {"field": found.field, "read": found.read, **found.params}
    texts_of = texts[found.code]
    if typed:
        params |= {name: WITHOUT_CELL.sub("", str(value)) for name, value in found.params.items()}
        texts_of = {part: texts_of[part].replace(CELL_OF_OTHER, "") for part in PARTS}
    said = {part: texts_of[part].format(**params) for part in PARTS}
    remedy = said["remedy"] if answer is None else answer_text(answer)
    if answer is None and found.severity != Severity.INFO:
        remedy = SETTLED.get(state, remedy)
    return FindingLine(
        severity_text=wording.SEVERITY[found.severity],
        place="" if typed else "!".join(p for p in (found.sheet, found.cell) if p),
        field=found.field,
        problem=said["problem"],
        remedy=remedy,
    )


def answer_text(answer: AnswerRow) -> str:
    """Return what was answered to a query, as the unit reads it."""
    value = "" if answer.number is None else f"按 {answer.number:.15g} 计"
    return f"已核实：{'；'.join(part for part in (value, answer.text) if part)}。"


def answers_to(session: Session, findings: Sequence[FindingRow]) -> dict[int, AnswerRow]:
    """Return what was answered to findings, by finding."""
    query = select(AnswerRow).where(AnswerRow.finding_id.in_([f.id for f in findings]))
    return {answer.finding_id: answer for answer in session.scalars(query)}
