"""Group commit: what many connections have to put on record is committed together, so that safety costs no commit each.

Before DATA a message is marked, and the mark is on record before the command leaves. A result is committed no later
than the next mark of the same connection. So whatever moment a sender dies at, at most one message a connection
stands marked and without result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

from mail.smtp import Outcome


@dataclass(frozen=True, kw_only=True)
class Group:
    """What is committed together: messages about to reach DATA, and results of earlier ones, by message id."""

    marks: Sequence[int]
    results: Sequence[tuple[int, Outcome]]


Commit = Callable[[Group], Awaitable[bool]]  # returns whether the marks hold; if not, others have those messages


class NotOursError(Exception):
    """The message was taken from us meanwhile: its lease ran out. It must not be sent."""


class Journal:
    """Gathers marks and results for a moment, then commits them as one group."""

    def __init__(self, commit: Commit, *, connections: int, gather_s: float = 0.008) -> None:
        """Prepare; ``connections`` marks make a full group."""
        self._commit = commit
        self._full = max(1, connections * 3 // 4)
        self._gather_s = gather_s
        self._marks: list[tuple[int, asyncio.Future[bool]]] = []
        self._results: list[tuple[int, Outcome]] = []
        self._wake = asyncio.Event()
        self._filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Start committing."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what is left, also when the sender is being cancelled."""
        self._closing = True
        self._wake.set()
        self._filled.set()
        if self._task is not None:
            await asyncio.shield(self._task)
        if self._failure is not None:
            raise self._failure

    async def mark(self, id_: int) -> None:
        """Put on record that a message is about to reach DATA; return once that is committed.

        Raises:
            NotOursError: it must not be sent.

        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._marks.append((id_, done))
        self._wake.set()
        if len(self._marks) >= self._full:
            self._filled.set()
        if not await done:
            raise NotOursError(f"message {id_} was taken over meanwhile")

    def result(self, id_: int, outcome: Outcome) -> None:
        """Put a result on record with the next group."""
        self._results.append((id_, outcome))
        self._wake.set()

    def leave(self) -> None:
        """Say that a connection has nothing more to commit: a group is full without it."""
        self._full -= 1
        if len(self._marks) >= self._full:
            self._filled.set()

    async def _run(self) -> None:
        while not (self._closing and not self._marks and not self._results):
            await self._wake.wait()
            self._wake.clear()
            if not self._closing and len(self._marks) < self._full:
                await self._gather()
            await self._commit_group()

    async def _gather(self) -> None:
        """Wait until every connection has something to commit, or a moment has passed."""
        self._filled.clear()
        try:
            async with asyncio.timeout(self._gather_s):
                await self._filled.wait()
        except TimeoutError:
            return

    async def _commit_group(self) -> None:
        marks = [(id_, done) for id_, done in self._marks if not done.done()]  # a cancelled one will not be sent
        results = self._results
        self._marks, self._results = [], []
        if self._failure is not None:  # results are missing from the record: nothing more may join those in doubt
            _fail(marks, self._failure)
            marks = []
        if not marks and not results:
            return
        group = Group(marks=[id_ for id_, _ in marks], results=results)
        try:
            hold = await self._commit(group)
        except BaseException as error:  # noqa: BLE001  nothing of the group is on record: nobody may send on its strength
            if self._failure is None:
                self._failure = error
                self._results = results + self._results  # known answers: they are tried once more
                self._wake.set()
            _fail(marks, error)
            return
        for _, done in marks:
            if not done.done():
                done.set_result(hold)


def _fail(marks: Sequence[tuple[int, asyncio.Future[bool]]], error: BaseException) -> None:
    for _, done in marks:
        if not done.done():
            done.set_exception(error)
