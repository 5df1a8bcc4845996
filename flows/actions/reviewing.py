"""Staff judge what was handed in: accepted, or returned to be mended."""

from datetime import date
from typing import Annotated

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import (
    DeliverableOrNumber,
    Occurrence,
    Reason,
    Submission,
    UnitOrNumber,
)
from ledger.review import find_submission
from ledger.tables import DeliverableRow, PartyRow, SubmissionRow
from office import review
from office.refusals import Mistaken
from office.units import find_version
from tasks.actions import Desk, Done

Mended = Annotated[
    date | None,
    Field(
        title="补正截止日期", description="如 2020-06-08（含当日）；可不填：原定时间未到的不变，已过的顺延几个工作日。"
    ),
]
ReasonsToMend = Annotated[
    str, Field(title="退回理由", description="哪里需要补正，几条之间用分号隔开；会逐条写进发给单位的邮件，并记入台账。")
]


@action(title="接收", description="审核通过一份报送件。单位会收到回执。")
def accept(
    desk: Desk,
    *,
    unit: UnitOrNumber = "",
    deliverable: DeliverableOrNumber = "",
    occurrence: Occurrence = "",
    submission: Submission = 0,
    reason: Reason,
) -> Done:
    """Accept a version."""
    version = _version(desk, unit, deliverable, occurrence, submission)
    review.accept(desk.session, desk.house, desk.act, version.id, reason)
    return Done(said=f"已接收{_named(desk, version)}。")


@action(
    title="退回",
    description="把一份报送件退回单位补正。单位会收到写明理由和补正时间的邮件，之后按新的时间提醒。",
)
def return_(
    desk: Desk,
    *,
    unit: UnitOrNumber = "",
    deliverable: DeliverableOrNumber = "",
    occurrence: Occurrence = "",
    submission: Submission = 0,
    due: Mended = None,
    reason: ReasonsToMend,
) -> Done:
    """Return a version with reasons."""
    version = _version(desk, unit, deliverable, occurrence, submission)
    reasons = reason.replace(";", "；").split("；")
    review.return_to_unit(desk.session, desk.house, desk.act, version.id, reasons=reasons, due=due)
    return Done(said=f"已退回{_named(desk, version)}。")


def _version(desk: Desk, unit: str, deliverable: str, occurrence: str, submission: int) -> SubmissionRow:
    """Return the version meant: by its number, or the latest of a unit for a material.

    Raises:
        Mistaken: neither is named, or the number is another unit's or campaign's.

    """
    if not submission:
        if not (unit and deliverable):
            raise Mistaken("which_submission", "name a submission, or unit and deliverable")
        return find_version(desk.session, desk.unit(unit), deliverable, occurrence or None)
    version, obligation = find_submission(desk.session, submission)
    if obligation.campaign_id != desk.row.id or (unit and desk.unit(unit).id != obligation.party_id):
        raise Mistaken("whose_submission", f"submission {submission} is not of {unit or desk.campaign}",
                       unit=unit or desk.campaign)  # fmt: skip
    return version


def _named(desk: Desk, version: SubmissionRow) -> str:
    _, obligation = find_submission(desk.session, version.id)
    unit = desk.session.get_one(PartyRow, obligation.party_id).name
    title = desk.session.get_one(DeliverableRow, obligation.deliverable_id).title
    return f"{unit}的《{title}》第{version.version}次报送（第{version.id}号报送件）"
