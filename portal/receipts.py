"""Receipts: a page to be printed, and the same as a text file."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.responses import Response

from ledger.tables import CampaignRow, FileRow
from office.unit_desk import AffairView, Desk, VersionView, desk_of
from office.unit_own import NotYoursError
from portal.counter import Counter
from portal.gate import Visit
from portal.numbers import Number
from portal.pages import Download, Page


def receipt_routes(counter: Counter) -> APIRouter:
    """Return the routes of receipts."""
    router = APIRouter()

    @router.get("/u/{link}/s/{number}/receipt")
    async def receipt(request: Request, link: str, number: Number) -> Response:
        return await counter.look(request, link, lambda visit: _page(visit, number))

    @router.get("/u/{link}/s/{number}/receipt.txt")
    async def as_text(request: Request, link: str, number: Number) -> Response:
        return await counter.look(request, link, lambda visit: _text(visit, number))

    return router


def _page(visit: Visit, number: int) -> Page:
    desk, affair, version = _find(visit, number)
    context = {
        "desk": desk,
        "affair": affair,
        "version": version,
        "files": _files(visit, number),
        "receipt_number": _receipt_number(visit, number),
    }
    return Page(template="receipt.html", context=context)


def _text(visit: Visit, number: int) -> Download:
    desk, affair, version = _find(visit, number)
    timely = f"（{version.timely_text}）" if version.timely_text else ""
    lines = [
        f"{desk.campaign.title}　报送回执",
        "",
        f"回执编号：{_receipt_number(visit, number)}",
        f"报送单位：{desk.unit_name}",
        f"报送材料：{affair.name}（第{version.number}次报送）",
        f"收到时间：{version.received_text}（{desk.zone_text}）{timely}",
        f"报送方式：{version.channel_text}",
        f"登记状态：{version.state_text}",
        *(f"文件：{file.name}\n　　　校验码 {file.sha256}" for file in _files(visit, number)),
        "",
        desk.campaign.issuer,
        f"联系人：{desk.contact.name}　电话：{desk.contact.phone}",
    ]
    name = f"回执-{affair.title}-第{version.number}次报送.txt"
    return Download(name=name, content=("\ufeff" + "\r\n".join(lines) + "\r\n").encode())


def _find(visit: Visit, number: int) -> tuple[Desk, AffairView, VersionView]:
    desk = desk_of(visit.session, visit.premises, visit.party, visit.at)
    for affair in desk.affairs:
        for version in affair.versions:
            if version.submission_id == number:
                return desk, affair, version
    raise NotYoursError


def _files(visit: Visit, number: int) -> Sequence[FileRow]:
    return visit.session.scalars(select(FileRow).where(FileRow.submission_id == number).order_by(FileRow.id)).all()


def _receipt_number(visit: Visit, number: int) -> str:
    campaign = visit.session.get_one(CampaignRow, visit.party.campaign_id)
    return f"{campaign.key}-{visit.party.code}-{number}"
