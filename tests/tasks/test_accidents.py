"""Accidents in the middle of sending: a commit that fails, a run that is cancelled, a report that overtakes us."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from itertools import count

import pytest
from sqlalchemy.exc import OperationalError

from benchmarks.staging import KEY
from ledger.audit import verify
from mail.maildir import deliver
from mail.relay import Envelope
from mail.smtp import Outcome
from mail.tokens import sign
from office.intake import drain_intake, fetch_mail
from office.outbox import Shard
from rehearsal.post_office import delivery_report
from rules.replies import Stage
from tasks.sending import Sender
from tests.mail.relay import Act, Relay
from tests.tasks.post import LAUNCH, UNITS, Post, act, name

CONNECTIONS = 4
Results = Sequence[tuple[Envelope, Outcome]]


async def accounted_for(post: Post, relay: Relay) -> None:
    """Hold what is on record against what the relay has seen; then let the rest leave, and hold it again."""
    for _ in range(2):
        states = post.states()
        assert set(states) <= {"sent", "planned", "ambiguous"}
        assert states.get("ambiguous", 0) <= CONNECTIONS
        by_state = {state: {name(m.id) for m in post.messages() if m.state == state} for state in states}
        assert by_state.get("sent", set()) <= set(relay.taken)
        assert set(relay.taken) <= by_state.get("sent", set()) | by_state.get("ambiguous", set())
        assert len(set(relay.taken)) == len(relay.taken)
        assert (post.slots(), post.senders()) == (0, 0)
        await post.drain(relay)
    assert "planned" not in post.states()
    with post.house.ledger.reading() as session:
        assert verify(session).fault == ""


# Commits that fail


@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize("for_good", [False, True])
async def test_a_commit_that_fails_loses_no_result_and_lets_nothing_leave_unmarked(
    either: Post, relay: Relay, monkeypatch: pytest.MonkeyPatch, nth: int, for_good: bool
) -> None:
    either.plan()
    commit, numbers = Sender.commit, count(1)
    marked: set[str] = set()
    answered: set[int] = set()

    async def failing(self: Sender, shard: Shard, marks: Collection[int], results: Results) -> bool:
        number = next(numbers)
        if number == nth or (for_good and number > nth):
            answered.update(envelope.id for envelope, _ in results)
            raise OperationalError("COMMIT", {}, Exception("the disk is full"))
        stands = await commit(self, shard, marks, results)
        marked.update(map(name, marks))
        return stands

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "commit", failing)
        with pytest.raises(OperationalError):
            await either.drain(relay)
    assert set(relay.taken) <= marked
    assert len(marked) < UNITS
    assert relay.commands.count("DATA") <= len(marked)
    assert {either.state(id_) for id_ in answered} <= ({"ambiguous"} if for_good else {"sent"})
    await accounted_for(either, relay)


# Cancellation at any moment


class Trap(list[str]):
    """A list that springs once, when so many lines of a kind have been put into it."""

    def __init__(self, kind: str, nth: int, spring: Callable[[], object]) -> None:
        super().__init__()
        self.kind, self.left, self.spring = kind, nth, spring

    def append(self, line: str) -> None:
        super().append(line)
        if line.startswith(self.kind):
            self.left -= 1
            if self.left == 0:
                self.spring()


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
@pytest.mark.parametrize(
    ("kind", "nth"), [("EHLO", 1), ("MAIL", 1), ("MAIL", 7), ("RCPT", 7), ("DATA", 1), ("DATA", 7)]
)
async def test_a_sender_cancelled_at_a_command_accounts_for_every_message(
    post: Post, kind: str, nth: int, extensions: tuple[str, ...]
) -> None:
    post.plan()
    async with Relay(extensions=extensions).running() as relay:
        sending = asyncio.create_task(post.drain(relay))
        relay.commands = Trap(kind, nth, sending.cancel)
        with pytest.raises(asyncio.CancelledError):
            await sending
        if kind == "EHLO":
            assert post.states() == {"planned": UNITS}
        await accounted_for(post, relay)


@pytest.mark.parametrize("nth", [1, 2, 7, UNITS])
async def test_a_sender_cancelled_between_the_dot_and_its_answer_accounts_for_every_message(
    post: Post, relay: Relay, nth: int
) -> None:
    post.plan()
    sending = asyncio.create_task(post.drain(relay))
    relay.taken = Trap("", nth, sending.cancel)
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert len(relay.taken) >= nth
    await accounted_for(post, relay)


@pytest.mark.parametrize("nth", [1, 2, 5])
@pytest.mark.parametrize("after", [False, True])
async def test_a_sender_cancelled_around_a_commit_accounts_for_every_message(
    either: Post, relay: Relay, monkeypatch: pytest.MonkeyPatch, nth: int, after: bool
) -> None:
    either.plan()
    commit, numbers = Sender.commit, count(1)

    async def cancelling(self: Sender, shard: Shard, marks: Collection[int], results: Results) -> bool:
        its_turn = next(numbers) == nth
        if its_turn and not after:
            sending.cancel()
        stands = await commit(self, shard, marks, results)
        if its_turn and after:
            sending.cancel()
        return stands

    monkeypatch.setattr(Sender, "commit", cancelling)
    sending = asyncio.create_task(either.drain(relay))
    with pytest.raises(asyncio.CancelledError):
        await sending
    await accounted_for(either, relay)


# A report that overtakes our own result


async def test_a_bounce_that_comes_before_the_relay_s_answer_is_applied_and_the_others_are_sent(either: Post) -> None:
    either.plan()
    at_last = Act("250 2.0.0 taken at last", hang=True)
    async with Relay(script={(Stage.DOT, name(2)): at_last}).running() as relay:
        sending = asyncio.create_task(either.drain(relay))
        await relay.hanging.wait()
        bounce(either, 2)
        assert either.state(2) == "bounced"
        relay.released.set()
        delivered = await sending
    assert delivered.outcomes == {"sent": UNITS}
    assert either.states() == {"bounced": 1, "sent": UNITS - 1, "planned": 1}  # the alert
    assert [a.state for a in either.attempts(2)] == ["claimed", "sent", "bounced"]
    with either.house.ledger.reading() as session:
        assert verify(session).fault == ""


def bounce(post: Post, message_id: int) -> None:
    """Let a report come in that the address of a message does not exist."""
    house, [message] = post.house, post.messages(message_id)
    to = house.tagged_address(sign("m", message_id, house.secret))
    report = delivery_report("mx.example", to, message.address or "", b"Subject: x\r\n\r\n", LAUNCH)
    deliver(house.maildir, b"Return-Path: <>\r\n" + report, LAUNCH)
    fetch_mail(house, act())
    assert dict(drain_intake(house, act(), KEY).mails) == {"bounce": 1}
