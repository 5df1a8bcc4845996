"""Numbers as people write them: exact, written otherwise, approximate, or not there at all. Never a silent 0."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum

DIGITS = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
FINANCIAL = str.maketrans("壹贰叁肆伍陆柒捌玖拾佰仟萬億貳參陸兩−—–", "一二三四五六七八九十百千万亿二三六两---")
UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}
LOOSE = {"百": 100, "千": 1000, "万": 10**4, "十万": 10**5, "百万": 10**6, "千万": 10**7, "亿": 10**8}
EMPTY_LIKE = frozenset(
    [
        "",
        "无",
        "/",
        "//",
        "-",
        "--",
        "---",
        "----",
        "\\",
        "*",
        "x",
        "×",
        "n/a",
        "na",
        "nil",
        "none",
        "null",
        "空",
        "没",
        "没有",
        "暂无",
        "待定",
        "待统计",
        "统计中",
        "暂未统计",
        "未统计",
        "不详",
        "不涉及",
        "无此项",
        "未开展",
        "未组织",
        "未举办",
        "尚未开展",
        "暂未开展",
    ]
)
ABOUT_BEFORE = re.compile(
    r"^(共?大?约|共?近|将近|接近|超过?|不足|不到|至少|最少|最多|逾|大概|估计|预计|~|≈|>=?|<=?|≥|≤)+"
)
ABOUT_AFTER = re.compile(
    r"(?<=[0-9一二两三四五六七八九十百千万亿])(余|多|来|几|\+)(?=万|亿|$)|(左右|上下|以上|以内|以下|不等|不到)$"
)
TOTAL = re.compile(r"^(总共|一共|共计|合计|总计|累计|共)")
MEASURE = "场次人户份个条篇块张册家名件部期台辆项处幅只本套面版例起批支位头宗根盏所座艘箱类"
IN_BRACKETS = re.compile(rf"\([{MEASURE}]{{1,3}}\)$")
SPACED = re.compile(r"[0-9]\s+[0-9]")
THIN = re.compile("[\u00a0\u2007\u2009\u202f]")  # spaces that stand within a number, not between two
GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:[, ][0-9]{3})+(?:\.[0-9]+)?")
PLAIN = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
MIXED = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[千百万亿]+)+(?:[0-9]+(?:\.[0-9]+)?)?")
MIXED_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([千百万亿]*)")
MIXED_UNITS = {"": 1, "百": 100, "千": 1000, "万": 10**4, "百万": 10**6, "千万": 10**7, "亿": 10**8, "万亿": 10**12}
CHINESE = re.compile(r"[〇零一二两三四五六七八九十百千万亿]+")
BELOW_10000 = re.compile(
    r"(?:([一二两三四五六七八九])千)?(零)?(?:([一二两三四五六七八九])百)?(零)?"
    r"(?:([一二三四五六七八九])?(十))?(零)?([一二两三四五六七八九])?"
)
LONGEST = 60  # characters; what is longer is prose, or a row of digits that no quantity has
MOST_DIGITS = 100  # that those may have with a unit behind them; of more than it keeps, a Decimal takes no remainder


class NumberKind(StrEnum):
    """How sure one may be of a number."""

    EXACT = "exact"
    NORMALISED = "normalised"  # unambiguous, but written otherwise: “12场”, “三百”, “1142.7万”, full-width
    APPROXIMATE = "approximate"  # “5000余份”, “约300”: a proposal, not a figure
    UNCLEAR = "unclear"  # “3万5”, “万”, “12 150”: one may guess what is meant, no more
    EMPTY_LIKE = "empty_like"  # “无”, “/”
    BLANK = "blank"
    NOT_A_NUMBER = "not_a_number"


@dataclass(frozen=True, kw_only=True)
class NumberRead:
    """What was read: kind, value (None if there is none), and the text as it stood."""

    kind: NumberKind
    value: int | float | None
    shown: str


def read_number(raw: object) -> NumberRead:
    """Read a cell's raw value as a number."""
    if raw is None:
        return NumberRead(kind=NumberKind.BLANK, value=None, shown="")
    if isinstance(raw, bool) or (isinstance(raw, float) and not math.isfinite(raw)):
        return NumberRead(kind=NumberKind.NOT_A_NUMBER, value=None, shown=str(raw))
    if isinstance(raw, int | float):
        return NumberRead(kind=NumberKind.EXACT, value=_tidy(raw), shown=str(raw)[:LONGEST])
    shown = str(raw).strip()
    if not isinstance(raw, str) or not shown:
        kind = NumberKind.BLANK if isinstance(raw, str) else NumberKind.NOT_A_NUMBER
        return NumberRead(kind=kind, value=None, shown=shown)
    kind, value = _read_text(shown)
    return NumberRead(kind=kind, value=value, shown=shown)


