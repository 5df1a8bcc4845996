"""Which form a sheet is, wherever its table stands: by the column titles, and its rows by their labels."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from openpyxl.utils import get_column_letter

from documents.sheets import Book, Grid, Sheet
from rules.forms import Cell, Column, FieldType, Form, ReadRow, Row, Table
from rules.numbers import read_number
from rules.origin import Origin, Spot

HEAD_SEARCH = 30  # rows in which the column titles are looked for
ENOUGH_TITLES = 0.6  # of a form's columns must be recognised
SUMMARY_ROWS = frozenset({"合计", "总计", "小计", "共计", "累计"})
UNNAMED = "（未写明项目）"
MAX_EXTRA = 10  # columns or rows that are told of


def normal(value: object) -> str:
    """Return text for comparing titles: no white space, half-width, brackets and their content kept."""
    if value is None:
        return ""
    return re.sub(r"[\s：:*＊]+", "", unicodedata.normalize("NFKC", str(value))).lower()


@dataclass(frozen=True, kw_only=True)
class Found:
    """A form found in a sheet: the row of its titles and its columns, from 0."""

    form: Form
    sheet: Sheet
    head: int
    columns: Mapping[str, int]
    rank: tuple[float, bool, bool]  # titles recognised, filled in, named by the hidden mark

    @property
    def filled(self) -> bool:
        """Whether anything stands in its entry cells."""
        return self.rank[1]


def find_forms(book: Book, forms: Sequence[Form]) -> list[tuple[Found, ...]]:
    """Return what a workbook holds, form by form: the sheet to be read, and behind it others of the same form.

    Each sheet is the form it fits best. One that is filled in goes before one that is not; a form of which no sheet is
    filled in counts only where none is.
    """
    hinted = book.marks.get("form")
    per_sheet = (_best_of(sheet, forms, hinted) for sheet in book.sheets)
    ranked = sorted((found for found in per_sheet if found is not None), key=lambda f: f.rank, reverse=True)
    by_form: dict[str, list[Found]] = {}
    for found in sorted(ranked, key=lambda f: not f.filled):
        by_form.setdefault(found.form.key, []).append(found)
    every = [tuple(sheets) for sheets in by_form.values()]
    return [sheets for sheets in every if sheets[0].filled] or every[:1]


def _best_of(sheet: Sheet, forms: Sequence[Form], hinted: str | None) -> Found | None:
    heads = [[normal(v) for v in row] for row in sheet.grid[:HEAD_SEARCH]]
    best: Found | None = None
    for form in forms:
        titles = {normal(c.title): c.key for c in form.columns}
        for number, row in enumerate(heads):
            columns = {titles[t]: i for i, t in reversed(list(enumerate(row))) if t in titles}
            score = len(columns) / len(titles)
            if score < ENOUGH_TITLES or (best is not None and score < best.rank[0]):
                continue
            rank = (score, _is_filled(form, sheet.grid, number, columns), form.key == hinted)
            if best is None or rank > best.rank:
                best = Found(form=form, sheet=sheet, head=number, columns=columns, rank=rank)
    return best


def _is_filled(form: Form, grid: Grid, head: int, columns: Mapping[str, int]) -> bool:
    entries = [columns[c.key] for c in form.entry_columns if c.key in columns and c.key != "no"]
    return any(normal(row[i]) for row in grid[head + 1 :] for i in entries if i < len(row))


def table_of(found: Found) -> tuple[Table, tuple[Spot, ...]]:
    """Return the table, and the filled rows that are none of the form's."""
    form = found.form
    rows, extra = _fixed(found) if form.rows else (_free(found), ())
    read = {r.key for r in rows}
    table = Table(
        form_key=form.key,
        sheet=found.sheet.title,
        rows=tuple(rows),
        missing_columns=tuple(c.key for c in form.entry_columns if c.key not in found.columns),
        missing_rows=tuple(r.key for r in form.rows if r.key not in read),
    )
    return table, extra


def origin_of(book: Book, sheets: Sequence[Found], extra_rows: tuple[Spot, ...]) -> Origin:
    """Return what stands around the table of a form, the first of its sheets."""
    chosen, others = sheets[0], [f for f in sheets[1:] if f.filled]
    version = book.marks.get("version", "")
    is_marked = book.marks.get("form") == chosen.form.key and version.isdecimal() and len(version) < len("10000")
    return Origin(
        sheet=chosen.sheet.title,
        head=chosen.head + 1,
        version=int(version) if is_marked else None,
        above=tuple(_above(chosen)),
        extra_columns=tuple(_extra_columns(chosen))[:MAX_EXTRA],
        extra_rows=extra_rows[:MAX_EXTRA],
        other_sheets=tuple(f.sheet.title for f in others),
    )


