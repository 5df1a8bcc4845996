"""Opening a file that somebody sent. Runs in the reading process (:mod:`documents.sandbox`), never in ours."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import openpyxl
from openpyxl.utils import range_boundaries
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook import Workbook
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from documents.sheets import Area, Book, Place, Sheet

HIDDEN = "_muster"  # the sheet with the marks of our templates
MAX_ROWS = 3_000
MAX_COLUMNS = 60
MAX_SHEETS = 30
MAX_CELLS = 400_000  # with something in them, over all sheets
MAX_TEXT = 12_000_000  # characters, over all cells
MAX_MERGED = 5_000
MAX_PART = 80 * 1024 * 1024  # of one sheet's XML
MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"')
FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
DOCTYPE = re.compile(rb"<!DOCTYPE|<!ENTITY", re.IGNORECASE)

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    InvalidFileException,
    EOFError,
    LookupError,  # a part that is not there, an encoding that nobody knows
    ValueError,  # also what defusedxml raises for entities
    TypeError,
    OSError,
    SyntaxError,  # also lxml's XMLSyntaxError
    AttributeError,
    ArithmeticError,  # a date beyond the end of time
    NotImplementedError,
    RuntimeError,  # an encrypted entry
    AssertionError,
)


class Cause(StrEnum):
    """Why a file cannot be read."""

    BROKEN = "broken"
    ENTITIES = "entities"  # XML with a DTD: no office program writes one
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    DIED = "died"  # the reading process ended in the middle of it


class UnreadableWorkbook(Exception):  # noqa: N818  it is what the file is
    """The file cannot be opened; the message says why, for staff."""

    def __init__(self, message: str, cause: Cause = Cause.BROKEN) -> None:
        """Keep the cause, by which the sentence for the unit is found."""
        super().__init__(message)
        self.cause = cause


def open_workbook(data: bytes) -> Book:
    """Return what stands in a workbook.

    Raises:
        UnreadableWorkbook: it cannot be opened, or holds more than any form.

    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_entities(archive)
            book = _load(data, values=True)
            try:
                return Book(marks=_marks(book), sheets=tuple(_sheets(book, archive, data)))
            finally:
                book.close()
    except BROKEN as error:
        raise UnreadableWorkbook(f"{type(error).__name__}: {error}") from error


def _load(data: bytes, *, values: bool) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(data), data_only=values, read_only=True, keep_links=False)


def _refuse_entities(archive: zipfile.ZipFile) -> None:
    for info in archive.infolist():
        if info.filename.lower().endswith((".xml", ".rels")):
            with archive.open(info) as part:
                if DOCTYPE.search(part.read(4096)):
                    raise UnreadableWorkbook(f"{info.filename} declares a document type or entities", Cause.ENTITIES)


def _marks(book: Workbook) -> dict[str, str]:
    if HIDDEN not in book.sheetnames:
        return {}
    rows = book[HIDDEN].iter_rows(min_row=1, max_row=8, max_col=2, values_only=True)
    return {str(row[0]): str(row[1]) for row in rows if len(row) > 1 and row[0] is not None and row[1] is not None}


def _sheets(book: Workbook, archive: zipfile.ZipFile, data: bytes) -> Iterator[Sheet]:
    formulas_of: Workbook | None = None
    cells = text = 0
    visible = [s for s in book.worksheets if s.sheet_state == "visible" and isinstance(s, ReadOnlyWorksheet)]
    if len(visible) > MAX_SHEETS:
        raise UnreadableWorkbook(f"{len(visible)} sheets", Cause.TOO_LARGE)
    for sheet in visible:
        grid = _grid(sheet)
        filled = [value for row in grid for value in row if value is not None]
        cells += len(filled)
        text += sum(len(value) for value in filled if isinstance(value, str))
        if cells > MAX_CELLS or text > MAX_TEXT:
            raise UnreadableWorkbook(f"more than {MAX_CELLS} cells or {MAX_TEXT} characters", Cause.TOO_LARGE)
        raw = _raw(archive, sheet)
        formulas: dict[Place, str] = {}
        if FORMULA.search(raw):
            formulas_of = formulas_of or _load(data, values=False)
            formulas = _formulas(formulas_of[sheet.title])
        yield Sheet(title=sheet.title, grid=grid, formulas=formulas, merged=tuple(_merged(raw)))
    if formulas_of is not None:
        formulas_of.close()


def _grid(sheet: Any) -> list[list[object]]:  # noqa: ANN401  openpyxl's reader is typed as what it is not
    """Return the values, without the empty cells and rows at the ends.

    Raises:
        UnreadableWorkbook: something stands beyond the rows and columns that are read; it would be lost unsaid.

    """
    sheet.reset_dimensions()
    grid: list[list[object]] = []
    for values in sheet.iter_rows(max_row=MAX_ROWS + 1, max_col=MAX_COLUMNS + 1, values_only=True):
        row: list[object] = list(values)
        while row and row[-1] is None:
            row.pop()
        if len(row) > MAX_COLUMNS:
            raise UnreadableWorkbook(f"sheet {sheet.title} has more than {MAX_COLUMNS} columns", Cause.TOO_LARGE)
        grid.append(row)
    while grid and not grid[-1]:
        grid.pop()
    if len(grid) > MAX_ROWS:
        raise UnreadableWorkbook(f"sheet {sheet.title} has more than {MAX_ROWS} rows", Cause.TOO_LARGE)
    return grid


def _raw(archive: zipfile.ZipFile, sheet: Any) -> bytes:  # noqa: ANN401
    with archive.open(sheet._worksheet_path) as part:  # noqa: SLF001  openpyxl tells it nowhere else
        raw = part.read(MAX_PART + 1)
    if len(raw) > MAX_PART:
        raise UnreadableWorkbook(f"sheet {sheet.title} is larger than {MAX_PART} bytes", Cause.TOO_LARGE)
    return raw


def _formulas(sheet: Any) -> dict[Place, str]:  # noqa: ANN401
    sheet.reset_dimensions()
    found: dict[Place, str] = {}
    for number, row in enumerate(sheet.iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS)):
        for index, cell in enumerate(row):
            if cell.data_type == "f":
                found[number, index] = str(cell.value)
    return found


def _merged(raw: bytes) -> Iterator[Area]:
    for number, found in enumerate(MERGED.finditer(raw)):
        if number >= MAX_MERGED:
            return
        left, top, right, bottom = (value or 1 for value in range_boundaries(found[1].decode()))
        yield top - 1, left - 1, bottom - 1, right - 1
