"""A month as the operator sees it."""

import pytest

from tests.cli.conftest import Door


def test_a_month_shows_holidays_and_makeup_days(door: Door) -> None:
    status, said, _ = door("calendar", "2023-06")
    assert status == 0
    assert "22 休" in said
    assert "25 班" in said
    assert "Sun 2023-06-25" in said
    assert "21 working days" in said


def test_a_missing_year_says_what_is_taken_instead_and_how_to_renew(door: Door) -> None:
    _, said, _ = door("calendar", "2039-01")
    assert "the holidays of 2039 are not on record: Monday–Friday are shown" in said
    assert "renew-the-holidays.md" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [(("calendar", "June"), "write it like 2023-06"), (("calendar", "--country", "xx"), "there are cn")],
)
def test_what_is_no_month_or_country_is_one_sentence(door: Door, words: tuple[str, ...], why: str) -> None:
    status, _, complaint = door(*words)
    assert status == 1
    assert why in complaint
