"""The staff's counter: who comes without a visit is led to the login, who may not is told so, the rest is done.

As at the units' counter nothing is half done: a form is one transaction, and what cannot be done is said on the page
that it came from, with what was typed.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from anyio import CapacityLimiter, fail_after, to_thread
from sqlalchemy.orm import Session
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from ledger.acts import Act
from ledger.errors import LedgerError
from ledger.staff import anybody
from office.premises import Premises
from office.staff_accounts import GoingOn, Role, Staff, keep_seen, visit_of
from office.staff_wording import ROLE, refused
from portal.counter import Counter
from portal.forms import BrokenFormError, Sent, read_form
from portal.limits import Rate, TooLargeError
from portal.pages import Download, GoTo, Page, go_to, hand_out
from portal.rules import MIB
from portal.staff import door
from portal.staff.sayings import MEANWHILE, STALE, said_in
from portal.staff.tries import Tries
from portal.staff.visit import (
    Deed,
    Elsewhere,
    Look,
    MeanwhileError,
    NotFilledError,
    NothingThereError,
    Show,
    Shown,
    StaffVisit,
    TooOftenError,
    Tried,
)

logger = logging.getLogger(__name__)
BASE = "/staff"
BODY_S = 60
FIELD = "_csrf"
NOT_DONE, NOT_FILLED = 409, 422
Wall = Callable[[], datetime]


def wall_now() -> datetime:
    """Return the moment on the wall's clock."""
    return datetime.now(UTC)


class NoVisitError(Exception):
    """Nobody is logged in."""


class NoAccountsError(Exception):
    """There is no account yet."""


class MayNotError(Exception):
    """The role is not enough."""

    def __init__(self, needed: Role, staff: Staff, token: str) -> None:
        """Keep which would be."""
        super().__init__(needed)
        self.needed = needed
        self.staff = staff
        self.token = token


@dataclass(frozen=True, kw_only=True)
class _Guest:
    """A visit's key, and the token of its forms."""

    key: str
    token: str


