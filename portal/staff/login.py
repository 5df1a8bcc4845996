"""Login and logout, and a password changed by whose it is. Whatever is wrong with a login, it is said the same."""

from dataclasses import replace
from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from ledger.acts import Act
from ledger.staff import anybody
from office.staff_accounts import (
    WHOLE,
    Role,
    Strangers,
    change_password,
    hash_password,
    is_password,
    kept_of,
    log_in,
    log_out,
    visit_of,
)
from portal.forms import Sent
from portal.gate import cookie_name as guest_cookie_name
from portal.gate import cookie_of
from portal.gate import form_token as guest_token
from portal.gate import is_ours as is_guest_s
from portal.pages import Page
from portal.staff import door
from portal.staff.counter import BASE, NOT_FILLED, NoAccountsError, StaffCounter, address_of
from portal.staff.sayings import said_in
from portal.staff.tries import Tries
from portal.staff.visit import Deed, Elsewhere, Look, NotFilledError, Shown, StaffVisit, TooOftenError, Tried

WRONG = "姓名或密码不对，没有登录。请核对后再试；忘记密码的，请系统管理人员重设。"
TOO_OFTEN = "登录尝试过于频繁，请等几分钟再试。"
LOGIN = "staff login"  # what a login form's token is bound to, instead of a unit's link
OK = 200
WRONG_OLD = "没有办理：原密码不对，密码没有更改。"


def login_routes(counter: StaffCounter) -> APIRouter:
    """Return the routes of login and logout."""
    router = APIRouter()
    desk = _LoginDesk(counter)

    @router.get(f"{BASE}/login")
    async def page(request: Request) -> Response:
        return await desk.page(request)

    @router.post(f"{BASE}/login")
    async def login(request: Request) -> Response:
        return await desk.login(request)

    @router.post(f"{BASE}/logout")
    async def logout(request: Request) -> Response:
        return await desk.logout(request)

    return router


