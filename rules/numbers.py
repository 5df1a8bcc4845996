"""Numbers as people write them: exact, written otherwise, approximate, or not there at all. Never a silent 0."""

import math
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

DIGITS = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
SMALL_UNITS = {"十": 10, "百": 100, "千": 1000}
BIG_UNITS = {"万": 10_000, "亿": 100_000_000}
EMPTY_LIKE = frozenset({"无", "/", "-", "—", "--", "——", "没有", "暂无", "待定", "\\", "n/a", "na"})
ABOUT = re.compile(r"^(大?约|近|超过?|将近|不足|至少|共约|逾|~|≈|>|<)|(余|多|左右|上下|以上|以内|几)")
MEASURE = "场次人户份个条篇块张册家名件部期台辆项处幅"
PLAIN = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
MIXED = re.compile(r"(?:\d+(?:\.\d+)?[千百万亿])+(?:\d+(?:\.\d+)?)?")
CHINESE = re.compile(r"[〇零一二两三四五六七八九十百千万亿]+")
LONGEST = 60  # characters; what is longer is prose, or a row of digits that no quantity has


class NumberKind(StrEnum):
    """How sure one may be of a number."""

    EXACT = "exact"
    NORMALISED = "normalised"  # unambiguous, but written otherwise: “12场”, “三百”, “1142.7万”, full-width
    APPROXIMATE = "approximate"  # “5000余份”, “约300”: a proposal, not a figure
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
        return NumberRead(kind=NumberKind.EXACT, value=_tidy(raw), shown=str(raw))
    shown = str(raw).strip()
    if not isinstance(raw, str):
        return NumberRead(kind=NumberKind.NOT_A_NUMBER, value=None, shown=shown)
    return _read_text(shown)


def _read_text(shown: str) -> NumberRead:
    text = re.sub(r"\s+", "", unicodedata.normalize("NFKC", shown))
    if not text:
        return NumberRead(kind=NumberKind.BLANK, value=None, shown="")
    if len(text) > LONGEST:
        return NumberRead(kind=NumberKind.NOT_A_NUMBER, value=None, shown=shown)
    if text.lower() in EMPTY_LIKE:
        return NumberRead(kind=NumberKind.EMPTY_LIKE, value=0, shown=shown)
    about = ABOUT.search(text) is not None
    bare = ABOUT.sub("", text).rstrip(MEASURE) if about else text.rstrip(MEASURE)
    value = _value(bare)
    if value is None:
        return NumberRead(kind=NumberKind.NOT_A_NUMBER, value=None, shown=shown)
    if about:
        return NumberRead(kind=NumberKind.APPROXIMATE, value=value, shown=shown)
    plain = PLAIN.fullmatch(shown) is not None
    return NumberRead(kind=NumberKind.EXACT if plain else NumberKind.NORMALISED, value=value, shown=shown)


def _value(text: str) -> int | float | None:
    grouped = re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text)
    if grouped:
        text = text.replace(",", "")
    if PLAIN.fullmatch(text):
        return _tidy(float(text)) if "." in text else int(text)
    if CHINESE.fullmatch(text):
        return _chinese(text)
    if MIXED.fullmatch(text):
        return _mixed(text)
    return None


def _mixed(text: str) -> int | float | None:
    """Read arabic digits with Chinese units: 1142.7万, 3万1千. Units must fall."""
    total, last = 0.0, float("inf")
    for number, unit in re.findall(r"(\d+(?:\.\d+)?)([千百万亿]?)", text):
        factor = (SMALL_UNITS | BIG_UNITS).get(unit, 1)
        if factor >= last:
            return None
        total, last = total + float(number) * factor, factor
    return _tidy(round(total, 4))


def _chinese(text: str) -> int | None:
    """Read Chinese numerals: 三百, 一万二千, 二十. A bare row of digits (三五) is no number one may trust."""
    total, section, digit = 0, 0, None
    for char in text:
        if char in DIGITS:
            if digit not in (None, 0):
                return None
            digit = DIGITS[char]
        elif char in SMALL_UNITS:
            section += (1 if digit is None else digit) * SMALL_UNITS[char]
            digit = None
        else:
            total = (total + section + (digit or 0) or 1) * BIG_UNITS[char]  # a bare 万 is one
            section, digit = 0, None
    return total + section + (digit or 0)


def _tidy(value: float) -> int | float:
    return int(value) if isinstance(value, float) and value.is_integer() else value
