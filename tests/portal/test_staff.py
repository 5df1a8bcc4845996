"""Staff pages: who comes in, how long, and what each role may."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.staff import find_staff, give_password, give_role, remove_staff
from ledger.tables import AuditRow, DecisionRow, StaffRow, VisitRow
from office import staff_accounts
from office.staff_accounts import Role, Strangers, hash_password, is_password, log_in
from portal.app import create_app
from portal.rules import PortalRules
from portal.staff import login
from portal.staff.door import way_on
from portal.staff.routes import DEEDS, LOOKS
from portal.staff.visit import Deed, Look
from tests.portal.conftest import SHIPPED, URL, Office, open_office
from tests.portal.conftest import loaded as shipped  # noqa: F401  a fixture of ours too
from tests.portal.staff_scene import PASSWORD, ROLES, Scene, StaffClerk, add_accounts, open_scene, staffed

WRONG = "姓名或密码不对，没有登录。"


class Watch:
    """The wall's clock, which a test may put on."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def staff(office: Office, watch: Watch) -> AsyncIterator[StaffClerk]:
    add_accounts(office)
    async with client_of(office, watch) as client:
        yield StaffClerk(client)


def client_of(
    office: Office, watch: Watch, *, url: str = URL, at: str = "203.0.113.9", rules: PortalRules | None = None
) -> httpx.AsyncClient:
    rules = rules or PortalRules(secure=url.startswith("https"))
    app = create_app(lambda: office.house, lambda: office.now, rules, watch)
    transport = httpx.ASGITransport(app, raise_app_exceptions=True, client=(at, 40000))
    return httpx.AsyncClient(transport=transport, base_url=url, follow_redirects=True)


def trail(office: Office, verb: str) -> list[dict[str, object]]:
    with office.house.ledger.reading() as session:
        return [row.detail for row in session.scalars(select(AuditRow).where(AuditRow.verb == verb))]


async def test_without_a_visit_every_page_leads_to_the_login_and_back(staff: StaffClerk) -> None:
    await staff.open("/staff/queue?campaign=x")
    assert staff.path == "/staff/login"
    assert staff.page.url.params["next"] == "/staff/queue?campaign=x"
    await staff.log_in(way_on="/staff/search?q=BH001")
    assert staff.page.url.path == "/staff/search"
    assert staff.page.url.params["q"] == "BH001"


async def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(staff: StaffClerk, office: Office) -> None:
    staff.client.follow_redirects = False
    await staff.log_in()
    [cookie] = [c for c in staff.page.headers.get_list("set-cookie") if c.startswith("__Host-muster-staff=")]
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    key = cookie.split("=", 1)[1].split(".")[0]
    with office.house.ledger.reading() as session:
        visit = session.scalars(select(VisitRow)).one()
        assert key not in (visit.digest, "")
        assert PASSWORD not in session.scalars(select(StaffRow.password)).first()  # type: ignore[operator]
        assert session.scalars(select(StaffRow.password)).first().startswith("$argon2id$")  # type: ignore[union-attr]


async def test_a_wrong_password_an_unknown_name_and_a_removed_one_hear_the_same(
    staff: StaffClerk, office: Office
) -> None:
    with office.house.ledger.writing() as session:
        remove_staff(session, office.act(), find_staff(session, "wang"))
    said = set()
    for name, password in (("li", "wrong wrong wrong"), ("nobody", PASSWORD), ("wang", PASSWORD), ("", "")):
        page = await staff.log_in(name, password)
        assert staff.page.status_code == 403
        said.add(re.sub(r'value="[^"]*"', "", page))
    assert len(said) == 1
    assert WRONG in said.pop()
    assert [d["account"] for d in trail(office, "staff.login_failed")] == ["li", "", "", ""]
    await staff.log_in("li")
    assert trail(office, "staff.login")[0] | {"from": ""} == {"account": "li", "from": "", "failed_before": 1}
    with office.house.ledger.reading() as session:
        assert not audit.verify(session).fault