class _LoginDesk:
    """Tries passwords, and opens and ends visits."""

    def __init__(self, counter: StaffCounter) -> None:
        self._counter = counter
        self._strangers = Strangers()  # counted by whoever holds the ledger's pen, so one at a time

    async def page(self, request: Request) -> Response:
        return await to_thread.run_sync(partial(self._page, request))

    def _page(self, request: Request) -> Response:
        counter = self._counter
        wanted = door.way_on(request.query_params.get("next", door.HOME))
        with counter.premises().ledger.reading() as session:
            if not anybody(session):
                return counter.nobody_yet(request)
            key = door.key_of(request, counter.premises().secret, secure=counter.rules.secure)
            if key and visit_of(session, key, counter.wall()) is not None:
                return RedirectResponse(wanted, status_code=303)
        return self._show(request, wanted, said_in(request.query_params.get("said", ""))[0], status=OK)

    def _show(self, request: Request, wanted: str, said: str, *, status: int, name: str = "") -> Response:
        counter = self._counter
        cookie, new = cookie_of(request, secure=counter.rules.secure)
        token = guest_token(counter.premises().secret, LOGIN, cookie)
        page = Page(
            template="staff/login.html",
            context={"wanted": wanted, "said": (said, status != OK), "name": name},
            status=status,
        )
        response = counter.counter.pages.show(page, {**counter.common(None, token), **page.context})
        if new:
            secure = counter.rules.secure
            response.set_cookie(
                guest_cookie_name(secure=secure), cookie, path="/", secure=secure, httponly=True, samesite="lax"
            )
        return response

    async def login(self, request: Request) -> Response:
        counter, address = self._counter, address_of(request)
        sent = await counter.read(request)
        if isinstance(sent, Response):
            return sent
        name = sent.get("name").lower()[:64]
        wanted = door.way_on(sent.get("next"))
        cookie, _ = cookie_of(request, secure=counter.rules.secure)
        if not is_guest_s(request, counter.premises().secret, LOGIN, cookie, sent.token):
            return self._show(request, wanted, "页面打开时间过长，请再登录一次。", status=403, name=name)
        if not counter.tries.take(name, address):
            response = self._show(request, wanted, TOO_OFTEN, status=429, name=name)
            response.headers["Retry-After"] = "60"
            return response
        try:
            key = await to_thread.run_sync(
                partial(self._try, name, sent.text.get("password", ""), address), limiter=counter.tries.at_once
            )
        except NoAccountsError:
            return counter.nobody_yet(request)
        if not key:
            return self._show(request, wanted, WRONG, status=403, name=name)
        return self._with_visit(RedirectResponse(wanted, status_code=303), key)

    def _try(self, name: str, password: str, address: str) -> str:
        counter = self._counter
        house = counter.premises()
        with house.ledger.reading() as session:
            if not anybody(session):
                raise NoAccountsError
            kept = kept_of(session, name)
        right = is_password(kept, password)
        act = Act(actor="rule:login", as_of=counter.clock(), wall=counter.wall())
        with counter.counter.holding_the_pen(), house.ledger.writing() as session:
            return log_in(session, act, name, kept, address, right=right, strangers=self._strangers)

    def _with_visit(self, response: Response, key: str) -> Response:
        secure = self._counter.rules.secure
        response.set_cookie(
            door.cookie_name(secure=secure),
            door.sealed(self._counter.premises().secret, key),
            max_age=int(WHOLE.total_seconds()),
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return response

    async def logout(self, request: Request) -> Response:
        sent = await self._counter.read(request)
        if isinstance(sent, Response):
            return sent
        return await to_thread.run_sync(partial(self._logout, request, sent))

    def _logout(self, request: Request, sent: Sent) -> Response:
        counter = self._counter
        house = counter.premises()
        key = door.key_of(request, house.secret, secure=counter.rules.secure)
        if key and door.is_ours(request, house.secret, key, sent.token):
            act = Act(actor="rule:login", as_of=counter.clock(), wall=counter.wall())
            with counter.counter.holding_the_pen(), house.ledger.writing() as session:
                log_out(session, act, key)
        elif key:
            return counter.plain("没有退出", "请回到页面，再点一次“退出”。", 403)
        response = RedirectResponse(f"{BASE}/login?said=logout", status_code=303)
        response.delete_cookie(door.cookie_name(secure=counter.rules.secure), path="/", secure=counter.rules.secure)
        return response


def _password_page(visit: StaffVisit) -> Page:
    return Page(template="staff/password.html", context={"said": visit.said})


def _try_old(visit: StaffVisit, sent: Sent, tries: Tries) -> Tried:
    """Try the old password and hash the new one; a new one typed in two ways costs no try."""
    name, new = visit.staff.name, sent.text.get("new", "")
    if new != sent.text.get("again", ""):
        raise NotFilledError("两次填写的新密码不一致，密码没有更改。")
    if not tries.take(name, visit.address):
        raise TooOftenError
    kept = kept_of(visit.session, name)
    if not is_password(kept, sent.text.get("old", "")):
        return Tried(kept=kept)
    try:
        return Tried(kept=kept, right=True, hashed=hash_password(new, name))
    except ValueError:
        raise NotFilledError("新密码太简单：至少 12 个字符，例如一句话；不能与登录名相同。") from None


def _change_password(visit: StaffVisit, _: Sent) -> Shown:
    """Change one's own password: whoever finds the page open must know the old one. All one's visits end.

    A wrong one is no error here, which would take back that it is counted.
    """
    tried = visit.tried
    if change_password(
        visit.session, visit.act, visit.staff.name, tried.kept, tried.hashed, visit.address, right=tried.right
    ):
        return Elsewhere(path=f"{BASE}/login?said=password")
    return replace(_password_page(replace(visit, said=(WRONG_OLD, True))), status=NOT_FILLED)


LOOKS = (Look(path="/password", show=_password_page),)
DEEDS = (Deed(path="/password", do=_change_password, back=_password_page, role=Role.VIEWER, prepare=_try_old),)
