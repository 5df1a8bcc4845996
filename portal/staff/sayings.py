"""What a staff page says on top after a redirect. The address names only which sentence it is, never its words."""

DONE = {
    "accepted": "已接收，回执已列入发信。",
    "returned": "已退回，退回通知已列入发信，并按新的截止时间催报。",
    "reopened": "已撤回审核结论，这一版重新等待审核。",
    "confirmed": "已登记核实结果。",
    "granted": "已同意，单位会收到邮件。",
    "refused": "已答复不予同意，单位会收到邮件。",
    "approved": "已同意发出，邮件已列入发信；此前已报送的单位不在其中。",
    "nothing": "已同意，但名单中的事项都已办结，没有邮件发出。",
    "declined": "已决定暂不发出，仍未报的到期再请审批。",
    "paper": "已批准并编号，邮件已列入发信。",
    "spared": "该单位已全部报送，草稿作废，没有占用文号。",
    "dropped": "草稿已作废。",
    "assigned": "附件已登记，单位会收到一封答复。",
    "partly": "部分附件已登记；其余的仍在待办中，请继续处理。",
    "known": "这些附件此前已经报过，没有重复登记。",
    "answered": "答复已列入发信，这封来信办结。",
    "dismissed": "这封来信不再处理，原件留存。",
    "settled": "已登记认定结果。",
    "called": "通话已登记。",
    "contact": "联系人已更正，新、旧联系人都会收到通知。",
    "same": "联系人与登记的一致，没有改动。",
    "extended": "截止时间已延长，未报的单位会收到邮件。",
    "exempted": "已免报，单位会收到邮件。",
    "original": "纸质原件已登记。",
    "nil": "零报告已登记，回执已列入发信。",
    "handed": "已代为登记，回执已列入发信。",
    "problems": "有附件未能登记，原因如单位将收到的答复所述；请在下面核对。",
    "paused": "活动已暂停：不催办、不群发，答复照发，材料照收。",
    "resumed": "活动已恢复。",
    "closed": "活动已结束，各单位会收到办结通知。",
    "password": "密码已更改。请用新密码重新登录。",
    "logout": "已退出登录。",
}
MEANWHILE = "没有办理：您打开页面之后情况有了变化，可能已有同事办理。下面是现在的情况，请看过再定。"
STALE = "没有办理：页面打开时间过长，或不是从本页提交的。请再提交一次。"


def said_in(key: str) -> tuple[str, bool]:
    """Return the sentence that a redirect asked for; none of them is about a fault."""
    return DONE.get(key, ""), False
