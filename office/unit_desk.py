"""The unit's desk: what a unit sees of its own affairs on its page. Looking changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import Deliverable, DeliverableKind
from ledger.facts import load_obligations
from ledger.replay import RETURNED_BY_STAFF
from ledger.tables import (
    AnswerRow,
    CampaignRow,
    CampaignState,
    DecisionRow,
    DraftRow,
    FileRow,
    FindingRow,
    PartyRow,
    RequestRow,
    SubmissionRow,
)
from office import wording
from office.answers import SCANS, STATES, answer_text, instead_text, sentences_of, typed_on_page
from office.composing import campaign_lines, contact_lines
from office.letters import CampaignLines, ContactLines, FindingLine
from office.paper import originals_at, tracks_text
from office.premises import Premises
from office.requests import requests_of
from office.rulebook import Rulebook, rulebook_of
from office.unit_own import NotYoursError
from rules.obligations import Obligation, SubmissionState, counting_version, is_owed, standing, titled

WEIGHT = {"must": 0, "query": 1, "info": 2}


@dataclass(frozen=True, kw_only=True)
class FindingView:
    """One finding in sentences, with what a unit may do about it."""

    id: int
    severity: str
    severity_text: str
    place: str
    field: str
    problem: str
    remedy: str
    proposed: str = ""  # the value that one click confirms
    open: bool = False  # asks, and nobody has answered
    answered: str = ""


@dataclass(frozen=True, kw_only=True)
class FileView:
    """A file of a version."""

    id: int
    name: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class VersionView:
    """One version handed in."""

    submission_id: int
    number: int
    state: str
    state_text: str
    received_text: str
    channel_text: str
    timely_text: str
    files: tuple[FileView, ...]
    findings: tuple[FindingView, ...]
    reasons: tuple[str, ...] = ()  # why staff returned it
    counts: bool = False  # the unit's figures and rates are taken from it
    note: str = ""  # what counts instead, where this one was not taken


@dataclass(frozen=True, kw_only=True)
class AffairView:
    """One thing the unit owes, or may hand in, and where it stands."""

    obligation_id: int | None  # None: a voluntary kind, of which each hand-in is an item of its own
    key: str
    title: str
    label: str
    kind: str
    due_text: str
    state: str
    state_text: str
    overdue_text: str
    open: bool
    has_draft: bool
    nil_allowed: bool
    dated: bool
    paper_text: str = ""  # how the electronic and the paper track stand, where an original is asked for
    paper_due: bool = False  # the original has not come
    scan: bool = False  # a scan with the seal is welcome and has not come
    scan_text: str = ""  # whether it came
    asked_text: str = ""  # what was asked of the office for it, and waits
    versions: tuple[VersionView, ...] = ()

    @property
    def name(self) -> str:
        """Label and title, as a circular names it."""
        return f"{self.label}　{self.title}" if self.label else self.title


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Whose page it is, and what stands on it."""

    unit_name: str
    campaign: CampaignLines
    contact: ContactLines
    zone_text: str
    now_text: str
    closed: bool
    affairs: tuple[AffairView, ...]

    @property
    def open(self) -> tuple[AffairView, ...]:
        """What is still owed."""
        return tuple(a for a in self.affairs if a.open)

    @property
    def done(self) -> tuple[AffairView, ...]:
        """What is not owed any more."""
        return tuple(a for a in self.affairs if not a.open and a.dated)

    @property
    def voluntary(self) -> tuple[AffairView, ...]:
        """What may be handed in at any time."""
        return tuple(a for a in self.affairs if not a.dated)


