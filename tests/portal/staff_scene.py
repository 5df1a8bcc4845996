"""A staff office in the middle of its month: one of everything that waits for a person."""

import random
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import date
from email.message import EmailMessage
from functools import cache
from html import unescape

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from definition.models import Audience, Review, Rung
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.tables import (
    ContactRow,
    FileRow,
    FindingRow,
    IntakeKind,
    IntakeRow,
    IntakeState,
    MessageRow,
    PaperRow,
    PartyRow,
    RequestRow,
    SubmissionRow,
)
from office.destination import IncomingFile
from office.enclosures import empty_form
from office.handin import hand_in_on_behalf
from office.papers import draft_orders
from office.planning import plan_step
from office.requests import ask_contact_change, ask_extension
from office.staff_accounts import add, hash_password
from office.unit_handin import unit_act
from rehearsal.clerk import Manner, fill_form
from rules.timetable import StepKind
from tests.corpus.mails import docx
from tests.images import Said, furnish
from tests.portal.conftest import KEY, Clerk, Office, local

PASSWORD = "correct horse battery"
ROLES = {"zhou": "viewer", "wang": "operator", "li": "approver"}
OCCASION = "escalate:2:2020-06-04"


@cache
def hashed() -> str:
    """Return the hash of everybody's password; made once, as it takes its time."""
    return hash_password(PASSWORD, "nobody")


def staffed(loaded: LoadedCampaign) -> LoadedCampaign:
    """Return a campaign whose scheme is reviewed by staff and comes on paper too, with a rung that asks for consent."""
    rungs = (
        Rung(after=2, audience=Audience.UNIT, notice="escalation"),
        Rung(after=4, audience=Audience.SUPERIOR, notice="escalation_digest", approval=True, name="告知主管"),
    )
    of_scheme = {"review": Review.STAFF, "original": True}
    some = tuple(
        d.model_copy(update=of_scheme if d.key == "scheme" else {"nil_return": d.key == "report"})
        for d in loaded.campaign.deliverables
    )
    timetable = loaded.campaign.timetable.model_copy(update={"escalation": rungs})
    campaign = loaded.campaign.model_copy(update={"deliverables": some, "timetable": timetable})
    return replace(loaded, campaign=campaign)


def add_accounts(office: Office, *names: str) -> None:
    def add_them() -> None:
        with office.house.ledger.writing() as session:
            for name in names or ROLES:
                add(session, office.act(), name, display=f"{name.title()}同志", role=ROLES[name], hashed=hashed())

    _furnish(office, ("accounts", names), add_them)


def _furnish(office: Office, what: Hashable, build: Callable[[], Said]) -> Said:
    """Bring the office from where it is to where ``build`` brings it, once for all that are there."""
    ledger = office.house.ledger
    with ledger.reading() as session:
        begins_with = audit.verify(session).head
    ledger.close()  # it opens again by itself

    def built() -> Said:
        said = build()
        ledger.close()
        return said

    url = ledger.engine.url.render_as_string(hide_password=False)
    return furnish((what, begins_with), url, office.house.files, built)


@dataclass(frozen=True)
class Scene:
    """Numbers of what waits."""

    version: int  # of BH001's scheme, to be judged
    queried: int  # BH025's form with a query
    query: int
    extension: int
    contact: int
    letter: int
    doubt: int
    paper: int
    file: int

    def fill(self, path: str, office: Office) -> str:
        """Return a route's path with the numbers of things that are there."""
        number = {
            "/s": self.version, "/q": self.query, "/f": self.file, "/r": self.extension, "/p": self.paper,
            "/in": self.letter, "/m": self.doubt, "/o": office.obligation("report"),
        }.get("/" + path.split("/")[1], 1)  # fmt: skip
        return "/staff" + path.format(
            number=number, campaign=KEY, occasion=OCCASION, code="BH001", kind="version", place=1
        )


def open_scene(office: Office) -> Scene:
    """Let the month go on until there is one of everything."""
    scene = _furnish(office, "scene", lambda: _go_on(office))
    office.now = local(6, 4, 10)
    return scene


