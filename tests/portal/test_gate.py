"""Who is let in: every route with another unit's link, a forged, an expired, a revoked one, and a form not ours."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import cache

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import func, select

from ledger.tables import AcknowledgementRow, CampaignRow, DraftRow, IntakeRow, PartyRow, RequestRow, SubmissionRow
from mail.links import Link, read_link_text, sign_link
from mail.tokens import sign
from office.links import link_text
from portal.app import ROUTES
from portal.rules import PortalRules
from tests.portal.conftest import SECRET, Clerk, Office, clerk_of, local

NAME = "天津经济技术开发区安委会"


@cache
def routes() -> list[tuple[str, str]]:
    """Return every route below a link as (method, path)."""
    every = [route for group in ROUTES for route in group(None).routes if isinstance(route, APIRoute)]  # type: ignore[arg-type]
    return [(method, route.path.removeprefix("/u/{link}")) for route in every for method in route.methods or ()]


def paths(*, number: int) -> list[tuple[str, str]]:
    """Return the same, numbers filled in."""
    return [(method, path.format(number=number, key="materials")) for method, path in routes()]


def recorded(office: Office) -> list[int]:
    with office.house.ledger.reading() as session:
        tables = (SubmissionRow, IntakeRow, DraftRow, RequestRow, AcknowledgementRow)
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


async def hand_something_in(office: Office, clerk: Clerk) -> None:
    """Let the first unit have one of everything, all with number 1 or the scheme's."""
    desk, number = office.link(), office.obligation("progress")
    await clerk.open(f"{desk}/o/{number}/fill")
    await clerk.send(f"{desk}/o/{number}/fill", {"launch_people.quantity": "3", "action": "draft"})
    form = office.book.campaign.forms["forms/annex4.yaml"]
    whole = {f"{row.key}.quantity": "约3" for row in form.rows} | {"flagship.quantity": "某活动"}
    await clerk.send(f"{desk}/o/{number}/fill", whole | {"sure": "1"})
    await clerk.open(f"{desk}/o/{number}/fill")
    await clerk.send(f"{desk}/o/{number}/fill", {"launch_people.quantity": "4", "action": "draft"})


def test_the_routes_are_all_walked() -> None:
    found = paths(number=1)
    assert len([p for m, p in found if m == "POST"]) == 9
    assert len([p for m, p in found if m == "GET"]) == 12


async def test_nobody_sees_or_changes_what_is_another_unit_s(office: Office, clerk: Clerk) -> None:
    await hand_something_in(office, clerk)
    before = recorded(office)
    other = office.link("BH036")
    await clerk.open(f"{other}/upload")
    token = clerk.token()
    mine = {1, office.obligation("progress"), office.obligation("report"), office.obligation("scheme")}
    for number in mine:
        for method, path in paths(number=number):
            if "1" not in path and str(number) not in path:
                continue  # its own desk, its own contact
            data = {"_csrf": token, "action": "draft", "sure": "1", "reason": "x", "until": "2020-07-03", "number": "3"}
            response = await clerk.client.request(method, f"{other}{path}", data=data if method == "POST" else None)
            assert response.status_code == 404, (method, path)
            assert NAME not in response.text
    assert recorded(office) == before


@pytest.mark.parametrize("kind", ["forged", "expired", "revoked", "left", "office", "token", "another secret", "odd"])
async def test_a_link_that_does_not_hold_opens_nothing(office: Office, clerk: Clerk, kind: str) -> None:
    await hand_something_in(office, clerk)
    link = office.link()
    token = clerk.token()
    if kind == "forged":
        link = link[:-1] + ("a" if link[-1] != "a" else "b")
    elif kind == "token":
        link = "/u/" + sign("p", office.party_id(), SECRET)
    elif kind == "another secret":
        whole = read_link_text(link[3:], SECRET)
        assert whole is not None
        link = "/u/" + sign_link(whole, b"another secret of sixteen")
    elif kind == "odd":
        link = "/u/%00%0d%0aSet-Cookie:x=1"
    elif kind in ("revoked", "left"):
        with office.house.ledger.writing() as session:
            party = session.get_one(PartyRow, office.party_id())
            party.link_epoch, party.left_at = int(kind == "revoked"), {"left": office.now}.get(kind)
    elif kind == "office":
        with office.house.ledger.reading() as session:
            number = session.scalars(select(PartyRow.id).where(PartyRow.kind == "office")).one()
        link = "/u/" + link_text(office.house, office.book, number, 0)
    elif kind == "expired":
        office.now = office.book.close_at + timedelta(days=60)
    before = recorded(office)
    known = kind in ("expired", "revoked", "left", "office")
    for method, path in paths(number=office.obligation("progress")):
        data = {"_csrf": token, "action": "draft", "launch_people.quantity": "7654321"}
        response = await clerk.client.request(method, f"{link}{path}", data=data if method == "POST" else None)
        assert response.status_code == (410 if known else 404), (method, path)
        assert NAME not in response.text
        assert ("022-00000000" in response.text) is known  # the office is named to those whom it once wrote to
        if method == "POST":
            assert "没有收到" in response.text
            read = known  # what bears no signature of ours is not read at all
            assert ("7654321" in response.text) is read
            assert ("启动仪式 参加 数量" in response.text) is read
    assert recorded(office) == before


