"""The counter: every request passes it. It admits, asks the office in a thread of the pool, and says what came of it.

Whatever goes wrong with a form that was sent, its text is shown again for copying, and it is said that nothing was
received: then nothing was, as all is written in one transaction.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any

from anyio import CapacityLimiter, fail_after, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ledger.tables import CampaignRow
from office.links import LinkState, Opened, is_signed
from office.premises import Premises
from office.refusals import NotPossible
from office.rulebook import Rulebook, rulebook_of
from office.unit_own import NotYoursError
from office.workbooks import forget_ahead, open_ahead
from portal.forms import BrokenFormError, Sent, read_form
from portal.gate import FIELD, NoEntryError, Ready, Visit, admit, cookie_name, cookie_of, form_token, is_ours
from portal.limits import Rate, TooLargeError
from portal.pages import Download, GoTo, Pages, Shown, go_to, hand_out
from portal.refusals import REFUSAL, closed_door, refusal, ways_back
from portal.rules import MIB, PortalRules

logger = logging.getLogger(__name__)
Show = Callable[[Visit], Shown]
Do = Callable[[Visit, Sent], Shown]
Prepare = Callable[[Visit, Sent], Ready]
PEN_S = 30  # as long as the ledger itself waits for a lock
BODY_S = 60  # a form that could not be read for so long is given up
COOKIE_S = 12 * 3600


@dataclass(frozen=True)
class _Guest:
    """A request's link, cookie and the token that binds them."""

    link: str
    cookie: str
    new: bool
    token: str


@dataclass(frozen=True)
class _Deed:
    """What a POST does, and what is made ready for it while others may write."""

    do: Do
    prepare: Prepare | None


