"""`muster calendar`."""

import pytest

from tests.cli.conftest import Door


def test_a_month_shows_holidays_and_the_sunday_on_which_offices_work(bare_door: Door) -> None:
    status, said, _ = bare_door("calendar", "2020-06")
    assert status == 0
    assert "25 holiday" in said
    assert "28 works" in said
    assert "(6)" in said  # an ordinary Saturday


def test_a_year_that_is_not_on_record_says_what_holds_and_how_to_renew_it(bare_door: Door) -> None:
    _, said, _ = bare_door("calendar", "2031-01")
    assert "Monday–Friday are taken as working days" in said
    assert "definition.renew_calendar 2031" in said


@pytest.mark.parametrize(
    ("words", "complaint"), [(("june",), "is no month"), (("2020-06", "--country", "xx"), "no calendar 'xx'")]
)
def test_what_there_is_not_is_one_sentence(bare_door: Door, words: tuple[str, ...], complaint: str) -> None:
    status, _, complained = bare_door("calendar", *words)
    assert status != 0
    assert complaint in complained
