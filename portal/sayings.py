"""What a page says on top after a redirect. The address names only which sentence it is, never its words."""

from collections.abc import Mapping

DONE = {
    "draft": "草稿已经保存。草稿不等于报送，填好后请点“报送”。",
    "asked": "延期申请已经提交，办公室处理后会发邮件告知。批准之前仍按原时间报送。",
    "contact": "更换联系人的申请已经提交，办公室核实后会发邮件告知原联系人和新联系人。",
    "promised": "已经登记。请在所填日期之前报送；报送后不再催办。",
    "confirmed": "已经登记您的答复。",
}
FAULTS = {
    "no_file": "没有选择文件。请先选择要上传的文件，再点“上传”。",
    "no_reason": "没有提交：请把日期和理由都填写完整。",
    "bad_date": "没有提交：没有认出日期，请写成 2020-06-16 的样式。",
    "bad_number": "没有登记：数值请填准确的阿拉伯数字；不能确定的，请在“说明”中写明情况。",
    "incomplete": "没有提交：请把带 * 的各项填写完整。",
    "not_sure": "没有提交：零报告请先勾选“确认”。",
}


def said_in(asked: Mapping[str, str]) -> tuple[str, bool]:
    """Return the sentence that a redirect asked for, and whether it is about a fault."""
    key = asked.get("said", "")
    return DONE.get(key, "") or FAULTS.get(key, ""), key in FAULTS
