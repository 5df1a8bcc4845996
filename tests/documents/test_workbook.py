"""The consolidated workbook and the summary, as a person opens them."""

import io

import openpyxl
import pytest
from docx import Document

from documents.summary import write_summary
from documents.values import (
    ConsolidatedBook,
    DeliverableSheet,
    FormFigures,
    MissingLine,
    SourcedFigure,
    StateLine,
    Summary,
)
from documents.workbook import write_consolidated
from rules.forms import Column, FieldType, Form, Row
from rules.rates import Totals

FORM = Form(
    key="f",
    title="统计表",
    version=1,
    columns=(
        Column(key="item", title="项目", label=True),
        Column(key="quantity", title="数量", type=FieldType.INTEGER),
    ),
    rows=(Row(key="a", labels={"item": "场次"}, unit="场"), Row(key="b", labels={"item": "人次"}, unit="人")),
)
TOWNS = Totals(owed=4, reported=3, on_time=2, late=1, missing=1)


def figure(code: str, row: str, number: float | None, text: str | None = None) -> SourcedFigure:
    return SourcedFigure(
        code=code, unit=f"单位{code}", category="街镇" if code == "A" else "部门", occurrence="", form="统计表",
        row=row,
        column="quantity", number=number, text=text, version=2, file_name="=cmd.xlsx", sha256="ab" * 32,
        sheet="统计表", cell="B6",
    )  # fmt: skip


@pytest.fixture(scope="module")
def book() -> openpyxl.Workbook:
    line = StateLine(
        code="A", unit="=HYPERLINK(1)", category="街镇", occurrence="", due="6月30日（星期二）24时前", state="已报"
    )
    content = write_consolidated(
        ConsolidatedBook(
            title="月",
            issuer="办公室",
            as_of="7月10日 17:00",
            categories=(("街镇", TOWNS), ("部门", Totals())),
            deliverables=(DeliverableSheet(title="统计表", lines=(line,)),),
            forms=(
                FormFigures(
                    form=FORM,
                    figures=(figure("A", "a", 3), figure("B", "a", 4), figure("A", "b", 100)),
                    queried={("b", "quantity"): ("单位B",)},
                ),
            ),
            missing=(
                MissingLine(
                    code="B", unit="单位B", category="部门", superior="", contact="", missing="统计表", overdue_days=3
                ),
            ),
        )
    )
    return openpyxl.load_workbook(io.BytesIO(content))


def test_the_sheets_stand_in_the_order_in_which_one_asks(book: openpyxl.Workbook) -> None:
    assert book.sheetnames == ["总体情况", "统计表汇总", "统计表", "统计表明细", "未报名单", "数据来源"]


def test_sums_by_line_and_category_with_the_units_behind_them(book: openpyxl.Workbook) -> None:
    rows = list(book["统计表汇总"].iter_rows(min_row=3, values_only=True))
    assert rows[0] == ("项目", "计量单位", "合计", "街镇", "部门", "计入单位数", "待核实未计入")
    assert rows[1][:6] == ("场次", "场", 7, 3, 4, 2)
    assert rows[2][:7] == ("人次", "人", 100, 100, 0, 1, "单位B")


def test_rates_are_percentages_with_their_fractions(book: openpyxl.Workbook) -> None:
    sheet = book["总体情况"]
    assert sheet["J4"].value == pytest.approx(0.75)
    assert sheet["J4"].number_format == "0.0%"
    assert sheet["L4"].value == "报送率 3/4；及时率 2/4（免报、退出 0 项不计）"
    assert sheet["A6"].font.bold
    assert sheet["J5"].value == "—"


def test_every_figure_leads_to_its_cell(book: openpyxl.Workbook) -> None:
    rows = list(book["数据来源"].iter_rows(min_row=4, values_only=True))
    assert len(rows) == 3
    assert rows[0] == ("A", "单位A", None, "统计表", "a", "quantity", 3, 2, "=cmd.xlsx", "ab" * 32, "统计表", "B6")


def test_text_from_outside_never_becomes_a_formula(book: openpyxl.Workbook) -> None:
    assert book["统计表"]["B4"].data_type == "s"
    assert book["数据来源"]["I4"].data_type == "s"


def test_sheets_are_ready_to_be_filtered_and_printed(book: openpyxl.Workbook) -> None:
    for sheet in book.worksheets:
        assert sheet.freeze_panes
        assert sheet.auto_filter.ref
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.print_title_rows == "$3:$3"


def test_the_summary_states_rates_denominator_and_the_missing() -> None:
    content = write_summary(
        Summary(
            title="月", issuer="办公室", period="6月1日至6月30日", as_of="7月10日 17:00", date="2020年7月10日",
            categories=(("街镇", TOWNS),), missing=(("统计表", tuple(f"单位{n}" for n in range(10))),), units=4,
            voluntary=2, final=True,
        )
    )  # fmt: skip
    document = Document(io.BytesIO(content))
    text = "\n".join(p.text for p in document.paragraphs)
    assert "报送率75.0%" in text
    assert "均以应报4项为分母" in text
    assert "单位7等10家" in text
    assert document.tables[0].cell(2, 7).text == "75.0%"
