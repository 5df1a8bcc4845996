"""A form from its definition to the clerk's Excel and back, to the cell."""

import io
import random
import zipfile
from pathlib import Path

import openpyxl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.workbook import Workbook
from pydantic import TypeAdapter

from documents.reading import UnreadableWorkbook, WorkbookRead, read_workbook
from documents.sniff import FileKind, sniff
from documents.templates import FormTemplate
from rehearsal.clerk import Manner, fill_form, write_document
from rules.form_checks import check
from rules.forms import Cell, Checked, Column, FieldType, FindingCode, Form, FreeRows, ReadRow, Severity, Table

FORMS = Path(__file__).parent.parent.parent / "campaigns" / "safety-month-2020" / "forms"


def form(name: str) -> Form:
    return TypeAdapter(Form).validate_python(yaml.safe_load((FORMS / f"{name}.yaml").read_text(encoding="utf-8")))


ALL = [form(name) for name in ("annex2", "annex3", "annex4")]
PROGRESS = ALL[2]


def empty(of: Form) -> bytes:
    template = FormTemplate(of, campaign_title="月", campaign_key="month", deadline_text="6月30日（星期二）24时前")
    return template.fill(unit_name="某街道<办事处>&", token="p3f-abcdefghij")


def filled(of: Form, manner: Manner = Manner.RIGHT, seed: int = 1) -> bytes:
    return fill_form(empty(of), random.Random(seed), manner)


def opened(content: bytes) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


def saved(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def judged(content: bytes) -> tuple[WorkbookRead, Checked]:
    read = read_workbook(content, ALL)
    assert read.form is not None
    assert read.table is not None
    return read, check(read.form, read.table)


@pytest.mark.parametrize("of", ALL, ids=lambda f: f.key)
def test_a_form_filled_in_rightly_comes_back_without_a_fault(of: Form) -> None:
    read, checked = judged(filled(of))
    assert read.form == of
    assert (read.token, read.campaign, read.version) == ("p3f-abcdefghij", "month", 1)
    assert [f for f in checked.findings if f.severity is not Severity.INFO] == []
    assert checked.figures


def test_the_unit_s_name_is_printed_and_labels_are_locked() -> None:
    sheet = opened(empty(PROGRESS)).worksheets[0]
    assert sheet["A3"].value == "填报单位：某街道<办事处>&"
    assert sheet.protection.sheet
    assert sheet["B6"].protection.locked
    assert not sheet["E6"].protection.locked


def test_every_figure_bears_the_cell_it_stands_in() -> None:
    content = filled(PROGRESS)
    _, checked = judged(content)
    sheet = opened(content).worksheets[0]
    numbers = [f for f in checked.figures if f.number is not None]
    assert len(numbers) == 52
    assert all(sheet[f.cell].value == f.number for f in numbers)


def test_moved_rows_an_inserted_column_and_a_renamed_sheet_are_recognised() -> None:
    book = opened(filled(PROGRESS))
    sheet = book.worksheets[0]
    _, before = judged(saved(book))
    for merged in list(sheet.merged_cells.ranges):
        sheet.unmerge_cells(str(merged))
    sheet.insert_rows(2, 3)
    sheet.insert_cols(1)
    sheet.title = "Sheet1"
    _, after = judged(saved(book))
    assert {(f.row, f.number) for f in after.figures} == {(f.row, f.number) for f in before.figures}


def test_an_empty_form_is_one_fault_not_fifty() -> None:
    _, checked = judged(empty(PROGRESS))
    assert [f.code for f in checked.findings] == [FindingCode.EMPTY_FORM]


def with_cell(value: str | float | None, cell: str = "E6") -> Checked:
    book = opened(filled(PROGRESS))
    book.worksheets[0][cell] = value
    return judged(saved(book))[1]


@pytest.mark.parametrize(
    ("value", "code", "severity"),
    [
        ("若干", FindingCode.NOT_A_NUMBER, Severity.MUST),
        (None, FindingCode.BLANK_NUMBER, Severity.QUERY),
        (-1, FindingCode.TOO_SMALL, Severity.MUST),
        (1.5, FindingCode.NOT_WHOLE, Severity.MUST),
        (10**9, FindingCode.TOO_LARGE, Severity.MUST),
        ("约300", FindingCode.APPROXIMATE, Severity.QUERY),
        ("无", FindingCode.EMPTY_LIKE, Severity.QUERY),
        ("12场", FindingCode.NORMALISED, Severity.INFO),
    ],
)
def test_a_faulty_number_is_named_with_its_cell(
    value: str | float | None, code: FindingCode, severity: Severity
) -> None:
    checked = with_cell(value)
    finding = next(f for f in checked.findings if f.cell == "E6")
    assert (finding.code, finding.severity, finding.sheet) == (code, severity, "活动进展情况统计表")
    assert finding.field == "启动仪式 组织收看或举办（场次） 数量"
    has_figure = any(f.cell == "E6" for f in checked.figures)
    assert has_figure is (severity is Severity.INFO)


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (10**15 - 1, None, ""),
        (-(10**15) + 0.5, FindingCode.NOT_WHOLE, ""),
        (10**15, FindingCode.TOO_LARGE, "999999999999999"),
        (10**16, FindingCode.TOO_LARGE, "999999999999999"),
        (1e300, FindingCode.TOO_LARGE, "999999999999999"),
        ("1亿亿亿", FindingCode.NOT_A_NUMBER, ""),
        ("亿" * 60, FindingCode.NOT_A_NUMBER, ""),
        ("九千亿亿", FindingCode.NOT_A_NUMBER, ""),
        ("99999999亿", FindingCode.TOO_LARGE, "999999999999999"),
        (-(10**16), FindingCode.TOO_SMALL, "-999999999999999"),
        (float("nan"), FindingCode.NOT_A_NUMBER, ""),
    ],
)
def test_a_number_of_more_digits_than_can_be_kept_is_a_finding(
    value: float | str, code: FindingCode | None, expected: str
) -> None:
    column = Column(key="n", title="数", type=FieldType.INTEGER)
    free = Form(key="f", title="f", version=1, columns=(column,), free=FreeRows())
    row = ReadRow(key="1", cells={"n": Cell(sheet="s", ref="A2", value=value)})
    checked = check(free, Table(form_key="f", sheet="s", rows=(row,)))
    must = [f for f in checked.findings if f.severity is Severity.MUST]
    assert [(f.code, f.params.get("expected", "")) for f in must] == ([(code, expected)] if code else [])
    assert [f.number for f in checked.figures] == ([] if code else [value])


