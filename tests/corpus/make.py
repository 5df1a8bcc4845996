"""How the workbooks of the corpus are made: a form filled in rightly, then spoiled as people spoil it.

Deterministic: the same recipe gives the same cells.
``python -m tests.corpus.workbooks FOLDER`` writes all of them as files,
to be looked at.
"""

import io
import random
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

import openpyxl
import yaml
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet
from pydantic import TypeAdapter

from documents.opening import HIDDEN
from documents.templates import FormTemplate
from mail.tokens import sign
from rehearsal.clerk import Manner, fill_form
from rules.forms import Form
from tests.documents.attacks import with_parts

HOUSE = Path(__file__).parent.parent.parent
CAMPAIGN = "safety-month-2020"
TITLE = "2020年“安全生产月”和“安全生产专题行”活动"
UNIT = "区应急管理局"
SECRET = b"a secret for the tests only"
OWN_ID, ANOTHERS_ID = 26, 2  # of the two units in a ledger with the shipped roster; the test makes sure of it
OWN, ANOTHERS = sign("p", OWN_ID, SECRET), sign("p", ANOTHERS_ID, SECRET)
DAY = datetime(2020, 6, 16)  # noqa: DTZ001  a cell of a sheet knows no zone
FIRST = 6  # the first row below the column titles

Change = Callable[[Worksheet], None]


@cache
def form(key: str) -> Form:
    """Return a form of the shipped campaign."""
    text = (HOUSE / "campaigns" / CAMPAIGN / "forms" / f"{key}.yaml").read_text(encoding="utf-8")
    return TypeAdapter(Form).validate_python(yaml.safe_load(text))


@cache
def blank(key: str, *, token: str = OWN, campaign: str = CAMPAIGN, title: str = TITLE, unit: str = UNIT) -> bytes:
    """Return an empty form as the unit got it."""
    template = FormTemplate(form(key), campaign_title=title, campaign_key=campaign, deadline_text="6月30日24时前")
    return template.fill(unit_name=unit, token=token)


def right(key: str, **details: str) -> bytes:
    """Return a form filled in rightly."""
    return fill_form(blank(key, **details), random.Random(7), Manner.RIGHT)


def spoiled(key: str, *changes: Change, content: bytes | None = None) -> bytes:
    """Return a form filled in rightly, then changed."""
    book = openpyxl.load_workbook(io.BytesIO(content or right(key)))
    for change in changes:
        change(sheet_of(book))
    return saved(book)


def sheet_of(book: Workbook) -> Worksheet:
    """Return the first sheet."""
    return book.worksheets[0]


def saved(book: Workbook) -> bytes:
    """Return a workbook as a file."""
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def put(**cells: object) -> Change:
    """Write values into cells, by their names."""

    def change(sheet: Worksheet) -> None:
        for ref, value in cells.items():
            sheet[ref].value = value
            if isinstance(value, str) and value.startswith("="):
                sheet[ref].data_type = "f"

    return change


def unmerge(sheet: Worksheet) -> None:
    """Take the merged areas apart, as one must before rows can be moved."""
    for area in list(sheet.merged_cells.ranges):
        sheet.unmerge_cells(str(area))


def rows_above(count: int) -> Change:
    """Put rows above everything."""

    def change(sheet: Worksheet) -> None:
        unmerge(sheet)
        sheet.insert_rows(1, count)
        sheet["A1"] = "附件"

    return change


def without_rows(first: int, count: int) -> Change:
    """Take rows out."""

    def change(sheet: Worksheet) -> None:
        unmerge(sheet)
        sheet.delete_rows(first, count)

    return change


def column_before(index: int, title: str) -> Change:
    """Put in a column of numbers that the form does not have."""

    def change(sheet: Worksheet) -> None:
        unmerge(sheet)
        sheet.insert_cols(index)
        sheet.cell(row=FIRST - 1, column=index).value = title
        for number in range(FIRST, sheet.max_row + 1):
            sheet.cell(row=number, column=index).value = number

    return change


def without_column(index: int) -> Change:
    """Take a column out."""

    def change(sheet: Worksheet) -> None:
        unmerge(sheet)
        sheet.delete_cols(index)

    return change


def swapped(a: int, b: int) -> Change:
    """Swap two columns."""

    def change(sheet: Worksheet) -> None:
        for number in range(FIRST - 1, sheet.max_row + 1):
            left, right_ = sheet.cell(row=number, column=a), sheet.cell(row=number, column=b)
            left.value, right_.value = right_.value, left.value

    return change


def renamed(title: str) -> Change:
    """Rename the sheet."""

    def change(sheet: Worksheet) -> None:
        sheet.title = title

    return change


def row_below(*values: object) -> Change:
    """Write a row below the table."""

    def change(sheet: Worksheet) -> None:
        row = sheet.max_row + 1
        for index, value in enumerate(values, start=1):
            sheet.cell(row=row, column=index).value = value  # type: ignore[assignment]

    return change


def row_at(number: int, *values: object) -> Change:
    """Write a row."""

    def change(sheet: Worksheet) -> None:
        for index, value in enumerate(values, start=1):
            sheet.cell(row=number, column=index).value = value  # type: ignore[assignment]

    return change


