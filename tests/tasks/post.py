"""A launched campaign whose mails are sent in tests: its ledger, senders on it, and what became of each mail."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update

from benchmarks.staging import KEY
from ledger.acts import Act
from ledger.campaigns import written
from ledger.engine import Ledger
from ledger.outbox import HEAD, NewMessage, plan_messages
from ledger.senders import Hold, LaneStand, holds_in_force, lane_stands
from ledger.tables import AttemptRow, ContactRow, IntakeRow, MessageRow, ObligationRow, PartyRow, SenderRow, SlotRow
from mail.relay import SmtpServer
from office.outbox import Delivered
from office.planning import plan_step
from office.premises import Premises
from rules.lanes import DEFAULT, Lane
from rules.notices import ItemDue
from rules.timetable import StepKind
from tasks.sending import Sender
from tests.mail.relay import Relay

LAUNCH = datetime(2020, 5, 27, 7, tzinfo=UTC)  # 15:00 in Shanghai
NIGHT = datetime(2020, 5, 27, 14, tzinfo=UTC)  # 22:00
RUN = "11111111-2222-3333-4444-555555555555"
UNITS = 40


def act(at: datetime = LAUNCH) -> Act:
    return Act(actor="rule:test", as_of=at, wall=datetime.now(UTC), flow_run_id=RUN)


def name(unit: int) -> str:
    """Return the local part of a unit's address."""
    return f"u{unit:06d}"


def lane(name_: str = DEFAULT, **limits: Any) -> Lane:
    return Lane(name=name_, **{"connections": 40, "messages_per_connection": 1000, **limits})


async def until(condition: Callable[[], object], *, within_s: float = 10) -> None:
    """Wait for something that other tasks bring about."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.005)


@dataclass
class Post:
    """The office's outbox, on a ledger of its own. Units are numbered from 1, and so are their parties' ids, plus 1."""

    house: Premises
    url: str

    def furnished(self, **changes: Any) -> "Post":
        """Return the same with other limits."""
        return Post(house=replace(self.house, **changes), url=self.url)

    def another(self) -> "Post":
        """Return the same as another process has it: over connections of its own."""
        return Post(house=replace(self.house, ledger=Ledger(self.url)), url=self.url)

    # What is to be sent

    def plan(self, at: datetime = LAUNCH) -> None:
        """Plan the launch: a message a unit, numbered like the units."""
        with self.house.ledger.writing() as session:
            plan_step(session, self.house, act(at), KEY, StepKind.LAUNCH)

    def plan_some(self, notice: str, occasions: Collection[str], *, unit: int = 1, campaign: int = 1) -> list[int]:
        """Plan messages to one unit, each on its occasion of the unit's first obligation; return their ids."""
        with self.house.ledger.writing() as session:
            party = session.scalars(
                select(PartyRow.id).where(PartyRow.campaign_id == campaign, PartyRow.code == name(unit).upper())
            ).one()
            owed = session.scalars(select(ObligationRow).where(ObligationRow.party_id == party)).first()
            assert owed is not None
            news = [
                NewMessage(
                    party_id=party,
                    notice=notice,
                    occasion=occasion,
                    items=(ItemDue(obligation_id=owed.id, rung=occasion, due=owed.due_at),),
                )
                for occasion in occasions
            ]
            rows = plan_messages(session, act(), campaign, self.house.mail_domain, news)
            return [row.id for row in rows]

    def plan_receipt(self, unit: int = 1) -> int:
        """Plan the receipt for a mail of a unit; return its id."""
        with self.house.ledger.writing() as session:
            known = session.scalars(select(func.count()).select_from(IntakeRow)).one()
            mail = IntakeRow(
                mailbox="test", uid=f"{known}", raw_sha256="0" * 64, size=1, received_at=LAUNCH, campaign_id=1,
                party_id=unit + 1, problems=[], **written(act()),
            )  # fmt: skip
            session.add(mail)
            session.flush()
            occasion = f"intake:{mail.id}"
        return self.plan_some("receipt", [occasion], unit=unit)[0]

    def move(self, units: Collection[int], *, prefix: str = "", domain: str = "unit.example") -> None:
        """Give units other addresses."""
        with self.house.ledger.writing() as session:
            for unit in units:
                session.execute(
                    update(ContactRow)
                    .where(ContactRow.address == f"{name(unit)}@unit.example")
                    .values(address=f"{prefix}{name(unit)}@{domain}")
                )

    # Sending

    def sender(self, relay: SmtpServer, at: datetime = LAUNCH, *, claims_ahead: bool | None = None) -> Sender:
        sender = Sender(self.house, relay, lambda: act(at))
        if claims_ahead is not None:
            sender.claims_ahead = claims_ahead
        return sender

    async def drain(self, relay: Relay | SmtpServer, at: datetime = LAUNCH, *, limit: int = 1000) -> Delivered:
        """Go through the queue once, as a flow does."""
        server = relay.server() if isinstance(relay, Relay) else relay
        total = Delivered(reached=HEAD)
        async with self.sender(server, at) as sender:
            while total.reached is not None:
                total += await sender.send_shard(KEY, limit=limit, after=total.reached)
        return total

    # What came of it

    def messages(self, *ids: int) -> list[MessageRow]:
        with self.house.ledger.reading() as session:
            query = select(MessageRow).order_by(MessageRow.id)
            return list(session.scalars(query.where(MessageRow.id.in_(ids)) if ids else query))

    def states(self) -> dict[str, int]:
        return dict(Counter(message.state for message in self.messages()))

    def state(self, message_id: int) -> str:
        return self.messages(message_id)[0].state

    def attempts(self, message_id: int) -> list[AttemptRow]:
        with self.house.ledger.reading() as session:
            query = select(AttemptRow).where(AttemptRow.message_id == message_id).order_by(AttemptRow.id)
            return list(session.scalars(query))

    def holds(self) -> list[Hold]:
        with self.house.ledger.reading() as session:
            return holds_in_force(session)

    def lanes(self) -> dict[str, LaneStand]:
        with self.house.ledger.reading() as session:
            return lane_stands(session)

    def slots(self) -> int:
        """Return how many connections senders hold."""
        with self.house.ledger.reading() as session:
            return session.scalars(select(func.coalesce(func.sum(SlotRow.connections), 0))).one()

    def senders(self) -> int:
        with self.house.ledger.reading() as session:
            return session.scalars(select(func.count()).select_from(SenderRow)).one()
