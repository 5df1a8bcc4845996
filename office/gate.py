"""The gate: whether a message may leave now, and to which contact it goes. Asked while claiming, under its lock."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy.orm import Session

from ledger import outbox, senders
from ledger.acts import Act
from ledger.facts import Address, contacts_by_party, who_left
from ledger.outbox import Waiting
from ledger.senders import LaneStand
from ledger.tables import CampaignRow, CampaignState, MailClass
from office import fence
from office.premises import Premises
from office.rulebook import Rulebook
from rules.delivery import BULLETIN, Unsent, choose_contact, in_window
from rules.lanes import Allowance, Lane, LanePace, allowance, lane_of

HORIZON = timedelta(seconds=30)  # how far ahead a claim uses up a lane's rate: a slow lane holds up no other
GIVES_UP_AFTER = 34  # tries: five days of them (RFC 5321, 4.5.4.1); days on hold do not count
ALERT = "alert"


@dataclass(frozen=True, kw_only=True)
class LanePlan:
    """How a shard's messages of one lane are to be sent: over how many connections, from when, how far apart."""

    connections: int
    messages_per_connection: int
    first_at: datetime
    interval: timedelta | None


class Gate:
    """Decides over the messages of one shard, and counts what it lets through."""

    def __init__(
        self, session: Session, premises: Premises, act: Act, campaign: CampaignRow, book: Rulebook, sender: str
    ) -> None:
        """Take the facts that hold for all messages."""
        self._session = session
        self._premises = premises
        self._act = act
        self._campaign = campaign
        sending = book.campaign.sending
        self._cap = sending.daily_cap
        self._open = in_window(act.as_of, sending.window, book.zone)
        midnight = datetime.combine(act.as_of.astimezone(book.zone).date(), time(), tzinfo=book.zone)
        self._day = (midnight, midnight + timedelta(days=1))
        self._held = senders.scopes_held(session)
        self._lanes = _Lanes(session, premises, act, sender)
        self._chased: Counter[str] = Counter()
        self._gone: frozenset[int] = frozenset()
        self.contacts: dict[int, list[Address]] = {}

    def look_at(self, messages: Sequence[Waiting]) -> None:
        """Fetch what is asked of several messages at once: contacts, and how often their addresses were chased."""
        self.contacts |= contacts_by_party(self._session, {m.party_id for m in messages})
        self._gone |= who_left(self._session, {m.party_id for m in messages if m.mail_class == MailClass.BULK})
        chased = {m.party_id for m in messages if m.mail_class == MailClass.CHASE}
        addresses = {c.address for party in chased for c in self.contacts[party]}
        self._chased.update(outbox.chased_between(self._session, addresses, *self._day) if addresses else {})

    def over(self, message: Waiting, *, named: int, live: int) -> Unsent | None:
        """Return why a message will never leave; ``named`` items it had, ``live`` are still worth saying."""
        if message.expires_at is not None and self._act.as_of >= message.expires_at:
            return Unsent.EXPIRED
        if named and not live:
            return Unsent.NOTHING_LEFT
        names_who_owes = message.mail_class == MailClass.CHASE or message.notice == BULLETIN
        if names_who_owes and self._campaign.state == CampaignState.CLOSED:
            return Unsent.PAUSED
        if message.mail_class == MailClass.BULK and message.party_id in self._gone:
            return Unsent.NOTHING_LEFT
        if message.tries >= GIVES_UP_AFTER:
            return Unsent.GIVEN_UP
        return None

    def verdict(self, message: Waiting) -> tuple[Address, Lane] | Unsent:
        """Return the contact to write to and its lane, or why the message has to wait. Counts what it lets through."""
        contact = self._contact(message)
        if contact is None:
            return Unsent.NO_CONTACT
        lane = self._lanes.of(contact.address)
        if self._campaign.state == CampaignState.PAUSED and message.mail_class != MailClass.REPLY:
            return Unsent.CAMPAIGN_PAUSED
        shut = self._shut(message, contact) or self._lanes.take(lane, self._lane_held(message, lane))
        if shut is not None:
            return shut
        if message.mail_class == MailClass.CHASE:
            self._chased[contact.address] += 1
        return contact, lane

    def _contact(self, message: Waiting) -> Address | None:
        """Return the contact a message is meant for, while it works; else the first working one of its party."""
        contacts = self.contacts[message.party_id]
        meant = message.detail.get("contact")
        pinned = (c for c in contacts if c.id == meant and c.bad_since is None)
        return next(pinned, None) or choose_contact(contacts, message.notice)

    def lane_of(self, message: Waiting) -> str:
        """Return the lane in which a message would go now."""
        contact = self._contact(message)
        return self._lanes.of(contact.address).name if contact is not None else ""

    def lane_plans(self) -> dict[str, LanePlan]:
        """Take the connections and the rate for what was let through, and return how each lane is to send it."""
        return self._lanes.settle()

    def _shut(self, message: Waiting, contact: Address) -> Unsent | None:
        """Return why a message has to wait: hold, fence, window, cap."""
        if senders.is_held(self._held, self._campaign.key):
            return Unsent.HELD
        if fence.holds(self._campaign, self._premises, contact.address):
            return Unsent.FENCED
        if message.mail_class == MailClass.REPLY:
            return None
        if not self._open:
            return Unsent.OUTSIDE_WINDOW
        if message.mail_class == MailClass.CHASE and self._chased[contact.address] >= self._cap:
            return Unsent.CAP_REACHED
        return None

    def _lane_held(self, message: Waiting, lane: Lane) -> bool:
        """Whether a stop put on the lane holds for a message; the alert about that very stop may try to leave."""
        return message.notice != ALERT and senders.scope_of_lane(lane.name) in self._held