def merged_items(sheet: Worksheet) -> None:
    """Merge equal neighbours in the item column, as forms are usually printed."""
    start = FIRST
    for number in range(FIRST + 1, sheet.max_row + 2):
        if sheet.cell(row=number, column=2).value != sheet.cell(row=start, column=2).value:
            if number - start > 1:
                sheet.merge_cells(start_row=start, end_row=number - 1, start_column=2, end_column=2)
            start = number


def merged(area: str) -> Change:
    """Merge an area."""

    def change(sheet: Worksheet) -> None:
        sheet.merge_cells(area)

    return change


def items_only_once(sheet: Worksheet) -> None:
    """Leave the item out where it is the same as above, without merging."""
    for number in range(sheet.max_row, FIRST, -1):
        if sheet.cell(row=number, column=2).value == sheet.cell(row=number - 1, column=2).value:
            sheet.cell(row=number, column=2).value = None


def upside_down(sheet: Worksheet) -> None:
    """Turn the rows of the table round."""
    rows = [[c.value for c in row] for row in sheet.iter_rows(min_row=FIRST)]
    for number, values in enumerate(reversed(rows), start=FIRST):
        for index, value in enumerate(values, start=1):
            sheet.cell(row=number, column=index).value = value


def spaced_labels(sheet: Worksheet) -> None:
    """Write the labels with spaces, line breaks and half-width brackets."""
    for number in range(FIRST - 1, sheet.max_row + 1):
        for index in (2, 3, 4):
            value = str(sheet.cell(row=number, column=index).value or "")
            sheet.cell(row=number, column=index).value = " \n".join(value).replace("（", "(").replace("）", ")")


def numbers_as_text(sheet: Worksheet) -> None:
    """Write every number as text, as after pasting from a web page."""
    for number in range(FIRST, sheet.max_row + 1):
        cell = sheet.cell(row=number, column=5)
        cell.value = f"{cell.value}\n"


def emptied(first: int, last: int) -> Change:
    """Empty the numbers of some rows."""

    def change(sheet: Worksheet) -> None:
        for number in range(first, last + 1):
            sheet.cell(row=number, column=5).value = None

    return change


def hidden_rows(sheet: Worksheet) -> None:
    """Hide rows, and filter."""
    for number in range(10, 20):
        sheet.row_dimensions[number].hidden = True
    sheet.auto_filter.ref = f"A5:F{sheet.max_row}"


def pasted(key: str, *, sheet: str = "Sheet1", from_row: int = FIRST - 1, top: str = "") -> bytes:
    """Return the table alone in a workbook of the unit's own: no hidden marks, no styles."""
    source = sheet_of(openpyxl.load_workbook(io.BytesIO(right(key))))
    book = openpyxl.Workbook()
    book.worksheets[0].title = sheet
    if top:
        book.worksheets[0].append([top])
    for row in source.iter_rows(min_row=from_row, values_only=True):
        book.worksheets[0].append(list(row))
    return saved(book)


def with_sheets(content: bytes, *others: tuple[str, bytes], first: bool = False) -> bytes:
    """Return a workbook with the first sheets of others put in, behind its own or before."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    for title, other in others:
        copy = book.create_sheet(title, 0 if first else None)
        for row in sheet_of(openpyxl.load_workbook(io.BytesIO(other))).iter_rows():
            for cell in row:
                copy[cell.coordinate].value = cell.value
    return saved(book)


def marked(content: bytes, **marks: str) -> bytes:
    """Return a workbook with other hidden marks."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    hidden = book[HIDDEN]
    for row in hidden.iter_rows(max_col=2):
        if str(row[0].value) in marks:
            row[1].value = marks[str(row[0].value)]
    return saved(book)


def calculated(cell: str, formula: str, value: str | None) -> bytes:
    """Return 附件4 with a formula and its last result in a cell, as only a spreadsheet program writes it."""
    result = "" if value is None else f"<v>{value}</v>"
    new = f'<c r="{cell}"><f>{formula}</f>{result}</c>'.encode()
    pattern = re.compile(rb'<c r="%s"[^>]*?(?:/>|>.*?</c>)' % cell.encode(), re.DOTALL)
    return with_parts(right("annex4"), sheet=lambda xml: pattern.sub(new, xml, count=1))


def wrong_dimensions(content: bytes) -> bytes:
    """Return a workbook that says it is one cell large, as some programs write it."""
    pattern = re.compile(rb"<dimension [^>]*/>")
    return with_parts(content, sheet=lambda xml: pattern.sub(b'<dimension ref="A1"/>', xml))


def many_activities(count: int) -> Change:
    """Write so many activities into 附件2."""

    def change(sheet: Worksheet) -> None:
        for number in range(1, count + 1):
            values = (number, f"活动{number}", DAY, None, None, "约300人", None, "王主任", None, "否")
            for index, value in enumerate(values, start=1):
                sheet.cell(row=FIRST - 1 + number, column=index).value = value

    return change


def write_all(folder: Path, cases: Mapping[str, bytes]) -> None:
    """Write the corpus as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, content) in enumerate(cases.items(), start=1):
        plain = re.sub(r"[^\w]+", "-", name)
        (folder / f"{number:02}-{plain}.xlsx").write_bytes(content)
