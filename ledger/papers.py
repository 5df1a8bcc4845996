"""Verbs on papers: drafted, renewed, dropped, approved. Each with its audit entry; numbers have no gaps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.errors import UnknownPaper
from ledger.tables import DecisionRow, PaperKind, PaperRow, PaperState


@dataclass(frozen=True, kw_only=True)
class Text:
    """What a paper says: the name and hash of its file, the facts it names, the colour of an order."""

    name: str
    sha256: str
    facts: Mapping[str, Any]
    grade: str = ""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A paper's number, alone and as it is printed."""

    year: int
    number: int
    text: str


def find_paper(session: Session, paper_id: int) -> PaperRow:
    """Return a paper.

    Raises:
        UnknownPaper: there is none of that number.

    """
    row = session.get(PaperRow, paper_id)
    if row is None:
        raise UnknownPaper(f"there is no paper {paper_id}; `muster papers` lists them")
    return row


def papers_of(
    session: Session, campaign_id: int | None = None, *, kind: PaperKind | None = None, state: PaperState | None = None
) -> list[PaperRow]:
    """Return papers, the oldest first: of all campaigns, kinds and states unless named."""
    query = select(PaperRow).order_by(PaperRow.id)
    if campaign_id is not None:
        query = query.where(PaperRow.campaign_id == campaign_id)
    if kind is not None:
        query = query.where(PaperRow.kind == kind)
    if state is not None:
        query = query.where(PaperRow.state == state)
    return list(session.scalars(query))


def draft_paper(
    session: Session, act: Act, campaign_id: int, kind: PaperKind, text: Text, *, party_id: int | None = None
) -> PaperRow:
    """Record a draft; an open one of the same kind and party is renewed, and waits since it was first made."""
    query = select(PaperRow).where(
        PaperRow.campaign_id == campaign_id,
        PaperRow.kind == kind,
        PaperRow.state == PaperState.DRAFT,
        PaperRow.party_id == party_id,
    )
    row = session.scalars(query).first()
    if row is None:
        row = PaperRow(
            campaign_id=campaign_id,
            party_id=party_id,
            kind=kind,
            state=PaperState.DRAFT,
            drafted_at=act.as_of,
            **written(act),
        )
        session.add(row)
    _write(row, text)
    session.flush()
    _note(session, act, row, "paper.drafted", {"name": text.name, "sha256": text.sha256, "grade": text.grade})
    return row


def drop_paper(session: Session, act: Act, row: PaperRow, reason: str) -> None:
    """Drop a draft: it does not go out."""
    row.state, row.reason = PaperState.DROPPED, reason[:300]
    session.flush()
    _note(session, act, row, "paper.dropped", {"reason": row.reason})


def next_number(session: Session, campaign_id: int, kind: str, year: int) -> int:
    """Return the next number of a kind in a year; the caller holds the write lock."""
    query = select(func.max(PaperRow.number)).where(
        PaperRow.campaign_id == campaign_id, PaperRow.kind == kind, PaperRow.year == year
    )
    return (session.scalar(query) or 0) + 1


def approve_paper(session: Session, act: Act, row: PaperRow, decision: DecisionRow, number: Number, text: Text) -> None:
    """Give a draft its number and its final text."""
    row.state, row.decision_id = PaperState.APPROVED, decision.id
    row.year, row.number, row.number_text = number.year, number.number, number.text
    _write(row, text)
    session.flush()
    told = {"number": number.text, "sha256": text.sha256, "decision": decision.id}
    _note(session, act, row, "paper.approved", told)


def _write(row: PaperRow, text: Text) -> None:
    row.grade, row.name, row.sha256, row.facts = text.grade, text.name, text.sha256, dict(text.facts)


def _note(session: Session, act: Act, row: PaperRow, verb: str, detail: Mapping[str, Any]) -> None:
    told = {"paper": row.id, "kind": str(row.kind), **detail}
    audit.append(session, act, verb, told, campaign_id=row.campaign_id, party_id=row.party_id)
