"""What differs between two definitions of a campaign, in the words of staff."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from definition.models import Campaign

WORDS = {
    "title": "活动名称", "theme": "主题", "issuer": "发文单位", "issued_on": "发文日期", "opens_on": "开始日期",
    "ends_on": "活动结束", "closes_on": "办结日期", "contact": "联系方式", "categories": "单位类别", "office": "办公室",
    "deliverables": "报送材料", "timetable": "时间安排", "sending": "发信", "joiners": "新加入单位",
    "returns": "退回补正", "attachments": "附件", "forms": "表格", "calendar_days": "工作日历",
    "due": "截止时间", "recurrence": "报送周期",
    "from": "起始日期", "until": "终止日期", "due_time": "截止时刻", "owed_by": "报送单位", "reminders": "提醒",
    "nil_return": "可零报告", "review": "审核", "original": "纸质件", "label": "编号", "send_at": "发信时刻",
    "launch": "下发时间", "collect_at": "收件时刻", "escalation": "催办层级", "consolidate": "阶段汇总",
    "close": "最终汇总", "before": "提前", "on_due_day": "当日", "after": "逾期后", "working_days": "工作日",
    "window": "发信时段", "daily_cap": "每日上限", "name": "姓名", "phone": "电话", "email": "邮箱",
    "hours": "办公时间", "sha256": "内容", "everyone": "全部单位", "units": "单位", "kind": "种类",
    "zone": "时区", "key": "代号",
    "calendar": "日历", "roster": "名单", "audience": "对象", "notice": "邮件", "lead": "负责人", "reviewers": "审核人",
    "approvers": "批准人", "ops": "值守人",
}  # fmt: skip
KEYED = {"deliverables": "key", "attachments": "file_name"}  # lists whose parts have names; others are read by place
SHOWN = 60  # characters of a value
ARROW = " → "


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One value that is new (+), another (~), or gone (−)."""

    sign: str
    place: tuple[str, ...]
    before: str
    after: str

    def __str__(self) -> str:
        """Return the line that staff read."""
        where = "　".join(WORDS.get(step, step) for step in self.place)
        said = {"+": self.after, "−": self.before}.get(self.sign, f"{self.before}{ARROW}{self.after}")
        return f"{self.sign} {where}：{said}"


def differences(old: Campaign, new: Campaign) -> list[Difference]:
    """Return what differs, in the order of the definition."""
    before, after = dict(_flat(old.dump())), dict(_flat(new.dump()))
    places = list(dict.fromkeys([*before, *after]))
    found = []
    for place in places:
        was, now = before.get(place), after.get(place)
        if was != now:
            sign = "+" if was is None else "−" if now is None else "~"
            found.append(Difference(sign=sign, place=place, before=_short(was), after=_short(now)))
    return found


def _flat(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:  # noqa: ANN401  plain JSON
    """Yield each value of a definition with its place. What is empty has none."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(part, (*place, str(key)))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        name = KEYED.get(place[-1]) if place else None
        for number, part in enumerate(value, start=1):
            step = str(part[name]) if name is not None else str(number)
            yield from _flat(part, (*place, step))
    elif value not in (None, "", [], False):
        yield place, "、".join(map(str, value)) if isinstance(value, list) else "是" if value is True else str(value)


def _short(value: str | None) -> str:
    text = value or ""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
