"""The fence: until a campaign is live, its mail leaves only to addresses on the allow list."""

from collections import Counter
from collections.abc import Collection

from sqlalchemy import ColumnElement, TextClause, func, select, text
from sqlalchemy.orm import Session

from ledger.campaigns import find_campaign
from ledger.facts import contacts_by_party
from ledger.tables import CampaignRow, MessageRow
from ledger.tables.messages import WAITS
from office.premises import Premises
from rules.delivery import choose_contact, is_allowed


def is_open(session: Session, premises: Premises, campaign: str) -> bool:
    """Whether a campaign's mail leaves to every contact.

    Raises:
        UnknownCampaign: it has not been launched.

    """
    return premises.rehearsal or find_campaign(session, campaign).live


def holds(campaign: CampaignRow, premises: Premises, address: str) -> bool:
    """Whether the fence holds a campaign's mail to an address."""
    return not (campaign.live or premises.rehearsal or is_allowed(address, premises.allow_list))


def held_among(session: Session, premises: Premises, message_ids: Collection[int]) -> dict[int, str]:
    """Return those of some mails that wait behind the fence, each with its campaign's key."""
    keys = _fenced(session, premises)
    query = select(MessageRow.id, MessageRow.campaign_id, MessageRow.party_id, MessageRow.notice)
    rows = session.execute(query.where(*_waits(keys), MessageRow.id.in_(message_ids))).all()
    held = _held(session, premises, {(party_id, notice) for _, _, party_id, notice in rows})
    return {id_: keys[campaign_id] for id_, campaign_id, party_id, notice in rows if (party_id, notice) in held}


def held_by_campaign(session: Session, premises: Premises, campaign: str | None = None) -> Counter[str]:
    """Count what waits behind the fence, by campaign; of one campaign, if it is named."""
    keys = {id_: key for id_, key in _fenced(session, premises).items() if campaign in (None, key)}
    kind = (MessageRow.campaign_id, MessageRow.party_id, MessageRow.notice)
    rows = session.execute(select(*kind, func.count()).where(*_waits(keys)).group_by(*kind)).all()
    held = _held(session, premises, {(party_id, notice) for _, party_id, notice, _ in rows})
    counted: Counter[str] = Counter()
    for campaign_id, party_id, notice, count in rows:
        if (party_id, notice) in held:
            counted[keys[campaign_id]] += count
    return counted


def waiting_in(session: Session, campaign: str | None) -> int:
    """Count what waits to leave, behind the fence or not; of one campaign, if it is named."""
    query = select(func.count()).select_from(MessageRow).where(text(WAITS))
    if campaign is not None:
        of = select(CampaignRow.id).where(CampaignRow.key == campaign)
        query = query.where(MessageRow.campaign_id.in_(of))
    return session.scalars(query).one()


def _fenced(session: Session, premises: Premises) -> dict[int, str]:
    """Return the campaigns whose fence is closed."""
    if premises.rehearsal:
        return {}
    query = select(CampaignRow.id, CampaignRow.key).where(~CampaignRow.live)
    return {row.id: row.key for row in session.execute(query)}


def _waits(campaigns: Collection[int]) -> tuple[TextClause, ColumnElement[bool]]:
    return text(WAITS), MessageRow.campaign_id.in_(campaigns)


def _held(session: Session, premises: Premises, kinds: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """Return the pairs of party and notice whose contact the fence does not let through."""
    contacts = contacts_by_party(session, sorted({party_id for party_id, _ in kinds}))
    chosen = {kind: choose_contact(contacts[kind[0]], kind[1]) for kind in kinds}
    return {kind for kind, to in chosen.items() if to is not None and not is_allowed(to.address, premises.allow_list)}
