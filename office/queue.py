"""What waits for a person, and what was done about a unit."""

import json
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ledger.campaigns import find_campaign
from ledger.errors import UnknownCampaign, UnknownParty
from ledger.tables import (
    AuditRow,
    CampaignRow,
    IntakeKind,
    IntakeRow,
    IntakeState,
    MessageRow,
    MessageState,
    PartyRow,
)
from ledger.tables.messages import ASTRAY
from office import wording
from office.contacts import ContactTrouble, contact_troubles, roster_troubles
from office.incoming import number_of
from office.launching import load
from office.mailbook import DASH, local, one_line
from office.premises import Premises

SHOWN = 160
VERBS = ", assign, answer or dismiss"


def waiting_for_a_person(session: Session, zone: ZoneInfo) -> list[tuple[str, ...]]:
    """Return the incoming mails in the staff queue, oldest first, as lines of text with times of a zone.

    Each ends with the verbs that close it.
    """
    query = (
        select(IntakeRow, CampaignRow.key, PartyRow.code, PartyRow.name)
        .outerjoin(CampaignRow, CampaignRow.id == IntakeRow.campaign_id)
        .outerjoin(PartyRow, PartyRow.id == IntakeRow.party_id)
        .where(IntakeRow.state == IntakeState.QUEUED)
        .order_by(IntakeRow.received_at)
    )
    return [
        (
            number_of(row),
            local(row.received_at, zone),
            key or "—",
            f"{code} {name}" if code else "—",
            wording.MAIL_KIND.get(row.kind, row.kind),
            row.from_address,
            row.subject,
            why_queued(row),
            f"muster mail {number_of(row)}" + (", answer or dismiss" if row.kind == IntakeKind.QUESTION else VERBS),
        )
        for row, key, code, name in session.execute(query)
    ]


def why_queued(row: IntakeRow) -> str:
    """Return in plain words why a mail waits: what the unit was told of its files, else what the mail is."""
    told = "；".join(one_line(str(problem)) for problem in row.problems)
    return told or wording.WHY_QUEUED.get(row.kind, row.reason)


def unmatched_waiting(session: Session) -> int:
    """Count the mails in the staff queue of which nobody can tell whose they are."""
    nobodys = (IntakeRow.state == IntakeState.QUEUED, IntakeRow.party_id.is_(None))
    return session.scalars(select(func.count()).select_from(IntakeRow).where(*nobodys)).one()


def ambiguous_mails(session: Session, zone: ZoneInfo) -> list[tuple[str, ...]]:
    """Return the mails of which nobody can tell whether they left, oldest first, as lines with times of a zone."""
    return [line for _, line in ambiguous_by_campaign(session, zone)]


def ambiguous_by_campaign(session: Session, zone: ZoneInfo) -> list[tuple[str, tuple[str, ...]]]:
    """Return the same, each with the key of its campaign."""
    columns = (MessageRow.id, MessageRow.notice, MessageRow.sent_as_of, MessageRow.as_of, MessageRow.address)
    query = (
        select(CampaignRow.key, PartyRow.code, PartyRow.name, MessageRow.reason, *columns)
        .join(CampaignRow, CampaignRow.id == MessageRow.campaign_id)
        .join(PartyRow, PartyRow.id == MessageRow.party_id)
        .where(MessageRow.state == MessageState.AMBIGUOUS, text(f"messages.{ASTRAY}"))
        .order_by(MessageRow.id)
    )
    return [
        (
            key,
            (
                str(number),
                f"{code} {name}",
                notice,
                local(sent or planned, zone),
                address or DASH,
                one_line(reason),
                f"muster settle {number}",
            ),
        )
        for key, code, name, reason, number, notice, sent, planned, address in session.execute(query)
    ]


def contact_work(premises: Premises, campaign: str) -> list[ContactTrouble]:
    """Return the contacts of a campaign that need a person; before its launch, by its roster.

    Raises:
        FileNotFoundError: it was not launched, and there is no such folder.
        definition.faults.FaultyCampaign: it was not launched, and its folder has faults.

    """
    with premises.ledger.reading() as session:
        try:
            return contact_troubles(session, find_campaign(session, campaign).id)
        except UnknownCampaign:
            loaded = load(premises, campaign)
        try:  # it may have been named by its folder
            return contact_troubles(session, find_campaign(session, loaded.campaign.key).id)
        except UnknownCampaign:
            return roster_troubles(loaded)


def trail_of(session: Session, code: str, campaign: str | None, zone: ZoneInfo) -> list[tuple[str, ...]]:
    """Return the audit entries of a unit, as lines of text with times of a zone.

    Raises:
        UnknownParty: no campaign has a unit of that code.

    """
    parties = select(PartyRow.id).join(CampaignRow, CampaignRow.id == PartyRow.campaign_id).where(PartyRow.code == code)
    if campaign is not None:
        parties = parties.where(CampaignRow.key == campaign)
    ids = session.scalars(parties).all()
    if not ids:
        raise UnknownParty(f"no unit {code!r} takes part in {campaign or 'any campaign'}")
    rows = session.scalars(select(AuditRow).where(AuditRow.party_id.in_(ids)).order_by(AuditRow.seq))
    return [
        (
            str(row.seq),
            local(row.as_of, zone),
            row.actor,
            row.verb,
            json.dumps(row.detail, ensure_ascii=False)[:SHOWN],
        )
        for row in rows
    ]
