"""Verbs on what senders share: leases, connection slots, the pace of lanes, and holds on sending."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.bulk import Bulk, Step
from ledger.campaigns import written
from ledger.errors import UnknownHold
from ledger.tables import HoldRow, LaneRow, SenderRow, SlotRow
from ledger.tables.base import table_of
from rules.lanes import LanePace

LEASE = timedelta(minutes=2)
CLAIM_LOCK = 7_316_002  # PostgreSQL: claims are made one at a time; SQLite's write lock does the same
EVERYTHING = "all"

_senders = table_of(SenderRow)
_MARK = Bulk(
    update(_senders)
    .where(_senders.c.name == bindparam("b_name"))
    .values(at_data=bindparam("b_ids"), lease_until=bindparam("b_until")),
    ("b_ids", "b_until", "b_name"),
)


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A hold in force: what it stops, who put it there, when and why."""

    scope: str
    actor: str
    grounds: str
    since: datetime


def scope_of_campaign(key: str) -> str:
    """Return the scope of a hold on one campaign."""
    return f"campaign:{key}"


def scope_of_lane(name: str) -> str:
    """Return the scope of a hold on one lane."""
    return f"lane:{name}"


def one_claim_at_a_time(session: Session) -> None:
    """Wait until no other sender is claiming: caps, lanes and slots are counted while this transaction lasts."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CLAIM_LOCK})


def sign_on(session: Session, act: Act, name: str, *, host: str, pid: int) -> None:
    """Let a sender begin; its lease runs from now."""
    session.execute(
        insert(SenderRow).values(
            name=name,
            host=host[:200],
            pid=pid,
            flow_run_id=act.flow_run_id,
            started_at=act.wall,
            lease_until=act.wall + LEASE,
            at_data=[],
        )
    )


def stands(session: Session, name: str) -> bool:
    """Whether a sender is on record, and was not struck off."""
    return session.scalar(select(SenderRow.name).where(SenderRow.name == name)) is not None


def renew_lease(session: Session, name: str, wall: datetime) -> bool:
    """Let a sender's lease run on; return False if others have struck it off already."""
    kept = session.scalar(
        update(SenderRow).where(SenderRow.name == name).values(lease_until=wall + LEASE).returning(SenderRow.name)
    )
    return kept is not None


def marking(name: str, message_ids: Collection[int], wall: datetime) -> Step:
    """Return the step that puts on record which messages of a sender are at DATA, or about to be.

    From then on nobody may guess that they did not leave; what it names no longer has its result on record. The lease
    runs on. It touches no row if the sender was struck off: it has lost all it had claimed, and may send none of it.
    """
    return _MARK, [(sorted(message_ids), wall + LEASE, name)]


def at_data(session: Session) -> Mapping[str, frozenset[int]]:
    """Return the messages that senders have at DATA, by sender."""
    return {name: frozenset(ids) for name, ids in session.execute(select(_senders.c.name, _senders.c.at_data))}


def sign_off(session: Session, names: Collection[str]) -> None:
    """Strike senders off, with the connections they hold."""
    session.execute(delete(SlotRow).where(SlotRow.sender.in_(names)))
    session.execute(delete(SenderRow).where(SenderRow.name.in_(names)))


def vanished(session: Session, wall: datetime) -> list[str]:
    """Return the senders whose lease has run out."""
    return list(session.scalars(select(SenderRow.name).where(SenderRow.lease_until < wall)))


def live(session: Session, wall: datetime) -> list[str]:
    """Return the senders whose lease runs."""
    return list(session.scalars(select(SenderRow.name).where(SenderRow.lease_until >= wall)))


def free_slots(session: Session, sender: str, lane: str, limit: int, wall: datetime) -> int:
    """Return how many connections of a lane its limit leaves beside what other live senders hold."""
    query = (
        select(func.coalesce(func.sum(SlotRow.connections), 0))
        .join(SenderRow, SenderRow.name == SlotRow.sender)
        .where(SlotRow.lane == lane, SlotRow.sender != sender, SenderRow.lease_until >= wall)
    )
    return max(0, limit - int(session.scalars(query).one()))


