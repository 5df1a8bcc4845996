"""Milestones: instants that passed with reports still owed, and the moment at which nothing is owed any more.

No clock rings at either. The first step that runs after it finds it and writes the event, in its own transaction.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.arrears import asked_for, owed_since, owes_nothing
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.tables import CampaignRow, CampaignState, EventRow
from office.rulebook import Rulebook, rulebook_of


def note_overdue(session: Session, act: Act, row: CampaignRow) -> None:
    """Note what fell due since the campaign's latest moment and is still owed. Asked before that moment advances."""
    if row.state == CampaignState.CLOSED:
        return
    for deliverable, due, count in owed_since(session, row.id, row.latest_as_of, act.as_of):
        told = {"deliverable": deliverable, "due": due.isoformat(), "count": count}
        note(session, act, EventKind.OVERDUE, told, row.id)


def note_complete(session: Session, act: Act, row: CampaignRow) -> bool:
    """Note that everything owed is in, once for the same number of reports; return whether everything is."""
    session.flush()
    if row.state == CampaignState.CLOSED or not is_complete(session, act, row):
        return False
    told = {"obligations": asked_for(session, row.id)}
    before = select(EventRow.payload).where(EventRow.campaign_id == row.id, EventRow.name == EventKind.COMPLETE.value)
    if told not in session.scalars(before).all():
        note(session, act, EventKind.COMPLETE, told, row.id)
    return True


def is_complete(session: Session, act: Act, row: CampaignRow) -> bool:
    """Whether nothing is owed any more and no series will ask for more."""
    return _all_asked(rulebook_of(row), act) and owes_nothing(session, row.id) and asked_for(session, row.id) > 0


def _all_asked(book: Rulebook, act: Act) -> bool:
    """Whether the last occurrence of every series has come over the horizon."""
    today = act.as_of.astimezone(book.zone).date()
    series = (d.key for d in book.campaign.deliverables if d.recurrence is not None)
    ahead = (o.nominal for key in series for o in book.occurrences[key][-1:] if o.nominal is not None)
    return all((nominal - today).days <= book.campaign.horizon_days for nominal in ahead)
