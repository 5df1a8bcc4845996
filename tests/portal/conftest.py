"""A portal over a real ledger with three units of the 2020 campaign, and a browser's manners without a browser."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from definition.loading import LoadedCampaign, load_campaign
from ledger.acts import Act
from ledger.campaigns import find_party
from ledger.engine import Ledger
from ledger.facts import load_obligations
from ledger.files import FileStore
from mail.tokens import sign
from office import staff_accounts
from office.launching import launch_campaign
from office.links import link_text
from office.premises import Premises
from office.rulebook import Rulebook
from portal.app import create_app
from portal.rules import PortalRules
from tests.images import furnish

KEY = "safety-month-2020"
SECRET = b"a secret for the tests only"
URL = "https://report.office.example"
FORM = "application/x-www-form-urlencoded"
SHIPPED = staff_accounts._HASHER
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def local(month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2020, month, day, tzinfo=UTC) + timedelta(hours=hour - 8, minutes=minute)


@dataclass
class Office:
    """The office behind the portal, at a moment that a test may move."""

    house: Premises
    book: Rulebook
    now: datetime = field(default_factory=lambda: local(6, 5))

    def act(self) -> Act:
        return Act(actor="rule:test", as_of=self.now, wall=datetime.now(UTC))

    def party_id(self, code: str = "BH001") -> int:
        with self.house.ledger.reading() as session:
            return find_party(session, 1, code).id

    def link(self, code: str = "BH001", *, epoch: int = 0) -> str:
        return f"/u/{link_text(self.house, self.book, self.party_id(code), epoch)}"

    def obligation(self, deliverable: str, code: str = "BH001") -> int:
        with self.house.ledger.reading() as session:
            mine = load_obligations(session, 1, party_ids=[self.party_id(code)])
            return next(o.id for o in mine if o.deliverable == deliverable)

    def token(self, code: str = "BH001") -> str:
        return sign("p", self.party_id(code), SECRET)


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as they are hashed in service, but with the least work."""
    monkeypatch.setattr(staff_accounts, "_HASHER", QUICK)


@pytest.fixture(scope="session")
def loaded(house: Path) -> LoadedCampaign:
    whole = load_campaign(
        house / "campaigns" / KEY, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email"
    )
    units = tuple(u for u in whole.units if u.code in ("BH025", "BH001", "BH036"))
    # One document may be answered by 零报告 here, so that its form is walked too.
    some = tuple(d.model_copy(update={"nil_return": d.key == "report"}) for d in whole.campaign.deliverables)
    return replace(whole, units=units, campaign=whole.campaign.model_copy(update={"deliverables": some}))


def open_office(loaded: LoadedCampaign, house: Path, folder: Path, url: str) -> Office:
    ledger = Ledger(url)
    premises = Premises(
        ledger=ledger,
        files=FileStore(folder / "files"),
        templates=house / "templates",
        campaigns=house / "campaigns",
        reports=folder / "reports",
        maildir=folder / "intake",
        received_by="mx.office.example",
        signing=lambda: SECRET,
        mail_domain="office.example",
        mail_box="muster",
        rehearsal=True,
        portal_url=URL,
    )

    def launch() -> None:
        ledger.migrate()
        launched = Act(actor="rule:test", as_of=local(5, 27, 15), wall=datetime.now(UTC))
        with ledger.writing() as session:
            launch_campaign(session, premises, launched, loaded)
        ledger.close()

    furnish(("portal", repr(loaded)), url, premises.files, launch)
    return Office(house=premises, book=Rulebook(loaded.campaign))


@pytest.fixture
def office(loaded: LoadedCampaign, house: Path, tmp_path: Path) -> Iterator[Office]:
    opened = open_office(loaded, house, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.house.ledger.close()


class Clerk:
    """Somebody with a browser: follows redirects, keeps cookies, and sends forms as they stand on the page."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.page = httpx.Response(200)

    async def open(self, path: str) -> str:
        self.page = await self.client.get(path)
        return self.text

    @property
    def text(self) -> str:
        return unescape(self.page.text)

    @property
    def path(self) -> str:
        return self.page.url.path

    def token(self) -> str:
        found = re.search(r'name="_csrf" value="([0-9a-f]+)"', self.page.text)
        return found[1] if found else ""

    async def send(self, path: str, fields: dict[str, str] | None = None, **more: object) -> str:
        data = {"_csrf": self.token()} | (fields or {})
        self.page = await self.client.post(path, data=data, **more)  # type: ignore[arg-type]
        return self.text

    async def upload(self, path: str, *files: tuple[str, bytes]) -> str:
        return await self.send(path, files=[("files", (name, content)) for name, content in files])


@pytest.fixture
async def clerk(office: Office) -> AsyncIterator[Clerk]:
    async with clerk_of(office)() as client:
        yield Clerk(client)


def clerk_of(office: Office, rules: PortalRules | None = None) -> Callable[[], httpx.AsyncClient]:
    app = create_app(lambda: office.house, lambda: office.now, rules)
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    return lambda: httpx.AsyncClient(transport=transport, base_url=URL, follow_redirects=True)
