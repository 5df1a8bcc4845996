"""What was said, by obligation, rung and due instant; and why somebody is not written to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Skip(StrEnum):
    """Why somebody is not written to."""

    REPORTED = "reported"
    EXEMPT = "exempt"
    LEFT = "left"
    VOLUNTARY = "voluntary"
    NOT_YET = "not_yet"  # no rung's moment has come
    SAID = "said"  # the rung that is due was said
    EXPIRED = "expired"  # a “before” reminder whose deadline is past
    BEFORE_JOINING = "before_joining"
    JUST_RETURNED = "just_returned"  # it was told a moment ago what to correct; a later run reminds it
    MAILED_TODAY = "mailed_today"  # one mail per party and occasion: the item waits for tomorrow's
    LADDER_DONE = "ladder_done"
    NOBODY_ABOVE = "nobody_above"  # whom the rung names is not on record: the next rung is to come
    PROMISED = "promised"  # whoever was told has promised a date that has not passed
    EXTENSION_ASKED = "extension_asked"  # asked for before it was due, and not answered: two working days' grace
    TO_APPROVE = "to_approve"  # the rung goes out only when staff agree
    DECLINED = "declined"  # staff did not agree; they are asked again later
    CAMPAIGN_PAUSED = "campaign_paused"  # by a decision of staff
    CAMPAIGN_CLOSED = "campaign_closed"


# Reasons that hold for the many: they are counted. Of the others staff ask whom they concern.
COMMON = frozenset(
    {Skip.REPORTED, Skip.SAID, Skip.NOT_YET, Skip.VOLUNTARY, Skip.EXPIRED, Skip.CAMPAIGN_PAUSED, Skip.CAMPAIGN_CLOSED}
)


@dataclass(frozen=True, kw_only=True)
class Said:
    """An item that was planned or sent and still stands: for which obligation, rung and due instant, and when."""

    obligation_id: int
    rung: str
    due: datetime | None
    at: datetime


SaidAt = Mapping[tuple[int, str, datetime | None], datetime]


def said_index(said: Iterable[Said]) -> SaidAt:
    """Return what was said by (obligation, rung, due instant), with the earliest moment of each."""
    index: dict[tuple[int, str, datetime | None], datetime] = {}
    for item in said:
        key = (item.obligation_id, item.rung, item.due)
        index[key] = min(item.at, index.get(key, item.at))
    return index
