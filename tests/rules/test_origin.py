"""Where a table came from: what is said of it, and how gravely."""

import pytest

from rules.forms import HEAD_ROW, Column, FindingCode, Form, FreeRows, Severity
from rules.origin import Origin, Spot, origin_findings, years_in

COLUMN = (Column(key="n", title="数"),)


def form(version: int = 3, older: Severity = Severity.INFO) -> Form:
    return Form(key="f", title="统计表", version=version, columns=COLUMN, free=FreeRows(), older_template=older)


def found(of: Form, *years: int, **origin: object) -> list[tuple[Severity, FindingCode, str]]:
    here = Origin(**{"sheet": "统计表", "head": HEAD_ROW, **origin})  # type: ignore[arg-type]
    return [(f.severity, f.code, f.cell) for f in origin_findings(of, here, years=years)]


def test_a_table_in_its_place_is_not_spoken_of() -> None:
    assert found(form(), 2020, version=3, above=(Spot(ref="A1", text="2020年统计表"),)) == []


@pytest.mark.parametrize("older", list(Severity))
def test_an_older_template_weighs_what_the_form_says(older: Severity) -> None:
    assert found(form(older=older), version=2) == [(older, FindingCode.OLD_TEMPLATE, "")]
    assert found(form(older=older), version=3) == []
    assert found(form(older=older), version=4) == []
    assert found(form(older=older)) == []


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("2019年安全生产月", [2019]),
        ("２０１９年6月", [2019]),
        ("2019 年 6 月至2020年", [2019, 2020]),
        ("统计时间：2019-06-30", [2019]),
        ("2019.6", [2019]),
        ("电话 022-20191234", []),
        ("文号〔2019〕12号", []),
        ("2019人次", []),
        ("12019年", []),
    ],
)
def test_years_are_read_where_they_are_years(text: str, years: list[int]) -> None:
    assert years_in(text) == years


@pytest.mark.parametrize(
    ("above", "sheet", "cell"),
    [
        (("2019年统计表",), "统计表", "A1"),
        (("统计表", "2019-06-30"), "统计表", "A2"),
        (("统计表",), "2019年", ""),
        (("2020年统计表", "2019年同期"), "统计表", None),
        (("统计表",), "统计表", None),
    ],
)
def test_another_year_is_told_unless_the_campaign_s_own_is_named_too(
    above: tuple[str, ...], sheet: str, cell: str | None
) -> None:
    spots = tuple(Spot(ref=f"A{n}", text=t) for n, t in enumerate(above, start=1))
    told = [f for f in found(form(), 2020, above=spots, sheet=sheet) if f[1] is FindingCode.OTHER_YEAR]
    assert told == ([] if cell is None else [(Severity.MUST, FindingCode.OTHER_YEAR, cell)])
    assert all(f[1] is not FindingCode.OTHER_YEAR for f in found(form(), above=spots, sheet=sheet))


def test_what_would_be_lost_unsaid_is_a_query_and_what_is_only_odd_is_not() -> None:
    odd = found(
        form(),
        head=7,
        sheet="Sheet1",
        extra_columns=(Spot(ref="G5", text="编号"),),
        extra_rows=(Spot(ref="E60", text="其他"),),
        other_sheets=("副本",),
    )
    assert {(s, c) for s, c, _ in odd} == {
        (Severity.QUERY, FindingCode.SECOND_SHEET),
        (Severity.QUERY, FindingCode.EXTRA_ROW),
        (Severity.INFO, FindingCode.EXTRA_COLUMN),
        (Severity.INFO, FindingCode.HEADING_MOVED),
        (Severity.INFO, FindingCode.SHEET_RENAMED),
    }
