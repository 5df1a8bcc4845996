"""A drain is few task runs, however many mails wait and however slowly a lane takes them."""

import math
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ledger.outbox import HEAD, Place
from office.outbox import Delivered
from rules.delivery import Unsent
from tasks import delivery
from tasks.delivery import BATCHES, Progress, deliver_batch, deliver_by_rate

MOST = 50  # task runs of a step
OTHERS = 4  # planned, and a contact repaired after each of the passes
LATER = 5  # passes after the first: one a contact that failed


class Queue:
    """Stands in for a sender over a queue of so many mails, of which one lane takes some at a time."""

    def __init__(self, mails: int, *, slow: int = 0, a_time: int = 10) -> None:
        self.left, self.slow, self.a_time = mails, slow, a_time
        self.shards: list[tuple[Place, tuple[str, ...]]] = []

    async def run(self, doing: Awaitable[Delivered]) -> Delivered:
        return await doing

    async def send_shard(self, _campaign: str, *, limit: int, after: Place, only_lanes: Any) -> Delivered:
        self.shards.append((after, tuple(only_lanes)))
        if only_lanes:
            sent = min(self.slow, self.a_time)
            self.slow -= sent
            full, unsent = frozenset(only_lanes), dict.fromkeys(range(self.slow), Unsent.LANE_FULL)
            if not self.slow:
                full, unsent = frozenset(), {}
            return Delivered(outcomes={"sent": sent} if sent else {}, full_lanes=full, unsent=unsent)
        sent = min(self.left, limit)
        self.left -= sent
        return Delivered(outcomes={"sent": sent}, reached=(1, self.left) if self.left else None)


@contextmanager
def sending(queue: Queue) -> Iterator[Queue]:
    token = delivery._sender.set((queue, queue))  # type: ignore[arg-type]
    try:
        yield queue
    finally:
        delivery._sender.reset(token)


@pytest.mark.parametrize("waiting", [0, 1, 57, 499, 501, 12_500, 25_001, 100_000, 1_000_000])
def test_any_number_of_mails_is_at_most_25_batches(waiting: int) -> None:
    progress = Progress(waiting)
    shards = math.ceil(waiting / progress.shard_size)
    batches = math.ceil(shards / progress.shards_at_once)
    assert batches <= BATCHES
    assert progress.shard_size <= delivery.LARGEST_SHARD
    assert batches + LATER * OTHERS <= MOST


async def test_a_batch_goes_on_from_shard_to_shard_and_stops_at_the_end_of_the_queue() -> None:
    with sending(Queue(10)) as queue:
        sent = await deliver_batch.fn("c", 3, HEAD, shards=2)
        assert (sent.outcomes, queue.left) == ({"sent": 6}, 4)
        assert sent.reached is not None
        rest = await deliver_batch.fn("c", 3, sent.reached, shards=9)
    assert (rest.outcomes, rest.reached, len(queue.shards)) == ({"sent": 4}, None, 4)


async def test_a_slow_lane_is_one_task_run_however_often_it_frees_up() -> None:
    with sending(Queue(0, slow=1005)) as queue:
        sent = await deliver_by_rate.fn("c", 500, ["netease"])
    assert (sent.outcomes, sent.unsent, sent.full_lanes) == ({"sent": 1005}, {}, frozenset())
    assert len(queue.shards) == 101


async def test_a_lane_that_takes_nothing_more_is_left_for_the_next_run() -> None:
    with sending(Queue(0, slow=20, a_time=0)) as queue:
        sent = await deliver_by_rate.fn("c", 500, ["netease"])
    assert (sent.handed_over, len(sent.unsent), len(queue.shards)) == (0, 20, 1)
