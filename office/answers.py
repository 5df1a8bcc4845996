"""The answer to a hand-in: what was recorded of it, with every finding in sentences."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables import DeliverableRow, FileRow, FindingRow, IntakeRow, ObligationRow, SubmissionRow
from office import wording
from office.letters import Answer, AnswerLine, FindingLine
from office.premises import Premises
from office.rulebook import Rulebook

SHOWN = 30  # findings in one mail; the rest are counted
STATES = {"accepted": "已接收", "queried": "已登记，待核实", "returned": "退回，请更正后重报"}


def answer_of(session: Session, premises: Premises, book: Rulebook, intake_id: int) -> Answer:
    """Return the answer to one mail, upload or hand-in on behalf."""
    intake = session.get_one(IntakeRow, intake_id)
    query = (
        select(SubmissionRow, ObligationRow, DeliverableRow.title)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(SubmissionRow.intake_id == intake_id)
        .order_by(SubmissionRow.id)
    )
    lines = tuple(
        _line(session, premises, book, submission, obligation, title)
        for submission, obligation, title in session.execute(query)
    )
    return Answer(lines=lines, problems=tuple(str(p) for p in intake.problems))


def _line(
    session: Session,
    premises: Premises,
    book: Rulebook,
    submission: SubmissionRow,
    obligation: ObligationRow,
    title: str,
) -> AnswerLine:
    name = session.scalar(select(FileRow.name).where(FileRow.submission_id == submission.id))
    file_name = wording.NIL if name is None else name or "（未命名）"
    rows = session.scalars(
        select(FindingRow).where(FindingRow.submission_id == submission.id).order_by(FindingRow.id)
    ).all()
    weight = {"must": 0, "query": 1, "info": 2}
    rows = sorted(rows, key=lambda f: weight[f.severity])
    timely = ""
    if obligation.due_at is not None:
        timely = "按时" if submission.received_at < obligation.due_at else "已过截止时间，按迟报登记"
    return AnswerLine(
        title=title,
        version=submission.version,
        state=submission.state,
        state_text=STATES[submission.state],
        received_text=wording.moment_text(submission.received_at, book.zone),
        timely_text=timely,
        file_name=file_name,
        findings=finding_lines(premises.finding_texts, rows[:SHOWN]),
        more_findings=max(0, len(rows) - SHOWN),
    )


def finding_lines(texts: Mapping[str, Mapping[str, str]], findings: Sequence[FindingRow]) -> tuple[FindingLine, ...]:
    """Return findings in sentences."""
    return tuple(
        FindingLine(
            severity_text=wording.SEVERITY[f.severity],
            place="!".join(p for p in (f.sheet, f.cell) if p),
            field=f.field,
            problem=texts[f.code]["problem"].format(field=f.field, read=f.read, **f.params),
            remedy=texts[f.code]["remedy"].format(field=f.field, read=f.read, **f.params),
        )
        for f in findings
    )
