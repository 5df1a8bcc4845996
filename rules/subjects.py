"""What a unit itself wrote in a subject, apart from what its mail program quoted; and whether that is a nil return."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

SPACE = re.compile(r"\s+")
PREFIX = re.compile(r"(?:(?<![a-z])(?:re|fw|fwd|aw)|回复|答复|回覆|转发|轉發|回復)(?:\[\d+\]|\(\d+\))?:", re.IGNORECASE)
TOKEN = re.compile(r"【编号:[^】]*】?")
QUOTED_TO_TOKEN = re.compile(rf"(?:{PREFIX.pattern})+.*{TOKEN.pattern}", re.IGNORECASE)
BRACKETED = re.compile(r"【自动[^】]*】")
PUNCTUATION = re.compile(r"[\W_]+")
NIL = re.compile(
    r"(?:零报[告送]|零上报|(?<!\d)[\"“”]?0[\"“”]?报告)(?!事项|材料|(?:统计|汇总|登记|情况|明细)*(?:表|清单|台账|名册|情况))"
)
OF_US = r"(?:我|本)?(?:单位|部门|街道|社区|乡|镇|村|区|县|局|处|公司|校|院)?"
PERIOD = r"(?:本[期月周季旬年日次]|当[期月周日]|今[日年天])(?:度|内)?"
NOTHING = (
    r"(?:无|没有)(?:此[项类])?(?:可报|需报|需要报|需上报|应报|报送?|上报)?(?:的)?(?:内容|事项|材料|情况)?",
    r"无此[项类](?:内容|事项|材料|情况|工作)?",
    r"无(?:可报|需报|需要报|需上报|应报)(?:送|告)?(?:的)?(?:内容|事项|材料|情况)?",
    r"无报[送告]?(?:内容|事项|材料)",
)
WHOLLY_NIL = re.compile(
    rf"{OF_US}{PERIOD}{OF_US}(?:均|全部|皆|暂)*(?:{NOTHING[0]})|{OF_US}(?:{PERIOD})?(?:均|全部|皆|暂)*(?:{'|'.join(NOTHING[1:])})"
)
OF_A_NAME = re.compile(r"附件\d*|附表\d*|补报|报送|上报|提交|材料|文件|扫描件|这是|此为|是|为|的|和|及")
NOT_NIL = re.compile(
    r"(?:不|非|勿|别)(?:是|为|能|可以?|再|要|作|得)?(?:本期|本月|本周)?零报|(?:取消|撤回|撤销|作废|更正|补正|改正|修改).{0,8}零报|零报[告送]?.{0,6}"
    r"(?:取消|撤回|撤销|作废|有误|错误|报错|怎么|如何|是否|可以吗|吗|样式|模板|格式|制度|要求|说明|通知)|(?:怎么|如何|是否|请问|可否|能否|咨询|关于).{0,12}零报"
    r"|无(?:此[项类])?.{0,8}(?:怎么|如何|吗|是否)|(?:怎么|如何|是否|请问|可否|能否|咨询).{0,12}无|[??]|(?:无|没有)(?:法|误|问题|异议|异常时|收到|附件|模板|表)"
)


def folded(text: str) -> str:
    """Return a text as it is compared: full-width signs as plain ones, no white space."""
    return SPACE.sub("", unicodedata.normalize("NFKC", text))


def new_words(subject: str, ours: Iterable[str] = ()) -> str:
    """Return what a sender added to a subject: without reply prefixes, our token and our own subjects (``ours``).

    Where none of our subjects stands in it as it was (a mail program cut or changed it), what stands between a
    prefix and our token counts as quoted.
    """
    text = folded(subject)
    for known in sorted({folded(one) for one in ours}, key=len, reverse=True):
        for quoted in (known, TOKEN.sub("", known)):
            if quoted and quoted in text:
                return _bare(text.replace(quoted, ""))
    return _bare(QUOTED_TO_TOKEN.sub("", text))


def _bare(text: str) -> str:
    return PREFIX.sub("", TOKEN.sub("", text)).strip(" -_—:、,，。")


def says_nil(words: str, names: Iterable[str] = ()) -> bool:
    """Whether the new words of a subject are a nil return. A question about it, or taking it back, is none.

    零报告 says it among other words; 本期无 and the like only where they are all there is but for ``names``: those of
    deliverables and of the unit.
    """
    text = folded(words)
    if NOT_NIL.search(text) is not None:
        return False
    known = tuple(names)
    if NIL.search(_without(text, [name for name in known if NIL.search(folded(name)) is None])) is not None:
        return True
    return WHOLLY_NIL.fullmatch(PUNCTUATION.sub("", re.sub("附件\\d+|附表\\d+", "", _without(text, known)))) is not None


def is_just_a_name(words: str, names: Iterable[str]) -> bool:
    """Whether some words are nothing but ``names``, with what stands beside the name of a file."""
    return not PUNCTUATION.sub("", OF_A_NAME.sub("", _without(folded(words), names)))


def _without(text: str, names: Iterable[str]) -> str:
    """Return a folded text without some names, the longer first."""
    for name in sorted({folded(one) for one in names}, key=len, reverse=True):
        text = text.replace(name, "") if name else text
    return text


def named_in(words: str, names: Sequence[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Return the keys of those whose title or label stands in some words; the longer name wins where two overlap."""
    text = folded(words)
    found: list[str] = []
    spelled = sorted(
        ((folded(name), key) for key, all_of_it in names for name in all_of_it if name), reverse=True, key=_length
    )
    for name, key in spelled:
        if name in text:
            text = text.replace(name, "\0")
            if key not in found:
                found.append(key)
    return tuple(key for key, _ in names if key in found)


def _length(pair: tuple[str, str]) -> int:
    return len(pair[0])
