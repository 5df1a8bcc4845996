"""The staff pages in a real browser, on a phone and on a desk, and what axe-core thinks of each.

Pictures are left in build/portal-pictures, to be looked at.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from definition.loading import LoadedCampaign
from tests import servers
from tests.portal.conftest import KEY, Office, open_office
from tests.portal.conftest import loaded as shipped  # noqa: F401  a fixture of ours too
from tests.portal.staff_scene import OCCASION, PASSWORD, Scene, add_accounts, open_scene, staffed
from tests.portal.test_browser import Eyes
from tests.portal.test_browser import browser as browser  # noqa: PLC0414  fixtures of ours too
from tests.portal.test_browser import page as page  # noqa: PLC0414
from tests.portal.test_browser import site as site  # noqa: PLC0414  a fixture of ours too


@pytest.fixture
def office(shipped: LoadedCampaign, house: Path, tmp_path: Path) -> Iterator[Office]:  # noqa: F811
    opened = open_office(staffed(shipped), house, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.house.ledger.close()


def log_in(page: Page, site: str, name: str = "li") -> None:
    page.goto(f"{site}/staff/")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="登录", exact=True).click()


def test_a_day_at_the_staff_pages(office: Office, site: str, page: Page, house: Path) -> None:
    eyes = Eyes(house, page)
    errors: list[str] = []
    page.goto(f"{site}/staff/")
    eyes.look("staff-0-first")
    scene = open_scene(office)
    add_accounts(office)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{site}/staff/queue")
    eyes.look("staff-1-login")
    log_in(page, site)
    eyes.look("staff-2-overview")
    page.get_by_role("link", name="待办", exact=True).click()
    eyes.look("staff-3-queue")
    page.locator("#version a.button").first.click()
    assert page.url.endswith(f"/staff/s/{scene.version}")
    eyes.look("staff-4-submission")
    page.locator("#form-accept textarea").fill("已核对")
    page.get_by_role("button", name="接收", exact=True).click()
    assert "已接收，回执已列入发信" in page.inner_text("main")
    eyes.look("staff-5-accepted")
    for name, path in _others(scene, office).items():
        page.goto(f"{site}/staff{path}")
        page.evaluate("document.querySelectorAll('main details').forEach(one => one.open = true)")
        eyes.look(f"staff-6-{name}")
    assert errors == []
    page.get_by_role("button", name="退出").click()
    assert "已退出登录" in page.inner_text("main")
    if not eyes.judged:
        servers.need("axe-core is not there (npm install --prefix build/axe axe-core@4): no page was judged by it")


def _others(scene: Scene, office: Office) -> dict[str, str]:
    return {
        "campaign": f"/c/{KEY}",
        "query": f"/s/{scene.queried}",
        "unit": f"/u/{KEY}/BH001",
        "unit-unreached": f"/u/{KEY}/BH036",
        "obligation": f"/o/{office.obligation('report')}",
        "request": f"/r/{scene.extension}",
        "contact": f"/r/{scene.contact}",
        "consent": f"/a/{KEY}/{OCCASION}",
        "papers": "/papers",
        "paper": f"/p/{scene.paper}",
        "letter": f"/in/{scene.letter}",
        "mail": f"/m/{scene.doubt}",
        "search": "/search?q=BH",
        "password": "/password",
    }


def test_it_works_without_javascript_from_a_link_in_a_mail(office: Office, site: str, browser: Browser) -> None:
    """Another site's link keeps our cookie back; the page in between brings it along."""
    scene = open_scene(office)
    add_accounts(office, "wang")
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        log_in(page, site, "wang")
        other = site.replace("127.0.0.1", "localhost")
        page.route(
            f"{other}/mail",
            lambda route: route.fulfill(
                body=f'<a href="{site}/staff/s/{scene.version}">x</a>', content_type="text/html"
            ),
        )
        page.goto(f"{other}/mail")
        page.get_by_role("link", name="x").click()
        page.wait_for_url(f"{site}/staff/s/{scene.version}")
        page.get_by_role("button", name="接收", exact=True).wait_for()
        assert page.get_by_role("button", name="退出").count() == 1
