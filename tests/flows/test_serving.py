"""Serving: what anybody plans makes the flow run soon and once; what has to wait makes nothing run."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from socket import socket
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from cli.campaigns import tally_lines
from definition.loading import LoadedCampaign, load_campaign
from flows.serving import Serving, serve
from ledger import senders
from ledger.acts import Act
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import ContactRow, IntakeRow, MessageRow, MessageState, SenderRow
from mail.maildir import deliver
from office.launching import go_live, launch_campaign
from office.links import link_for_days
from office.outbox import claim_shard
from office.stops import release
from office.units import find_unit
from office.wakes import Mark, marks
from rules.lanes import LanePace
from settings import settings
from tests.flows.test_month import SetUp
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import UNWELCOME, answered, launched
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, LAUNCH, Desk, act
from tests.servers import free_port

HOUR = 3600.0


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        yield opened


class Runs:
    """Stands in for the flow: does what it is told, and counts."""

    def __init__(self, does: Callable[[], object] = lambda: None) -> None:
        self.does = does
        self.of: list[str] = []

    async def __call__(self, campaign: str) -> str:
        self.of.append(campaign)
        done = await asyncio.to_thread(self.does)
        if isinstance(done, Awaitable):
            await done
        return "done"

    @property
    def count(self) -> int:
        return len(self.of)


class Served:
    """A serving over a desk's ledger, polled by hand."""

    def __init__(self, desk: Desk, does: Callable[[], object] = lambda: None, *, sweep_s: float = HOUR) -> None:
        self.desk = desk
        self.runs = Runs(does)
        self.said: list[str] = []
        self.serving = Serving(self.look, self.runs, poll_s=0.01, sweep_s=sweep_s, say=self.said.append)

    def look(self, now: datetime) -> dict[str, Mark]:
        with self.desk.house.ledger.reading() as session:
            return dict(marks(session, now))

    async def poll(self) -> int:
        """Poll once, wait for what runs, and return how many runs there were so far."""
        await self.serving.poll()
        await self.serving.idle()
        return self.runs.count


def plan_alert(desk: Desk, occasion: str) -> None:
    with desk.house.ledger.writing() as session:
        new = NewMessage(party_id=1, notice="alert", occasion=occasion, detail={"topic": "contacts"})
        plan_messages(session, act(LAUNCH), 1, "office.example", [new])


def change(desk: Desk, **values: object) -> None:
    with desk.house.ledger.writing() as session:
        session.execute(update(MessageRow).values(values))


def held(desk: Desk, scope: str) -> None:
    with desk.house.ledger.writing() as session:
        senders.place_hold(session, act(LAUNCH), scope, "x")


def released(desk: Desk, scope: str) -> None:
    with desk.house.ledger.writing() as session:
        senders.lift_hold(session, act(LAUNCH), scope, "x")


async def test_what_was_planned_makes_the_flow_run_once_and_then_nothing_waits(desk: Desk) -> None:
    served = Served(desk, lambda: answered(desk, LAUNCH, {}))
    assert [await served.poll() for _ in range(3)] == [1, 1, 1]
    assert served.said == [f"{KEY}: done"]
    plan_alert(desk, "alert:1")
    assert [await served.poll() for _ in range(2)] == [2, 2]


async def test_what_has_to_wait_does_not_make_it_run_again_and_again(desk: Desk) -> None:
    served = Served(desk)  # as when the window is shut: the run changes nothing
    assert [await served.poll() for _ in range(4)] == [1, 1, 1, 1]
    plan_alert(desk, "alert:1")
    plan_alert(desk, "alert:2")
    assert [await served.poll() for _ in range(2)] == [2, 2]


async def test_behind_it_stands_a_sweep(desk: Desk) -> None:
    served = Served(desk, sweep_s=0)
    assert [await served.poll() for _ in range(3)] == [1, 2, 3]
    change(desk, state=MessageState.SENT)
    assert await served.poll() == 3


async def test_what_is_planned_while_it_runs_is_not_missed(desk: Desk) -> None:
    late = iter(["alert:late"])

    def run() -> None:
        answered(desk, LAUNCH, {})
        for occasion in late:
            plan_alert(desk, occasion)

    served = Served(desk, run)
    assert [await served.poll() for _ in range(3)] == [1, 2, 2]


