"""Staff over mail: one written anew, sending stopped and let go on."""

from typing import Annotated, Literal

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import Mail, Reason
from ledger.outbox import find_message
from ledger.tables import PartyRow
from office import settling, stops
from office.refusals import Mistaken
from tasks.actions import Desk, Done

CAMPAIGN, LANE, ALL = "本活动的邮件", "某一通道的邮件", "全部邮件"
Scope = Annotated[
    Literal["本活动的邮件", "某一通道的邮件", "全部邮件"],
    Field(title="范围", description="停发或恢复哪些邮件；“全部邮件”包括所有活动。"),
]
Lane = Annotated[str, Field(title="通道", description="通道名称，`muster lanes` 列出；范围选“某一通道的邮件”时才填。")]


@action(title="重发邮件", description="把已发出、被退回或被拒收的一封邮件按最新情况重写一份，发给目前首选的联系人。")
def resend(desk: Desk, *, mail: Mail, reason: Reason) -> Done:
    """Write a mail anew."""
    message = find_message(desk.session, mail)
    if message.campaign_id != desk.row.id:
        raise Mistaken("whose_mail", f"mail {mail} is not of {desk.campaign}", campaign=desk.campaign)
    planned = settling.resend(desk.session, desk.house, desk.act, mail, reason)
    unit = desk.session.get_one(PartyRow, planned.party_id).name
    if settling.will_be_superseded(desk.session, planned):
        return Done(said=f"第{mail}号邮件已重写，但{unit}已经办完所说事项，不会再发出。")
    return Done(said=f"第{mail}号邮件已重写为第{planned.id}号，发给{unit}。")


@action(title="停发邮件", description="立即停止发信：本活动、某一通道，或者全部。等待发出的邮件继续等待。")
def hold(desk: Desk, *, scope: Scope = "本活动的邮件", lane: Lane = "", reason: Reason) -> Done:
    """Stop sending in a scope."""
    named = _scope(desk, scope, lane)
    if not stops.hold(desk.session, desk.act, named, reason):
        raise Mistaken("held_already", f"{named} was on hold already")
    return Done(said=f"已停发{stops.scope_in_words(named)}，恢复请用“恢复发信”。", drains=False)


@action(title="恢复发信", description="恢复被停发的邮件：本活动、某一通道，或者全部。停发几次，各自恢复。")
def release(desk: Desk, *, scope: Scope = "本活动的邮件", lane: Lane = "", reason: Reason) -> Done:
    """Let sending go on in a scope."""
    named = _scope(desk, scope, lane)
    again = stops.release(desk.session, desk.act, named, reason)
    back = f"，其中 {again} 封曾被拒收的重新等待发出" if again else ""
    return Done(said=f"已恢复{stops.scope_in_words(named)}{back}。", everywhere=scope != CAMPAIGN)


def _scope(desk: Desk, scope: str, lane: str) -> str:
    """Return what a stop is about.

    Raises:
        Mistaken: it is a lane, and none is named, or one that does not exist.

    """
    if scope == LANE and not lane:
        known = [one.name for one in desk.house.lanes]
        raise Mistaken("which_lane", f"name a lane: {', '.join(known)}", known="、".join(known))
    campaign = desk.campaign if scope == CAMPAIGN else None
    return stops.scope_of(desk.session, desk.house, campaign, lane if scope == LANE else None)
