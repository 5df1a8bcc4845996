"""Alarm: the operators hear of runs that failed, died or did not begin, by a mail of our own."""

from prefect import flow

from flows.deliver import drain_outbox
from flows.running import FLOWS
from tasks.alarms import tell_of_broken_runs
from tasks.desk import moment_of
from tasks.turns import take_over

TITLE = "告警"
DESCRIPTION = (
    "**告警**\n\n查看最近失败、超时、进程中断或未按时开始的运行，把尚未告知的用邮件告知值守人员，每个流程每天至多一封。"
    "由事件自动触发，也可随时手动运行；没有新情况时不发邮件。"
)
# What operators are told of. Not the alarm itself, which would go round in circles; nor what staff fill in forms for:
# a wrong date there ends in a failed run too, and who filled it in reads why.
WATCHED = (*FLOWS, "reconcile", "tell_approvers")


@flow(name="alarm", flow_run_name=TITLE, persist_result=False)
async def alarm() -> dict[str, int]:
    """Tell of what broke and was not told, and send it; return how many runs were told in which campaign's name.

    It looks for itself what broke, so that one run tells of all that broke at once, and a second run of nothing.
    """
    await take_over()
    moment = moment_of(None)
    told = await tell_of_broken_runs(WATCHED, moment)
    for campaign in told:
        await drain_outbox(campaign, moment)
    return told
