"""What waits for staff besides mails: versions to be judged, queries, requests; lines of text that end with a verb."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from ledger.requests import EXTENSION
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


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query that waits for an answer: its line, and of which campaign and version it is."""

    line: Line
    campaign: str
    submission: int


def waiting_versions(session: Session, zone: ZoneInfo, campaign_id: int | None = None) -> list[Line]:
    """Return the versions that wait to be accepted or returned by staff, the oldest first."""
    query = (
        select(
            SubmissionRow.id,
            SubmissionRow.received_at,
            SubmissionRow.version,
            CampaignRow.key,
            PartyRow.code,
            PartyRow.name,
            DeliverableRow.title,
        )
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
            str(id_),
            local(received, zone),
            key,
            f"{code} {name}",
            title,
            str(version),
            f"muster accept {id_} or return {id_}",
        )
        for id_, received, version, key, code, name, title in session.execute(query)
    ]


def open_findings(session: Session, premises: Premises, unit: str | None = None) -> list[Line]:
    """Return the queries that wait for an answer, of the latest versions only, each with the value it proposes."""
    return [query.line for query in open_queries(session, premises, unit)]


def open_queries(session: Session, premises: Premises, unit: str | None = None) -> list[Query]:
    """Return the same, with where each belongs."""
    later = aliased(SubmissionRow)
    newest = select(func.max(later.version)).where(later.obligation_id == SubmissionRow.obligation_id).scalar_subquery()
    query = (
        select(FindingRow, PartyRow.code, PartyRow.name, DeliverableRow.title, SubmissionRow.id, CampaignRow.key)
        .join(SubmissionRow, SubmissionRow.id == FindingRow.submission_id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .join(CampaignRow, CampaignRow.id == ObligationRow.campaign_id)
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
    found: list[Query] = []
    for finding, code, name, title, submission, campaign in session.execute(query):
        said = sentences_of(premises.finding_texts, finding)
        proposed = proposed_value(finding)
        line = (
            str(finding.id),
            f"{code} {name}",
            f"{title} ({submission})",
            said.place,
            said.field,
            said.problem,
            DASH if proposed is None else f"{proposed:.15g}",
            f"muster confirm {finding.id}",
        )
        found.append(Query(line=line, campaign=campaign, submission=submission))
    return found


def waiting_requests(session: Session, zone: ZoneInfo, campaign_id: int | None = None) -> list[Line]:
    """Return the requests that wait for staff: who asks for what, and why."""
    query = (
        select(RequestRow, CampaignRow.key, PartyRow.code, PartyRow.name, DeliverableRow.title, ObligationRow.due_at)
        .join(CampaignRow, CampaignRow.id == RequestRow.campaign_id)
        .join(PartyRow, PartyRow.id == RequestRow.party_id)
        .outerjoin(ObligationRow, ObligationRow.id == RequestRow.obligation_id)
        .outerjoin(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(RequestRow.decision_id.is_(None))
        .order_by(RequestRow.asked_at, RequestRow.id)
    )
    if campaign_id is not None:
        query = query.where(RequestRow.campaign_id == campaign_id)
    return [
        (
            str(request.id),
            local(request.asked_at, zone),
            key,
            f"{code} {name}",
            _later(request, title, due, zone) if request.kind == EXTENSION else _reached(request),
            one_line(request.reason),
            f"muster grant {request.id} or refuse {request.id}",
        )
        for request, key, code, name, title, due in session.execute(query)
    ]


def wish_of(session: Session, request: RequestRow, zone: ZoneInfo) -> str:
    """Return what a unit asks for, in words."""
    if request.kind != EXTENSION:
        return _reached(request)
    obligation = session.get_one(ObligationRow, request.obligation_id)
    title = session.get_one(DeliverableRow, obligation.deliverable_id).title
    return _later(request, title, obligation.due_at, zone)


def _later(request: RequestRow, title: str, due: datetime | None, zone: ZoneInfo) -> str:
    return f"{title}：{wording.due_text(due, zone)} → {request.wish['until']}"


def _reached(request: RequestRow) -> str:
    wish = request.wish
    role = wording.ROLE.get(wish["role"], wish["role"])
    return one_line(f"{role} → {wish['name']} {wish['address']} {wish['phone']}".rstrip())
