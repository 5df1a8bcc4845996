"""Numbers as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.numbers import NumberKind, read_number


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        (12, "exact", 12),
        (12.0, "exact", 12),
        (1.5, "exact", 1.5),
        ("12", "exact", 12),
        (0, "exact", 0),
        ("１２", "normalised", 12),
        ("12场", "normalised", 12),
        ("1,234", "normalised", 1234),
        ("1,234人次", "normalised", 1234),
        ("1142.7万", "normalised", 11427000),
        ("三百", "normalised", 300),
        ("一万二千", "normalised", 12000),
        ("二十", "normalised", 20),
        ("十二", "normalised", 12),
        ("3万1千", "normalised", 31000),
        ("5000余份", "approximate", 5000),
        ("1000多册", "approximate", 1000),
        ("近万份", "approximate", 10000),
        ("约50人", "approximate", 50),
        ("约300", "approximate", 300),
        ("3万1千余份", "approximate", 31000),
        ("无", "empty_like", 0),
        ("/", "empty_like", 0),
        ("待定", "empty_like", 0),
        ("", "blank", None),
        ("  ", "blank", None),
        (None, "blank", None),
        ("若干", "not_a_number", None),
        ("3" + " " * 70 + "万", "not_a_number", None),  # not a 3 that was cut off
        ("000" + "6" * 30 + "万", "normalised", int("6" * 30) * 10**4),  # more digits than a Decimal divides
        ("12,34", "not_a_number", None),
        ("3千1万", "not_a_number", None),
        ("12-15", "not_a_number", None),
        ("0", "exact", 0),
        ("0场", "normalised", 0),
        ("零", "normalised", 0),
        ("-5", "exact", -5),
        ("－５", "normalised", -5),
        ("1.5亿", "normalised", 150000000),
        ("1,142.7万", "normalised", 11427000),
        ("1，234", "normalised", 1234),
        ("1\u00a0234", "normalised", 1234),
        ("12\u2009150", "normalised", 12150),
        ("1\u202f234 人次", "normalised", 1234),
        ("1 234", "unclear", 1234),
        ("12 150", "unclear", 12150),
        ("12\u3000150 人次", "unclear", 12150),
        ("300（人次）", "normalised", 300),
        ("共计300人", "normalised", 300),
        ("一百二", "normalised", 120),
        ("一百零二", "normalised", 102),
        ("一万二", "normalised", 12000),
        ("一万零二", "normalised", 10002),
        ("三千五", "normalised", 3500),
        ("一亿三千万", "normalised", 130000000),
        ("叁佰伍拾", "normalised", 350),
        ("两千零五十", "normalised", 2050),
        ("5千万", "normalised", 50000000),
        ("1万2000", "normalised", 12000),
        ("①", "normalised", 1),
        ("3万5", "unclear", 35000),
        ("3万1千5", "unclear", 31500),
        ("万", "unclear", 10000),
        ("300多", "approximate", 300),
        ("300+", "approximate", 300),
        ("300人以上", "approximate", 300),
        ("300人左右", "approximate", 300),
        ("~300", "approximate", 300),
        ("～300", "approximate", 300),
        ("共约300人", "approximate", 300),
        ("十几万", "approximate", 100000),
        ("5千多万", "approximate", 50000000),
        ("百余", "approximate", 100),
        ("不到300", "approximate", 300),
        ("－", "empty_like", 0),
        ("——", "empty_like", 0),
        ("／", "empty_like", 0),
        ("无。", "empty_like", 0),
        ("未开展", "empty_like", 0),
        ("几十", "not_a_number", None),
        ("几万", "not_a_number", None),
        ("数百", "not_a_number", None),
        ("三五", "not_a_number", None),
        ("一百千", "not_a_number", None),
        ("亿亿", "not_a_number", None),
        ("12 15", "not_a_number", None),
        ("12\n15", "not_a_number", None),
        ("12场300人", "not_a_number", None),
        ("6月16日", "not_a_number", None),
        ("100%", "not_a_number", None),
        ("1e3", "not_a_number", None),
        ("#REF!", "not_a_number", None),
        ("-", "empty_like", 0),
        (True, "not_a_number", None),
        (float("nan"), "not_a_number", None),
        (float("inf"), "not_a_number", None),
        ("9" * 40, "exact", int("9" * 40)),
        ("9" * 5000, "not_a_number", None),
        ("亿" * 600, "not_a_number", None),
        ("1" * 50 + "号", "not_a_number", None),  # and at once, not after years of trying
    ],
)
def test_a_number_as_people_write_it(raw: object, kind: str, value: float | None) -> None:
    read = read_number(raw)
    assert (read.kind, read.value) == (NumberKind(kind), value)


@given(st.text(max_size=30))
def test_no_text_breaks_the_reader_or_becomes_a_silent_zero(text: str) -> None:
    read = read_number(text)
    assert (read.value is None) == (read.kind in (NumberKind.BLANK, NumberKind.NOT_A_NUMBER))
    if read.kind in (NumberKind.EXACT, NumberKind.NORMALISED) and read.value == 0:
        assert any(c in text for c in "0０〇零") or any(c.isdigit() for c in text)


@given(st.text(alphabet="0123456789０１２一二两三百千万亿十零〇约近余多几左右.,， -+场人次/无", max_size=14))
def test_what_looks_like_a_number_is_read_or_refused_and_zero_only_from_a_zero(text: str) -> None:
    read = read_number(text)
    assert (read.value is None) == (read.kind in (NumberKind.BLANK, NumberKind.NOT_A_NUMBER))
    if read.kind in (NumberKind.EXACT, NumberKind.NORMALISED) and read.value == 0:
        assert any(c in text for c in "0０〇零")


@given(st.integers(0, 10**12 - 1))
def test_chinese_numerals_come_back(number: int) -> None:
    assert read_number(in_chinese(number)).value == number


@given(
    st.integers(1, 10**6), st.sampled_from(["约{}", "{}余", "{}多", "{}左右", "近{}人", "{}余份", "超{}", "{}人以上"])
)
def test_what_is_approximate_is_proposed_and_never_taken(number: int, words: str) -> None:
    read = read_number(words.format(number))
    assert (read.kind, read.value) == (NumberKind.APPROXIMATE, number)


@given(st.integers(1, 10**7), st.integers(0, 9))
def test_tens_of_thousands_with_a_decimal_are_exact(whole: int, tenth: int) -> None:
    assert read_number(f"{whole}.{tenth}万").value == whole * 10_000 + tenth * 1000


def in_chinese(number: int) -> str:
    """Write a number as it is read aloud, every gap with one 零."""
    if number == 0:
        return "零"
    said, rest = "", number
    for size, unit in ((10**8, "亿"), (10**4, "万"), (1, "")):
        part, rest = divmod(rest, size)
        if part:
            said += ("零" if said and part < 1000 else "") + _four(part) + unit
        elif said and rest and not said.endswith("零"):
            said += "零"
    return said.replace("零零", "零")


def _four(number: int) -> str:
    said, gap = "", False
    for size, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // size % 10
        if digit:
            said += ("零" if gap and said else "") + "零一二三四五六七八九"[digit] + unit
            gap = False
        else:
            gap = True
    return said


@given(st.integers(0, 10**9))
def test_whole_numbers_come_back_plain_grouped_and_with_a_measure(number: int) -> None:
    assert read_number(str(number)).value == number
    assert read_number(f"{number:,}").value == number
    assert read_number(f"{number}人次").value == number
