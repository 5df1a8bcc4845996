"""Senders on a real ledger and real SMTP: whatever happens to them, every message is accounted for."""

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
from sqlalchemy import select, text

from benchmarks.kill import rampage
from benchmarks.staging import KEY
from ledger import outbox
from ledger.audit import verify
from ledger.outbox import HEAD, Result
from ledger.senders import LEASE, live, sign_on
from ledger.tables import AuditRow, MessageRow, MessageState
from mail.relay import Envelope
from mail.smtp import Outcome
from office.outbox import Shard, claim_shard, commit_group, judge_abandoned
from office.settling import settle_ambiguous
from rules.replies import Stage
from tasks.sending import Sender
from tests.mail.relay import DROP, HANG, Act, Relay
from tests.tasks.post import LAUNCH, RUN, UNITS, Post, act, name, until

EVERYBODY = [name(unit) for unit in range(1, UNITS + 1)]
BUSY = Act("450 4.2.0 mailbox busy")
Results = Sequence[tuple[Envelope, Outcome]]


def later(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


async def through(sender: Sender, limit: int) -> None:
    """Let a sender go through the queue once."""
    place: outbox.Place | None = HEAD
    while place is not None:
        place = (await sender.send_shard(KEY, limit=limit, after=place)).reached


# Nothing twice, nothing lost


@pytest.mark.parametrize("ahead", [False, True])
async def test_two_senders_at_once_send_nothing_twice(either: Post, relay: Relay, ahead: bool) -> None:
    either.plan()
    other = either.another()
    async with (
        either.sender(relay.server(), claims_ahead=ahead) as one,
        other.sender(relay.server(), claims_ahead=ahead) as two,
    ):
        await one.send_shard(KEY, limit=1)  # so that each has its share, however the race goes
        await two.send_shard(KEY, limit=1)
        await asyncio.gather(through(one, 6), through(two, 7))
    other.house.ledger.close()
    assert sorted(relay.taken) == EVERYBODY
    assert either.states() == {"sent": UNITS}
    assert {message.claimed_by for message in either.messages()} == {one.name, two.name}
    with either.house.ledger.reading() as session:
        assert verify(session).fault == ""


def test_a_killed_sender_loses_nothing_and_sends_nothing_twice(tmp_path: Path, ledger_url: str) -> None:
    found = rampage(tmp_path, ledger_url, units=400, kills=3, seed=4, shard=80)
    assert found.good, found
    assert found.kills >= 2  # the last sender may have been done before it was to die
    assert found.states["sent"] + found.states.get("ambiguous", 0) == found.planned == 440


async def test_a_campaign_claimed_ahead_and_not_asked_for_goes_back(either: Post, relay: Relay) -> None:
    either.plan()
    async with either.sender(relay.server(), claims_ahead=True) as sender:
        await sender.send_shard(KEY, limit=10)
        await until(lambda: either.states() == {"sent": 10, "claimed": 10, "planned": 20})
    assert either.states() == {"sent": 10, "planned": 30}


# Leases


def claimed(post: Post, sender: str, *, limit: int = 3, mark: int = 1) -> list[int]:
    """Claim messages in a sender's name and let so many of them reach DATA; return their ids."""
    with post.house.ledger.writing() as session:
        sign_on(session, act(), sender, host="here", pid=1)
        shard = claim_shard(session, post.house, act(), KEY, sender=sender, limit=limit)
        ids = [envelope.id for envelope in shard.envelopes]
        assert commit_group(session, post.house, act(), shard, at_data=ids[:mark], results=[])
    return ids


def judge(post: Post, after: timedelta) -> dict[str, int]:
    """Judge as somebody does so much later."""
    now = act()
    with post.house.ledger.writing() as session:
        return judge_abandoned(session, replace(now, wall=now.wall + after))


def test_what_a_vanished_sender_had_claimed_goes_back_unless_it_had_reached_data(either: Post) -> None:
    either.plan()
    marked, *others = claimed(either, "gone")
    assert judge(either, LEASE - timedelta(seconds=10)) == {}
    assert judge(either, LEASE + timedelta(seconds=1)) == {"ambiguous": 1, "planned": 2}
    assert either.state(marked) == "ambiguous"
    assert [either.state(id_) for id_ in others] == ["planned", "planned"]
    assert either.senders() == 0
    assert either.slots() == 0
    assert judge(either, LEASE) == {}


async def test_a_late_sender_does_not_send_what_was_taken_from_it_and_owns_up_to_what_left(either: Post) -> None:
    either.plan()
    post = either.furnished(connections=1)
    at_last = Act("250 2.0.0 taken at last", hang=True)
    async with (
        Relay(script={(Stage.DOT, name(1)): at_last}).running() as relay,
        post.sender(relay.server(), claims_ahead=False) as late,
    ):
        sending = asyncio.create_task(late.send_shard(KEY, limit=3))
        await relay.hanging.wait()
        assert await asyncio.to_thread(judge, either, LEASE + later(1)) == {"ambiguous": 1, "planned": 2}
        relay.released.set()
        delivered = await sending
        assert relay.commands.count("DATA") == 1
    assert either.states() == {"sent": 1, "planned": UNITS - 1}
    assert delivered.outcomes == {"sent": 1}
    assert [a.state for a in either.attempts(1)] == ["claimed", "ambiguous", "sent"]


@pytest.mark.parametrize("settled", [None, MessageState.DEFERRED])
async def test_a_late_result_counts_for_an_ambiguous_message_and_for_no_other(
    either: Post, settled: MessageState | None
) -> None:
    either.plan()
    with either.house.ledger.writing() as session:
        sign_on(session, act(), "late", host="here", pid=1)
        shard = claim_shard(session, either.house, act(), KEY, sender="late", limit=2)
        ids = [envelope.id for envelope in shard.envelopes]
        commit_group(session, either.house, act(), shard, at_data=ids, results=[])
    judge(either, LEASE + later(1))
    if settled is not None:  # by a person, meanwhile
        with either.house.ledger.writing() as session:
            outbox.record(session, act(), 1, [Result(message_id=ids[0], state=settled, text="again")])
    sender = either.sender(Relay().server())
    sender.name = "late"
    results = [(envelope, Outcome(state="sent", code=250, text="ok")) for envelope in shard.envelopes]
    assert not await sender.commit(shard, [], results)
    assert [either.state(id_) for id_ in ids] == [settled or "sent", "sent"]
    with either.house.ledger.reading() as session:
        assert verify(session).fault == ""


async def test_a_sender_that_was_struck_off_takes_a_new_lease_and_goes_on(either: Post, relay: Relay) -> None:
    either.plan()
    async with either.sender(relay.server(), claims_ahead=False) as sender:
        await sender.send_shard(KEY, limit=5)
        await asyncio.to_thread(judge, either, LEASE + later(1))
        assert either.senders() == 0
        await sender.send_shard(KEY, limit=5)
        with either.house.ledger.reading() as session:
            assert live(session, act().wall) == [sender.name]
    assert either.states() == {"sent": 10, "planned": UNITS - 10}


# Cancellation


async def test_a_cancelled_sender_returns_the_unsent_at_once_and_owns_up_to_the_rest(either: Post) -> None:
    either.plan()
    post = either.furnished(connections=2)
    script = {(Stage.DOT, name(2)): HANG, (Stage.DOT, name(4)): HANG}
    async with Relay(script=script).running() as relay:
        sender = post.sender(relay.server())
        await sender.sign_on()
        sending = asyncio.create_task(sender.send_shard(KEY, limit=UNITS))
        await until(lambda: relay.commands.count("DATA") == 4 and len(relay.taken) == 2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert either.states() == {"sent": 2, "claimed": 2, "planned": UNITS - 4}
        await sender.sign_off()
        assert either.states() == {"sent": 2, "ambiguous": 2, "planned": UNITS - 4}
        assert [m.id for m in either.messages() if m.state == "ambiguous"] == [2, 4]
        assert (either.slots(), either.senders()) == (0, 0)
        relay.released.set()
        await asyncio.wait_for(relay.deserted.wait(), 5)
    assert sorted(relay.taken) == [name(1), name(3)]


async def test_a_commit_under_way_is_waited_for_when_a_sender_is_cancelled(
    either: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    either.plan()
    post = either.furnished(connections=2)
    commit, committing = Sender.commit, asyncio.Event()

    async def slowly(self: Sender, shard: Shard, marks: Collection[int], results: Results) -> bool:
        if results:
            committing.set()
            await asyncio.sleep(0.1)
        return await commit(self, shard, marks, results)

    monkeypatch.setattr(Sender, "commit", slowly)
    async with Relay(script={(Stage.DOT, name(2)): HANG}).running() as relay:
        async with post.sender(relay.server()) as sender:
            sending = asyncio.create_task(sender.send_shard(KEY, limit=2))
            await committing.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert (either.state(1), either.state(2)) == ("sent", "claimed")
        relay.released.set()
    assert either.states() == {"sent": 1, "ambiguous": 1, "planned": UNITS - 2}


# A message that is tried again


async def test_a_deferred_message_is_sent_again_with_the_same_bytes(post: Post, relay: Relay) -> None:
    post.plan()
    relay.script[Stage.RCPT, name(1)] = BUSY
    await post.drain(relay, limit=1)
    first = post.messages(1)[0]
    assert (first.state, first.tries, first.not_before) == ("deferred", 1, LAUNCH + later(6))
    relay.script.clear()
    await post.drain(relay, LAUNCH + later(5))
    assert name(1) not in relay.taken
    await post.drain(relay, LAUNCH + later(7))
    again = post.messages(1)[0]
    assert again.state == "sent"
    for column in ("message_id", "dated_at", "raw_sha256", "skeleton_sha256", "fields", "subject"):
        assert getattr(again, column) == getattr(first, column), column
    body = relay.bodies[relay.taken.index(name(1))]
    assert hashlib.sha256(body).hexdigest() == first.raw_sha256
    letter = message_from_bytes(body)
    assert (letter["Message-ID"], letter["Date"]) == (first.message_id, "Wed, 27 May 2020 15:00:00 +0800")


async def test_the_bytes_that_left_can_be_made_again(post: Post, relay: Relay) -> None:
    post.plan()
    receipt = post.plan_receipt(unit=3)
    await post.drain(relay)
    case = post.another()  # with no skeleton at hand
    by_address: dict[str, list[bytes]] = {}
    for who, body in zip(relay.taken, relay.bodies, strict=True):
        by_address.setdefault(who, []).append(body)
    for message in post.messages(1, 2, UNITS, receipt):
        assert message.skeleton_sha256 is not None
        assert message.fields is not None
        assert message.raw_sha256 is not None
        assert message.address is not None
        made = b"".join(case.house.skeletons.again(message.skeleton_sha256, message.fields, message.raw_sha256))
        assert made in by_address[message.address.partition("@")[0]]
        assert message.message_id.encode() in made
    case.house.ledger.close()


async def test_a_message_deferred_for_five_days_of_tries_is_given_up(post: Post, relay: Relay) -> None:
    post.plan()
    relay.script[Stage.RCPT, name(1)] = BUSY
    await post.drain(relay)
    with post.house.ledger.writing() as session:
        session.get_one(MessageRow, post.messages(1)[0].id).tries = 33
    await post.drain(relay, LAUNCH + timedelta(days=5))
    assert post.state(1) == "deferred"
    delivered = await post.drain(relay, LAUNCH + timedelta(days=6))
    assert delivered.unsent_by_reason() == {"given_up": 1}
    assert (post.state(1), post.messages(1)[0].reason) == ("refused", "given_up")


async def test_a_launch_that_became_ambiguous_is_not_tried_again(post: Post, relay: Relay) -> None:
    post.plan()
    relay.script[Stage.DOT, name(1)] = DROP
    await post.drain(relay)
    assert post.state(1) == "ambiguous"
    relay.script.clear()
    for days in (1, 7):
        await post.drain(relay, LAUNCH + timedelta(days=days))
    assert post.state(1) == "ambiguous"
    assert name(1) not in relay.taken


async def test_a_receipt_that_became_ambiguous_is_tried_once_more_by_itself(post: Post, relay: Relay) -> None:
    receipt = post.plan_receipt()
    relay.script[Stage.DOT, name(1)] = DROP
    await post.drain(relay)
    assert post.state(receipt) == "deferred"
    relay.script.clear()
    await post.drain(relay, LAUNCH + later(10))
    assert post.state(receipt) == "sent"
    assert [a.state for a in post.attempts(receipt)] == ["claimed", "ambiguous", "deferred", "claimed", "sent"]


async def test_a_receipt_that_became_ambiguous_twice_waits_for_a_person(post: Post, relay: Relay) -> None:
    receipt = post.plan_receipt()
    relay.script[Stage.DOT, name(1)] = DROP
    await post.drain(relay)
    await post.drain(relay, LAUNCH + later(20))
    assert post.state(receipt) == "ambiguous"


async def test_a_receipt_that_may_have_left_and_is_then_refused_stays_in_doubt(post: Post, relay: Relay) -> None:
    receipt = post.plan_receipt()
    relay.script[Stage.DOT, name(1)] = DROP
    await post.drain(relay)
    relay.script.clear()
    relay.script[Stage.RCPT, name(1)] = Act("550 5.1.1 no such user")
    await post.drain(relay, LAUNCH + later(20))
    assert post.state(receipt) == "ambiguous"
    assert "may have left; this one was refused" in post.messages(receipt)[0].reason


async def test_a_receipt_of_which_a_person_said_that_it_did_not_leave_may_be_refused(post: Post, relay: Relay) -> None:
    receipt = post.plan_receipt()
    relay.script[Stage.DOT, name(1)] = DROP
    await post.drain(relay)
    await post.drain(relay, LAUNCH + later(20))
    with post.house.ledger.writing() as session:
        settle_ambiguous(session, act(LAUNCH + later(30)), receipt, "again", "the unit has nothing")
    relay.script.clear()
    relay.script[Stage.RCPT, name(1)] = Act("550 5.1.1 no such user")
    await post.drain(relay, LAUNCH + later(40))
    assert post.state(receipt) == "refused"


async def test_a_receipt_that_may_have_left_and_has_nobody_to_go_to_stays_in_doubt(post: Post, relay: Relay) -> None:
    receipt = post.plan_receipt()
    relay.script[Stage.DOT, name(1)] = DROP
    await post.drain(relay)
    with post.house.ledger.writing() as session:
        session.execute(text("UPDATE contacts SET bad_since = as_of"))
    await post.drain(relay, LAUNCH + later(20))
    assert post.state(receipt) == "ambiguous"


def test_a_receipt_whose_sender_vanished_twice_waits_for_a_person(post: Post) -> None:
    receipt = post.plan_receipt()
    claimed(post, "first", limit=1)
    assert judge(post, LEASE + later(1)) == {"ambiguous": 1}
    assert post.state(receipt) == "deferred"
    with post.house.ledger.writing() as session:
        session.execute(text("UPDATE messages SET not_before = NULL"))
    claimed(post, "second", limit=1)
    assert judge(post, LEASE + later(1)) == {"ambiguous": 1}
    assert post.state(receipt) == "ambiguous"


# What is put on record


async def test_every_attempt_bears_its_run_lane_address_and_answer(either: Post, relay: Relay) -> None:
    either.plan()
    relay.script[Stage.RCPT, name(2)] = BUSY
    await either.drain(relay, limit=10)
    for id_, last in ((1, ("sent", 250, "2.0.0 taken")), (2, ("deferred", 450, "4.2.0 mailbox busy"))):
        first, second = either.attempts(id_)
        assert (first.state, first.smtp_code, first.smtp_text) == ("claimed", None, "")
        assert (second.state, second.smtp_code, second.smtp_text) == last
        for attempt in (first, second):
            assert (attempt.lane, attempt.address) == ("default", f"{name(id_)}@unit.example")
            assert (attempt.flow_run_id, attempt.as_of) == (RUN, LAUNCH)
    with either.house.ledger.reading() as session:
        groups = session.scalars(select(AuditRow).where(AuditRow.verb == "messages.attempted")).all()
        assert sum(group.detail["count"] for group in groups) == 2 * UNITS
        assert len(groups) < UNITS  # a commit for many
        assert verify(session).fault == ""


async def test_either_durability_works(durable: tuple[Post, str], relay: Relay) -> None:
    post, durability = durable
    with post.house.ledger.reading() as session:
        sqlite = session.get_bind().dialect.name == "sqlite"
        found = session.scalar(text("PRAGMA synchronous" if sqlite else "SHOW synchronous_commit"))
    assert found == {"NORMAL": 1 if sqlite else "off", "FULL": 2 if sqlite else "on"}[durability]
    post.plan()
    await post.drain(relay, limit=UNITS)
    assert post.states() == {"sent": UNITS}
    assert sorted(relay.taken) == EVERYBODY


# Mails that say the same but for names are composed from one of them


def titles_in(body: bytes) -> list[str]:
    """Return which of the four deliverables a letter names."""
    letter = message_from_bytes(body)
    part = next(part for part in letter.walk() if part.get_content_type() == "text/plain")
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return [title for title in TITLES if title in content.decode()]


TITLES = ["活动计划", "活动方案", "活动综合情况", "活动进展情况"]


async def test_every_letter_names_what_its_unit_owes(post: Post, relay: Relay) -> None:
    post.plan()
    await post.drain(relay)
    assert [titles_in(body) for body in relay.bodies] == [TITLES] * UNITS


async def test_a_letter_names_what_is_owed_though_the_first_of_its_like_may_not_leave(post: Post, relay: Relay) -> None:
    post.plan()
    post = post.furnished(rehearsal=False, allow_list=(f"{name(3)}@unit.example", f"{name(4)}@unit.example"))
    await post.drain(relay)
    assert sorted(relay.taken) == [name(3), name(4)]
    assert [titles_in(body) for body in relay.bodies] == [TITLES] * 2


async def test_a_letter_names_what_is_owed_though_the_first_of_its_like_was_composed_before(
    post: Post, relay: Relay
) -> None:
    post.plan()
    relay.script[Stage.RCPT, name(1)] = BUSY
    async with post.sender(relay.server()) as sender:
        await sender.send_shard(KEY, limit=1)
    relay.script.clear()
    await post.drain(relay, LAUNCH + later(7))
    assert len(relay.bodies) == UNITS
    assert [titles_in(body) for body in relay.bodies] == [TITLES] * UNITS


async def test_a_chase_leaves_though_the_first_of_its_like_has_reached_the_cap(post: Post, relay: Relay) -> None:
    post.plan_some("reminder", ["remind:a", "remind:b", "remind:c"])
    post.plan_some("reminder", ["remind:c"], unit=2)
    async with post.sender(relay.server()) as sender:
        first = await sender.send_shard(KEY, limit=2)
        assert first.reached is not None
        second = await sender.send_shard(KEY, limit=2, after=first.reached)
    assert second.outcomes == {"sent": 1}
    assert second.unsent_by_reason() == {"cap_reached": 1}
