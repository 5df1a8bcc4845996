"""A Prefect server of our own on this machine: own home, free port, analytics off, ended with us."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

LOOPBACK = "127.0.0.1"
BOOT_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 8.0
POLL_S = 0.2
FETCHED_AHEAD_S = 3  # a worker takes a run so much before its time, and its kind's slot with it
OK = 200


class ServerDidNotStart(RuntimeError):  # noqa: N818  it is what happened
    """The server did not answer in time; the message carries the end of its log."""


def free_port() -> int:
    """Return a port on loopback that is free now."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port: int = sock.getsockname()[1]
        return port


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may still linger
        try:
            sock.bind((host, port))
        except OSError:
            return False
        return True


def listening_on(process: psutil.Process) -> set[int]:
    """Return the ports on which a process takes connections."""
    connections = process.net_connections(kind="tcp")
    return {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}


def client_environment(home: Path, port: int, auth: str = "") -> dict[str, str]:
    """Return what a process needs in its environment before it imports Prefect to talk to the server."""
    known = {"PREFECT_API_AUTH_STRING": auth} if auth else {}
    return {
        **known,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api",
        "PREFECT_API_SSL_CERT_FILE": str(Path(__file__).with_name("no-authority.pem")),  # why: see there
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",  # our server asks for no token, and each client asked it first
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }


def server_environment(home: Path, port: int, auth: str = "", url: str = "") -> dict[str, str]:
    """Return the server's own environment: tuned to record many short task runs on one core, and to outlive outages.

    ``auth`` (user:password) closes its API; ``url`` is where browsers reach it through a proxy.
    """
    origins = [f"http://{host}:{port}" for host in (LOOPBACK, "localhost")]
    known = {"PREFECT_SERVER_API_AUTH_STRING": auth} if auth else {}
    if url:
        origins.append(url.rstrip("/"))
        known |= {"PREFECT_SERVER_UI_API_URL": f"{url.rstrip('/')}/api", "PREFECT_UI_URL": url.rstrip("/")}
    return {
        **client_environment(home, port, auth),
        **known,
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(port),  # otherwise the UI calls port 4200
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins),  # or any page in a browser here could call it
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "2",
        # What a trigger waited for while the server was off is looked at when it is back, up to a week later.
        "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P7D",
        # In memory, the slots of a holder that died with the server would never be free again.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # A run that waits for another of its kind asks again so soon; by default it would lie for half a minute. More
        # than the worker fetches ahead, or it would be fetched again at once, and again.
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": str(2 * FETCHED_AHEAD_S),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }


class LocalServer:
    """A Prefect server as a child process; a context manager that leaves nothing running."""

    def __init__(self, home: Path, port: int | None = None) -> None:
        """Prepare a server whose database and log lie in ``home``."""
        self.home = home
        self.port = port or free_port()
        self._any_port = port is None
        self.log = home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where people look at it."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server; it answers only after :meth:`wait`."""
        self.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(self.port)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and arguments
                command,
                env={**os.environ, **server_environment(self.home, self.port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us; we end the server in order
            )

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            ServerDidNotStart: it ended, or did not answer in time.

        """
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                if not self._lost_its_port():
                    break
                self.port = free_port()
                self.start()
            if self._answers():
                return
            time.sleep(POLL_S)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:] if self.log.exists() else ""
        raise ServerDidNotStart(f"the Prefect server did not come up on port {self.port}; its log ends:\n{tail}")

    def _lost_its_port(self) -> bool:
        """Whether another program took the port that was free a moment ago, and we may take any."""
        return self._process is not None and self._any_port and not is_free(self.port)

    def _answers(self) -> bool:
        try:
            healthy = httpx.get(f"{self.url}/api/health", timeout=2, trust_env=False).status_code == OK
        except httpx.HTTPError:
            return False
        return healthy and self._listens()

    def _listens(self) -> bool:
        """Whether it is our own server that holds the port, and not another's on this machine."""
        with suppress(psutil.NoSuchProcess):
            return any(self.port in listening_on(process) for process in self._family())
        return False

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        ours = psutil.Process(self._process.pid)
        return [ours, *ours.children(recursive=True)]

    def stop(self) -> None:
        """End the server and all its children."""
        if self._process is None:
            return
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            family = self._family()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=STOP_TIMEOUT_S)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        """Start and wait."""
        self.start()
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
