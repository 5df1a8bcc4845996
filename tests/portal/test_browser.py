"""The same story in a real browser, on a phone and on a desk, and what axe-core thinks of every page.

Pictures are left in build/portal-pictures, to be looked at.
"""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from portal.app import create_app
from tests import servers
from tests.portal.conftest import Office

SIZES = {"phone": (390, 844), "desk": (1280, 900)}
GRAVE = ("serious", "critical")
CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        servers.need("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--lang=zh-CN"])
        yield opened
        opened.close()


@pytest.fixture
def site(office: Office) -> Iterator[str]:
    """Serve the portal on loopback, and return its address."""
    app = create_app(lambda: office.house, lambda: office.now)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, java_script_enabled=True)
    opened = context.new_page()
    yield opened
    context.close()


class Eyes:
    """Looks at each page: a picture, no sideways scrolling, and nothing grave for axe-core."""

    def __init__(self, house: Path, page: Page) -> None:
        self._page = page
        self._pictures = house / "build" / "portal-pictures"
        axe = house / "build" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
        self._axe = axe.read_text(encoding="utf-8") if axe.exists() else ""
        self.judged = 0

    def look(self, name: str) -> None:
        width = self._page.viewport_size["width"] if self._page.viewport_size else 0
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._page.screenshot(path=self._pictures / f"{width}-{name}.png", full_page=True)
        assert self._page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
        if self._axe:
            self._page.evaluate(self._axe)
            found: dict[str, Any] = self._page.evaluate("axe.run()")
            grave = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"] if v["impact"] in GRAVE]
            assert not grave, (name, grave)
            self.judged += 1


def test_the_story_in_a_browser(office: Office, site: str, page: Page, house: Path) -> None:
    eyes = Eyes(house, page)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(site + office.link())
    eyes.look("1-desk")
    page.locator("a.button", has_text="活动进展情况统计表").click()
    eyes.look("2-affair")
    page.get_by_role("link", name="在线填写").click()
    for field in page.locator("input[name$='.quantity']").all():
        field.fill("3")
    page.locator("[name='flagship.quantity']").fill("安全生产大家谈")
    page.locator("[name='launch_people.quantity']").fill("若干")
    page.get_by_role("button", name="报送", exact=True).click()
    eyes.look("3-wrong")
    assert page.locator("[aria-invalid=true]").count() == 1
    page.locator(".jump a").click()
    wrong = page.locator("[name='launch_people.quantity']")
    said = page.locator("[id='e-launch_people.quantity']").bounding_box()
    assert said is not None
    assert said["y"] >= 0  # the jump shows the sentence, not only the field below it
    assert wrong.input_value() == "若干"
    wrong.fill("约300")
    page.get_by_role("button", name="报送", exact=True).click()
    page.get_by_role("button", name="核对无误，仍然报送").click()
    eyes.look("4-queried")
    page.get_by_role("link", name="去更正、核实").click()
    eyes.look("5-to-confirm")
    page.get_by_role("button", name="确认为 300").click()
    assert "已接收" in page.locator(".version").first.inner_text()
    eyes.look("6-confirmed")
    page.get_by_role("link", name="查看回执").click()
    assert "回执编号" in page.inner_text("main")
    eyes.look("7-receipt")
    for number, name in enumerate(("plan", "liaison"), start=8):
        page.goto(f"{site}{office.link()}/o/{office.obligation(name)}/fill")
        eyes.look(f"{number}-{name}")
    for path in ("/upload", "/contact", "/v/materials"):
        page.goto(f"{site}{office.link()}{path}")
        eyes.look(f"10{path.replace('/', '-')}")
    assert errors == []
    page.goto(f"{site}/u/forged")
    eyes.look("11-forged")
    if not eyes.judged:
        servers.need("axe-core is not there (npm install --prefix build/axe axe-core@4): no page was judged by it")


def test_it_works_without_javascript(office: Office, site: str, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site}{office.link()}/o/{office.obligation('scheme')}")
        page.set_input_files("#files", {"name": "方案.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1"})
        page.get_by_role("button", name="上传", exact=True).click()
        assert "已经收到" in page.inner_text("h1")
