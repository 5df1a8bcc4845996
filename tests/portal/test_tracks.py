"""What a unit's page, its mails and the workbook say of the sealed original, and of a scan with the seal."""

import io
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest

from definition.loading import LoadedCampaign, load_campaign
from ledger.tables import CampaignRow, IntakeRow, ObligationRow
from mail.parsing import parse_mail
from office.answers import answer_of
from office.consolidation import consolidate_campaign
from office.paper import record_original
from office.rulebook import rulebook_of
from tests.corpus.mails import docx
from tests.portal.conftest import KEY, Clerk, Office, local
from tests.portal.test_links import launch_mail


@pytest.fixture(scope="session")
def loaded(house: Path) -> LoadedCampaign:
    """Return a campaign whose 活动方案 is to come sealed on paper too, and whose scan is welcome."""
    whole = load_campaign(
        house / "campaigns" / KEY, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email"
    )
    sealed = {"original": True, "sealed_scan": True}
    some = tuple(d.model_copy(update=sealed if d.key == "scheme" else {}) for d in whole.campaign.deliverables)
    units = tuple(u for u in whole.units if u.code in ("BH025", "BH001"))
    return replace(whole, units=units, campaign=whole.campaign.model_copy(update={"deliverables": some}))


async def test_page_and_workbook_say_what_came_by_either_track(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("scheme")
    assert "电子版未收，纸质原件未收" in await clerk.open(desk)
    await clerk.open(f"{desk}/o/{number}")
    await clerk.upload(f"{desk}/o/{number}/upload", ("活动方案.docx", docx()))
    assert "电子版已收，纸质原件未收" in await clerk.open(desk)
    assert "请把盖章的纸质原件送办公室" in await clerk.open(f"{desk}/o/{number}")
    with office.house.ledger.writing() as session:
        obligation = session.get_one(ObligationRow, number)
        record_original(session, office.act(), obligation, local(6, 3), "专人送达")
    page = await clerk.open(f"{desk}/o/{number}")
    assert "电子版已收，纸质原件已收（6月3日）" in page
    assert "请把盖章的纸质原件送办公室" not in page
    with office.house.ledger.writing() as session:
        consolidate_campaign(session, office.house, office.act(), KEY)
    [path] = (office.house.reports / KEY).glob("*.xlsx")
    workbook = openpyxl.load_workbook(io.BytesIO(path.read_bytes()))
    cells = {str(cell.value) for sheet in workbook for row in sheet.iter_rows() for cell in row}
    assert {"纸质原件", "电子版已收，纸质原件已收（6月3日）"} <= cells


async def test_a_scan_with_the_seal_is_asked_for_until_it_came(office: Office, clerk: Clerk) -> None:
    assert "另请报送盖章扫描件（PDF）" in parse_mail(launch_mail(office, office.house)).text
    desk, number = office.link(), office.obligation("scheme")
    page = await clerk.open(f"{desk}/o/{number}")
    assert "盖章扫描件：未收" in page
    assert "欢迎一并上传盖章后的扫描件" in page
    result = await clerk.upload(f"{desk}/o/{number}/upload", ("活动方案.docx", docx()))
    assert "盖章扫描件：未收。如已盖章" in result
    assert scan_told(office) == ["盖章扫描件：未收。如已盖章，请把扫描件（PDF）随后报来，不影响本次登记。"]
    await clerk.open(f"{desk}/o/{number}")
    await clerk.upload(f"{desk}/o/{number}/upload", ("盖章扫描件.pdf", b"%PDF-1"))
    assert "盖章扫描件：已收" in await clerk.open(f"{desk}/o/{number}")
    assert scan_told(office) == ["盖章扫描件：已收"]


def scan_told(office: Office) -> list[str]:
    """Return what the answer to the newest hand-in says of the scan."""
    with office.house.ledger.reading() as session:
        newest = max(session.query(IntakeRow).all(), key=lambda row: row.id)
        book = rulebook_of(session.get_one(CampaignRow, 1))
        return [line.scan_text for line in answer_of(session, office.house, book, newest.id).lines]
