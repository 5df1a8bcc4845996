"""Ranking units by how they reported: ties share a rank, and the ranks they use up are left out (1, 2, 2, 4)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, TypeVar

from rules.deadlines import is_overdue
from rules.obligations import Obligation
from rules.rates import Totals, totals

Thing = TypeVar("Thing")


@dataclass(frozen=True, kw_only=True)
class UnitStanding:
    """How one unit reported what has fallen due, and its rank; None where it owed nothing."""

    party_id: int
    totals: Totals
    rank: int | None

    @property
    def reported_nothing(self) -> bool:
        """Whether it owed something and reported none of it (零报送)."""
        return self.totals.owed > 0 and self.totals.reported == 0

    @property
    def all_on_time(self) -> bool:
        """Whether it reported everything in time."""
        return 0 < self.totals.owed == self.totals.on_time


def fallen_due(obligations: Iterable[Obligation], as_of: datetime) -> list[Obligation]:
    """Return what has fallen due by a moment: nobody is named for what is still to come.

    What was returned with a new date is judged by the date before it.
    """
    return [ob for ob in obligations if not ob.voluntary and is_overdue(ob.judged_by, as_of)]


def ranked(things: Iterable[Thing], score: Callable[[Thing], Any]) -> list[tuple[int, Thing]]:
    """Return things with their ranks, the highest score first; equal scores share a rank and keep their order."""
    ordered = sorted(things, key=score, reverse=True)
    found: list[tuple[int, Thing]] = []
    for place, thing in enumerate(ordered, start=1):
        tied = found and score(found[-1][1]) == score(thing)
        found.append((found[-1][0] if tied else place, thing))
    return found


def standings(obligations: Iterable[Obligation], as_of: datetime) -> list[UnitStanding]:
    """Return how each unit stands at a moment, the best first; those that owed nothing come last, without rank.

    Ranked by 报送率, then by 及时率, both exact: 2 of 3 and 4 of 6 are a tie.
    """
    by_party: dict[int, list[Obligation]] = {}
    for ob in fallen_due(obligations, as_of):
        by_party.setdefault(ob.party_id, []).append(ob)
    counted = {party: totals(mine) for party, mine in by_party.items()}
    owing = [party for party in sorted(counted) if counted[party].owed]
    places = ranked(owing, lambda party: _score(counted[party]))
    free = [party for party in sorted(counted) if not counted[party].owed]
    return [
        *(UnitStanding(party_id=party, totals=counted[party], rank=rank) for rank, party in places),
        *(UnitStanding(party_id=party, totals=counted[party], rank=None) for party in free),
    ]


def _score(t: Totals) -> tuple[Fraction, Fraction]:
    return Fraction(t.reported, t.owed), Fraction(t.on_time, t.owed)
