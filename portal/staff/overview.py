"""The first pages: how the campaigns stand, what waits, and the search; a campaign paused, resumed and closed."""

from ledger.tables import CampaignRow
from office.board import board, cell_text
from office.pausing import close, pause, resume
from office.staff_accounts import Role
from office.staff_overview import campaigns, stand_of, waiting_of
from office.staff_queue import section_of
from office.staff_units import search
from office.staff_wording import QUEUE
from office.stops import zone_of_house
from office.wording import STANDING, rate_text, zone_text
from portal.forms import Sent
from portal.pages import GoTo, Page
from portal.staff.visit import Deed, Look, NothingThereError, StaffVisit, campaign_named, filled, grounds_in
from rules.deadlines import is_overdue
from rules.obligations import is_owed

SHORT, LONG = 10, 100  # lines of a queue among others, and alone
UNITS = 100  # of a board's page
OPEN, QUIET = ("launched", "paused"), "closed"


def _overview(visit: StaffVisit) -> Page:
    stands = [stand_of(visit.session, visit.premises, row, visit.at) for row in campaigns(visit.session)]
    shown = {"stands": [s for s in stands if s.state != QUIET], "past": [s for s in stands if s.state == QUIET]}
    waiting = waiting_of(visit.session, None)
    return Page(
        template="staff/overview.html",
        context={**shown, "waiting": waiting, "titles": QUEUE, "said": visit.said, "total": sum(waiting.values())},
    )


def _campaign(visit: StaffVisit) -> Page:
    row = visit.campaign
    whole = board(visit.session, row.key)
    first = _first(visit, UNITS)
    some = whole.rows[first : first + UNITS]
    rows = [
        {
            "code": r.code,
            "name": r.name,
            "category": r.category,
            "open": r.open_items,
            "cells": [
                (
                    cell_text(cell := r.cells.get(key, ()), STANDING, whole.nil, whole.promised, whole.papers),
                    any(is_overdue(ob.due, visit.at) and is_owed(ob) for ob in cell),
                )
                for key, _ in whole.deliverables
            ],
        }
        for r in some
    ]
    return Page(
        template="staff/campaign.html",
        context={
            "stand": stand_of(visit.session, visit.premises, row, visit.at),
            "titles": QUEUE,
            "columns": [title for _, title in whole.deliverables],
            "rows": rows,
            "pager": _pager(first, len(some), len(whole.rows), UNITS),
            "rate_text": rate_text,
            "said": visit.said,
            "typed": visit.typed,
        },
    )


def _queue(visit: StaffVisit) -> Page:
    row = _campaign_asked(visit)
    zone = zone_of_house(visit.session, row.key if row is not None else None)
    counts = waiting_of(visit.session, row)
    sections = [
        section_of(visit.session, visit.premises, zone, kind, row, first=0, limit=SHORT)
        for kind, count in counts.items()
        if count
    ]
    return Page(
        template="staff/queue.html",
        context={"sections": sections, "said": visit.said, **_filter(visit, row), "zone_text": zone_text(zone)},
    )


def _queue_of_kind(visit: StaffVisit) -> Page:
    kind = visit.named.get("kind", "")
    if kind not in QUEUE:
        raise NothingThereError
    row = _campaign_asked(visit)
    zone = zone_of_house(visit.session, row.key if row is not None else None)
    first = _first(visit, LONG)
    section = section_of(visit.session, visit.premises, zone, kind, row, first=first, limit=LONG)
    pager = _pager(first, len(section.lines), section.total, LONG)
    context = {"section": section, "pager": pager, "said": visit.said, **_filter(visit, row)}
    return Page(template="staff/queue_of_kind.html", context=context | {"zone_text": zone_text(zone)})


def _filter(visit: StaffVisit, row: CampaignRow | None) -> dict[str, object]:
    keys = [(one.key, one.title) for one in campaigns(visit.session)]
    return {"campaigns": keys, "chosen": row.key if row is not None else ""}


def _campaign_asked(visit: StaffVisit) -> CampaignRow | None:
    key = visit.asked.get("campaign", "")
    return campaign_named(visit.session, key) if key else None


def _first(visit: StaffVisit, limit: int) -> int:
    page = visit.asked.get("page", "1")
    return (int(page) - 1) * limit if page.isascii() and page.isdigit() and 0 < int(page[:6]) < 10_000 else 0  # noqa: PLR2004


def _pager(first: int, shown: int, total: int, limit: int) -> dict[str, int]:
    page = first // limit + 1
    return {
        "first": first + 1 if shown else 0,
        "last": first + shown,
        "total": total,
        "before": page - 1,
        "after": page + 1 if first + shown < total else 0,
    }


def _search(visit: StaffVisit) -> Page:
    words = visit.asked.get("q", "").strip()[:200]
    hits = search(visit.session, words)
    return Page(template="staff/search.html", context={"words": words, "hits": hits})


def _pause(visit: StaffVisit, sent: Sent) -> GoTo:
    pause(visit.session, visit.act, visit.campaign.key, grounds_in(sent))
    return _back_to_campaign(visit, "paused")


def _resume(visit: StaffVisit, sent: Sent) -> GoTo:
    resume(visit.session, visit.act, visit.campaign.key, grounds_in(sent))
    return _back_to_campaign(visit, "resumed")


def _close(visit: StaffVisit, sent: Sent) -> GoTo:
    grounds = grounds_in(sent)
    filled(sent, "sure", "结束活动请先勾选“确认”。")
    close(visit.session, visit.premises, visit.act, visit.campaign.key, grounds)
    return _back_to_campaign(visit, "closed")


def _back_to_campaign(visit: StaffVisit, said: str) -> GoTo:
    return GoTo(path=f"/c/{visit.named['campaign']}?said={said}")


LOOKS = (
    Look(path="/", show=_overview),
    Look(path="/c/{campaign}", show=_campaign),
    Look(path="/queue", show=_queue),
    Look(path="/queue/{kind}", show=_queue_of_kind),
    Look(path="/search", show=_search),
)
DEEDS = (
    Deed(path="/c/{campaign}/pause", do=_pause, back=_campaign, role=Role.APPROVER),
    Deed(path="/c/{campaign}/resume", do=_resume, back=_campaign, role=Role.APPROVER),
    Deed(path="/c/{campaign}/close", do=_close, back=_campaign, role=Role.APPROVER),
)
