"""What a form may not say, beyond what its types forbid: keys, patterns, cross-checks; each fault with its line."""

import re
from collections.abc import Callable, Iterator

from definition.faults import Fault
from definition.roster import ContactRole
from definition.yaml_source import Source
from rules.expressions import BadExpressionError, read_expression
from rules.forms import Check, Constraints, FieldType, Form

Say = Callable[..., Fault]
CONTACT_PARTS = ("name", "address", "phone")  # what a form that acts says of a contact
NUMERIC = (FieldType.INTEGER, FieldType.NUMBER)


def form_faults(form: Form, source: Source) -> Iterator[Fault]:
    """Yield every fault of a form's file."""

    def fault(problem: str, remedy: str, *path: object) -> Fault:
        return Fault(file=source.name, line=source.line(*path), problem=problem, remedy=remedy)

    if bool(form.rows) == (form.free is not None):
        yield fault("needs either fixed rows or free rows", "give exactly one of rows and free", "key")
    if not form.entry_columns:
        yield fault(
            "every column is a label: there is nothing to fill in", "leave `label` out where units write", "key"
        )
    yield from _keys(form, fault)
    for number, column in enumerate(form.columns):
        yield from _pattern(column.constraints, fault, "columns", number)
    for number, row in enumerate(form.rows):
        for key, entry in row.entries.items():
            if entry.constraints is not None:
                yield from _pattern(entry.constraints, fault, "rows", number, "entries", key)
    for number, check in enumerate(form.checks):
        yield from _check(form, check, fault, number)
    for problem, remedy in _acting(form):
        yield fault(problem, remedy, "acts_as")


def _keys(form: Form, fault: Say) -> Iterator[Fault]:
    for what, keys in (("columns", [c.key for c in form.columns]), ("rows", [r.key for r in form.rows])):
        for number, key in enumerate(keys):
            if key in keys[:number]:
                yield fault(f"{what}: {key!r} twice", "give each a key of its own", what, number)
    columns = {c.key for c in form.columns}
    for number, row in enumerate(form.rows):
        for key in (*row.labels, *row.entries):
            if key not in columns:
                yield fault(f"row {row.key!r} names unknown column {key!r}", "mend the key", "rows", number)


def _pattern(limits: Constraints, fault: Say, *path: object) -> Iterator[Fault]:
    if limits.pattern is not None:
        try:
            re.compile(limits.pattern)
        except re.error as error:
            yield fault(f"pattern {limits.pattern!r} is no regular expression: {error}", "mend it", *path)


def _check(form: Form, check: Check, fault: Say, number: int) -> Iterator[Fault]:
    """Yield what is wrong with a cross-check: its expression, its column, the names it uses."""
    try:
        expression = read_expression(check.expr)
    except BadExpressionError as error:
        yield fault(f"check {check.expr!r}: {error}", "mend the expression", "checks", number, "expr")
        return
    known = {r.key for r in form.rows} if form.rows else {c.key for c in form.entry_columns if c.type in NUMERIC}
    kind = "row" if form.rows else "column of numbers"
    for name in expression.names:
        if name not in known:
            yield fault(f"check names unknown {kind} {name!r}", "mend the key", "checks", number)
    if form.rows and check.column not in {c.key for c in form.entry_columns}:
        said = f"unknown column {check.column!r}" if check.column else "no column"
        yield fault(f"check names {said}", "give `column:`, the key of the column with the numbers", "checks", number)
    if form.free is not None and check.column:
        yield fault("check of free rows with a column", "remove `column:`; its names are columns", "checks", number)
    if not (check.message or expression.pair or expression.together):
        remedy = "say in `message:`, in the units' language, what is wrong when it does not hold"
        yield fault(f"check {check.expr!r} has no message", remedy, "checks", number)


def _acting(form: Form) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with how a form acts, each with its remedy."""
    if form.acts_as is None:
        return
    rows, columns = {r.key for r in form.rows}, {c.key for c in form.columns}
    for key, role in form.acts_as.rows.items():
        if key not in rows:
            yield f"acts_as names unknown row {key!r}", "name one of the form's fixed rows"
        if role not in list(ContactRole):
            yield f"acts_as: {role!r} is no role of a contact", f"use one of {', '.join(ContactRole)}"
    for part, key in form.acts_as.columns.items():
        if part not in CONTACT_PARTS:
            yield f"acts_as: a contact has no {part!r}", f"use {', '.join(CONTACT_PARTS)}"
        if key not in columns:
            yield f"acts_as names unknown column {key!r}", "mend the key"
    if "address" not in form.acts_as.columns:
        yield "acts_as does not say which column has the address", "add `address:` to its columns"
