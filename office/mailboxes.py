"""Mailboxes: one that does not exist is passed over wherever it is named, and staff hear of it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import contacts_at, mark_contact_bad
from ledger.tables import CampaignRow, CampaignState, PartyRow
from office.alerts import CONTACTS, alert_staff
from office.premises import Premises


def give_up_mailbox(session: Session, premises: Premises, act: Act, address: str, reason: str) -> None:
    """Mark every contact at an address bad, of whichever party and campaign, and tell the staff of each campaign.

    The mailbox is at fault and not the entry by which it was found: who else names it would write to nobody, too.
    A closed campaign writes to nobody any more, so its staff are spared.
    """
    contacts = [contact for contact in contacts_at(session, address) if contact.bad_since is None]
    for contact in contacts:
        mark_contact_bad(session, act, contact, reason)
    concerned = (
        select(CampaignRow.key)
        .join(PartyRow, PartyRow.campaign_id == CampaignRow.id)
        .where(PartyRow.id.in_({contact.party_id for contact in contacts}), CampaignRow.state != CampaignState.CLOSED)
        .distinct()
        .order_by(CampaignRow.key)
    )
    for campaign in session.scalars(concerned).all():
        alert_staff(session, premises, act, campaign, CONTACTS)
