"""One statement for many rows, past SQLAlchemy's work on each of them.

SQLAlchemy spends some 15 µs a row on naming and dressing parameters; a launch writes five rows a mail. Here a statement
is compiled once a dialect, rows are tuples in the order of its parameters, and only columns that need it are dressed.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import UpdateBase

Dress = Callable[[Any], Any]


class Bulk:
    """A statement with named parameters, to be run for many rows at once."""

    def __init__(self, statement: UpdateBase, names: Sequence[str]) -> None:
        """Take a statement and the names of its parameters in the order in which rows give them."""
        self._statement = statement
        self._names = tuple(names)
        self._compiled: dict[str, tuple[str, tuple[str, ...], dict[int, Dress]]] = {}

    def run(self, session: Session, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run the statement for every row; return how many rows of the table it touched."""
        if not rows:
            return 0
        connection = session.connection()
        sql, order, dresses = self._for(connection.dialect)
        dressed = _dressed(rows, dresses)
        if order:
            places = [self._names.index(name) for name in order]
            same = places == list(range(len(self._names)))
            given: Any = dressed if same else [tuple(row[i] for i in places) for row in dressed]
        else:
            given = [dict(zip(self._names, row, strict=True)) for row in dressed]
        return connection.exec_driver_sql(sql, given).rowcount

    def _for(self, dialect: Dialect) -> tuple[str, tuple[str, ...], dict[int, Dress]]:
        if dialect.name not in self._compiled:
            compiled = self._statement.compile(dialect=dialect, column_keys=list(self._names))
            missing = set(self._names) ^ set(compiled.params)
            if missing:
                raise ValueError(f"the statement and its rows do not agree on {sorted(missing)}")
            dresses: dict[int, Dress] = {}
            for index, name in enumerate(self._names):
                dress = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
                if dress is not None:
                    dresses[index] = dress
            order = tuple(compiled.positiontup or ()) if compiled.positional else ()
            self._compiled[dialect.name] = (str(compiled), order, dresses)
        return self._compiled[dialect.name]


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
