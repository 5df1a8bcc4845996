"""The page of a rung: whoever was told sees what is owed, and promises a day. Looking promises nothing."""

from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import Response

from office.acknowledging import acknowledge, rung_page
from office.unit_desk import desk_of
from portal.counter import Counter
from portal.forms import Sent
from portal.gate import Visit
from portal.numbers import Number
from portal.pages import GoTo, Page, Shown
from portal.sayings import said_in


def acknowledging_routes(counter: Counter) -> APIRouter:
    """Return the routes by which the told acknowledge a rung."""
    router = APIRouter()

    @router.get("/u/{link}/a/{number}")
    async def page(request: Request, link: str, number: Number) -> Response:
        return await counter.look(request, link, lambda visit: _page(visit, number, said_in(request.query_params)))

    @router.post("/u/{link}/a/{number}")
    async def promise(request: Request, link: str, number: Number) -> Response:
        return await counter.act(request, link, lambda visit, sent: _promise(visit, sent, number))

    return router


def _page(visit: Visit, number: int, said: tuple[str, bool]) -> Page:
    shown = rung_page(visit.session, visit.party, number, visit.at)
    desk = desk_of(visit.session, visit.premises, visit.party, visit.at)
    return Page(template="acknowledge.html", context={"desk": desk, "rung": shown, "said": said}, forms=True)


def _promise(visit: Visit, sent: Sent, number: int) -> Shown:
    rung_page(visit.session, visit.party, number, visit.at)  # of a rung that is not theirs nobody hears anything
    try:
        until = date.fromisoformat(sent.get("promised"))
    except ValueError:
        return GoTo(path=f"/a/{number}?said=bad_date")
    acknowledge(visit.session, visit.act, visit.party, number, until)
    return GoTo(path=f"/a/{number}?said=promised")
