"""What is still owed, asked by the set: whether anything is, and what fell due unanswered between two moments."""

from datetime import datetime

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from ledger.tables import DeliverableRow, ObligationRow, PartyRow, SubmissionRow
from ledger.tables.base import table_of
from rules.obligations import SubmissionState

_obligations, _parties = table_of(ObligationRow), table_of(PartyRow)
_submissions, _deliverables = table_of(SubmissionRow), table_of(DeliverableRow)


def owed_since(session: Session, campaign_id: int, after: datetime, until: datetime) -> list[tuple[str, datetime, int]]:
    """Return the deliverables and instants that fell due after one moment and by another, and how many still owe."""
    query = (
        select(_deliverables.c.key, _obligations.c.due_at, func.count())
        .join(_parties, _parties.c.id == _obligations.c.party_id)
        .join(_deliverables, _deliverables.c.id == _obligations.c.deliverable_id)
        .where(_of(campaign_id), _obligations.c.due_at > after, _obligations.c.due_at <= until, ~_reported())
        .group_by(_deliverables.c.key, _obligations.c.due_at)
        .order_by(_obligations.c.due_at, _deliverables.c.key)
    )
    return [(key, due, count) for key, due, count in session.execute(query)]


def asked_for(session: Session, campaign_id: int) -> int:
    """Return how many reports were asked for, reported or not; of units that left and exempt ones none."""
    return session.scalar(_counted(campaign_id)) or 0


def owes_nothing(session: Session, campaign_id: int) -> bool:
    """Whether every report that was asked for is in, and none was returned since."""
    return session.scalar(_counted(campaign_id).where(~_reported())) == 0


def _counted(campaign_id: int) -> Select[int]:
    query = select(func.count()).select_from(_obligations)
    return query.join(_parties, _parties.c.id == _obligations.c.party_id).where(_of(campaign_id))


def _of(campaign_id: int) -> ColumnElement[bool]:
    return (
        (_obligations.c.campaign_id == campaign_id)
        & _obligations.c.due_at.is_not(None)
        & _obligations.c.exempt_at.is_(None)
        & _parties.c.left_at.is_(None)
    )


def _reported() -> ColumnElement[bool]:
    counts = [state.value for state in SubmissionState if state is not SubmissionState.RETURNED]
    return exists().where(_submissions.c.obligation_id == _obligations.c.id, _submissions.c.state.in_(counts))
