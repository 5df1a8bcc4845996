"""Images: the ledger and files that many tests begin with are built once a process, and copied from then on."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, create_engine, make_url

from ledger.engine import Ledger
from ledger.files import FileStore
from tests.servers import Postgres

Said = TypeVar("Said")


@dataclass(frozen=True)
class Image:
    """What was built: the bytes of SQLite's file or the URL of a PostgreSQL database, the files, and what was said."""

    ledger: bytes | str
    files: dict[str, bytes]  # by sha256
    said: Any


_images: dict[Hashable, Image] = {}


def migrated(url: str) -> Ledger:
    """Open a ledger with all its tables, and nothing in them."""
    ledger = Ledger(url)

    def migrate() -> None:
        ledger.migrate()
        ledger.close()

    furnish("migrated", url, None, migrate)
    return ledger


def furnish(key: Hashable, url: str, files: FileStore | None, build: Callable[[], Said]) -> Said:
    """Bring a ledger and its files, if it has any, to where ``build`` brings them, and return what it returns.

    The key says what is built, and from what. Nobody may be connected to the ledger before or after ``build``. What it
    returns is given to all, and must not change; moments by the wall's clock grow old in an image.
    """
    where = make_url(url)
    key = (key, where.get_backend_name(), str(where.query))
    if (image := _images.get(key)) is None:
        said = build()
        kept = {path.name: path.read_bytes() for path in files.root.glob("??/*")} if files else {}
        _images[key] = Image(ledger=_taken(where), files=kept, said=said)
        return said
    if files is not None:
        for name, content in image.files.items():
            files.path(name).parent.mkdir(parents=True, exist_ok=True)
            files.path(name).write_bytes(content)
    _put(image.ledger, where)
    repeated: Said = image.said
    return repeated


def _taken(where: URL) -> bytes | str:
    if where.get_backend_name() != "sqlite":
        return _server_of(where).copy(where)
    engine = create_engine(where)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return Path(where.database or "").read_bytes()


def _put(ledger: bytes | str, where: URL) -> None:
    if isinstance(ledger, str):
        _server_of(where).drop(where)
        _server_of(where).copy(ledger, where)
        return
    place = Path(where.database or "")
    for suffix in ("-wal", "-shm"):
        place.with_name(place.name + suffix).unlink(missing_ok=True)
    place.write_bytes(ledger)


def _server_of(where: URL) -> Postgres:
    return Postgres(Path(str(where.query["host"])))
