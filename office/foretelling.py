"""What correcting a deadline would do to the rates, shown before it is done: what was handed in is judged anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.facts import load_obligations
from office.correcting import Correction, correct
from office.premises import Premises
from office.rulebook import open_book
from rules.obligations import Obligation, is_on_time
from rules.rates import Totals, totals


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """The rates before and after, and how many units have something that would become late, or on time."""

    before: Totals
    after: Totals
    become_late: int
    become_on_time: int

    @property
    def rewrites(self) -> bool:
        """Whether what has been handed in would be judged otherwise than now."""
        return bool(self.become_late or self.become_on_time)


def foretell(
    session: Session,
    premises: Premises,
    act: Act,
    campaign: str,
    correction: Correction,
    *,
    to: Sequence[str],
    grounds: str,
) -> Foretold:
    """Correct the circular and take it back again: the very verb says what it would change, and nothing is written."""
    row, _ = open_book(session, campaign)
    before = {ob.id: ob for ob in load_obligations(session, row.id)}
    with session.begin_nested() as tried:
        correct(session, premises, act, campaign, correction, to=to, grounds=grounds)
        after = load_obligations(session, row.id)
        tried.rollback()
    session.expire_all()
    return Foretold(
        before=totals(before.values()),
        after=totals(after),
        become_late=_units(before, after, on_time=False),
        become_on_time=_units(before, after, on_time=True),
    )


def _units(before: Mapping[int, Obligation], after: Sequence[Obligation], *, on_time: bool) -> int:
    """Return how many units have something that was handed in and would be judged so from now on."""
    turned = {ob.party_id for ob in after if is_on_time(ob) is on_time and is_on_time(before[ob.id]) is not on_time}
    return len(turned)
