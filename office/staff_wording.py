"""What staff read on their pages and nowhere else: roles, queues, refusals."""

import re
from collections.abc import Iterable

from office import wording
from office.refusals import NotPossible

ROLE = {"viewer": "查看", "operator": "经办", "approver": "审批"}
CAMPAIGN_STATE = {"launched": "进行中", "paused": "已暂停", "closed": "已结束"}
QUEUE = {
    "letter": "来信待处理",
    "version": "待审核的报送",
    "query": "待核实的数字",
    "request": "申请待答复",
    "approval": "催办待审批",
    "paper": "督办单、通报待批准",
    "doubt": "发信存疑",
    "contact": "联系方式待核实",
}
COLUMNS = {
    "letter": ("编号", "收到", "活动", "单位", "类别", "发件人", "主题", "原因"),
    "version": ("收到", "活动", "单位", "材料", "第几次"),
    "query": ("活动", "单位", "材料", "位置", "栏目", "问题", "建议值"),
    "request": ("提出", "活动", "单位", "申请", "理由"),
    "approval": ("活动", "级别", "涉及单位", "涉及材料", "提出"),
    "paper": ("活动", "文种", "对象", "起草"),
    "doubt": ("活动", "单位", "邮件", "时间", "地址", "最后答复"),
    "contact": ("活动", "单位", "情况", "现写往", "失效地址", "电话"),
}
VERB = {
    "letter": "处理",
    "version": "审核",
    "query": "核实",
    "request": "答复",
    "approval": "审批",
    "paper": "审批",
    "doubt": "认定",
    "contact": "联系",
}
# A refusal of the office, by its code, where what a unit is told would be wrong for staff.
REFUSED = {
    "judged": "状态已经变化（可能已有人办理），没有重复办理。请看过现在的情况再定。",
    "answered": "这一处已经有人核实过了，没有重复登记。",
    "decided": "已经有人处理过了，没有重复办理。",
    "standing": "目前的状态不允许这样处理，没有改动。可能已有人办理过，请看过现在的情况再定。",
    "closed": "活动已经结束，没有办理。",
    "no_original": "这项材料不要求纸质原件，没有登记。",
    "nobody_meant": "没有需要变更的内容（可能已有人办理过），没有改动。",
    "not_latest": "这一版之后又报过新的版本，请在最新版本上核实。",
    "not_queried": "这份材料目前没有待核实的内容，没有登记。",
    "not_a_query": "这一处是必须改正的问题，只能退回单位更正。",
    "bad_role": "请选择联系人类别。",
}
# What else the office refuses, by a piece of its sentence.
SENTENCES = (
    (r"grounds", "请写明理由。"),
    (r"in the future", "收到时间不能晚于现在。"),
    (r"does not wait for a person", "这封来信已经有人处理过了，没有重复办理。"),
    (r"names no sender", "这封来信没有可以回复的地址。请电话联系，或不再处理。"),
    (r"say for which campaign", "请选择以哪项活动的名义答复。"),
    (r"has no files", "这封来信没有可以登记的附件。请答复，或不再处理。"),
    (r"could be taken in", "附件不能登记为该单位的材料，没有改动。请核对单位和材料。"),
    (r"only an ambiguous mail", "这封邮件已经有人认定过了，没有重复办理。"),
    (r"come already", "日期须晚于今天。"),
    (r"is a series|several times", "这项材料分期报送，请到该期的页面办理。"),
    (r"no deliverable", "没有这项材料，请从列表中选择。"),
    (r"no unit|UnknownParty|no party", "没有这个单位，请核对代码。"),
    (r"what was said", "请写明通话内容。"),
    (r"what to answer", "请写明答复内容。"),
    (r"fallen due", "还没有到期的材料，没有可以通报的内容。"),
    (r"has no page", "该单位已退出活动，没有报送页面。"),
)
OTHERWISE = "所填内容不能办理，没有改动。请核对后再试。"
# What is known of a mail that went out, by the name that the mail book gives it.
MAIL_FACT = {
    "campaign": "活动",
    "unit": "收件单位",
    "contact": "收件人",
    "subject": "主题",
    "planned": "列入",
    "not before": "不早于",
    "expires": "有效至",
    "sent": "发出",
    "may have left": "可能已发出",
    "taken up by": "后续邮件",
    "tries": "尝试次数",
}
# An entry of the audit trail as staff read it; decisions by wording.DECISION.
AUDIT = {
    "approval.asked": "催办清单提交审批",
    "call.made": "登记通话",
    "contact.unusable": "联系地址失效",
    "draft.saved": "网页草稿",
    "link.given_out": "给出报送页面链接",
    "messages.planned": "列入发信",
    "rung.acknowledged": "承诺报送日期",
    "request.extension": "申请延期",
    "request.contact": "申请变更联系人",
    "contact.bad": "联系地址失效",
    "finding.answered": "核实数字",
    "obligations.frozen": "确定应报材料",
    "approval.approved": "催办清单同意发出",
    "approval.declined": "催办清单暂不发出",
    "approval.lapsed": "催办清单由新的代替",
    "paper.drafted": "起草督办单、通报",
    "paper.approved": "批准督办单、通报",
    "paper.dropped": "草稿作废",
}


def refused(error: Exception) -> str:
    """Return why the office did not do something, for staff."""
    if isinstance(error, NotPossible):
        return REFUSED.get(error.code, error.for_unit)
    problem = getattr(error, "problem", "")
    if isinstance(problem, str) and problem:
        return problem
    return next((said for piece, said in SENTENCES if re.search(piece, str(error))), OTHERWISE)


def mail_facts(facts: Iterable[tuple[str, str]], *, campaign_title: str) -> list[tuple[str, str]]:
    """Return the facts about a mail that staff look at, in their words."""
    found = []
    for name, value in facts:
        text = value
        if name == "campaign":
            text = campaign_title
        elif name == "planned":
            text = value.partition(", flow run ")[0]
        elif name == "contact":
            role, space, rest = value.partition(" ")
            text = wording.ROLE.get(role, role) + space + rest.replace("; bad since ", "；不可用，自 ")
        if name in MAIL_FACT:
            found.append((MAIL_FACT[name], text))
    return found


def audit_text(verb: str) -> str:
    """Return what an entry of the audit trail records."""
    kind, _, rest = verb.partition(".")
    if kind == "decision":
        return f"决定：{wording.DECISION.get(rest, rest)}"
    if kind == "submission":
        return f"报送：{wording.STANDING.get(rest, rest)}"
    return AUDIT.get(verb, verb)


def without_commands(line: str) -> str:
    """Return a sentence without the commands that it names: on a page they are buttons."""
    return re.sub(r"（muster [^）]*）", "", line)