class StaffCounter:
    """What all staff routes share."""

    def __init__(
        self, counter: Counter, premises: Callable[[], Premises], clock: Callable[[], datetime], wall: Wall = wall_now
    ) -> None:
        """Open the counter beside the units'; ``clock`` is the campaigns', ``wall`` the one by which visits end."""
        self.counter = counter
        self.rules = counter.rules
        self.premises = premises
        self.clock = clock
        self.wall = wall
        self._looking = CapacityLimiter(self.rules.looking_threads)
        self._acting = CapacityLimiter(self.rules.threads)
        self.tries = Tries()
        self._requests = Rate(self.rules.requests_per_minute)

    async def look(self, request: Request, page: Look) -> Response:
        """Answer a GET."""
        if not self._requests.take(address_of(request)):
            return self.plain("操作过于频繁，请稍候", "请等一分钟后再试。", 429)
        return await self._guarded(request, partial(self._look, request, page), self._looking, Sent())

    async def act(self, request: Request, deed: Deed) -> Response:
        """Answer a POST."""
        if not self._requests.take(address_of(request)):
            return self._too_often()
        sent = await self.read(request)
        if isinstance(sent, Response):
            return sent
        limiter = self._acting if deed.prepare is None else self.tries.at_once
        return await self._guarded(request, partial(self._act, request, deed, sent), limiter, sent)

    async def read(self, request: Request) -> Sent | Response:
        """Read a form; what cannot be read is answered."""
        try:
            with fail_after(BODY_S):
                return await read_form(request, self.rules)
        except TooLargeError:
            most = self.rules.max_upload_bytes // MIB
            return self.plain("文件太大，没有收到", f"一次上传的文件合计不能超过 {most} MB，没有登记。", 413)
        except (BrokenFormError, TimeoutError):
            return self.plain("没有收到", "可能是网络中断，刚才提交的内容没有登记。请返回重新提交。", 400)
        except ClientDisconnect:
            return Response(status_code=400)

    async def _guarded(
        self, request: Request, work: Callable[[], Response], limiter: CapacityLimiter, sent: Sent
    ) -> Response:
        try:
            return await to_thread.run_sync(work, limiter=limiter)
        except NoAccountsError:
            return self.nobody_yet(request)
        except NoVisitError:
            return self._to_login(request, sent)
        except MayNotError as error:
            return self._may_not(error)
        except NothingThereError:
            return self.missing()
        except Exception:
            logger.exception("a staff page failed; nothing was recorded")
            return self.plain(
                "系统暂时繁忙", "刚才的操作没有完成，也没有登记任何内容。请稍候再试。", 503, typed=sent.typed
            )

    def _look(self, request: Request, page: Look) -> Response:
        with self.premises().ledger.reading() as session:
            guest, going = self._admitted(request, session)
            self._let(going.staff, page.role, guest)
            visit = self._visit(request, session, going.staff)
            try:
                shown = page.show(replace(visit, said=said_in(request.query_params.get("said", ""))))
            except LedgerError:
                raise NothingThereError from None
        if going.touch:
            self._touch(guest)
        return self._answer(guest, going.staff, shown)

    def _act(self, request: Request, deed: Deed, sent: Sent) -> Response:
        house = self.premises()
        with house.ledger.reading() as session:
            guest, going = self._admitted(request, session)
            self._let(going.staff, deed.role, guest)
            if not door.is_ours(request, house.secret, guest.key, sent.token):
                return self._again(request, session, guest, going.staff, deed.back, sent, STALE, 403)
        if going.touch:
            self._touch(guest)
        try:
            tried = self._prepared(request, deed, sent, going.staff)
            with self.counter.holding_the_pen(), house.ledger.writing() as session:
                _, going = self._admitted(request, session)  # who was removed meanwhile does nothing any more
                self._let(going.staff, deed.role, guest)
                shown = deed.do(replace(self._visit(request, session, going.staff), tried=tried), sent)
            return self._answer(guest, going.staff, shown)
        except TooOftenError:
            return self._too_often()
        except NotFilledError as error:
            said, status = f"没有办理：{error}", NOT_FILLED
        except MeanwhileError:
            said, status = MEANWHILE, NOT_DONE
        except (LedgerError, ValueError) as error:
            logger.info("a staff form was not done: %s", error)
            said, status = f"没有办理：{refused(error)}", NOT_DONE
        with house.ledger.reading() as session:
            return self._again(request, session, guest, going.staff, deed.back, sent, said, status)

    def _prepared(self, request: Request, deed: Deed, sent: Sent, staff: Staff) -> Tried:
        if deed.prepare is None:
            return Tried()
        with self.premises().ledger.reading() as session:
            return deed.prepare(self._visit(request, session, staff), sent, self.tries)

    def _again(
        self, request: Request, session: Session, guest: _Guest, staff: Staff, back: Show, sent: Sent, said: str,
        status: int,
    ) -> Response:  # fmt: skip
        """Show the page that a form came from, with what was typed and why it was not done."""
        visit = replace(self._visit(request, session, staff), said=(said, True), typed=sent.typed)
        try:
            shown = back(visit)
        except (LedgerError, NothingThereError):
            raise NothingThereError from None
        if isinstance(shown, Page):
            shown = replace(shown, status=status)
        return self._answer(guest, staff, shown)

    def _admitted(self, request: Request, session: Session) -> tuple[_Guest, GoingOn]:
        """Return who comes.

        Raises:
            NoAccountsError: there is no account yet.
            NoVisitError: nobody is logged in.

        """
        if not anybody(session):
            raise NoAccountsError
        secret = self.premises().secret
        key = door.key_of(request, secret, secure=self.rules.secure)
        going = visit_of(session, key, self.wall()) if key else None
        if going is None:
            raise NoVisitError
        return _Guest(key=key, token=door.form_token(secret, key)), going

    def _let(self, staff: Staff, needed: Role, guest: _Guest) -> None:
        if not staff.role.may(needed):
            raise MayNotError(needed, staff, guest.token)

    def _visit(self, request: Request, session: Session, staff: Staff) -> StaffVisit:
        at = self.clock()
        return StaffVisit(
            session=session,
            premises=self.premises(),
            staff=staff,
            at=at,
            act=Act(actor=staff.actor, as_of=at, wall=datetime.now(UTC)),
            named={name: str(value) for name, value in request.path_params.items()},
            asked=dict(request.query_params),
            address=address_of(request),
        )

    def _touch(self, guest: _Guest) -> None:
        with self.counter.holding_the_pen():
            keep_seen(self.premises(), guest.key, self.wall())

    def _answer(self, guest: _Guest, staff: Staff, shown: Shown) -> Response:
        if isinstance(shown, GoTo):
            return go_to(BASE, shown)
        if isinstance(shown, Elsewhere):
            return RedirectResponse(shown.path, status_code=303)
        if isinstance(shown, Download):
            return hand_out(shown)
        return self.counter.pages.show(shown, self.common(staff, guest.token))

    def common(self, staff: Staff | None, token: str) -> Mapping[str, Any]:
        """Return what every staff page is told."""
        role = staff.role if staff is not None else None
        return {
            "base": BASE,
            "csrf": token,
            "csrf_field": FIELD,
            "rules": self.rules,
            "staff": staff,
            "role_text": ROLE[role] if role is not None else "",
            "may_work": role is not None and role.may(Role.OPERATOR),
            "may_decide": role is not None and role.may(Role.APPROVER),
            "said": ("", False),
            "typed": {},
        }

    def _to_login(self, request: Request, sent: Sent) -> Response:
        """Lead somebody to the login, and afterwards back.

        A link in a mail leads here from another site, and then the browser keeps our cookie back: a page of our own
        that leads on by itself lets it bring the cookie. What was typed in a form is shown, for copying.
        """
        if request.method != "GET":
            said = "登录已经失效，刚才提交的内容没有登记。请重新登录后再办理。"
            return self.plain("请重新登录", said, 403, typed=sent.typed, login=True)
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        there = door.way_on(wanted)
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return self.counter.pages.show(Page(template="staff/onward.html", context={"there": there}), {})
        return RedirectResponse(f"{BASE}/login?next={quote(there, safe='')}", status_code=303)

    def _may_not(self, error: MayNotError) -> Response:
        said = f"这一步需要“{ROLE[error.needed]}”权限，您的权限是“{ROLE[error.staff.role]}”。没有改动。"
        context = {"heading": "没有权限", "remedy": said, "typed": {}, "login": False}
        page = Page(template="staff/plain.html", context=context, status=403)
        return self.counter.pages.show(page, {**self.common(error.staff, error.token), **context})

    def nobody_yet(self, request: Request) -> Response:
        """Answer while there is no account: here is told how to add one, to others nothing is."""
        if not door.is_local(request):
            return self.plain("这里还没有开通", "办公室页面尚未开通。请与系统管理人员联系。", 403)
        return self.counter.pages.show(Page(template="staff/first.html", status=403), self.common(None, ""))

    def missing(self) -> Response:
        """Answer for a page that is not there."""
        return self.plain("没有找到这个页面", "请从待办或查找重新打开。", 404)

    def _too_often(self) -> Response:
        return self.plain("操作过于频繁，请稍候", "刚才提交的内容没有登记。请等一分钟后再试。", 429)

    def plain(
        self, heading: str, remedy: str, status: int, *, typed: Mapping[str, str] | None = None, login: bool = False
    ) -> Response:
        """Return a page that says one thing."""
        context = {"heading": heading, "remedy": remedy, "typed": typed or {}, "login": login}
        response = self.counter.pages.show(
            Page(template="staff/plain.html", context=context, status=status), {**self.common(None, ""), **context}
        )
        if status in (429, 503):
            response.headers["Retry-After"] = "60"
        return response


def address_of(request: Request) -> str:
    """Return from where somebody comes."""
    return request.client.host if request.client is not None else ""
