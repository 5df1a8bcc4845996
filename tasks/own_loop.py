"""An event loop in a thread of its own: sending neither waits for Prefect's loop nor holds it up."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

try:
    import uvloop
except ImportError:  # Windows has none
    uvloop = None  # type: ignore[assignment]

Returned = TypeVar("Returned")


class OwnLoop:
    """A context manager; what is run in it can be cancelled from outside, and is waited for until it has ended."""

    def __init__(self) -> None:
        """Prepare; the thread starts on entering."""
        self._loop = asyncio.new_event_loop() if uvloop is None else uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sender", daemon=True)

    async def __aenter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def run(self, coroutine: Coroutine[Any, Any, Returned]) -> Returned:
        """Run a coroutine in the loop and return what it returns. Cancelled, cancel it, and wait until it is done."""
        ended: Future[Returned] = Future()
        tasks: list[asyncio.Task[Returned]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(coroutine))
            tasks[0].add_done_callback(lambda task: _hand_over(task, ended))

        self._loop.call_soon_threadsafe(start)
        waiter = asyncio.wrap_future(ended)
        try:
            return await asyncio.shield(waiter)
        except asyncio.CancelledError:
            # After `start`, which may not have run yet: what the loop is told comes in order.
            self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # noqa: PLW0108  there is none yet, perhaps
            while not waiter.done():  # also when we are told again
                with suppress(asyncio.CancelledError, Exception):
                    await asyncio.shield(waiter)
            raise


def _hand_over(task: "asyncio.Task[Returned]", ended: "Future[Returned]") -> None:
    if task.cancelled():
        ended.cancel()
    elif (error := task.exception()) is not None:
        ended.set_exception(error)
    else:
        ended.set_result(task.result())
