"""The commands that run the whole house on one machine: up, down, ps."""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.desk import Refused, quiet_prefect
from cli.showing import say, table

if TYPE_CHECKING:
    from deployments.standing import Place, Standing
    from settings import Settings

WAIT_S = 40.0
LOOK_S = 0.1
ASK_S = 3.0
MIB = 1024 * 1024
RUNS_SHOWN = 20


def up() -> None:
    """Run the house on this machine: Prefect server, worker, mailbox, events, the units' pages; Ctrl-C ends it.

    What dies is started again. `muster ps` shows how it is, `muster down` ends it from another terminal.
    """
    quiet_prefect()
    from deployments.house import CannotStand, children_of, port_of  # noqa: PLC0415
    from deployments.standing import AlreadyUp, end_leftovers, held_alone, read_note  # noqa: PLC0415
    from deployments.supervisor import DidNotComeUp, Rhythm, Supervisor  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config, began = settings(), time.monotonic()
    _ = config.secret  # a placeholder is refused now, not in a log
    try:
        with held_alone(config.var_dir):
            if left := end_leftovers(config.var_dir):
                say(f"ended {left} processes that an earlier `muster up` had left behind")
            port = port_of(config)
            children = children_of(config, port)
            if port != config.prefect_port:
                say(f"port {config.prefect_port} is taken; the Prefect server takes {port} this time")

            def ready(standing: "Standing") -> None:
                _show_places(config, standing)
                say(f"ready after {time.monotonic() - began:.1f} s; Ctrl-C ends it")

            supervisor = Supervisor(children, var_dir=config.var_dir, port=port, say=_say_now, rhythm=Rhythm())
            asyncio.run(supervisor.run(ready))
    except AlreadyUp:
        other = read_note(config.var_dir)
        who = f", process {other.pid}" if other else ""
        raise Refused(
            f"the house is up already over {config.var_dir}{who}: `muster ps` shows it, `muster down` ends it"
        ) from None
    except (CannotStand, DidNotComeUp) as error:
        raise Refused(str(error)) from None
    say("down; nothing of it is left running, and what is scheduled stays scheduled")


def down() -> None:
    """End the `muster up` that stands, and wait until all of it has ended; called again, end it at once."""
    from deployments.standing import end_leftovers, read_note  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config = settings()
    standing = read_note(config.var_dir)
    if standing is None:
        left = end_leftovers(config.var_dir)
        none = f"no `muster up` stands over {config.var_dir}"
        if not left:
            raise Refused(none)
        say(f"{none}; ended {left} processes that one had left behind")
        return
    os.kill(standing.pid, signal.SIGTERM)
    began = time.monotonic()
    while standing.stands:
        if time.monotonic() - began > WAIT_S:
            raise Refused(f"process {standing.pid} is still ending; `muster down` again ends it at once")
        time.sleep(LOOK_S)
    say(f"down after {time.monotonic() - began:.1f} s")


def ps() -> None:
    """Show the children of `muster up`: how they are, since when, how often started again, memory, addresses."""
    from deployments.standing import read_note  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config = settings()
    standing = read_note(config.var_dir)
    if standing is None:
        raise Refused(f"no `muster up` stands over {config.var_dir}; `muster up` starts one")
    state = "ready" if standing.ready else "starting"
    say(f"muster up: {state}, process {standing.pid}, since {_local(standing.since)}")
    rows = [
        (p.name, p.state, str(p.pid or ""), _local(p.since), str(p.restarts), _memory(p.pid), p.url, p.log)
        for p in standing.children
    ]
    table(("child", "health", "process", "since", "restarts", "memory", "address", "log"), rows)
    for run in _runs_under_way(config, standing):
        say(f"running: {run}")


def _show_places(config: "Settings", standing: "Standing") -> None:
    by_name = {place.name: place for place in standing.children}
    table(("what", "where"), [row for row in _places(config, by_name) if row[1]])


def _places(config: "Settings", children: "dict[str, Place]") -> list[tuple[str, str]]:
    from sqlalchemy import make_url  # noqa: PLC0415

    server, portal = children["server"].url, children["serve"].url
    proxied = f", reached as {config.prefect_url}" if config.prefect_url else ""
    folder = f"{config.maildir.resolve()} (Maildir)"
    incoming = f"{config.imap_user} at {config.imap_host}" if config.imap_host else folder
    mailbox = children["mailbox"].url if "mailbox" in children else ""
    return [
        ("run UI", f"{server}/v2/runs{proxied}" + (" (asks for MUSTER_PREFECT_AUTH)" if _auth(config) else "")),
        ("campaigns' pages", f"{server}/v2/artifacts"),
        (
            "units' pages",
            f"{portal}, reached as {config.portal_url}" if portal else "none: MUSTER_PORTAL_URL is not set",
        ),
        ("staff's pages", f"{config.portal_url.rstrip('/')}/staff/" if portal else ""),
        ("incoming mail", incoming),
        ("outgoing mail", f"{mailbox} (nothing leaves this machine)" if mailbox else f"to {config.smtp_host}"),
        ("logs", str(config.var_dir.resolve() / "logs")),
        ("ledger", make_url(config.ledger).render_as_string(hide_password=True)),
    ]


def _auth(config: "Settings") -> str:
    return config.prefect_auth.get_secret_value()


def _memory(pid: int | None) -> str:
    """Return the memory of a process and all below it."""
    import psutil  # noqa: PLC0415

    if pid is None:
        return ""
    total = 0
    try:
        head = psutil.Process(pid)
        for process in (head, *head.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:
        pass
    return f"{total / MIB:.0f} MB" if total else ""


def _runs_under_way(config: "Settings", standing: "Standing") -> list[str]:
    """Ask the server what runs now; a server that does not answer leaves the question open."""
    import httpx  # noqa: PLC0415

    user, _, password = _auth(config).partition(":")
    wanted = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}, "limit": RUNS_SHOWN}
    try:
        with httpx.Client(trust_env=False, timeout=ASK_S, auth=(user, password) if user else None) as client:
            found = client.post(f"http://127.0.0.1:{standing.port}/api/flow_runs/filter", json=wanted)
    except httpx.HTTPError:
        return []
    runs: list[dict[str, Any]] = found.json() if found.is_success else []
    return [f"{run['name']} ({run['state_name']})" for run in runs]


def _local(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if moment else ""


def _say_now(sentence: str) -> None:
    say(f"{datetime.now(UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}  {sentence}")
