"""What makes a sender stop, slow down or go on: replies of all kinds, a dead relay, and the kill switch."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from benchmarks.staging import KEY
from ledger.files import FileStore
from ledger.senders import EVERYTHING, lift_hold, place_hold
from ledger.tables import ContactRow
from mail.relay import SmtpServer
from office.outbox import repair
from rules.delivery import Unsent
from rules.lanes import PAUSE
from rules.replies import Stage
from tests.mail.relay import Act, Relay
from tests.servers import free_port
from tests.tasks.post import LAUNCH, UNITS, Post, act, lane, name, until

REFUSED_US = Act("550 5.7.1 your mail is not welcome here")
TOO_MANY = Act("450 4.7.0 too many messages from your address, slow down")
GREY = Act("450 4.7.1 greylisted, try again in 5 minutes")
NOBODY_THERE = Act("550 5.1.1 no such user")


def hold(post: Post, scope: str) -> None:
    with post.house.ledger.writing() as session:
        place_hold(session, act(), scope, "test")


def lift(post: Post, scope: str) -> None:
    with post.house.ledger.writing() as session:
        lift_hold(session, act(), scope, "test")


def in_two_lanes(post: Post) -> Post:
    """Put the first ten units into a lane of their own."""
    post.move(range(1, 11), domain="a.example")
    return post.furnished(lanes=(lane("a", domains=("a.example",)), lane()), connections=1)


# Refused for what we are


async def test_a_policy_refusal_holds_its_lane_and_no_other(post: Post, relay: Relay) -> None:
    post = in_two_lanes(post)
    post.plan()
    relay.script[Stage.DOT, name(1)] = REFUSED_US
    delivered = await post.drain(relay)
    assert post.state(1) == "held"
    assert delivered.outcomes["held"] == 1
    assert [h.scope for h in post.holds()] == ["lane:a"]
    assert "5.7.1 your mail is not welcome here" in post.holds()[0].grounds
    lane_a = [m.state for m in post.messages(*range(2, 11))]
    assert lane_a.count("planned") >= 8  # one may have been marked with the group that brought the refusal
    assert set(lane_a) <= {"planned", "sent"}
    assert {m.state for m in post.messages(*range(11, UNITS + 1))} == {"sent"}
    assert set(delivered.unsent.values()) == {Unsent.HELD}
    assert post.states()["planned"] == lane_a.count("planned") + 1  # and the alert


async def test_the_operators_hear_of_a_lane_that_was_stopped(post: Post, relay: Relay) -> None:
    post = in_two_lanes(post)
    post.plan()
    relay.script[Stage.DOT, name(1)] = REFUSED_US
    await post.drain(relay)
    await post.drain(relay)
    alert = next(m for m in post.messages() if m.notice == "alert")
    assert (alert.state, alert.address, alert.occasion) == ("sent", "lead@office.example", "alert:lane:a:2020-05-27")
    assert relay.taken[-1] == "lead"
    assert post.states()["planned"] >= 8
    assert name(10) not in relay.taken


async def test_refused_credentials_put_everything_on_hold(post: Post) -> None:
    post.plan()
    async with wary().running() as relay:
        await post.drain(relay.server(username="muster", password="wrong"), limit=10)
        assert [h.scope for h in post.holds()] == [EVERYTHING]
        states = post.states()
        assert 0 < states["deferred"] <= 10
        assert states["deferred"] + states["planned"] == UNITS
        assert {m.tries for m in post.messages()} == {0}  # it was not the messages' fault
        again = await post.drain(relay.server(username="muster", password="wrong"), LAUNCH + timedelta(hours=1))
        assert (again.handed_over, again.unsent_by_reason()) == (0, {"held": UNITS})
    assert relay.taken == []


async def test_refused_credentials_are_not_tried_again_and_again(post: Post) -> None:
    """Many a provider locks an account after a few."""
    post.plan()
    async with wary().running() as relay:
        await post.drain(relay.server(username="muster", password="wrong"))
        assert relay.connections <= 4


def wary() -> Relay:
    return Relay(extensions=("PIPELINING", "AUTH PLAIN"), auth=Act("535 5.7.8 authentication failed"))


# Too fast


async def test_a_burst_of_throttling_replies_halves_a_lane_s_pace_once(post: Post, relay: Relay) -> None:
    post.plan()
    for unit in range(1, 5):  # on as many connections
        relay.script[Stage.RCPT, name(unit)] = TOO_MANY
    before = datetime.now(UTC)
    await post.drain(relay, limit=4)
    stand = post.lanes()["default"]
    assert stand.pace.pace == 0.5
    assert stand.pace.slowed_at is not None
    assert stand.pace.closed_until is not None
    assert before <= stand.pace.slowed_at <= datetime.now(UTC)
    assert stand.pace.closed_until - stand.pace.slowed_at >= PAUSE
    assert "slow down" in stand.reason
    delivered = await post.drain(relay)
    assert delivered.handed_over == 0
    assert set(delivered.unsent.values()) == {Unsent.LANE_CLOSED}


async def test_a_lane_that_is_closed_for_a_while_is_left_alone_at_once(post: Post, relay: Relay) -> None:
    post.plan()
    relay.script[Stage.RCPT, name(1)] = TOO_MANY
    delivered = await post.drain(relay)
    assert len(relay.taken) <= 8
    assert set(delivered.unsent.values()) == {Unsent.LANE_CLOSED}


async def test_greylisting_slows_no_lane(post: Post, relay: Relay) -> None:
    post.plan()
    relay.script[Stage.RCPT, name(1)] = GREY
    await post.drain(relay)
    assert post.lanes() == {}
    assert (post.state(1), post.messages(1)[0].not_before) == ("deferred", LAUNCH + timedelta(minutes=5))
    assert post.states() == {"deferred": 1, "sent": UNITS - 1}


# Nobody there


async def test_an_unknown_address_is_marked_and_the_next_contact_written_to(either: Post, relay: Relay) -> None:
    either.plan()
    with either.house.ledger.writing() as session:
        first = session.scalars(select(ContactRow).where(ContactRow.party_id == 2)).one()
        session.add(
            ContactRow(
                party_id=2, role="responsible", address="second@unit.example", flow_run_id=None, as_of=LAUNCH,
                recorded_at=LAUNCH,
            )
        )  # fmt: skip
        known = first.id
    relay.script[Stage.RCPT, name(1)] = NOBODY_THERE
    await either.drain(relay)
    with either.house.ledger.writing() as session:
        contact = session.get_one(ContactRow, known)
        assert (contact.bad_since, contact.bad_reason) == (LAUNCH, "refused: 550 5.1.1 no such user")
        assert repair(session, either.house, act(), KEY) == 1
    await either.drain(relay)
    assert either.state(1) == "refused"
    again = next(m for m in either.messages() if m.generation == 1)
    assert (again.state, again.address, again.caused_by) == ("sent", "second@unit.example", 1)
    assert [m.occasion for m in either.messages() if m.notice == "alert"] == ["alert:contacts:2020-05-27"]


async def test_a_dead_relay_is_given_up_after_a_few_failures(post: Post) -> None:
    post.plan()
    nowhere = SmtpServer(host="127.0.0.1", port=free_port(), tls="none")
    delivered = await post.drain(nowhere)
    failed = delivered.outcomes["deferred"]
    assert 10 <= failed <= 10 + 4
    assert delivered.relay_is_down
    assert delivered.unsent_by_reason() == {"relay_down": UNITS - failed}
    assert post.states() == {"deferred": failed, "planned": UNITS - failed}
    assert {m.tries for m in post.messages()} == {0}


# The kill switch


async def test_the_kill_switch_of_another_process_stops_a_shard_within_a_second(either: Post) -> None:
    either.move(range(1, UNITS + 1), prefix="slow")  # 50 ms each
    either.plan()
    post, other = either.furnished(connections=1), either.another()
    async with Relay().running() as relay, post.sender(relay.server()) as sender:
        sending = asyncio.create_task(sender.send_shard(KEY, limit=UNITS))
        await asyncio.sleep(0.3)
        pulled = time.monotonic()
        await asyncio.to_thread(hold, other, EVERYTHING)
        delivered = await sending
        assert time.monotonic() - pulled < 1.0
    other.house.ledger.close()
    left = UNITS - len(relay.taken)
    assert 10 < left < UNITS
    assert delivered.unsent_by_reason() == {"held": left}
    assert either.states() == {"sent": UNITS - left, "planned": left}


async def test_the_kill_switch_stops_a_lane_that_waits_for_its_turn(post: Post, relay: Relay) -> None:
    post.plan()
    post = post.furnished(lanes=(lane(per_minute=40),), connections=1)  # one in a second and a half
    async with post.sender(relay.server()) as sender:
        sending = asyncio.create_task(sender.send_shard(KEY, limit=UNITS))
        await asyncio.sleep(0.2)
        hold(post, EVERYTHING)
        await sending
    assert relay.taken == [name(1)]


async def test_a_sender_that_was_stopped_goes_on_when_the_hold_is_lifted(post: Post) -> None:
    post.move(range(1, 11), prefix="slow")
    post.plan()
    post = post.furnished(connections=1)
    async with Relay().running() as relay, post.sender(relay.server()) as sender:
        sending = asyncio.create_task(sender.send_shard(KEY, limit=UNITS))
        await asyncio.sleep(0.1)
        hold(post, EVERYTHING)
        sender._asks_at = datetime.now(UTC)  # it is time to ask
        assert set((await sending).unsent.values()) == {Unsent.HELD}
        lift(post, EVERYTHING)
        assert (await sender.send_shard(KEY, limit=5)).outcomes == {"sent": 5}


async def test_what_was_claimed_ahead_of_the_kill_switch_stays_too(either: Post) -> None:
    either.move(range(1, 21), prefix="slow")
    either.plan()
    post = either.furnished(connections=1)
    async with Relay().running() as relay, post.sender(relay.server(), claims_ahead=True) as sender:
        sending = asyncio.create_task(sender.send_shard(KEY, limit=15))
        await until(lambda: either.states().get("claimed", 0) > 15)
        await asyncio.to_thread(hold, post, EVERYTHING)
        sender._asks_at = datetime.now(UTC)  # it is time to ask
        stopped = await sending
        assert set(stopped.unsent.values()) == {Unsent.HELD}
        assert stopped.reached is not None
        taken = len(relay.taken)
        await sender.send_shard(KEY, limit=15, after=stopped.reached)
        assert len(relay.taken) <= taken + 1  # a mark is committed together with the question
    assert either.states() == {"sent": len(relay.taken), "planned": UNITS - len(relay.taken)}


async def test_a_hold_on_a_campaign_or_a_lane_stops_that_alone(post: Post, relay: Relay) -> None:
    post = in_two_lanes(post)
    post.plan()
    hold(post, "lane:a")
    delivered = await post.drain(relay)
    assert delivered.unsent_by_reason() == {"held": 10}
    lift(post, "lane:a")
    hold(post, f"campaign:{KEY}")
    assert (await post.drain(relay)).handed_over == 0
    lift(post, f"campaign:{KEY}")
    hold(post, "campaign:other")
    assert (await post.drain(relay)).outcomes == {"sent": 10}


async def test_an_address_that_cannot_be_written_stops_nobody(post: Post, relay: Relay) -> None:
    """The roster takes it, the letter does not."""
    with post.house.ledger.writing() as session:
        session.scalars(select(ContactRow).where(ContactRow.party_id == 2)).one().address = "值班@unit.example"
    post.plan()
    delivered = await post.drain(relay)
    assert delivered.unsent_by_reason() == {"not_composed": 1}
    assert post.states() == {"refused": 1, "sent": UNITS - 1, "planned": 1}  # the alert to the operators
    assert "cannot be composed" in post.messages(1)[0].reason
    with post.house.ledger.reading() as session:
        contact = session.scalars(select(ContactRow).where(ContactRow.party_id == 2)).one()
        assert contact.bad_reason.startswith("cannot be written to")


async def test_a_message_that_cannot_be_composed_is_not_written_anew_for_ever(post: Post, relay: Relay) -> None:
    with post.house.ledger.writing() as session:
        session.scalars(select(ContactRow).where(ContactRow.party_id == 2)).one().address = "值班@unit.example"
    post.plan()
    planned = 1
    for _ in range(3):  # as flows.deliver.drain_outbox does until nothing is repaired
        await post.drain(relay)
        with post.house.ledger.writing() as session:
            planned = repair(session, post.house, act(), KEY)
    assert planned == 0


async def test_a_message_whose_skeleton_was_lost_is_composed_anew_and_stops_nobody(post: Post, relay: Relay) -> None:
    post.plan()
    relay.script[Stage.RCPT, name(1)] = GREY
    async with post.sender(relay.server()) as sender:
        await sender.send_shard(KEY, limit=10)
    relay.script.clear()
    case = post.furnished(files=FileStore(post.house.reports / "a store that was lost"))
    await case.drain(relay, LAUNCH + timedelta(minutes=10))
    assert post.states() == {"sent": UNITS}
