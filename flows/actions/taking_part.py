"""Staff over who takes part: a unit joins a running campaign, or leaves it."""

from typing import Annotated

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import Reason, ReasonForUnit, Unit
from office import launching, leaving
from office.planning import plan_step
from rules.timetable import StepKind
from tasks.actions import Desk, Done

Code = Annotated[str, Field(title="新单位代码", description="如 BH099，不能与已有的重复。")]
Name = Annotated[str, Field(title="新单位全称", description="邮件和表格里的名称。")]
Category = Annotated[str, Field(title="类别", description="活动已有的类别之一，如 街镇。")]
Superior = Annotated[str, Field(title="上级单位代码", description="没有上级的填 OFFICE。")]
Email = Annotated[str, Field(title="值班邮箱", description="通知和提醒写往的邮箱。")]
Phone = Annotated[str, Field(title="值班电话", description="如 022-12345678；可不填。")]


@action(
    title="增加单位",
    description="让一家单位加入进行中的活动。启动通知随即发给它，已到期的材料按加入者的期限报送。",
)
def add_unit(
    desk: Desk,
    *,
    code: Code,
    name: Name,
    category: Category,
    email: Email,
    superior: Superior = "OFFICE",
    phone: Phone = "",
    reason: Reason,
) -> Done:
    """Let a unit join the campaign."""
    unit = launching.newcomer(code, name, category=category, superior=superior, email=email, phone=phone)
    owed = launching.join_unit(desk.session, desk.act, desk.campaign, unit, reason)
    plan_step(desk.session, desk.house, desk.act, desk.campaign, StepKind.LAUNCH)
    return Done(said=f"{name}（{code}）已加入，应报材料 {len(owed)} 项，启动通知随即发出。")


@action(
    title="单位退出",
    description="让一家单位退出活动：不再提醒，未到期的不计入报送率，已到期的仍计。单位会收到邮件。办错了可收回。",
)
def remove_unit(desk: Desk, *, unit: Unit, reason: ReasonForUnit) -> Done:
    """Let a unit leave the campaign."""
    party = desk.unit(unit)
    leaving.leave(desk.session, desk.house, desk.act, party, reason)
    return Done(said=f"{party.name}（{party.code}）已退出活动。")
