"""What the office does, over a real ledger and Maildir, without Prefect and without a relay."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign, load_campaign
from definition.roster import ContactRole, RosterContact, Unit
from ledger.acts import Act
from ledger.campaigns import find_party
from ledger.engine import Ledger
from ledger.facts import load_obligations
from ledger.files import FileStore
from ledger.senders import renew_lease, sign_on
from ledger.tables import Base, ContactRow, FileRow, IntakeRow, MessageRow, SubmissionRow
from mail.maildir import deliver
from mail.smtp import Outcome
from mail.tokens import sign
from office.consolidation import consolidate_campaign
from office.destination import IncomingFile
from office.handin import TakenIn, hand_in_on_behalf, take_in
from office.intake import Collected, drain_intake, fetch_mail
from office.launching import join_unit, launch_campaign
from office.outbox import Delivered, claim_shard, commit_group, repair
from office.planning import plan_step
from office.premises import Premises
from office.queue import waiting_for_a_person
from office.rulebook import Rulebook
from office.stops import HOME
from office.timetable import outlook, plan_of_month
from rehearsal.clerk import Manner, fill_form
from rehearsal.envelopes import Outgoing, build
from rules.obligations import Standing, is_owed, standing
from rules.replies import Blame
from rules.timetable import StepKind
from tests.images import furnish

KEY = "safety-month-2020"
SECRET = b"a secret for the tests only"


def local(month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    return (
        datetime(2020, month, day, hour - 8, minute, tzinfo=UTC)
        if hour >= 8
        else datetime(2020, month, day, hour + 16, minute, tzinfo=UTC) - timedelta(days=1)
    )


LAUNCH = local(5, 27, 15)


def act(at: datetime) -> Act:
    return Act(actor="rule:test", as_of=at, wall=datetime.now(UTC))


@dataclass
class Desk:
    """The office with three units, launched on 05-27: the first of the roster, in three categories."""

    house: Premises
    book: Rulebook
    forms: dict[str, bytes]

    def send(self, at: datetime, *, answer: str = "sent") -> Delivered:
        """Drain the outbox as a relay would that gives every message the same answer."""
        refused = answer == "refused"
        with self.house.ledger.writing() as session:
            shard = claim_shard(session, self.house, act(at), KEY, sender="test", limit=1000)
            outcome = Outcome(
                state=answer,  # type: ignore[arg-type]
                code=550 if refused else 250,
                blame=Blame.ADDRESS if refused else Blame.NOBODY,
            )
            results = [(envelope, outcome) for envelope in shard.envelopes]
            commit_group(session, self.house, act(at), shard, at_data=[], results=results)
        return Delivered(outcomes=Counter(o.state for _, o in results), unsent=shard.unsent, ended=shard.ended)

    def plan(self, kind: StepKind, at: datetime) -> dict[str, int]:
        with self.house.ledger.writing() as session:
            return dict(plan_step(session, self.house, act(at), KEY, kind).planned)

    def party(self, code: str) -> int:
        with self.house.ledger.reading() as session:
            return find_party(session, 1, code).id

    def receive(self, at: datetime, code: str, file_name: str, content: bytes, **changes: object) -> Collected:
        """Let a mail of a unit come in, and collect."""
        deliver(self.house.maildir, self.mail_of(at, code, file_name, content, **changes), at)
        return self.collect(at)

    def mail_of(self, at: datetime, code: str, file_name: str, content: bytes, **changes: object) -> bytes:
        """Return a mail with which a unit hands in."""
        mail = Outgoing(
            sender=f"duty.{code.lower()}@unit.example",
            to=f"muster+{sign('p', self.party(code), SECRET)}@office.example",
            subject="回复：通知",
            text="请查收",
            message_id=f"<{at.timestamp()}@unit.example>",
            date=at,
            file_name=file_name,
            content=content,
        )
        return build(replace(mail, **changes))  # type: ignore[arg-type]

    def collect(self, at: datetime) -> Collected:
        fetch_mail(self.house, act(at))
        return drain_intake(self.house, act(at), KEY)

    def standings(self, code: str) -> dict[str, Standing]:
        with self.house.ledger.reading() as session:
            return {o.deliverable: standing(o) for o in load_obligations(session, 1, party_ids=[self.party(code)])}

    def form_of(self, code: str, name: str, manner: Manner = Manner.RIGHT, seed: int = 1) -> bytes:
        from office.enclosures import empty_form  # noqa: PLC0415

        token = sign("p", self.party(code), SECRET)
        empty = empty_form(self.book.campaign.digest(), name, self.book).fill(unit_name=code, token=token)
        return fill_form(empty, random.Random(seed), manner)


@pytest.fixture
def loaded(house: Path) -> LoadedCampaign:
    whole = load_campaign(
        house / "campaigns" / KEY, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email"
    )
    units = [u for u in whole.units if u.code in ("BH025", "BH001", "BH036")]
    return replace(whole, units=tuple(units))


def premises_of(ledger: Ledger, folder: Path, **more: Any) -> Premises:
    """Return premises over a ledger, with all else in a folder."""
    house = Path(__file__).parents[2]
    plain = Premises(
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
    )
    return replace(plain, **more)


@contextmanager
def launched(loaded: LoadedCampaign, folder: Path, url: str, *, is_sent: bool = False, **more: Any) -> Iterator[Desk]:
    """Open an office that has planned its launch; what it planned is sent, or nothing yet."""
    ledger = Ledger(url)
    desk = Desk(house=premises_of(ledger, folder, **more), book=Rulebook(loaded.campaign), forms={})

    def launch() -> None:
        Base.metadata.create_all(ledger.engine)  # as the migrations do, in a third of the time
        with ledger.writing() as session:
            launch_campaign(session, desk.house, act(LAUNCH), loaded)
            sign_on(session, act(LAUNCH), "test", host="here", pid=1)
        desk.plan(StepKind.LAUNCH, LAUNCH)
        if is_sent:
            desk.send(LAUNCH)
        ledger.close()

    furnish(("launched", repr(loaded), repr(more), is_sent), url, desk.house.files, launch)
    with ledger.writing() as session:
        renew_lease(session, "test", datetime.now(UTC))
    yield desk
    ledger.close()


@pytest.fixture
def desk(loaded: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    with launched(loaded, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", is_sent=True) as opened:
        yield opened


def test_a_form_sent_back_is_accepted_answered_and_not_chased(desk: Desk) -> None:
    done = desk.receive(local(5, 28), "BH001", "表.xlsx", desk.form_of("BH001", "plan"))
    assert (dict(done.mails), dict(done.answers)) == ({"hand_in": 1}, {"receipt": 1})
    assert desk.standings("BH001")["plan"] is Standing.ACCEPTED
    desk.plan(StepKind.REMIND, local(5, 29))
    with desk.house.ledger.reading() as session:
        message = session.scalars(
            select(MessageRow).where(MessageRow.notice == "reminder", MessageRow.party_id == desk.party("BH001"))
        ).one()
        from ledger.outbox import items_of  # noqa: PLC0415

        assert len(items_of(session, [message.id])[message.id]) == 1  # 附件3 only


def test_a_unit_that_reports_while_the_reminder_waits_is_not_reminded(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29))
    for form in ("plan", "liaison"):
        desk.receive(local(5, 29, 10), "BH001", "表.xlsx", desk.form_of("BH001", form))
    delivered = desk.send(local(5, 29, 11))
    assert delivered.unsent_by_reason() == {"nothing_left": 1}


def test_a_returned_form_is_chased_and_a_correction_is_on_time_by_its_first_version(desk: Desk) -> None:
    done = desk.receive(local(5, 31, 20), "BH001", "表.xlsx", desk.form_of("BH001", "plan", Manner.WRONG))
    assert dict(done.answers) == {"returned": 1}
    assert desk.standings("BH001")["plan"] is Standing.RETURNED
    assert desk.plan(StepKind.REMIND, local(6, 1))["reminder"] == 3
    desk.receive(local(6, 2), "BH001", "表.xlsx", desk.form_of("BH001", "plan", seed=2))
    assert desk.standings("BH001")["plan"] is Standing.ACCEPTED


def test_a_faulty_version_after_acceptance_starts_no_chase(desk: Desk) -> None:
    desk.receive(local(5, 28), "BH001", "表.xlsx", desk.form_of("BH001", "plan"))
    desk.receive(local(5, 28, 10), "BH001", "表.xlsx", desk.form_of("BH001", "plan", Manner.WRONG))
    assert desk.standings("BH001")["plan"] is Standing.ACCEPTED


def test_the_same_file_again_gets_no_second_receipt(desk: Desk) -> None:
    form = desk.form_of("BH001", "plan")
    desk.receive(local(5, 28), "BH001", "表.xlsx", form)
    done = desk.receive(local(5, 28, 10), "BH001", "表.xlsx", form)
    assert (dict(done.mails), dict(done.answers)) == ({"duplicate": 1}, {})


def test_another_unit_s_form_is_named_and_waits_for_a_person(desk: Desk) -> None:
    desk.receive(local(5, 28), "BH001", "表.xlsx", desk.form_of("BH036", "plan"))
    assert desk.standings("BH001")["plan"] is Standing.MISSING
    with desk.house.ledger.reading() as session:
        row = session.scalars(select(IntakeRow)).one()
        assert row.problems == ["表.xlsx：这份表格是发给其他单位的，请使用本单位收到的空表填报。"]
        assert len(waiting_for_a_person(session, HOME)) == 1


@pytest.mark.parametrize("name", ["活动方案.docx", "某单位活动综合情况（定稿）.pdf"])
def test_a_document_is_known_by_the_title_in_its_name(desk: Desk, name: str) -> None:
    desk.receive(local(6, 1), "BH001", name, b"%PDF-1.7 text")
    key = "scheme" if "方案" in name else "report"
    assert desk.standings("BH001")[key] is Standing.ACCEPTED


def test_a_document_without_title_is_asked_about(desk: Desk) -> None:
    done = desk.receive(local(6, 1), "BH001", "扫描件.pdf", b"%PDF-1.7 text")
    assert dict(done.answers) == {"returned": 1}


@pytest.mark.parametrize(
    ("changes", "matched"),
    [
        ({}, "address"),
        ({"to": "muster@office.example"}, "workbook"),
        ({"to": "muster+p3f-aaaaaaaaaa@office.example", "content": b"%PDF-1", "file_name": "活动方案.pdf"}, "sender"),
    ],
)
def test_a_mail_finds_its_unit(desk: Desk, changes: dict[str, object], matched: str) -> None:
    desk.receive(local(5, 28), "BH001", **{"file_name": "表.xlsx", "content": desk.form_of("BH001", "plan"), **changes})  # type: ignore[arg-type]
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(IntakeRow.matched_by)).one() == matched


def test_foreign_mail_is_queued_with_its_files_and_not_answered(desk: Desk) -> None:
    done = desk.receive(
        local(5, 28), "BH001", "广告.pdf", b"%PDF-1", sender="x@spam.example", to="muster@office.example"
    )
    assert (dict(done.mails), dict(done.answers)) == ({}, {})
    with desk.house.ledger.reading() as session:
        assert [row[4] for row in waiting_for_a_person(session, HOME)] == ["无法对应单位"]
        assert session.scalars(select(FileRow.name)).all() == ["广告.pdf"]


def test_a_mail_that_breaks_our_code_waits_for_a_person_and_stops_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = take_in

    def breaks(*arguments: object) -> TakenIn:
        if getattr(arguments[3], "subject", "") == "poison":
            raise RuntimeError("boom")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("office.intake.take_in", breaks)
    deliver(desk.house.maildir, b"", local(5, 28))
    desk.receive(local(5, 28), "BH036", "表.xlsx", b"x", subject="poison")
    done = desk.receive(local(5, 28, 10), "BH001", "表.xlsx", desk.form_of("BH001", "plan"))
    assert dict(done.mails) == {"hand_in": 1}
    with desk.house.ledger.reading() as session:
        reasons = session.scalars(select(IntakeRow.reason)).all()
        assert "系统未能读取这封邮件，请人工查看" in [row[7] for row in waiting_for_a_person(session, HOME)]
    assert "could not be read: RuntimeError: boom" in reasons


def test_a_refused_address_is_passed_over_and_the_next_contact_written_to(desk: Desk) -> None:
    at = local(5, 29)
    desk.plan(StepKind.REMIND, at)
    desk.send(at, answer="refused")
    with desk.house.ledger.writing() as session:
        assert repair(session, desk.house, act(at), KEY) == 3
    with desk.house.ledger.writing() as session:
        assert repair(session, desk.house, act(at), KEY) == 0
    assert dict(desk.send(at).outcomes) == {"sent": 4}  # and one alert to the operators
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(MessageRow.address).where(MessageRow.notice == "alert")).all() == [
            "ops@office.example"
        ]
        again = session.scalars(select(MessageRow).where(MessageRow.generation == 1)).all()
        assert all(m.address is not None and m.address.startswith("lead.") for m in again)
        assert len(session.scalars(select(ContactRow).where(ContactRow.bad_since.is_not(None))).all()) == 3


def test_chasing_waits_outside_the_window_and_beyond_the_daily_cap(desk: Desk) -> None:
    night = local(5, 29, 19)
    desk.plan(StepKind.REMIND, night)
    assert desk.send(night).unsent_by_reason() == {"outside_window": 3}
    morning = local(5, 30)
    assert dict(desk.send(morning).outcomes) == {"sent": 3}


def test_a_reminder_whose_deadline_is_past_is_not_sent(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29, 19))
    assert desk.send(local(6, 1)).unsent_by_reason() == {"expired": 3}


def test_a_unit_that_joins_owes_the_past_by_the_joiner_s_date_and_hears_of_the_launch_once(desk: Desk) -> None:
    contact = RosterContact(role=ContactRole.DUTY, name="", address="new@unit.example", phone="")
    unit = Unit(code="NEW", name="新单位", category="街镇", superior="BH025", contacts=(contact,))
    with desk.house.ledger.writing() as session:
        join_unit(session, act(local(6, 8)), KEY, unit, "新设单位")
    assert desk.plan(StepKind.LAUNCH, local(6, 8)) == {"launch": 1}
    assert desk.plan(StepKind.LAUNCH, local(6, 8)) == {}
    with desk.house.ledger.reading() as session:
        dues = {o.deliverable: o.due for o in load_obligations(session, 1, party_ids=[desk.party("NEW")])}
    joiner, end = local(6, 12, 0), local(7, 1, 0)  # three working days: until the end of Thursday 06-11
    assert dues == {"plan": joiner, "liaison": joiner, "scheme": joiner, "report": end, "progress": end}


def test_a_late_or_repeated_consolidation_mails_one_summary_a_step(desk: Desk) -> None:
    def run(at: datetime) -> dict[str, int]:
        with desk.house.ledger.writing() as session:
            return dict(consolidate_campaign(session, desk.house, act(at), KEY).planned)

    assert run(local(6, 1)) == {}  # no consolidation is due yet; the reports are written all the same
    assert run(local(6, 9)) == {"summary": 1}  # 06-08's, a day late
    assert run(local(6, 10)) == {}
    assert run(local(7, 10, 17)) == {"summary": 1, "closing": 3}
    assert run(local(7, 20)) == {}


def test_a_past_moment_is_replayed_with_the_facts_known_then(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29))
    desk.send(local(5, 29))
    for form in ("plan", "liaison"):
        desk.receive(local(5, 30), "BH001", "表.xlsx", desk.form_of("BH001", form))
    then = outlook(desk.house, KEY, local(5, 29), replay=True)
    assert sum(kind is StepKind.REMIND for kind, *_ in then.mails) == 3
    now = outlook(desk.house, KEY, local(6, 1), replay=False)
    assert sum(kind is StepKind.REMIND for kind, *_ in now.mails) == 2
    assert now.skips[StepKind.REMIND]["reported"] == 2
    _, steps = plan_of_month(desk.house, KEY)
    mailed = {s.step.subject: s.mailed for s in steps if s.step.kind is StepKind.REMIND}
    assert mailed["活动计划表、负责人及联络员推荐表 · 距截止 2 天"] == 3


def test_after_the_close_nothing_is_chased_and_hand_ins_are_still_taken(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        consolidate_campaign(session, desk.house, act(local(7, 10, 17)), KEY)
    assert desk.plan(StepKind.ESCALATE, local(7, 13)) == {}
    desk.receive(local(7, 13), "BH001", "表.xlsx", desk.form_of("BH001", "plan"))
    assert desk.standings("BH001")["plan"] is Standing.ACCEPTED


@pytest.mark.parametrize(("grounds", "days"), [("", 0), ("  ", 0), ("来电", 400)])
def test_a_hand_in_on_behalf_needs_grounds_and_a_time_that_has_come(desk: Desk, grounds: str, days: int) -> None:
    when = datetime.now(UTC) + timedelta(days=days)
    file = IncomingFile(name="活动方案.pdf", content=b"%PDF-1")
    with pytest.raises(ValueError, match=r"grounds|future"), desk.house.ledger.writing() as session:
        hand_in_on_behalf(
            session, desk.house, act(local(6, 1)), KEY, "BH001", (file,), channel="phone", received_at=when,
            grounds=grounds,
        )  # fmt: skip


def test_staff_hand_in_at_the_true_time(desk: Desk) -> None:
    file = IncomingFile(name="活动方案.pdf", content=b"%PDF-1")
    with desk.house.ledger.writing() as session:
        hand_in_on_behalf(
            session, desk.house, act(local(6, 9)), KEY, "BH001", (file,), channel="paper",
            received_at=local(6, 5, 17), grounds="专人送达",
        )  # fmt: skip
    with desk.house.ledger.reading() as session:
        row = session.scalars(select(SubmissionRow)).one()
        assert (row.received_at, row.channel, row.grounds) == (local(6, 5, 17), "paper", "专人送达")
        assert not [
            o
            for o in load_obligations(session, 1, party_ids=[desk.party("BH001")])
            if o.deliverable == "scheme" and is_owed(o)
        ]


def test_what_staff_hand_in_twice_is_known_the_second_time(desk: Desk) -> None:
    file = IncomingFile(name="活动方案.pdf", content=b"%PDF-1")
    for hour in (9, 10):
        with desk.house.ledger.writing() as session:
            hand_in_on_behalf(
                session, desk.house, act(local(6, 9, hour)), KEY, "BH001", (file,), channel="phone",
                received_at=local(6, 5), grounds="来电",
            )  # fmt: skip
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(IntakeRow.kind).order_by(IntakeRow.id)).all() == ["hand_in", "duplicate"]
        assert len(session.scalars(select(SubmissionRow)).all()) == 1


def test_an_address_that_is_none_is_passed_over_from_the_start(
    loaded: LoadedCampaign, house: Path, tmp_path: Path, desk: Desk
) -> None:
    bad = RosterContact(role=ContactRole.DUTY, name="", address="duty at unit", phone="022-1")
    good = RosterContact(role=ContactRole.RESPONSIBLE, name="", address="lead@unit.example", phone="")
    unit = Unit(code="ODD", name="某单位", category="街镇", superior="OFFICE", contacts=(bad, good))
    with desk.house.ledger.writing() as session:
        join_unit(session, act(local(5, 28)), KEY, unit, "补录")
    desk.plan(StepKind.LAUNCH, local(5, 28))
    assert dict(desk.send(local(5, 28)).outcomes) == {"sent": 1}
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(MessageRow.address).where(MessageRow.party_id == desk.party("ODD"))).all() == [
            "lead@unit.example"
        ]
