"""What a unit asks for and answers on its page: a later deadline, another contact, a query confirmed."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.requests import CONTACT
from ledger.submissions import fitting
from ledger.tables import RequestRow
from office.confirming import is_proposed
from office.contact_changes import read_named
from office.refusals import NotPossible
from office.requests import ask_contact_change, ask_extension, requests_of
from office.review import confirm_finding
from office.unit_desk import affair_of, desk_of
from office.unit_own import own_finding, own_obligation
from portal.counter import Counter
from portal.forms import Again, Sent
from portal.gate import Visit
from portal.numbers import Number
from portal.pages import GoTo, Page, Shown
from portal.routes import affair_page
from portal.sayings import FAULTS, said_in
from rules.numbers import NumberKind, read_number

INCOMPLETE, NOT_DONE = 422, 409
CONTACT_FIELDS = ("role", "name", "address", "reason")
UNSAID = {  # by field, what a form says where it was left empty
    "until": "请填写日期。",
    "role": "请选择联系人类别。",
    "name": "请填写姓名。",
    "address": "请填写邮箱。",
    "reason": "请填写理由。",
}
AT_FIELD = {  # what the office refuses because of one field
    "bad_due": "until",
    "not_later": "until",
    "bad_role": "role",
    "bad_address": "address",
    "bad_phone": "phone",
}


def asking_routes(counter: Counter) -> APIRouter:
    """Return the routes by which a unit asks and answers."""
    router = APIRouter()

    @router.post("/u/{link}/o/{number}/extension")
    async def extension(request: Request, link: str, number: Number) -> Response:
        return await counter.act(request, link, lambda visit, sent: _extension(visit, sent, number))

    @router.post("/u/{link}/q/{number}")
    async def answer(request: Request, link: str, number: Number) -> Response:
        return await counter.act(request, link, lambda visit, sent: _answer(visit, sent, number))

    @router.get("/u/{link}/contact")
    async def contact_page(request: Request, link: str) -> Response:
        return await counter.look(request, link, lambda visit: _contact_page(visit, said_in(request.query_params)))

    @router.post("/u/{link}/contact")
    async def contact(request: Request, link: str) -> Response:
        return await counter.act(request, link, _contact)

    return router


def _extension(visit: Visit, sent: Sent, number: int) -> Shown:
    own_obligation(visit.session, visit.party, number)
    wrong = {name: said for name, said in UNSAID.items() if name in ("until", "reason") and not sent.get(name)}
    if wrong:
        return _affair_again(visit, sent, number, wrong, FAULTS["no_reason"], INCOMPLETE)
    try:
        until = date.fromisoformat(sent.get("until"))
    except ValueError:
        said = FAULTS["bad_date"]
        return _affair_again(visit, sent, number, {"until": "没有认出日期。"}, said, INCOMPLETE)
    reason = _as_kept(sent.get("reason"))
    asked = [r for r in requests_of(visit.session, visit.party) if r.decision_id is None and r.obligation_id == number]
    if any((r.wish, r.reason) == ({"until": until.isoformat()}, reason) for r in asked):  # a double click asks once
        return GoTo(path=f"/o/{number}?said=asked")
    try:
        ask_extension(visit.session, visit.premises, visit.act, visit.party, number, until=until, reason=reason)
    except NotPossible as error:
        if error.code not in AT_FIELD:
            raise
        wrong = {AT_FIELD[error.code]: error.for_unit}
        return _affair_again(visit, sent, number, wrong, f"没有提交：{error.for_unit}", NOT_DONE)
    return GoTo(path=f"/o/{number}?said=asked")


def _affair_again(visit: Visit, sent: Sent, number: int, wrong: Mapping[str, str], said: str, status: int) -> Page:
    """Return the page of an affair with the form that could not be taken, as it was typed."""
    desk = desk_of(visit.session, visit.premises, visit.party, visit.at)
    again = Again(typed=sent.typed, wrong=wrong)
    return affair_page(desk, affair_of(desk, number), (said, True), again=again, status=status)


def _answer(visit: Visit, sent: Sent, number: int) -> Shown:
    """Confirm what a query proposes, or give another number or an explanation; an answered one is left as it is.

    Only the button that names the proposed value confirms it: an empty form says nothing.
    """
    finding, obligation_id = own_finding(visit.session, visit.party, number)
    value, text = sent.get("number"), sent.get("text")
    read = read_number(value)
    if value and read.kind not in (NumberKind.EXACT, NumberKind.NORMALISED):
        wrong = {f"number{number}": FAULTS["bad_number"]}
        return _affair_again(visit, sent, obligation_id, wrong, FAULTS["bad_number"], INCOMPLETE)
    if not value and not text and not is_proposed(finding, sent.get("confirm")):
        raise NotPossible("nothing_said", f"the answer to finding {number} is empty")
    given = None if read.value is None else float(read.value)
    confirm_finding(visit.session, visit.premises, visit.act, finding.id, number=given, text=text)
    return GoTo(path=f"/o/{obligation_id}?said=confirmed#q{number}")


def _contact_page(visit: Visit, said: tuple[str, bool], again: Again | None = None, status: int = 200) -> Page:
    desk = desk_of(visit.session, visit.premises, visit.party, visit.at)
    context = {"desk": desk, "said": said, "again": again or Again()}
    return Page(template="contact.html", context=context, status=status, forms=True)


def _contact(visit: Visit, sent: Sent) -> Shown:
    """Ask for another contact; a form that cannot be taken comes back as it was typed, and says why."""
    wrong = {name: said for name, said in UNSAID.items() if name in CONTACT_FIELDS and not sent.get(name)}
    if wrong:
        again = Again(typed=sent.typed, wrong=wrong)
        return _contact_page(visit, (FAULTS["incomplete"], True), again, INCOMPLETE)
    try:
        return _ask_contact(visit, sent)
    except NotPossible as error:
        at = AT_FIELD.get(error.code)
        again = Again(typed=sent.typed, wrong={at: error.for_unit} if at else {})
        return _contact_page(visit, (f"没有提交：{error.for_unit}", True), again, NOT_DONE)


def _ask_contact(visit: Visit, sent: Sent) -> GoTo:
    wish = asdict(read_named(sent.get("role"), sent.get("name"), sent.get("address"), sent.get("phone")))
    asked = [r for r in requests_of(visit.session, visit.party) if r.decision_id is None and r.kind == CONTACT]
    if any((r.wish, r.reason) == (wish, _as_kept(sent.get("reason"))) for r in asked):  # a double click asks once
        return GoTo(path="/contact?said=contact")
    ask_contact_change(
        visit.session,
        visit.premises,
        visit.act,
        visit.party,
        role=sent.get("role"),
        name=sent.get("name"),
        address=sent.get("address"),
        phone=sent.get("phone"),
        reason=sent.get("reason"),
    )
    return GoTo(path="/contact?said=contact")


def _as_kept(reason: str) -> str:
    """Return a reason as it is kept in a request, so that the same one is known again."""
    return fitting(RequestRow, reason=reason)["reason"]
