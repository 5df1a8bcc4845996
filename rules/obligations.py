"""An obligation and where it stands: what was handed in for it, whether in time, and whether it is still owed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from rules.deadlines import ONCE, is_overdue


class SubmissionState(StrEnum):
    """What became of one version handed in."""

    ACCEPTED = "accepted"  # 已接收
    SUBMITTED = "submitted"  # 待审核: clean, and waits for staff where a deliverable is reviewed by them
    QUERIED = "queried"  # 待核实: counts as reported, queried figures are kept out of the totals
    RETURNED = "returned"  # 退回: counts as missing until corrected


class Standing(StrEnum):
    """Where an obligation stands."""

    MISSING = "missing"  # 未报
    RETURNED = "returned"  # 退回待补正
    QUERIED = "queried"  # 已报待核实
    SUBMITTED = "submitted"  # 已报待审核
    ACCEPTED = "accepted"  # 已报
    EXEMPT = "exempt"  # 免报
    LEFT = "left"  # 已退出


RANK = {
    SubmissionState.ACCEPTED: 3,
    SubmissionState.SUBMITTED: 2,
    SubmissionState.QUERIED: 1,
    SubmissionState.RETURNED: 0,
}
REPORTED = frozenset({Standing.ACCEPTED, Standing.SUBMITTED, Standing.QUERIED})
OWED = frozenset({Standing.MISSING, Standing.RETURNED})
OUTSIDE_RATES = frozenset({Standing.EXEMPT, Standing.LEFT})


class Version(NamedTuple):
    """One version handed in: its number, the moments it was received and taken in, and its state."""

    number: int
    received_at: datetime
    state: SubmissionState
    taken_in_at: datetime | None = None  # when it was judged and, if need be, returned; None: as it was received


class Obligation(NamedTuple):
    """An obligation with the facts known of it. ``due`` is None for voluntary materials.

    A tuple, as a launch makes them by the ten thousand.
    """

    id: int
    party_id: int
    superior_id: int | None  # the party that hears of it if the unit stays silent
    category: str
    deliverable: str  # key
    occurrence: str
    due: datetime | None
    chase_from: datetime
    versions: tuple[Version, ...] = ()
    exempt: bool = False
    left_at: datetime | None = None
    first_due: datetime | None = None  # what it was due by before a return gave it a later instant
    department_id: int | None = None  # the party that answers for its trade

    @property
    def voluntary(self) -> bool:
        """Whether nothing is owed: no due instant."""
        return self.due is None

    @property
    def judged_by(self) -> datetime | None:
        """The due instant by which lateness is judged: a return asks again, and makes nobody punctual."""
        return self.first_due or self.due


def titled(title: str, occurrence: str) -> str:
    """Return how a deliverable is named where one of its occurrences is meant: of a series with the occurrence."""
    return title if occurrence == ONCE else f"{title}（{occurrence}）"


def counting_version(versions: Iterable[Version]) -> Version | None:
    """Return the version that counts: the last accepted, else submitted, else queried, else returned."""
    return max(versions, key=lambda v: (RANK[v.state], v.number), default=None)


def standing(obligation: Obligation) -> Standing:
    """Return where an obligation stands by the facts it carries."""
    if obligation.exempt:
        return Standing.EXEMPT
    if obligation.left_at is not None and not is_overdue(obligation.due, obligation.left_at):
        return Standing.LEFT
    version = counting_version(obligation.versions)
    return Standing.MISSING if version is None else Standing(version.state)


def is_owed(obligation: Obligation) -> bool:
    """Whether the unit still has to hand in: nothing there, or only what was returned."""
    return not obligation.voluntary and obligation.left_at is None and standing(obligation) in OWED


def is_on_time(obligation: Obligation) -> bool | None:
    """Whether it was reported in time; None while it is not reported.

    A corrected return counts by its first version: the unit that answered in time and was sent back is not late.
    """
    if obligation.judged_by is None or standing(obligation) not in REPORTED:
        return None
    return first_received(obligation.versions) < obligation.judged_by


def was_corrected_late(obligation: Obligation) -> bool:
    """Whether it counts as on time only by its first version; shown apart in every table."""
    version = counting_version(obligation.versions)
    return (
        bool(is_on_time(obligation)) and version is not None and is_overdue(obligation.judged_by, version.received_at)
    )


def first_received(versions: Sequence[Version]) -> datetime:
    """Return the moment the first version came in."""
    return min(v.received_at for v in versions)
