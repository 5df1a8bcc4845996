"""Finding what staff name: a unit by its code or name, one thing it owes by its deliverable, a version of it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from definition.models import Deliverable
from ledger.errors import UnknownParty
from ledger.review import versions_of
from ledger.tables import CampaignRow, CampaignState, DeliverableRow, ObligationRow, PartyRow, SubmissionRow
from office.choosing import deliverable_of
from office.refusals import Mistaken
from office.rulebook import rulebook_of


def find_unit(session: Session, code: str, campaign: str | None = None) -> PartyRow:
    """Return a unit by its code or full name; where it takes part in several campaigns, the one named or the only open.

    Raises:
        UnknownParty: none has it, or several do.
        Mistaken: several units of a campaign bear the name.

    """
    found = _known_as(session, PartyRow.code == code, campaign) or _known_as(session, PartyRow.name == code, campaign)
    still = [(party, row) for party, row in found if row.state != CampaignState.CLOSED] or found
    if not still:
        raise UnknownParty(
            f"no unit {code!r} takes part in {campaign or 'any campaign'}; `muster board` lists the codes"
        )
    if len({row.key for _, row in still}) < len(still):
        codes = [party.code for party, _ in still]
        raise Mistaken(
            "same_name",
            f"several units are called {code} ({', '.join(codes)}); name one by its code",
            named=code,
            known="、".join(codes),
        )
    if len(still) > 1:
        keys = ", ".join(row.key for _, row in still)
        raise UnknownParty(f"{code} takes part in {keys}; say which with --campaign")
    return still[0][0]


def _known_as(
    session: Session, known_as: ColumnElement[bool], campaign: str | None
) -> list[tuple[PartyRow, CampaignRow]]:
    query = select(PartyRow, CampaignRow).join(CampaignRow, CampaignRow.id == PartyRow.campaign_id).where(known_as)
    if campaign is not None:
        query = query.where(CampaignRow.key == campaign)
    return [(party, row) for party, row in session.execute(query.order_by(PartyRow.id))]


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
        code, known = ("unknown_occurrence", "、".join(o.occurrence for o in mine)) if mine else ("owes_none", "")
        raise Mistaken(
            code,
            f"{party.code} does not owe {named}{_of(mine)}",
            named=named,
            unit=party.name,
            occurrence=occurrence or "",
            known=known,
        )
    if len(chosen) > 1:
        raise Mistaken(
            "which_occurrence",
            f"{party.code} owes {named} several times{_of(mine)}: say which with --occurrence",
            named=named,
            known="、".join(o.occurrence for o in mine),
        )
    return chosen[0]


def find_version(session: Session, party: PartyRow, named: str, occurrence: str | None = None) -> SubmissionRow:
    """Return the latest version of what a unit handed in for a deliverable.

    Raises:
        ValueError: it owes no such thing, or several, or has handed in nothing.

    """
    obligation = find_obligation(session, party, named, occurrence)
    versions = versions_of(session, obligation.id)
    if not versions:
        raise Mistaken(
            "nothing_handed_in", f"{party.code} has handed in nothing for {named}", unit=party.name, named=named
        )
    return max(versions, key=lambda v: v.version)


def _of(obligations: Sequence[ObligationRow]) -> str:
    return f" ({', '.join(o.occurrence for o in obligations)})" if obligations else ""


def find_deliverable(session: Session, party: PartyRow, named: str) -> Deliverable:
    """Return a deliverable of a unit's campaign by key, title or label.

    Raises:
        ValueError: there is none, with those that there are.

    """
    campaign = rulebook_of(session.get_one(CampaignRow, party.campaign_id)).campaign
    return deliverable_of(campaign, named)
