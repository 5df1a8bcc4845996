"""Group commit: what many connections put on record together, and what holds whatever moment a sender dies at."""

import asyncio
import random
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
    """A ledger that keeps what is committed, strikes the sender off after some groups, and fails when told to."""

    strikes_off_after: float = float("inf")
    failing: bool = False
    slow: bool = False
    groups: list[Group] = field(default_factory=list)

    async def commit(self, group: Group) -> bool:
        if self.slow:
            await asyncio.sleep(0.001)
        if self.failing:
            raise LedgerLostError
        self.groups.append(group)
        return len(self.groups) <= self.strikes_off_after

    @property
    def marks(self) -> list[int]:
        return [id_ for group in self.groups for id_ in group.marks]

    @property
    def results(self) -> list[int]:
        return [id_ for group in self.groups for id_, _ in group.results]


@pytest.fixture(params=[False, True], ids=["at-once", "after-a-moment"])
def slow(request: pytest.FixtureRequest) -> bool:
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
                assert len(record.groups) > record.strikes_off_after
                continue
            assert id_ in record.marks
            for _ in range(moments.randrange(4)):
                await asyncio.sleep(0)
            journal.result(id_, SENT)
    finally:
        journal.leave()


async def send_all(record: Record, queues: Collection[list[int]], *, seed: int = 0) -> None:
    journal = Journal(record.commit, connections=len(queues))
    async with journal, asyncio.TaskGroup() as connections:
        for number, ids in enumerate(queues):
            connections.create_task(work(journal, record, ids, seed=seed * 1000 + number))


def queues_of(connections: int, messages: int) -> list[list[int]]:
    return [[100 * c + m for m in range(messages)] for c in range(connections)]


async def test_a_mark_is_on_record_before_it_returns(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=1) as journal:
        for id_ in range(3):
            await journal.mark(id_)
            assert record.marks[-1] == id_


async def test_nothing_is_committed_where_nothing_was_asked_for(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=4):
        await asyncio.sleep(0)
    assert record.groups == []


