"""Staff agree, or not, to a rung of the ladder that goes out only with their consent."""

from datetime import date
from typing import Annotated

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import Occasion, Reason, day_text
from office import approvals
from tasks.actions import Desk, Done

Again = Annotated[
    date | None, Field(title="再次提请日期", description="到哪一天再提请审批，如 2020-06-20；可不填，为下一个工作日。")
]


@action(title="同意催办", description="同意一批等待审批的催办发出。清单上这时已经办完的，不再发出。")
def approve(desk: Desk, *, occasion: Occasion = "", reason: Reason) -> Done:
    """Let a rung go out."""
    named = approvals.occasion_meant(desk.session, desk.campaign, occasion)
    done = approvals.approve(desk.session, desk.house, desk.act, named, grounds=reason, campaign=desk.campaign)
    left = f"，清单上另有 {done.left_out} 项已经办完" if done.left_out else ""
    return Done(said=f"已同意（{named}），发出催办邮件 {done.mails} 份{left}。")


@action(title="不同意催办", description="一批等待审批的催办暂不发出，上面各级也随之等待；到期再提请审批。")
def decline(desk: Desk, *, occasion: Occasion = "", until: Again = None, reason: Reason) -> Done:
    """Keep a rung from going out."""
    named = approvals.occasion_meant(desk.session, desk.campaign, occasion)
    again = approvals.decline(desk.session, desk.act, named, grounds=reason, until=until, campaign=desk.campaign)
    return Done(said=f"暂不发出（{named}），{day_text(again.astimezone(desk.zone).date())}起再提请审批。")
