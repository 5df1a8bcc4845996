"""A sender: claims shards, sends them over its connections lane by lane, and commits what came of it in groups."""

import asyncio
import gc
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ledger import senders
from ledger.acts import Act
from ledger.errors import TakenOver
from ledger.on_loop import LoopWriter
from ledger.outbox import HEAD, Place
from ledger.senders import EVERYTHING, LEASE, scope_of_campaign, scope_of_lane
from mail.journal import Group, Journal, NotOursError
from mail.relay import Envelope, SmtpServer
from mail.smtp import Outcome, SmtpPool
from office.gate import LanePlan
from office.outbox import (
    Delivered,
    Shard,
    claim_shard,
    commit_group,
    judge_abandoned,
    still_ours,
    stops_in_force,
    take_back,
)
from office.premises import Premises
from rules.delivery import Unsent
from rules.replies import Blame

log = logging.getLogger(__name__)
ENOUGH_FAILURES = 10  # connections that could not be had, in a row
ASKS_EVERY = timedelta(seconds=0.5)  # so soon does the kill switch stop a sender
HEARTBEAT_S = LEASE.total_seconds() / 4


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Let Python look for cycles of garbage less often while a sender makes objects by the ten thousand.

    It made none to speak of in them, and looked through the whole process each time: a fifth of a launch.
    """
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class _Wanted(NamedTuple):
    """A shard asked for."""

    campaign: str
    limit: int
    after: Place
    only_lanes: tuple[str, ...]


class Sender:
    """One sender. A context manager: it signs on with a lease, and signs off.

    What it had claimed and did not send goes back to the queue, also when it is cancelled.
    """

    def __init__(self, premises: Premises, relay: SmtpServer, act: Callable[[], Act]) -> None:
        """Prepare; ``act`` gives the act in whose name a commit is written, its wall time now."""
        self.name = uuid4().hex
        self._premises = premises
        self._relay = relay
        self._act = act
        self._writer = LoopWriter(premises.ledger)
        self.claims_ahead = self._writer.is_served  # SQLite has one writer: it would be in the commits' way
        self._at_data: frozenset[int] = frozenset()  # as last put on record
        self._ahead: tuple[_Wanted, asyncio.Task[Shard]] | None = None
        self._pools: dict[str, tuple[LanePlan, SmtpPool]] = {}
        self._stack = ExitStack()
        self._asks_at = datetime.min.replace(tzinfo=UTC)
        self.stops: frozenset[str] = frozenset()  # the holds in force, as last asked
        self.closed_lanes: set[str] = set()  # in which the provider has asked for a pause since
        self._heart: asyncio.Task[None] | None = None
        self._has_gone = False

    async def __aenter__(self) -> Self:
        """Sign on."""
        await self.sign_on()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sign off."""
        await self.sign_off()

    async def sign_on(self) -> None:
        """Judge what vanished senders left, and take a lease."""
        self._stack.enter_context(fewer_collections())
        await self._writer.brief(self._sign_on)
        self._heart = asyncio.create_task(self._beat())

    async def sign_off(self) -> None:
        """Close the connections and give up the lease, with whatever is still claimed under it."""
        if self._heart is not None:
            self._heart.cancel()
        try:
            await self._drop_what_was_claimed_ahead()
        finally:
            for _, pool in self._pools.values():
                await pool.__aexit__(None, None, None)
            self._stack.close()
            self._has_gone = True
            await self._writer.brief(self._sign_off)
            await self._writer.close()

    async def send_shard(
        self, campaign: str, *, limit: int, after: Place = HEAD, only_lanes: Collection[str] = ()
    ) -> Delivered:
        """Claim a shard, send it, and return what came of it when all of it is committed."""
        wanted = _Wanted(campaign, limit, after, tuple(only_lanes))
        foreseen = self._ahead is not None and self._ahead[0] == wanted
        shard = await self._next_shard(wanted)
        if foreseen:
            await self._ask_for_stops(campaign)
        else:
            self.stops = frozenset()  # what was claimed just now was not on hold, nor its lane closed
            self.closed_lanes.clear()
        if self.claims_ahead and shard.reached is not None:
            self._claim_ahead(wanted._replace(after=shard.reached))
        sending = _Sending(self, shard)
        if shard.envelopes:
            await sending.run()
        return Delivered(
            outcomes=sending.outcomes,
            unsent={**shard.unsent, **sending.stopped},
            ended=shard.ended,
            full_lanes=shard.full_lanes,
            reached=shard.reached,
        )

    async def _next_shard(self, wanted: "_Wanted") -> Shard:
        if self._ahead is None or self._ahead[0] != wanted:
            await self._drop_what_was_claimed_ahead()
            self._claim_ahead(wanted)
        ahead = self._ahead
        assert ahead is not None  # noqa: S101  for the type checker: it was just set
        shard = await asyncio.shield(ahead[1])  # cancelled, it stays to be dropped when we sign off
        self._ahead = None
        return shard

    def _claim_ahead(self, wanted: "_Wanted") -> None:
        self._ahead = wanted, asyncio.create_task(self._claim(wanted))

    async def _drop_what_was_claimed_ahead(self) -> None:
        """Return what was claimed ahead and is not asked for to the queue."""
        if self._ahead is not None:
            claiming, self._ahead = self._ahead[1], None
            shard = await claiming
            if shard.envelopes:
                ids = [envelope.id for envelope in shard.envelopes]
                await self.give_back(shard, ids, "not sent: claimed ahead in vain")

    async def pool(self, lane: str, plan: LanePlan) -> SmtpPool:
        """Return the connections of a lane, opened once and kept from shard to shard while the lane's plan stays."""
        known = self._pools.get(lane)
        if known is not None:
            if known[0].connections >= plan.connections:
                return known[1]
            await known[1].__aexit__(None, None, None)
        pool = SmtpPool(self._relay, connections=plan.connections, messages_per_connection=plan.messages_per_connection)
        self._pools[lane] = plan, pool
        return pool

    async def look_for_stops(self, campaign: str) -> None:
        """Ask for stops while there is nothing to commit."""
        if datetime.now(UTC) >= self._asks_at:
            self._asks_at = datetime.now(UTC) + ASKS_EVERY
            await self._ask_for_stops(campaign)

    async def _ask_for_stops(self, campaign: str) -> None:
        self.stops = await self._writer.brief(lambda session: stops_in_force(session, self._premises, campaign))

    async def commit(self, shard: Shard, marks: Collection[int], results: Sequence[tuple[Envelope, Outcome]]) -> bool:
        """Commit a group; return whether the marks hold."""
        try:
            return await self._commit(shard, marks, results)
        except TakenOver:
            ours = await self._writer.brief(lambda session: still_ours(session, shard.sender, results))
            return await self._commit(shard, marks, ours)

    async def _commit(self, shard: Shard, marks: Collection[int], results: Sequence[tuple[Envelope, Outcome]]) -> bool:
        """Commit, and every now and then ask for stops, always after a reply that may have caused one."""
        act = self._act()
        at_data = self._at_data.difference([envelope.id for envelope, _ in results]).union(marks)
        asks = act.wall >= self._asks_at or any(o.state in ("refused", "deferred") for _, o in results)

        def write(session: Session) -> tuple[bool, frozenset[str]]:
            stands = commit_group(session, self._premises, act, shard, at_data=at_data, results=results)
            return stands, stops_in_force(session, self._premises, shard.campaign) if asks else self.stops

        stands, self.stops = await self._writer.brief(write)
        if asks:
            self._asks_at = act.wall + ASKS_EVERY
        if stands:
            self._at_data = at_data
        return stands

    async def give_back(self, shard: Shard, message_ids: Collection[int], why: str) -> None:
        """Return messages of a shard to the queue."""

        def write(session: Session) -> None:
            take_back(session, self._act(), shard.campaign, shard.sender, message_ids, why)

        await self._writer.brief(write)

    async def _claim(self, wanted: "_Wanted") -> Shard:
        try:
            return await self._claim_now(wanted)
        except TakenOver:
            return await self._claim_now(wanted)  # under the new name

    async def _claim_now(self, wanted: "_Wanted") -> Shard:
        await self._renew()
        name = self.name

        def write(session: Session) -> Shard:
            return claim_shard(
                session,
                self._premises,
                self._act(),
                wanted.campaign,
                sender=name,
                limit=wanted.limit,
                after=wanted.after,
                only_lanes=wanted.only_lanes,
            )

        return await self._writer.long(write)

    def _sign_on(self, session: Session) -> None:
        act = self._act()
        judge_abandoned(session, act)
        senders.sign_on(session, act, self.name, host=socket.gethostname(), pid=os.getpid())

    def _sign_off(self, session: Session) -> None:
        judge_abandoned(session, self._act(), leaving=self.name)  # what a cancelled run had at DATA

    async def _beat(self) -> None:
        """Keep the lease while a slow relay keeps us waiting without a commit."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                await self._renew()
            except SQLAlchemyError:
                log.warning("the lease could not be renewed; it is tried again", exc_info=True)

    async def _renew(self) -> None:
        """Let the lease run on; take a new one if we were struck off, as after the machine was suspended.

        It is under a new name: nothing that was claimed under the old one is ours any longer.
        """
        if not self._has_gone:
            await self._writer.brief(self._renew_lease)

    def _renew_lease(self, session: Session) -> None:
        act = self._act()
        if not senders.renew_lease(session, self.name, act.wall):
            self.name, self._at_data = uuid4().hex, frozenset()
            senders.sign_on(session, act, self.name, host=socket.gethostname(), pid=os.getpid())


class _Sending:
    """The sending of one shard: workers by lane, one a connection, and the journal they share."""

    def __init__(self, sender: Sender, shard: Shard) -> None:
        self._sender = sender
        self._shard = shard
        self._queues = _by_lane(shard.envelopes)
        self._envelopes = {envelope.id: envelope for envelope in shard.envelopes}
        self._next_at = {lane: plan.first_at for lane, plan in shard.lanes.items()}
        self._failures = 0  # in a row
        self._locked_out = False
        self.outcomes: Counter[str] = Counter()
        self.stopped: dict[int, Unsent] = {}

    async def run(self) -> None:
        """Send everything, unless a stop or a cancellation comes between; then the rest goes back to the queue."""
        # A lane may have lost its only mail since it was asked: one that could not be composed, or that others took.
        lanes = {lane: plan for lane, plan in self._shard.lanes.items() if lane in self._queues}
        connections = sum(plan.connections for plan in lanes.values())
        journal = Journal(self._commit, connections=connections)
        try:
            async with journal, asyncio.TaskGroup() as group:
                for lane, plan in lanes.items():
                    pool = await self._sender.pool(lane, plan)
                    for _ in range(plan.connections):
                        group.create_task(self._connection(lane, plan, pool, journal))
        finally:
            await self._return_the_rest()

    async def _connection(self, lane: str, plan: LanePlan, pool: SmtpPool, journal: Journal) -> None:
        try:
            await self._work(lane, plan, pool, journal)
        finally:
            journal.leave()

    async def _work(self, lane: str, plan: LanePlan, pool: SmtpPool, journal: Journal) -> None:
        queue = self._queues[lane]
        while queue and not self._why_stopped(lane):
            if plan.interval is not None:
                await self._wait_for_turn(lane, plan.interval)
                if not queue or self._why_stopped(lane):
                    return
            envelope = queue.pop()
            try:
                outcome = await pool.send(envelope, journal.mark)
            except NotOursError:
                continue  # whoever has it now accounts for it
            except BaseException:
                queue.append(envelope)  # goes back to the queue, or is ambiguous if it had reached DATA
                raise
            journal.result(envelope.id, outcome)
            self._note(lane, outcome)

    def _note(self, lane: str, outcome: Outcome) -> None:
        held = outcome.state == "refused" and outcome.blame is Blame.POLICY
        self.outcomes["held" if held else outcome.state] += 1
        self._failures = self._failures + 1 if outcome.blame is Blame.RELAY else 0
        if outcome.blame is Blame.THROTTLE:
            self._sender.closed_lanes.add(lane)
        self._locked_out |= outcome.blame is Blame.AUTH  # another try would bring the account nearer to being blocked

    async def _wait_for_turn(self, lane: str, interval: timedelta) -> None:
        """Wait until the lane's rate allows the next message, and hear of stops meanwhile."""
        turn = self._next_at[lane]
        self._next_at[lane] = turn + interval
        while (left := turn - datetime.now(UTC)) > timedelta() and not self._why_stopped(lane):
            await asyncio.sleep(min(left, ASKS_EVERY).total_seconds())
            await self._sender.look_for_stops(self._shard.campaign)

    def _why_stopped(self, lane: str) -> Unsent | None:
        """Return why nothing more is to be sent in a lane."""
        if self._failures >= ENOUGH_FAILURES:
            return Unsent.RELAY_DOWN
        scopes = {EVERYTHING, scope_of_campaign(self._shard.campaign), scope_of_lane(lane)}
        if self._locked_out or self._sender.stops & scopes:
            return Unsent.HELD
        return Unsent.LANE_CLOSED if lane in self._sender.closed_lanes else None

    async def _commit(self, group: Group) -> bool:
        results = [(self._envelopes[id_], outcome) for id_, outcome in group.results]
        return await self._sender.commit(self._shard, group.marks, results)

    async def _return_the_rest(self) -> None:
        for lane, queue in self._queues.items():
            if queue:
                why = self._why_stopped(lane) or Unsent.HELD
                ids = [envelope.id for envelope in queue]
                await self._sender.give_back(self._shard, ids, f"not sent: {why}")
                self.stopped |= dict.fromkeys(ids, why)


def _by_lane(envelopes: Collection[Envelope]) -> Mapping[str, list[Envelope]]:
    """Return envelopes by lane, the first to be sent at the end of its list."""
    queues: dict[str, list[Envelope]] = {}
    for envelope in reversed(list(envelopes)):
        queues.setdefault(envelope.lane, []).append(envelope)
    return queues
