"""All pages and forms below /staff, each with the role that it needs."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from portal.staff import letters, login, overview, review, units, wishes
from portal.staff.counter import BASE, StaffCounter
from portal.staff.login import login_routes
from portal.staff.visit import Deed, Look

LOOKS: tuple[Look, ...] = (
    *overview.LOOKS, *review.LOOKS, *wishes.LOOKS, *letters.LOOKS, *units.LOOKS, *login.LOOKS,
)  # fmt: skip
DEEDS: tuple[Deed, ...] = (
    *overview.DEEDS, *review.DEEDS, *wishes.DEEDS, *letters.DEEDS, *units.DEEDS, *login.DEEDS,
)  # fmt: skip


def staff_routes(counter: StaffCounter) -> APIRouter:
    """Return the routes of the staff pages."""
    router = login_routes(counter)

    @router.get(BASE)
    async def home() -> Response:
        return RedirectResponse(f"{BASE}/", status_code=303)

    for look in LOOKS:
        router.add_api_route(f"{BASE}{look.path}", _looking(counter, look), methods=["GET"])
    for deed in DEEDS:
        router.add_api_route(f"{BASE}{deed.path}", _acting(counter, deed), methods=["POST"])
    return router


def _looking(counter: StaffCounter, page: Look) -> Callable[[Request], Awaitable[Response]]:
    async def look(request: Request) -> Response:
        return await counter.look(request, page)

    return look


def _acting(counter: StaffCounter, deed: Deed) -> Callable[[Request], Awaitable[Response]]:
    async def act(request: Request) -> Response:
        return await counter.act(request, deed)

    return act
