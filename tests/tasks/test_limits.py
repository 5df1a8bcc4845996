"""Limits on sending: rates and connections of lanes, the daily cap, the window and the fence."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from benchmarks.staging import KEY
from definition.loading import LoadedCampaign
from ledger.outbox import HEAD, Result, record
from ledger.senders import place_hold, sign_on
from ledger.tables import MessageState
from office.launching import launch_campaign
from office.outbox import Shard, claim_shard, commit_group
from rules.delivery import Unsent
from rules.replies import Stage
from tests.mail.relay import Act, Relay
from tests.tasks.post import LAUNCH, NIGHT, UNITS, Post, act, lane, name, until

BUSY = Act("450 4.2.0 mailbox busy")
CAP = 2
TOMORROW = LAUNCH + timedelta(days=1)


def claim(post: Post, sender: str, *, limit: int = 1000, hours: float = 0) -> Shard:
    """Claim in the name of a sender, which signs on at its first claim."""
    now = act(LAUNCH + timedelta(hours=hours))
    with post.house.ledger.writing() as session:
        if sender not in SIGNED_ON:
            sign_on(session, now, sender, host="here", pid=1)
            SIGNED_ON.add(sender)
        return claim_shard(session, post.house, now, KEY, sender=sender, limit=limit)


SIGNED_ON: set[str] = set()


@pytest.fixture(autouse=True)
def _nobody_signed_on() -> Iterator[None]:
    SIGNED_ON.clear()
    yield
    SIGNED_ON.clear()


# Lanes


async def test_a_paced_lane_sends_no_faster_than_its_rate(post: Post, relay: Relay) -> None:
    post.plan()
    post = post.furnished(lanes=(lane(per_minute=3000),))  # fifty a second
    started = time.monotonic()
    delivered = await post.drain(relay, limit=15)
    seconds = time.monotonic() - started
    assert delivered.outcomes == {"sent": UNITS}
    assert (UNITS - 1) / 50 <= seconds < 3 * UNITS / 50


async def test_two_senders_share_a_lane_s_rate(either: Post, relay: Relay) -> None:
    either.plan()
    one = either.furnished(lanes=(lane(per_minute=4800),))
    two = one.another()
    started = time.monotonic()
    await asyncio.gather(one.drain(relay, limit=8), two.drain(relay, limit=8))
    seconds = time.monotonic() - started
    two.house.ledger.close()
    assert len(relay.taken) == UNITS
    assert seconds >= (UNITS - 1) / 80


def test_a_slow_lane_gives_out_no_more_than_it_can_send_soon(post: Post) -> None:
    """So that a shard does not hold up everything else for minutes."""
    post.plan()
    post = post.furnished(lanes=(lane(per_minute=60),))
    shard = claim(post, "a")
    assert (len(shard.envelopes), set(shard.unsent.values())) == (31, {Unsent.LANE_FULL})  # of the next half minute
    assert shard.full_lanes == {"default"}
    assert claim(post, "b").envelopes == ()


def test_senders_share_a_lane_s_connections(either: Post) -> None:
    either.plan()
    post = either.furnished(lanes=(lane(connections=3),), connections=2)
    assert claim(post, "a", limit=10).lanes["default"].connections == 2
    assert claim(post, "b", limit=10).lanes["default"].connections == 1
    third = claim(post, "c", limit=10)
    assert (third.envelopes, set(third.unsent.values())) == ((), {Unsent.LANE_FULL})
    assert post.slots() == 3


async def test_two_senders_open_no_more_connections_than_their_lane_allows(either: Post) -> None:
    either.move(range(1, UNITS + 1), prefix="slow")
    either.plan()
    one = either.furnished(lanes=(lane(connections=3),), connections=2)
    two = one.another()
    async with Relay().running() as relay:
        await asyncio.gather(one.drain(relay, limit=10), two.drain(relay, limit=10))
        assert relay.most_at_once == 3
        assert sorted(relay.taken) == sorted(f"slow{name(unit)}" for unit in range(1, UNITS + 1))
    two.house.ledger.close()
    assert either.slots() == 0


async def test_a_sender_that_may_have_more_connections_does_not_keep_the_old_besides(post: Post, relay: Relay) -> None:
    post.plan()
    post = post.furnished(lanes=(lane(connections=2),), connections=2)
    async with post.sender(relay.server()) as sender:
        first = await sender.send_shard(KEY, limit=1)
        assert first.reached is not None
        await sender.send_shard(KEY, limit=20, after=first.reached)
    assert relay.most_at_once == 2


async def test_connections_kept_open_are_on_record(post: Post, relay: Relay) -> None:
    post.plan()
    post = post.furnished(lanes=(lane(connections=3),), connections=3)
    async with post.sender(relay.server()) as sender:
        first = await sender.send_shard(KEY, limit=30)
        assert first.reached is not None
        await sender.send_shard(KEY, limit=1, after=first.reached)
        assert len(relay.writers) == 3
        assert post.slots() == 3


async def test_a_lane_takes_no_more_messages_a_connection_than_its_provider_does(post: Post, relay: Relay) -> None:
    post.plan()
    post = post.furnished(lanes=(lane(connections=1, messages_per_connection=10),))
    await post.drain(relay)
    assert (len(relay.taken), relay.connections) == (UNITS, 4)


async def test_a_full_lane_holds_up_no_other(post: Post, relay: Relay) -> None:
    post.move(range(1, 21), domain="a.example")
    post.plan()
    post = post.furnished(lanes=(lane("a", domains=("a.example",), per_minute=6), lane()))

    def others_sent() -> int:
        return sum(m.state == "sent" and m.lane == "default" for m in post.messages())

    async with post.sender(relay.server()) as sender:
        sending = asyncio.create_task(sender.send_shard(KEY, limit=UNITS))
        await until(lambda: others_sent() == 20, within_s=5)  # while the slow lane waits ten seconds for its second
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert sum(m.state == "sent" and m.lane == "a" for m in post.messages()) < 5


# The daily cap


def second_campaign(post: Post, circular: LoadedCampaign) -> None:
    """Launch the same circular under another key: the same units with the same addresses."""
    other = circular.campaign.model_copy(update={"key": "other"})
    with post.house.ledger.writing() as session:
        launch_campaign(session, post.house, act(), replace(circular, campaign=other))


async def test_the_daily_cap_is_counted_over_campaigns(either: Post, relay: Relay, circular: LoadedCampaign) -> None:
    second_campaign(either, circular)
    either.plan_some("reminder", ["remind:a"], campaign=2)
    either.plan_some("reminder", ["remind:a", "remind:b"])
    async with either.sender(relay.server()) as sender:
        assert (await sender.send_shard("other", limit=10)).outcomes == {"sent": 1}
        delivered = await sender.send_shard(KEY, limit=10)
    assert (delivered.outcomes, delivered.unsent_by_reason()) == ({"sent": 1}, {"cap_reached": 1})
    assert (await either.drain(relay, TOMORROW)).outcomes == {"sent": 1}


def test_what_another_sender_has_claimed_counts_for_the_cap(either: Post) -> None:
    either.plan_some("reminder", ["remind:a", "remind:b", "remind:c"])
    assert len(claim(either, "a", limit=1).envelopes) == 1
    shard = claim(either, "b")
    assert (len(shard.envelopes), list(shard.unsent.values())) == (1, [Unsent.CAP_REACHED])


async def test_two_senders_at_once_keep_the_cap(either: Post, relay: Relay) -> None:
    for occasion in ("remind:a", "remind:b", "remind:c", "remind:d"):
        for unit in range(1, 6):
            either.plan_some("reminder", [occasion], unit=unit)
    other = either.another()
    await asyncio.gather(either.drain(relay, limit=5), other.drain(relay, limit=5))
    other.house.ledger.close()
    assert sorted(relay.taken) == sorted([name(unit) for unit in range(1, 6)] * CAP)


async def test_a_message_deferred_yesterday_and_claimed_today_counts_for_today_s_cap(post: Post, relay: Relay) -> None:
    post.plan_some("reminder", ["remind:a"])
    relay.script[Stage.RCPT, name(1)] = BUSY
    await post.drain(relay)
    post.plan_some("reminder", ["remind:b", "remind:c"])
    assert len(claim(post, "a", limit=1, hours=24).envelopes) == 1
    assert len(claim(post, "b", hours=24).envelopes) == 1


def test_neither_a_refused_nor_a_held_chase_counts_for_the_cap(post: Post) -> None:
    ids = post.plan_some("reminder", ["remind:a", "remind:b", "remind:c", "remind:d"])
    with post.house.ledger.writing() as session:
        states = (MessageState.REFUSED, MessageState.HELD)
        record(session, act(), 1, [Result(message_id=i, state=s) for i, s in zip(ids, states, strict=False)])
    assert len(claim(post, "a").envelopes) == CAP


# The window and the fence


async def test_outside_the_window_only_answers_leave(post: Post, relay: Relay) -> None:
    post.plan()
    post.plan_some("reminder", ["remind:a"])
    receipt = post.plan_receipt(unit=2)
    delivered = await post.drain(relay, NIGHT)
    assert delivered.outcomes == {"sent": 1}
    assert delivered.unsent_by_reason() == {"outside_window": UNITS + 1}
    assert post.state(receipt) == "sent"
    assert relay.taken == [name(2)]


async def test_answers_are_outside_the_cap(post: Post, relay: Relay) -> None:
    post.plan_some("reminder", ["remind:a", "remind:b", "remind:c"])
    for _ in range(CAP + 1):
        post.plan_receipt(unit=1)
    delivered = await post.drain(relay)
    assert delivered.outcomes == {"sent": CAP + 1 + CAP}
    assert delivered.unsent_by_reason() == {"cap_reached": 1}


async def test_before_it_is_live_nothing_passes_the_fence(post: Post, relay: Relay) -> None:
    post.plan()
    post = post.furnished(rehearsal=False, allow_list=())
    delivered = await post.drain(relay)
    assert delivered.unsent_by_reason() == {"fenced": UNITS}
    assert relay.taken == []
    some = post.furnished(allow_list=(f"{name(3)}@unit.example", "@elsewhere.example"))
    assert (await some.drain(relay)).outcomes == {"sent": 1}
    assert relay.taken == [name(3)]


async def test_the_place_reached_leads_through_the_whole_queue(post: Post, relay: Relay) -> None:
    """Messages that have to wait are passed by, not looked at again and again."""
    post.move(range(1, 11), domain="a.example")
    post.plan()
    post = post.furnished(lanes=(lane("a", domains=("a.example",)), lane()))
    with post.house.ledger.writing() as session:
        place_hold(session, act(), "lane:a", "test")
    place, seen = HEAD, 0
    async with post.sender(relay.server()) as sender:
        while True:
            shard = await sender.send_shard(KEY, limit=7, after=place)
            seen += 1
            if shard.reached is None:
                break
            place = shard.reached
    assert seen == UNITS // 7 + 1
    assert post.states()["sent"] == 30


def test_nothing_of_a_shard_is_sent_by_who_was_never_signed_on(post: Post) -> None:
    post.plan()
    shard = replace(claim(post, "a", limit=3), sender="b")
    with post.house.ledger.writing() as session:
        ids = [envelope.id for envelope in shard.envelopes]
        assert not commit_group(session, post.house, act(), shard, at_data=ids, results=[])
