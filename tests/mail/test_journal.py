"""Group commit: what many connections put on record together, and what holds whatever moment a sender dies at."""

import asyncio
import random
import threading
from collections.abc import Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mail.journal import Group, Journal, NotOursError
from mail.smtp import Outcome

SENT = Outcome(state="sent", code=250)
LONG_S = 60.0  # never waited for: a test that has to would fail by its timeout
SOON_S = 5.0


class LedgerLostError(Exception):
    """The commit failed: nothing of the group is on record."""


@dataclass
class Record:
    """A ledger that keeps what is committed, refuses what others have, and fails when told to."""

    others: frozenset[int] = frozenset()
    failing: bool = False
    groups: list[Group] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def commit(self, group: Group) -> frozenset[int]:
        self.threads.add(threading.get_ident())
        if self.failing:
            raise LedgerLostError
        self.groups.append(group)
        return frozenset(group.marks) & self.others

    @property
    def marks(self) -> list[int]:
        return [id_ for group in self.groups for id_ in group.marks]

    @property
    def results(self) -> list[int]:
        return [id_ for group in self.groups for id_, _ in group.results]


@pytest.fixture(params=[False, True], ids=["on-the-loop", "in-a-thread"])
def in_thread(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def queued(*marks: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    """Let marks be asked for, and return before any is on record."""
    tasks = [asyncio.create_task(mark) for mark in marks]
    await asyncio.sleep(0)
    return tasks


async def work(journal: Journal, record: Record, ids: Iterable[int], *, seed: int = 0) -> None:
    """Send as a connection does: mark, hand over, note the result, and at last leave."""
    moments = random.Random(seed)
    try:
        for id_ in ids:
            try:
                await journal.mark(id_)
            except NotOursError:
                assert id_ in record.others
                continue
            assert id_ not in record.others
            assert id_ in record.marks
            for _ in range(moments.randrange(4)):
                await asyncio.sleep(0)
            journal.result(id_, SENT)
    finally:
        journal.leave()


async def send_all(record: Record, queues: Collection[list[int]], *, in_thread: bool, seed: int = 0) -> None:
    journal = Journal(record.commit, connections=len(queues), in_thread=in_thread)
    async with journal, asyncio.TaskGroup() as connections:
        for number, ids in enumerate(queues):
            connections.create_task(work(journal, record, ids, seed=seed * 1000 + number))


def queues_of(connections: int, messages: int) -> list[list[int]]:
    return [[100 * c + m for m in range(messages)] for c in range(connections)]


async def test_a_mark_is_on_record_before_it_returns(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=1, in_thread=in_thread) as journal:
        for id_ in range(3):
            await journal.mark(id_)
            assert record.marks[-1] == id_


async def test_nothing_is_committed_where_nothing_was_asked_for(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=4, in_thread=in_thread):
        await asyncio.sleep(0)
    assert record.groups == []


@pytest.mark.parametrize("seed", range(5))
async def test_a_connection_never_stands_with_two_marks_and_no_result(in_thread: bool, seed: int) -> None:
    queues = queues_of(6, 15)
    moments = random.Random(seed)
    record = Record(others=frozenset(id_ for ids in queues for id_ in ids if moments.random() < 0.1))
    await send_all(record, queues, in_thread=in_thread, seed=seed)
    standing: set[int] = set()
    for group in record.groups:  # whatever group was the last to be committed
        standing -= {id_ for id_, _ in group.results}
        standing |= set(group.marks) - record.others
        assert len({id_ // 100 for id_ in standing}) == len(standing)
    assert standing == set()
    asked = sorted(id_ for ids in queues for id_ in ids)
    assert sorted(record.marks) == asked
    assert sorted(record.results) == [id_ for id_ in asked if id_ not in record.others]


async def test_a_result_is_committed_no_later_than_the_next_mark_of_its_connection(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=1, in_thread=in_thread) as journal:
        await journal.mark(1)
        journal.result(1, SENT)
        await journal.mark(2)
        assert record.results == [1]


async def test_many_connections_share_their_commits(in_thread: bool) -> None:
    record = Record()
    await send_all(record, queues_of(20, 50), in_thread=in_thread)
    assert len(record.marks) == len(record.results) == 1000
    assert len(record.groups) <= 1000 // 4
    assert max(len(group.marks) for group in record.groups) <= 20


async def test_a_group_waits_only_a_moment_for_others(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=40, in_thread=in_thread, gather_s=0.001) as journal:
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(journal.mark(1), journal.mark(2))
        assert record.groups == [Group(marks=[1, 2], results=[])]


async def test_three_quarters_of_the_connections_make_a_full_group(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=4, in_thread=in_thread, gather_s=LONG_S) as journal:
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*map(journal.mark, (1, 2, 3)))
        assert record.groups == [Group(marks=[1, 2, 3], results=[])]


@pytest.mark.parametrize("leaves_first", [True, False])
async def test_a_group_is_full_without_those_that_have_left(in_thread: bool, leaves_first: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=4, in_thread=in_thread, gather_s=LONG_S) as journal:
        if leaves_first:
            journal.leave()
        marks = await queued(journal.mark(1), journal.mark(2))
        if not leaves_first:
            await asyncio.sleep(0)
            assert record.groups == []
            journal.leave()
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*marks)
    assert record.marks == [1, 2]


async def test_the_last_connection_waits_for_nobody(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=20, in_thread=in_thread, gather_s=LONG_S) as journal:
        for _ in range(19):
            journal.leave()
        async with asyncio.timeout(SOON_S):
            await journal.mark(1)
    assert record.marks == [1]


async def test_what_others_have_is_not_sent(in_thread: bool) -> None:
    record = Record(others=frozenset({2}))
    async with Journal(record.commit, connections=4, in_thread=in_thread) as journal:
        done = await asyncio.gather(*map(journal.mark, (1, 2, 3)), return_exceptions=True)
    assert [type(d) for d in done] == [type(None), NotOursError, type(None)]
    assert "message 2" in str(done[1])


async def test_if_a_commit_fails_nobody_of_its_group_sends_and_the_failure_comes_out(in_thread: bool) -> None:
    record = Record(failing=True)
    done: list[BaseException | None] = []
    with pytest.raises(LedgerLostError):
        async with Journal(record.commit, connections=3, in_thread=in_thread) as journal:
            done += await asyncio.gather(*map(journal.mark, (1, 2, 3)), return_exceptions=True)
    assert [type(d) for d in done] == [LedgerLostError] * 3
    assert record.groups == []


async def test_a_failure_to_commit_the_last_results_comes_out(in_thread: bool) -> None:
    record = Record()

    async def send() -> None:
        async with Journal(record.commit, connections=1, in_thread=in_thread) as journal:
            await journal.mark(1)
            record.failing = True
            journal.result(1, SENT)

    with pytest.raises(LedgerLostError):
        await send()
    assert record.results == []


async def test_after_a_failure_nobody_sends_any_more(in_thread: bool) -> None:
    record = Record()
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def commit(group: Group) -> frozenset[int]:
        if group.results and not failed.is_set():
            loop.call_soon_threadsafe(failed.set)
            raise LedgerLostError
        return record.commit(group)

    async def send() -> None:
        async with Journal(commit, connections=1, in_thread=in_thread, gather_s=0.001) as journal:
            await journal.mark(1)
            journal.result(1, SENT)
            async with asyncio.timeout(SOON_S):
                await failed.wait()
            await asyncio.sleep(0.002)  # on the wire with the next message
            await journal.mark(2)

    with pytest.raises(LedgerLostError):
        await send()
    assert record.marks == [1]


async def test_a_mark_that_was_cancelled_is_not_committed(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=4, in_thread=in_thread, gather_s=LONG_S) as journal:
        first, second = await queued(journal.mark(1), journal.mark(2))
        first.cancel()
        async with asyncio.timeout(SOON_S):
            await journal.mark(3)
            await second
    assert first.cancelled()
    assert record.marks == [2, 3]


async def test_a_group_of_which_all_were_cancelled_is_no_commit(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=4, in_thread=in_thread, gather_s=LONG_S) as journal:
        (only,) = await queued(journal.mark(1))
        only.cancel()
        await asyncio.sleep(0)
    assert record.groups == []


async def test_marks_left_at_the_exit_are_committed_before_they_return(in_thread: bool) -> None:
    record = Record()
    async with Journal(record.commit, connections=4, in_thread=in_thread, gather_s=LONG_S) as journal:
        (mark,) = await queued(journal.mark(1))
    await mark
    assert record.marks == [1]


async def test_results_are_put_on_record_at_the_exit(in_thread: bool) -> None:
    record = Record()
    async with asyncio.timeout(SOON_S):
        async with Journal(record.commit, connections=4, in_thread=in_thread, gather_s=LONG_S) as journal:
            journal.result(1, SENT)
            await asyncio.sleep(0)  # the journal gathers
            journal.result(2, SENT)
    assert record.groups == [Group(marks=[], results=[(1, SENT), (2, SENT)])]


async def test_results_are_put_on_record_when_the_sender_is_cancelled(in_thread: bool) -> None:
    record = Record()
    noted = asyncio.Event()

    async def send() -> None:
        async with Journal(record.commit, connections=4, in_thread=in_thread, gather_s=LONG_S) as journal:
            journal.result(1, SENT)
            noted.set()
            await asyncio.Event().wait()

    sender = asyncio.create_task(send())
    await noted.wait()
    sender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sender
    assert record.results == [1]


@pytest.mark.parametrize("seed", range(5))
async def test_a_sender_cancelled_at_any_moment_accounts_for_all_it_handed_over(in_thread: bool, seed: int) -> None:
    record = Record()
    handed_over: list[int] = []

    async def connection(journal: Journal, ids: list[int]) -> None:
        for id_ in ids:
            await journal.mark(id_)
            handed_over.append(id_)
            journal.result(id_, SENT)
            await asyncio.sleep(0)

    async def send() -> None:
        journal = Journal(record.commit, connections=4, in_thread=in_thread)
        async with journal, asyncio.TaskGroup() as connections:
            for ids in queues_of(4, 50):
                connections.create_task(connection(journal, ids))

    sender = asyncio.create_task(send())
    await asyncio.sleep(0)
    for _ in range(random.Random(seed).randrange(200)):
        await asyncio.sleep(0)
    sender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sender
    assert sorted(record.results) == sorted(handed_over)
    assert set(handed_over) <= set(record.marks)
    assert len(set(record.marks) - set(handed_over)) <= 4  # at most one a connection is left in doubt


async def test_a_slow_commit_in_a_thread_lets_the_loop_run_and_the_next_group_wait() -> None:
    record = Record()
    began, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    ended_before: list[int] = []

    def slowly(group: Group) -> frozenset[int]:
        ended_before.append(len(record.groups))
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(SOON_S)
        return record.commit(group)

    async with Journal(slowly, connections=1, in_thread=True) as journal:
        (first,) = await queued(journal.mark(1))
        async with asyncio.timeout(SOON_S):
            await began.wait()
        others = await queued(journal.mark(2), journal.mark(3))
        assert not first.done()
        may_end.set()
        await asyncio.gather(first, *others)
    assert [group.marks for group in record.groups] == [[1], [2, 3]]
    assert ended_before == [0, 1]  # the second began when the first had ended


async def test_commits_run_where_they_were_told_to(in_thread: bool) -> None:
    record = Record()
    await send_all(record, queues_of(3, 5), in_thread=in_thread)
    here = {threading.get_ident()}
    assert record.threads.isdisjoint(here) if in_thread else record.threads == here
