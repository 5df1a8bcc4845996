"""Staff answer what units ask for: another deadline, another contact."""

from datetime import date
from typing import Annotated

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import Reason, ReasonForUnit, Request
from ledger.requests import find_request
from ledger.tables import PartyRow, RequestRow
from office import requests
from office.refusals import Mistaken
from tasks.actions import Desk, Done

Until = Annotated[
    date | None, Field(title="另定日期", description="延期申请同意到另一天时才填，如 2020-06-08；不填即按申请的日期。")
]


@action(title="同意申请", description="同意单位的延期或变更联系人申请。单位会收到邮件，提醒按新的时间进行。")
def grant(desk: Desk, *, request: Request, until: Until = None, reason: Reason) -> Done:
    """Grant a request."""
    asked = _asked(desk, request)
    requests.grant(desk.session, desk.house, desk.act, request, grounds=reason, until=until)
    return Done(said=f"已同意{_whose(desk, asked)}的第{request}号申请。")


@action(title="不同意申请", description="不同意单位的申请。单位会收到写明理由的邮件，仍以原时间或原联系人为准。")
def refuse(desk: Desk, *, request: Request, reason: ReasonForUnit) -> Done:
    """Refuse a request."""
    asked = _asked(desk, request)
    requests.refuse(desk.session, desk.house, desk.act, request, grounds=reason)
    return Done(said=f"没有同意{_whose(desk, asked)}的第{request}号申请。")


def _asked(desk: Desk, number: int) -> RequestRow:
    request = find_request(desk.session, number)
    if request.campaign_id != desk.row.id:
        raise Mistaken("whose_request", f"request {number} is not of {desk.campaign}", campaign=desk.campaign)
    return request


def _whose(desk: Desk, request: RequestRow) -> str:
    return desk.session.get_one(PartyRow, request.party_id).name
