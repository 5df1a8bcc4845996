"""Links in mails, and the portal as the sender's companion."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger.acts import Act
from ledger.facts import party_names
from ledger.senders import sign_on
from ledger.tables import CampaignRow, MessageRow, PartyRow
from mail.parsing import parse_mail
from office.composing import Composer
from office.outbox import claim_shard
from office.planning import plan_step
from office.premises import Premises
from portal.app import create_app
from portal.serving import listen_on, run_beside
from rules.timetable import StepKind
from tests.portal.conftest import KEY, URL, Clerk, Office, clerk_of, local, open_office


def launch_mail(office: Office, house: Premises) -> bytes:
    """Compose the launch's mails, and return the one to the first unit."""
    act = Act(actor="rule:test", as_of=local(5, 27, 15), wall=datetime.now(UTC))
    with house.ledger.writing() as session:
        sign_on(session, act, "test", host="here", pid=1)
        plan_step(session, house, act, KEY, StepKind.LAUNCH)
        shard = claim_shard(session, house, act, KEY, sender="test", limit=100)
        message = session.scalars(select(MessageRow.id).where(MessageRow.party_id == office.party_id())).one()
        envelope = next(e for e in shard.envelopes if e.id == message)
    return b"".join(envelope.data)


async def test_the_mail_leads_to_the_unit_s_own_page(office: Office, clerk: Clerk) -> None:
    raw = launch_mail(office, office.house)
    text = parse_mail(raw).text
    link = next(line for line in text.splitlines() if line.startswith(URL))
    assert link == URL + office.link()
    page = await clerk.open(link)
    assert "天津经济技术开发区安委会" in page


def test_without_a_portal_no_mail_prints_a_link(office: Office) -> None:
    raw = launch_mail(office, replace(office.house, portal_url=""))
    mail = parse_mail(raw)
    assert "/u/" not in mail.text
    assert "网页" not in mail.text


def test_only_units_that_take_part_are_given_a_link(office: Office) -> None:
    with office.house.ledger.writing() as session:
        session.get_one(PartyRow, office.party_id("BH036")).left_at = office.now
        session.flush()
        composer = Composer(session, office.house, office.act(), session.get_one(CampaignRow, 1), [])
        parties = party_names(session, 1).values()
        assert {p.code for p in parties if composer._link(p)} == {"BH001", "BH025"}
        assert any(p.kind == "office" for p in parties)


async def test_a_raised_epoch_voids_the_old_link_and_the_next_mail_has_a_new_one(office: Office, clerk: Clerk) -> None:
    with office.house.ledger.writing() as session:
        session.get_one(PartyRow, office.party_id()).link_epoch = 1
    await clerk.open(office.link(epoch=0))
    assert clerk.page.status_code == 410
    text = parse_mail(launch_mail(office, office.house)).text
    await clerk.open(next(line for line in text.splitlines() if line.startswith(URL)))
    assert clerk.page.status_code == 200


async def test_the_portal_ends_with_the_event_and_is_heard_until_then(office: Office) -> None:
    app, stop = create_app(lambda: office.house, lambda: office.now), asyncio.Event()
    port = 18_431
    serving = asyncio.create_task(run_beside(app, listen_on("127.0.0.1", port), stop, proxies=""))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(100):
            try:
                answer = await client.get(office.link())
                break
            except httpx.TransportError:
                await asyncio.sleep(0.02)
        assert answer.status_code == 200
        assert "server" not in answer.headers
        with pytest.raises(OSError, match="in use"):
            listen_on("127.0.0.1", port)
    stop.set()
    await asyncio.wait_for(serving, 10)


async def test_the_story_on_either_database(
    loaded: LoadedCampaign, house: Path, tmp_path: Path, ledger_url: str
) -> None:
    office = open_office(loaded, house, tmp_path, ledger_url)
    desk, number = office.link(), office.obligation("progress")
    form = office.book.campaign.forms["forms/annex4.yaml"]
    whole = {f"{row.key}.quantity": "3" for row in form.rows} | {"flagship.quantity": "某活动"}
    async with clerk_of(office)() as client:
        clerk = Clerk(client)
        await clerk.open(f"{desk}/o/{number}/fill")
        page = await clerk.send(f"{desk}/o/{number}/fill", whole | {"sms.quantity": "\x00几", "action": "hand_in"})
        assert "有 1 处必须更正" in page
        assert "已经收到" in await clerk.send(f"{desk}/o/{number}/fill", whole | {"action": "hand_in"})
        await clerk.open(f"{desk}/v/materials")
        assert "已经收到" in await clerk.upload(f"{desk}/v/materials/upload", ("图\x00.png", b"\x89PNG\r\n\x1a\n"))
    office.house.ledger.close()
