"""Shades: where an obligation stands at a moment, as one word of the board and its colour."""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from office import wording
from rules.deadlines import stated
from rules.obligations import Obligation, Standing, is_on_time, standing

NOTHING: Mapping[int, str] = {}


class Shade(StrEnum):
    """A colour of the board, the most urgent first."""

    OVERDUE = "overdue"
    RETURNED = "returned"
    WAITING = "waiting"  # handed in, for the office or the unit to settle
    OPEN = "open"  # not due yet
    LATE = "late"
    REPORTED = "reported"
    OUTSIDE = "outside"  # exempt or left


COLOUR = {
    Shade.REPORTED: "#2e7d32",
    Shade.LATE: "#f9a825",
    Shade.WAITING: "#1565c0",
    Shade.RETURNED: "#8e24aa",
    Shade.OVERDUE: "#c62828",
    Shade.OPEN: "#bdbdbd",
    Shade.OUTSIDE: "#eeeeee",
}
DRAWN = tuple(shade for shade in COLOUR if shade is not Shade.OUTSIDE)  # in the order of the bars
_OF_STANDING = {
    Standing.EXEMPT: Shade.OUTSIDE,
    Standing.LEFT: Shade.OUTSIDE,
    Standing.RETURNED: Shade.RETURNED,
    Standing.SUBMITTED: Shade.WAITING,
    Standing.QUERIED: Shade.WAITING,
}


def shade_of(ob: Obligation, moment: datetime) -> Shade:
    """Return where an obligation stands at a moment."""
    stands = standing(ob)
    if stands in _OF_STANDING:
        return _OF_STANDING[stands]
    if stands is Standing.ACCEPTED:
        return Shade.LATE if is_on_time(ob) is False else Shade.REPORTED
    return Shade.OVERDUE if ob.due is not None and ob.due <= moment else Shade.OPEN


def days_overdue(ob: Obligation, moment: datetime, zone: ZoneInfo) -> int:
    """Return how many days an obligation is past its stated day; 0 if it is not due, 1 on the day itself."""
    if ob.due is None or moment < ob.due:
        return 0
    return max((moment.astimezone(zone).date() - stated(ob.due, zone).day).days, 1)


def word_of(
    ob: Obligation,
    moment: datetime,
    zone: ZoneInfo,
    *,
    nil: Collection[int] = (),
    promised: Mapping[int, str] = NOTHING,
) -> str:
    """Return an obligation in one word or two: 已报, 迟报, 待审核, 退回, 逾期3天（承诺6月8日）."""
    stands, shade = standing(ob), shade_of(ob, moment)
    late = wording.SHADE_LATE if is_on_time(ob) is False else ""
    if shade is Shade.OUTSIDE:
        return wording.STANDING[stands]
    if shade is Shade.WAITING:
        return wording.SHADE_WAITING[stands] + late
    if shade in (Shade.REPORTED, Shade.LATE):
        return wording.NIL + late if ob.id in nil else wording.SHADE[shade]
    if ob.left_at is not None:
        return wording.SHADE_LEFT
    days = days_overdue(ob, moment, zone)
    overdue = wording.SHADE_OVERDUE.format(days=days) if days else ""
    until = wording.SHADE_PROMISED.format(day=promised[ob.id]) if ob.id in promised else ""
    if shade is Shade.RETURNED:
        return wording.SHADE[shade] + (f"，{overdue}" if overdue else "") + until
    return (overdue or wording.SHADE[shade]) + until