def desk_of(session: Session, premises: Premises, party: PartyRow, at: datetime) -> Desk:
    """Return a unit's desk at a moment."""
    row = session.get_one(CampaignRow, party.campaign_id)
    book = rulebook_of(row)
    obligations = load_obligations(session, row.id, party_ids=[party.id])
    versions = _versions(session, premises, book, {ob.id: ob for ob in obligations})
    drafts = set(session.scalars(select(DraftRow.obligation_id).where(DraftRow.obligation_id.in_(versions))))
    dated = sorted((ob.due, ob.id, ob) for ob in obligations if ob.due is not None)
    asked = {r.obligation_id: r for r in requests_of(session, party) if r.decision_id is None}
    originals = originals_at(session, row.id, book.campaign)
    affairs = [
        replace(
            _affair(book, ob, versions[ob.id], drafts, at, asked.get(ob.id)),
            paper_text=tracks_text(book.campaign.deliverable(ob.deliverable), ob, originals.get(ob.id), book.zone),
            paper_due=ob.id not in originals,
        )
        for _, _, ob in dated
    ]
    affairs += [_voluntary(d, obligations, versions) for d in book.campaign.deliverables if _is_free(d)]
    return Desk(
        unit_name=party.name,
        campaign=campaign_lines(book.campaign),
        contact=contact_lines(book.campaign),
        zone_text=wording.zone_text(book.zone),
        now_text=wording.moment_text(at, book.zone),
        closed=row.state == CampaignState.CLOSED,
        affairs=tuple(affairs),
    )


def affair_of(desk: Desk, obligation_id: int) -> AffairView:
    """Return one affair of a desk.

    Raises:
        NotYoursError: the unit has none of that number.

    """
    return _first([a for a in desk.affairs if a.obligation_id == obligation_id])


def voluntary_of(desk: Desk, key: str) -> AffairView:
    """Return a voluntary affair of a desk by its deliverable.

    Raises:
        NotYoursError: there is none of that key.

    """
    return _first([a for a in desk.voluntary if a.key == key])


def _first(found: Sequence[AffairView]) -> AffairView:
    if not found:
        raise NotYoursError
    return found[0]


def _is_free(deliverable: Deliverable) -> bool:
    return deliverable.kind is DeliverableKind.FREE


def _affair(
    book: Rulebook,
    ob: Obligation,
    versions: tuple[VersionView, ...],
    drafts: set[int],
    at: datetime,
    asked: RequestRow | None,
) -> AffairView:
    deliverable = book.campaign.deliverable(ob.deliverable)
    open_ = is_owed(ob)
    return AffairView(
        obligation_id=ob.id,
        key=deliverable.key,
        title=titled(deliverable.title, ob.occurrence),
        label=deliverable.label,
        kind=deliverable.kind,
        due_text=wording.due_text(ob.due, book.zone),
        state=standing(ob),
        state_text=wording.STANDING[standing(ob)],
        overdue_text=wording.overdue_text(ob.due, at, book.zone) if open_ else "",
        open=open_,
        has_draft=ob.id in drafts,
        nil_allowed=deliverable.nil_return and open_,
        dated=True,
        asked_text=f"已申请延期至 {asked.wish.get('until', '')}，等待办公室处理" if asked is not None else "",
        scan=deliverable.sealed_scan and not _has_scan(versions),
        scan_text=wording.SCAN[_has_scan(versions)] if deliverable.sealed_scan else "",
        versions=versions,
    )


def _has_scan(versions: Sequence[VersionView]) -> bool:
    return any(f.kind in SCANS for v in versions if v.state != SubmissionState.RETURNED for f in v.files)


def _voluntary(
    deliverable: Deliverable, obligations: Sequence[Obligation], versions: dict[int, tuple[VersionView, ...]]
) -> AffairView:
    mine = [ob for ob in obligations if ob.deliverable == deliverable.key]
    handed_in = tuple(version for ob in reversed(mine) for version in versions[ob.id])
    return AffairView(
        obligation_id=None,
        key=deliverable.key,
        title=deliverable.title,
        label=deliverable.label,
        kind=deliverable.kind,
        due_text="随时报送",
        state="voluntary",
        state_text=f"已报{len(handed_in)}次" if handed_in else "自愿报送",
        overdue_text="",
        open=False,
        has_draft=False,
        nil_allowed=False,
        dated=False,
        versions=handed_in,
    )


