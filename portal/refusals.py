"""What a visitor is told when something cannot be done: what happened, whether anything was received, what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from office.composing import contact_lines
from office.links import LinkState, Opened
from office.rulebook import Rulebook, rulebook_of
from portal.forms import Sent
from portal.pages import Page
from rules.forms import Form


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A heading, what to do, and the status of the answer."""

    status: int
    heading: str
    remedy: str


NOTHING = "刚才提交的内容没有收到，也没有登记。"
REFUSAL = {
    "missing": Refusal(status=404, heading="没有找到这个页面", remedy="请从邮件中的链接重新打开本单位的报送页面。"),
    "method": Refusal(status=405, heading="不能这样打开这个页面", remedy="请从邮件中的链接重新打开本单位的报送页面。"),
    "too_often": Refusal(status=429, heading="操作过于频繁，请稍候", remedy=f"{NOTHING}请等一分钟后再试。"),
    "too_large": Refusal(
        status=413,
        heading="文件太大，没有收到",
        remedy=f"{NOTHING}一次上传的文件合计不能超过 {{most}} MB。"
        "请压缩图片或视频，分几次上传；仍有困难请与办公室联系。",
    ),
    "broken_form": Refusal(
        status=400,
        heading="没有收到",
        remedy=f"{NOTHING}可能是网络中断，或一次上传的文件超过 {{most}} 个。请返回重新提交。",
    ),
    "stale": Refusal(
        status=403,
        heading="页面打开时间过长，请再确认一次",
        remedy=f"{NOTHING}为防止他人冒用，本次提交需要再确认一次。",
    ),
    "not_possible": Refusal(status=409, heading="没有办理", remedy="{said}"),
    "not_received": Refusal(
        status=503,
        heading="系统暂时繁忙，没有收到",
        remedy=f"{NOTHING}请稍候一两分钟再试；临近截止时间仍不成功的，请直接回复邮件报送，或与办公室联系。",
    ),
    "out_of_order": Refusal(
        status=503,
        heading="系统暂时繁忙，页面打不开",
        remedy="请稍候一两分钟再打开。临近截止时间的，请直接回复邮件报送。",
    ),
}
DOOR = {
    LinkState.UNKNOWN: Refusal(
        status=404,
        heading="链接无效",
        remedy="链接可能没有复制完整。请从最近一封邮件中重新打开，或把整个网址完整地复制到浏览器。",
    ),
    LinkState.EXPIRED: Refusal(
        status=410,
        heading="链接已经过期",
        remedy="本次活动的报送页面已经关闭。需要补报或更正的，请与办公室联系，或直接回复活动邮件。",
    ),
    LinkState.REVOKED: Refusal(
        status=410,
        heading="链接已经停用",
        remedy="链接已由办公室停用，或贵单位已不在本次活动的报送单位之列。"
        "请使用停用之后收到的邮件中的链接；没有新链接或有疑问的，请与办公室联系。",
    ),
}


FIELDS = {
    "until": "申请延期至",
    "promised": "预计报送日期",
    "reason": "理由",
    "role": "联系人类别",
    "name": "姓名",
    "address": "邮箱",
    "phone": "电话",
    "text": "说明",
    "number": "数值",
}


def refusal(
    why: str,
    sent: Sent,
    *,
    book: Rulebook | None = None,
    retry: Mapping[str, Any] | None = None,
    most: int = 0,
    said: str = "",
    back: Sequence[tuple[str, str]] = (),
) -> Page:
    """Return the page that says why something was not done."""
    found = REFUSAL[why]
    return _page(found, found.remedy.format(most=most, said=said), sent, book=book, retry=retry, back=back)


def closed_door(opened: Opened, sent: Sent, *, posted: bool = False) -> Page:
    """Return the page for a link that does not hold. Only of a link that we once signed is the office named."""
    said = DOOR[opened.state]
    book = rulebook_of(opened.campaign) if opened.campaign is not None else None
    return _page(said, said.remedy + (NOTHING if posted else ""), sent, book=book)


def ways_back(path: str, link: str) -> list[tuple[str, str]]:
    """Return where a unit goes on after a form that was sent to a path could not be taken."""
    home = f"/u/{link}"
    affair = "/".join(path.split("/")[:5]) if path.startswith((f"{home}/o/", f"{home}/v/")) else ""
    return [*([(affair, "返回刚才办理的材料")] if affair else []), (home, "返回报送页面")]


def _page(
    said: Refusal,
    remedy: str,
    sent: Sent,
    *,
    book: Rulebook | None,
    retry: Mapping[str, Any] | None = None,
    back: Sequence[tuple[str, str]] = (),
) -> Page:
    context = {
        "heading": said.heading,
        "remedy": remedy,
        "typed": named(book, sent),
        "files": [file.name for file in sent.files],
        "retry": retry,
        "back": back,
        "contact": contact_lines(book.campaign) if book is not None else None,
    }
    return Page(template="refusal.html", context=context, status=said.status)


def named(book: Rulebook | None, sent: Sent) -> list[tuple[str, str]]:
    """Return what was typed with the names a person knows it by, as far as they are known."""
    typed = [(name, text) for name, text in sent.typed.items() if name not in ("action", "sure", "confirm")]
    forms = book.campaign.forms.values() if book is not None else ()
    cells = [name for name, _ in typed if "." in name]
    form = next((f for f in forms if cells and all(_label(f, name) for name in cells)), None)
    return [(FIELDS.get(name, "") or (_label(form, name) if form is not None else ""), text) for name, text in typed]


def _label(form: Form, name: str) -> str:
    row_key, _, column_key = name.rpartition(".")
    column = next((c for c in form.entry_columns if c.key == column_key), None)
    row = next((r for r in form.rows if r.key == row_key), None)
    if column is None or (row is None and (form.rows or not row_key.isdigit())):
        return ""
    return f"{form.row_name(row) if row is not None else f'第{row_key}行'} {column.title}"
