"""Supervising: each child is started when those it needs are well, kept up, and all are ended in reverse order."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from deployments.child import Child, Process, rotate, trim
from deployments.standing import Place, Standing, end_leftovers, home_of, write_note

Say = Callable[[str], None]
TAIL = 15  # lines of a log that are shown of what did not come up


class Health(StrEnum):
    """How a child is."""

    WAITING = "waiting"  # for those before it
    STARTING = "starting"
    WELL = "well"
    ILL = "ill"  # it runs, and does not answer
    DOWN = "down"  # it ended, and is started again
    DONE = "done"
    FAILED = "failed"  # it was to be done once, and could not be
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How often and how long, in seconds."""

    look: float = 0.25
    check: float = 5.0
    first_pause: float = 1.0
    longest_pause: float = 60.0
    recovered: float = 60.0  # well for so long, and the pauses begin anew
    patience: int = 3  # failed checks before a child is started again
    tries: int = 3  # of a child that has never been well


class DidNotComeUp(Exception):  # noqa: N818  what happened
    """A child did not become well at the first start; the sentence names it and its log."""


class Kept:
    """A child that is kept up: started, watched, and started again after longer and longer pauses."""

    def __init__(self, child: Child, log: Path, rhythm: Rhythm, say: Say, changed: Callable[[], None]) -> None:
        """Prepare; ``changed`` is called when there is something new to note."""
        self.child = child
        self.log = log
        self.health = Health.WAITING
        self.restarts = 0
        self.settled = asyncio.Event()  # well for the first time, or given up
        self.needs: Sequence[Kept] = ()
        self._rhythm, self._say, self._changed = rhythm, say, changed
        self._process: Process | None = None
        self._since = ""
        self._pause = rhythm.first_pause

    @property
    def place(self) -> Place:
        """How it is, for the note."""
        running = self._process is not None and self.health is not Health.DONE
        return Place(
            name=self.child.name,
            state=self.health,
            pid=self._process.pid if running and self._process else None,
            since=self._since if running else "",
            restarts=self.restarts,
            url=self.child.url,
            log=str(self.log),
        )

    async def keep_up(self) -> None:
        """Keep it up until cancelled, or until it is done.

        Raises:
            DidNotComeUp: it was never well, as often as it was tried.

        """
        for need in self.needs:
            await need.settled.wait()
        while True:
            well = await self._start()
            if well:
                self.settled.set()
                if self.child.once:
                    self._process = None
                    return
                await self._watch()
            await self._begin_anew(well=well)
            if not self.settled.is_set() and self.restarts >= self._rhythm.tries:
                self._give_up()
                return
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, self._rhythm.longest_pause)

    async def end(self) -> None:
        """End it, and all that it started."""
        if self._process is not None:
            await self._process.end(self.child.stop_s)
            self._process = None
        if self.health not in (Health.DONE, Health.FAILED):
            self._is(Health.STOPPED)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()

    async def _start(self) -> bool:
        """Start it, and wait until it is well; return whether it is."""
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self._process = Process(self.child, self.log)
        except OSError as error:  # the machine may be short of memory or of processes for a moment
            self._say(f"{self.child.name} cannot be started: {error.strerror}")
            return False
        self._is(Health.STARTING)
        deadline = time.monotonic() + self.child.boot_s
        while time.monotonic() < deadline:
            ended = self._process.ended
            if ended is not None:
                well = self.child.once and ended == 0
                if well:
                    self._is(Health.DONE)
                return well
            if not self.child.once and await self.child.check() and self._process.ended is None:
                self._is(Health.WELL)
                return True
            await asyncio.sleep(self._rhythm.look)
        return False

    async def _watch(self) -> None:
        """Return when it has ended, or has failed its checks for too long."""
        process, failed, well_since = self._process, 0, time.monotonic()
        next_check = well_since + self._rhythm.check
        while process is not None and process.ended is None:
            await asyncio.sleep(self._rhythm.look)
            if (now := time.monotonic()) < next_check:
                continue
            next_check = now + self._rhythm.check
            trim(self.log)
            if await self.child.check():
                failed = 0
                self._is(Health.WELL)
                if now - well_since >= self._rhythm.recovered:
                    self._pause = self._rhythm.first_pause
            elif all(need.health in (Health.WELL, Health.DONE, Health.FAILED) for need in self.needs):
                # Else what it needs is not there, and that is not its fault.
                failed, well_since = failed + 1, now
                self._is(Health.ILL)
            if failed >= self._rhythm.patience:
                return

    async def _begin_anew(self, *, well: bool) -> None:
        process = self._process
        ended = process.ended if process is not None else None
        if ended is not None:
            why = f"ended by itself ({_how(ended)})"
        else:
            why = "does not answer any more" if well else f"was not ready within {self.child.boot_s:g} s"
        if process is not None:
            await process.end(self.child.stop_s)
        self.restarts += 1
        self._process = None
        self._is(Health.DOWN)
        self._say(f"{self.child.name} {why}; started again in {self._pause:g} s; see {self.log}")

    def _give_up(self) -> None:
        """Go on without what was to be done once; without another there is no going on."""
        tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])
        said = f"{self.child.name} did not come up in {self.restarts} tries; its log {self.log} ends:\n{tail}"
        if not self.child.once:
            raise DidNotComeUp(said)
        self._is(Health.FAILED)
        self._say(said)
        self.settled.set()

    def _is(self, health: Health) -> None:
        if health != self.health:
            self.health = health
            self._changed()


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"


