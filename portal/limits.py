"""Rates and sizes: how often somebody may come, and how much a request may bring."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

REMEMBERED = 20_000
DRAINED = 4  # times the limit is read and thrown away, so that the browser hears our answer instead of a reset
DRAIN_S = 30


class TooLargeError(Exception):
    """A request brings more than it may."""


class Rate:
    """At most so many in a minute by each of many, as buckets that fill up again; the longest silent are forgotten."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with full buckets."""
        self._full = float(per_minute)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> bool:
        """Take one of somebody's; return whether there was any."""
        left = self._filled(who)
        self._left[who] = (max(left - 1, 0.0), self._clock())
        self._left.move_to_end(who)
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return left >= 1

    def _filled(self, who: str) -> float:
        left, then = self._left.get(who, (self._full, self._clock()))
        return min(self._full, left + (self._clock() - then) * self._full / 60)


class BodyLimit:
    """Ends the reading of a request that brings more than it may, whatever its Content-Length says."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        """Stand before an application."""
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what it brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        read = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                await self._drain(receive, message)
                raise TooLargeError
            return message

        await self._app(scope, counted, send)

    async def _drain(self, receive: Receive, message: Message) -> None:
        read = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while message.get("more_body") and read < DRAINED * self._limit:
                    message = await receive()
                    read += len(message.get("body", b""))
