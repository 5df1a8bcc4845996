"""The Excel form a unit fills in, made from the form's definition."""

import io
import zipfile
from xml.sax.saxutils import escape

from openpyxl import Workbook
from openpyxl.styles import Font, Protection
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from documents.cells import ENTRY_FILL, FONT, HEAD_FILL, LABEL_FILL, LEFT, print_setup, put, style
from documents.opening import HIDDEN
from rules.forms import HEAD_ROW, Column, Constraints, FieldType, Form, Row

UNIT_MARK = "MUSTER-UNIT-NAME"
TOKEN_MARK = "MUSTER-TOKEN"  # noqa: S105  a placeholder, not a password
BLANK_ROWS = 15  # offered in a table of free rows; more may be written below


class FormTemplate:
    """An empty form. Built once by openpyxl, then filled per unit by replacing two marks inside the zip."""

    def __init__(self, form: Form, *, campaign_title: str, campaign_key: str, deadline_text: str) -> None:
        """Build the workbook with marks where the unit's name and token go."""
        self.form = form
        book = _build(form, campaign_title, campaign_key, deadline_text)
        buffer = io.BytesIO()
        book.save(buffer)
        with zipfile.ZipFile(buffer) as archive:
            self._parts = [(info.filename, archive.read(info)) for info in archive.infolist()]

    def fill(self, *, unit_name: str, token: str) -> bytes:
        """Return the workbook (.xlsx) for one unit."""
        marks = ((UNIT_MARK.encode(), escape(unit_name).encode()), (TOKEN_MARK.encode(), escape(token).encode()))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, content in self._parts:
                part = content
                for mark, value in marks:
                    part = part.replace(mark, value)
                # A fixed date: the same form for the same unit is the same bytes, so it is kept once.
                archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), part, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def _build(form: Form, campaign_title: str, campaign_key: str, deadline_text: str) -> Workbook:
    book = Workbook()
    sheet = book.active
    if not isinstance(sheet, Worksheet):
        raise TypeError("a new workbook has no worksheet")
    sheet.title = form.sheet_title
    width = len(form.columns)
    head = _heading(sheet, form, campaign_title, deadline_text, width)
    for number, column in enumerate(form.columns, start=1):
        style(put(sheet, head, number, column.title), bold=True, fill=HEAD_FILL)
        sheet.column_dimensions[get_column_letter(number)].width = column.width
    sheet.row_dimensions[head].height = 30
    first = head + 1
    last = _fixed_rows(sheet, form, first) if form.rows else _free_rows(sheet, form, first)
    sheet.freeze_panes = f"A{first}"
    sheet.protection.sheet = True
    sheet.protection.formatColumns = False
    sheet.protection.formatRows = False
    sheet.protection.insertRows = form.free is None
    sheet.print_area = f"A1:{get_column_letter(width)}{last}"
    print_setup(sheet, heading_row=head)
    _hidden(book, form, campaign_key)
    return book


def _heading(sheet: Worksheet, form: Form, campaign_title: str, deadline_text: str, width: int) -> int:
    """Write title, unit and notes above the table; return the row of the column titles."""
    put(sheet, 1, 1, form.title).font = Font(name=FONT, size=16, bold=True)
    put(sheet, 2, 1, campaign_title).font = Font(name=FONT, size=10, color="FF52606D")
    put(sheet, 3, 1, f"填报单位：{UNIT_MARK}").font = Font(name=FONT, size=11, bold=True)
    notes = [f"报送时间：{deadline_text}" if deadline_text else "", *form.notes]
    put(sheet, 4, 1, "\n".join(n for n in notes if n)).font = Font(name=FONT, size=9, color="FF52606D")
    for row in range(1, HEAD_ROW):
        sheet.merge_cells(start_row=row, start_column=1, end_row=row, end_column=width)
        sheet.cell(row=row, column=1).alignment = LEFT
    sheet.row_dimensions[1].height = 28
    sheet.row_dimensions[4].height = 15 * max(1, len([n for n in notes if n]))
    return HEAD_ROW


def _fixed_rows(sheet: Worksheet, form: Form, first: int) -> int:
    for number, row in enumerate(form.rows, start=first):
        for index, column in enumerate(form.columns, start=1):
            if column.label:
                style(put(sheet, number, index, row.labels.get(column.key, "")), fill=LABEL_FILL)
            else:
                _entry(sheet, number, index, column, row)
    return first + len(form.rows) - 1


def _free_rows(sheet: Worksheet, form: Form, first: int) -> int:
    for number in range(first, first + BLANK_ROWS):
        for index, column in enumerate(form.columns, start=1):
            _entry(sheet, number, index, column, None)
    return first + BLANK_ROWS - 1


def _entry(sheet: Worksheet, row: int, index: int, column: Column, fixed: Row | None) -> None:
    cell = put(sheet, row, index, None)
    entry = fixed.entries.get(column.key) if fixed else None
    type_ = entry.type if entry and entry.type else column.type
    limits = entry.constraints if entry and entry.constraints else column.constraints
    numeric = type_ in (FieldType.INTEGER, FieldType.NUMBER)
    style(cell, fill=ENTRY_FILL, left=not numeric)
    cell.protection = Protection(locked=False)
    cell.number_format = "#,##0" if type_ is FieldType.INTEGER else ("General" if numeric else "@")
    validation = _validation(type_, limits)
    note = (entry.note if entry else "") or column.note
    if validation is None and not note:
        return
    validation = validation or DataValidation(type=None)
    if note:
        validation.promptTitle, validation.prompt, validation.showInputMessage = column.title[:32], note[:255], True
    sheet.add_data_validation(validation)
    validation.add(cell)


def _validation(type_: FieldType, limits: Constraints) -> DataValidation | None:
    """Return a warning-style check: “约300” may be typed, and is then queried rather than lost."""
    if limits.enum:
        found = DataValidation(type="list", formula1='"' + ",".join(limits.enum) + '"', allow_blank=True)
    elif type_ is FieldType.INTEGER:
        found = DataValidation(type="whole", operator="greaterThanOrEqual", formula1=str(int(limits.minimum or 0)))
    else:
        return None
    found.errorStyle = "warning"
    found.showErrorMessage = True
    found.errorTitle, found.error = (
        "请核对",
        "这里应填整数；没有发生的填 0。" if not limits.enum else "请从列表中选填。",
    )
    return found


def _hidden(book: Workbook, form: Form, campaign_key: str) -> None:
    sheet = book.create_sheet(HIDDEN)
    for number, (key, value) in enumerate(
        (("campaign", campaign_key), ("form", form.key), ("version", str(form.version)), ("token", TOKEN_MARK)),
        start=1,
    ):
        put(sheet, number, 1, key)
        put(sheet, number, 2, value)
    sheet.sheet_state = "veryHidden"
