"""When something goes wrong: the unit is told that nothing was received, and nothing is half-recorded."""

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from documents import filling
from documents.sandbox import SANDBOX
from ledger.engine import Ledger
from ledger.files import FileStore
from ledger.tables import AuditRow, DraftRow, FileRow, IntakeRow, MessageRow, ObligationRow, SubmissionRow
from office.enclosures import empty_form
from portal.limits import Rate
from portal.rules import PortalRules
from tests.portal.conftest import URL, Clerk, Office, clerk_of
from tests.portal.test_gate import paths, recorded
from tests.portal.test_story import right_answers

KEPT = (SubmissionRow, IntakeRow, FileRow, MessageRow, DraftRow, AuditRow, ObligationRow)


def everything(office: Office) -> list[int]:
    with office.house.ledger.reading() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in KEPT]


def full_disk(*_: object) -> str:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_leaves_nothing_and_says_so(
    office: Office, clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, number = office.link(), office.obligation("scheme")
    await clerk.open(f"{desk}/o/{number}")
    before = everything(office)
    monkeypatch.setattr(FileStore, "put", full_disk)
    page = await clerk.upload(f"{desk}/o/{number}/upload", ("方案.pdf", b"%PDF-1"))
    assert clerk.page.status_code == 503
    assert "没有收到，也没有登记" in page
    assert "方案.pdf" in page
    assert "No space" not in page
    assert everything(office) == before


async def test_a_locked_ledger_leaves_nothing_and_the_text_can_be_sent_again(
    office: Office, clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.engine.LOCK_TIMEOUT_MS", 200)
    office.house.ledger.engine.dispose()  # connections opened from now on wait no longer than that
    desk, number = office.link(), office.obligation("progress")
    await clerk.open(f"{desk}/o/{number}/fill")
    before = everything(office)
    path = str(office.house.ledger.engine.url.database)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        page = await clerk.send(f"{desk}/o/{number}/fill", {"launch_people.quantity": "7654321", "action": "draft"})
        assert clerk.page.status_code == 503
        assert clerk.page.headers["retry-after"] == "60"
        assert "没有收到，也没有登记" in page
        assert "启动仪式 参加 数量" in page
        assert 'name="launch_people.quantity" value="7654321"' in page  # the button sends it once more
        other.execute("ROLLBACK")
    assert everything(office) == before
    assert "草稿已经保存" in await clerk.send(
        f"{desk}/o/{number}/fill", {"launch_people.quantity": "7654321", "action": "draft"}
    )


async def test_what_is_too_large_or_too_much_is_not_received(office: Office) -> None:
    desk, rules = office.link(), PortalRules(max_upload_bytes=100_000, max_files=2)
    async with clerk_of(office, rules)() as client:
        clerk = Clerk(client)
        await clerk.open(f"{desk}/upload")
        token, before = clerk.token(), everything(office)
        page = await clerk.send(
            f"{desk}/upload", {"_csrf": token}, files=[("files", ("a.pdf", b"%PDF-" + b"x" * 500_000))]
        )
        assert (clerk.page.status_code, "文件太大，没有收到" in page) == (413, True)
        page = await clerk.send(
            f"{desk}/upload", {"_csrf": token}, files=[("files", (f"{n}.pdf", b"%PDF-1")) for n in range(3)]
        )
        assert (clerk.page.status_code, "超过 2 个" in page) == (400, True)
        fields = {"_csrf": token, "action": "draft", "launch_people.quantity": "x" * 70_000}
        await clerk.send(f"{desk}/o/{office.obligation('progress')}/fill", fields)
        assert clerk.page.status_code == 400
        assert everything(office) == before


async def test_an_upload_that_breaks_off_is_not_received(office: Office, clerk: Clerk) -> None:
    desk = office.link()
    await clerk.open(f"{desk}/upload")
    before = everything(office)
    body = (
        f'--b\r\nContent-Disposition: form-data; name="_csrf"\r\n\r\n{clerk.token()}\r\n'
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.pdf"\r\n\r\n%PDF-1.4 half'
    )
    response = await clerk.client.post(
        f"{desk}/upload", content=body.encode(), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert response.status_code < 500
    assert "已经收到" not in response.text
    assert everything(office) == before


async def test_web_pages_and_drawings_are_not_taken_and_never_shown(office: Office, clerk: Clerk) -> None:
    desk = office.link()
    await clerk.open(f"{desk}/v/materials")
    evil = b"<html><script>alert(1)</script></html>"
    page = await clerk.upload(
        f"{desk}/v/materials/upload", ("<script>.html", evil), ("a.svg", b"<svg onload='x()'/>"), ("b.png", evil)
    )
    assert "下列文件没有登记" in page
    assert all(f"{name}：" in page for name in (".html", "a.svg", "b.png"))
    assert "<script>" not in clerk.page.text
    with office.house.ledger.reading() as session:
        assert session.scalar(select(func.count(SubmissionRow.id))) == 0


async def test_every_answer_bears_the_headers(office: Office, clerk: Clerk) -> None:
    desk = office.link()
    for path in (desk, f"{desk}/upload", f"{desk}/o/1/empty.xlsx", "/portal.css", "/nowhere", f"{desk}x", "/healthz"):
        headers = (await clerk.client.get(path)).headers
        assert "script-src" not in headers["content-security-policy"]
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert ("no-store" in headers["cache-control"]) is (path != "/portal.css")
    for text in [(await clerk.client.get(f"{desk}{p}")).text for m, p in paths(number=1) if m == "GET"]:
        assert "<script" not in text
        assert " style=" not in text
        assert "http://" not in text


async def test_the_cookie_is_ours_alone(office: Office) -> None:
    for secure, name in ((False, "muster"), (True, "__Host-muster")):
        async with clerk_of(office, PortalRules(secure=secure))() as client:
            response = await client.get(f"{office.link()}/upload")
            cookie = response.headers["set-cookie"]
            assert cookie.startswith(f"{name}=")
            assert "HttpOnly" in cookie
            assert "SameSite=lax" in cookie
            assert ("Secure" in cookie) is secure
            assert ("strict-transport-security" in response.headers) is secure


async def test_whoever_comes_too_often_is_asked_to_wait(office: Office) -> None:
    desk = office.link()
    async with clerk_of(office, PortalRules(posts_per_minute=3, bad_links_per_minute=2))() as client:
        clerk = Clerk(client)
        await clerk.open(f"{desk}/upload")
        token = clerk.token()
        for _ in range(4):
            await clerk.send(f"{desk}/upload", {"_csrf": token})
        assert clerk.page.status_code == 429
        assert "没有收到" in clerk.text
        statuses = [(await client.get("/u/forged")).status_code for _ in range(4)]
        assert statuses == [404, 404, 429, 429]
        assert (await client.get(desk)).status_code == 200  # nobody with a link of ours is shut out by them


async def test_no_workbook_opened_ahead_is_left_behind_nor_opened_for_a_stranger(office: Office, clerk: Clerk) -> None:
    number = office.obligation("progress")
    content = empty_form(office.book.campaign.digest(), "progress", office.book).fill(
        unit_name="x", token=office.token()
    )
    await clerk.open(f"{office.link()}/upload")
    for _ in range(2):  # the second time it is known before it is read
        await clerk.upload(f"{office.link()}/o/{number}/upload", ("表.xlsx", content))
        assert not SANDBOX._ahead
        await clerk.open(f"{office.link()}/upload")
    other = office.link("BH036")
    await clerk.open(f"{other}/upload")
    with pytest.MonkeyPatch.context() as patched:
        opened: list[bytes] = []
        patched.setattr("portal.counter.open_ahead", opened.append)
        await clerk.upload(f"{other}/o/{number}/upload", ("表.xlsx", content))
        assert clerk.page.status_code == 404
        assert not opened


async def test_a_typed_form_is_filled_and_read_before_the_ledger_is_held(
    office: Office, clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, during = [False], []
    writing, ask, fill = Ledger.writing, SANDBOX._ask, filling.fill_form

    @contextmanager
    def watched(ledger: Ledger) -> Iterator[Session]:
        with writing(ledger) as session:
            held[0] = True
            try:
                yield session
            finally:
                held[0] = False

    def noted(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*given: Any) -> Any:
            during.append((name, held[0]))
            return work(*given)

        return noting

    desk, number = office.link(), office.obligation("progress")
    await clerk.open(f"{desk}/o/{number}/fill")
    monkeypatch.setattr(Ledger, "writing", watched)
    monkeypatch.setattr(SANDBOX, "_ask", noted("opened", ask))
    monkeypatch.setattr("office.unit_forms.fill_form", noted("filled", fill))
    page = await clerk.send(f"{desk}/o/{number}/fill", right_answers(office) | {"action": "hand_in"})
    assert "已经收到" in page
    assert {name for name, _ in during} == {"opened", "filled"}
    assert not any(under_the_lock for _, under_the_lock in during), during


async def test_forged_links_use_up_nothing_of_the_address(office: Office) -> None:
    async with clerk_of(office, PortalRules(requests_per_minute=3, bad_links_per_minute=2))() as client:
        for _ in range(6):
            await client.get("/u/forged")
        assert [(await client.get(office.link())).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_rate_fills_up_again() -> None:
    now = [0.0]
    rate = Rate(60, clock=lambda: now[0])
    assert [rate.take("a") for _ in range(61)] == [True] * 60 + [False]
    assert rate.take("b")
    now[0] = 1.0
    assert [rate.take("a"), rate.take("a")] == [True, False]


ODD = st.text(max_size=40) | st.sampled_from(
    ["\x00", "1e309", "９９９", "=1+1", "-1", "2020-13-40", "9" * 400, "\ud800", "'--", "\u202ex", "约", "NaN"]
)
FIELDS = st.dictionaries(
    st.sampled_from(["action", "sure", "until", "reason", "number", "text", "role", "name", "address", "phone"])
    | st.sampled_from(["launch_people.quantity", "1.name", "9999.name", "١.name", ".", "liaison.email", "x.y"]),
    ODD | st.sampled_from(["hand_in", "check", "more", "draft", "1", "liaison"]),
    max_size=6,
)
NUMBERS = st.integers(-1, 12) | st.sampled_from([2**31, 2**63, 10**30])


async def test_odd_input_never_breaks_a_route(office: Office) -> None:
    rules = PortalRules(posts_per_minute=10**9, requests_per_minute=10**9, bad_links_per_minute=10**9)
    transport = clerk_of(office, rules)
    desk = office.link()
    async with transport() as client:
        await client.get(f"{desk}/upload")
        token = (await client.get(f"{desk}/upload")).text.split('name="_csrf" value="')[1][:64]
        cookies = dict(client.cookies)

    async def one(method: str, path: str, fields: dict[str, str], query: str) -> httpx.Response:
        async with transport() as client:
            client.cookies.update(cookies)
            plain = {k: v.encode("utf-8", "replace").decode() for k, v in fields.items()}
            data = {"_csrf": token} | plain if method == "POST" else None
            return await client.request(method, f"{URL}{desk}{path}", data=data, params={"said": query, "check": "1"})

    import asyncio  # noqa: PLC0415
    import threading  # noqa: PLC0415

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(number=NUMBERS, which=st.integers(0, 18), fields=FIELDS, query=ODD)
    def walk(number: int, which: int, fields: dict[str, str], query: str) -> None:
        method, path = paths(number=number)[which]
        response = asyncio.run(one(method, path, fields, query.encode("utf-8", "replace").decode()))
        assert response.status_code < 500, (method, path, fields, response.text[-400:])

    failed: list[BaseException] = []

    def run() -> None:
        try:
            walk()
        except BaseException as error:  # noqa: BLE001  told to the test below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert not failed, failed[0]
    assert recorded(office)[0] < 200
