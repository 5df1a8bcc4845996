"""The staff queue as a page shows it: each thing that waits, with the page on which it is done."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ledger.tables import CampaignRow, CampaignState
from office import wording
from office.approvals import waiting_lists
from office.contacts import contact_troubles
from office.mailbook import DASH
from office.papers import drafts_waiting
from office.premises import Premises
from office.queue import ambiguous_by_campaign, waiting_for_a_person
from office.relay_wording import relay_text
from office.staff_overview import campaigns
from office.staff_wording import COLUMNS, QUEUE, VERB
from office.worklists import open_queries, waiting_requests, waiting_versions


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that waits: its cells, and where below /staff it is done."""

    cells: tuple[str, ...]
    path: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One queue, the oldest first: the lines of a page of it, and how many there are."""

    kind: str
    title: str
    columns: tuple[str, ...]
    verb: str
    lines: tuple[Line, ...]
    total: int


@dataclass(frozen=True, kw_only=True)
class _Asked:
    session: Session
    premises: Premises
    zone: ZoneInfo
    row: CampaignRow | None

    def is_meant(self, key: str) -> bool:
        return self.row is None or key == self.row.key


def section_of(
    session: Session, premises: Premises, zone: ZoneInfo, kind: str, row: CampaignRow | None, *, first: int, limit: int
) -> Section:
    """Return a part of one queue, of one campaign or of all."""
    found = _LINES[kind](_Asked(session=session, premises=premises, zone=zone, row=row))
    return Section(
        kind=kind,
        title=QUEUE[kind],
        columns=COLUMNS[kind],
        verb=VERB[kind],
        lines=tuple(found[first : first + limit]),
        total=len(found),
    )


def _letters(asked: _Asked) -> list[Line]:
    lines = []
    for number, received, key, *rest, _ in waiting_for_a_person(asked.session, asked.zone):
        if key == DASH or asked.is_meant(key):
            lines.append(Line(cells=(number, received, key, *rest), path=f"/in/{number.removeprefix('in-')}"))
    return lines


def _versions(asked: _Asked) -> list[Line]:
    only = asked.row.id if asked.row is not None else None
    found = waiting_versions(asked.session, asked.zone, only)
    return [Line(cells=line[1:-1], path=f"/s/{line[0]}") for line in found]


def _queries(asked: _Asked) -> list[Line]:
    lines = []
    for query in open_queries(asked.session, asked.premises):
        number, *rest, _ = query.line
        if asked.is_meant(query.campaign):
            lines.append(Line(cells=(query.campaign, *rest), path=f"/s/{query.submission}#q{number}"))
    return lines


def _requests(asked: _Asked) -> list[Line]:
    only = asked.row.id if asked.row is not None else None
    found = waiting_requests(asked.session, asked.zone, only)
    return [Line(cells=line[1:-1], path=f"/r/{line[0]}") for line in found]


def _approvals(asked: _Asked) -> list[Line]:
    found = waiting_lists(asked.session, asked.row.key if asked.row is not None else None)
    return [
        Line(cells=(key, *rest), path=f"/a/{quote(key, safe='')}/{quote(occasion, safe=':')}")
        for occasion, key, *rest in found
    ]


def _papers(asked: _Asked) -> list[Line]:
    return [
        Line(cells=tuple(rest), path=f"/p/{number}")
        for number, *rest, _ in drafts_waiting(asked.session)
        if asked.is_meant(rest[0])
    ]


def _doubts(asked: _Asked) -> list[Line]:
    lines = []
    for key, (number, unit, notice, when, address, said, _) in ambiguous_by_campaign(asked.session, asked.zone):
        if asked.is_meant(key):
            cells = (key, unit, wording.NOTICE.get(notice, notice), when, address, relay_text(said))
            lines.append(Line(cells=cells, path=f"/m/{number}"))
    return lines


def _contacts(asked: _Asked) -> list[Line]:
    rows = [asked.row] if asked.row is not None else campaigns(asked.session)
    return [
        Line(
            cells=(
                row.key,
                f"{t.code} {t.name}",
                wording.TROUBLE[t.trouble],
                t.written_to or DASH,
                "；".join(t.failing) or DASH,
                "、".join(t.phones) or DASH,
            ),
            path=f"/u/{quote(row.key, safe='')}/{quote(t.code, safe='')}#contact",
        )
        for row in rows
        if row.state != CampaignState.CLOSED
        for t in contact_troubles(asked.session, row.id)
    ]


_LINES: dict[str, Callable[[_Asked], list[Line]]] = {
    "letter": _letters,
    "version": _versions,
    "query": _queries,
    "request": _requests,
    "approval": _approvals,
    "paper": _papers,
    "doubt": _doubts,
    "contact": _contacts,
}
