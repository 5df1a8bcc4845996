"""One child of `muster up`: how it is started, asked how it is, and ended with all that it started."""

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from settings import HOUSE

Check = Callable[[], Awaitable[bool]]
LOGS_KEPT = 5
LOG_LIMIT = 16 * 1024 * 1024  # bytes
GLANCE_S = 0.1
CHECK_TIMEOUT_S = 4.0
LINGER_S = 2.0  # for what a child has left behind
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


async def always() -> bool:
    """Return that all is well: of a child of which nothing more can be asked than that it runs."""
    return True


def answers(url: str) -> Check:
    """Return a check that an address answers as it should."""

    async def check() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=CHECK_TIMEOUT_S) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return check


def beats(path: Path, *, within_s: float) -> Check:
    """Return a check that a file was touched lately."""

    async def check() -> bool:
        with suppress(OSError):
            return time.time() - path.stat().st_mtime < within_s  # noqa: ASYNC240  a glance at one file
        return False

    return check


def all_of(*checks: Check) -> Check:
    """Return a check that all of these hold."""

    async def check() -> bool:
        return all(await asyncio.gather(*(one() for one in checks)))

    return check


@dataclass(frozen=True, kw_only=True)
class Child:
    """What a child is; it is started when those it ``needs`` are well. One to be done ``once`` is well when it is."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a password
    needs: tuple[str, ...] = ()
    check: Check = always
    once: bool = False
    boot_s: float = 60.0
    stop_s: float = 5.0
    url: str = ""


class Process:
    """A child that was started."""

    def __init__(self, child: Child, log: Path) -> None:
        """Start it; its output goes to the end of ``log``."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603  our own commands
                list(child.command),
                cwd=HOUSE,
                env={**os.environ, **child.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us; we end them in order
                preexec_fn=_dies_with_us(os.getpid()) if _libc is not None else None,  # noqa: PLW1509  takes no lock
            )
        self.pid = self._popen.pid

    @property
    def ended(self) -> int | None:
        """The status with which it ended; None while it runs."""
        return self._popen.poll()

    async def end(self, grace_s: float) -> None:
        """Ask it to end, wait so long, and leave nothing of it."""
        family = self.family()
        if self.ended is None:
            self._popen.terminate()
        await self._gone(family[:1], grace_s)
        for process in family[1:]:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        await self._gone(family[1:], LINGER_S)
        self.kill(family)
        await self._gone(family, LINGER_S)

    def kill(self, family: Sequence[psutil.Process] = ()) -> None:
        """End it and all that it started, at once."""
        for process in [*family, *self.family()]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(LINGER_S)  # takes it off the system's list

    def family(self) -> list[psutil.Process]:
        """Return it and all that it started, itself first."""
        with suppress(psutil.NoSuchProcess):
            head = psutil.Process(self.pid)
            return [head, *head.children(recursive=True)]
        return []

    async def _gone(self, family: Sequence[psutil.Process], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            _ = self.ended  # takes it off the system's list
            if not any(map(_runs, family)):
                return
            await asyncio.sleep(GLANCE_S)


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _dies_with_us(parent: int) -> Callable[[], None]:
    """Return what makes the system tell the new process to end when we are killed (Linux)."""
    assert _libc is not None  # noqa: S101  for the type checker: it was asked
    prctl = _libc.prctl

    def tell() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # we were gone before it could be told
            os._exit(1)

    return tell


def rotate(log: Path) -> None:
    """Put a log aside as .1, what was .1 as .2, and so on; the oldest goes."""
    _make_room(log)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def trim(log: Path) -> None:
    """Put aside a copy of a log that has grown beyond the limit, and empty it: its writer appends, and goes on there.

    Only what is written in the moment between the end of the copy and the emptying is lost.
    """
    with suppress(OSError):  # a full disk, say: the log stays as it is
        if log.stat().st_size <= LOG_LIMIT:
            return
        _make_room(log)
        with log.open("rb+") as full, log.with_suffix(".log.1").open("wb") as aside:
            shutil.copyfileobj(full, aside, 1024 * 1024)
            full.truncate(0)


def _make_room(log: Path) -> None:
    for number in range(LOGS_KEPT - 1, 0, -1):
        old = log.with_suffix(f".log.{number}")
        if old.exists():
            old.replace(log.with_suffix(f".log.{number + 1}"))
