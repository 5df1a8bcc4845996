"""Completeness and timeliness (报送率, 及时率) over a frozen denominator."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from rules.obligations import OUTSIDE_RATES, Obligation, Standing, is_on_time, standing, was_corrected_late


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Counts of obligations. ``owed`` is the denominator of both rates: frozen, less exempt and left."""

    owed: int = 0
    reported: int = 0  # a submission not returned
    on_time: int = 0
    corrected_late: int = 0  # among on_time: the first version was in time, the correction was not
    late: int = 0
    queried: int = 0  # among reported
    returned: int = 0
    missing: int = 0
    outside: int = 0  # exempt or left

    @property
    def report_rate(self) -> float | None:
        """报送率; None if nothing is owed."""
        return self.reported / self.owed if self.owed else None

    @property
    def on_time_rate(self) -> float | None:
        """及时率, over the same denominator; None if nothing is owed."""
        return self.on_time / self.owed if self.owed else None

    def __add__(self, other: "Totals") -> "Totals":
        """Add two counts of disjoint obligations."""
        return Totals(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def totals(obligations: Iterable[Obligation]) -> Totals:
    """Count obligations; voluntary materials stand outside and are not counted at all."""
    return Totals(**Counter(name for ob in obligations if not ob.voluntary for name in _counted_as(ob)))


def _counted_as(ob: Obligation) -> Iterator[str]:
    state = standing(ob)
    if state in OUTSIDE_RATES:
        yield "outside"
        return
    yield "owed"
    if state in _BY_STANDING:
        yield _BY_STANDING[state]
    on_time = is_on_time(ob)
    if on_time is None:
        return
    yield "reported"
    yield "on_time" if on_time else "late"
    if was_corrected_late(ob):
        yield "corrected_late"


_BY_STANDING = {Standing.QUERIED: "queried", Standing.RETURNED: "returned", Standing.MISSING: "missing"}