def hold_slots(session: Session, sender: str, lane: str, connections: int) -> None:
    """Hold connections of a lane; a sender keeps what it has opened until it signs off."""
    mine = (SlotRow.sender == sender) & (SlotRow.lane == lane)
    held = session.scalar(select(SlotRow.connections).where(mine))
    if held is None:
        session.execute(insert(SlotRow).values(lane=lane, sender=sender, connections=connections))
    elif held < connections:
        session.execute(update(SlotRow).where(mine).values(connections=connections))


@dataclass(frozen=True, kw_only=True)
class LaneStand:
    """How a lane stands: its pace, and the next moment its rate leaves free (wall time)."""

    pace: LanePace = field(default_factory=LanePace)
    next_at: datetime | None = None
    reason: str = ""


def lane_stands(session: Session) -> dict[str, LaneStand]:
    """Return the lanes that were ever slowed or paced."""
    return {
        row.name: LaneStand(
            pace=LanePace(pace=row.pace, slowed_at=row.slowed_at, closed_until=row.closed_until),
            next_at=row.next_at,
            reason=row.reason,
        )
        for row in session.scalars(select(LaneRow))
    }


def reserve(session: Session, lane: str, next_at: datetime) -> None:
    """Put on record until when a lane's rate is used up."""
    _lane(session, lane).next_at = next_at


def slow_lane(session: Session, lane: str, pace: LanePace, reason: str) -> None:
    """Put a slower pace of a lane on record."""
    row = _lane(session, lane)
    row.pace, row.slowed_at, row.closed_until, row.reason = pace.pace, pace.slowed_at, pace.closed_until, reason[:300]


def _lane(session: Session, name: str) -> LaneRow:
    row = session.get(LaneRow, name)
    if row is None:
        row = LaneRow(name=name, pace=1.0, reason="")
        session.add(row)
        session.flush()
    return row


def holds_in_force(session: Session) -> list[Hold]:
    """Return the holds that stop sending now, oldest first."""
    rows = session.scalars(select(HoldRow).where(HoldRow.lifted_at.is_(None)).order_by(HoldRow.id))
    return [Hold(scope=r.scope, actor=r.actor, grounds=r.grounds, since=r.recorded_at) for r in rows]


def scopes_held(session: Session) -> frozenset[str]:
    """Return the scopes of the holds in force."""
    return frozenset(session.scalars(select(HoldRow.scope).where(HoldRow.lifted_at.is_(None))))


def is_held(scopes: Iterable[str], campaign: str) -> bool:
    """Whether holds stop a whole campaign."""
    return bool({EVERYTHING, scope_of_campaign(campaign)}.intersection(scopes))


def place_hold(session: Session, act: Act, scope: str, grounds: str) -> bool:
    """Stop sending in a scope; return False if it is stopped already.

    Raises:
        ValueError: no grounds.

    """
    if not grounds.strip():
        raise ValueError("say on what grounds sending is stopped")
    if scope in scopes_held(session):
        return False
    session.add(HoldRow(scope=scope, actor=act.actor, grounds=grounds[:1000], **written(act)))
    session.flush()
    audit.append(session, act, "mail.held", {"scope": scope, "grounds": grounds[:1000]})
    return True


def lift_hold(session: Session, act: Act, scope: str, grounds: str) -> None:
    """Let sending go on in a scope.

    Raises:
        UnknownHold: nothing is held there; the message names what is.
        ValueError: no grounds.

    """
    if not grounds.strip():
        raise ValueError("say on what grounds sending may go on")
    rows = session.scalars(select(HoldRow).where(HoldRow.scope == scope, HoldRow.lifted_at.is_(None))).all()
    if not rows:
        known = ", ".join(sorted(scopes_held(session))) or "nothing"
        raise UnknownHold(f"there is no hold on {scope!r}; on hold: {known}")
    for row in rows:
        row.lifted_at, row.lifted_by, row.lifted_grounds = act.wall, act.actor, grounds[:1000]
    audit.append(session, act, "mail.released", {"scope": scope, "grounds": grounds[:1000]})
