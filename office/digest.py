"""The staff's own digest: what waits for the office, how long, and by which command each thing is done.

Level-triggered: the first step that runs once the sending window has opened on a working day plans it, if anything
waits. What comes up later on a day without a digest has one at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import SOFT_BOUNCE, contacts_of, office_of
from ledger.facts import mailed_on
from ledger.ladder import open_approvals
from ledger.outbox import NewMessage, ambiguous, plan_messages
from ledger.papers import papers_of
from ledger.requests import open_requests
from ledger.tables import (
    AnswerRow,
    AuditRow,
    CampaignRow,
    CampaignState,
    ContactRow,
    DeliverableRow,
    FindingRow,
    IntakeRow,
    IntakeState,
    ObligationRow,
    PaperState,
    PartyRow,
    SubmissionRow,
)
from office import wording
from office.contacts import contact_troubles
from office.incoming import number_of
from office.letters import WaitingLine, WaitingList
from office.premises import Premises
from office.rulebook import Rulebook, open_book, rulebook_of
from office.worklists import wish_of
from rules.ageing import Age, age_of, waited
from rules.forms import Severity
from rules.obligations import SubmissionState

SHOWN = 40
READERS = ("reviewer", "approver")
PAPER = {"order": "督办单", "circulation": "通报"}


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One thing that waits for the office."""

    kind: str
    what: str
    since: datetime
    command: str


def plan_digest(session: Session, premises: Premises, act: Act, campaign: str, *, just_now: bool = False) -> int:
    """Plan the day's digest, a mail to each reviewer and approver; return to how many, 0 if it is not called for.

    Not on days off, not before the sending window opens, not where nothing waits, and once a local day. A step asks
    what came up before its moment, so that a second run of it finds no more; ``just_now`` counts what came up with it.
    """
    row, book = open_book(session, campaign)
    local = act.as_of.astimezone(book.zone)
    if not book.hours.calendar.is_working_day(local.date()) or local.time() < book.campaign.sending.window[0]:
        return 0
    occasion = f"digest:{local.date().isoformat()}"
    if mailed_on(session, row.id, f"{occasion}%"):
        return 0
    if not any(just_now or waiting.since < act.as_of for waiting in what_waits(session, row, act.as_of)):
        return 0
    office = office_of(session, row.id)
    readers = {c.address: c.id for c in contacts_of(session, office.id) if c.role in READERS and c.bad_since is None}
    details = [{"contact": id_} for id_ in readers.values()] or [{}]
    news = [
        NewMessage(party_id=office.id, notice="digest", occasion=occasion + (f":{n}" if n else ""), detail=detail)
        for n, detail in enumerate(details)
    ]
    plan_messages(session, act, row.id, premises.mail_domain, news)
    return len(news)


def waiting_list(session: Session, campaign: CampaignRow, as_of: datetime) -> WaitingList:
    """Return what a digest lists at a moment, the oldest first."""
    book = rulebook_of(campaign)
    found = sorted(what_waits(session, campaign, as_of), key=lambda w: w.since)
    lines = [_line(book, waiting, as_of) for waiting in found]
    return WaitingList(
        lines=tuple(lines[:SHOWN]),
        more=max(len(lines) - SHOWN, 0),
        old=sum(line.age == Age.OLD for line in lines),
    )


def _line(book: Rulebook, waiting: Waiting, as_of: datetime) -> WaitingLine:
    days = waited(waiting.since, as_of, book.hours)
    return WaitingLine(
        kind_text=wording.WAITS[waiting.kind],
        what=waiting.what,
        since_text=f"{wording.moment_text(waiting.since, book.zone)}起",
        age=age_of(days).value,
        age_text=wording.AGE[age_of(days)].format(days=days),
        command=waiting.command,
    )


def what_waits(session: Session, row: CampaignRow, as_of: datetime, *, contacts: bool = True) -> Iterator[Waiting]:
    """Yield what waits for staff at a moment; what came up after it is left out, so that a late run says no more.

    Without ``contacts``: all but the contact work list, for those who show that by itself.
    """
    for waiting in _everything(session, row, contacts=contacts):
        if waiting.since <= as_of:
            yield waiting


def _everything(session: Session, row: CampaignRow, *, contacts: bool) -> Iterator[Waiting]:
    yield from _versions(session, row)
    yield from _requests(session, row)
    yield from _letters(session, row)
    yield from _papers(session, row)
    yield from _approvals(session, row)
    yield from _in_doubt(session, row)
    if contacts and row.state != CampaignState.CLOSED:  # nobody is written to any more
        yield from _contacts(session, row)


