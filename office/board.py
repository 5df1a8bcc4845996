"""The completeness board: units × deliverables, and the rates by category."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ledger.facts import load_obligations, party_names
from ledger.ladder import promises
from ledger.tables import PartyKind
from office.nil import nil_versions
from office.paper import original_text, originals_at
from office.rulebook import Rulebook, open_book
from office.wording import NIL
from rules.deadlines import stated
from rules.obligations import REPORTED, Obligation, Standing, counting_version, is_on_time, is_owed, standing
from rules.rates import Totals, totals

NOTHING: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """One unit: for each deliverable its obligations, voluntary ones left out."""

    code: str
    name: str
    category: str
    cells: dict[str, list[Obligation]] = field(default_factory=dict)

    @property
    def open_items(self) -> int:
        """How many items the unit still owes."""
        owed = (Standing.MISSING, Standing.RETURNED)
        return sum(standing(ob) in owed for cell in self.cells.values() for ob in cell)


@dataclass(frozen=True, kw_only=True)
class Board:
    """The board of a campaign."""

    title: str
    zone: ZoneInfo
    deliverables: tuple[tuple[str, str], ...]  # key, title; dated ones only
    rows: tuple[BoardRow, ...]
    by_category: tuple[tuple[str, Totals], ...]
    nil: frozenset[int] = frozenset()  # the obligations whose counting version is a nil return
    promised: Mapping[int, str] = field(default_factory=dict)  # by obligation, the day by which it is promised
    papers: Mapping[int, str] = field(default_factory=dict)  # by obligation, whether the original came on paper

    @property
    def totals(self) -> Totals:
        """The totals over all categories."""
        return sum((t for _, t in self.by_category), Totals())


def board(session: Session, campaign: str) -> Board:
    """Return the completeness board, units with most left open first."""
    row, book = open_book(session, campaign)
    obligations = load_obligations(session, row.id)
    parties = party_names(session, row.id)
    rows = {
        id_: BoardRow(code=p.code, name=p.name, category=p.category)
        for id_, p in parties.items()
        if p.kind == PartyKind.UNIT
    }
    for ob in obligations:
        if not ob.voluntary:
            rows[ob.party_id].cells.setdefault(ob.deliverable, []).append(ob)
    dated = {ob.deliverable for ob in obligations if not ob.voluntary}
    return Board(
        title=book.campaign.title,
        zone=book.zone,
        deliverables=tuple((d.key, d.title) for d in book.campaign.deliverables if d.key in dated),
        rows=tuple(sorted(rows.values(), key=lambda r: (-r.open_items, r.code))),
        by_category=tuple(
            (category, totals(ob for ob in obligations if ob.category == category))
            for category in book.campaign.categories
        ),
        nil=nil_obligations(session, row.id, obligations),
        promised=promised_days(session, row.id, book, obligations),
        papers=_papers(session, row.id, book, obligations),
    )


def _papers(session: Session, campaign_id: int, book: Rulebook, obligations: Sequence[Obligation]) -> dict[int, str]:
    """Return whether the original came on paper, for what was reported or came on paper only."""
    came = originals_at(session, campaign_id, book.campaign)
    return {
        ob.id: original_text(book.campaign.deliverable(ob.deliverable), came.get(ob.id), book.zone)
        for ob in obligations
        if ob.id in came or standing(ob) in REPORTED
    }


def promised_days(
    session: Session, campaign_id: int, book: Rulebook, obligations: Sequence[Obligation]
) -> dict[int, str]:
    """Return the latest day that anybody promised for what is still owed."""
    until: dict[int, datetime] = {}
    current = {(ob.id, ob.due) for ob in obligations if is_owed(ob)}
    for (obligation, _, due), end in promises(session, campaign_id).items():
        if (obligation, due) in current:
            until[obligation] = max(end, until.get(obligation, end))
    days = {id_: stated(end, book.zone).day for id_, end in until.items()}
    return {id_: f"{day.month}月{day.day}日" for id_, day in days.items()}


def nil_obligations(session: Session, campaign_id: int, obligations: Sequence[Obligation]) -> frozenset[int]:
    """Return the obligations whose counting version is a nil return."""
    versions = nil_versions(session, campaign_id)
    counting = ((ob.id, version) for ob in obligations if (version := counting_version(ob.versions)) is not None)
    return frozenset(id_ for id_, version in counting if (id_, version.number) in versions)


def overall(session: Session, campaign: str) -> tuple[str, ZoneInfo, Totals]:
    """Return a campaign's title, zone and totals."""
    row, book = open_book(session, campaign)
    return book.campaign.title, book.zone, totals(load_obligations(session, row.id))


def cell_text(
    obligations: Sequence[Obligation],
    words: dict[str, str],
    nil: frozenset[int] = frozenset(),
    promised: Mapping[int, str] = NOTHING,
    papers: Mapping[int, str] = NOTHING,
) -> str:
    """Return one cell of the board: 已报, 未报, 已报（迟） …; of a series, how many of how many."""
    if not obligations:
        return "—"
    if len(obligations) > 1:
        done = sum(is_on_time(ob) is not None for ob in obligations)
        return f"{done}/{len(obligations)}"
    late = "（迟）" if is_on_time(obligations[0]) is False else ""
    what = NIL if obligations[0].id in nil else words[standing(obligations[0])]
    day = promised.get(obligations[0].id)
    paper = papers.get(obligations[0].id)
    return what + late + (f"（承诺{day}）" if day else "") + (f"，{paper}" if paper else "")
