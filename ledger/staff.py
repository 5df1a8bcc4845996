"""Verbs on staff's accounts and their visits, each with its audit entry. No password and no cookie is kept."""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.errors import AlreadyRecorded, UnknownStaff
from ledger.tables import StaffRow, VisitRow


def staff_of(session: Session) -> list[StaffRow]:
    """Return the accounts in use, by name."""
    return list(session.scalars(select(StaffRow).where(StaffRow.removed_at.is_(None)).order_by(StaffRow.name)))


def anybody(session: Session) -> bool:
    """Whether there is an account."""
    return session.scalar(select(StaffRow.id).where(StaffRow.removed_at.is_(None)).limit(1)) is not None


def known_staff(session: Session, name: str) -> StaffRow | None:
    """Return the account of a name, if there is one."""
    return session.scalar(select(StaffRow).where(StaffRow.name == name, StaffRow.removed_at.is_(None)))


def find_staff(session: Session, name: str) -> StaffRow:
    """Return the account of a name.

    Raises:
        UnknownStaff: there is none.

    """
    row = known_staff(session, name)
    if row is None:
        raise UnknownStaff(f"there is no account {name!r}; `muster staff list` lists them")
    return row


def add_staff(session: Session, act: Act, name: str, display: str, role: str, password: str) -> StaffRow:
    """Record an account; ``password`` is its hash.

    Raises:
        AlreadyRecorded: the name is taken.

    """
    if known_staff(session, name) is not None:
        raise AlreadyRecorded(f"there is an account {name} already; `muster staff role` or `password` changes it")
    row = StaffRow(name=name, display=display, role=role, password=password, failures=0, **written(act))
    session.add(row)
    session.flush()
    audit.append(session, act, "staff.added", {"account": name, "display": display, "role": role})
    return row


def give_role(session: Session, act: Act, row: StaffRow, role: str) -> None:
    """Give an account another role."""
    before, row.role = row.role, role
    session.flush()
    audit.append(session, act, "staff.role", {"account": row.name, "before": before, "after": role})


def give_password(session: Session, act: Act, row: StaffRow, password: str) -> int:
    """Give an account another password, by its hash; return how many visits ended by it: all of that person."""
    row.password, row.failures = password, 0
    ended = end_visits(session, act, row)
    audit.append(session, act, "staff.password", {"account": row.name, "visits_ended": ended})
    return ended


def remove_staff(session: Session, act: Act, row: StaffRow) -> int:
    """Remove an account; return how many visits ended by it. What it did stays on record under its name."""
    row.removed_at = act.wall
    ended = end_visits(session, act, row)
    audit.append(session, act, "staff.removed", {"account": row.name, "visits_ended": ended})
    return ended


def end_visits(session: Session, act: Act, row: StaffRow) -> int:
    """End all visits of an account; return how many went on."""
    session.flush()
    going_on = (VisitRow.staff_id == row.id, VisitRow.ended_at.is_(None))
    count = session.scalars(select(func.count()).select_from(VisitRow).where(*going_on)).one()
    session.execute(update(VisitRow).where(*going_on).values(ended_at=act.wall))
    return count


def open_visit(session: Session, act: Act, row: StaffRow, digest: str, address: str) -> VisitRow:
    """Record a login, with how many failed before it."""
    visit = VisitRow(
        staff_id=row.id, digest=digest, opened_at=act.wall, seen_at=act.wall, ended_at=None, **written(act)
    )
    session.add(visit)
    failed, row.failures = row.failures, 0
    session.flush()
    audit.append(session, act, "staff.login", {"account": row.name, "from": address, "failed_before": failed})
    return visit


def count_failure(session: Session, act: Act, row: StaffRow, address: str) -> None:
    """Record a login that failed."""
    row.failures += 1
    session.flush()
    detail = {"account": row.name, "from": address, "failures": row.failures}
    audit.append(session, act, "staff.login_failed", detail)


def count_stranger(session: Session, act: Act, address: str, in_hour: int) -> None:
    """Record a login under an unknown name, of which nothing is kept: somebody may have typed a password there.

    One that is not to be recorded (0) is taken back, so that it takes as long as the others.
    """
    with session.begin_nested() as attempt:
        audit.append(session, act, "staff.login_failed", {"account": "", "from": address, "failures": in_hour})
        if not in_hour:
            attempt.rollback()


def find_visit(session: Session, digest: str) -> tuple[VisitRow, StaffRow] | None:
    """Return a visit and whose it is, if it was not ended and the account is in use."""
    query = (
        select(VisitRow, StaffRow)
        .join(StaffRow, StaffRow.id == VisitRow.staff_id)
        .where(VisitRow.digest == digest, VisitRow.ended_at.is_(None), StaffRow.removed_at.is_(None))
    )
    found = session.execute(query).first()
    return (found[0], found[1]) if found is not None else None


def touch_visit(session: Session, digest: str, at: datetime) -> None:
    """Keep that a visit goes on."""
    session.execute(update(VisitRow).where(VisitRow.digest == digest, VisitRow.seen_at < at).values(seen_at=at))


def end_visit(session: Session, act: Act, digest: str) -> None:
    """End one visit."""
    found = find_visit(session, digest)
    if found is not None:
        found[0].ended_at = act.wall
        session.flush()
        audit.append(session, act, "staff.logout", {"account": found[1].name})
