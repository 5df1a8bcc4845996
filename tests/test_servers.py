"""The servers that tests start for themselves are real ones, and work."""

import os
import smtplib
import socket
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest
from sqlalchemy import create_engine, text

from deployments import local_server
from deployments.local_server import LocalServer, ServerDidNotStart, free_port
from tests import servers


def test_postgres_gives_empty_databases_of_their_own(postgres_server: servers.Postgres) -> None:
    one, other = create_engine(postgres_server()), create_engine(postgres_server())
    with one.begin() as connection:
        assert str(connection.scalar(text("SELECT version()"))).startswith("PostgreSQL ")
        assert connection.scalar(text("SHOW fsync")) == "off"
        connection.execute(text("CREATE TABLE here (id integer)"))
    with other.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_tables WHERE tablename = 'here'")) == 0
    for engine in (one, other):
        engine.dispose()
        postgres_server.drop(str(engine.url))


def test_the_sink_takes_mail_and_writes_it_down(smtp_sink: Callable[..., int], tmp_path: Path) -> None:
    port = smtp_sink("-D", str(tmp_path / "mails"))
    letter = EmailMessage()
    letter["Subject"] = "for the sink"
    with smtplib.SMTP("127.0.0.1", port) as relay:
        assert relay.ehlo()[0] == 250
        assert relay.send_message(letter, "office@office.example", ["unit@x.example"]) == {}
    assert "Subject: for the sink" in (tmp_path / "mails").read_text()


def test_the_sink_refuses_what_it_is_told_to_refuse(smtp_sink: Callable[..., int]) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_sink("-f", "RCPT")) as relay:
        relay.ehlo()
        relay.mail("office@office.example")
        assert relay.rcpt("unit@x.example")[0] == 500


def test_a_server_ends_with_tests_that_were_killed(tmp_path: Path) -> None:
    story = (
        "import pathlib, sys, time; from tests.servers import running\n"
        "up, log = map(pathlib.Path, sys.argv[1:])\n"
        "with running(['sh', '-c', 'echo $$ >\"$0\"; exec sleep 60', str(up)], lambda: up.exists(), log=log):\n"
        "    print('running', flush=True); time.sleep(60)"
    )
    up, log = tmp_path / "up", tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", story, str(up), str(log)], stdout=subprocess.PIPE) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline() == b"running\n"
        left = psutil.Process(tests.pid).children(recursive=True)
        tests.kill()
    assert int(up.read_text()) in {process.pid for process in left}
    assert psutil.wait_procs(left, timeout=10)[1] == []


@pytest.mark.parametrize(("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_what_is_wanting_skips_a_test_but_fails_where_all_is_required(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[Exception]
) -> None:
    monkeypatch.setenv("MUSTER_REQUIRE_ALL", required)
    with pytest.raises(outcome, match="no such server"):
        servers.need("no such server")


def test_tests_of_a_group_stay_together(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("not shared out to workers")
    # A plugin that reads the marks no longer would start the servers on every worker, and say nothing.
    assert request.node.nodeid.endswith(f"@{Path(__file__).as_posix()}")


def test_a_prefect_server_whose_port_was_taken_meanwhile_takes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = iter(["/bin/false", still_booting(tmp_path), "/bin/false"])  # one without a port ends at once
    start = LocalServer.start

    def start_next(self: LocalServer) -> None:
        monkeypatch.setattr("sys.executable", next(programs))
        start(self)

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken, free = other.getsockname()[1], free_port()
        ports = iter([taken, free])
        monkeypatch.setattr(local_server, "free_port", lambda: next(ports))
        monkeypatch.setattr(LocalServer, "start", start_next)
        monkeypatch.setattr(LocalServer, "_answers", lambda self: self.port == free)
        with LocalServer(tmp_path) as server:
            assert server.port == free
        with pytest.raises(ServerDidNotStart, match=f"port {taken}"), LocalServer(tmp_path, port=taken):
            pass


def test_a_stranger_s_answer_on_the_port_is_not_taken_for_the_server_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = ThreadingHTTPServer(("127.0.0.1", 0), Healthy)
    Thread(target=stranger.serve_forever, daemon=True).start()
    monkeypatch.setattr("sys.executable", still_booting(tmp_path))
    monkeypatch.setattr(local_server, "BOOT_TIMEOUT_S", 0.5)
    with (
        pytest.raises(ServerDidNotStart, match="did not come up"),
        LocalServer(tmp_path, port=stranger.server_address[1]),
    ):
        pass
    stranger.shutdown()
    stranger.server_close()


def still_booting(folder: Path) -> str:
    """Return a program that stands in for the server, and never answers."""
    program = folder / "stands"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    return str(program)


class Healthy(SimpleHTTPRequestHandler):
    """Answers everything as a server in good health does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
