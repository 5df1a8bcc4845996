"""What decisions did to due instants and units, and what was known of them at a past moment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables import Changed, ChangeRow, DecisionRow

RETURNED_BY_STAFF, EXTENDED, REOPENED = "returned", "extended", "reopened"  # decisions that move a due instant
UNDONE = "undone"  # takes another back
MOVES_DUE = (RETURNED_BY_STAFF, EXTENDED, REOPENED)
JUDGES = ("accepted", "submitted")  # others, that give a version another state


@dataclass(kw_only=True)
class Moved:
    """How decisions moved a due instant: what it was at a past moment, and by what lateness is judged."""

    returns: dict[int, datetime | None] = field(default_factory=dict)  # that hold, each with the instant before it
    due: tuple[int, datetime | None] | None = None  # what it was at a past moment, before the decision named
    begin: tuple[int, datetime] | None = None  # of chasing

    @property
    def first_due(self) -> datetime | None:
        """What it was due by before the first return that holds."""
        return next(iter(self.returns.values()), None)

    def was_due(self, decision_id: int, due: datetime | None) -> None:
        """Note what it was due by before a later decision; the first of them tells."""
        if self.due is None or decision_id < self.due[0]:
            self.due = (decision_id, due)

    def was_chased_from(self, decision_id: int, begin: datetime) -> None:
        """Note since when it was chased before a later decision; the first of them tells."""
        if self.begin is None or decision_id < self.begin[0]:
            self.begin = (decision_id, begin)

    def at_that_time(self, due: datetime | None, chase_from: datetime) -> tuple[datetime | None, datetime]:
        """Return the due instant and the begin of chasing as they were known."""
        return self.due[1] if self.due else due, self.begin[1] if self.begin else chase_from


UNMOVED = Moved()


def moved_by_decisions(
    session: Session, campaign_id: int, known_at: datetime | None
) -> tuple[dict[int, Moved], dict[int, str]]:
    """Return what decisions did to due instants, by obligation, and the states that versions had at a past moment.

    Few due instants are moved, and they are read together; judgements are asked for only where a past is replayed.
    """
    kinds = MOVES_DUE if known_at is None else (*MOVES_DUE, *JUDGES)
    query = (
        select(
            DecisionRow.id,
            DecisionRow.obligation_id,
            DecisionRow.kind,
            DecisionRow.as_of,
            DecisionRow.before,
            DecisionRow.reverses,
        )
        .where(DecisionRow.campaign_id == campaign_id, DecisionRow.kind.in_(kinds))
        .order_by(DecisionRow.id)
    )
    moved: dict[int, Moved] = {}
    states: dict[int, str] = {}
    for decision_id, obligation_id, kind, as_of, before, reverses in session.execute(query):
        if known_at is not None and as_of > known_at:
            states = {int(id_): state for id_, state in before.get("states", {}).items()} | states
        if obligation_id is None or "due" not in before:
            continue
        due = datetime.fromisoformat(before["due"]) if before["due"] else None
        of_it = moved.setdefault(obligation_id, Moved())
        if known_at is not None and as_of > known_at:
            of_it.was_due(decision_id, due)
            of_it.was_chased_from(decision_id, datetime.fromisoformat(before["chase_from"]))
        elif kind == RETURNED_BY_STAFF:
            of_it.returns[decision_id] = due
        elif reverses is not None:
            of_it.returns.pop(reverses, None)
    if known_at is not None:
        for row in _changed_since(session, campaign_id, known_at, Changed.DUE, Changed.CHASE_FROM):
            _note_change(moved.setdefault(row.obligation_id or 0, Moved()), row)
    return moved, states


def _changed_since(session: Session, campaign_id: int, known_at: datetime, *fields: Changed) -> Iterator[ChangeRow]:
    """Yield what decisions changed after a moment, in order."""
    query = (
        select(ChangeRow)
        .join(DecisionRow, DecisionRow.id == ChangeRow.decision_id)
        .where(ChangeRow.campaign_id == campaign_id, ChangeRow.field.in_(fields), DecisionRow.as_of > known_at)
        .order_by(ChangeRow.id)
    )
    yield from session.scalars(query)


def _note_change(moved: Moved, row: ChangeRow) -> None:
    before = _moment(row.before)
    if row.field == Changed.DUE:
        moved.was_due(row.decision_id, before)
    elif before is not None:
        moved.was_chased_from(row.decision_id, before)


@dataclass(kw_only=True)
class Then:
    """What decisions after a moment changed, as it was at that moment; what none of them touched is as it is now."""

    exempted: Mapping[int, datetime | None] = field(default_factory=dict)
    gone: Mapping[int, datetime | None] = field(default_factory=dict)
    above: Mapping[int, int | None] = field(default_factory=dict)

    def exempt(self, obligation_id: int, now: datetime | None) -> datetime | None:
        """Return since when an obligation was exempt."""
        return self.exempted.get(obligation_id, now)

    def left(self, party_id: int, now: datetime | None) -> datetime | None:
        """Return since when a unit had left."""
        return self.gone.get(party_id, now)

    def superior(self, party_id: int, now: int | None) -> int | None:
        """Return the superior of a unit."""
        return self.above.get(party_id, now)


def values_then(session: Session, campaign_id: int, known_at: datetime) -> Then:
    """Return exemptions, leavings and superiors as they were at a moment, where later decisions changed them."""
    exempted: dict[int, datetime | None] = {}
    gone: dict[int, datetime | None] = {}
    above: dict[int, int | None] = {}
    for row in _changed_since(session, campaign_id, known_at, Changed.EXEMPT, Changed.LEFT, Changed.SUPERIOR):
        if row.obligation_id is not None:
            exempted.setdefault(row.obligation_id, _moment(row.before))
        elif row.party_id is not None and row.field == Changed.LEFT:
            gone.setdefault(row.party_id, _moment(row.before))
        elif row.party_id is not None:
            above.setdefault(row.party_id, int(row.before) if row.before else None)
    return Then(exempted=exempted, gone=gone, above=above)


def _moment(kept: str | None) -> datetime | None:
    return datetime.fromisoformat(kept) if kept else None
