"""Open the ledger: engine, sessions, migrations."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_TIMEOUT_MS = 30_000
WRITER = 7_316_001  # the advisory lock that stands on PostgreSQL for SQLite's write lock
CHECKPOINT_PAGES = 8000  # 32 MB of journal: a checkpoint flushes the disk, and a launch writes a few hundred MB
CACHE_KIB = 32_000
SYNCHRONOUS_COMMIT = {"NORMAL": "off", "FULL": "on"}


class Ledger:
    """The ledger's database, on SQLite or PostgreSQL.

    Whatever ``durability`` is, an act that was committed outlives the death of any of our processes. With NORMAL the
    last ones (on PostgreSQL, of the last fraction of a second) may be lost when the machine loses its power or its
    system crashes; on PostgreSQL also when the database server itself crashes, as it does by its own rule when one of
    its processes is killed. With FULL they are not.

    One session writes at a time: it takes the write lock when it begins. Two that read first and write later would
    else claim the same message twice, or deadlock into “database is locked”. Reading waits for nobody.
    """

    def __init__(self, url: str, *, durability: str = "NORMAL") -> None:
        """Open (not create) the database at an SQLAlchemy URL."""
        self.durability = durability
        # A connection kept in the pool does not outlive its server: ask before use.
        self.engine = create_engine(_with_driver(url), json_serializer=to_json, pool_pre_ping=True)
        prepare_engine(self.engine, durability)
        self._writing = self.engine.execution_options(writes="at once")
        self._thinking_first = self.engine.execution_options(writes="late")

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

    @contextmanager
    def thinking_first(self) -> Iterator[Session]:
        """Give a writing session that reads and thinks before it writes, for long enough to be in others' way.

        On PostgreSQL it takes the write lock only at :func:`take_the_pen`, which must come before its first writing;
        what it read by then may have changed. On SQLite it is as any other.
        """
        with Session(self._thinking_first, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Create or bring up the tables to the newest migration; of several that ask at once, one does it."""
        if self._is_newest():
            return
        from alembic import command  # noqa: PLC0415  loading it takes longer than most commands
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._writing.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _is_newest(self) -> bool:
        """Whether the newest migration, the first number in its file's name, is the one on record."""
        newest = max(file.name for file in (MIGRATIONS / "versions").glob("v*.py"))[1:5]
        with self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return False
            return list(connection.scalars(text("SELECT version_num FROM alembic_version"))) == [newest]

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _with_driver(url: str) -> URL:
    """Return the URL with the driver that we install, where it names none."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in ("postgres", "postgresql") else parsed


def prepare_engine(engine: Engine, durability: str) -> None:
    """Let an engine's connections keep the ledger's promises: durability, and one writer at a time."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_pragmas(durability))
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _postgres_settings(durability))
        event.listen(engine, "begin", _begin_postgres)


def to_json(value: object) -> str:
    """Keep Chinese readable for whoever opens the database by hand."""
    return orjson.dumps(value).decode()


def _sqlite_pragmas(durability: str) -> Any:  # noqa: ANN401  SQLAlchemy's listeners are untyped
    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT_MS}")
        _switch_to_wal(cursor)
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA synchronous={durability}")
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        cursor.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()

    return on_connect


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Make the file a write-ahead one; where two open a new file at once, SQLite does not wait for the other."""
    deadline = time.monotonic() + LOCK_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres_settings(durability: str) -> Any:  # noqa: ANN401  SQLAlchemy's listeners are untyped
    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        with connection.cursor() as cursor:
            cursor.execute(f"SET synchronous_commit TO {SYNCHRONOUS_COMMIT[durability]}")
            cursor.execute(f"SET lock_timeout TO {LOCK_TIMEOUT_MS}")
            cursor.execute("SET jit TO off")  # it takes longer than what it speeds up
        connection.commit()

    return on_connect


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get("writes") == "at once":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")


def take_the_pen(session: Session) -> bool:
    """Take the write lock in a session that began without it; return whether others may have written meanwhile."""
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        return False
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")
    return connection.get_execution_options().get("writes") == "late"
