"""What staff look at, one thing to a page: a version, an obligation, a request, a consent, a mail that came in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from definition.roster import OFFICE
from ledger.acts import Act
from ledger.campaigns import contacts_of
from ledger.errors import UnknownSubmission
from ledger.ladder import find_approval
from ledger.requests import EXTENSION, find_request
from ledger.review import find_submission
from ledger.tables import (
    ApprovalState,
    CampaignRow,
    DecisionRow,
    DeliverableRow,
    IntakeRow,
    IntakeState,
    ItemRow,
    MessageRow,
    MessageState,
    ObligationRow,
    PartyRow,
    RequestRow,
    SubmissionRow,
)
from mail.parsing import parse_mail
from office import wording
from office.approvals import list_shown, rung_name
from office.dues import due_after_return, new_due
from office.explaining import Part, explain
from office.incoming import bytes_of_incoming, number_of
from office.mailbook import local, one_line
from office.premises import Premises
from office.refusals import NotPossible
from office.rulebook import rulebook_of
from office.staff_wording import refused, without_commands
from office.unit_desk import AffairView, VersionView, desk_of
from office.versions import VersionLine, versions_with_changes
from office.worklists import wish_of
from rules.obligations import titled


@dataclass(frozen=True, kw_only=True)
class Whose:
    """The unit and the campaign that a page is about."""

    campaign: str
    campaign_title: str
    code: str
    name: str
    zone_text: str

    @property
    def unit(self) -> str:
        """Code and name."""
        return f"{self.code} {self.name}"


def whose(session: Session, party: PartyRow) -> Whose:
    """Return what a page says of the unit and the campaign that it is about."""
    row = session.get_one(CampaignRow, party.campaign_id)
    book = rulebook_of(row)
    return Whose(
        campaign=row.key,
        campaign_title=book.campaign.title,
        code=party.code,
        name=party.name,
        zone_text=wording.zone_text(book.zone),
    )


def fingerprint(*facts: object) -> str:
    """Return a mark of facts as somebody saw them; a form brings it back, and other facts have another."""
    return sha256(repr(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class SubmissionView:
    """A version, with what may be done about it and what was handed in before and after."""

    of: Whose
    affair: AffairView
    version: VersionView
    versions: tuple[VersionLine, ...]
    due_text: str
    due_if_returned: str
    grounds: str  # of one that staff entered
    latest: bool
    seen: str

    @property
    def may_be_accepted(self) -> bool:
        """Whether it is not accepted yet."""
        return self.version.state != "accepted"

    @property
    def may_be_returned(self) -> bool:
        """Whether it is not returned yet."""
        return self.version.state != "returned"

    @property
    def may_be_reopened(self) -> bool:
        """Whether it was judged."""
        return self.version.state in ("accepted", "returned")


def view_submission(session: Session, premises: Premises, number: int, act: Act) -> SubmissionView:
    """Return a version as staff look at it.

    Raises:
        UnknownSubmission: there is none of that number.

    """
    submission, obligation = find_submission(session, number)
    party = session.get_one(PartyRow, obligation.party_id)
    book = rulebook_of(session.get_one(CampaignRow, obligation.campaign_id))
    desk = desk_of(session, premises, party, act.as_of)
    found = ((a, v) for a in desk.affairs for v in a.versions if v.submission_id == number)
    affair, version = next(found, (None, None))
    if affair is None or version is None:
        raise UnknownSubmission(f"there is no submission {number}")
    by_staff = f"（{submission.entered_by.partition(':')[2]}）" if submission.grounds else ""
    return SubmissionView(
        of=whose(session, party),
        affair=affair,
        version=version,
        versions=tuple(versions_with_changes(session, obligation)),
        due_text=wording.due_text(obligation.due_at, book.zone),
        due_if_returned=wording.due_text(due_after_return(book, act, obligation), book.zone),
        grounds=f"{submission.grounds}{by_staff}" if submission.grounds else "",
        latest=max(v.version for v in _versions(session, obligation)) == submission.version,
        seen=seen_of(session, submission, obligation),
    )


def _versions(session: Session, obligation: ObligationRow) -> Sequence[SubmissionRow]:
    return session.scalars(select(SubmissionRow).where(SubmissionRow.obligation_id == obligation.id)).all()


def seen_of(session: Session, submission: SubmissionRow, obligation: ObligationRow) -> str:
    """Return the mark of what somebody who judges a version has seen: how all versions stand, and the due instant."""
    states = sorted((v.version, v.state) for v in _versions(session, obligation))
    return fingerprint(submission.id, states, obligation.due_at, obligation.exempt_at, obligation.original_at)


@dataclass(frozen=True, kw_only=True)
class ObligationView:
    """One thing a unit owes: all that is to be said of it, and what may be done."""

    of: Whose
    number: int
    title: str
    due_text: str
    parts: tuple[Part, ...]
    versions: tuple[VersionView, ...]
    open: bool
    dated: bool
    nil: bool
    original: bool  # one on paper is asked for
    seen: str


def view_obligation(session: Session, premises: Premises, obligation: ObligationRow, at: datetime) -> ObligationView:
    """Return an obligation as staff look at it."""
    party = session.get_one(PartyRow, obligation.party_id)
    row = session.get_one(CampaignRow, obligation.campaign_id)
    book = rulebook_of(row)
    deliverable = book.campaign.deliverable(session.get_one(DeliverableRow, obligation.deliverable_id).key)
    parts = explain(
        session, premises, at, party.code, deliverable.key, occurrence=obligation.occurrence, campaign=row.key
    )
    affair = next((a for a in desk_of(session, premises, party, at).affairs if a.obligation_id == obligation.id), None)
    return ObligationView(
        of=whose(session, party),
        number=obligation.id,
        title=titled(deliverable.title, obligation.occurrence),
        due_text=wording.due_text(obligation.due_at, book.zone),
        parts=tuple(Part(heading=p.heading, lines=tuple(without_commands(x) for x in p.lines)) for p in parts[1:]),
        versions=affair.versions if affair is not None else (),
        open=affair is not None and affair.open,
        dated=obligation.due_at is not None,
        nil=affair is not None and affair.nil_allowed,
        original=deliverable.original,
        seen=seen_of_obligation(session, obligation),
    )


def seen_of_obligation(session: Session, obligation: ObligationRow) -> str:
    """Return the mark of how an obligation stands."""
    states = sorted((v.version, v.state) for v in _versions(session, obligation))
    return fingerprint(obligation.id, states, obligation.due_at, obligation.exempt_at, obligation.original_at)


@dataclass(frozen=True, kw_only=True)
class RequestView:
    """A request: who asks for what and why, and what granting it would change."""

    of: Whose
    number: int
    extension: bool
    asked_text: str
    wish: str
    reason: str
    until: str  # of an extension, the day asked for
    obligation: int | None
    preview: tuple[str, ...]
    trouble: str  # why it cannot be granted as it stands
    decided: str  # by whom and how, if it was


def view_request(session: Session, number: int, act: Act) -> RequestView:
    """Return a request as staff look at it.

    Raises:
        UnknownRequest: there is none of that number.

    """
    request = find_request(session, number)
    party = session.get_one(PartyRow, request.party_id)
    zone = rulebook_of(session.get_one(CampaignRow, request.campaign_id)).zone
    extension = request.kind == EXTENSION
    preview, trouble = _preview_extension(session, request, act) if extension else _preview_contact(session, request)
    return RequestView(
        of=whose(session, party),
        number=number,
        extension=extension,
        asked_text=local(request.asked_at, zone),
        wish=wish_of(session, request, zone),
        reason=request.reason,
        until=str(request.wish.get("until", "")),
        obligation=request.obligation_id,
        preview=preview,
        trouble=trouble,
        decided=_decided(session, request, zone),
    )


def _decided(session: Session, request: RequestRow, zone: ZoneInfo) -> str:
    if request.decision_id is None:
        return ""
    decision = session.get_one(DecisionRow, request.decision_id)
    what = wording.DECISION.get(decision.kind, decision.kind)
    return f"{local(decision.as_of, zone)}　{decision.actor.partition(':')[2]}：{what}，理由：{decision.grounds}"


def _preview_extension(session: Session, request: RequestRow, act: Act) -> tuple[tuple[str, ...], str]:
    """Return what an extension would change, and why it cannot be given as asked for."""
    obligation = session.get_one(ObligationRow, request.obligation_id)
    book = rulebook_of(session.get_one(CampaignRow, request.campaign_id))
    trouble, to = "", request.wish["until"]
    try:
        due = new_due(book, act, date.fromisoformat(request.wish["until"]))
        to = wording.due_text(due, book.zone)
        if obligation.due_at is not None and due <= obligation.due_at:
            trouble = "所申请的日期不晚于现在的截止时间，不能照此同意；可以另定日期，或不予同意。"
    except NotPossible as error:
        trouble = f"不能照此同意：{refused(error)}可以另定日期，或不予同意。"
    waiting = (
        select(func.count(MessageRow.id.distinct()))
        .join(ItemRow, ItemRow.message_id == MessageRow.id)
        .where(
            ItemRow.obligation_id == obligation.id,
            MessageRow.mail_class == "chase",
            MessageRow.state.in_((MessageState.PLANNED, MessageState.DEFERRED)),
        )
    )
    count = session.scalars(waiting).one()
    lines = [
        f"截止时间：{wording.due_text(obligation.due_at, book.zone)} → {to}",
        "此后的提醒和催办按新的截止时间重新安排，是否按时也按新的截止时间认定。",
    ]
    if count:
        lines.append(f"按原截止时间写好、尚未发出的{count}封催报邮件作废。")
    lines.append("单位会收到“申请已同意”的邮件。")
    return tuple(lines), trouble


def _preview_contact(session: Session, request: RequestRow) -> tuple[tuple[str, ...], str]:
    wish = request.wish
    role = wording.ROLE.get(wish["role"], wish["role"])
    first = next((c for c in contacts_of(session, request.party_id) if c.role == wish["role"]), None)
    now = one_line(f"{first.name} {first.address} {first.phone}") if first is not None else "（没有登记）"
    return (
        f"{role}：{now} → {one_line(' '.join((wish['name'], wish['address'], wish['phone'])))}",
        "今后写给该单位的邮件先写往新的联系人；原联系人保留在后。",
        "新、旧联系人都会收到通知。",
    ), ""


@dataclass(frozen=True, kw_only=True)
class ConsentView:
    """A rung that waits for consent: its list."""

    campaign: str
    campaign_title: str
    occasion: str
    name: str
    asked_text: str
    lines: tuple[tuple[str, ...], ...]
    paused: bool
    state: str
    state_text: str
    grounds: str
    seen: str


CONSENT = {"asked": "等待审批", "approved": "已同意发出", "declined": "已决定暂不发出", "lapsed": "已由新的清单代替"}


def view_consent(session: Session, campaign: str, occasion: str, row: CampaignRow) -> ConsentView:
    """Return a list that waits for consent, or what was answered to it.

    Raises:
        UnknownApproval: nobody was asked about it.

    """
    asked = find_approval(session, occasion, row.id)
    book = rulebook_of(row)
    waits = asked.state == ApprovalState.ASKED
    return ConsentView(
        campaign=campaign,
        campaign_title=book.campaign.title,
        occasion=occasion,
        name=f"催办审批：{rung_name(next(r for r in book.ladder if r.key == asked.rung))}",
        asked_text=local(asked.as_of, book.zone),
        lines=tuple(_shown(*line) for line in list_shown(session, occasion, campaign)) if waits else (),
        paused=row.state == "paused",
        state=asked.state,
        state_text=CONSENT.get(asked.state, asked.state),
        grounds=f"{asked.actor.partition(':')[2]}：{asked.grounds}" if asked.grounds else "",
        seen=fingerprint(asked.id, asked.state, asked.shown_digest),
    )


def _shown(to: str, *rest: str) -> tuple[str, ...]:
    """Return a line of the list; the office goes by its name alone."""
    return (to.removeprefix(f"{OFFICE} "), *rest)


@dataclass(frozen=True, kw_only=True)
class LetterView:
    """A mail that came in, as a person reads it."""

    number: str
    id: int
    received_text: str
    from_address: str
    subject: str
    kind_text: str
    why: str
    waits: bool
    ended: str
    campaign: str
    code: str
    unit: str
    text: str
    files: tuple[tuple[int, str, int], ...]  # number within the mail, name, octets


def view_letter(session: Session, premises: Premises, row: IntakeRow, zone: ZoneInfo, why: str) -> LetterView:
    """Return a mail that came in as staff read it."""
    party = session.get(PartyRow, row.party_id) if row.party_id is not None else None
    campaign = session.get(CampaignRow, row.campaign_id) if row.campaign_id is not None else None
    text, files = "", tuple[tuple[str, int], ...]()
    if row.raw_sha256:
        try:
            shown = bytes_of_incoming(premises, row)
            text, files = shown.text, shown.attachments
        except FileNotFoundError:
            text = "（原件已不在文件库中）"
    waits = row.state == IntakeState.QUEUED
    return LetterView(
        number=number_of(row),
        id=row.id,
        received_text=local(row.received_at, zone),
        from_address=one_line(row.from_address) or "（不明）",
        subject=one_line(row.subject) or "（无主题）",
        kind_text=wording.MAIL_KIND.get(row.kind, row.kind),
        why=why if waits else "",
        waits=waits,
        ended="" if waits else one_line(row.reason),
        campaign=campaign.key if campaign is not None else "",
        code=party.code if party is not None else "",
        unit=f"{party.code} {party.name}" if party is not None else "",
        text=text,
        files=tuple((number, name, size) for number, (name, size) in enumerate(files, start=1)),
    )


def letter_file(premises: Premises, row: IntakeRow, number: int) -> tuple[str, bytes] | None:
    """Return a file enclosed in a mail that came in, by its place: its name and content."""
    try:
        enclosed = parse_mail(premises.files.get(row.raw_sha256)).attachments if row.raw_sha256 else ()
    except FileNotFoundError:
        return None
    if not 0 < number <= len(enclosed):
        return None
    return one_line(enclosed[number - 1].file_name), enclosed[number - 1].content
