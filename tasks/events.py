"""Telling Prefect what happened: after the commit, at least once, many of a kind as one.

Events are only told for those who watch and to wake flows; what is to be done stands in the ledger. So one told late
or twice does no harm, and Prefect being away fails nothing: what was not told is told by the next run.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.events import Event, Resource
from prefect.events.clients import get_events_client
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.events import mark_told, untold
from ledger.tables import CampaignRow, EventRow
from office.premises import Premises
from tasks.desk import premises

AT_ONCE = 1000
NAMED = 50  # causes named in one event; the rest are counted
TELL_S = 3.0  # how often `muster serve` asks what was not told
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Burst:
    """Events of one name and campaign that are told as one."""

    name: str
    campaign: str
    occurred: datetime  # when the first of them did
    causes: tuple[dict[str, Any], ...]
    ids: tuple[int, ...]

    @property
    def key(self) -> UUID:
        """Of its first event, so that a burst told again is recognised even if more happened meanwhile."""
        return uuid5(NAMESPACE_URL, f"{self.name}|{self.campaign}|{self.ids[0]}")

    @property
    def payload(self) -> dict[str, Any]:
        """What is told: how many there were, and of the first ones what caused them."""
        return {"count": len(self.causes), "causes": list(self.causes[:NAMED])}


Emit = Callable[[Sequence[Burst]], Awaitable[None]]


async def emit_to_prefect(bursts: Sequence[Burst]) -> None:
    """Send events to Prefect, and return when its server has them."""
    async with get_events_client(reconnection_attempts=0, checkpoint_every=1) as client:
        for burst in bursts:
            about = {"prefect.resource.id": f"muster.campaign.{burst.campaign or 'none'}"}
            resource = Resource.model_validate(about)
            event = Event(
                event=burst.name, resource=resource, occurred=burst.occurred, payload=burst.payload, id=burst.key
            )
            await client.emit(event)


async def tell_events(house: Premises | None = None, emit: Emit = emit_to_prefect) -> int:
    """Tell what was not told yet; return how many events that were. Never raises: the next run tells the rest."""
    told = 0
    try:
        at = house or premises()
        while bursts := await asyncio.to_thread(_waiting, at):
            await emit(bursts)
            told += await asyncio.to_thread(_mark, at, bursts)
    except Exception as error:  # noqa: BLE001  whatever keeps Prefect from hearing it
        logger.warning("Prefect was not told what happened, the next run tells it: %s: %s", type(error).__name__, error)
    return told


async def keep_telling(stop: asyncio.Event, house: Premises | None = None, emit: Emit = emit_to_prefect) -> None:
    """Tell what happens until told to stop; what comes about within moments is told as one."""
    while not stop.is_set():
        await tell_events(house, emit)
        try:
            await asyncio.wait_for(stop.wait(), TELL_S)
        except TimeoutError:
            continue


def bursts_of(events: Iterable[tuple[EventRow, str]]) -> list[Burst]:
    """Return events, each with its campaign's key, by name and campaign in the order of their first."""
    grouped: dict[tuple[str, str], list[EventRow]] = {}
    for event, campaign in events:
        grouped.setdefault((event.name, campaign), []).append(event)
    return [
        Burst(
            name=name,
            campaign=campaign,
            occurred=rows[0].recorded_at,
            causes=tuple(row.payload for row in rows),
            ids=tuple(row.id for row in rows),
        )
        for (name, campaign), rows in grouped.items()
    ]


def _waiting(house: Premises) -> list[Burst]:
    with house.ledger.reading() as session:
        rows = untold(session, AT_ONCE)
        keys: dict[int | None, str] = {None: ""}
        return bursts_of([(row, _key(session, row.campaign_id, keys)) for row in rows])


def _key(session: Session, campaign_id: int | None, known: dict[int | None, str]) -> str:
    if campaign_id not in known:
        known[campaign_id] = session.get_one(CampaignRow, campaign_id).key
    return known[campaign_id]


def _mark(house: Premises, bursts: Sequence[Burst]) -> int:
    ids = [id_ for burst in bursts for id_ in burst.ids]
    with house.ledger.writing() as session:
        mark_told(session, Act.now("rule:events"), ids)
    return len(ids)