def _go_on(office: Office) -> Scene:
    house = office.house
    for office.now, step in ((local(5, 27, 15), StepKind.LAUNCH), (local(6, 2), StepKind.ESCALATE)):
        with house.ledger.writing() as session:
            plan_step(session, house, office.act(), KEY, step)
    office.now = local(6, 4)
    act = replace(office.act(), actor="staff:test")
    with house.ledger.writing() as session:
        # the first rung was told: of what leaves later the next one is due
        session.execute(
            update(MessageRow)
            .where(MessageRow.notice.in_(("launch", "escalation")))
            .values(state="sent", sent_as_of=local(6, 2))
        )
        _hand_in(session, office, act, "BH001", "活动方案.docx", docx())
        empty = empty_form(office.book.campaign.digest(), "progress", office.book)
        form = fill_form(empty.fill(unit_name="x", token=office.token("BH025")), random.Random(1), Manner.ABOUT)
        _hand_in(session, office, act, "BH025", "附件4.xlsx", form)
        party, other = office.party_id(), office.party_id("BH036")
        _ask(session, office, party, other)
        letter = _letter(session, office)
        doubt = session.scalars(
            select(MessageRow).where(MessageRow.notice == "launch", MessageRow.party_id == party)
        ).one()
        doubt.state, doubt.address, doubt.sent_as_of = "ambiguous", "duty@unit.example", local(5, 28)
        doubt.reason = "the connection broke after the final dot"
        session.execute(
            update(ContactRow)
            .where(ContactRow.party_id == other)
            .values(bad_since=local(5, 28), bad_reason="hard: 550 no such user")
        )
    with house.ledger.writing() as session:
        plan_step(session, house, office.act(), KEY, StepKind.ESCALATE)
        draft_orders(session, house, act, KEY)
    with house.ledger.reading() as session:
        versions = {v.state: v.id for v in session.scalars(select(SubmissionRow))}
        requests = {r.kind: r.id for r in session.scalars(select(RequestRow))}
        return Scene(
            version=versions["submitted"],
            queried=versions["queried"],
            query=session.scalars(select(FindingRow.id).where(FindingRow.severity == "query")).first() or 0,
            extension=requests["extension"],
            contact=requests["contact"],
            letter=letter,
            doubt=doubt.id,
            paper=session.scalars(select(PaperRow.id).order_by(PaperRow.id)).first() or 0,
            file=session.scalars(select(FileRow.id).where(FileRow.submission_id == versions["submitted"])).one(),
        )


def _hand_in(session: Session, office: Office, act: Act, code: str, name: str, content: bytes) -> None:
    files = (IncomingFile(name=name, content=content),)
    hand_in_on_behalf(
        session, office.house, act, KEY, code, files, channel="mail", received_at=office.now, grounds="来电商定"
    )


def _ask(session: Session, office: Office, party_id: int, other_id: int) -> None:
    """Let one unit ask for a later deadline, and another for another contact."""
    party, other = session.get_one(PartyRow, party_id), session.get_one(PartyRow, other_id)
    ask_extension(
        session, office.house, unit_act(party, office.act()), party, office.obligation("progress"),
        until=date(2020, 7, 3), reason="活动延后",
    )  # fmt: skip
    ask_contact_change(
        session, office.house, unit_act(other, office.act()), other,
        role="liaison", name="赵六", address="zhao@unit.example", phone="", reason="人员变动",
    )  # fmt: skip


def _letter(session: Session, office: Office) -> int:
    """Put a mail of a stranger with a file into the queue."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "someone@163.example", office.house.intake_address, "报送 <b>方案</b>"
    mail["Message-ID"] = "<stranger@163.example>"
    mail.set_content("您好，方案见附件。\n<script>alert(1)</script>")
    mail.add_attachment(docx(), maintype="application", subtype="octet-stream", filename="../../方案.docx")
    raw = mail.as_bytes()
    row = IntakeRow(
        mailbox="m", uid="1", raw_sha256=office.house.files.put(raw), size=len(raw), received_at=office.now,
        from_address="someone@163.example", subject="报送 <b>方案</b>", kind=IntakeKind.UNMATCHED,
        state=IntakeState.QUEUED, problems=[], **written(office.act()),
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row.id


class StaffClerk(Clerk):
    """Somebody of the staff with a browser."""

    async def log_in(self, name: str = "li", password: str = PASSWORD, way_on: str = "/staff/") -> str:
        await self.open(f"/staff/login?next={way_on}")
        return await self.send("/staff/login", {"name": name, "password": password, "next": way_on})

    def hidden(self, form: str) -> dict[str, str]:
        """Return what a form on the page brings by itself."""
        found = re.search(rf'<form [^>]*id="form-{form}">(.*?)</form>', self.page.text, re.DOTALL)
        assert found is not None, form
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', found[1]))

    async def submit(self, form: str, fields: dict[str, str] | None = None, **more: object) -> str:
        """Send a form of the page as it stands, with what is typed."""
        found = re.search(rf'<form method="post" action="([^"]+)"[^>]*id="form-{form}">', self.page.text)
        assert found is not None, form
        return await self.send(unescape(found[1]), self.hidden(form) | (fields or {}), **more)