def test_more_mended_than_found_is_queried() -> None:
    _, checked = judged(filled(PROGRESS))
    found = next(f for f in checked.figures if f.row == "hazards_found")
    fixed = next(f for f in checked.figures if f.row == "hazards_fixed")
    again = with_cell((found.number or 0) + 1, fixed.cell)
    crossed = [f for f in again.findings if f.code is FindingCode.AT_MOST]
    assert [(f.cell, f.params["other_cell"]) for f in crossed] == [(fixed.cell, found.cell)]


def test_a_row_taken_out_is_missed() -> None:
    book = opened(filled(PROGRESS))
    book.worksheets[0]["C6"] = "别的"
    _, checked = judged(saved(book))
    assert [f.field for f in checked.findings if f.code is FindingCode.MISSING_ROW] == ["启动仪式 组织收看或举办"]


def test_a_unit_s_own_total_is_no_row() -> None:
    book = opened(filled(ALL[0]))
    book.worksheets[0]["A12"] = "合计"
    book.worksheets[0]["F12"] = "约800人"
    read, _ = judged(saved(book))
    assert read.table is not None
    assert all("合计" not in {str(c.value) for c in row.cells.values()} for row in read.table.rows)


@pytest.mark.parametrize(("cell", "kept"), [("A6", False), ("B6", False), ("D6", True), ("E6", True)])
def test_a_word_of_a_total_drops_a_row_only_where_a_row_says_what_it_is(cell: str, kept: bool) -> None:
    book = opened(filled(ALL[0]))
    book.worksheets[0][cell] = "合计"
    read, _ = judged(saved(book))
    before, _ = judged(filled(ALL[0]))
    assert read.table is not None
    assert before.table is not None
    assert (len(read.table.rows) == len(before.table.rows)) is kept


def test_another_workbook_is_no_form() -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["部门", "设备", "数量"])
    read = read_workbook(saved(book), ALL)
    assert read.form is None
    assert "column titles" in read.reason


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", empty(PROGRESS)[:2000]])
def test_a_broken_workbook_is_unreadable_not_a_crash(content: bytes) -> None:
    with pytest.raises(UnreadableWorkbook):
        read_workbook(content, ALL)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (empty(PROGRESS), FileKind.XLSX),
        (write_document("方案", "某街道"), FileKind.DOCX),
        (b"%PDF-1.7", FileKind.PDF),
        (b"\xff\xd8\xff\xe0", FileKind.JPEG),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind.OLE),
        (b"hello", FileKind.TEXT),
        (b"\0\1hello", FileKind.UNKNOWN),
        (b"", FileKind.EMPTY),
    ],
)
def test_a_file_is_what_it_contains(content: bytes, kind: FileKind) -> None:
    assert sniff(content) is kind


def test_a_zip_bomb_and_macros_are_recognised() -> None:
    bomb, macros = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 20_000_000)
    with zipfile.ZipFile(macros, "w") as archive:
        archive.writestr("xl/workbook.xml", b"x")
        archive.writestr("xl/vbaProject.bin", b"x")
    assert sniff(bomb.getvalue()) is FileKind.BOMB
    assert sniff(macros.getvalue()) is FileKind.MACROS


@settings(max_examples=60, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_workbook_is_read_or_unreadable_and_never_a_crash(flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(FILLED)
    for position, value in flips:
        damaged[position % len(damaged)] = value
    try:
        read = read_workbook(bytes(damaged), ALL)
    except UnreadableWorkbook:
        return
    if read.form is not None and read.table is not None:
        check(read.form, read.table)


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml"])
def test_an_entity_bomb_yields_nothing(part: str) -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{levels}]><x>&l9;</x>'.encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(FILLED)) as good, zipfile.ZipFile(buffer, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, bomb if name == part else good.read(name))
    try:
        read = read_workbook(buffer.getvalue(), ALL)
    except UnreadableWorkbook:
        return
    assert read.table is None


FILLED = filled(PROGRESS)