def _read_text(shown: str) -> tuple[NumberKind, int | float | None]:
    if len(shown) > LONGEST:  # never cut and read: beyond sixty spaces it may go on
        return NumberKind.NOT_A_NUMBER, None
    text = unicodedata.normalize("NFKC", shown).translate(FINANCIAL).strip()
    if len(text) > LONGEST:
        return NumberKind.NOT_A_NUMBER, None
    if re.sub(r"\s", "", text).lower().rstrip("。.") in EMPTY_LIKE:
        return NumberKind.EMPTY_LIKE, 0
    if SPACED.search(text) and not GROUPED.fullmatch(text.rstrip(MEASURE + " ")):
        return NumberKind.NOT_A_NUMBER, None  # “12 15” is two numbers
    is_parted = SPACED.search(unicodedata.normalize("NFKC", THIN.sub("", shown))) is not None  # “12 150” may be two
    text = IN_BRACKETS.sub("", re.sub(r"\s", "", text))
    text = TOTAL.sub("", text)
    bare, is_about = _without_about(text)
    value, is_sure = _value(bare)
    is_sure = is_sure and not is_parted
    kind = NumberKind.EXACT if PLAIN.fullmatch(shown) else NumberKind.NORMALISED
    if value is None:
        kind = NumberKind.NOT_A_NUMBER
    elif is_about or not is_sure:
        kind = NumberKind.APPROXIMATE if is_about else NumberKind.UNCLEAR
    return kind, value


def _without_about(text: str) -> tuple[str, bool]:
    """Return the number without measure and words of approximation, and whether there were any."""
    bare = ABOUT_BEFORE.sub("", text)
    for _ in range(3):  # “5000余份左右”: measure and words come in turn
        bare = ABOUT_AFTER.sub("", bare.rstrip(MEASURE))
    return bare, bare != text.rstrip(MEASURE) and bare != text


def _value(text: str) -> tuple[int | float | None, bool]:
    """Return the value of a number without its surroundings, and whether one may be sure of it."""
    if GROUPED.match(text):
        text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", text)
    if PLAIN.fullmatch(text):
        return (_tidy(float(text)) if "." in text else int(text)), True
    if CHINESE.fullmatch(text):
        return _chinese(text)
    if MIXED.fullmatch(text):
        return _mixed(text)
    return None, False


def _mixed(text: str) -> tuple[int | float | None, bool]:
    """Read arabic digits with Chinese units: 1142.7万, 3万1千. Units must fall. 3万5 is likely 35000, not 30005."""
    total, last, is_sure = Decimal(0), Decimal("Infinity"), True
    with localcontext(prec=MOST_DIGITS):
        for number, unit in MIXED_PART.findall(text):
            factor = Decimal(MIXED_UNITS.get(unit, 0))
            if unit == "" and len(number) == 1:
                factor, is_sure = last / 10, False
            part = Decimal(number) * factor
            if factor == 0 or part >= last or (unit == "" and "." in number):
                return None, False
            total, last = total + part, factor
        return _tidy(float(total)) if total % 1 else int(total), is_sure


def _chinese(text: str) -> tuple[int | None, bool]:
    """Read Chinese numerals: 三百, 一万二千, 二十. A bare row of digits (三五) is no number one may trust."""
    if text in LOOSE:
        return LOOSE[text], False
    value = _big(text, ("亿", "万"))
    return value, value is not None


def _big(text: str, units: Sequence[str]) -> int | None:
    """Read a number by its units from the largest down; each may stand once."""
    if not units:
        return _below_10000(text)
    unit, smaller = units[0], units[1:]
    before, found, after = text.rpartition(unit)
    if not found:
        return _big(text, smaller)
    count = _big(before, smaller)
    if count is None:
        return None
    if DIGITS.get(after):
        rest: int | None = DIGITS[after] * UNITS[unit] // 10  # 一万二 is 12000; 10002 is 一万零二
    else:
        rest = _big(after, smaller) if after else 0
    return None if rest is None else count * UNITS[unit] + rest


def _below_10000(text: str) -> int | None:
    text = text.replace("〇", "零")
    found = BELOW_10000.fullmatch(text)
    if not found or not (text == "零" or text.strip("零")):
        return None
    thousands, zero1, hundreds, zero2, tens, ten, zero3, ones = found.groups()
    value = DIGITS.get(thousands or "", 0) * 1000 + DIGITS.get(hundreds or "", 0) * 100
    if ten:
        value += (DIGITS[tens] if tens else 1) * 10
    if ones and not ten and (thousands or hundreds) and not (zero1 or zero2 or zero3):
        return value + DIGITS[ones] * (10 if hundreds else 100)  # 一百二 is 120; 102 is 一百零二
    return value + DIGITS.get(ones or "", 0)


def _tidy(value: float) -> int | float:
    return int(value) if isinstance(value, float) and value.is_integer() else value
