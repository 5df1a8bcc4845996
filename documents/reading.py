"""Reading a workbook that a unit filled in: which form it is, and what stands in each cell."""

import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import openpyxl
from openpyxl.utils import get_column_letter
from openpyxl.workbook import Workbook

from documents.templates import HIDDEN
from rules.forms import Cell, Column, Form, ReadRow, Row, Table

MAX_ROWS = 3_000
MAX_COLUMNS = 60
HEAD_SEARCH = 30  # rows in which the column titles are looked for
ENOUGH_TITLES = 0.6  # of a form's columns must be recognised
SUMMARY_ROWS = frozenset({"合计", "总计", "小计"})

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    ValueError,  # also what defusedxml raises for entities
    TypeError,
    OSError,
    SyntaxError,  # also lxml's XMLSyntaxError
    AttributeError,
    IndexError,
    NotImplementedError,
    RuntimeError,  # an encrypted entry
)

Grid = Sequence[Sequence[object]]


class UnreadableWorkbook(Exception):  # noqa: N818  it is what the file is
    """The file cannot be opened as a workbook; the message says why."""


@dataclass(frozen=True, kw_only=True)
class WorkbookRead:
    """What was recognised. ``form`` and ``table`` are None if no form was; ``reason`` says why."""

    form: Form | None = None
    table: Table | None = None
    campaign: str | None = None
    version: int | None = None
    token: str | None = None
    reason: str = ""


def read_workbook(data: bytes, forms: Sequence[Form]) -> WorkbookRead:
    """Read a workbook against the forms of a campaign. Moved rows, inserted columns, renamed sheets are fine.

    Raises:
        UnreadableWorkbook: it cannot be opened.

    """
    book = _open(data)
    try:
        marks = _marks(book)
        grids = _visible(book)
    except BROKEN as e:
        raise UnreadableWorkbook(f"{type(e).__name__}: {e}") from e
    finally:
        book.close()
    version = marks.get("version", "")
    read = WorkbookRead(
        campaign=marks.get("campaign"),
        token=marks.get("token"),
        version=int(version) if version.isdigit() else None,
        reason="no sheet bears the column titles of a form of this campaign",
    )
    found = _best(grids, forms, marks.get("form"))
    if found is None:
        return read
    form, sheet, head, columns = found
    table = _table(form, sheet, grids[sheet], head, columns)
    return WorkbookRead(form=form, table=table, campaign=read.campaign, version=read.version, token=read.token)


def _open(data: bytes) -> Workbook:
    try:
        return openpyxl.load_workbook(io.BytesIO(data), data_only=True, read_only=True, keep_links=False)
    except BROKEN as e:
        raise UnreadableWorkbook(f"{type(e).__name__}: {e}") from e


def _marks(book: Workbook) -> Mapping[str, str]:
    if HIDDEN not in book.sheetnames:
        return {}
    rows = book[HIDDEN].iter_rows(min_row=1, max_row=8, max_col=2, values_only=True)
    return {str(row[0]): str(row[1]) for row in rows if len(row) > 1 and row[0] is not None and row[1] is not None}


def _visible(book: Workbook) -> dict[str, Grid]:
    grids: dict[str, Grid] = {}
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible":
            continue
        sheet.reset_dimensions()
        grids[sheet.title] = list(sheet.iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS, values_only=True))
    return grids


def normal(value: object) -> str:
    """Return text for comparing titles: no white space, half-width, brackets and their content kept."""
    if value is None:
        return ""
    return re.sub(r"[\s：:*＊]+", "", unicodedata.normalize("NFKC", str(value))).lower()


_Found = tuple[Form, str, int, dict[str, int]]


def _best(grids: Mapping[str, Grid], forms: Sequence[Form], hinted: str | None) -> _Found | None:
    """Return the form, sheet, heading row and columns that fit best; the hidden mark decides between equals."""
    best: tuple[tuple[float, bool], _Found] | None = None
    for form in forms:
        titles = {normal(c.title): c.key for c in form.columns}
        for sheet, grid in grids.items():
            for number, row in enumerate(grid[:HEAD_SEARCH]):
                columns = {
                    titles[t]: i for i, value in reversed(list(enumerate(row))) if (t := normal(value)) in titles
                }
                score = len(columns) / len(titles)
                rank = (score, form.key == hinted)
                if score >= ENOUGH_TITLES and (best is None or rank > best[0]):
                    best = (rank, (form, sheet, number, columns))
    return best[1] if best else None


def _table(form: Form, sheet: str, grid: Grid, head: int, columns: Mapping[str, int]) -> Table:
    rows = _fixed(form, sheet, grid, head, columns) if form.rows else _free(form, sheet, grid, head, columns)
    read = {r.key for r in rows}
    return Table(
        form_key=form.key,
        sheet=sheet,
        rows=tuple(rows),
        missing_columns=tuple(c.key for c in form.entry_columns if c.key not in columns),
        missing_rows=tuple(r.key for r in form.rows if r.key not in read),
    )


def _cells(
    columns: Sequence[Column], at: Mapping[str, int], row: Sequence[object], number: int, sheet: str
) -> dict[str, Cell]:
    return {
        c.key: Cell(
            sheet=sheet,
            ref=f"{get_column_letter(at[c.key] + 1)}{number + 1}",
            value=row[at[c.key]] if at[c.key] < len(row) else None,
        )
        for c in columns
        if c.key in at
    }


def _fixed(form: Form, sheet: str, grid: Grid, head: int, columns: Mapping[str, int]) -> list[ReadRow]:
    """Find each fixed row by its labels, numbering left out: rows may have moved."""
    labels = [c.key for c in form.label_columns if c.key in columns and c.key != "no"]
    wanted: dict[tuple[str, ...], list[Row]] = {}
    for row in form.rows:
        wanted.setdefault(tuple(normal(row.labels.get(k)) for k in labels), []).append(row)
    found = []
    for number in range(head + 1, len(grid)):
        values = grid[number]
        key = tuple(normal(values[columns[k]]) if columns[k] < len(values) else "" for k in labels)
        waiting = wanted.get(key)
        if waiting:
            row = waiting.pop(0)
            found.append(ReadRow(key=row.key, cells=_cells(form.entry_columns, columns, values, number, sheet)))
    return found


def _free(form: Form, sheet: str, grid: Grid, head: int, columns: Mapping[str, int]) -> list[ReadRow]:
    """Take every row in which the unit wrote something, but not its own 合计."""
    numbering = [c.key for c in form.columns if c.key == "no"]
    found: list[ReadRow] = []
    for number in range(head + 1, len(grid)):
        cells = _cells(form.columns, columns, grid[number], number, sheet)
        written = [normal(c.value) for key, c in cells.items() if key not in numbering]
        if any(written) and not any(normal(c.value) in SUMMARY_ROWS for c in cells.values()):
            found.append(ReadRow(key=str(len(found) + 1), cells=cells))
    return found
