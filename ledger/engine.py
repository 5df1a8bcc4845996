"""Open the ledger: engine, sessions, migrations."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 30_000


class Ledger:
    """The ledger's database. ``durability`` is SQLite's synchronous level: NORMAL or FULL.

    On SQLite a writing session takes the write lock when it begins: two that read first and write later would
    otherwise deadlock into “database is locked”.
    """

    def __init__(self, url: str, *, durability: str = "NORMAL") -> None:
        """Open (not create) the database at an SQLAlchemy URL."""
        self.engine = _engine(url, durability)
        self._writing = self.engine.execution_options(writes=True)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session for reading; nothing is committed."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Give a session that commits at the end, or nothing of it if anything fails."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Create or bring up the tables to the newest migration."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str, durability: str) -> Engine:
    engine = create_engine(url, json_serializer=_json)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_pragmas(durability))
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _json(value: object) -> str:
    """Keep Chinese readable for whoever opens the database by hand."""
    return json.dumps(value, ensure_ascii=False)


def _sqlite_pragmas(durability: str) -> Any:  # noqa: ANN401  SQLAlchemy's listeners are untyped
    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA synchronous={durability}")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.close()

    return on_connect


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