class Supervisor:
    """Keeps children up until it is told to stop."""

    def __init__(self, children: Sequence[Child], *, var_dir: Path, port: int, say: Say, rhythm: Rhythm) -> None:
        """Prepare; logs and the note lie below ``var_dir``."""
        self._var_dir, self._port, self._say = var_dir.resolve(), port, say
        logs = self._var_dir / "logs"
        self.kept = [Kept(child, logs / f"{child.name}.log", rhythm, say, self._note) for child in children]
        for one in self.kept:
            one.needs = [other for other in self.kept if other.child.name in one.child.needs]
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._born = psutil.Process().create_time()
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._ready = False

    async def run(self, when_ready: Callable[[Standing], None]) -> None:
        """Start all, keep them up until SIGINT or SIGTERM, end all. A second signal ends them at once.

        Raises:
            DidNotComeUp: one could not be started; the others were ended.

        """
        for one in self.kept:
            rotate(one.log)
        keeping: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, self.told)
        try:
            await self._until_stopped(keeping, when_ready)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            await self._end_all()
            for sign in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(sign)

    def told(self) -> None:
        """Stop; told again, at once."""
        (self._now if self._stop.is_set() else self._stop).set()

    @property
    def standing(self) -> Standing:
        """What stands."""
        return Standing(
            pid=os.getpid(),
            born=self._born,
            since=self._since,
            port=self._port,
            home=str(home_of(self._var_dir)),
            children=tuple(one.place for one in self.kept),
            ready=self._ready,
        )

    async def _until_stopped(self, keeping: list["asyncio.Task[None]"], when_ready: Callable[[Standing], None]) -> None:
        keeping.extend(asyncio.create_task(one.keep_up()) for one in self.kept)
        stopping = asyncio.create_task(self._stop.wait())
        settled = asyncio.create_task(self._all_settled())
        try:
            await self._first_of(stopping, settled, keeping)
            if self._stop.is_set():
                return
            self._ready = True
            self._note()
            when_ready(self.standing)
            await self._first_of(stopping, stopping, keeping)
        finally:
            stopping.cancel()
            settled.cancel()

    async def _all_settled(self) -> None:
        for one in self.kept:
            await one.settled.wait()

    async def _first_of(
        self, stopping: "asyncio.Task[bool]", other: "asyncio.Task[Any]", keeping: Sequence["asyncio.Task[None]"]
    ) -> None:
        """Wait until one of two comes about, or keeping up fails."""
        while not (stopping.done() or other.done()):
            lasting = {task for task in keeping if not task.done()}
            done, _ = await asyncio.wait({stopping, other, *lasting}, return_when=asyncio.FIRST_COMPLETED)
            for task in done & lasting:
                task.result()

    async def _end_all(self) -> None:
        self._say("stopping; once more stops at once")
        now = asyncio.create_task(self._now.wait())
        ending = asyncio.create_task(self._end_in_order())
        await asyncio.wait({now, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            ending.cancel()
            for one in self.kept:
                one.kill()
            with suppress(asyncio.CancelledError):
                await ending
        now.cancel()
        end_leftovers(self._var_dir)
        (home_of(self._var_dir) / "up.json").unlink(missing_ok=True)

    async def _end_in_order(self) -> None:
        for one in reversed(self.kept):
            await one.end()

    def _note(self) -> None:
        write_note(self._var_dir, self.standing)
