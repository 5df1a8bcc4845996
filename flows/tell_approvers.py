"""Tell approvers: an extension was asked for after the day's digest had gone."""

from datetime import datetime

from prefect import flow

from flows.deliver import drain_outbox
from tasks.alarms import tell_of_requests
from tasks.desk import moment_of
from tasks.turns import take_over

TITLE = "提醒审批人"
DESCRIPTION = (
    "**提醒审批人**\n\n单位在今天的待办邮件发出之后申请延期的，另发一封邮件提醒审批人，一小时至多一封。"
    "由事件自动触发；没有新的申请时不发邮件。"
)


@flow(name="tell_approvers", flow_run_name=TITLE + " · {campaign}", persist_result=False)
async def tell_approvers(campaign: str, as_of: datetime | None = None) -> bool:
    """Write to the approvers if there is something they have not been told, and send it; return whether there was."""
    await take_over()
    moment = moment_of(as_of)
    told = await tell_of_requests(campaign, moment)
    if told:
        await drain_outbox(campaign, moment)
    return told
