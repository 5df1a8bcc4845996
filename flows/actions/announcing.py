"""Staff tell units something: looked at first, then sent."""

from typing import Annotated

from pydantic import Field

from flows.actions.action import action
from flows.actions.fields import Reason
from office.announcing import Announcement, Preview
from office.announcing import announce as send
from office.announcing import preview as look
from office.choosing import names_in
from office.views.pages import Markdown, plain
from tasks.actions import Desk, Done

SHOWN = 30  # units named in a preview
To = Annotated[
    str,
    Field(title="发给谁", description="“全部”，或类别（如 街镇），或单位代码、全称；几个之间用逗号隔开。"),
]
Subject = Annotated[str, Field(title="邮件标题", description="一行，60字以内。")]
Text = Annotated[str, Field(title="正文", description="单位看到的原文，可分段。")]
First = Annotated[
    bool,
    Field(title="先预览", description="勾选：只看发给谁、邮件怎样写，不发出；看过无误，取消勾选再运行一次，即发出。"),
]


@action(title="发通知", description="给一部分或全部单位发一份情况通知。请先预览，再发出。")
def announce(desk: Desk, *, to: To, subject: Subject, text: Text, preview: First = True, reason: Reason) -> Done:
    """Announce something to units, or show what announcing would do."""
    announcement = Announcement(subject=subject, text=text)
    whom = names_in(to)
    seen = look(desk.session, desk.house, desk.act, desk.campaign, announcement, to=whom)
    count = len(seen.units)
    if preview:
        return Done(said=f"预览：将发给 {count} 家单位，尚未发出。", shown=_shown(seen), drains=False, only_shown=True)
    send(desk.session, desk.house, desk.act, desk.campaign, announcement, to=whom, grounds=reason)
    return Done(said=f"已向 {count} 家单位发出通知“{subject}”。")


def _shown(seen: Preview) -> Markdown:
    names = "、".join(plain(f"{unit.code} {unit.name}") for unit in seen.units[:SHOWN])
    more = f"，另有 {len(seen.units) - SHOWN} 家" if len(seen.units) > SHOWN else ""
    fence = "`" * 4
    text = seen.mail.text.replace(fence, "'" * 4)  # of the mail's own text nothing ends the block
    return Markdown(
        f"**将发给**（{len(seen.units)} 家）：{names}{more}。\n\n"
        f"**标题**：{plain(seen.mail.subject)}\n\n{fence}text\n{text}\n{fence}\n\n"
        "无误后，取消勾选“先预览”再运行一次，即发出。"
    )
