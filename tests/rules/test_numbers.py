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
        ("12,34", "not_a_number", None),
        ("3千1万", "not_a_number", None),
        ("12-15", "not_a_number", None),
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
    if read.kind in (NumberKind.EXACT, NumberKind.NORMALISED) and read.value == 0:
        assert any(c in text for c in "0０〇零") or any(c.isdigit() for c in text)


@given(st.integers(0, 10**9))
def test_whole_numbers_come_back_plain_grouped_and_with_a_measure(number: int) -> None:
    assert read_number(str(number)).value == number
    assert read_number(f"{number:,}").value == number
    assert read_number(f"{number}人次").value == number
