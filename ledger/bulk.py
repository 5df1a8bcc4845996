"""One statement for many rows, past SQLAlchemy's work on each of them.

SQLAlchemy spends some 15 µs a row on naming and dressing parameters, psycopg some 60 on a row of ``executemany``; a
launch writes five rows a mail. Here a statement is compiled once a dialect, and rows are tuples in the order of its
parameters. SQLite gets them as they are; PostgreSQL gets one statement over a JSON array of all rows.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import JSON, Dialect
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import UpdateBase

Dress = Callable[[Any], Any]
PARAMETER = re.compile(r"%\((\w+)\)s(?:::(TIMESTAMP WITH TIME ZONE|DOUBLE PRECISION|[A-Z]+(?:\([\d, ]+\))?))?")


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    sql: str
    order: tuple[int, ...]  # which value of a row each place of the statement takes, if rows are given one by one
    dresses: dict[int, Dress]
    as_json: bool


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
        prepared = self.prepared(connection.dialect)
        return connection.exec_driver_sql(prepared.sql, self.given(prepared, rows)).rowcount

    def given(self, prepared: _Prepared, rows: Sequence[tuple[Any, ...]]) -> Any:  # noqa: ANN401  what drivers take
        """Return rows as a prepared statement takes them."""
        dressed = _dressed(rows, prepared.dresses)
        if prepared.as_json:
            return (orjson.dumps([dict(zip(self._names, row, strict=True)) for row in dressed]).decode(),)
        if prepared.order == tuple(range(len(self._names))):
            return dressed
        return [tuple(row[index] for index in prepared.order) for row in dressed]

    def prepared(self, dialect: Dialect) -> _Prepared:
        """Return the statement as a database takes it."""
        if dialect.name not in self._prepared:
            self._prepared[dialect.name] = self._prepare(dialect)
        return self._prepared[dialect.name]

    def _prepare(self, dialect: Dialect) -> _Prepared:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(self._names))
        unknown = set(self._names) ^ set(compiled.params)
        if unknown:
            raise ValueError(f"the statement and its rows do not agree on {sorted(unknown)}")
        as_json = not compiled.positional
        dresses: dict[int, Dress] = {}
        for index, name in enumerate(self._names):
            kind = compiled.binds[name].type.dialect_impl(dialect)
            dress = kind.bind_processor(dialect)
            # What goes into a JSON column goes into a row of JSON as it is.
            if dress is not None and not (as_json and isinstance(kind, JSON)):
                dresses[index] = dress
        if as_json:
            return _Prepared(sql=_over_rows(str(compiled)), order=(), dresses=dresses, as_json=True)
        order = tuple(self._names.index(name) for name in compiled.positiontup or ())
        return _Prepared(sql=str(compiled), order=order, dresses=dresses, as_json=False)


Step = tuple[Bulk, Sequence[tuple[Any, ...]]]  # a statement, and its rows


def run_together(session: Session, steps: Sequence[Step]) -> list[int]:
    """Run statements of which none touches what another does; return how many rows each touched.

    PostgreSQL gets them as one: each by itself costs both sides more in talk than in work.
    """
    connection = session.connection()
    if connection.dialect.name != "postgresql" or len(steps) == 1:
        return [bulk.run(session, rows) for bulk, rows in steps]
    prepared = [(bulk, bulk.prepared(connection.dialect), rows) for bulk, rows in steps]
    parts = ", ".join(f"s{n} AS ({step.sql} RETURNING 1)" for n, (_, step, _) in enumerate(prepared))
    counts = ", ".join(f"(SELECT count(*) FROM s{n})" for n in range(len(prepared)))  # noqa: S608  names of our own
    given = tuple(value for bulk, step, rows in prepared for value in bulk.given(step, rows))
    return list(connection.exec_driver_sql(f"WITH {parts} SELECT {counts}", given).one())


def _over_rows(sql: str) -> str:
    """Return PostgreSQL's statement over the rows of a JSON array."""
    kinds: dict[str, str] = {}

    def column(found: re.Match[str]) -> str:
        kinds[found.group(1)] = found.group(2) or "TEXT"
        return f"v.{found.group(1)}"

    body = PARAMETER.sub(column, sql)
    source = f" FROM json_to_recordset(%s::json) AS v({', '.join(f'{name} {kind}' for name, kind in kinds.items())})"
    if body.startswith("INSERT"):
        head, _, values = body.partition(" VALUES (")
        return f"{head} SELECT {values.removesuffix(')')}{source}"
    head, _, where = body.partition(" WHERE ")
    return f"{head}{source} WHERE {where}"


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
