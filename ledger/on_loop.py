"""The ledger as the code of an event loop writes it, without holding the loop up while a disk or a server works."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from ledger.engine import Ledger, prepare_engine, to_json

Returned = TypeVar("Returned")


class LoopWriter:
    """Does writing work for one event loop, each piece in a transaction that commits at its end or not at all.

    On PostgreSQL the statements go over connections of the loop: a thread beside it would fight with it for the
    interpreter at every answer. On SQLite brief work is done at once, in the loop, unless each commit waits for the
    disk; the rest in a thread.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Prepare; connections are opened when they are needed."""
        self._ledger = ledger
        self._engine: AsyncEngine | None = None
        self.is_served = ledger.engine.dialect.name == "postgresql"
        self._waits_for_disk = ledger.durability == "FULL"

    async def brief(self, work: Callable[[Session], Returned]) -> Returned:
        """Do work that takes a moment; nobody else writes meanwhile."""
        if self.is_served:
            return await self._served(work, "at once")
        if self._waits_for_disk:
            return await asyncio.to_thread(self._here, work)
        return self._here(work)

    async def long(self, work: Callable[[Session], Returned]) -> Returned:
        """Do work that reads and thinks before it writes, as :meth:`Ledger.thinking_first` has it."""
        if self.is_served:
            return await self._served(work, "late")
        return await asyncio.to_thread(self._here, work)

    async def close(self) -> None:
        """Close the loop's connections."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    def _here(self, work: Callable[[Session], Returned]) -> Returned:
        with self._ledger.writing() as session:
            return work(session)

    async def _served(self, work: Callable[[Session], Returned], when: str) -> Returned:
        if self._engine is None:
            self._engine = create_async_engine(self._ledger.engine.url, json_serializer=to_json)
            prepare_engine(self._engine.sync_engine, self._ledger.durability)
            event.listen(self._engine.sync_engine, "connect", _look_up_by_key)
        bind = self._engine.execution_options(writes=when)
        async with AsyncSession(bind, expire_on_commit=False) as session, session.begin():
            return await session.run_sync(work)


def _look_up_by_key(connection: Any, _record: object) -> None:  # noqa: ANN401  SQLAlchemy's listeners are untyped
    """Let a group's dozen of rows be looked up by their keys; PostgreSQL would else read the whole table for them."""
    with connection.cursor() as cursor:
        cursor.execute("SET random_page_cost TO 1")
    connection.commit()
