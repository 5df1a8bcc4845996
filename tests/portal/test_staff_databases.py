"""The staff pages on either database: each opens, and of two who send at the same moment one is done."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.tables import SubmissionRow
from portal.staff.routes import LOOKS
from tests.portal.conftest import Office, clerk_of, open_office
from tests.portal.conftest import loaded as shipped  # noqa: F401  a fixture of ours too
from tests.portal.staff_scene import StaffClerk, add_accounts, open_scene, staffed


@pytest.fixture
def office(shipped: LoadedCampaign, house: Path, tmp_path: Path, ledger_url: str) -> Iterator[Office]:  # noqa: F811
    opened = open_office(staffed(shipped), house, tmp_path, ledger_url)
    yield opened
    with opened.house.ledger.reading() as session:
        assert not audit.verify(session).fault
    opened.house.ledger.close()


async def test_each_page_opens_and_of_two_forms_sent_at_once_one_is_done(office: Office) -> None:
    scene = open_scene(office)
    add_accounts(office)
    clients = clerk_of(office)
    async with clients() as one, clients() as other:
        first, second = StaffClerk(one), StaffClerk(other)
        await first.log_in("li")
        await second.log_in("wang")
        for look in LOOKS:
            assert (await one.get(scene.fill(look.path, office))).status_code == 200, look.path
        for clerk in (first, second):
            await clerk.open(f"/staff/s/{scene.version}")
        await asyncio.gather(
            first.submit("accept", {"grounds": "已核对"}), second.submit("return", {"reasons": "缺少时间安排"})
        )
        assert sorted(clerk.page.status_code for clerk in (first, second)) == [200, 409]
        [refused] = [clerk for clerk in (first, second) if clerk.page.status_code == 409]
        assert "情况有了变化" in refused.text
    with office.house.ledger.reading() as session:
        assert session.get_one(SubmissionRow, scene.version).state == ("returned" if refused is first else "accepted")
