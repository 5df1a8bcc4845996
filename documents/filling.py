"""Filling an empty form by program: what a unit typed on the web page becomes a workbook like any other."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from documents.cells import put
from rules.forms import FieldType, Form, type_at

HEAD_SEARCH = 30
PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")
NUMERIC = frozenset({FieldType.INTEGER, FieldType.NUMBER})
NUMBERING = "no"
EPOCH = (2020, 1, 1, 0, 0, 0)
STAMP = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*")

Entries = Mapping[str, Mapping[str, str]]  # text as typed, by row key and column key


def fill_form(empty: bytes, form: Form, entries: Entries) -> bytes:
    """Return an empty form with what was typed in its entry cells; the same text gives the same bytes.

    Free rows stand in the order given. A number written plainly becomes one, everything else stays as it was typed:
    what it means is judged when the workbook is read, as of any other.

    Raises:
        ValueError: the workbook is not an empty form of that kind.

    """
    book = openpyxl.load_workbook(io.BytesIO(empty))
    sheet = book.worksheets[0]
    head, columns = _heading(sheet, form)
    rows: Sequence[str] = [row.key for row in form.rows] or list(entries)
    for offset, key in enumerate(rows, start=1):
        for column in form.entry_columns:
            text = entries.get(key, {}).get(column.key, "")
            if not form.rows and column.key == NUMBERING:
                text = text or str(offset)
            if text.strip():
                _write(sheet, head + offset, columns[column.key], text, numeric=type_at(form, key, column) in NUMERIC)
    buffer = io.BytesIO()
    book.save(buffer)
    return _without_time(buffer.getvalue())


def _heading(sheet: Worksheet, form: Form) -> tuple[int, dict[str, int]]:
    titles = {column.title: column.key for column in form.columns}
    for number, values in enumerate(sheet.iter_rows(max_row=HEAD_SEARCH, values_only=True), start=1):
        found = {titles[t]: i for i, value in enumerate(values, start=1) if (t := str(value)) in titles}
        if len(found) == len(titles):
            return number, found
    raise ValueError(f"the empty workbook of {form.key} has no row with all its column titles")


def _write(sheet: Worksheet, row: int, column: int, text: str, *, numeric: bool) -> None:
    plain = text.strip()
    if numeric and PLAIN_NUMBER.fullmatch(plain):
        put(sheet, row, column, float(plain) if "." in plain else int(plain))
    else:
        put(sheet, row, column, plain)


def _without_time(data: bytes) -> bytes:
    """Return a workbook without the moment of its making, so that a double click hands in the same bytes twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "docProps/core.xml":
                content = STAMP.sub(rb"\g<1>2020-01-01T00:00:00Z", content)
            new.writestr(zipfile.ZipInfo(info.filename, EPOCH), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
