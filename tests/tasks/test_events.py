"""Prefect is told what happened, after it stands, at least once, a burst as one, and struck off when it is listed."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from definition.loading import LoadedCampaign
from ledger.acts import Act
from ledger.event_kinds import EventKind
from ledger.events import LONGEST_QUIET_S, note, quiet_s
from ledger.tables import BundleRow, EventRow
from tasks.events import (
    AGAIN,
    OLDEST,
    Bundle,
    Prefect,
    emit_to_prefect,
    keep_telling,
    listed_by_prefect,
    resource_of,
    tell_events,
)
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str):  # type: ignore[no-untyped-def]  # noqa: ANN201
    with launched(cast, tmp_path, ledger_url) as opened:
        with opened.house.ledger.writing() as session:  # that it was launched has been told
            session.execute(update(EventRow).values(told_at=datetime.now(UTC)))
        yield opened


class Server:
    """A Prefect that is away a few times first, and that forgets what it received a few times."""

    def __init__(self, *, away: int = 0, forgets: int = 0) -> None:
        self.away = away
        self.forgets = forgets
        self.heard: list[Bundle] = []
        self.keeps: set[UUID] = set()
        self.hears = asyncio.Event()

    async def emit(self, bundles: Sequence[Bundle]) -> None:
        if self.away:
            self.away -= 1
            raise ConnectionError("Prefect is away")
        self.heard += bundles
        if self.forgets:
            self.forgets -= 1
        else:
            self.keeps |= {bundle.id for bundle in bundles}
        self.hears.set()

    async def listed(self, ids: Collection[UUID]) -> Collection[UUID]:
        return self.keeps & set(ids)

    @property
    def prefect(self) -> Prefect:
        return Prefect(emit=self.emit, listed=self.listed)


def happen(desk: Desk, count: int, kind: EventKind = EventKind.MAIL, flow_run: str | None = None) -> None:
    act = Act.now("rule:test", flow_run_id=flow_run)
    with desk.house.ledger.writing() as session:
        for number in range(count):
            told: dict[str, object] = {"intake": number, "party": None}
            if kind is EventKind.BOUNCED:
                told = {"message": number, "party": 1, "notice": "launch"}
            note(session, act, kind, told, 1)


def left(desk: Desk) -> int:
    with desk.house.ledger.reading() as session:
        return len(session.scalars(select(EventRow.id).where(EventRow.told_at.is_(None))).all())


def pretend_that_time_passes(desk: Desk, by: timedelta) -> None:
    with desk.house.ledger.writing() as session:
        for row in session.scalars(select(BundleRow)):
            row.recorded_at -= by
            if row.emitted_at is not None:
                row.emitted_at -= by


async def test_a_burst_is_told_as_one_and_struck_off_when_it_is_listed(desk: Desk) -> None:
    happen(desk, 300)
    happen(desk, 2, EventKind.BOUNCED)
    server = Server()
    assert await tell_events(desk.house, server.prefect) == 0
    assert [(b.name, b.campaign, b.payload["count"]) for b in server.heard] == [
        (EventKind.MAIL, KEY, 300),
        (EventKind.BOUNCED, KEY, 2),
    ]
    assert len(server.heard[0].payload["causes"]) == 50
    assert left(desk) == 302
    assert (await tell_events(desk.house, server.prefect), left(desk)) == (302, 0)
    assert (await tell_events(desk.house, server.prefect), len(server.heard)) == (0, 2)


async def test_what_flows_caused_is_told_apart_from_what_others_did(desk: Desk) -> None:
    happen(desk, 1, flow_run="5a9c")
    happen(desk, 2)
    server = Server()
    await tell_events(desk.house, server.prefect)
    assert [(b.origin, b.payload["count"]) for b in server.heard] == [("flow", 1), ("desk", 2)]


async def test_what_could_not_be_told_fails_nothing_and_is_told_the_next_time(desk: Desk) -> None:
    happen(desk, 3)
    server = Server(away=1)
    assert (await tell_events(desk.house, server.prefect), left(desk)) == (0, 3)
    await tell_events(desk.house, server.prefect)
    assert (await tell_events(desk.house, server.prefect), left(desk)) == (3, 0)


async def test_what_was_sent_and_is_not_listed_is_sent_again_under_the_same_id(desk: Desk) -> None:
    happen(desk, 3)
    server = Server(forgets=1)
    await tell_events(desk.house, server.prefect)
    await tell_events(desk.house, server.prefect)
    assert len(server.heard) == 1  # it may be on its way still
    pretend_that_time_passes(desk, AGAIN)
    await tell_events(desk.house, server.prefect)
    assert len(server.heard) == 2
    assert server.heard[0] == server.heard[1]
    assert (await tell_events(desk.house, server.prefect), left(desk)) == (3, 0)


async def test_an_outage_leaves_one_event_of_a_kind_however_often_it_was_tried(desk: Desk) -> None:
    server = Server(away=5)
    for _ in range(5):
        happen(desk, 10)
        await tell_events(desk.house, server.prefect)
    assert left(desk) == 50
    while left(desk):
        await tell_events(desk.house, server.prefect)
        pretend_that_time_passes(desk, timedelta(seconds=10))
    assert [b.payload["count"] for b in server.heard] == [10, 40]


async def test_after_a_large_bundle_the_next_of_its_kind_waits_and_others_do_not(desk: Desk) -> None:
    server = Server()
    happen(desk, 400)
    await tell_events(desk.house, server.prefect)
    await tell_events(desk.house, server.prefect)
    happen(desk, 7)
    happen(desk, 1, EventKind.BOUNCED)
    await tell_events(desk.house, server.prefect)
    assert [b.payload["count"] for b in server.heard] == [400, 1]
    pretend_that_time_passes(desk, timedelta(seconds=quiet_s(400)))
    await tell_events(desk.house, server.prefect)
    assert [b.payload["count"] for b in server.heard] == [400, 1, 7]
    assert quiet_s(1) < 1 < quiet_s(10_000) == LONGEST_QUIET_S


async def test_told_by_two_at_once_an_event_is_in_one_bundle(desk: Desk) -> None:
    happen(desk, 20)
    one, other = Server(), Server()
    await asyncio.gather(tell_events(desk.house, one.prefect), tell_events(desk.house, other.prefect))
    told = {b.id: b.payload["count"] for b in (*one.heard, *other.heard)}
    assert sum(told.values()) == 20


async def test_it_goes_on_telling_until_it_is_told_to_stop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.events.TELL_S", 0.01)
    stop, server = asyncio.Event(), Server(away=2)
    telling = asyncio.create_task(keep_telling(stop, desk.house, server.prefect))
    happen(desk, 1)
    await asyncio.wait_for(server.hears.wait(), 5)
    async with asyncio.timeout(5):
        while left(desk):  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(telling, 5)


def test_an_event_that_is_rolled_back_with_its_cause_never_was(desk: Desk) -> None:
    def fail() -> None:
        with desk.house.ledger.writing() as session:
            note(session, Act.now("rule:test"), EventKind.MAIL, {"intake": 1, "party": None}, 1)
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert left(desk) == 0


@pytest.mark.parametrize("payload", [{}, {"intake": "1", "party": None}, {"intake": 1, "party": None, "unit": 2}])
def test_an_event_that_says_something_else_than_its_kind_is_refused(desk: Desk, payload: dict[str, object]) -> None:
    with (
        pytest.raises(ValueError, match=r"muster\.mail\.received does not say"),
        desk.house.ledger.writing() as session,
    ):
        note(session, Act.now("rule:test"), EventKind.MAIL, payload, 1)


def bundle(campaign: str, *, occurred: datetime | None = None, id_: UUID | None = None) -> Bundle:
    return Bundle(
        id=id_ or uuid4(),
        name=EventKind.MAIL,
        campaign=campaign,
        origin="desk",
        occurred=occurred or datetime.now(UTC),
        payload={"count": 1, "first_at": datetime.now(UTC).isoformat(), "causes": [{"intake": 7, "party": None}]},
    )


async def until_listed(*ids: UUID) -> None:
    async with asyncio.timeout(20):
        while set(await listed_by_prefect(ids)) != set(ids):  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.5)  # each look costs the server dearly


async def found(server: str, campaign: str) -> list[str]:
    wanted = {"filter": {"resource": {"id": [resource_of(campaign)]}}, "limit": 10}
    async with httpx.AsyncClient() as client:
        events = (await client.post(f"{server}/api/events/filter", json=wanted)).json()["events"]
    return [event["id"] for event in events]


async def test_prefect_lists_what_it_was_told_and_a_repeated_id_once(prefect: str) -> None:
    told = bundle("told")
    await emit_to_prefect([told, told])
    assert await listed_by_prefect([uuid4()]) == set()
    await until_listed(told.id)
    after = bundle("told")
    await emit_to_prefect([told, after])  # as after a crash
    await until_listed(told.id, after.id)
    assert sorted(await found(prefect, "told")) == sorted((str(told.id), str(after.id)))


async def test_prefect_lists_what_happened_before_an_outage_longer_than_it_keeps_events(prefect: str) -> None:
    old = bundle("old", occurred=datetime.now(UTC) - 30 * OLDEST)
    await emit_to_prefect([old])
    await until_listed(old.id)
    assert await found(prefect, "old") == [str(old.id)]


async def test_many_events_are_asked_for_page_by_page(prefect: str) -> None:
    many = [bundle("many") for _ in range(120)]
    await emit_to_prefect(many)
    await until_listed(*(one.id for one in many))
