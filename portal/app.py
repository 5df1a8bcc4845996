"""The portal as an application. Whoever starts it gives the premises and the clock."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from office.premises import Premises
from portal.acknowledge import acknowledging_routes
from portal.asks import asking_routes
from portal.counter import Counter
from portal.headers import SafeHeaders
from portal.limits import BodyLimit
from portal.pages import STYLE, Pages
from portal.receipts import receipt_routes
from portal.routes import handing_in_routes, looking_routes
from portal.rules import PortalRules
from portal.staff.counter import StaffCounter, Wall, wall_now
from portal.staff.routes import staff_routes

ROUTES = (looking_routes, handing_in_routes, asking_routes, receipt_routes, acknowledging_routes)
OVERHEAD = 256 * 1024  # of a form around its files


def create_app(
    premises_factory: Callable[[], Premises],
    clock: Callable[[], datetime],
    rules: PortalRules | None = None,
    wall: Wall = wall_now,
) -> FastAPI:
    """Return the portal. The premises are opened at once: what they lack is said before anybody comes.

    ``clock`` is the campaigns', ``wall`` the one by which the visits of staff end.
    """
    rules = rules or PortalRules()
    premises = lru_cache(maxsize=1)(premises_factory)
    pages = Pages(premises().templates / "portal")
    counter = Counter(premises, clock, rules, pages)
    app = FastAPI(title="Muster", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for group in ROUTES:
        app.include_router(group(counter))
    at_work = StaffCounter(counter, premises, clock, wall)
    app.include_router(staff_routes(at_work))

    @app.get(f"/{STYLE}")
    async def style() -> Response:
        return Response(pages.style, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})

    @app.get("/robots.txt")
    async def robots() -> Response:
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    @app.get("/favicon.ico")
    async def no_icon() -> Response:
        return Response(status_code=204)

    @app.get("/healthz")
    async def health() -> Response:
        return PlainTextResponse("ok")

    @app.exception_handler(HTTPException)
    @app.exception_handler(RequestValidationError)
    async def missing(request: Request, error: Exception) -> Response:
        if request.url.path.startswith("/staff"):
            return at_work.missing()
        return counter.wrong_method() if getattr(error, "status_code", 404) == 405 else counter.missing()  # noqa: PLR2004

    app.add_middleware(BodyLimit, limit=rules.max_upload_bytes + OVERHEAD)
    app.add_middleware(SafeHeaders, secure=rules.secure)
    return app
