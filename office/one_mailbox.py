"""A unit whose liaison and responsible person have one mailbox gets one reminder, not two alike."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.facts import contacts_by_party
from ledger.merging import merge, twins_planned
from rules.delivery import choose_contact
from rules.notices import REMINDER_OF
from rules.timetable import Reader


def of_one_mailbox(session: Session, party_ids: Collection[int]) -> frozenset[int]:
    """Return the units whose reminders to liaison and responsible person would go to one address now."""
    found = set()
    for party, contacts in contacts_by_party(session, party_ids).items():
        chosen = [choose_contact(contacts, REMINDER_OF[reader]) for reader in Reader]
        addresses = {contact.address.lower() for contact in chosen if contact is not None}
        if len(addresses) == 1:
            found.add(party)
    return frozenset(found)


def merge_reminders(session: Session, act: Act, campaign_id: int, occasion: str) -> int:
    """Make one mail of the two reminders that an act has just planned for one mailbox; return how many were spared."""
    pairs = twins_planned(session, act, campaign_id, occasion)
    shared = of_one_mailbox(session, {pair.party_id for pair in pairs}) if pairs else frozenset()
    alike = [pair for pair in pairs if pair.party_id in shared]
    if alike:
        merge(session, act, campaign_id, alike)
    return len(alike)
