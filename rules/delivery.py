"""Whether a message may leave now, and to which contact it goes."""

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo


class Unsent(StrEnum):
    """Why a planned message did not leave."""

    HELD = "held"  # the kill switch, or a stop put on its lane
    LANE_CLOSED = "lane_closed"  # the provider asked for a pause
    LANE_FULL = "lane_full"  # the lane's rate or connections are used up for now
    RELAY_DOWN = "relay_down"  # no connection to be had
    FENCED = "fenced"  # the campaign is not live and the address is on no allow-list
    OUTSIDE_WINDOW = "outside_window"
    CAP_REACHED = "cap_reached"
    NO_CONTACT = "no_contact"
    NOTHING_LEFT = "nothing_left"  # everything it would have named was handed in
    EXPIRED = "expired"
    NOT_COMPOSED = "not_composed"  # a name or address that would break a header
    GIVEN_UP = "given_up"  # deferred again and again, for days
    PAUSED = "paused"  # closed campaign: nothing is chased
    CAMPAIGN_PAUSED = "campaign_paused"  # by a decision of staff; it leaves when the campaign is resumed


class Contact(Protocol):
    """A contact as far as choosing one goes; a bad one is passed over."""

    @property
    def role(self) -> str:
        """Return its role."""

    @property
    def rank(self) -> int:
        """Return its place among those of one role."""

    @property
    def bad_since(self) -> datetime | None:
        """Return since when it is known not to work."""


SomeContact = TypeVar("SomeContact", bound=Contact)


UNIT_ORDER = ("liaison", "duty", "responsible")
RESPONSIBLE_FIRST = ("responsible", "liaison", "duty")
BULLETIN = "escalation_bulletin"  # goes to everybody and names who is silent
TO_RESPONSIBLE = frozenset({"escalation", "escalation_digest", "reminder_responsible", "supervision_order"})
OFFICE_ORDER = ("lead", "reviewer", "approver", "ops")


@lru_cache(maxsize=64)
def contact_order(notice: str) -> tuple[str, ...]:
    """Return the roles in the order in which a notice tries them; the office's own follow a unit's."""
    if notice == "alert":
        return ("ops", *(role for role in OFFICE_ORDER if role != "ops"))
    unit = RESPONSIBLE_FIRST if notice in TO_RESPONSIBLE else UNIT_ORDER
    return (*unit, *OFFICE_ORDER)


def choose_contact(contacts: Iterable[SomeContact], notice: str) -> SomeContact | None:
    """Return the first working contact in the notice's order, or None."""
    order = contact_order(notice)
    usable = [c for c in contacts if c.bad_since is None and c.role in order]
    return min(usable, key=lambda c: (order.index(c.role), c.rank), default=None)


RETRIED_ONCE = frozenset({"receipt", "returned"})


def may_retry_ambiguous(notice: str, tries: int) -> bool:
    """Whether a message of which nobody can tell whether it left may be tried again without asking a person.

    A receipt may, once: two receipts do no harm. A launch, a reminder or an escalation never: people act on them.
    """
    return notice in RETRIED_ONCE and tries <= 1


def in_window(as_of: datetime, window: tuple[time, time], zone: ZoneInfo) -> bool:
    """Whether the campaign's sending window is open."""
    return window[0] <= as_of.astimezone(zone).time() < window[1]


def next_opening(as_of: datetime, window: tuple[time, time], zone: ZoneInfo, *, today: bool = True) -> datetime:
    """Return when the sending window opens next; not ``today``: on the next day, whatever the hour."""
    here = as_of.astimezone(zone)
    day = here.date() if today and here.time() < window[0] else here.date() + timedelta(days=1)
    return datetime.combine(day, window[0], tzinfo=zone).astimezone(as_of.tzinfo)


def is_allowed(address: str, allow_list: Sequence[str]) -> bool:
    """Whether an address is on the allow-list, itself or by its @domain."""
    lowered = address.lower()
    return any(
        lowered == entry.lower() or (entry.startswith("@") and lowered.endswith(entry.lower())) for entry in allow_list
    )
