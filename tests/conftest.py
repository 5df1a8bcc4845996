"""What all tests share: the campaigns, and the real servers, each started only if a test asks for it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from deployments.local_server import LocalServer, client_environment
from tests import servers

OWN = ("MUSTER_REQUIRE_ALL", "MUSTER_RENEW_LETTERS")
# Before anything imports Prefect: a home of its own, nothing sent to anybody, nothing asked of the network.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="muster-tests-")
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
for _name in [name for name in os.environ if name.startswith("MUSTER_") and name not in OWN]:
    del os.environ[_name]

HOUSE = Path(__file__).parent.parent
SERVERS = {"prefect", "own_house"}  # fixtures that start a Prefect server


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the tests out to the workers of `make test`: all that need Prefect to one, and first; else by file.

    So that one Prefect server is started a run, and the longest work is not left for the end.
    """
    needing = {item: not SERVERS.isdisjoint(getattr(item, "fixturenames", ())) for item in items}
    items.sort(key=lambda item: not needing[item])
    for item in items:
        item.add_marker(pytest.mark.xdist_group("prefect" if needing[item] else item.path.as_posix()))


@pytest.fixture(scope="session")
def house() -> Path:
    """Return the project's folder."""
    return HOUSE


@pytest.fixture(scope="session")
def prefect() -> Iterator[str]:
    """Run our own Prefect server for the whole run, and return its address."""
    server = LocalServer(Path(os.environ["PREFECT_HOME"]))
    with server:
        os.environ.update(client_environment(server.home, server.port))
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.Postgres]:
    """Run a PostgreSQL server for the whole run; call it for the URL of a fresh empty database."""
    with servers.postgres(*servers.UNFLUSHED) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def new_ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Return a function that gives URLs of ledgers that do not exist yet, on each kind of database in turn."""
    if request.param == "sqlite":
        numbers = count(1)
        yield lambda: f"sqlite:///{tmp_path / f'ledger-{next(numbers)}.db'}"
        return
    server: servers.Postgres = request.getfixturevalue("postgres_server")
    given: list[str] = []

    def give() -> str:
        given.append(server())
        return given[-1]

    yield give
    for url in given:
        server.drop(url)


@pytest.fixture
def ledger_url(new_ledger_url: Callable[[], str]) -> str:
    """Return the URL of a ledger that does not exist yet, on each kind of database in turn."""
    return new_ledger_url()


@pytest.fixture
def smtp_sink() -> Iterator[Callable[..., int]]:
    """Return a function that starts Postfix's smtp-sink with the arguments it is given, and returns its port."""
    with ExitStack() as started:

        def start(*arguments: str) -> int:
            return started.enter_context(servers.smtp_sink(*arguments))

        yield start
