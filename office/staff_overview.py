"""How the campaigns stand, for the first of the staff pages: rates, and how many things wait in each queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, select, text
from sqlalchemy.orm import Session, aliased

from ledger.facts import load_obligations
from ledger.outbox import ambiguous
from ledger.tables import (
    AnswerRow,
    ApprovalRow,
    ApprovalState,
    CampaignRow,
    CampaignState,
    FindingRow,
    IntakeRow,
    IntakeState,
    MessageRow,
    ObligationRow,
    PaperRow,
    PaperState,
    PartyKind,
    PartyRow,
    RequestRow,
    SubmissionRow,
)
from ledger.tables.messages import WAITS
from office import wording
from office.contacts import contact_troubles
from office.fence import is_open
from office.mailbook import local
from office.premises import Premises
from office.rulebook import rulebook_of
from office.staff_wording import CAMPAIGN_STATE
from office.stops import stops_in_words
from rules.forms import Severity
from rules.obligations import SubmissionState
from rules.rates import Totals, totals


@dataclass(frozen=True, kw_only=True)
class Stand:
    """One campaign at a moment."""

    key: str
    title: str
    state: str
    state_text: str
    closes_text: str
    now_text: str
    units: int
    totals: Totals
    by_category: tuple[tuple[str, Totals], ...]
    waiting: Mapping[str, int]  # by queue
    mails_waiting: int
    fenced: bool  # no mail leaves yet
    stops: tuple[str, ...]

    @property
    def rate_text(self) -> str:
        """报送率."""
        return wording.rate_text(self.totals.report_rate)

    @property
    def on_time_text(self) -> str:
        """及时率."""
        return wording.rate_text(self.totals.on_time_rate)


def campaigns(session: Session) -> list[CampaignRow]:
    """Return the campaigns, those that go on first, the newest first."""
    rows = session.scalars(select(CampaignRow).order_by(CampaignRow.id.desc())).all()
    return sorted(rows, key=lambda row: row.state == CampaignState.CLOSED)


def stand_of(session: Session, premises: Premises, row: CampaignRow, at: datetime) -> Stand:
    """Return how a campaign stands."""
    book = rulebook_of(row)
    obligations = load_obligations(session, row.id)
    units = select(func.count()).select_from(PartyRow)
    units = units.where(PartyRow.campaign_id == row.id, PartyRow.kind == PartyKind.UNIT, PartyRow.left_at.is_(None))
    to_leave = select(func.count()).select_from(MessageRow).where(MessageRow.campaign_id == row.id)
    by_category = {c: [o for o in obligations if o.category == c] for c in book.campaign.categories}
    return Stand(
        key=row.key,
        title=book.campaign.title,
        state=row.state,
        state_text=CAMPAIGN_STATE.get(row.state, row.state),
        closes_text=wording.day_text(book.campaign.closes_on),
        now_text=local(at, book.zone),
        units=session.scalars(units).one(),
        totals=totals(obligations),
        by_category=tuple((category, totals(some)) for category, some in by_category.items()),
        waiting=waiting_of(session, row),
        mails_waiting=session.scalars(to_leave.where(text(WAITS))).one(),
        fenced=not is_open(session, premises, row.key),
        stops=stops_in_words(session, premises, row.key),
    )


def waiting_of(session: Session, row: CampaignRow | None) -> dict[str, int]:
    """Count what waits for a person, by queue: of one campaign, or of all."""
    rows = [row] if row is not None else campaigns(session)
    chased = [one for one in rows if one.state != CampaignState.CLOSED]
    return {
        "letter": _count(session, IntakeRow, IntakeRow.state == IntakeState.QUEUED, _of_letters(row)),
        "version": _versions(session, row, SubmissionRow.state == SubmissionState.SUBMITTED.value),
        "query": _queries(session, row),
        "request": _count(session, RequestRow, RequestRow.decision_id.is_(None), _of(RequestRow.campaign_id, row)),
        "approval": _count(
            session, ApprovalRow, ApprovalRow.state == ApprovalState.ASKED, _of(ApprovalRow.campaign_id, row)
        ),
        "paper": _count(session, PaperRow, PaperRow.state == PaperState.DRAFT, _of(PaperRow.campaign_id, row)),
        "doubt": sum(row is None or m.campaign_id == row.id for m in ambiguous(session)),
        "contact": sum(len(contact_troubles(session, one.id)) for one in chased),
    }


def _of(column: object, row: CampaignRow | None) -> ColumnElement[bool] | None:
    return None if row is None else column == row.id  # type: ignore[return-value]


def _of_letters(row: CampaignRow | None) -> ColumnElement[bool] | None:
    """Return that a letter is of a campaign; one that nobody could place may be any campaign's."""
    return None if row is None else or_(IntakeRow.campaign_id == row.id, IntakeRow.campaign_id.is_(None))


def _count(session: Session, table: type, *wanted: ColumnElement[bool] | None) -> int:
    query = select(func.count()).select_from(table).where(*(one for one in wanted if one is not None))
    return session.scalars(query).one()


def _versions(session: Session, row: CampaignRow | None, wanted: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(SubmissionRow).where(wanted)
    query = query.join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
    return session.scalars(query if row is None else query.where(ObligationRow.campaign_id == row.id)).one()


def _queries(session: Session, row: CampaignRow | None) -> int:
    later = aliased(SubmissionRow)
    newest = select(func.max(later.version)).where(later.obligation_id == SubmissionRow.obligation_id).scalar_subquery()
    query = (
        select(func.count())
        .select_from(FindingRow)
        .join(SubmissionRow, SubmissionRow.id == FindingRow.submission_id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .where(
            FindingRow.severity == Severity.QUERY.value,
            SubmissionRow.state == SubmissionState.QUERIED.value,
            SubmissionRow.version == newest,
            ~exists().where(AnswerRow.finding_id == FindingRow.id),
        )
    )
    return session.scalars(query if row is None else query.where(ObligationRow.campaign_id == row.id)).one()
