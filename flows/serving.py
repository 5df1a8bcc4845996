"""Serving: stay up, and let leave within seconds what anybody plans.

The ledger is the truth: it is asked again and again, by an inexpensive question, and the deliver flow is run where the
answer differs from the one after the flow's last run. So wake-ups coalesce and none can be lost, and mail that has to
wait (window, fence, cap) makes nothing run. Behind it stands a sweep. This module knows no Prefect; what to run is
handed in. Where Prefect starts the flows (`muster serve --woken`), only the companions stay up, and nothing is run.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from office.premises import Premises
from office.wakes import Mark, intake_marks, marks
from tasks.desk import clock

Run = Callable[[str], Awaitable[str]]  # runs the flow for a campaign; what came of it, in words
Look = Callable[[datetime], Mapping[str, Mark]]
Say = Callable[[str], None]
Companion = Callable[[asyncio.Event], Awaitable[None]]  # runs beside the sender until the event is set
RESTART_S = 5.0
BEAT_S = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """When a campaign's flow was last run (monotonic), and what that run has dealt with."""

    at: float
    settled: Mark


class Serving:
    """Runs a flow for every campaign that has something to send; never twice at once for one campaign."""

    def __init__(self, look: Look, run: Run, *, poll_s: float, sweep_s: float, say: Say) -> None:
        """Prepare; ``look`` gives the marks of campaigns with something to send, and may block."""
        self._look = look
        self._run = run
        self._poll_s = poll_s
        self._sweep_s = sweep_s
        self._say = say
        self._last: dict[str, LastRun] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; then wait for the runs under way. Cancelled, it cancels them."""
        try:
            while not stop.is_set():
                await self.poll()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._poll_s)
            if self._running:
                self._say(f"ending after the run of {', '.join(self._running)}; once more ends at once")
            await self.idle()
        finally:
            for task in self._running.values():
                task.cancel()
            await self.idle()

    async def idle(self) -> None:
        """Wait until nothing runs."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def poll(self) -> None:
        """Ask the ledger, and begin the runs that are due."""
        asked = time.monotonic()
        try:
            found = await asyncio.to_thread(self._look, datetime.now(UTC))
        except Exception:  # the ledger may be away for a moment; the next poll asks again
            logger.exception("the ledger could not be asked what waits; asked again in %s s", self._poll_s)
            return
        for gone in set(self._last) - set(found) - set(self._running):
            del self._last[gone]
        for campaign, mark in found.items():
            if campaign not in self._running and self._is_due(campaign, mark, asked):
                self._running[campaign] = asyncio.create_task(self._run_one(campaign, mark))

    def _is_due(self, campaign: str, mark: Mark, asked: float) -> bool:
        last = self._last.get(campaign)
        if last is not None and last.at > asked:
            return False  # a run ended while the ledger was asked: what was seen may be what it has dealt with
        if mark.held:
            self._last.pop(campaign, None)  # once it is released, it runs at once
            return False
        if last is None or mark.is_news_after(last.settled):
            return True
        self._last[campaign] = replace(last, settled=last.settled.lowered_to(mark))
        return time.monotonic() - last.at >= self._sweep_s

    async def _run_one(self, campaign: str, before: Mark) -> None:
        began = datetime.now(UTC)
        settled = before
        try:
            self._say(f"{campaign}: {await self._run(campaign)}")
            settled = await asyncio.to_thread(self._after, campaign, before, began)
        except Exception:  # no campaign's failure may end the others' service
            logger.exception("%s: the run failed; it is tried again in %s s or with new mail", campaign, self._sweep_s)
        finally:
            self._last[campaign] = LastRun(at=time.monotonic(), settled=settled)
            del self._running[campaign]

    def _after(self, campaign: str, before: Mark, began: datetime) -> Mark:
        """Return what a run has dealt with: what is left of what there was when it began.

        What came about while it ran may have been missed by it, so it must be news afterwards: newer messages, an
        opened fence, a stop placed or lifted; what became due meanwhile is not counted.
        """
        left = self._look(began).get(campaign, Mark(closed=before.closed))
        return replace(left, newest=min(left.newest, before.newest), live=before.live, stops=before.stops)


def intake_serving(premises: Premises, run: Run, *, poll_s: float, sweep_s: float, say: Say) -> Serving:
    """Return a serving that takes in what was fetched: a burst of mails makes one run, not one a mail."""

    def look(_: datetime) -> Mapping[str, Mark]:
        with premises.ledger.reading() as session:
            return intake_marks(session)

    return Serving(look, run, poll_s=poll_s, sweep_s=sweep_s, say=say)


async def serve(
    premises: Premises, run: Run, *, poll_s: float, sweep_s: float, say: Say, beside: Sequence[Companion] = ()
) -> bool:
    """Serve until SIGINT or SIGTERM; a second one ends the runs under way. Return whether none was cut short.

    ``beside`` run as long; each is told to stop by the same event, and started again if it fails.
    """

    def look(now: datetime) -> Mapping[str, Mark]:
        with premises.ledger.reading() as session:
            return marks(session, clock().moment(now), now)

    sender = Serving(look, run, poll_s=poll_s, sweep_s=sweep_s, say=say)
    return await stay_up([sender.serve, *beside])


async def stay_up(companions: Sequence[Companion]) -> bool:
    """Run companions until SIGINT or SIGTERM; a second one cuts them short. Return whether none was."""
    stop = asyncio.Event()
    serving = asyncio.ensure_future(_together(stop, companions))
    with _told_to_end(stop, serving):
        try:
            await serving
        except asyncio.CancelledError:
            return False
    return True


def beating(path: Path) -> Companion:
    """Return a companion that touches a file every few seconds: whoever supervises us sees that we are not stuck."""

    async def beat(stop: asyncio.Event) -> None:
        while not stop.is_set():
            path.touch()  # noqa: ASYNC240  one small file
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), BEAT_S)

    return beat


async def _together(stop: asyncio.Event, all_of_them: Sequence[Companion]) -> None:
    """Run them side by side until all have ended; cancelled, cancel them."""
    tasks = [asyncio.create_task(_kept_up(one, stop)) for one in all_of_them]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kept_up(companion: Companion, stop: asyncio.Event) -> None:
    """Run one until it is told to stop; one that fails stops none of the others, and is started again."""
    while True:
        try:
            await companion(stop)
        except Exception:  # whatever it is, the sender goes on
            logger.exception("%r failed; it is started again in %s s", companion, RESTART_S)
        else:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RESTART_S)
            return


@contextmanager
def _told_to_end(stop: asyncio.Event, serving: "asyncio.Future[None]") -> Iterator[None]:
    """Set ``stop`` at the first signal, cancel at the second; a third one does what it does to any program."""
    loop = asyncio.get_running_loop()
    before = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}

    def told() -> None:
        if stop.is_set():
            restore()
            serving.cancel()
        stop.set()

    def restore() -> None:
        for sign, handler in before.items():
            signal.signal(sign, handler or signal.SIG_DFL)

    for sign in before:
        signal.signal(sign, lambda *_: loop.call_soon_threadsafe(told))
    try:
        yield
    finally:
        restore()
