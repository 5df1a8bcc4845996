"""The paper track: where a sealed original is asked for besides the electronic one, whether it has come."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable
from ledger.acts import Act
from ledger.campaigns import Change
from ledger.decisions import decide, iso
from ledger.facts import load_obligations
from ledger.tables import CampaignRow, Changed, DecisionRow, DeliverableRow, ObligationRow, PartyRow
from office import wording
from office.refusals import Mistaken, NotPossible
from office.rulebook import open_book, rulebook_of
from rules.obligations import REPORTED, Obligation, standing

ORIGINAL = "original_received"
LONGEST = 1000  # of grounds


def record_original(
    session: Session, act: Act, obligation: ObligationRow, received_at: datetime, grounds: str
) -> DecisionRow:
    """Record that the sealed original of something came on paper: a decision, which can be taken back.

    Raises:
        NotPossible: none is asked for.
        ValueError: the moment has not come yet.

    """
    if received_at > act.wall and received_at > act.as_of:
        raise Mistaken("not_yet", f"received {received_at.isoformat()} lies in the future")
    campaign = rulebook_of(session.get_one(CampaignRow, obligation.campaign_id)).campaign
    deliverable = campaign.deliverable(session.get_one(DeliverableRow, obligation.deliverable_id).key)
    if not deliverable.original:
        raise NotPossible("no_original", f"no sealed original is asked for of {deliverable.key}")
    was = iso(obligation.original_at)
    return decide(
        session,
        act,
        obligation.campaign_id,
        ORIGINAL,
        grounds.strip()[:LONGEST],
        party_id=obligation.party_id,
        obligation_id=obligation.id,
        changes=[Change(Changed.ORIGINAL, was, iso(received_at), obligation.party_id, obligation.id)],
    )


def originals_at(session: Session, campaign_id: int, campaign: Campaign) -> dict[int, datetime]:
    """Return by obligation when its original came on paper; where none is asked for, nothing is looked up."""
    if not any(d.original for d in campaign.deliverables):
        return {}
    query = select(ObligationRow.id, ObligationRow.original_at).where(
        ObligationRow.campaign_id == campaign_id, ObligationRow.original_at.is_not(None)
    )
    return {id_: at for id_, at in session.execute(query) if at is not None}


def original_text(deliverable: Deliverable, original_at: datetime | None, zone: ZoneInfo) -> str:
    """Return whether the original on paper came, as units and staff read it; empty where none is asked for."""
    if not deliverable.original:
        return ""
    if original_at is None:
        return wording.ORIGINAL["outstanding"]
    return wording.ORIGINAL["received"].format(day=wording.short_day_text(original_at, zone))


def tracks_text(deliverable: Deliverable, ob: Obligation, original_at: datetime | None, zone: ZoneInfo) -> str:
    """Return how both tracks stand, the electronic one first; empty where no original is asked for."""
    paper = original_text(deliverable, original_at, zone)
    return f"{wording.ELECTRONIC[standing(ob) in REPORTED]}，{paper}" if paper else ""


def outstanding_originals(session: Session, campaign: str) -> Sequence[tuple[str, str, str]]:
    """Return (code, unit, material) of what was reported electronically and whose original has not come."""
    row, book = open_book(session, campaign)
    wanted = {d.key: d.title for d in book.campaign.deliverables if d.original}
    if not wanted:
        return []
    query = select(ObligationRow.id, PartyRow.code, PartyRow.name).join(PartyRow, PartyRow.id == ObligationRow.party_id)
    query = query.where(ObligationRow.campaign_id == row.id, ObligationRow.original_at.is_(None))
    without = {id_: (code, name) for id_, code, name in session.execute(query)}
    return [
        (*without[o.id], wanted[o.deliverable])
        for o in load_obligations(session, row.id)
        if o.deliverable in wanted and o.id in without and standing(o) in REPORTED
    ]