@pytest.mark.parametrize("seed", range(5))
async def test_a_connection_never_stands_with_two_marks_and_no_result(slow: bool, seed: int) -> None:
    queues = queues_of(6, 15)
    record = Record(slow=slow)
    await send_all(record, queues, seed=seed)
    standing: set[int] = set()
    for group in record.groups:  # whatever group was the last to be committed
        standing -= {id_ for id_, _ in group.results}
        standing |= set(group.marks)
        assert len({id_ // 100 for id_ in standing}) == len(standing)
    assert standing == set()
    asked = sorted(id_ for ids in queues for id_ in ids)
    assert sorted(record.marks) == sorted(record.results) == asked


async def test_a_result_is_committed_no_later_than_the_next_mark_of_its_connection(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=1) as journal:
        await journal.mark(1)
        journal.result(1, SENT)
        await journal.mark(2)
        assert record.results == [1]


async def test_many_connections_share_their_commits(slow: bool) -> None:
    record = Record(slow=slow)
    await send_all(record, queues_of(20, 50))
    assert len(record.marks) == len(record.results) == 1000
    assert len(record.groups) <= 1000 // 4
    assert max(len(group.marks) for group in record.groups) <= 20


async def test_a_group_waits_only_a_moment_for_others(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=40, gather_s=0.001) as journal:
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(journal.mark(1), journal.mark(2))
        assert record.groups == [Group(marks=[1, 2], results=[])]


async def test_three_quarters_of_the_connections_make_a_full_group(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=4, gather_s=LONG_S) as journal:
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*map(journal.mark, (1, 2, 3)))
        assert record.groups == [Group(marks=[1, 2, 3], results=[])]


@pytest.mark.parametrize("leaves_first", [True, False])
async def test_a_group_is_full_without_those_that_have_left(slow: bool, leaves_first: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=4, gather_s=LONG_S) as journal:
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


async def test_the_last_connection_waits_for_nobody(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=20, gather_s=LONG_S) as journal:
        for _ in range(19):
            journal.leave()
        async with asyncio.timeout(SOON_S):
            await journal.mark(1)
    assert record.marks == [1]


async def test_who_was_struck_off_sends_nothing_more(slow: bool) -> None:
    record = Record(slow=slow, strikes_off_after=3)
    await send_all(record, queues_of(6, 15))
    sent = [id_ for group in record.groups[:3] for id_ in group.marks]
    assert sorted(record.results) == sorted(sent)
    with pytest.raises(NotOursError, match="message 7"):
        async with Journal(record.commit, connections=1) as journal:
            await journal.mark(7)


async def test_if_a_commit_fails_nobody_of_its_group_sends_and_the_failure_comes_out(slow: bool) -> None:
    record = Record(failing=True, slow=slow)
    done: list[BaseException | None] = []
    with pytest.raises(LedgerLostError):
        async with Journal(record.commit, connections=3) as journal:
            done += await asyncio.gather(*map(journal.mark, (1, 2, 3)), return_exceptions=True)
    assert [type(d) for d in done] == [LedgerLostError] * 3
    assert record.groups == []


async def test_a_failure_to_commit_the_last_results_comes_out(slow: bool) -> None:
    record = Record(slow=slow)

    async def send() -> None:
        async with Journal(record.commit, connections=1) as journal:
            await journal.mark(1)
            record.failing = True
            journal.result(1, SENT)

    with pytest.raises(LedgerLostError):
        await send()
    assert record.results == []


async def test_after_a_failure_nobody_sends_any_more(slow: bool) -> None:
    record = Record(slow=slow)
    failed = asyncio.Event()

    async def commit(group: Group) -> bool:
        if group.results and not failed.is_set():
            failed.set()
            raise LedgerLostError
        return await record.commit(group)

    async def send() -> None:
        async with Journal(commit, connections=1, gather_s=0.001) as journal:
            await journal.mark(1)
            journal.result(1, SENT)
            async with asyncio.timeout(SOON_S):
                await failed.wait()
            await asyncio.sleep(0.002)  # on the wire with the next message
            await journal.mark(2)

    with pytest.raises(LedgerLostError):
        await send()
    assert record.marks == [1]


async def test_a_mark_that_was_cancelled_is_not_committed(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=4, gather_s=LONG_S) as journal:
        first, second = await queued(journal.mark(1), journal.mark(2))
        first.cancel()
        async with asyncio.timeout(SOON_S):
            await journal.mark(3)
            await second
    assert first.cancelled()
    assert record.marks == [2, 3]


async def test_a_group_of_which_all_were_cancelled_is_no_commit(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=4, gather_s=LONG_S) as journal:
        (only,) = await queued(journal.mark(1))
        only.cancel()
        await asyncio.sleep(0)
    assert record.groups == []


async def test_marks_left_at_the_exit_are_committed_before_they_return(slow: bool) -> None:
    record = Record(slow=slow)
    async with Journal(record.commit, connections=4, gather_s=LONG_S) as journal:
        (mark,) = await queued(journal.mark(1))
    await mark
    assert record.marks == [1]


async def test_results_are_put_on_record_at_the_exit(slow: bool) -> None:
    record = Record(slow=slow)
    async with asyncio.timeout(SOON_S):
        async with Journal(record.commit, connections=4, gather_s=LONG_S) as journal:
            journal.result(1, SENT)
            await asyncio.sleep(0)  # the journal gathers
            journal.result(2, SENT)
    assert record.groups == [Group(marks=[], results=[(1, SENT), (2, SENT)])]


async def test_results_are_put_on_record_when_the_sender_is_cancelled(slow: bool) -> None:
    record = Record(slow=slow)
    noted = asyncio.Event()

    async def send() -> None:
        async with Journal(record.commit, connections=4, gather_s=LONG_S) as journal:
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
async def test_a_sender_cancelled_at_any_moment_accounts_for_all_it_handed_over(slow: bool, seed: int) -> None:
    record = Record(slow=slow)
    handed_over: list[int] = []

    async def connection(journal: Journal, ids: list[int]) -> None:
        for id_ in ids:
            await journal.mark(id_)
            handed_over.append(id_)
            journal.result(id_, SENT)
            await asyncio.sleep(0)

    async def send() -> None:
        journal = Journal(record.commit, connections=4)
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


async def test_a_slow_commit_lets_the_loop_run_and_the_next_group_wait() -> None:
    record = Record()
    began, may_end = asyncio.Event(), asyncio.Event()
    ended_before: list[int] = []

    async def slowly(group: Group) -> bool:
        ended_before.append(len(record.groups))
        began.set()
        async with asyncio.timeout(SOON_S):
            await may_end.wait()
        return await record.commit(group)

    async with Journal(slowly, connections=1) as journal:
        (first,) = await queued(journal.mark(1))
        async with asyncio.timeout(SOON_S):
            await began.wait()
        others = await queued(journal.mark(2), journal.mark(3))
        assert not first.done()
        may_end.set()
        await asyncio.gather(first, *others)
    assert [group.marks for group in record.groups] == [[1], [2, 3]]
    assert ended_before == [0, 1]  # the second began when the first had ended