def _above(found: Found) -> Iterator[Spot]:
    for number, row in enumerate(found.sheet.grid[: found.head]):
        for index, value in enumerate(row):
            if value is not None and str(value).strip():
                yield Spot(ref=reference(number, index), text=str(value).strip())


def _extra_columns(found: Found) -> Iterator[Spot]:
    known = set(found.columns.values())
    titles = {normal(c.title) for c in found.form.columns}
    for index, value in enumerate(found.sheet.grid[found.head]):
        if index not in known and normal(value) and normal(value) not in titles:
            yield Spot(ref=reference(found.head, index), text=str(value).strip())


def reference(row: int, column: int) -> str:
    """Return a cell's name from its row and column, counted from 0."""
    return f"{get_column_letter(column + 1)}{row + 1}"


def _cells(found: Found, columns: Sequence[Column], number: int, *, spread: bool) -> dict[str, Cell]:
    sheet = found.sheet
    cells: dict[str, Cell] = {}
    for column in columns:
        if column.key not in found.columns:
            continue
        index = found.columns[column.key]
        # A text that spans rows is said of each of them; a number that spans rows is said once.
        is_text = spread and column.type is FieldType.STRING
        value = sheet.spread(number, index) if is_text else sheet.value(number, index)
        formula = sheet.formulas.get((number, index), "")
        cells[column.key] = Cell(sheet=sheet.title, ref=reference(number, index), value=value, formula=formula)
    return cells


def _fixed(found: Found) -> tuple[list[ReadRow], tuple[Spot, ...]]:
    """Find each fixed row by its labels, numbering left out: rows may have moved, and labels been merged."""
    form, sheet = found.form, found.sheet
    labels = [c.key for c in form.label_columns if c.key in found.columns and c.key != "no"]
    wanted: dict[tuple[str, ...], list[Row]] = {}
    for row in form.rows:
        wanted.setdefault(tuple(normal(row.labels.get(k)) for k in labels), []).append(row)
    rows: list[ReadRow] = []
    extra: list[Spot] = []
    last = [""] * len(labels)
    for number in range(found.head + 1, len(sheet.grid)):
        shown = [normal(sheet.spread(number, found.columns[k])) for k in labels]
        filled_down = [text or before for text, before in zip(shown, last, strict=True)]
        waiting = wanted.get(tuple(shown)) or (wanted.get(tuple(filled_down)) if any(shown) else None)
        cells = _cells(found, form.entry_columns, number, spread=False)
        if waiting:
            rows.append(ReadRow(key=waiting.pop(0).key, cells=cells))
            last = filled_down
        elif not _is_summary(found, number) and (spot := _extra_row(form, shown, cells)) is not None:
            extra.append(spot)
    return rows, tuple(extra)


def _extra_row(form: Form, labels: Sequence[str], cells: Mapping[str, Cell]) -> Spot | None:
    """Return where something stands in a row that the form does not have: it would be lost unsaid.

    Without a label only numbers tell: a text below the table is a signature or a remark.
    """
    numeric = {c.key for c in form.entry_columns if c.type in (FieldType.INTEGER, FieldType.NUMBER)}
    telling = numeric or {c.key for c in form.entry_columns if c.constraints.required}
    for key, cell in cells.items():
        if key in telling and normal(cell.value) and (any(labels) or _counts(cell)):
            return Spot(ref=cell.ref, text=" ".join(label for label in labels if label) or f"{UNNAMED}{cell.value}")
    return None


def _counts(cell: Cell) -> bool:
    return bool(read_number(cell.value).value)


def _is_summary(found: Found, number: int) -> bool:
    """Whether a row is a unit's own 合计: said in a label, or in free rows in the number or the first text."""
    known = [c for c in found.form.columns if c.key in found.columns]
    said = [c for c in known if c.label]
    if not found.form.rows:
        texts = [c for c in known if c.key != "no" and (c.label or c.type is FieldType.STRING)]
        said = [c for c in known if c.key == "no"] + texts[:1]
    return any(normal(found.sheet.value(number, found.columns[c.key])) in SUMMARY_ROWS for c in said)


def _free(found: Found) -> list[ReadRow]:
    """Take every row in which the unit wrote something, but not its own 合计, nor the empty rows of a merged area."""
    form = found.form
    rows: list[ReadRow] = []
    for number in range(found.head + 1, len(found.sheet.grid)):
        own = _cells(found, form.columns, number, spread=False)
        written = [normal(c.value) or c.formula for key, c in own.items() if key != "no"]
        if any(written) and not _is_summary(found, number):
            rows.append(ReadRow(key=str(len(rows) + 1), cells=_cells(found, form.columns, number, spread=True)))
    return rows
