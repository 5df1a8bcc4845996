"""What waits for staff besides mails: versions to be judged, queries, requests; lines of text that end with a verb."""

from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from ledger.requests import EXTENSION, open_requests
from ledger.tables import (
    AnswerRow,
    CampaignRow,
    DeliverableRow,
    FindingRow,
    ObligationRow,
    PartyRow,
    RequestRow,
    SubmissionRow,
)
from office import wording
from office.answers import sentences_of
from office.confirming import proposed_value
from office.mailbook import DASH, local, one_line
from office.premises import Premises
from rules.forms import Severity
from rules.obligations import SubmissionState

Line = tuple[str, ...]


def waiting_versions(session: Session, zone: ZoneInfo, campaign_id: int | None = None) -> list[Line]:
    """Return the versions that wait to be accepted or returned by staff, the oldest first."""
    query = (
        select(SubmissionRow, CampaignRow.key, PartyRow, DeliverableRow.title)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .join(CampaignRow, CampaignRow.id == ObligationRow.campaign_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(SubmissionRow.state == SubmissionState.SUBMITTED.value)
        .order_by(SubmissionRow.received_at, SubmissionRow.id)
    )
    if campaign_id is not None:
        query = query.where(ObligationRow.campaign_id == campaign_id)
    return [
        (
            str(row.id),
            local(row.received_at, zone),
            key,
            f"{party.code} {party.name}",
            title,
            str(row.version),
            f"muster accept {row.id} or return {row.id}",
        )
        for row, key, party, title in session.execute(query)
    ]


def open_findings(session: Session, premises: Premises, unit: str | None = None) -> list[Line]:
    """Return the queries that wait for an answer, of the latest versions only, each with the value it proposes."""
    later = aliased(SubmissionRow)
    newest = select(func.max(later.version)).where(later.obligation_id == SubmissionRow.obligation_id).scalar_subquery()
    query = (
        select(FindingRow, PartyRow, DeliverableRow.title, SubmissionRow.id)
        .join(SubmissionRow, SubmissionRow.id == FindingRow.submission_id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(
            FindingRow.severity == Severity.QUERY.value,
            SubmissionRow.state == SubmissionState.QUERIED.value,
            SubmissionRow.version == newest,
            ~exists().where(AnswerRow.finding_id == FindingRow.id),
        )
        .order_by(FindingRow.id)
    )
    if unit is not None:
        query = query.where(PartyRow.code == unit)
    lines: list[Line] = []
    for finding, party, title, submission in session.execute(query):
        said = sentences_of(premises.finding_texts, finding)
        proposed = proposed_value(finding)
        lines.append(
            (
                str(finding.id),
                f"{party.code} {party.name}",
                f"{title} ({submission})",
                said.place,
                said.field,
                said.problem,
                DASH if proposed is None else f"{proposed:.15g}",
                f"muster confirm {finding.id}",
            )
        )
    return lines


def waiting_requests(session: Session, zone: ZoneInfo, campaign_id: int | None = None) -> list[Line]:
    """Return the requests that wait for staff: who asks for what, and why."""
    lines: list[Line] = []
    for request in open_requests(session, campaign_id):
        party = session.get_one(PartyRow, request.party_id)
        lines.append(
            (
                str(request.id),
                local(request.asked_at, zone),
                session.get_one(CampaignRow, request.campaign_id).key,
                f"{party.code} {party.name}",
                wish_of(session, request, zone),
                one_line(request.reason),
                f"muster grant {request.id} or refuse {request.id}",
            )
        )
    return lines


def wish_of(session: Session, request: RequestRow, zone: ZoneInfo) -> str:
    """Return what a unit asks for, in words."""
    wish = request.wish
    if request.kind != EXTENSION:
        role = wording.ROLE.get(wish["role"], wish["role"])
        return one_line(f"{role} → {wish['name']} {wish['address']} {wish['phone']}".rstrip())
    obligation = session.get_one(ObligationRow, request.obligation_id)
    title = session.get_one(DeliverableRow, obligation.deliverable_id).title
    return f"{title}：{wording.due_text(obligation.due_at, zone)} → {wish['until']}"
