"""`muster up`: what it refuses, to which server the other commands speak, and the real house once."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic import SecretStr

from cli.desk import use_prefect
from deployments.house import CannotStand, children_of, port_of
from deployments.local_server import free_port
from deployments.standing import Standing, leftovers, read_note, write_note
from settings import Settings, settings

SECRET = "a secret for the tests only"
PASSWORD = "a-long-password-of-the-tests"


# In the place of what deploys the house: this test is about the house standing, not about what stands in it.
@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port on which somebody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def test_a_port_that_was_named_and_is_taken_is_refused(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_PREFECT_PORT", str(taken))
    with pytest.raises(CannotStand, match=f"port {taken} is taken: .* name another with MUSTER_PREFECT_PORT"):
        port_of(Settings())


def test_where_no_port_was_named_another_is_taken(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.house.is_free", lambda port: port != 4200)
    assert port_of(Settings()) not in (4200, taken)


def test_pages_whose_port_is_taken_are_refused(taken: int, tmp_path: Path) -> None:
    config = Settings(var_dir=tmp_path, portal_url="http://127.0.0.1:8420", portal_port=taken)
    with pytest.raises(CannotStand, match="MUSTER_PORTAL_PORT"):
        children_of(config, 4200)


def test_a_development_mailbox_that_is_not_installed_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(CannotStand, match=r"pip install -e \.\[mailbox\]"):
        children_of(Settings(var_dir=tmp_path, dev_mailbox=True), 4200)


def test_the_password_is_on_no_command_line_and_in_no_text_of_a_child(tmp_path: Path) -> None:
    children = children_of(Settings(var_dir=tmp_path, prefect_auth=SecretStr(f"ops:{PASSWORD}")), 4200)
    assert [child.name for child in children] == ["server", "deploy", "worker", "serve"]
    assert not any(PASSWORD in repr(child) for child in children)
    knowing = [PASSWORD in child.environment.get("PREFECT_API_AUTH_STRING", "") for child in children]
    assert knowing == [True] * 4


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a var folder of which commands think, in an environment that is put back afterwards."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MUSTER_VAR_DIR", str(tmp_path))
    settings.cache_clear()
    (tmp_path / "prefect").mkdir()
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)
    settings.cache_clear()


def standing(folder: Path, born: float) -> Standing:
    home = str(folder / "prefect")
    return Standing(pid=os.getpid(), born=born, since="", port=4321, home=home, children=(), ready=True)


def test_commands_speak_to_the_server_of_muster_up_while_it_stands(at_home: Path) -> None:
    write_note(at_home, standing(at_home, psutil.Process().create_time()))
    use_prefect()
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert os.environ["PREFECT_HOME"] == str(at_home / "prefect")
    assert "PREFECT_API_AUTH_STRING" not in os.environ


def test_commands_know_the_password_of_that_server(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_PREFECT_AUTH", f"ops:{PASSWORD}")
    write_note(at_home, standing(at_home, psutil.Process().create_time()))
    use_prefect()
    assert os.environ["PREFECT_API_AUTH_STRING"] == f"ops:{PASSWORD}"
    assert PASSWORD not in (at_home / "prefect" / "up.json").read_text()


def test_a_server_that_the_environment_names_is_spoken_to_instead(
    at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    write_note(at_home, standing(at_home, psutil.Process().create_time()))
    use_prefect()
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:1/api"


def test_a_muster_up_that_is_gone_is_not_spoken_to(at_home: Path) -> None:
    write_note(at_home, standing(at_home, 1.0))
    use_prefect()
    assert "PREFECT_API_URL" not in os.environ


@pytest.fixture
def own_house(house: Path, tmp_path: Path) -> Iterator[tuple[dict[str, str], "subprocess.Popen[str]"]]:
    """Start the real house in processes of its own; return its environment and process."""
    portal = free_port()
    own = {
        "MUSTER_VAR_DIR": str(tmp_path / "var"),
        "MUSTER_SIGNING_SECRET": SECRET,
        "MUSTER_PREFECT_PORT": str(free_port()),
        "MUSTER_PREFECT_AUTH": f"ops:{PASSWORD}",
        "MUSTER_PORTAL_URL": f"http://127.0.0.1:{portal}",
        "MUSTER_PORTAL_PORT": str(portal),
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MUSTER_", "PREFECT_"))} | own
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "up"], cwd=house, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield environment, process
    finally:
        process.kill()
        process.wait()
        for left in leftovers(tmp_path / "var"):
            left.kill()


def call(house: Path, environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli", *words], cwd=house, env=environment, capture_output=True, text=True, check=False
    )


def workers_known_at(api: str, deadline: float) -> list[str]:
    """Return the names of the workers, as soon as the server knows one: a worker is well before it has called."""
    while True:
        known = httpx.post(f"{api}/work_pools/muster/workers/filter", json={}, auth=("ops", PASSWORD), timeout=30)
        known.raise_for_status()
        if (names := [worker["name"] for worker in known.json()]) or time.monotonic() > deadline:
            return names
        time.sleep(0.2)


@pytest.mark.slow
def test_the_real_house_stands_is_closed_to_strangers_and_ends_with_nothing_left(
    own_house: tuple[dict[str, str], "subprocess.Popen[str]"], house: Path, tmp_path: Path
) -> None:
    environment, process = own_house
    var, deadline = tmp_path / "var", time.monotonic() + 240
    while (note := read_note(var)) is None or not note.ready:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [(child.name, child.state) for child in note.children] == [
        ("server", "well"),
        ("deploy", "done"),
        ("worker", "well"),
        ("serve", "well"),
    ]
    deployed = (var / "logs" / "deploy.log").read_text(encoding="utf-8").splitlines()
    assert {"+ deployment reconcile/对账: every 180 s", "+ deployment extend/延期", "+ automation broken"} <= {
        *deployed
    }

    api = f"http://127.0.0.1:{note.port}/api"
    assert httpx.post(f"{api}/flow_runs/filter", json={}).status_code == 401
    assert workers_known_at(api, deadline) == ["muster-up"]
    assert httpx.get(f"{environment['MUSTER_PORTAL_URL']}/healthz").text == "ok"
    families = [psutil.Process(child.pid) for child in note.children if child.pid]
    assert not any(PASSWORD in word for one in [*families, psutil.Process(process.pid)] for word in one.cmdline())

    second = call(house, environment, "up")
    assert second.returncode == 1
    assert second.stderr.startswith(f"the house is up already over {var}, process {process.pid}: `muster ps`")
    shown = call(house, environment, "ps")
    assert shown.stdout.startswith(f"muster up: ready, process {process.pid}, since ")

    began = time.monotonic()
    ended = call(house, environment, "down")
    assert ended.stdout.startswith("down after ")
    assert process.wait(5) == 0
    assert time.monotonic() - began < 25
    assert leftovers(var) == []
    assert not any(PASSWORD in log.read_text() for log in (var / "logs").iterdir())
    assert call(house, environment, "down").stderr == f"no `muster up` stands over {var}\n"
    assert read_note(var) is None
