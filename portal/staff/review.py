"""A version: looked at, its queries answered, accepted, returned, taken up again; its files."""

from dataclasses import replace
from datetime import date

from sqlalchemy import select

from ledger.review import find_finding, find_submission
from ledger.tables import FileRow
from office.confirming import is_proposed, proposed_value
from office.review import accept, confirm_finding, reopen, return_to_unit
from office.staff_accounts import Role
from office.staff_views import seen_of, view_submission
from portal.forms import Sent
from portal.pages import Download, GoTo, Page
from portal.staff.visit import (
    Deed,
    Look,
    NotFilledError,
    NothingThereError,
    Shown,
    StaffVisit,
    filled,
    grounds_in,
    unchanged,
)
from rules.numbers import NumberKind, read_number

MOST_REASONS = 10


def _submission(visit: StaffVisit) -> Page:
    view = view_submission(visit.session, visit.premises, visit.number, visit.act)
    return Page(template="staff/submission.html", context={"v": view, "said": visit.said, "typed": visit.typed})


def _look_unchanged(visit: StaffVisit, sent: Sent) -> None:
    submission, obligation = find_submission(visit.session, visit.number)
    unchanged(sent, seen_of(visit.session, submission, obligation))


def _accept(visit: StaffVisit, sent: Sent) -> GoTo:
    _look_unchanged(visit, sent)
    accept(visit.session, visit.premises, visit.act, visit.number, grounds_in(sent))
    return GoTo(path=f"/s/{visit.number}?said=accepted")


def _return(visit: StaffVisit, sent: Sent) -> GoTo:
    _look_unchanged(visit, sent)
    text = filled(sent, "reasons", "请写明退回原因，单位会在邮件中读到。")
    reasons = [line.strip() for line in text.splitlines() if line.strip()][:MOST_REASONS]
    due = day_in(sent, "due") if sent.get("due") else None
    return_to_unit(visit.session, visit.premises, visit.act, visit.number, reasons=reasons, due=due)
    return GoTo(path=f"/s/{visit.number}?said=returned")


def _reopen(visit: StaffVisit, sent: Sent) -> GoTo:
    _look_unchanged(visit, sent)
    reopen(visit.session, visit.premises, visit.act, visit.number, grounds_in(sent))
    return GoTo(path=f"/s/{visit.number}?said=reopened")


def day_in(sent: Sent, name: str) -> date:
    """Return a day in a form.

    Raises:
        NotFilledError: it is none.

    """
    try:
        return date.fromisoformat(filled(sent, name, "请填写日期。"))
    except ValueError:
        raise NotFilledError("没有认出日期，请写成 2020-06-16 的样式。") from None


def _of_finding(visit: StaffVisit) -> StaffVisit:
    finding = find_finding(visit.session, visit.number)
    return replace(visit, named={**visit.named, "number": str(finding.submission_id)})


def _submission_of_finding(visit: StaffVisit) -> Page:
    return _submission(_of_finding(visit))


def _finding(visit: StaffVisit) -> GoTo:
    return GoTo(path=f"/s/{_of_finding(visit).number}#q{visit.number}")


def _confirm(visit: StaffVisit, sent: Sent) -> Shown:
    """Answer a query: only the button that names the proposed value takes it; else a number, or the grounds alone."""
    finding = find_finding(visit.session, visit.number)
    said = filled(sent, "grounds", "请写明向谁核实、对方怎么说；单位会在回执中读到。")
    given = None
    if sent.get("confirm"):
        if not is_proposed(finding, sent.get("confirm")):
            raise NotFilledError("建议的数值已经变化，请看过再定。")
        given = proposed_value(finding)
    elif sent.get("value"):
        read = read_number(sent.get("value"))
        if read.value is None or read.kind not in (NumberKind.EXACT, NumberKind.NORMALISED):
            raise NotFilledError("数值请填准确的阿拉伯数字；不能确定的，在说明中写明情况。")
        given = float(read.value)
    confirm_finding(visit.session, visit.premises, visit.act, visit.number, number=given, text=said)
    return GoTo(path=f"/s/{finding.submission_id}?said=confirmed")


def _file(visit: StaffVisit) -> Download:
    """Hand out a file of a version; where it lies is known by its hash alone."""
    of_version = (FileRow.id == visit.number, FileRow.submission_id.is_not(None))
    row = visit.session.scalar(select(FileRow).where(*of_version))
    if row is None:
        raise NothingThereError
    try:
        return Download(name=row.name or "file", content=visit.premises.files.get(row.sha256))
    except FileNotFoundError:
        raise NothingThereError from None


LOOKS = (
    Look(path="/s/{number}", show=_submission),
    Look(path="/q/{number}", show=_finding),
    Look(path="/f/{number}", show=_file),
)
DEEDS = (
    Deed(path="/s/{number}/accept", do=_accept, back=_submission, role=Role.OPERATOR),
    Deed(path="/s/{number}/return", do=_return, back=_submission, role=Role.OPERATOR),
    Deed(path="/s/{number}/reopen", do=_reopen, back=_submission, role=Role.OPERATOR),
    Deed(path="/q/{number}", do=_confirm, back=_submission_of_finding, role=Role.OPERATOR),
)
