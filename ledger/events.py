"""Events: that something happened, written with it, to be told to others after the commit, at least once.

What waits is bundled: all events of one kind, campaign and origin are told as one. While such a bundle is not known to
have arrived no other of its sort is made, so that an outage leaves one, however long it was.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from ledger.acts import Act
from ledger.campaigns import written
from ledger.event_kinds import EventKind, Origin, Told, checked
from ledger.tables import BundleRow, EventRow

NAMED = 50  # causes named in one bundle; the rest are counted
# After a large bundle the next of its sort waits longer, as what the large one woke takes longer: so many events a
# second, at most so long.
PER_SECOND, LONGEST_QUIET_S = 10.0, 60.0
Sort = tuple[str, int | None, str]  # kind, campaign, origin

_origin: ColumnElement[str] = case((EventRow.flow_run_id.is_(None), Origin.DESK.value), else_=Origin.FLOW.value)


def note(session: Session, act: Act, kind: EventKind, payload: Mapping[str, Any], campaign_id: int | None) -> None:
    """Write an event in the caller's transaction, which also holds its cause.

    Raises:
        ValueError: it does not say what its kind does.

    """
    session.add(EventRow(campaign_id=campaign_id, name=kind.value, payload=checked(kind, payload), **written(act)))


def bundle(session: Session, act: Act) -> list[BundleRow]:
    """Bundle the events that wait, and return the bundles; what has to wait its turn is left for the next time."""
    loose = (EventRow.told_at.is_(None), EventRow.bundle_id.is_(None))
    query = (
        select(EventRow.name, EventRow.campaign_id, _origin, func.min(EventRow.id), func.max(EventRow.id))
        .where(*loose)
        .group_by(EventRow.name, EventRow.campaign_id, _origin)
        .order_by(func.min(EventRow.id))
    )
    waits = [(name, campaign, origin, first, last) for name, campaign, origin, first, last in session.execute(query)]
    if not waits:
        return []
    busy = _in_turn(session, act)
    made = []
    for name, campaign, origin, first, last in waits:
        if (name, campaign, origin) in busy:
            continue
        bundle_id = str(uuid4())
        these = (*loose, EventRow.name == name, EventRow.campaign_id == campaign, _origin == origin)
        claim = update(EventRow).where(*these, EventRow.id.between(first, last)).values(bundle_id=bundle_id)
        quiet = {"synchronize_session": False, "preserve_rowcount": True}
        if count := session.execute(claim, execution_options=quiet).rowcount:  # type: ignore[attr-defined]
            made.append(_record(session, act, (name, campaign, origin), bundle_id, count))
    return made


def _in_turn(session: Session, act: Act) -> set[Sort]:
    """Return the sorts of which a bundle is on its way, or was so large so lately that the next one waits."""
    recent = act.wall - timedelta(seconds=LONGEST_QUIET_S)
    query = select(BundleRow).where(or_(BundleRow.listed_at.is_(None), BundleRow.recorded_at > recent))
    return {
        (row.name, row.campaign_id, row.origin)
        for row in session.scalars(query)
        if row.listed_at is None or (act.wall - row.recorded_at).total_seconds() < quiet_s(row.count)
    }


def quiet_s(count: int) -> float:
    """Return how long a bundle of so many events keeps others of its sort waiting."""
    return min(count / PER_SECOND, LONGEST_QUIET_S)


def _record(session: Session, act: Act, sort: Sort, bundle_id: str, count: int) -> BundleRow:
    name, campaign, origin = sort
    query = select(EventRow.payload, EventRow.recorded_at).where(EventRow.told_at.is_(None))
    query = query.where(EventRow.bundle_id == bundle_id).order_by(EventRow.id).limit(NAMED)
    causes = session.execute(query).all()
    told = Told(count=count, first_at=causes[0].recorded_at, causes=[cause for cause, _ in causes])
    row = BundleRow(
        id=bundle_id,
        name=name,
        campaign_id=campaign,
        origin=origin,
        count=count,
        payload=told.model_dump(mode="json"),
        occurred_at=causes[0].recorded_at,
        **written(act),
    )
    session.add(row)
    return row


def anything_untold(session: Session) -> bool:
    """Whether there is anything to tell, or told and not known to have arrived."""
    return session.scalar(select(EventRow.id).where(EventRow.told_at.is_(None)).limit(1)) is not None


def unlisted(session: Session) -> list[BundleRow]:
    """Return the bundles of which it is not known that they arrived, the oldest first."""
    return list(session.scalars(select(BundleRow).where(BundleRow.listed_at.is_(None)).order_by(BundleRow.recorded_at)))


def mark_emitted(session: Session, act: Act, ids: Collection[str]) -> None:
    """Say that bundles were sent off."""
    session.execute(update(BundleRow).where(BundleRow.id.in_(ids)).values(emitted_at=act.wall))


def mark_listed(session: Session, act: Act, ids: Sequence[str]) -> int:
    """Say that bundles have arrived; return how many events that were which nobody had struck off."""
    arrived = update(BundleRow).where(BundleRow.id.in_(ids), BundleRow.listed_at.is_(None)).values(listed_at=act.wall)
    session.execute(arrived)
    told = update(EventRow).where(EventRow.told_at.is_(None), EventRow.bundle_id.in_(ids)).values(told_at=act.wall)
    struck = session.execute(told, execution_options={"synchronize_session": False, "preserve_rowcount": True})
    return int(struck.rowcount)  # type: ignore[attr-defined]