def test_logins_under_unknown_names_fill_no_audit_trail_and_their_number_is_known(office: Office) -> None:
    strangers = Strangers()
    for minute in (*range(0, 50, 2), 70):
        act = replace(office.act(), wall=datetime(2020, 5, 28, 1, 0, tzinfo=UTC) + timedelta(minutes=minute))
        with office.house.ledger.writing() as session:
            assert log_in(session, act, "nobody", None, "192.0.2.7", right=False, strangers=strangers) == ""
    counted = [(d["account"], d["failures"]) for d in trail(office, "staff.login_failed")]
    assert counted == [("", number) for number in (*range(1, 11), 20, 1)]
    with office.house.ledger.reading() as session:
        assert not audit.verify(session).fault


def test_a_password_for_nobody_is_tried_all_the_same() -> None:
    assert not is_password(None, PASSWORD)
    assert is_password(hash_password(PASSWORD, "li"), PASSWORD)
    assert not is_password("no hash at all", PASSWORD)
    for easy, name in (("short", "li"), ("administrator", "administrator"), ("x" * 201, "li")):
        with pytest.raises(ValueError, match="the password is"):
            hash_password(easy, name)


def test_passwords_are_hashed_as_rfc_9106_recommends_where_memory_is_scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff_accounts, "_HASHER", SHIPPED)
    hashed = hash_password(PASSWORD, "li")
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert is_password(hashed, PASSWORD)
    assert not is_password(hashed, "wrong wrong wrong")


async def test_whoever_tries_passwords_is_slowed_down_and_others_are_not(office: Office, watch: Watch) -> None:
    add_accounts(office)
    async with client_of(office, watch) as client:
        guesser = StaffClerk(client)
        statuses = []
        for _ in range(7):
            await guesser.log_in("li", "wrong wrong wrong")
            statuses.append(guesser.page.status_code)
        assert statuses == [403] * 5 + [429] * 2
        await guesser.log_in("li")  # the right one does not help then
        assert guesser.page.status_code == 429
        assert guesser.page.headers["retry-after"] == "60"
        await guesser.log_in("wang")
        assert guesser.page.status_code == 200
    assert len(trail(office, "staff.login_failed")) == 5


async def test_who_is_refused_further_tries_locks_nobody_else_out(office: Office, watch: Watch) -> None:
    add_accounts(office)
    async with client_of(office, watch, at="198.51.100.7") as client:
        stranger = StaffClerk(client)
        for _ in range(20):
            await stranger.log_in("li", "wrong wrong wrong")
        assert stranger.page.status_code == 429
        client._transport.client = ("203.0.113.9", 1)  # type: ignore[attr-defined]  # the same portal, from elsewhere
        client.cookies.clear()
        person = StaffClerk(client)
        await person.log_in("li")
        assert person.path == "/staff/"