class _Lanes:
    """What the lanes allow this sender now, less what it has taken."""

    def __init__(self, session: Session, premises: Premises, act: Act, sender: str) -> None:
        self._session = session
        self._premises = premises
        self._act = act
        self._sender = sender
        self._stands: Mapping[str, LaneStand] = senders.lane_stands(session)
        self._allowances: dict[str, Allowance | None] = {}
        self._left: dict[str, int | None] = {}  # None: no limit
        self._taken: Counter[str] = Counter()
        self._slots: dict[str, int] = {}
        self._by_domain: dict[str, Lane] = {}

    def of(self, address: str) -> Lane:
        """Return the lane of an address."""
        domain = address.rpartition("@")[2]
        if domain not in self._by_domain:
            self._by_domain[domain] = lane_of(address, self._premises.lanes)
        return self._by_domain[domain]

    def take(self, lane: Lane, held: bool) -> Unsent | None:  # noqa: FBT001
        """Take room for one message; return why there is none."""
        if held:
            return Unsent.HELD
        if lane.name not in self._allowances:
            self._look_at(lane)
        if self._allowances[lane.name] is None:
            return Unsent.LANE_CLOSED
        left = self._left[lane.name]
        if not self._slots[lane.name] or (left is not None and self._taken[lane.name] >= left):
            return Unsent.LANE_FULL
        self._taken[lane.name] += 1
        return None

    def _look_at(self, lane: Lane) -> None:
        found = allowance(lane, self._stand(lane.name).pace, self._act.wall)
        self._allowances[lane.name] = found
        if found is None:
            return
        free = senders.free_slots(self._session, self._sender, lane.name, found.connections, self._act.wall)
        self._slots[lane.name] = min(self._premises.connections, free)
        self._left[lane.name] = None
        if found.interval is not None:
            ahead = HORIZON - (self._first_at(lane.name) - self._act.wall)
            self._left[lane.name] = 1 + ahead // found.interval if ahead >= timedelta() else 0

    def _stand(self, lane: str) -> LaneStand:
        return self._stands.get(lane) or LaneStand(pace=LanePace())

    def _first_at(self, lane: str) -> datetime:
        next_at = self._stand(lane).next_at
        return max(self._act.wall, next_at) if next_at is not None else self._act.wall

    def settle(self) -> dict[str, LanePlan]:
        """Put on record what was taken."""
        plans: dict[str, LanePlan] = {}
        by_name: Mapping[str, Lane] = {lane.name: lane for lane in self._premises.lanes}
        for name, count in self._taken.items():
            found = self._allowances[name]
            if found is None:
                continue
            first_at = self._first_at(name)
            connections = min(self._slots[name], count)
            senders.hold_slots(self._session, self._sender, name, connections)
            if found.interval is not None:
                senders.reserve(self._session, name, first_at + count * found.interval)
            plans[name] = LanePlan(
                connections=connections,
                messages_per_connection=by_name[name].messages_per_connection,
                first_at=first_at,
                interval=found.interval,
            )
        return plans


def scopes_of(campaign: str, lanes: Collection[str]) -> frozenset[str]:
    """Return the scopes whose holds concern mail of a campaign in some lanes."""
    return frozenset(
        {senders.EVERYTHING, senders.scope_of_campaign(campaign), *(senders.scope_of_lane(lane) for lane in lanes)}
    )
