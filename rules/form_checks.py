"""Checking a table against its form: findings for the unit, figures for the totals."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from rules.expressions import Expression, read_expression
from rules.forms import (
    Cell,
    Check,
    Checked,
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
NUMERIC = (FieldType.INTEGER, FieldType.NUMBER)
QUERIED = (NumberKind.APPROXIMATE, NumberKind.EMPTY_LIKE, NumberKind.UNCLEAR)
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
    findings.extend(_blanks(table, places, findings))
    findings.extend(cross_check(form, figures))
    return Checked(findings=tuple(findings), figures=tuple(figures))


def _filled(cell: Cell) -> bool:
    return (cell.value is not None and str(cell.value).strip() != "") or cell.formula != ""


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


def _blanks(table: Table, places: Sequence[_Place], findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield that most numbers are missing: a table handed in on time and empty is no report."""
    asked = [p for p in places if p.constraints.required and p.type in NUMERIC]
    blank = sum(f.code is FindingCode.BLANK_NUMBER for f in findings)
    if blank > len(asked) / 2 and len(asked) > 1:
        yield Finding(
            severity=Severity.MUST,
            code=FindingCode.MOSTLY_BLANK,
            sheet=table.sheet,
            read=str(blank),
            params={"expected": str(len(asked))},
        )


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
    if _never_calculated(place):
        return None, [place.finding(Severity.MUST, FindingCode.FORMULA_WITHOUT_VALUE)]
    if place.type in NUMERIC:
        return _judge_number(place)
    if not _filled(place.cell):
        missing = [place.finding(Severity.MUST, FindingCode.REQUIRED)] if place.constraints.required else []
        return None, missing
    if place.type is FieldType.DATE:
        return _judge_date(place)
    return _judge_text(place)


def _never_calculated(place: _Place) -> bool:
    value = place.cell.value
    if place.cell.formula:
        return value is None
    return isinstance(value, str) and value.startswith("=") and place.type is not FieldType.STRING


def _judge_number(place: _Place) -> tuple[Figure | None, list[Finding]]:
    read = read_number(place.cell.value)
    proposed = "" if read.value is None else f"{read.value}"
    if read.kind is NumberKind.BLANK:
        blank = place.finding(Severity.QUERY, FindingCode.BLANK_NUMBER, proposed="0")
        return None, [blank] if place.constraints.required else []
    if read.value is None:
        is_date = isinstance(place.cell.value, datetime | date)
        code = FindingCode.DATE_FOR_NUMBER if is_date else FindingCode.NOT_A_NUMBER
        return None, [place.finding(Severity.MUST, code)]
    query = FindingCode(read.kind) if read.kind in QUERIED else None
    if query is None and "[" in place.cell.formula:  # calculated from another workbook, that nobody handed in
        query = FindingCode.OUTSIDE_LINK
    if query is not None:
        return None, [place.finding(Severity.QUERY, query, proposed=proposed)]
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


def cross_check(form: Form, figures: Sequence[Figure]) -> Iterator[Finding]:
    """Yield the cross-checks that do not hold: once for fixed rows, row by row for free ones."""
    numbers = [f for f in figures if f.number is not None]
    for rule in form.checks:
        if form.rows:
            groups = [{f.row: f for f in numbers if f.column == rule.column}]
        else:
            groups = [{f.column: f for f in numbers if f.row == key} for key in dict.fromkeys(f.row for f in numbers)]
        expression = _expression(rule.expr)
        for group in groups:
            if expression.holds({name: f.number or 0 for name, f in group.items()}) is False:
                yield _crossed(form, rule, expression, group)


@lru_cache(maxsize=1000)
def _expression(text: str) -> Expression:
    return read_expression(text)


def _crossed(form: Form, rule: Check, expression: Expression, group: Mapping[str, Figure]) -> Finding:
    pair = expression.pair or expression.together
    first = group[pair[0] if pair else expression.names[0]]
    if rule.message or pair is None:
        code = FindingCode.CROSS
        said = "；".join(
            f"“{_called(form, group[n])}”为 {group[n].number}（{group[n].cell}）" for n in expression.names
        )
        params = {"message": rule.message or expression.text, "values": said}
    else:
        code = FindingCode.AT_MOST if expression.pair else FindingCode.TOGETHER
        other = group[pair[1]]
        params = {"other": _called(form, other), "other_read": f"{other.number}", "other_cell": other.cell}
    return Finding(
        severity=rule.severity,
        code=code,
        sheet=first.sheet,
        cell=first.cell,
        row=first.row,
        column=first.column,
        field=_called(form, first),
        read=f"{first.number}",
        params=params,
    )


def _called(form: Form, figure: Figure) -> str:
    """Return a number as a person would call it: by its row, or in a table of free rows by its column."""
    if form.rows:
        return next((form.row_name(r) for r in form.rows if r.key == figure.row), figure.row)
    title = next((c.title for c in form.columns if c.key == figure.column), figure.column)
    return f"第{figure.row}行“{title}”"