async def test_a_link_holds_until_the_day_it_says(office: Office, clerk: Clerk) -> None:
    office.now = office.book.close_at + timedelta(days=60) - timedelta(seconds=1)
    await clerk.open(office.link())
    assert clerk.page.status_code == 200


async def test_the_closed_campaign_still_takes_hand_ins_and_says_so(office: Office, clerk: Clerk) -> None:
    office.now = local(7, 12)
    with office.house.ledger.writing() as session:
        session.get_one(CampaignRow, 1).state = "closed"
    desk, number = office.link(), office.obligation("scheme")
    assert "已经办结" in await clerk.open(f"{desk}/o/{number}")
    assert "按迟报登记" in await clerk.upload(f"{desk}/o/{number}/upload", ("方案.pdf", b"%PDF-1"))


async def test_nothing_is_read_with_a_forged_link(office: Office, clerk: Clerk) -> None:
    link, read = office.link(), []
    link = link[:-1] + ("a" if link[-1] != "a" else "b")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            read.append(1)
            yield b"text=" + b"x" * 1000

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await clerk.client.post(f"{link}/upload", content=body(), headers=headers)
    assert response.status_code == 404
    assert not read


async def test_only_so_many_forms_are_read_at_once(office: Office) -> None:
    waiting, most = 0, 0
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await go_on.wait()
        waiting -= 1
        yield b"text=x"

    async with clerk_of(office, PortalRules(bodies=2))() as client:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        sending = [
            asyncio.create_task(client.post(f"{office.link()}/upload", content=body(), headers=headers))
            for _ in range(5)
        ]
        await asyncio.sleep(0.3)
        go_on.set()
        assert {response.status_code for response in await asyncio.gather(*sending)} == {403}
    assert most == 2


async def test_a_page_opens_while_others_wait_to_write(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    pen = threading.Event()
    monkeypatch.setattr("portal.routes.hand_in_nothing", lambda *_: pen.wait(20))
    async with clerk_of(office, PortalRules(threads=1))() as client:
        clerk = Clerk(client)
        desk, number = office.link(), office.obligation("report")
        await clerk.open(f"{desk}/o/{number}")
        data = {"_csrf": clerk.token(), "sure": "1"}
        writing = asyncio.create_task(client.post(f"{desk}/o/{number}/nil", data=data))
        await asyncio.sleep(0.3)
        try:
            async with asyncio.timeout(5):
                assert (await client.get(desk)).status_code == 200
        finally:
            pen.set()
            await writing


@pytest.mark.parametrize("kind", ["none", "wrong", "other link", "other cookie", "cross-site"])
async def test_a_form_that_is_not_ours_changes_nothing_and_gives_the_text_back(
    office: Office, clerk: Clerk, kind: str
) -> None:
    desk, number = office.link(), office.obligation("progress")
    await clerk.open(f"{(office.link('BH036') if kind == 'other link' else desk)}/upload")
    token = {"none": "", "wrong": "0" * 64}.get(kind, clerk.token())
    if kind == "other cookie":
        clerk.client.cookies.set("muster", "x" * 32)
    headers = {"Sec-Fetch-Site": "cross-site"} if kind == "cross-site" else {}
    data = {"_csrf": token, "action": "draft", "launch_people.quantity": "12<b>"}
    response = await clerk.client.post(f"{desk}/o/{number}/fill", data=data, headers=headers)
    assert response.status_code == 403
    assert "没有收到" in response.text
    assert 'value="12&lt;b&gt;"' in response.text or "12&lt;b&gt;" in response.text
    assert recorded(office) == [0, 0, 0, 0, 0]
    fresh = re.search(r'name="_csrf" value="([0-9a-f]+)"', response.text)
    assert fresh is not None
    again = await clerk.client.post(f"{desk}/o/{number}/fill", data=data | {"_csrf": fresh[1]})
    assert "草稿已经保存" in again.text  # once more by the button on that page, and it is kept


def test_a_link_says_whose_it_is_and_until_when() -> None:
    link = Link(party_id=40_000, epoch=3, expires=local(9, 8))
    text = sign_link(link, SECRET)
    assert read_link_text(text, SECRET) == link
    assert re.fullmatch(r"[a-z2-7.-]+", text)
    for number in range(len(text)):
        other = "b" if text[number] != "b" else "c"
        assert read_link_text(text[:number] + other + text[number + 1 :], SECRET) is None
    assert read_link_text("", SECRET) is None
