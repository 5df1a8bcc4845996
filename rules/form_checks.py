"""Checking a table against its form: findings for the unit, figures for the totals."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from rules.forms import (
    Cell,
    Check,
    Checked,
    CheckKind,
    Column,
    Constraints,
    FieldType,
    Figure,
    Finding,
    FindingCode,
    Form,
    ReadRow,
    Severity,
    Table,
)
from rules.numbers import NumberKind, read_number

MAX_SHOWN = 60
LARGEST = 10**15 - 1  # fifteen digits: neither a spreadsheet nor the ledger keeps more of them


@dataclass(frozen=True, kw_only=True)
class _Place:
    """An entry cell, the type and limits that hold there, and what a person calls it."""

    row: str
    column: str
    type: FieldType
    constraints: Constraints
    cell: Cell
    name: str

    def finding(self, severity: Severity, code: FindingCode, **params: str) -> Finding:
        read = "" if self.cell.value is None else str(self.cell.value).strip()[:MAX_SHOWN]
        return Finding(
            severity=severity,
            code=code,
            sheet=self.cell.sheet,
            cell=self.cell.ref,
            row=self.row,
            column=self.column,
            field=self.name,
            read=read,
            params=params,
        )

    def figure(self, *, number: float | None = None, text: str | None = None) -> Figure:
        return Figure(
            row=self.row, column=self.column, number=number, text=text, sheet=self.cell.sheet, cell=self.cell.ref
        )


def check(form: Form, table: Table) -> Checked:
    """Return the findings and figures of a table. A queried or faulty cell gives a finding and no figure."""
    places = list(_places(form, table))
    if not any(_filled(p.cell) for p in places):
        return Checked(
            findings=(Finding(severity=Severity.MUST, code=FindingCode.EMPTY_FORM, sheet=table.sheet),), figures=()
        )
    findings = list(_shape(form, table))
    figures: list[Figure] = []
    for place in places:
        figure, found = _judge(place)
        findings.extend(found)
        if figure is not None:
            figures.append(figure)
    findings.extend(_cross(form, table, figures))
    return Checked(findings=tuple(findings), figures=tuple(figures))


def _filled(cell: Cell) -> bool:
    return cell.value is not None and str(cell.value).strip() != ""


def _shape(form: Form, table: Table) -> Iterator[Finding]:
    """Yield what is wrong with the table as a whole: columns, rows."""
    titles = {c.key: c.title for c in form.columns}
    names = {r.key: form.row_name(r) for r in form.rows}
    for key in table.missing_columns:
        yield Finding(
            severity=Severity.MUST, code=FindingCode.MISSING_COLUMN, sheet=table.sheet, field=titles.get(key, key)
        )
    for key in table.missing_rows:
        yield Finding(
            severity=Severity.MUST, code=FindingCode.MISSING_ROW, sheet=table.sheet, field=names.get(key, key)
        )
    if form.free is not None:
        if len(table.rows) < form.free.at_least:
            yield _rows(table, FindingCode.TOO_FEW_ROWS, form.free.at_least)
        elif len(table.rows) > form.free.at_most:
            yield _rows(table, FindingCode.TOO_MANY_ROWS, form.free.at_most)


def _rows(table: Table, code: FindingCode, expected: int) -> Finding:
    return Finding(
        severity=Severity.MUST,
        code=code,
        sheet=table.sheet,
        read=str(len(table.rows)),
        params={"expected": str(expected)},
    )


def _places(form: Form, table: Table) -> Iterator[_Place]:
    rows = {r.key: r for r in form.rows}
    for read in table.rows:
        fixed = rows.get(read.key)
        for column in form.entry_columns:
            cell = read.cells.get(column.key)
            if cell is None:
                continue
            entry = fixed.entries.get(column.key) if fixed else None
            yield _Place(
                row=read.key,
                column=column.key,
                type=(entry.type if entry and entry.type else column.type),
                constraints=(entry.constraints if entry and entry.constraints else column.constraints),
                cell=cell,
                name=_name(form, read, column),
            )


def _name(form: Form, read: ReadRow, column: Column) -> str:
    fixed = next((r for r in form.rows if r.key == read.key), None)
    if fixed is None:
        return f"第{read.key}行“{column.title}”"
    unit = f"（{fixed.unit}）" if fixed.unit else ""
    return f"{form.row_name(fixed)}{unit} {column.title}"


def _judge(place: _Place) -> tuple[Figure | None, list[Finding]]:
    if isinstance(place.cell.value, str) and place.cell.value.startswith("=") and place.type is not FieldType.STRING:
        return None, [place.finding(Severity.MUST, FindingCode.FORMULA_WITHOUT_VALUE)]
    if place.type in (FieldType.INTEGER, FieldType.NUMBER):
        return _judge_number(place)
    if not _filled(place.cell):
        missing = [place.finding(Severity.MUST, FindingCode.REQUIRED)] if place.constraints.required else []
        return None, missing
    if place.type is FieldType.DATE:
        return _judge_date(place)
    return _judge_text(place)


def _judge_number(place: _Place) -> tuple[Figure | None, list[Finding]]:
    read = read_number(place.cell.value)
    proposed = "" if read.value is None else f"{read.value}"
    if read.kind is NumberKind.BLANK:
        missing = [place.finding(Severity.MUST, FindingCode.BLANK_NUMBER)] if place.constraints.required else []
        return None, missing
    if read.kind in (NumberKind.APPROXIMATE, NumberKind.EMPTY_LIKE):
        return None, [place.finding(Severity.QUERY, FindingCode(read.kind), proposed=proposed)]
    if read.value is None:
        return None, [place.finding(Severity.MUST, FindingCode.NOT_A_NUMBER)]
    fault = _out_of_limits(place, read.value)
    if fault is not None:
        return None, [fault]
    normalised = read.kind is NumberKind.NORMALISED
    notes = [place.finding(Severity.INFO, FindingCode.NORMALISED, proposed=proposed)] if normalised else []
    return place.figure(number=read.value), notes


def _out_of_limits(place: _Place, value: float) -> Finding | None:
    low, high = place.constraints.minimum, place.constraints.maximum
    low = -LARGEST if low is None else max(low, -LARGEST)
    high = LARGEST if high is None else min(high, LARGEST)
    if place.type is FieldType.INTEGER and not isinstance(value, int):
        return place.finding(Severity.MUST, FindingCode.NOT_WHOLE)
    if value < low:
        return place.finding(Severity.MUST, FindingCode.TOO_SMALL, expected=f"{low:.15g}")
    if value > high:
        return place.finding(Severity.MUST, FindingCode.TOO_LARGE, expected=f"{high:.15g}")
    return None


def _judge_date(place: _Place) -> tuple[Figure | None, list[Finding]]:
    value = place.cell.value
    if isinstance(value, datetime | date):
        return place.figure(text=value.isoformat()[:10]), []
    try:
        return place.figure(text=date.fromisoformat(str(value).strip()).isoformat()), []
    except ValueError:
        return None, [place.finding(Severity.MUST, FindingCode.NOT_A_DATE)]


def _judge_text(place: _Place) -> tuple[Figure | None, list[Finding]]:
    value = place.cell.value
    text = value.isoformat()[:10] if isinstance(value, datetime | date) else _text(value)
    limits = place.constraints
    if limits.minLength is not None and len(text) < limits.minLength:
        return None, [place.finding(Severity.MUST, FindingCode.TOO_SHORT, expected=str(limits.minLength))]
    if limits.maxLength is not None and len(text) > limits.maxLength:
        return None, [place.finding(Severity.MUST, FindingCode.TOO_LONG, expected=str(limits.maxLength))]
    if limits.pattern is not None and not re.fullmatch(limits.pattern, text):
        return None, [place.finding(Severity.MUST, FindingCode.PATTERN)]
    if limits.enum and text not in limits.enum:
        return None, [place.finding(Severity.MUST, FindingCode.NOT_IN_LIST, expected="、".join(limits.enum))]
    return place.figure(text=text), []


def _text(value: object) -> str:
    """Return a cell as text; Excel keeps a telephone number as 2.200000001E9, people mean its digits."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _cross(form: Form, table: Table, figures: list[Figure]) -> Iterator[Finding]:
    numbers = {(f.row, f.column): f for f in figures if f.number is not None}
    names = {r.key: form.row_name(r) for r in form.rows}
    for rule in form.checks:
        left, right = numbers.get((rule.left, rule.column)), numbers.get((rule.right, rule.column))
        if left is not None and right is not None and _violated(rule, left, right):
            yield _crossed(rule, left, right, names, table)


def _violated(rule: Check, left: Figure, right: Figure) -> bool:
    a, b = left.number or 0, right.number or 0
    return a > b if rule.kind is CheckKind.AT_MOST else (a > 0) != (b > 0)


def _crossed(rule: Check, left: Figure, right: Figure, names: Mapping[str, str], table: Table) -> Finding:
    return Finding(
        severity=rule.severity,
        code=FindingCode(rule.kind),
        sheet=table.sheet,
        cell=left.cell,
        row=rule.left,
        column=rule.column,
        field=names.get(rule.left, rule.left),
        read=f"{left.number}",
        params={"other": names.get(rule.right, rule.right), "other_read": f"{right.number}", "other_cell": right.cell},
    )
