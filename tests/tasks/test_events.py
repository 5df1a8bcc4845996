"""Prefect is told what happened, after it stands, at least once, and a burst as one."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger.acts import Act
from ledger.events import note
from ledger.tables import EventRow
from tasks.events import Burst, emit_to_prefect, keep_telling, tell_events
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk

NAME = "muster.submission.received"


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str):  # type: ignore[no-untyped-def]  # noqa: ANN201
    with launched(cast, tmp_path, ledger_url) as opened:
        yield opened


class Ear:
    """Hears what is told; deaf a few times first."""

    def __init__(self, deaf: int = 0) -> None:
        self.deaf = deaf
        self.heard: list[Burst] = []
        self.hears = asyncio.Event()

    async def __call__(self, bursts: Sequence[Burst]) -> None:
        if self.deaf:
            self.deaf -= 1
            raise ConnectionError("Prefect is away")
        self.heard += bursts
        self.hears.set()


def happen(desk: Desk, count: int, name: str = NAME) -> None:
    with desk.house.ledger.writing() as session:
        for number in range(count):
            note(session, Act.now("rule:test"), name, {"submission": number}, 1)


def left(desk: Desk) -> int:
    with desk.house.ledger.reading() as session:
        return len(session.scalars(select(EventRow.id).where(EventRow.told_at.is_(None))).all())


async def test_a_burst_is_told_as_one_with_its_count_and_then_no_more(desk: Desk) -> None:
    happen(desk, 300)
    happen(desk, 2, "muster.message.bounced")
    ear = Ear()
    assert await tell_events(desk.house, ear) == 302
    assert [(b.name, b.campaign, b.payload["count"]) for b in ear.heard] == [
        (NAME, KEY, 300),
        ("muster.message.bounced", KEY, 2),
    ]
    assert len(ear.heard[0].payload["causes"]) == 50
    assert (await tell_events(desk.house, ear), left(desk), len(ear.heard)) == (0, 0, 2)


async def test_what_could_not_be_told_fails_nothing_and_is_told_the_next_time(desk: Desk) -> None:
    happen(desk, 3)
    ear = Ear(deaf=1)
    assert (await tell_events(desk.house, ear), left(desk)) == (0, 3)
    assert (await tell_events(desk.house, ear), left(desk)) == (3, 0)


async def test_told_twice_it_bears_the_same_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    happen(desk, 3)
    ear = Ear()
    with monkeypatch.context() as crashed:
        crashed.setattr("tasks.events.mark_told", lambda *_: 1 / 0)
        await tell_events(desk.house, ear)
    assert left(desk) == 3
    happen(desk, 2)  # before it is told again
    await tell_events(desk.house, ear)
    assert ear.heard[0].key == ear.heard[1].key
    assert len(ear.heard[1].ids) == 5


async def test_it_goes_on_telling_until_it_is_told_to_stop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.events.TELL_S", 0.01)
    stop, ear = asyncio.Event(), Ear(deaf=2)
    telling = asyncio.create_task(keep_telling(stop, desk.house, ear))
    happen(desk, 1)
    await asyncio.wait_for(ear.hears.wait(), 5)
    stop.set()
    await asyncio.wait_for(telling, 5)
    assert left(desk) == 0


def test_an_event_that_is_rolled_back_with_its_cause_never_was(desk: Desk) -> None:
    def fail() -> None:
        with desk.house.ledger.writing() as session:
            note(session, Act.now("rule:test"), NAME, {}, 1)
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert left(desk) == 0
    with pytest.raises(ValueError, match=r"muster\.<thing>\.<what>"), desk.house.ledger.writing() as session:
        note(session, Act.now("rule:test"), "submission", {}, 1)


async def test_prefect_has_it(prefect: str) -> None:
    burst = Burst(name=NAME, campaign="told", occurred=datetime.now(UTC), causes=({"submission": 7},), ids=(7,))
    await emit_to_prefect([burst, burst])
    wanted = {"filter": {"event": {"name": [NAME]}, "resource": {"id": ["muster.campaign.told"]}}, "limit": 10}
    async with httpx.AsyncClient() as client:
        for _ in range(100):
            found = (await client.post(f"{prefect}/api/events/filter", json=wanted)).json()["events"]
            if found:
                break
            await asyncio.sleep(0.1)
    assert {(e["payload"]["count"], e["id"]) for e in found} == {(1, str(burst.key))}