async def test_what_was_seen_before_a_run_ended_is_no_news_after_it() -> None:
    waits = [True]
    looks = count()
    seen, ended = Event(), Event()

    def look(_: datetime) -> dict[str, Mark]:
        found = {KEY: Mark(newest=1, due=1, live=True)} if waits[0] else {}
        if next(looks) == 1:  # it answers only when the run it overlaps has ended
            seen.set()
            ended.wait(10)
        return found

    def run() -> None:
        seen.wait(10)
        waits[0] = False

    runs = Runs(run)
    serving = Serving(look, runs, poll_s=0.01, sweep_s=HOUR, say=lambda _: None)
    await serving.poll()
    slow = asyncio.create_task(serving.poll())
    await serving.idle()
    ended.set()
    await slow
    await serving.idle()
    assert runs.count == 1


async def test_what_was_deferred_makes_it_run_when_its_time_has_come(desk: Desk) -> None:
    change(desk, state=MessageState.DEFERRED, not_before=datetime.now(UTC) + timedelta(hours=1))
    served = Served(desk)
    assert await served.poll() == 0
    change(desk, not_before=datetime.now(UTC) - timedelta(seconds=1))
    assert [await served.poll() for _ in range(2)] == [1, 1]


async def test_an_opened_fence_is_news(desk: Desk) -> None:
    served = Served(desk)
    await served.poll()
    with desk.house.ledger.writing() as session:
        go_live(session, act(LAUNCH), KEY, "负责人同意")
    assert [await served.poll() for _ in range(2)] == [2, 2]


@pytest.mark.parametrize("scope", ["all", f"campaign:{KEY}"])
async def test_nothing_runs_while_everything_is_on_hold_and_all_once_it_is_released(desk: Desk, scope: str) -> None:
    served = Served(desk)
    await served.poll()
    held(desk, scope)
    plan_alert(desk, "alert:1")
    assert [await served.poll() for _ in range(2)] == [1, 1]
    released(desk, scope)
    assert [await served.poll() for _ in range(2)] == [2, 2]


async def test_a_stop_placed_and_lifted_while_it_runs_makes_it_run_again(desk: Desk) -> None:
    once = iter(["all"])

    def run() -> None:
        for scope in once:
            held(desk, scope)
            released(desk, scope)

    served = Served(desk, run)
    assert [await served.poll() for _ in range(3)] == [1, 2, 2]


async def test_a_lane_released_makes_it_run(desk: Desk) -> None:
    served = Served(desk, lambda: answered(desk, LAUNCH, {"BH036": UNWELCOME}))
    await served.poll()
    runs = await served.poll()  # of the alert that the refusal gave rise to
    assert await served.poll() == runs
    with desk.house.ledger.writing() as session:
        release(session, act(LAUNCH), "lane:tencent", "SPF 已更正")
    assert await served.poll() == runs + 1


async def test_a_lane_that_opens_again_makes_it_run(desk: Desk) -> None:
    now = datetime.now(UTC)
    with desk.house.ledger.writing() as session:
        senders.slow_lane(session, "tencent", LanePace(closed_until=now + timedelta(minutes=1)), "421")
    served = Served(desk)
    assert [await served.poll() for _ in range(2)] == [1, 1]
    with desk.house.ledger.writing() as session:
        senders.slow_lane(session, "tencent", LanePace(closed_until=now - timedelta(minutes=1)), "421")
    assert [await served.poll() for _ in range(2)] == [2, 2]


