"""Telling Prefect what happened: after the commit, at least once, many of a kind as one.

Events are only told for those who watch and to wake flows; what is to be done stands in the ledger. So one told late
or twice does no harm, and Prefect being away fails nothing. What was sent is struck off when Prefect lists it, which
takes its server some seconds: a later pass asks, and sends again what is not listed. The id stays the same, and the
server leaves out an id that it has seen within five minutes or has on record.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.events import Event, Resource
from prefect.events.clients import get_events_client
from prefect.events.filters import EventFilter, EventIDFilter, EventOccurredFilter
from sqlalchemy.orm import Session

from ledger import events
from ledger.acts import Act
from ledger.tables import BundleRow, CampaignRow
from office.premises import Premises
from tasks.desk import premises

TELL_S = 1.0  # how often `muster serve` looks for something to tell
AWAY_S = 60.0  # and at most so long it waits while Prefect is away
AGAIN = timedelta(seconds=20)  # what is not listed by then is sent again
# Prefect keeps events for a week by when they occurred, and lists none that is older: it is told a later moment then,
# the true one stands in the payload.
OLDEST = timedelta(days=1)
PAGE = 50  # ids asked for at once
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Events of one kind, campaign and origin that are told as one."""

    id: UUID
    name: str
    campaign: str  # empty: of none
    origin: str
    occurred: datetime  # when the first of them did
    payload: dict[str, Any]

    @property
    def resource(self) -> str:
        """What automations match it by."""
        return resource_of(self.campaign)


def resource_of(campaign: str) -> str:
    """Return the resource that events of a campaign are about."""
    return f"muster.campaign.{campaign or 'none'}"


Emit = Callable[[Sequence[Bundle]], Awaitable[None]]
Listed = Callable[[Collection[UUID]], Awaitable[Collection[UUID]]]


@dataclass(frozen=True, kw_only=True)
class Prefect:
    """The two things that are asked of Prefect's server."""

    emit: Emit
    listed: Listed


async def emit_to_prefect(bundles: Sequence[Bundle]) -> None:
    """Send events to Prefect, and return when its server has received them; whether it keeps them is another matter."""
    async with get_events_client(reconnection_attempts=0, checkpoint_every=1) as client:
        for bundle in bundles:
            await client.emit(_event(bundle))


def _event(bundle: Bundle) -> Event:
    about = {
        "prefect.resource.id": bundle.resource,
        "prefect.resource.name": bundle.campaign or "none",
        "muster.origin": bundle.origin,
    }
    return Event(
        event=bundle.name,
        resource=Resource.model_validate(about),
        occurred=max(bundle.occurred, datetime.now(UTC) - OLDEST),
        payload=bundle.payload,
        id=bundle.id,
    )


async def listed_by_prefect(ids: Collection[UUID]) -> Collection[UUID]:
    """Return those of some events that Prefect lists."""
    wanted, found = list(ids), set[UUID]()
    async with get_client() as client:
        for start in range(0, len(wanted), PAGE):
            since = EventOccurredFilter(since=datetime.now(UTC) - 2 * OLDEST - timedelta(days=7))
            these = EventFilter(id=EventIDFilter(id=wanted[start : start + PAGE]), occurred=since)
            page = await client.read_events(these, limit=PAGE)
            found.update(event.id for event in page.events)
    return found


PREFECT = Prefect(emit=emit_to_prefect, listed=listed_by_prefect)


async def tell_events(house: Premises | None = None, prefect: Prefect = PREFECT) -> int:
    """Strike off what has arrived and tell what was not told yet; return how many events were struck off.

    Never raises: the next pass does what this one could not.
    """
    try:
        return await _pass(house or premises(), prefect)
    except Exception as error:  # noqa: BLE001  whatever keeps Prefect from hearing it
        logger.warning("Prefect was not told what happened, it is told later: %s: %s", type(error).__name__, error)
        return 0


async def _pass(house: Premises, prefect: Prefect) -> int:
    pending = await asyncio.to_thread(_pending, house)
    if pending is None:
        return 0
    sent = [bundle for bundle, emitted_at in pending if emitted_at is not None]
    arrived = set(await prefect.listed([bundle.id for bundle in sent])) if sent else set()
    struck = await asyncio.to_thread(_strike_off, house, arrived) if arrived else 0
    overdue = datetime.now(UTC) - AGAIN
    due = [b for b, emitted_at in pending if b.id not in arrived and (emitted_at is None or emitted_at < overdue)]
    due += await asyncio.to_thread(_bundle, house)
    if due:
        await prefect.emit(due)
        await asyncio.to_thread(_mark_emitted, house, due)
    return struck


async def keep_telling(stop: asyncio.Event, house: Premises | None = None, prefect: Prefect = PREFECT) -> None:
    """Tell what happens until told to stop; an outage is told of once, and its end."""
    pause, away = TELL_S, False
    while not stop.is_set():
        try:
            await _pass(house or premises(), prefect)
        except Exception as error:  # noqa: BLE001  whatever keeps Prefect from hearing it
            if not away:
                logger.warning("Prefect is not told what happens for now: %s: %s", type(error).__name__, error)
            pause, away = min(2 * pause, AWAY_S), True
        else:
            if away:
                logger.warning("Prefect is told again what happens")
            pause, away = TELL_S, False
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


def _pending(house: Premises) -> list[tuple[Bundle, datetime | None]] | None:
    """Return the bundles not known to have arrived, each with when it was sent last; None where nothing is to tell."""
    with house.ledger.reading() as session:
        if not events.anything_untold(session):
            return None
        return [(_read(session, row), row.emitted_at) for row in events.unlisted(session)]


def _bundle(house: Premises) -> list[Bundle]:
    with house.ledger.writing() as session:
        return [_read(session, row) for row in events.bundle(session, Act.now("rule:events"))]


def _strike_off(house: Premises, arrived: Collection[UUID]) -> int:
    with house.ledger.writing() as session:
        return events.mark_listed(session, Act.now("rule:events"), [str(id_) for id_ in arrived])


def _mark_emitted(house: Premises, bundles: Sequence[Bundle]) -> None:
    with house.ledger.writing() as session:
        events.mark_emitted(session, Act.now("rule:events"), [str(bundle.id) for bundle in bundles])


def _read(session: Session, row: BundleRow) -> Bundle:
    campaign = session.get(CampaignRow, row.campaign_id) if row.campaign_id is not None else None
    return Bundle(
        id=UUID(row.id),
        name=row.name,
        campaign=campaign.key if campaign is not None else "",
        origin=row.origin,
        occurred=row.occurred_at,
        payload=row.payload,
    )
