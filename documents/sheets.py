"""What stands in a workbook, as plain values: what the reading process hands to ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

Grid = Sequence[Sequence[object]]
Place = tuple[int, int]  # row and column, from 0
Area = tuple[int, int, int, int]  # first row, first column, last row, last column, from 0


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A visible sheet: its cells' values, the formulas behind some of them, and its merged areas."""

    title: str
    grid: Grid
    formulas: Mapping[Place, str] = field(default_factory=dict)
    merged: tuple[Area, ...] = ()

    def value(self, row: int, column: int) -> object:
        """Return what stands in a cell; None beyond the edge."""
        return self.grid[row][column] if row < len(self.grid) and column < len(self.grid[row]) else None

    def spread(self, row: int, column: int) -> object:
        """Return what a reader sees in a cell: of a merged one, what stands in its first."""
        for top, left, bottom, right in self.merged:
            if top <= row <= bottom and left <= column <= right:
                return self.value(top, left)
        return self.value(row, column)


@dataclass(frozen=True, kw_only=True)
class Book:
    """A workbook: its visible sheets, and the marks of our hidden one."""

    sheets: tuple[Sheet, ...]
    marks: Mapping[str, str] = field(default_factory=dict)


def as_plain(book: Book) -> dict[str, Any]:
    """Return a workbook as JSON can carry it."""
    return {
        "marks": dict(book.marks),
        "sheets": [
            {
                "title": sheet.title,
                "grid": [[_plain(value) for value in row] for row in sheet.grid],
                "formulas": [[row, column, text] for (row, column), text in sheet.formulas.items()],
                "merged": sheet.merged,
            }
            for sheet in book.sheets
        ],
    }


def from_plain(value: Mapping[str, Any]) -> Book:
    """Return the workbook that :func:`as_plain` made plain."""
    return Book(
        marks={str(k): str(v) for k, v in value["marks"].items()},
        sheets=tuple(
            Sheet(
                title=str(sheet["title"]),
                grid=[[_value(v) for v in row] for row in sheet["grid"]],
                formulas={(row, column): str(text) for row, column, text in sheet["formulas"]},
                merged=tuple((a, b, c, d) for a, b, c, d in sheet["merged"]),
            )
            for sheet in value["sheets"]
        ),
    )


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, time | timedelta):
        return {"time": str(value)}
    return str(value)


def _value(value: object) -> object:
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    if kind == "datetime":
        return datetime.fromisoformat(text)
    return date.fromisoformat(text) if kind == "date" else str(text)