def _versions(
    session: Session, premises: Premises, book: Rulebook, obligations: dict[int, Obligation]
) -> dict[int, tuple[VersionView, ...]]:
    """Return the versions of obligations, newest first, with their files and findings; three queries for all."""
    ids = list(obligations)
    query = select(SubmissionRow).where(SubmissionRow.obligation_id.in_(ids)).order_by(SubmissionRow.version.desc())
    submissions = session.scalars(query).all()
    numbers = [s.id for s in submissions]
    files: dict[int, list[FileView]] = {id_: [] for id_ in numbers}
    for file in session.scalars(select(FileRow).where(FileRow.submission_id.in_(numbers)).order_by(FileRow.id)):
        if file.submission_id is not None:
            files[file.submission_id].append(FileView(id=file.id, name=file.name or wording.UNNAMED, kind=file.kind))
    latest: dict[int, int] = {}
    for one in submissions:
        if one.state != SubmissionState.RETURNED:
            latest.setdefault(one.obligation_id, one.id)
    findings = _findings(session, premises, submissions, set(latest.values()))
    counting = {ob.id: counting_version(ob.versions) for ob in obligations.values()}
    returned = _reasons(session, ids)
    found: dict[int, tuple[VersionView, ...]] = dict.fromkeys(ids, ())
    for one in submissions:
        view = VersionView(
            submission_id=one.id,
            number=one.version,
            state=one.state,
            state_text=STATES.get(one.state, one.state),
            received_text=wording.moment_text(one.received_at, book.zone),
            channel_text=wording.CHANNEL.get(one.channel, one.channel),
            timely_text=wording.timely_text(obligations[one.obligation_id], one.received_at),
            files=tuple(files[one.id]),
            findings=findings[one.id],
            reasons=returned.get(one.id, ()) if one.state == "returned" else (),
            counts=(best := counting[one.obligation_id]) is not None and best.number == one.version,
            note=instead_text(one.version, one.state, obligations[one.obligation_id]),
        )
        found[one.obligation_id] = (*found[one.obligation_id], view)
    return found


def _reasons(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return why staff returned versions, the last word on each."""
    query = select(DecisionRow).where(DecisionRow.obligation_id.in_(ids), DecisionRow.kind == RETURNED_BY_STAFF)
    found: dict[int, tuple[str, ...]] = {}
    for decision in session.scalars(query.order_by(DecisionRow.id)):
        reasons = tuple(str(reason) for reason in decision.after.get("reasons", ()))
        for number in decision.after.get("fallen", ()):
            found[int(number)] = reasons or (decision.grounds,)
    return found


def _findings(
    session: Session, premises: Premises, submissions: Sequence[SubmissionRow], latest: set[int]
) -> dict[int, tuple[FindingView, ...]]:
    states, typed = {s.id: s.state for s in submissions}, typed_on_page(session, submissions)
    query = (
        select(FindingRow, AnswerRow)
        .outerjoin(AnswerRow, AnswerRow.finding_id == FindingRow.id)
        .where(FindingRow.submission_id.in_(states))
        .order_by(FindingRow.id)
    )
    rows = sorted(session.execute(query).all(), key=lambda pair: WEIGHT.get(pair[0].severity, 3))
    found: dict[int, tuple[FindingView, ...]] = dict.fromkeys(states, ())
    for row, answer in rows:
        number = row.submission_id
        line = sentences_of(premises.finding_texts, row, state=states[number], typed=number in typed)
        asks = states[number] == SubmissionState.QUERIED and number in latest
        view = _finding(line, row, answer, answerable=asks)
        found[row.submission_id] = (*found[row.submission_id], view)
    return found


def _finding(line: FindingLine, row: FindingRow, answer: AnswerRow | None, *, answerable: bool) -> FindingView:
    return FindingView(
        id=row.id,
        severity=row.severity,
        severity_text=line.severity_text,
        place=line.place,
        field=line.field,
        problem=line.problem,
        remedy=line.remedy,
        proposed=str(row.params.get("proposed", "")),
        open=answer is None and answerable and row.severity == "query",
        answered="" if answer is None else answer_text(answer),
    )
