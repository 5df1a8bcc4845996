"""The decisions of a campaign or a unit as staff read them: number, what, whom, who, when, why, whether undone."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.decisions import root_of, undone_numbers
from ledger.replay import UNDONE
from ledger.tables import ChangeRow, DecisionRow, DeliverableRow, ObligationRow, PartyRow
from office import wording
from office.mailbook import local, one_line
from rules.obligations import titled

Line = tuple[str, ...]


def decisions(session: Session, zone: ZoneInfo, campaign_id: int, party: PartyRow | None = None) -> list[Line]:
    """Return the decisions of a campaign, the first one first; of one unit, those that touched it."""
    query = select(DecisionRow).where(DecisionRow.campaign_id == campaign_id).order_by(DecisionRow.id)
    if party is not None:
        touched = select(ChangeRow.decision_id).where(ChangeRow.party_id == party.id)
        query = query.where((DecisionRow.party_id == party.id) | DecisionRow.id.in_(touched))
    undone = undone_numbers(session, campaign_id)
    return [
        (
            str(row.id),
            local(row.as_of, zone),
            what_was_decided(session, row),
            _about(session, row),
            row.actor,
            one_line(row.grounds),
            f"undone by {undone[row.id]}" if row.id in undone else "",
        )
        for row in session.scalars(query)
    ]


def what_was_decided(session: Session, decision: DecisionRow) -> str:
    """Return a decision's kind in words, and of one that takes another back which."""
    if decision.kind == UNDONE:
        root, _ = root_of(session, decision)
        return f"{wording.DECISION[UNDONE]} {decision.reverses}（{wording.DECISION.get(root.kind, root.kind)}）"
    return wording.DECISION.get(decision.kind, decision.kind)


def _about(session: Session, decision: DecisionRow) -> str:
    """Return whom and what a decision is about: a unit or the names it was made for, and the material."""
    party = session.get(PartyRow, decision.party_id) if decision.party_id is not None else None
    to: Sequence[str] = decision.after.get("to", ())
    whom = f"{party.code} {party.name}" if party is not None else "、".join(map(str, to))
    obligation = session.get(ObligationRow, decision.obligation_id) if decision.obligation_id is not None else None
    if obligation is None:
        what = str(decision.after.get("deliverable") or decision.after.get("subject") or "")
    else:
        title = session.get_one(DeliverableRow, obligation.deliverable_id).title
        what = titled(title, obligation.occurrence)
    return "　".join(part for part in (whom, what) if part)
