"""Launch: freeze the definition and the obligations; let a unit join; open the fence."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign, load_campaign
from definition.models import Campaign
from definition.roster import ContactRole, RosterContact, Unit
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import (
    NewContact,
    NewObligation,
    NewParty,
    freeze_obligations,
    record_campaign,
    record_decision,
    record_deliverables,
    record_parties,
)
from ledger.errors import AlreadyRecorded
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.outbox import count_waiting
from ledger.tables import CampaignRow, ContactRow, MessageRow, ObligationRow, PartyKind, PartyRow
from office.contact_changes import read_named
from office.contacts import NO_ADDRESS
from office.premises import Premises
from office.refusals import Mistaken
from office.rulebook import Rulebook, open_book, owed_by_unit
from rules.addresses import ADDRESS
from rules.deadlines import Occurrence

OFFICE = "OFFICE"


def load(premises: Premises, campaign: str) -> LoadedCampaign:
    """Load a campaign folder by its key or path.

    Raises:
        definition.faults.FaultyCampaign: with every fault found.

    """
    return load_campaign(
        find_folder(premises.campaigns, campaign),
        calendars=premises.campaigns / "calendar",
        notices=premises.templates / "email",
    )


def find_folder(campaigns: Path, campaign: str) -> Path:
    """Return the folder of a campaign given by key or path.

    Raises:
        FileNotFoundError: there is none, with the folders that there are.

    """
    for folder in (campaigns / campaign, Path(campaign)):
        if (folder / "campaign.yaml").is_file():
            return folder
    known = sorted(p.parent.name for p in campaigns.glob("*/campaign.yaml"))
    raise FileNotFoundError(
        f"no campaign {campaign!r}: there is no {campaigns / campaign}/campaign.yaml. "
        f"Known campaigns: {', '.join(known) or 'none'}"
    )


def launch_campaign(session: Session, premises: Premises, act: Act, loaded: LoadedCampaign) -> CampaignRow:
    """Freeze a campaign: definition, attachments, parties, contacts, and one obligation row each.

    Raises:
        AlreadyRecorded: it was launched before.

    """
    campaign = loaded.campaign
    for attachment in campaign.attachments:
        premises.files.put((loaded.folder / attachment.file).read_bytes())
    row = record_campaign(
        session,
        act,
        key=campaign.key,
        title=campaign.title,
        definition=campaign.dump(),
        digest=campaign.digest(),
    )
    record_deliverables(session, act, row.id, ((d.key, d.title, str(d.kind)) for d in campaign.deliverables))
    parties = record_parties(session, act, row.id, [_office(campaign), *(_party(campaign, u) for u in loaded.units)])
    book = Rulebook(campaign)
    owed = [
        obligation_of(book, parties[unit.code].id, key, occurrence, since=act.as_of)
        for unit in loaded.units
        for key, occurrence in owed_by_unit(book, unit, joined=None, as_of=act.as_of)
    ]
    freeze_obligations(session, act, row.id, owed)
    frozen = {"units": len(loaded.units), "obligations": len(owed)}
    audit.append(session, act, "obligations.frozen", frozen, campaign_id=row.id)
    note(session, act, EventKind.LAUNCHED, frozen, row.id)
    return row


def _office(campaign: Campaign) -> NewParty:
    office = campaign.office
    people = (
        ("lead", office.lead),
        ("reviewer", office.reviewers),
        ("approver", office.approvers),
        ("ops", office.ops),
    )
    contacts = tuple(
        NewContact(role=role, name=person.name, address=person.email.lower(), phone=person.phone)
        for role, persons in people
        for person in persons
    )
    return NewParty(code=OFFICE, name=office.name, kind=PartyKind.OFFICE, contacts=contacts)


def _party(campaign: Campaign, unit: Unit) -> NewParty:
    contacts = tuple(
        NewContact(
            role=str(c.role),
            name=c.name,
            address=c.address,
            phone=c.phone,
            bad_reason="" if ADDRESS.fullmatch(c.address) else NO_ADDRESS,
        )
        for c in unit.contacts
        if c.address or c.phone
    )
    return NewParty(
        code=unit.code,
        name=unit.name,
        category=unit.category,
        superior=unit.superior,
        department=unit.industry or campaign.departments.get(unit.category),
        contacts=contacts,
    )


def obligation_of(
    book: Rulebook, party_id: int, deliverable: str, occurrence: Occurrence, *, since: datetime
) -> NewObligation:
    """Return an obligation to be frozen for a unit that takes part since a moment."""
    return NewObligation(
        party_id=party_id,
        deliverable=deliverable,
        occurrence=occurrence.key,
        due=book.due(occurrence),
        chase_from=book.chased_from(deliverable, occurrence, since),
    )


def newcomer(code: str, name: str, *, category: str, superior: str, email: str, phone: str = "") -> Unit:
    """Return a unit as staff name it when it joins, with its duty mailbox.

    Raises:
        NotPossible: the address cannot be written to, or the telephone not dialled.

    """
    named = read_named(ContactRole.DUTY, "", email, phone)
    contact = RosterContact(role=ContactRole.DUTY, name="", address=named.address, phone=named.phone)
    return Unit(code=code, name=name, category=category, superior=superior, contacts=(contact,))


def join_unit(session: Session, act: Act, campaign_key: str, unit: Unit, grounds: str) -> list[ObligationRow]:
    """Let a unit join a running campaign: a decision, its party, and its obligations from now on.

    Raises:
        AlreadyRecorded: a party of that code takes part already.
        ValueError: its category, superior or department does not exist in the campaign.

    """
    row, book = open_book(session, campaign_key)
    if unit.category not in book.campaign.categories:
        known = ", ".join(book.campaign.categories)
        raise Mistaken(
            "unknown_category",
            f"category {unit.category!r} does not exist in {campaign_key}; use one of {known}",
            named=unit.category,
            known="、".join(book.campaign.categories),
        )
    codes = set(session.scalars(select(PartyRow.code).where(PartyRow.campaign_id == row.id)))
    if unit.superior not in codes:
        raise Mistaken(
            "unknown_superior",
            f"superior {unit.superior!r} of {unit.code} takes no part in {campaign_key}",
            named=unit.superior,
        )
    department = unit.industry or book.campaign.departments.get(unit.category)
    if department and department not in codes:
        raise ValueError(f"department {department!r} of {unit.code} takes no part in {campaign_key}")
    if unit.code in codes:
        raise AlreadyRecorded(f"unit {unit.code} takes part already")
    party = record_parties(session, act, row.id, [_party(book.campaign, unit)])[unit.code]
    record_decision(
        session, act, row.id, "unit_joined", grounds, party_id=party.id, after={"code": unit.code, "name": unit.name}
    )
    owed = owed_by_unit(book, unit, joined=act.as_of, as_of=act.as_of)
    return freeze_obligations(
        session, act, row.id, [obligation_of(book, party.id, key, occ, since=act.as_of) for key, occ in owed]
    )


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What going live would open: shown before it is confirmed."""

    units: int
    contacts: int
    undeliverable: int  # addresses under domains that no mail system delivers (RFC 2606)
    without_contact: tuple[str, ...]
    waiting: int  # messages planned that would leave with the next run
    live: bool


