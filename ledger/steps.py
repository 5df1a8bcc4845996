"""Verbs on steps that ended and on drains of the queue: recorded, and asked for."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import deliverable_ids, written
from ledger.tables import DrainRow, ObligationRow, PartyRow, StepRunRow, SubmissionRow
from ledger.tables.base import table_of
from rules.obligations import SubmissionState

_runs = table_of(StepRunRow)


def last_runs(session: Session, campaign_id: int) -> dict[str, datetime]:
    """Return for each kind of step the latest moment for which one ended well."""
    query = select(_runs.c.kind, func.max(_runs.c.as_of)).where(_runs.c.campaign_id == campaign_id)
    return {row.kind: row[1] for row in session.execute(query.group_by(_runs.c.kind))}


def record_step(
    session: Session,
    act: Act,
    campaign_id: int,
    kind: str,
    *,
    step_at: datetime | None,
    superseded: Sequence[dict[str, Any]],
) -> None:
    """Record that a step ended; what it stands for is said in the audit trail too."""
    row = StepRunRow(campaign_id=campaign_id, kind=kind, step_at=step_at, superseded=list(superseded), **written(act))
    session.add(row)
    session.flush()
    if superseded:
        told = {"kind": kind, "superseded": list(superseded)}
        audit.append(session, act, "steps.superseded", told, campaign_id=campaign_id)


def record_drain(
    session: Session, act: Act, campaign_id: int, *, newest: int, due: int, live: bool, stops: int, closed: int
) -> None:
    """Record what a drain has dealt with, in place of the one before."""
    found = {"newest": newest, "due": due, "live": live, "stops": stops, "closed": closed, **written(act)}
    session.merge(DrainRow(campaign_id=campaign_id, **found))


def last_drain(session: Session, campaign_id: int) -> DrainRow | None:
    """Return what the last drain of a campaign's queue has dealt with."""
    return session.get(DrainRow, campaign_id)


def still_owed(
    session: Session, campaign_id: int, dues: Collection[tuple[str, datetime]]
) -> list[tuple[str, datetime]]:
    """Return those of some (deliverable key, due instant) pairs by which somebody owes something still."""
    keys = {id_: key for key, id_ in deliverable_ids(session, campaign_id).items()}
    reported = exists().where(
        SubmissionRow.obligation_id == ObligationRow.id, SubmissionRow.state != SubmissionState.RETURNED
    )
    query = (
        select(ObligationRow.deliverable_id, ObligationRow.due_at)
        .distinct()
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .where(
            ObligationRow.campaign_id == campaign_id,
            ObligationRow.due_at.in_({due for _, due in dues}),
            ObligationRow.exempt_at.is_(None),
            PartyRow.left_at.is_(None),
            ~reported,
        )
    )
    wanted = set(dues)
    found = ((keys[id_], due) for id_, due in session.execute(query) if due is not None)
    return sorted(pair for pair in found if pair in wanted)
