"""The children of `muster up`: development mailbox, Prefect server, deploying, worker, and the house's own service."""

import importlib.util
import sys
from pathlib import Path

from deployments.child import Child, all_of, answers, beats
from deployments.local_server import (
    FETCHED_AHEAD_S,
    LOOPBACK,
    client_environment,
    free_port,
    is_free,
    server_environment,
)
from deployments.standing import MARK, home_of
from settings import HOUSE, Settings

POOL = "muster"
BEAT_S = 20.0  # the service touches its file every two seconds
# A run's page shows what the step says of itself, and of Prefect's own lines only what warns.
RUN_LOGS = {
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "WARNING",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
}
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  we look, and do not listen


class CannotStand(Exception):  # noqa: N818  what happened
    """The house cannot be set up here; the sentence says why and what to do."""


def port_of(config: Settings) -> int:
    """Return the server's port: the one that is set, or a free one if that is taken and nobody named it.

    Raises:
        CannotStand: the one that was named is taken.

    """
    if is_free(config.prefect_port):
        return config.prefect_port
    if "prefect_port" in config.model_fields_set:
        raise CannotStand(
            f"port {config.prefect_port} is taken: end what listens there, or name another with MUSTER_PREFECT_PORT"
        )
    return free_port()


def children_of(config: Settings, port: int) -> list[Child]:
    """Return the children, each after those it needs; they are ended in reverse order.

    Raises:
        CannotStand: something they need is missing or taken.

    """
    if Path.cwd() != HOUSE:  # its children run there, and paths that are named relatively would be others
        raise CannotStand(f"`muster up` is started in its own folder: cd {HOUSE}")
    var_dir = config.var_dir.resolve()
    auth = config.prefect_auth.get_secret_value()
    ours = {
        MARK: str(var_dir),
        "PYTHONUNBUFFERED": "1",
        # They are started in the house's folder, wherever we were: what is named relative to ours is told in full.
        "MUSTER_VAR_DIR": str(var_dir),
        "MUSTER_CAMPAIGNS_DIR": str(config.campaigns_dir.resolve()),
        "MUSTER_TEMPLATES_DIR": str(config.templates_dir.resolve()),
    }
    client = ours | client_environment(home_of(var_dir), port, auth) | RUN_LOGS
    mailbox = [_mailbox(config, ours)] if config.dev_mailbox else []
    return [
        *mailbox,
        _server(config, port, ours),
        _moving_in(client),
        _worker(config, client),
        _service(config, client),
    ]


def _server(config: Settings, port: int, ours: dict[str, str]) -> Child:
    auth = config.prefect_auth.get_secret_value()
    environment = server_environment(home_of(config.var_dir), port, auth, config.prefect_url)
    url = f"http://{LOOPBACK}:{port}"
    return Child(
        name="server",
        command=_python("prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)),
        environment=ours | environment,
        check=answers(f"{url}/api/health"),
        boot_s=180,  # the first start writes its database
        stop_s=4,
        url=url,
    )


def _moving_in(client: dict[str, str]) -> Child:
    # Started at once: it loads what it needs while the server boots, and waits for that itself.
    return Child(name="deploy", command=_python("deployments.moving_in"), environment=client, once=True, boot_s=300)


def _worker(config: Settings, client: dict[str, str]) -> Child:
    door = free_port()
    asked = {
        "PREFECT_WORKER_QUERY_SECONDS": str(config.prefect_poll_s),
        "PREFECT_WORKER_PREFETCH_SECONDS": str(FETCHED_AHEAD_S),
        "PREFECT_WORKER_WEBSERVER_HOST": LOOPBACK,
        "PREFECT_WORKER_WEBSERVER_PORT": str(door),
    }
    start = ("worker", "start", "--pool", POOL, "--type", "process", "--name", "muster-up", "--with-healthcheck")
    return Child(
        name="worker",
        command=_python("prefect", *start, "--install-policy", "never"),
        environment=client | asked,
        needs=("server", "deploy"),
        check=answers(f"http://{LOOPBACK}:{door}/health"),
        stop_s=5,
    )


def _service(config: Settings, client: dict[str, str]) -> Child:
    """Return the mailbox's poller, the teller of events and the units' pages, in one process."""
    beat = home_of(config.var_dir) / "serve.beat"
    beat.unlink(missing_ok=True)
    checks, url = [beats(beat, within_s=BEAT_S)], ""
    if config.portal_url:
        host = LOOPBACK if config.portal_host in EVERYWHERE else config.portal_host
        if not is_free(config.portal_port, config.portal_host):
            raise CannotStand(
                f"port {config.portal_port} is taken: end what listens there (another `muster serve`?), "
                "or name another with MUSTER_PORTAL_PORT"
            )
        url = f"http://{host}:{config.portal_port}"
        checks.append(answers(f"{url}/healthz"))
    return Child(
        name="serve",
        command=_python("cli", "serve", "--woken", "--beat", str(beat)),
        environment=client,
        check=all_of(*checks),
        stop_s=4,
        url=url,
    )


def _mailbox(config: Settings, ours: dict[str, str]) -> Child:
    """Return the development mailbox: it takes whatever is sent to anybody, and shows it on a page."""
    if importlib.util.find_spec("sendria") is None:
        raise CannotStand(
            f"MUSTER_DEV_MAILBOX is set and sendria is not installed: `{sys.executable} -m pip install -e .[mailbox]`"
        )
    for setting in ("dev_mailbox_port", "dev_mailbox_smtp_port"):
        if not is_free(port := getattr(config, setting)):
            name = f"MUSTER_{setting.upper()}"
            raise CannotStand(f"port {port} is taken: end what listens there, or name another with {name}")
    url = f"http://{LOOPBACK}:{config.dev_mailbox_port}"
    kept = config.var_dir.resolve() / "dev-mailbox.sqlite"
    smtp = ("--smtp-ip", LOOPBACK, "--smtp-port", str(config.dev_mailbox_smtp_port))
    http = ("--http-ip", LOOPBACK, "--http-port", str(config.dev_mailbox_port))
    return Child(
        name="mailbox",
        command=(str(Path(sys.executable).with_name("sendria")), "-f", "--no-quit", "--db", str(kept), *smtp, *http),
        environment=ours,
        check=answers(f"{url}/"),
        boot_s=30,
        stop_s=2,
        url=url,
    )


def _python(module: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *words)
