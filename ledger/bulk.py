"""One statement for many rows, past SQLAlchemy's work on each of them.

SQLAlchemy spends some 15 µs a row on naming and dressing parameters, psycopg some 60 on a row of ``executemany``; a
launch writes five rows a mail. Here a statement is compiled once a dialect, and rows are tuples in the order of its
parameters. SQLite gets them as they are; PostgreSQL gets one statement over ``unnest``, an array a column.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import UpdateBase

Dress = Callable[[Any], Any]
PARAMETER = re.compile(r"%\((\w+)\)s(?:::(TIMESTAMP WITH TIME ZONE|DOUBLE PRECISION|[A-Z]+(?:\([\d, ]+\))?))?")
AS_TEXT = frozenset({"JSON", "JSONB"})  # a list of these would be taken for one of them


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    sql: str
    order: tuple[int, ...]  # which value of a row each place of the statement takes
    dresses: dict[int, Dress]
    by_columns: bool


class Bulk:
    """A statement with named parameters, to be run for many rows at once."""

    def __init__(self, statement: UpdateBase, names: Sequence[str]) -> None:
        """Take a statement and the names of its parameters in the order in which rows give them."""
        self._statement = statement
        self._names = tuple(names)
        self._prepared: dict[str, _Prepared] = {}

    def run(self, session: Session, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run the statement for every row; return how many rows of the table it touched."""
        if not rows:
            return 0
        connection = session.connection()
        name = connection.dialect.name
        if name not in self._prepared:
            self._prepared[name] = self._prepare(connection.dialect)
        prepared = self._prepared[name]
        given: Any = _dressed(rows, prepared.dresses)
        if prepared.by_columns:
            columns = list(zip(*given, strict=True))
            given = tuple(list(columns[index]) for index in prepared.order)
        elif prepared.order != tuple(range(len(self._names))):
            given = [tuple(row[index] for index in prepared.order) for row in given]
        return connection.exec_driver_sql(prepared.sql, given).rowcount

    def _prepare(self, dialect: Dialect) -> _Prepared:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(self._names))
        unknown = set(self._names) ^ set(compiled.params)
        if unknown:
            raise ValueError(f"the statement and its rows do not agree on {sorted(unknown)}")
        dresses: dict[int, Dress] = {}
        for index, name in enumerate(self._names):
            dress = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
            if dress is not None:
                dresses[index] = dress
        if compiled.positional:
            order = tuple(self._names.index(name) for name in compiled.positiontup or ())
            return _Prepared(sql=str(compiled), order=order, dresses=dresses, by_columns=False)
        sql, order = _over_unnest(str(compiled), self._names)
        return _Prepared(sql=sql, order=order, dresses=dresses, by_columns=True)


def _over_unnest(sql: str, names: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Return PostgreSQL's statement over arrays, and which value of a row each array holds."""
    kinds: dict[str, str] = {}

    def column(found: re.Match[str]) -> str:
        name, kind = found.group(1), found.group(2) or "TEXT"
        kinds[name] = kind
        return f"v.{name}::{kind}" if kind in AS_TEXT else f"v.{name}"

    body = PARAMETER.sub(column, sql)
    arrays = ", ".join(f"%s::{'TEXT' if kind in AS_TEXT else kind}[]" for kind in kinds.values())
    source = f" FROM unnest({arrays}) AS v({', '.join(kinds)})"
    if body.startswith("INSERT"):
        head, _, values = body.partition(" VALUES (")
        body = f"{head} SELECT {values.removesuffix(')')}{source}"
    else:
        head, _, where = body.partition(" WHERE ")
        body = f"{head}{source} WHERE {where}"
    return body, tuple(names.index(name) for name in kinds)


def _dressed(rows: Sequence[tuple[Any, ...]], dresses: dict[int, Dress]) -> Sequence[tuple[Any, ...]]:
    """Return rows as the driver wants them; a value that the row before had is not dressed again."""
    if not dresses:
        return rows
    last: dict[int, tuple[Any, Any]] = {}
    found = []
    for row in rows:
        cells = list(row)
        for index, dress in dresses.items():
            value = row[index]
            known = last.get(index)
            if known is not None and known[0] is value:
                cells[index] = known[1]
            else:
                cells[index] = dress(value)
                last[index] = (value, cells[index])
        found.append(tuple(cells))
    return found