async def test_a_name_is_tried_no_more_than_twenty_times_a_minute_from_many_addresses(
    office: Office, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_accounts(office)
    monkeypatch.setattr(login, "is_password", lambda *_: False)
    statuses = []
    async with client_of(office, watch) as client:
        guesser = StaffClerk(client)
        for number in range(25):
            client._transport.client = (f"198.51.100.{number // 5}", 1)  # type: ignore[attr-defined]
            await guesser.log_in("li", "wrong wrong wrong")
            statuses.append(guesser.page.status_code)
    assert statuses == [403] * 20 + [429] * 5


async def test_a_visit_ends_after_half_an_hour_of_silence(staff: StaffClerk, watch: Watch) -> None:
    await staff.log_in()
    for _ in range(3):
        watch.now += timedelta(minutes=29)
        await staff.open("/staff/")
        assert staff.path == "/staff/"
    watch.now += timedelta(minutes=30)
    await staff.open("/staff/")
    assert staff.path == "/staff/login"


async def test_a_visit_ends_after_twelve_hours_however_busy(staff: StaffClerk, watch: Watch) -> None:
    await staff.log_in()
    for _ in range(35):
        watch.now += timedelta(minutes=20)
        await staff.open("/staff/search")
    assert staff.path == "/staff/search"
    watch.now += timedelta(minutes=20)
    await staff.open("/staff/search")
    assert staff.path == "/staff/login"


async def test_logging_out_ends_the_visit_even_for_who_kept_the_cookie(staff: StaffClerk) -> None:
    await staff.log_in()
    kept = dict(staff.client.cookies)
    page = await staff.send("/staff/logout")
    assert "已退出登录" in page
    staff.client.cookies.update(kept)
    await staff.open("/staff/")
    assert staff.path == "/staff/login"


@pytest.mark.parametrize("how", ["removed", "password"])
async def test_who_is_removed_or_gets_another_password_is_out_everywhere(
    staff: StaffClerk, office: Office, watch: Watch, how: str
) -> None:
    async with client_of(office, watch) as client:
        elsewhere = StaffClerk(client)
        for one in (staff, elsewhere):
            await one.log_in("li")
            assert one.path == "/staff/"
        with office.house.ledger.writing() as session:
            row = find_staff(session, "li")
            if how == "removed":
                assert remove_staff(session, office.act(), row) == 2
            else:
                assert give_password(session, office.act(), row, hash_password("another good password", "li")) == 2
        for one in (staff, elsewhere):
            await one.open("/staff/")
            assert one.path == "/staff/login"


async def test_one_changes_one_s_own_password_with_the_old_one(staff: StaffClerk) -> None:
    await staff.log_in("zhou")
    new = {"new": "a whole new sentence", "again": "a whole new sentence"}
    for fields, said in (
        ({"old": "wrong wrong wrong", **new}, "原密码不对"),
        ({"old": PASSWORD, **new, "again": "x"}, "不一致"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, "太简单"),
    ):
        await staff.open("/staff/password")
        assert said in await staff.send("/staff/password", fields)
        assert staff.page.status_code == 422
    await staff.open("/staff/password")
    assert "密码已更改" in await staff.send("/staff/password", {"old": PASSWORD, **new})
    assert staff.path == "/staff/login"
    await staff.log_in("zhou", "a whole new sentence")
    assert staff.path == "/staff/"


async def test_guesses_of_the_old_password_are_counted_and_slowed_down_like_logins(
    staff: StaffClerk, office: Office
) -> None:
    await staff.log_in("zhou")
    new = {"new": "a whole new sentence", "again": "a whole new sentence"}
    await staff.open("/staff/password")
    statuses = []
    for number in range(6):
        await staff.send("/staff/password", {"old": f"guess {number}", **new})
        statuses.append(staff.page.status_code)
        await staff.open("/staff/password")
    assert statuses == [422] * 4 + [429] * 2  # the login was the first of five
    await staff.send("/staff/password", {"old": PASSWORD, **new})  # the right one does not help then
    assert staff.page.status_code == 429
    assert staff.page.headers["retry-after"] == "60"
    failed = trail(office, "staff.login_failed")
    assert [(d["account"], d["from"], d["failures"]) for d in failed] == [
        ("zhou", "203.0.113.9", count) for count in (1, 2, 3, 4)
    ]
    assert not trail(office, "staff.password")


async def test_a_new_password_that_was_mistyped_costs_no_try(staff: StaffClerk) -> None:
    await staff.log_in("zhou")
    for _ in range(6):
        await staff.open("/staff/password")
        page = await staff.send("/staff/password", {"old": PASSWORD, "new": "one long sentence", "again": "another"})
        assert "不一致" in page


@pytest.mark.parametrize("step", ["is_password", "hash_password"])
async def test_others_may_write_while_passwords_are_hashed(
    staff: StaffClerk, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await staff.log_in("zhou")
    await staff.open("/staff/password")
    hashing, done = getattr(login, step), []

    def with_another_who_writes(*args: str) -> object:
        with closing(sqlite3.connect(tmp_path / "ledger.db", timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
        done.append(step)
        return hashing(*args)

    monkeypatch.setattr(login, step, with_another_who_writes)
    new = {"new": "a whole new sentence", "again": "a whole new sentence"}
    assert "密码已更改" in await staff.send("/staff/password", {"old": PASSWORD, **new})
    assert done == [step]


async def test_a_password_that_was_reset_while_the_old_one_was_tried_stays(
    staff: StaffClerk, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await staff.log_in("zhou")
    await staff.open("/staff/password")
    reset = hash_password("reset by the administrator", "zhou")

    def and_meanwhile(kept: str | None, password: str) -> bool:
        with office.house.ledger.writing() as session:
            find_staff(session, "zhou").password = reset  # the visit goes on: only the hash tells
        return is_password(kept, password)

    monkeypatch.setattr(login, "is_password", and_meanwhile)
    new = {"new": "a whole new sentence", "again": "a whole new sentence"}
    assert "原密码不对" in await staff.send("/staff/password", {"old": PASSWORD, **new})
    with office.house.ledger.reading() as session:
        assert find_staff(session, "zhou").password == reset
    assert not trail(office, "staff.password")


async def test_a_role_that_was_taken_away_is_gone_with_the_next_click(staff: StaffClerk, office: Office) -> None:
    scene = open_scene(office)
    await staff.log_in("li")
    await staff.open(f"/staff/r/{scene.extension}")
    with office.house.ledger.writing() as session:
        give_role(session, office.act(), find_staff(session, "li"), Role.VIEWER)
    page = await staff.submit("grant", {"grounds": "同意"})
    assert staff.page.status_code == 403
    assert "需要“审批”权限" in page
    with office.house.ledger.reading() as session:
        assert session.scalar(select(func.count(DecisionRow.id)).where(DecisionRow.kind == "extended")) == 0


@pytest.mark.parametrize(
    ("at", "host", "header", "told"),
    [
        ("127.0.0.1", "http://127.0.0.1:8420", {}, True),
        ("::1", "http://localhost:8420", {}, True),
        ("203.0.113.9", "http://127.0.0.1:8420", {}, False),
        ("127.0.0.1", "https://report.office.example", {}, False),  # a proxy that tells nothing, or a rebound name
        ("127.0.0.1", "http://127.0.0.1:8420", {"X-Forwarded-For": "127.0.0.1"}, False),
        ("127.0.0.1", "http://127.0.0.1:8420", {"X-Real-IP": "127.0.0.1"}, False),
        ("127.0.0.1", "http://127.0.0.1:8420", {"Forwarded": "for=127.0.0.1"}, False),
    ],
)
async def test_before_there_is_an_account_only_this_machine_is_told_how_to_add_one(
    office: Office, watch: Watch, at: str, host: str, header: dict[str, str], told: bool
) -> None:
    async with client_of(office, watch, url=host, at=at) as client:
        for path in ("/staff/", "/staff/login", "/staff/queue", "/staff/s/1", "/staff/f/1"):
            response = await client.get(path, headers=header)
            assert response.status_code == 403, path
            assert ("muster staff add" in response.text) is told
            assert office.book.campaign.title not in response.text
        for deed in DEEDS:
            path = "/staff" + deed.path.format(number=1, campaign="x", occasion="y", code="z")
            assert (await client.post(path, headers=header, data={"grounds": "x"})).status_code == 403
    with office.house.ledger.reading() as session:
        assert session.scalar(select(func.count(VisitRow.id))) == 0


def everything() -> list[tuple[str, Look | Deed]]:
    return [("GET", look) for look in LOOKS] + [("POST", deed) for deed in DEEDS]


def test_the_table_of_roles_is_as_agreed() -> None:
    assert {look.role for look in LOOKS} == {Role.VIEWER}
    decided = {d.path for d in DEEDS if d.role is Role.APPROVER}
    assert decided == {
        "/c/{campaign}/pause", "/c/{campaign}/resume", "/c/{campaign}/close", "/r/{number}/grant",
        "/r/{number}/refuse", "/a/{campaign}/{occasion}/approve", "/a/{campaign}/{occasion}/decline",
        "/p/{number}/approve", "/p/{number}/drop", "/o/{number}/extend", "/o/{number}/exempt",
    }  # fmt: skip
    assert {d.path for d in DEEDS if d.role is Role.VIEWER} == {"/password"}
    assert len([d for d in DEEDS if d.role is Role.OPERATOR]) == 14


@pytest.mark.parametrize("name", ["", *ROLES])
async def test_every_route_lets_in_whom_its_role_names_and_nobody_else(
    staff: StaffClerk, office: Office, name: str
) -> None:
    """Whoever may not is told so; whoever may is refused only for the form's sake, which lacks everything here."""
    scene = open_scene(office)
    token = ""
    if name:
        await staff.log_in(name)
        token = staff.token()
    before = decided(office)
    staff.client.follow_redirects = False
    for method, route in everything():
        response = await staff.client.request(
            method, scene.fill(route.path, office), data={"_csrf": token} if method == "POST" else None
        )
        may = bool(name) and Role(ROLES[name]).may(route.role)
        if not name:
            wanted = {"GET": {303}, "POST": {403}}[method]
        elif not may:
            wanted = {403}
        else:
            wanted = {"GET": {200, 303}, "POST": {303, 409, 422}}[method]
        assert response.status_code in wanted, (method, route.path, name, response.status_code)
        if not name and method == "GET":
            assert response.headers["location"].startswith("/staff/login?next=")
        if may and method == "POST" and response.status_code == 303:
            assert route.path == "/u/{campaign}/{code}/open"  # its form has nothing but the button
    assert decided(office) == before


def decided(office: Office) -> int:
    with office.house.ledger.reading() as session:
        return session.scalar(select(func.count(DecisionRow.id))) or 0


async def test_a_form_that_is_not_ours_does_nothing(staff: StaffClerk, office: Office, watch: Watch) -> None:
    scene = open_scene(office)
    await staff.log_in("li")
    before = decided(office)
    async with client_of(office, watch) as client:
        other = StaffClerk(client)
        await other.log_in("wang")
        foreign = other.token()
    for deed in DEEDS:
        path = scene.fill(deed.path, office)
        for token in ("", "x", foreign):
            response = await staff.client.post(path, data={"_csrf": token, "grounds": "x", "sure": "1"})
            assert response.status_code == 403, path
        await staff.open("/staff/")
        response = await staff.client.post(
            path, data={"_csrf": staff.token(), "grounds": "x"}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert response.status_code == 403, path
    assert decided(office) == before
    response = await staff.client.post("/staff/login", data={"name": "li", "password": PASSWORD})
    assert response.status_code == 403
    response = await staff.client.post("/staff/logout", data={"_csrf": "x"})
    assert "没有退出" in response.text


async def test_a_forged_cookie_asks_the_ledger_nothing(staff: StaffClerk) -> None:
    await staff.log_in()
    good = staff.client.cookies["__Host-muster-staff"]
    for bad in (good[:-1] + ("0" if good[-1] != "0" else "1"), good.split(".")[0], "x", good + "0"):
        staff.client.cookies.clear()
        staff.client.cookies.set("__Host-muster-staff", bad)
        await staff.open("/staff/")
        assert staff.path == "/staff/login"


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/staff//evil.example", "/u/x", "/staff/../u", "/staff/\\evil", "",
     "javascript:alert(1)", "/staff/login", "/staff/x\r\nSet-Cookie: a=b", "/staff/%2e%2e/u/abc", "/staff/.%2E/u/abc",
     "/staff/..%2fu/abc", "/staff/x%2F%2E%2e/u", "/staff/%2e%2e/u?x=1"],
)  # fmt: skip
async def test_the_login_leads_to_staff_pages_only(staff: StaffClerk, wanted: str) -> None:
    assert way_on(wanted) == "/staff/"
    staff.client.follow_redirects = False
    await staff.open("/staff/login")
    await staff.send("/staff/login", {"name": "li", "password": PASSWORD, "next": wanted})
    assert staff.page.headers["location"] == "/staff/"


def test_dots_and_slashes_that_were_searched_for_lead_back_to_the_search() -> None:
    for wanted in ("/staff/search?q=a%2Fb%2e", "/staff/u/x.y/BH001", "/staff/a/x/escalate%3A2%3A2020-06-04"):
        assert way_on(wanted) == wanted


async def test_a_link_in_a_mail_leads_on_by_itself_so_that_the_cookie_comes_along(staff: StaffClerk) -> None:
    response = await staff.client.get("/staff/s/1", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/staff/s/1"' in response.text
    response = await staff.client.get("/staff/s/1", headers={"Sec-Fetch-Site": "same-origin"})
    assert response.url.path == "/staff/login"


async def test_every_answer_bears_the_safe_headers_and_is_kept_nowhere(staff: StaffClerk, office: Office) -> None:
    scene = open_scene(office)
    await staff.log_in("li")
    for look in LOOKS:
        headers = (await staff.client.get(scene.fill(look.path, office))).headers
        assert headers["cache-control"] == "no-store", look.path
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    for path in (f"/staff/f/{scene.file}", f"/staff/p/{scene.paper}/file", f"/staff/in/{scene.letter}/file/1"):
        response = await staff.client.get(path)
        assert response.headers["content-disposition"].startswith("attachment; "), path
        assert "/" not in response.headers["content-disposition"].split("filename*=")[0].split('"')[1]
        assert response.content[:2] == b"PK"


NOT_THERE = (
    "/s/0", "/s/-1", "/s/x", "/s/99999999999999999999", "/s/٣", "/s/7777", "/q/7777", "/f/7777", "/r/7777", "/p/7777",
    "/p/7777/file", "/in/7777", "/in/1/file/0", "/in/1/file/99", "/in/1/file/x", "/m/7777", "/o/7777", "/c/none",
    "/u/none/BH001", "/u/safety-month-2020/none", "/u/safety-month-2020/OFFICE", "/a/safety-month-2020/none",
    "/queue/none", "/queue?campaign=none", "/papers?campaign=none", "/nothing", "/f/..%2f..%2fledger.db",
)  # fmt: skip


async def test_what_is_not_there_is_not_there(staff: StaffClerk, office: Office) -> None:
    open_scene(office)
    await staff.log_in("li")
    for path in NOT_THERE:
        await staff.open(f"/staff{path}")
        assert staff.page.status_code == 404, path
        assert "没有找到这个页面" in staff.text, path


async def test_what_strangers_write_stays_text(staff: StaffClerk, office: Office) -> None:
    scene = open_scene(office)
    await staff.log_in("li")
    for path in ("/staff/queue", f"/staff/in/{scene.letter}", "/staff/search?q=<script>alert(2)</script>"):
        raw = (await staff.client.get(path)).text
        assert "<script" not in raw
        assert "<b>方案" not in raw


async def test_two_who_log_in_at_once_both_get_in(office: Office, watch: Watch) -> None:
    add_accounts(office)
    async with client_of(office, watch) as one, client_of(office, watch) as other:
        clerks = [StaffClerk(one), StaffClerk(other)]
        await asyncio.gather(*(clerk.log_in("li") for clerk in clerks))
        assert [clerk.path for clerk in clerks] == ["/staff/", "/staff/"]


@pytest.fixture
def office(shipped: LoadedCampaign, house: Path, tmp_path: Path) -> Iterator[Office]:  # noqa: F811
    opened = open_office(staffed(shipped), house, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.house.ledger.close()


def test_the_scene_has_one_of_everything(office: Office) -> None:
    scene = open_scene(office)
    assert all(number > 0 for number in vars(scene).values())
    assert replace(scene) == scene
    assert isinstance(scene, Scene)
