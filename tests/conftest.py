"""What all tests share: the campaigns, and one Prefect server a run, started only if a test asks for it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.local_server import LocalServer, client_environment

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
