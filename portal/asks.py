"""What a unit asks for and answers on its page: a later deadline, another contact, a query confirmed."""

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
from office.unit_desk import desk_of
from office.unit_own import own_finding, own_obligation
from portal.counter import Counter
from portal.forms import Sent
from portal.gate import Visit
from portal.numbers import Number
from portal.pages import GoTo, Page, Shown
from portal.sayings import said_in
from rules.numbers import NumberKind, read_number


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
    if not sent.get("until") or not sent.get("reason"):
        return GoTo(path=f"/o/{number}?said=no_reason#extension")
    try:
        until = date.fromisoformat(sent.get("until"))
    except ValueError:
        return GoTo(path=f"/o/{number}?said=bad_date#extension")
    reason = _as_kept(sent.get("reason"))
    asked = [r for r in requests_of(visit.session, visit.party) if r.decision_id is None and r.obligation_id == number]
    if not any((r.wish, r.reason) == ({"until": until.isoformat()}, reason) for r in asked):  # a double click asks once
        ask_extension(visit.session, visit.premises, visit.act, visit.party, number, until=until, reason=reason)
    return GoTo(path=f"/o/{number}?said=asked")


def _answer(visit: Visit, sent: Sent, number: int) -> Shown:
    """Confirm what a query proposes, or give another number or an explanation; an answered one is left as it is.

    Only the button that names the proposed value confirms it: an empty form says nothing.
    """
    finding, obligation_id = own_finding(visit.session, visit.party, number)
    value, text = sent.get("number"), sent.get("text")
    read = read_number(value)
    if value and read.kind not in (NumberKind.EXACT, NumberKind.NORMALISED):
        return GoTo(path=f"/o/{obligation_id}?said=bad_number#q{number}")
    if not value and not text and not is_proposed(finding, sent.get("confirm")):
        raise NotPossible("nothing_said", f"the answer to finding {number} is empty")
    given = None if read.value is None else float(read.value)
    confirm_finding(visit.session, visit.premises, visit.act, finding.id, number=given, text=text)
    return GoTo(path=f"/o/{obligation_id}?said=confirmed#q{number}")


def _contact_page(visit: Visit, said: tuple[str, bool]) -> Page:
    desk = desk_of(visit.session, visit.premises, visit.party, visit.at)
    return Page(template="contact.html", context={"desk": desk, "said": said}, forms=True)


def _contact(visit: Visit, sent: Sent) -> Shown:
    if not all(sent.get(name) for name in ("role", "name", "address", "reason")):
        return GoTo(path="/contact?said=incomplete")
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
