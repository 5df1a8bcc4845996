"""Staff over a whole campaign: paused, resumed, closed before its day."""

from flows.actions.action import action
from flows.actions.fields import Reason
from office import pausing
from tasks.actions import Desk, Done


@action(title="暂停活动", description="暂停整个活动：不再提醒和催办，群发邮件等待；回执照发，报送照收。")
def pause(desk: Desk, *, reason: Reason) -> Done:
    """Pause the campaign."""
    pausing.pause(desk.session, desk.act, desk.campaign, reason)
    return Done(said=f"“{desk.row.title}”已暂停，恢复请用“恢复活动”。")


@action(title="恢复活动", description="恢复已暂停的活动。暂停期间到期的事项，每家单位至多补发最近的一次提醒。")
def resume(desk: Desk, *, reason: Reason) -> Done:
    """Resume the campaign."""
    pausing.resume(desk.session, desk.act, desk.campaign, reason)
    return Done(said=f"“{desk.row.title}”已恢复。")


@action(
    title="结束活动", description="提前结束整个活动：不再提醒和催办，每家单位会收到办结通知；之后的补报照收并注明。"
)
def close(desk: Desk, *, reason: Reason) -> Done:
    """Close the campaign before its day."""
    pausing.close(desk.session, desk.house, desk.act, desk.campaign, reason)
    return Done(said=f"“{desk.row.title}”已结束。")
