"""Staff put on record what came by another way: a sealed original on paper, a nil return by telephone."""

from typing import Annotated

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import CHANNELS, Channel, Deliverable, Occurrence, Reason, Received, Unit
from office import nil, paper
from office.refusals import Mistaken
from office.units import find_deliverable, find_obligation
from tasks.actions import Desk, Done

Way = Annotated[Channel, Field(title="告知方式", description="单位用什么方式告知的。")]


@action(title="登记纸质件", description="登记收到了某单位某项材料的盖章纸质件。不发邮件。")
def record_paper(
    desk: Desk,
    *,
    unit: Unit,
    deliverable: Deliverable,
    received: Received,
    occurrence: Occurrence = "",
    reason: Reason,
) -> Done:
    """Record that the sealed original of something came."""
    party = desk.unit(unit)
    obligation = find_obligation(desk.session, party, deliverable, occurrence or None)
    paper.record_original(desk.session, desk.act, obligation, desk.instant(received), reason)
    title = find_deliverable(desk.session, party, deliverable).title
    return Done(said=f"已登记收到{party.name}《{title}》的纸质件。")


@action(title="登记零报告", description="某单位来电、来人或来函说明没有可报的内容，代为登记零报告。单位会收到回执。")
def record_nil(
    desk: Desk,
    *,
    unit: Unit,
    deliverable: Deliverable,
    received: Received,
    channel: Way = "电话",
    occurrence: Occurrence = "",
    reason: Reason,
) -> Done:
    """Record that a unit has nothing to report."""
    party = desk.unit(unit)
    title = find_deliverable(desk.session, party, deliverable).title
    taken = nil.nil_on_behalf(
        desk.session,
        desk.house,
        desk.act,
        party,
        deliverable,
        channel=CHANNELS[channel],
        received_at=desk.instant(received),
        grounds=reason,
        occurrence=occurrence or None,
    )
    if not taken.recorded:
        raise Mistaken("nil_before", f"{party.code} had handed in that nil return before", unit=party.name)
    return Done(said=f"已登记{party.name}《{title}》的零报告。")