RESERVED = (".example", ".invalid", ".test", ".localhost", "example.com", "example.net", "example.org")


def reach_of(session: Session, campaign_key: str) -> Reach:
    """Return the counts that a person must see before the fence is opened."""
    row, _ = open_book(session, campaign_key)
    parties = session.scalars(
        select(PartyRow).where(PartyRow.campaign_id == row.id, PartyRow.kind == PartyKind.UNIT)
    ).all()
    contacts = session.scalars(
        select(ContactRow).join(PartyRow).where(PartyRow.campaign_id == row.id, ContactRow.bad_since.is_(None))
    ).all()
    reached = {c.party_id for c in contacts}
    waiting = session.scalar(
        select(func.count())
        .select_from(MessageRow)
        .where(MessageRow.campaign_id == row.id, MessageRow.state.in_(("planned", "deferred")))
    )
    return Reach(
        units=len(parties),
        contacts=len(contacts),
        undeliverable=sum(is_reserved(c.address) for c in contacts),
        without_contact=tuple(f"{p.code} {p.name}" for p in parties if p.id not in reached),
        waiting=waiting or 0,
        live=row.live,
    )


def is_reserved(address: str) -> bool:
    """Whether an address lies under a domain reserved for examples, which no mail system delivers."""
    return address.lower().endswith(RESERVED)


def go_live(session: Session, act: Act, campaign_key: str, grounds: str) -> None:
    """Open the fence: from now on mail leaves to every contact of the campaign."""
    row, _ = open_book(session, campaign_key)
    if row.live:
        raise AlreadyRecorded(f"{campaign_key} is live already")
    row.live = True
    record_decision(session, act, row.id, "go_live", grounds, before={"live": False}, after={"live": True})
    opened = {"waiting": count_waiting(session, row.id), "why": "go_live"}
    note(session, act, EventKind.OPENED, opened, row.id)
