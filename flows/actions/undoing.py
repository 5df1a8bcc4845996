"""Staff take a decision back."""

from typing import Annotated

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import ReasonForUnit
from ledger.decisions import find_decision
from office.refusals import Mistaken
from office.undoing import undo as take_back
from tasks.actions import Desk, Done

Number = Annotated[int, Field(title="决定编号", description="办理结果里写明的编号，也可用 `muster decisions` 查到。")]


@action(title="收回决定", description="收回此前的一项决定：它改动的一切恢复原样，收到过它的单位会另收到邮件。")
def undo(desk: Desk, *, decision: Number, reason: ReasonForUnit) -> Done:
    """Take a decision back by another."""
    if find_decision(desk.session, decision).campaign_id != desk.row.id:
        raise Mistaken("whose_decision", f"decision {decision} is not of {desk.campaign}", campaign=desk.campaign)
    take_back(desk.session, desk.house, desk.act, decision, reason)
    return Done(said=f"第{decision}号决定已收回。")
