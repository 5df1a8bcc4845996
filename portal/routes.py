"""The pages of a unit and what can be done on them. Looking is a GET; whatever changes something is a POST."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.tables import CampaignRow, IntakeKind
from office.answers import answer_of
from office.rulebook import rulebook_of
from office.unit_desk import AffairView, Desk, affair_of, desk_of, voluntary_of
from office.unit_forms import empty_workbook, fill_and_check, open_form, save_draft, typed_before, typed_in, view_form
from office.unit_handin import hand_in_files, hand_in_form, hand_in_nothing
from office.unit_own import NotYoursError, is_answered_by_mail, own_file, own_intake, own_obligation, submissions_of
from portal.counter import Counter
from portal.forms import Again, Sent
from portal.gate import Ready, Visit
from portal.numbers import Number
from portal.pages import Download, GoTo, Page, Shown
from portal.sayings import said_in
from rules.forms import Checked

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS_MORE = 5
TO_DO = frozenset({"returned", "queried"})


def looking_routes(counter: Counter) -> APIRouter:
    """Return the routes of pages and files."""
    router = APIRouter()

    @router.get("/u/{link}")
    async def desk(request: Request, link: str) -> Response:
        return await counter.look(request, link, lambda visit: Page(template="desk.html", context=_desk(visit)))

    @router.get("/u/{link}/o/{number}")
    async def affair(request: Request, link: str, number: Number) -> Response:
        return await counter.look(request, link, lambda visit: _affair(visit, number, said_in(request.query_params)))

    @router.get("/u/{link}/v/{key}")
    async def voluntary(request: Request, link: str, key: str) -> Response:
        return await counter.look(request, link, lambda visit: _voluntary(visit, key, said_in(request.query_params)))

    @router.get("/u/{link}/o/{number}/fill")
    async def fill(request: Request, link: str, number: Number) -> Response:
        return await counter.look(request, link, lambda visit: _fill(visit, number, request.query_params))

    @router.get("/u/{link}/upload")
    async def upload(request: Request, link: str) -> Response:
        return await counter.look(request, link, lambda visit: _upload(visit, said_in(request.query_params)))

    @router.get("/u/{link}/r/{number}")
    async def result(request: Request, link: str, number: Number) -> Response:
        return await counter.look(request, link, lambda visit: _result(visit, number))

    @router.get("/u/{link}/o/{number}/empty.xlsx")
    async def empty(request: Request, link: str, number: Number) -> Response:
        return await counter.look(request, link, lambda visit: _empty(visit, number))

    @router.get("/u/{link}/f/{number}")
    async def file(request: Request, link: str, number: Number) -> Response:
        return await counter.look(request, link, lambda visit: _file(visit, number))

    return router


def handing_in_routes(counter: Counter) -> APIRouter:
    """Return the routes by which a unit hands in."""
    router = APIRouter()

    @router.post("/u/{link}/o/{number}/fill")
    async def fill(request: Request, link: str, number: Number) -> Response:
        return await counter.act(
            request,
            link,
            lambda visit, sent: _filled(visit, sent, number),
            lambda visit, sent: _fill_ready(visit, sent, number),
        )

    @router.post("/u/{link}/o/{number}/upload")
    async def upload(request: Request, link: str, number: Number) -> Response:
        return await counter.act(
            request,
            link,
            lambda visit, sent: _uploaded(visit, sent, number),
            lambda visit, sent: _upload_ready(visit, sent, number),
        )

    @router.post("/u/{link}/o/{number}/nil")
    async def nil(request: Request, link: str, number: Number) -> Response:
        return await counter.act(request, link, lambda visit, sent: _nothing(visit, sent, number))

    @router.post("/u/{link}/v/{key}/upload")
    async def upload_voluntary(request: Request, link: str, key: str) -> Response:
        return await counter.act(request, link, lambda visit, sent: _uploaded_voluntary(visit, sent, key), _files_ready)

    @router.post("/u/{link}/upload")
    async def upload_any(request: Request, link: str) -> Response:
        return await counter.act(request, link, _uploaded_any, _files_ready)

    return router


def _desk(visit: Visit) -> dict[str, Any]:
    return {"desk": desk_of(visit.session, visit.premises, visit.party, visit.at)}


def _affair(visit: Visit, number: int, said: tuple[str, bool]) -> Page:
    context = _desk(visit)
    return affair_page(context["desk"], affair_of(context["desk"], number), said)


def _voluntary(visit: Visit, key: str, said: tuple[str, bool]) -> Page:
    context = _desk(visit)
    return affair_page(context["desk"], voluntary_of(context["desk"], key), said)


def affair_page(
    desk: Desk, affair: AffairView, said: tuple[str, bool], *, again: Again | None = None, status: int = 200
) -> Page:
    """Return the page of one affair, with what was typed in a form of it that comes back."""
    path = f"/o/{affair.obligation_id}" if affair.obligation_id is not None else f"/v/{affair.key}"
    context = {"desk": desk, "affair": affair, "path": path, "said": said, "again": again or Again()}
    return Page(template="affair.html", context=context, status=status, forms=True)


def _fill(visit: Visit, number: int, asked: Mapping[str, str]) -> Page:
    context = _desk(visit)
    affair = affair_of(context["desk"], number)
    opened = open_form(visit.session, visit.party, number)
    typed, source = typed_before(visit.session, visit.premises, opened)
    checked = fill_and_check(visit.premises, opened, typed).checked if "check" in asked and typed else None
    more = ROWS_MORE if "more" in asked else 0
    form = view_form(visit.premises, opened, typed, checked, more=more, source=source)
    shown = {"affair": affair, "form": form, "tried": "tried" in asked, "said": said_in(asked)}
    return Page(template="fill.html", context=context | shown, forms=True)


def _upload(visit: Visit, said: tuple[str, bool]) -> Page:
    return Page(template="upload.html", context=_desk(visit) | {"said": said}, forms=True)


def _fill_ready(visit: Visit, sent: Sent, number: int) -> Ready:
    """Fill and check the form that is to be handed in, while others may write."""
    opened = open_form(visit.session, visit.party, number)
    if _action(sent) != "hand_in":
        return Ready()
    filled = fill_and_check(visit.premises, opened, typed_in(opened.form, sent.text))
    fit = _may_be_handed_in(filled.checked, sure=_is_sure(sent))
    return Ready(contents=(filled.content,) if fit else (), filled=filled)


def _filled(visit: Visit, sent: Sent, number: int) -> Shown:
    """Keep what was typed in any case; hand it in if that is asked for and nothing stands against it."""
    opened = open_form(visit.session, visit.party, number)
    page, action, filled = f"/o/{number}/fill", _action(sent), visit.ready.filled
    if filled is not None and _may_be_handed_in(filled.checked, sure=_is_sure(sent)):
        done = hand_in_form(visit.session, visit.premises, visit.act, opened, filled.content)
        return GoTo(path=f"/r/{done.intake_id}")
    save_draft(visit.session, visit.act, opened, typed_in(opened.form, sent.text))
    if action == "hand_in":
        return GoTo(path=f"{page}?check=1&tried=1#top")
    return GoTo(path=page + {"check": "?check=1#top", "more": "?more=1#more"}.get(action, "?said=draft"))


def _action(sent: Sent) -> str:
    return "hand_in" if _is_sure(sent) else sent.get("action")


def _is_sure(sent: Sent) -> bool:
    return bool(sent.get("sure"))


def _may_be_handed_in(checked: Checked, *, sure: bool) -> bool:
    return not checked.must_correct and (sure or not checked.queried)


def _files_ready(_visit: Visit, sent: Sent) -> Ready:
    return Ready(contents=tuple(file.content for file in sent.files))


def _upload_ready(visit: Visit, sent: Sent, number: int) -> Ready:
    own_obligation(visit.session, visit.party, number)
    return _files_ready(visit, sent)


def _uploaded(visit: Visit, sent: Sent, number: int) -> Shown:
    obligation = own_obligation(visit.session, visit.party, number)
    if not sent.files:
        return GoTo(path=f"/o/{number}?said=no_file")
    done = hand_in_files(visit.session, visit.premises, visit.act, visit.party, sent.files, obligation=obligation)
    return GoTo(path=f"/r/{done.intake_id}")


def _nothing(visit: Visit, sent: Sent, number: int) -> Shown:
    obligation = own_obligation(visit.session, visit.party, number)
    if not sent.get("sure"):
        return GoTo(path=f"/o/{number}?said=not_sure")
    done = hand_in_nothing(visit.session, visit.premises, visit.act, visit.party, obligation)
    return GoTo(path=f"/r/{done.intake_id}")


def _uploaded_voluntary(visit: Visit, sent: Sent, key: str) -> Shown:
    voluntary_of(desk_of(visit.session, visit.premises, visit.party, visit.at), key)
    if not sent.files:
        return GoTo(path=f"/v/{key}?said=no_file")
    done = hand_in_files(visit.session, visit.premises, visit.act, visit.party, sent.files, deliverable=key)
    return GoTo(path=f"/r/{done.intake_id}")


def _uploaded_any(visit: Visit, sent: Sent) -> Shown:
    if not sent.files:
        return GoTo(path="/upload?said=no_file")
    done = hand_in_files(visit.session, visit.premises, visit.act, visit.party, sent.files)
    return GoTo(path=f"/r/{done.intake_id}")


def _result(visit: Visit, number: int) -> Page:
    """Show what came of one hand-in, and lead on to each affair that it was for."""
    intake = own_intake(visit.session, visit.party, number)
    book = rulebook_of(visit.session.get_one(CampaignRow, visit.party.campaign_id))
    answer = answer_of(visit.session, visit.premises, book, intake.id)
    handed_in = submissions_of(visit.session, intake)
    context = _desk(visit)
    mine = [(a, v) for a in context["desk"].affairs for v in a.versions if v.submission_id in handed_in]
    shown = {
        "answer": answer,
        "mailed": is_answered_by_mail(visit.session, intake),
        "known_before": intake.kind == IntakeKind.DUPLICATE,
        "receipts": [(v.submission_id, a.title) for a, v in mine],
        "pages": [(f"/o/{a.obligation_id}", f"去更正、核实{a.title}") for a, v in mine if v.state in TO_DO],
    }
    return Page(template="result.html", context=context | shown)


def _empty(visit: Visit, number: int) -> Download:
    opened = open_form(visit.session, visit.party, number)
    deliverable = opened.book.campaign.deliverable(opened.deliverable)
    name = f"{deliverable.label}{deliverable.title}.xlsx"
    return Download(name=name, content=empty_workbook(visit.premises, opened), media_type=XLSX)


def _file(visit: Visit, number: int) -> Download:
    row = own_file(visit.session, visit.party, number)
    try:
        return Download(name=row.name or "file", content=visit.premises.files.get(row.sha256))
    except FileNotFoundError:
        raise NotYoursError from None
