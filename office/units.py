"""Finding what staff name: a unit by its code, one thing it owes by its deliverable."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import Deliverable
from ledger.errors import UnknownParty
from ledger.tables import CampaignRow, CampaignState, DeliverableRow, ObligationRow, PartyRow
from office.rulebook import rulebook_of


def find_unit(session: Session, code: str, campaign: str | None = None) -> PartyRow:
    """Return a unit by its code; where it takes part in several campaigns, the one named or the only one open.

    Raises:
        UnknownParty: none has it, or several do.

    """
    query = select(PartyRow, CampaignRow).join(CampaignRow, CampaignRow.id == PartyRow.campaign_id)
    query = query.where(PartyRow.code == code)
    if campaign is not None:
        query = query.where(CampaignRow.key == campaign)
    found = [(party, row) for party, row in session.execute(query)]
    still = [(party, row) for party, row in found if row.state != CampaignState.CLOSED] or found
    if not still:
        raise UnknownParty(
            f"no unit {code!r} takes part in {campaign or 'any campaign'}; `muster board` lists the codes"
        )
    if len(still) > 1:
        keys = ", ".join(row.key for _, row in still)
        raise UnknownParty(f"{code} takes part in {keys}; say which with --campaign")
    return still[0][0]


def find_obligation(session: Session, party: PartyRow, named: str, occurrence: str | None = None) -> ObligationRow:
    """Return what a unit owes by key, title or label of the deliverable; of a series the occurrence named.

    Raises:
        ValueError: it owes no such thing, or several, with what it owes.

    """
    deliverable = find_deliverable(session, party, named)
    query = (
        select(ObligationRow)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(ObligationRow.party_id == party.id, DeliverableRow.key == deliverable.key)
        .order_by(ObligationRow.id)
    )
    mine = session.scalars(query).all()
    chosen = [o for o in mine if occurrence is None or o.occurrence == occurrence]
    if not chosen:
        raise ValueError(f"{party.code} does not owe {named}{_of(mine)}")
    if len(chosen) > 1:
        raise ValueError(f"{party.code} owes {named} several times{_of(mine)}: say which with --occurrence")
    return chosen[0]


def _of(obligations: Sequence[ObligationRow]) -> str:
    return f" ({', '.join(o.occurrence for o in obligations)})" if obligations else ""


def find_deliverable(session: Session, party: PartyRow, named: str) -> Deliverable:
    """Return a deliverable of a unit's campaign by key, title or label.

    Raises:
        ValueError: there is none, with those that there are.

    """
    campaign = rulebook_of(session.get_one(CampaignRow, party.campaign_id)).campaign
    found = [d for d in campaign.deliverables if named in (d.key, d.title, d.label)]
    if len(found) != 1:
        raise ValueError(f"no deliverable {named!r}; there are {', '.join(d.key for d in campaign.deliverables)}")
    return found[0]