def _versions(session: Session, row: CampaignRow) -> Iterator[Waiting]:
    """Yield versions to be judged, and those with queries that nobody has answered."""
    unanswered = (
        select(func.count())
        .select_from(FindingRow)
        .where(
            FindingRow.submission_id == SubmissionRow.id,
            FindingRow.severity == Severity.QUERY.value,
            ~exists().where(AnswerRow.finding_id == FindingRow.id),
        )
        .scalar_subquery()
    )
    query = (
        select(SubmissionRow, PartyRow, DeliverableRow.title, unanswered)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(
            ObligationRow.campaign_id == row.id,
            SubmissionRow.state.in_((SubmissionState.SUBMITTED.value, SubmissionState.QUERIED.value)),
        )
    )
    for version, party, title, queries in session.execute(query):
        what = f"{party.code} {party.name}：《{title}》第{version.version}次报送"
        if version.state == SubmissionState.SUBMITTED:
            command = f"muster accept {version.id} 或 muster return {version.id}"
            yield Waiting(kind="version", what=what, since=version.as_of, command=command)
        elif queries and not _overtaken(session, version):
            said = f"{what}，{queries}处待核实"
            command = f"muster findings --unit {party.code}，再用 muster confirm"
            yield Waiting(kind="query", what=said, since=version.as_of, command=command)


def _overtaken(session: Session, version: SubmissionRow) -> bool:
    query = select(SubmissionRow.id).where(
        SubmissionRow.obligation_id == version.obligation_id, SubmissionRow.version > version.version
    )
    return session.scalar(query.limit(1)) is not None


def _requests(session: Session, row: CampaignRow) -> Iterator[Waiting]:
    zone = rulebook_of(row).zone
    for request in open_requests(session, row.id):
        party = session.get_one(PartyRow, request.party_id)
        what = f"{party.code} {party.name}：{wish_of(session, request, zone)}"
        command = f"muster grant {request.id} 或 muster refuse {request.id}"
        yield Waiting(kind="request", what=what, since=request.asked_at, command=command)


def _letters(session: Session, row: CampaignRow) -> Iterator[Waiting]:
    """Yield the mails in the staff queue; one that nobody could place may be any campaign's."""
    query = select(IntakeRow).where(
        IntakeRow.state == IntakeState.QUEUED, or_(IntakeRow.campaign_id == row.id, IntakeRow.campaign_id.is_(None))
    )
    for mail in session.scalars(query):
        number = number_of(mail)
        what = f"{mail.from_address or '（发件人不明）'}：{mail.subject or '（无主题）'}"
        command = f"muster mail {number}，再用 muster assign、answer 或 dismiss"
        yield Waiting(kind="letter", what=what, since=mail.as_of, command=command)


def _papers(session: Session, row: CampaignRow) -> Iterator[Waiting]:
    for paper in papers_of(session, row.id, state=PaperState.DRAFT):
        party = session.get(PartyRow, paper.party_id) if paper.party_id is not None else None
        what = PAPER[paper.kind] + (f"：{party.code} {party.name}" if party is not None else "")
        command = f"muster papers {row.key}，再用 muster approve-paper {paper.id}"
        yield Waiting(kind="paper", what=what, since=paper.drafted_at, command=command)


def _approvals(session: Session, row: CampaignRow) -> Iterator[Waiting]:
    """Yield the rungs that go out only when staff agree."""
    rungs = {rung.key: rung.name or f"第{rung.number}级催办" for rung in rulebook_of(row).ladder}
    for asked in open_approvals(session, row.id):
        what = f"{rungs.get(asked.rung, asked.rung)}：{len(asked.shown)}项材料"
        command = f"muster approvals，再用 muster approve {asked.occasion}"
        yield Waiting(kind="approval", what=what, since=asked.as_of, command=command)


def _in_doubt(session: Session, row: CampaignRow) -> Iterator[Waiting]:
    for message in ambiguous(session):
        if message.campaign_id == row.id:
            party = session.get_one(PartyRow, message.party_id)
            what = f"{party.code} {party.name}：{wording.NOTICE.get(message.notice, message.notice)}是否发出不明"
            since = message.sent_as_of or message.as_of
            yield Waiting(kind="doubt", what=what, since=since, command=f"muster settle {message.id}")


def _contacts(session: Session, row: CampaignRow) -> Iterator[Waiting]:
    for trouble in contact_troubles(session, row.id):
        party = session.scalars(
            select(PartyRow).where(PartyRow.campaign_id == row.id, PartyRow.code == trouble.code)
        ).one()
        what = f"{trouble.code} {trouble.name}：{wording.TROUBLE[trouble.trouble]}"
        command = f"muster call {trouble.code}，更正用 muster contact {trouble.code}"
        yield Waiting(kind="contact", what=what, since=_since(session, party), command=command)


def _since(session: Session, party: PartyRow) -> datetime:
    """Return since when a unit's contacts are in trouble: the first address that failed, else its last soft bounce."""
    bad = session.scalar(select(func.min(ContactRow.bad_since)).where(ContactRow.party_id == party.id))
    soft = select(func.max(AuditRow.as_of)).where(AuditRow.party_id == party.id, AuditRow.verb == SOFT_BOUNCE)
    return bad or session.scalar(soft) or party.joined_at
