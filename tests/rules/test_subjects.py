"""What of a subject is the unit's own, and which words are a nil return."""

import pytest

from rules.subjects import is_just_a_name, named_in, new_words, says_nil

OURS = "提醒：活动方案、零报告事项请于6月5日前报送【编号：PAB-ABCDEFGHIJ】"


@pytest.mark.parametrize(
    ("subject", "new"),
    [
        ("零报告", "零报告"),
        (f"回复：{OURS}", ""),
        (f"Re: 回复: {OURS}", ""),
        (f"答复：{OURS}", ""),
        (f"转发：{OURS}", ""),
        (f"零报告 回复：{OURS}", "零报告"),
        (f"回复：{OURS}零报告", "零报告"),
        (f"回复：{OURS} 本期无", "本期无"),
        (f"回复：零报告 {OURS}", "零报告"),
        (f"Re[2]: {OURS.replace('：', ':').replace('、', ' 、 ')}", ""),
        ("回复：提醒：零报告事项【编号：PAB-ABCDEFGHIJ】", ""),  # cut by the mail program
        ("无此项 回复：提醒：零报告事项【编号：PAB-ABCDEFGHIJ】", "无此项"),
        ("回复：零报告", "零报告"),
        ("fw: report: 活动方案", "report:活动方案"),
        ("", ""),
    ],
)
def test_only_what_the_unit_wrote_is_new(subject: str, new: str) -> None:
    assert new_words(subject, [OURS, "回执：已收到活动方案"]) == new


def test_of_two_of_our_subjects_the_longer_is_quoted() -> None:
    assert new_words("Re: 催报：活动方案", ["活动方案", "催报：活动方案"]) == ""


@pytest.mark.parametrize(
    "words",
    [
        *("零报告", "某某街道零报告", "零 报 告", "零报送", "零上报", "“0”报告", "无此项", "我单位无此项内容"),
        *(
            "本期无",
            "本期无材料",
            "本周没有",
            "我单位本月无",
            "附件4 本期无",
            "本期无此项",
            "本月均无",
            "无可报内容",
            "无报送事项",
            "零报告（活动方案）",
        ),
    ],
)
def test_these_words_are_a_nil_return(words: str) -> None:
    assert says_nil(words)


@pytest.mark.parametrize(
    "words",
    [
        *(
            "",
            "活动方案",
            "请问零报告怎么报",
            "零报告吗",
            "零报告?",
            "零报告？",
            "不是零报告",
            "取消零报告",
            "零报告有误",
        ),
        *("撤回上次的零报告", "能否零报告", "零报告格式", "无法打开附件", "本期无法报送", "本月无附件请重发", "无"),
        *("今年无人机巡查情况", "今日无人员伤亡", "零报告统计表", "零报告汇总表", "零报告登记表已报", "本期无险情"),
        *("今年无线电台账", "6月10报告", "本月无障碍设施检查", "活动方案 本月无"),
        *("请问本期无此项如何报", "关于零报告的咨询", "更正零报告"),
    ],
)
def test_these_are_none(words: str) -> None:
    assert not says_nil(words)


@pytest.mark.parametrize(
    ("words", "nil"),
    [
        ("活动方案 本月无", True),
        ("东街街道：活动方案本月无", True),
        ("本周没有巡查情况", True),
        ("巡查情况零报告", True),
        ("零报告事项清单零报告", True),
        ("零报告事项清单", False),
        ("本周没有人员伤亡", False),
        ("巡查情况", False),
    ],
)
def test_names_may_stand_beside_the_words(words: str, nil: bool) -> None:
    assert says_nil(words, ("活动方案", "巡查情况", "零报告事项清单", "东街街道")) is nil


@pytest.mark.parametrize(
    ("words", "just"),
    [
        ("活动方案", True),
        ("报送活动方案", True),
        ("附件:《活动方案》", True),
        ("这是东街街道的活动方案(扫描件)", True),
        ("活动方案什么时候截止", False),
        ("活动方案能否晚两天报送", False),
        ("活动方案已报", False),
    ],
)
def test_just_a_name(words: str, just: bool) -> None:
    assert is_just_a_name(words, ("活动方案", "东街街道")) is just


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("活动方案 零报告", ("scheme",)),
        ("附件4 本期无", ("progress",)),
        ("活动进展情况统计表和活动方案", ("scheme", "progress")),
        ("活动", ()),
        ("进展情况统计表", ()),
    ],
)
def test_a_deliverable_is_named_by_title_or_label(words: str, keys: tuple[str, ...]) -> None:
    names = [("scheme", ("活动方案", "")), ("progress", ("活动进展情况统计表", "附件4"))]
    assert named_in(words, names) == keys


def test_a_title_within_a_longer_title_names_only_the_longer() -> None:
    names = [("a", ("活动方案",)), ("b", ("活动方案说明",))]
    assert named_in("活动方案说明", names) == ("b",)
    assert named_in("活动方案说明、活动方案", names) == ("a", "b")