class Counter:
    """What all routes share."""

    def __init__(
        self, premises: Callable[[], Premises], clock: Callable[[], datetime], rules: PortalRules, pages: Pages
    ) -> None:
        """Open the counter; ``premises`` is called once, ``clock`` for every request."""
        self._premises = premises
        self._clock = clock
        self.rules = rules
        self.pages = pages
        self._acting = CapacityLimiter(rules.threads)
        self._looking = CapacityLimiter(rules.looking_threads)
        self._bodies = CapacityLimiter(rules.bodies)
        self._pen = Lock()
        self._posts = Rate(rules.posts_per_minute)
        self._requests = Rate(rules.requests_per_minute)
        self._bad_links = Rate(rules.bad_links_per_minute)

    async def look(self, request: Request, link: str, show: Show) -> Response:
        """Answer a GET: it changes nothing, and only a page with forms sets a cookie."""
        stopped = self._stopped(request, link)
        if stopped is not None:
            return stopped
        try:
            return await to_thread.run_sync(partial(self._look, request, link, show), limiter=self._looking)
        except NoEntryError as error:
            return self._closed_door(request, error, Sent())
        except NotYoursError:
            return self.missing()
        except Exception:
            logger.exception("a page could not be shown")
            return self._refuse("out_of_order", Sent())

    async def act(self, request: Request, link: str, do: Do, prepare: Prepare | None = None) -> Response:
        """Answer a POST: do it in one transaction, or say that it was not done and give back what was typed.

        What takes long and writes nothing is for ``prepare``, which comes before that transaction.
        """
        stopped = self._stopped(request, link)
        if stopped is not None:
            return stopped
        try:
            with fail_after(BODY_S):
                await self._bodies.acquire()
        except TimeoutError:
            return self._refuse("not_received", Sent(), request=request)
        try:
            return await self._read_and_done(request, link, _Deed(do, prepare))
        finally:
            self._bodies.release()

    async def _read_and_done(self, request: Request, link: str, deed: _Deed) -> Response:
        try:
            sent = await read_form(request, self.rules)
        except TooLargeError:
            return self._refuse("too_large", Sent(), request=request, most=self.rules.max_upload_bytes // MIB)
        except BrokenFormError as error:
            logger.info("a form was not readable: %s", error)
            return self._refuse("broken_form", Sent(), request=request, most=self.rules.max_files)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it, and nothing was recorded
        return await self._done(request, link, deed, sent)

    async def _done(self, request: Request, link: str, deed: _Deed, sent: Sent) -> Response:
        try:
            return await to_thread.run_sync(partial(self._act, request, link, deed, sent), limiter=self._acting)
        except NoEntryError as error:
            return self._closed_door(request, error, sent)
        except NotYoursError:
            return self.missing()
        except NotPossible as error:
            return self._refuse("not_possible", sent, request=request, said=error.for_unit)
        except Exception:
            logger.exception("nothing was recorded of what a unit sent")
            return self._refuse("not_received", sent, request=request, retry=self._retry(request, sent))

    def missing(self) -> Response:
        """Answer for whatever is not there, or not for this visitor."""
        return self._refuse("missing", Sent())

    def wrong_method(self) -> Response:
        """Answer a GET where only a form may be sent, and the other way round."""
        return self._refuse("method", Sent())

    def _look(self, request: Request, link: str, show: Show) -> Response:
        premises = self._premises()
        guest = self._guest(request, link, premises)
        with premises.ledger.reading() as session:
            visit = admit(session, premises, link, self._clock())
            return self._answer(guest, show(visit))

    def _act(self, request: Request, link: str, deed: _Deed, sent: Sent) -> Response:
        premises = self._premises()
        guest = self._guest(request, link, premises)
        with premises.ledger.reading() as session:  # whoever is not admitted keeps nobody waiting for the pen
            party = admit(session, premises, link, self._clock()).party
            request.state.book = rulebook_of(session.get_one(CampaignRow, party.campaign_id))
        if not is_ours(request, premises.secret, link, guest.cookie, sent.token):
            retry = self._retry(request, sent, guest)
            return self._with_cookie(self._refuse("stale", sent, request=request, retry=retry), guest)
        if not self._posts.take(link):
            return self._refuse("too_often", sent, request=request)
        ready = self._prepared(link, deed, sent)
        try:
            for content in ready.contents:
                open_ahead(content)
            with self.holding_the_pen(), premises.ledger.writing() as session:
                shown = deed.do(replace(admit(session, premises, link, self._clock()), ready=ready), sent)
        finally:
            for content in ready.contents:
                forget_ahead(content)
        return self._answer(guest, shown)

    def _prepared(self, link: str, deed: _Deed, sent: Sent) -> Ready:
        if deed.prepare is None:
            return Ready()
        premises = self._premises()
        with premises.ledger.reading() as session:
            return deed.prepare(admit(session, premises, link, self._clock()), sent)

    @contextmanager
    def holding_the_pen(self) -> Iterator[None]:
        """Let one of ours write at a time: a SQLite that several ask at once lets them try again and again."""
        if not self._pen.acquire(timeout=PEN_S):
            raise TimeoutError("others of the portal wrote for too long")
        try:
            yield
        finally:
            self._pen.release()

    def _answer(self, guest: _Guest, shown: Shown) -> Response:
        base = f"/u/{guest.link}"
        if isinstance(shown, GoTo):
            return go_to(base, shown)
        if isinstance(shown, Download):
            return hand_out(shown)
        common = {"base": base, "csrf": guest.token, "csrf_field": FIELD, "rules": self.rules, "said": ("", False)}
        response = self.pages.show(shown, common)
        return self._with_cookie(response, guest) if shown.forms else response

    def _with_cookie(self, response: Response, guest: _Guest) -> Response:
        if guest.new:
            secure = self.rules.secure
            response.set_cookie(
                cookie_name(secure=secure),
                guest.cookie,
                max_age=COOKIE_S,
                path="/",
                secure=secure,
                httponly=True,
                samesite="lax",
            )
        return response

    def _guest(self, request: Request, link: str, premises: Premises) -> _Guest:
        cookie, new = cookie_of(request, secure=self.rules.secure)
        return _Guest(link, cookie, new, form_token(premises.secret, link, cookie))

    def _stopped(self, request: Request, link: str) -> Response | None:
        """Return the answer to whom is not listened to any further.

        Forged links are counted apart: whoever tries them shuts nobody out who comes from the same address with a
        link that we signed.
        """
        who = _address(request)
        if not is_signed(self._premises(), link):
            if not self._bad_links.take(who):
                return self._refuse("too_often", Sent())
            return self._closed_door(request, NoEntryError(Opened(state=LinkState.UNKNOWN)), Sent())
        return None if self._requests.take(who) else self._refuse("too_often", Sent(), request=request)

    def _closed_door(self, request: Request, error: NoEntryError, sent: Sent) -> Response:
        return self.pages.show(closed_door(error.opened, sent, posted=request.method == "POST"), {})

    def _refuse(
        self,
        why: str,
        sent: Sent,
        *,
        request: Request | None = None,
        retry: Mapping[str, Any] | None = None,
        most: int = 0,
        said: str = "",
    ) -> Response:
        book: Rulebook | None = getattr(request.state, "book", None) if request is not None else None
        link = str(request.path_params.get("link", "")) if request is not None else ""
        back = ways_back(request.url.path, link) if request is not None and link else ()
        page = refusal(why, sent, book=book, retry=retry, most=most, said=said, back=back)
        response = self.pages.show(page, {})
        if REFUSAL[why].status in (429, 503):
            response.headers["Retry-After"] = "60"
        return response

    def _retry(self, request: Request, sent: Sent, guest: _Guest | None = None) -> Mapping[str, Any]:
        """Return a form that sends the same text once more; files have to be chosen again."""
        token = guest.token if guest is not None else sent.token
        fields = {name: text for name, text in sent.text.items() if name != FIELD} | {FIELD: token}
        return {"action": request.url.path, "fields": {} if sent.files else fields}


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""