async def test_what_a_vanished_sender_had_claimed_makes_it_run(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        claim_shard(session, desk.house, act(LAUNCH), KEY, sender="test", limit=1000)
    served = Served(desk)
    assert await served.poll() == 0  # the sender lives
    with desk.house.ledger.writing() as session:
        session.execute(update(SenderRow).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
    assert [await served.poll() for _ in range(2)] == [1, 1]


async def test_what_others_send_is_no_news_and_hides_none(desk: Desk) -> None:
    served = Served(desk)
    await served.poll()
    answered(desk, LAUNCH, {})
    plan_alert(desk, "alert:1")
    assert await served.poll() == 2
    answered(desk, LAUNCH, {})
    assert await served.poll() == 2


async def test_a_run_that_fails_is_logged_and_tried_again_by_the_next_sweep(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("the server is away")

    served = Served(desk, fail)
    with caplog.at_level(logging.ERROR, "flows.serving"):
        assert [await served.poll() for _ in range(3)] == [1, 1, 1]
    assert [record.exc_text for record in caplog.records if "the server is away" in (record.exc_text or "")]
    plan_alert(desk, "alert:1")
    assert await served.poll() == 2
    served.serving._sweep_s = 0
    assert await served.poll() == 3


async def test_a_ledger_that_is_away_for_a_moment_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    asked = count()

    def look(_: datetime) -> dict[str, Mark]:
        if next(asked) == 0:
            raise RuntimeError("gone")
        return {"month": Mark(newest=1, due=1)}

    runs = Runs()
    serving = Serving(look, runs, poll_s=0.01, sweep_s=HOUR, say=lambda _: None)
    for _ in range(3):
        await serving.poll()
        await serving.idle()
    assert runs.of == ["month"]
    assert "asked again in" in caplog.text


async def test_a_campaign_runs_once_at_a_time_and_holds_up_no_other() -> None:
    found = {"slow": Mark(newest=1, due=1)}
    go = asyncio.Event()
    of: list[str] = []

    async def run(campaign: str) -> str:
        of.append(campaign)
        if campaign == "slow":
            await go.wait()
        return "done"

    serving = Serving(lambda _: found, run, poll_s=0.01, sweep_s=HOUR, say=lambda _: None)
    await serving.poll()
    found |= {"slow": Mark(newest=9, due=9), "quick": Mark(newest=2, due=1)}
    for _ in range(3):
        await serving.poll()
        await asyncio.sleep(0.02)
    assert of == ["slow", "quick"]
    go.set()
    await serving.idle()
    await serving.poll()
    await serving.idle()
    assert of == ["slow", "quick", "slow"]


@pytest.fixture
async def being_served(desk: Desk) -> AsyncIterator[Any]:
    """Serve for real, with a run that waits until it is let go; give the run, the task and what was said."""
    go, begun, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(_: str) -> str:
        begun.set()
        try:
            await go.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "done"

    said: list[str] = []
    task = asyncio.create_task(serve(desk.house, run, poll_s=0.01, sweep_s=HOUR, say=said.append))
    await asyncio.wait_for(begun.wait(), 5)
    yield SimpleNamespace(go=go, task=task, said=said, cancelled=cancelled)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_told_to_end_it_ends_after_the_run_under_way(being_served: Any, sign: signal.Signals) -> None:
    before = signal.getsignal(sign)
    os.kill(os.getpid(), sign)
    await asyncio.sleep(0.1)
    assert not being_served.task.done()
    being_served.go.set()
    assert await asyncio.wait_for(being_served.task, 5)
    assert being_served.said == [f"ending after the run of {KEY}; once more ends at once", f"{KEY}: done"]
    assert signal.getsignal(sign) is not before


async def test_told_twice_it_ends_at_once(being_served: Any) -> None:
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
    assert not await asyncio.wait_for(being_served.task, 5)
    assert being_served.cancelled.is_set()


def test_a_mark_tells_what_is_news_from_what_is_none() -> None:
    settled = Mark(newest=5, due=3, live=False, stops=2, closed=1)
    assert not settled.is_news_after(settled)
    for news in ({"newest": 6}, {"due": 4}, {"live": True}, {"stops": 3}, {"closed": 0}):
        assert replace(settled, **news).is_news_after(settled)
    for fewer in (replace(settled, newest=4), replace(settled, due=2), replace(settled, closed=2)):
        assert not fewer.is_news_after(settled)
        assert settled.is_news_after(settled.lowered_to(fewer))


def test_what_a_sender_plans_leaves_through_the_real_flow(stage: SetUp, prefect: None) -> None:
    from flows.running import run_step  # noqa: PLC0415  after the environment is set
    from tasks.desk import premises  # noqa: PLC0415
    from tasks.own_loop import OwnLoop  # noqa: PLC0415

    played = stage("safety-month-2020", units=2, seed=1)
    asyncio.run(run_step("launch", played.key, played.book.launch_at))
    counted = played.world.post_office.counts["from_office"]
    with premises().ledger.writing() as session:
        new = NewMessage(party_id=1, notice="alert", occasion="alert:contacts:today", detail={"topic": "contacts"})
        [alert] = plan_messages(session, Act.now("rule:test"), 1, "office.example", [new])

    async def until_it_has_left() -> None:
        done = asyncio.Event()
        said: list[str] = []

        def say(sentence: str) -> None:
            said.append(sentence)
            done.set()

        async with OwnLoop() as loop:

            async def run(campaign: str) -> str:
                return str((await loop.run(run_step("deliver", campaign))).outcomes)

            serving = asyncio.create_task(serve(premises(), run, poll_s=0.05, sweep_s=HOUR, say=say))
            await asyncio.wait_for(done.wait(), 30)
            os.kill(os.getpid(), signal.SIGTERM)
            assert await asyncio.wait_for(serving, 5)
        assert said[0] == f"{played.key}: {{'sent': 1}}"

    asyncio.run(until_it_has_left())
    assert played.world.post_office.counts["from_office"] == counted + 1
    with premises().ledger.reading() as session:
        assert session.scalars(select(MessageRow.state).where(MessageRow.id == alert.id)).one() == "sent"


def page_of(server: str, key: str) -> str:
    """Return what the latest version of an artifact says."""
    asked = {"artifacts": {"key": {"any_": [key]}}}
    (page,) = httpx.post(f"{server}/api/artifacts/latest/filter", json=asked).json()
    return str(page["data"])


def test_a_tally_says_what_needs_a_person(stage: SetUp, prefect: str) -> None:
    from flows.running import run_step  # noqa: PLC0415  after the environment is set
    from tasks.desk import premises  # noqa: PLC0415

    played = stage("safety-month-2020", units=2, seed=1)
    quiet = asyncio.run(run_step("launch", played.key, played.book.launch_at))
    assert (quiet.unreached, quiet.unmatched, quiet.stops) == (0, 0, ())
    assert "需要人工处理" not in page_of(prefect, f"tally-{played.key}-launch")
    deliver(premises().maildir, b"From: who@else.example\r\nSubject: x\r\n\r\nhello\r\n", LAUNCH)
    collected = asyncio.run(run_step("collect", played.key, played.book.launch_at))
    assert (collected.unmatched, collected.mails) == (1, {})
    assert "unmatched: 1 mails wait for staff (`muster queue` lists them)" in tally_lines(collected)
    with premises().ledger.writing() as session:
        senders.place_hold(session, act(LAUNCH), "lane:netease", "SPF 有误")
        session.execute(update(ContactRow).values(bad_since=LAUNCH, bad_reason="查无此人"))
    tally = asyncio.run(run_step("deliver", played.key, played.book.launch_at))
    assert (tally.unreached, tally.stops) == (2, ("通道“netease”：SPF 有误",))
    text = page_of(prefect, f"tally-{played.key}-deliver")
    assert "- 没有可用邮箱的单位2家" in text
    assert "- 无法对应单位的来信1封" in text
    assert "`muster contacts safety-month-2020`" in text
    assert "- 暂停发信——通道“netease”：SPF 有误\n- 没有可用邮箱" in text


def test_serve_shows_units_their_pages_fetches_mail_and_ends_cleanly(
    stage: SetUp, prefect: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli.delivery import serve as serve_command  # noqa: PLC0415  after the environment is set
    from tasks.desk import premises  # noqa: PLC0415

    played, port = stage(KEY, units=2, seed=1), free_port()
    monkeypatch.setenv("MUSTER_PORTAL_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MUSTER_PORTAL_PORT", str(port))
    settings.cache_clear()
    with premises().ledger.writing() as session:
        loaded = load_campaign(
            settings().campaigns_dir / KEY, calendars=settings().campaigns_dir / "calendar",
            notices=settings().templates_dir / "email",
        )  # fmt: skip
        launch_campaign(session, premises(), Act.now("staff:test", played.book.launch_at), loaded)
        senders.place_hold(session, Act.now("staff:test"), "all", "只看网页")  # so nothing has to be sent meanwhile
        link = link_for_days(session, premises(), Act.now("staff:test"), find_unit(session, "BH001", None), 1)
    deliver(settings().maildir, b"From: duty@bureau.example\r\nSubject: ?\r\n\r\n", datetime.now(UTC))
    seen: list[httpx.Response | int] = []

    def visit() -> None:
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as browser:  # until it listens
                seen.extend(browser.get(address) for address in (link, f"{link[:-1]}!"))
            for _ in range(200):
                with premises().ledger.reading() as session:
                    seen[2:] = [session.query(IntakeRow).count()]
                if seen[2]:
                    return
                time.sleep(0.05)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    visitor = Thread(target=visit)
    visitor.start()
    serve_command()
    visitor.join()
    page, forged, fetched = seen
    assert isinstance(page, httpx.Response)
    assert isinstance(forged, httpx.Response)
    assert (page.status_code, forged.status_code, fetched) == (200, 404, 1)
    assert "天津经济技术开发区安委会" in page.text
    assert capsys.readouterr().out.strip().endswith("ended")
    with socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))
