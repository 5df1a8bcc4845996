"""Verbs of review: a version judged anew, a finding answered, a due instant moved, waiting mails that fall with it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.decisions import withdraw_chase
from ledger.errors import UnknownFinding, UnknownSubmission
from ledger.events import note
from ledger.outbox import retire
from ledger.submissions import JUDGED, fitting
from ledger.tables import (
    AnswerRow,
    FigureRow,
    FileRow,
    FindingRow,
    MessageRow,
    MessageState,
    ObligationRow,
    SubmissionRow,
)
from ledger.tables.messages import WAITS
from rules.forms import Severity
from rules.obligations import SubmissionState

MOVED = "the due instant was moved"
TAKEN_BACK = "the judgement was taken back"


def find_submission(session: Session, submission_id: int) -> tuple[SubmissionRow, ObligationRow]:
    """Return a version and the obligation it answers.

    Raises:
        UnknownSubmission: there is none of that number.

    """
    submission = session.get(SubmissionRow, submission_id)
    if submission is None:
        raise UnknownSubmission(
            f"there is no submission {submission_id}; `muster versions UNIT DELIVERABLE` lists them"
        )
    return submission, session.get_one(ObligationRow, submission.obligation_id)


def find_finding(session: Session, finding_id: int) -> FindingRow:
    """Return a finding.

    Raises:
        UnknownFinding: there is none of that number.

    """
    finding = session.get(FindingRow, finding_id)
    if finding is None:
        raise UnknownFinding(f"there is no finding {finding_id}; `muster findings` lists those that wait")
    return finding


def versions_of(session: Session, obligation_id: int) -> list[SubmissionRow]:
    """Return the versions handed in for an obligation, the first one first."""
    query = select(SubmissionRow).where(SubmissionRow.obligation_id == obligation_id).order_by(SubmissionRow.version)
    return list(session.scalars(query))


def is_latest(session: Session, submission: SubmissionRow) -> bool:
    """Whether no later version took its place: one that was returned took nobody's."""
    query = select(func.max(SubmissionRow.version)).where(
        SubmissionRow.obligation_id == submission.obligation_id,
        SubmissionRow.state != SubmissionState.RETURNED.value,
    )
    return session.scalar(query) == submission.version


def files_of(session: Session, submission_id: int) -> list[FileRow]:
    """Return the files a version consists of."""
    return list(session.scalars(select(FileRow).where(FileRow.submission_id == submission_id).order_by(FileRow.id)))


def answer_to(session: Session, finding_id: int) -> AnswerRow | None:
    """Return what was answered to a finding, if anything was."""
    return session.scalar(select(AnswerRow).where(AnswerRow.finding_id == finding_id))


def open_queries(session: Session, submission_id: int) -> list[FindingRow]:
    """Return the queries of a version that nobody has answered yet."""
    query = select(FindingRow).where(
        FindingRow.submission_id == submission_id,
        FindingRow.severity == Severity.QUERY.value,
        ~exists().where(AnswerRow.finding_id == FindingRow.id),
    )
    return list(session.scalars(query.order_by(FindingRow.id)))


def record_answer(
    session: Session,
    act: Act,
    finding: FindingRow,
    obligation: ObligationRow,
    *,
    number: float | None,
    said: str,
) -> AnswerRow:
    """Record what was answered to a finding, and the figure where a number was given."""
    row = AnswerRow(
        finding_id=finding.id,
        actor=act.actor[:100],
        number=number,
        **fitting(AnswerRow, text=said),
        **written(act),
    )
    session.add(row)
    session.flush()
    before = _keep_figure(session, act, finding, number) if number is not None else None
    detail = {
        "finding": finding.id,
        "submission": finding.submission_id,
        "cell": f"{finding.sheet}!{finding.cell}",
        "read": finding.read,
        "number": number,
        "before": before,
        "text": row.text,
    }
    audit.append(
        session, act, "finding.answered", detail, campaign_id=obligation.campaign_id, party_id=obligation.party_id
    )
    return row


def _keep_figure(session: Session, act: Act, finding: FindingRow, number: float) -> float | None:
    """Record the figure of a finding's cell; return what it was before, if there was one."""
    of_cell = select(FigureRow).where(
        FigureRow.submission_id == finding.submission_id,
        FigureRow.row == finding.row,
        FigureRow.column == finding.column,
    )
    figure = session.scalars(of_cell.limit(1)).first()
    if figure is not None:
        before, figure.number = figure.number, number
        return before
    file_id = files_of(session, finding.submission_id)[0].id
    session.add(
        FigureRow(
            submission_id=finding.submission_id,
            file_id=file_id,
            row=finding.row,
            column=finding.column,
            number=number,
            sheet=finding.sheet,
            cell=finding.cell,
            **written(act),
        )
    )
    session.flush()
    return None


def judge(
    session: Session, act: Act, submission: SubmissionRow, obligation: ObligationRow, state: SubmissionState
) -> None:
    """Give a version another state, with its audit entry."""
    before, submission.state = submission.state, state.value
    session.flush()
    detail = {
        "submission": submission.id,
        "obligation": obligation.id,
        "version": submission.version,
        "before": before,
    }
    audit.append(
        session, act, f"submission.{state}", detail, campaign_id=obligation.campaign_id, party_id=obligation.party_id
    )
    told = {key: detail[key] for key in ("submission", "obligation", "version")} | {"channel": submission.channel}
    note(session, act, JUDGED[state], told, obligation.campaign_id)


def move_due(session: Session, act: Act, obligation: ObligationRow, due: datetime | None) -> int:
    """Give an obligation another due instant; return how many waiting chase mails had an item of the old one.

    The unit was just told, so reminders whose moment lies before that are not made up for. What waits to be sent
    with the old instant is withdrawn at once, and what goes on waiting is composed anew.
    """
    session.flush()
    withdrawn = 0
    if due != obligation.due_at:
        withdrawn = withdraw_chase(session, act, obligation.campaign_id, obligation_ids=[obligation.id], why=MOVED)
        session.expire_all()
        obligation.due_at = due
    obligation.chase_from = max(obligation.chase_from, act.as_of)
    session.flush()
    return withdrawn


def withdraw_told(session: Session, act: Act, obligation: ObligationRow, occasion: str) -> int:
    """Supersede what waits to be sent on the occasion of a judgement that was taken back; return how many that were."""
    session.flush()
    stands = select(MessageRow.id).where(
        MessageRow.campaign_id == obligation.campaign_id,
        MessageRow.party_id == obligation.party_id,
        MessageRow.occasion == occasion,
        text(WAITS),
    )
    waiting = list(session.scalars(stands))
    retire(session, act, obligation.campaign_id, dict.fromkeys(waiting, (MessageState.SUPERSEDED, TAKEN_BACK)))
    session.expire_all()
    return len(waiting)


def sources_of(session: Session, submission_ids: Sequence[int]) -> dict[int, dict[tuple[str, str], FigureRow]]:
    """Return the figures of several versions by row and column."""
    found: dict[int, dict[tuple[str, str], FigureRow]] = {id_: {} for id_ in submission_ids}
    for figure in session.scalars(select(FigureRow).where(FigureRow.submission_id.in_(submission_ids))):
        found[figure.submission_id][figure.row, figure.column] = figure
    return found
