"""A campaign launched once on each kind of database, and copies of it for the tests."""

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.staging import campaign_of, launched, premises_of
from definition.loading import LoadedCampaign
from ledger.engine import Ledger
from ledger.files import FileStore
from office.premises import Premises
from tests import servers
from tests.mail.relay import Relay
from tests.tasks.post import UNITS, Post, lane


@pytest.fixture(scope="session")
def circular(tmp_path_factory: pytest.TempPathFactory) -> LoadedCampaign:
    return campaign_of(tmp_path_factory.mktemp("circular"), UNITS)


@pytest.fixture(scope="session")
def on_sqlite(circular: LoadedCampaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("launched") / "ledger.db"
    house = launched(path.parent, f"sqlite:///{path}", circular)
    with house.ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    house.ledger.close()
    return path


@pytest.fixture(scope="session")
def on_postgres(
    circular: LoadedCampaign, tmp_path_factory: pytest.TempPathFactory, postgres_server: servers.Postgres
) -> str:
    url = postgres_server()
    launched(tmp_path_factory.mktemp("launched"), url, circular).ledger.close()
    return url


@pytest.fixture(scope="session")
def furniture(tmp_path_factory: pytest.TempPathFactory) -> Premises:
    """Return premises whose ledger is yet to be moved in."""
    folder = tmp_path_factory.mktemp("furniture")
    house = premises_of(folder, f"sqlite:///{folder / 'none.db'}", connections=4)
    house.ledger.close()
    return replace(house, lanes=(lane(),))


@pytest.fixture
def post(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Post]:
    """Return a launched campaign on SQLite; nothing is planned."""
    yield from _on(request, "sqlite", tmp_path, "NORMAL")


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Post]:
    """Return the same on each kind of database in turn."""
    yield from _on(request, request.param, tmp_path, "NORMAL")


@pytest.fixture(params=[(kind, durability) for kind in ("sqlite", "postgres") for durability in ("NORMAL", "FULL")])
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Post, str]]:
    """Return the same with each durability on each kind of database in turn, and which it is."""
    kind, durability = request.param
    for post in _on(request, kind, tmp_path, durability):
        yield post, durability


def _on(request: pytest.FixtureRequest, kind: str, folder: Path, durability: str) -> Iterator[Post]:
    if kind == "sqlite":
        path = shutil.copy(request.getfixturevalue("on_sqlite"), folder / "ledger.db")
        yield from _opened(request, f"sqlite:///{path}", folder, durability)
        return
    server: servers.Postgres = request.getfixturevalue("postgres_server")
    url = server.copy(request.getfixturevalue("on_postgres"))
    yield from _opened(request, url, folder, durability)
    server.drop(url)


def _opened(request: pytest.FixtureRequest, url: str, folder: Path, durability: str) -> Iterator[Post]:
    house: Premises = request.getfixturevalue("furniture")
    ledger = Ledger(url, durability=durability)
    house = replace(house, ledger=ledger, files=FileStore(folder / "files"), reports=folder / "reports")
    yield Post(house=house, url=url)
    ledger.close()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    async with Relay().running() as served:
        yield served
