"""Requests and contacts: what units ask for, what staff decide, and forms that name the unit's first contact."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import icalendar
import openpyxl
import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import contacts_of, find_party, mark_contact_bad
from ledger.outbox import items_of
from ledger.tables import AuditRow, MessageRow, ObligationRow, RequestRow, SubmissionRow
from mail.parsing import parse_mail
from office.contact_changes import change_contact, read_named
from office.mailbook import bytes_of
from office.refusals import NotPossible
from office.requests import ask_contact_change, ask_extension, grant, open_requests, refuse
from office.review import return_to_unit
from rules.delivery import choose_contact
from rules.obligations import Standing
from rules.timetable import StepKind
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import Desk, act, local
from tests.office.test_review import last_mail

UNIT = "BH001"
LATER = date(2020, 6, 4)
NOWHERE = [("chief", "a@b.cn"), ("liaison", "王芳的邮箱"), ("liaison", "a@b.cn\nBcc: x@y.cn")]
NEW = "wangfang@bureau.example"


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """Return an office after its launch, on each kind of database in turn."""
    with launched(cast, tmp_path, ledger_url) as opened:
        opened.send(local(5, 27, 15))
        yield opened


def by(actor: str, day: int = 29, month: int = 5) -> Act:
    return replace(act(local(month, day)), actor=actor)


def plan_of(desk: Desk, code: str = UNIT) -> int:
    with desk.house.ledger.reading() as session:
        query = select(ObligationRow.id).where(ObligationRow.party_id == desk.party(code))
        return session.scalars(query.order_by(ObligationRow.id)).first() or 0


def ask(
    desk: Desk, until: date = date(2020, 6, 4), *, actor: str = f"unit:{UNIT}", reason: str = "负责同志出差"
) -> int:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        return ask_extension(session, desk.house, by(actor), party, plan_of(desk), until=until, reason=reason).id


def test_a_granted_extension_moves_the_date_withdraws_the_reminder_and_tells_the_unit(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29, 19))  # waits for the morning
    request = ask(desk)
    with desk.house.ledger.writing() as session:
        assert [r.id for r in open_requests(session)] == [request]
        grant(session, desk.house, by("staff:chen", 30), request, grounds="情况属实")
        assert open_requests(session) == []
        assert session.get_one(ObligationRow, plan_of(desk)).due_at == local(6, 5, 0)
        reminder = session.scalars(
            select(MessageRow).where(MessageRow.notice == "reminder", MessageRow.party_id == desk.party(UNIT))
        ).one()
        left = items_of(session, [reminder.id])[reminder.id]
        assert plan_of(desk) not in {item.obligation_id for item in left}
        assert reminder.state == "planned"  # 附件3 is still reminded of
    desk.send(local(5, 30))
    _, text = last_mail(desk, "granted")
    assert "申请延期至6月4日报送《活动计划表》" in text
    assert "新的截止时间：6月4日（星期四）24时前" in text
    desk.plan(StepKind.REMIND, local(6, 2))
    with desk.house.ledger.reading() as session:
        again = session.scalars(
            select(MessageRow).where(
                MessageRow.occasion == "remind:2020-06-02", MessageRow.party_id == desk.party(UNIT)
            )
        ).one()
        named = {(i.obligation_id, i.rung) for i in items_of(session, [again.id])[again.id]}
        assert (plan_of(desk), "before:2") in named
        assert not audit.verify(session).fault


def events(desk: Desk, notice: str) -> dict[str, tuple[int, datetime]]:
    """Return the entries of the calendar in the newest mail of a notice: by UID, sequence and end."""
    row, _ = last_mail(desk, notice)
    return entries(desk, row.id)


def entries(desk: Desk, message_id: int) -> dict[str, tuple[int, datetime]]:
    with desk.house.ledger.reading() as session:
        composed = bytes_of(session, desk.house, message_id)
    assert not isinstance(composed, str), composed
    mail = parse_mail(b"".join(composed.chunks))
    calendars = [a.content for a in mail.attachments if a.media_type == "text/calendar"]
    found = icalendar.Calendar.from_ical(calendars[0]).walk("VEVENT") if calendars else []
    return {str(event["uid"]): (event.decoded("sequence"), event.decoded("dtend")) for event in found}


def test_a_deadline_that_was_moved_moves_in_the_clerk_s_calendar(desk: Desk) -> None:
    with desk.house.ledger.reading() as session:
        launch = session.scalars(
            select(MessageRow.id).where(MessageRow.notice == "launch", MessageRow.party_id == desk.party(UNIT))
        ).one()
    [uid] = [uid for uid, entry in entries(desk, launch).items() if "-plan-" in uid and entry == (0, local(6, 1, 0))]
    request = ask(desk)
    with desk.house.ledger.writing() as session:
        grant(session, desk.house, by("staff:chen", 30), request, grounds="情况属实")
    desk.send(local(5, 30))
    assert events(desk, "granted") == {uid: (1, local(6, 5, 0))}
    assert "日历中原来的截止时间改为新的时间" in last_mail(desk, "granted")[1]
    desk.receive(local(6, 2), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    with desk.house.ledger.writing() as session:
        version = session.scalars(select(SubmissionRow.id).where(SubmissionRow.obligation_id == plan_of(desk))).one()
        return_to_unit(
            session, desk.house, by("staff:chen", 3, 6), version, reasons=["缺活动地点"], due=date(2020, 6, 9)
        )
    desk.send(local(6, 3))
    assert events(desk, "returned") == {uid: (2, local(6, 10, 0))}


def test_a_return_that_leaves_the_date_brings_no_calendar(desk: Desk) -> None:
    desk.receive(local(5, 29), UNIT, "表.xlsx", b"PK no workbook")
    desk.send(local(5, 29))
    assert events(desk, "returned") == {}


def test_staff_hear_of_what_waits_for_them_once_a_day(desk: Desk) -> None:
    ask(desk)
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        ask_contact_change(
            session, desk.house, by(f"unit:{UNIT}"), party, role="liaison", name="王芳", address=NEW, phone="",
            reason="人员调整",
        )  # fmt: skip
    desk.send(local(5, 29))
    _, text = last_mail(desk, "digest")
    assert "有下列2件事项等待办理" in text
    assert "活动计划表：5月31日（星期日）24时前 → 2020-06-04" in text
    with desk.house.ledger.reading() as session:
        told = session.scalars(select(MessageRow.address).where(MessageRow.notice == "digest")).all()
        assert told == ["review@office.example", "approve@office.example"]


def test_staff_grant_another_day_than_the_one_asked_for(desk: Desk) -> None:
    request = ask(desk)
    with desk.house.ledger.writing() as session:
        grant(session, desk.house, by("staff:chen", 30), request, grounds="两天足够", until=date(2020, 6, 2))
        assert session.get_one(ObligationRow, plan_of(desk)).due_at == local(6, 3, 0)


def test_a_refusal_gives_its_reason_and_changes_no_date(desk: Desk) -> None:
    request = ask(desk)
    with desk.house.ledger.writing() as session:
        refuse(session, desk.house, by("staff:chen", 30), request, grounds="市里催得急")
        assert session.get_one(ObligationRow, plan_of(desk)).due_at == local(6, 1, 0)
    desk.send(local(5, 30))
    assert "原因：市里催得急" in last_mail(desk, "refused")[1]
    with pytest.raises(NotPossible, match="decided before"), desk.house.ledger.writing() as session:
        grant(session, desk.house, by("staff:chen", 30), request, grounds="改主意了")


@pytest.mark.parametrize(
    ("until", "actor", "reason", "code"),
    [
        (date(2020, 5, 31), "unit:BH001", "忙", "not_later"),
        (date(2020, 7, 11), "unit:BH001", "忙", "bad_due"),
        (date(2020, 6, 4), "unit:BH036", "忙", "foreign"),
        (date(2020, 6, 4), "unit:BH001", " ", "no_reason"),
    ],
)
def test_a_request_that_cannot_be_is_refused_in_words_for_the_unit(
    desk: Desk, until: date, actor: str, reason: str, code: str
) -> None:
    with pytest.raises(NotPossible) as refused:
        ask(desk, until, actor=actor, reason=reason)
    assert refused.value.code == code
    assert "{" not in refused.value.for_unit
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(RequestRow)).all() == []


def test_one_extension_is_asked_for_at_a_time_and_none_of_what_was_handed_in(desk: Desk) -> None:
    ask(desk)
    with pytest.raises(NotPossible, match="waits already"):
        ask(desk)
    desk.receive(local(5, 29), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    with pytest.raises(NotPossible, match="not owed"):
        ask(desk, date(2020, 6, 5))


def test_a_granted_change_of_contact_puts_it_first_and_both_are_told(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        request = ask_contact_change(
            session, desk.house, by(f"unit:{UNIT}"), party, role="liaison", name="王芳", address=NEW.upper(),
            phone="022-22222222", reason="人员调整",
        )  # fmt: skip
        grant(session, desk.house, by("staff:chen", 30), request.id, grounds="电话核实")
    desk.send(local(5, 30))
    with desk.house.ledger.reading() as session:
        told = session.scalars(select(MessageRow).where(MessageRow.notice == "contact_changed")).all()
        assert {m.address for m in told} == {NEW, "duty@bureau.example"}
        first = choose_contact(contacts_of(session, desk.party(UNIT)), "reminder")
        assert first is not None
        assert (first.address, first.name, first.phone) == (NEW, "王芳", "022-22222222")
        assert len(contacts_of(session, desk.party(UNIT))) == 3  # the old ones stay behind
    with pytest.raises(NotPossible, match="already"), desk.house.ledger.writing() as session:
        ask_contact_change(
            session, desk.house, by(f"unit:{UNIT}"), find_party(session, 1, UNIT), role="liaison", name="王芳",
            address=NEW, phone="", reason="再说一遍",
        )  # fmt: skip


def test_a_change_that_was_made_meanwhile_is_granted_and_the_unit_is_told(desk: Desk) -> None:
    named = read_named("liaison", "王芳", NEW, "022-22222222")
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        request = ask_contact_change(
            session, desk.house, by(f"unit:{UNIT}"), party, role="liaison", name="王芳", address=NEW,
            phone="022-22222222", reason="人员调整",
        )  # fmt: skip
        change_contact(session, desk.house, by("staff:chen"), party, named, "来电")
        assert grant(session, desk.house, by("staff:chen", 30), request.id, grounds="已办").kind == "contact_kept"
    desk.send(local(5, 30))
    row, text = last_mail(desk, "granted")
    assert row.address == NEW
    assert "王芳" in text
    assert "办公室已同意" in text
    assert "现有登记与申请一致" in text
    assert "截止时间：\n" not in text


@pytest.mark.parametrize(("role", "address"), NOWHERE)
def test_a_contact_that_cannot_be_written_to_is_not_asked_for(desk: Desk, role: str, address: str) -> None:
    with pytest.raises(NotPossible), desk.house.ledger.writing() as session:
        ask_contact_change(
            session, desk.house, by(f"unit:{UNIT}"), find_party(session, 1, UNIT), role=role, name="王芳",
            address=address, phone="", reason="换人",
        )  # fmt: skip


def liaison_form(desk: Desk, address: str, name: str = "王芳") -> bytes:
    """Return 附件3 with a liaison of our choice."""
    book = openpyxl.load_workbook(io.BytesIO(desk.form_of(UNIT, "liaison")))
    sheet = book.worksheets[0]
    head = next(row for row in sheet.iter_rows(max_row=10) if "姓名" in [c.value for c in row])
    place = {cell.value: index for index, cell in enumerate(head)}
    row = next(r for r in sheet.iter_rows(min_row=head[0].row) if "联络员" in [c.value for c in r])
    row[place["姓名"]].value = name
    row[place["电子邮箱"]].value = address
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def test_the_liaison_named_in_an_accepted_form_is_written_to_from_then_on(desk: Desk) -> None:
    desk.receive(local(5, 28), UNIT, "附件3.xlsx", liaison_form(desk, NEW))
    desk.send(local(5, 28))
    with desk.house.ledger.reading() as session:
        told = session.scalars(select(MessageRow).where(MessageRow.notice == "contact_changed")).all()
        assert {m.address for m in told} == {NEW, "duty@bureau.example"}
    desk.plan(StepKind.REMIND, local(5, 29))
    desk.send(local(5, 29))
    assert last_mail(desk, "contact_changed")[0].party_id == desk.party(UNIT)
    with desk.house.ledger.reading() as session:
        reminder = session.scalars(
            select(MessageRow).where(MessageRow.notice == "reminder", MessageRow.party_id == desk.party(UNIT))
        ).one()
        assert reminder.address == NEW
        assert "decision.contact_changed" in session.scalars(select(AuditRow.verb)).all()


def test_a_corrected_form_names_another_and_the_same_one_again_changes_nothing(desk: Desk) -> None:
    desk.receive(local(5, 28), UNIT, "附件3.xlsx", liaison_form(desk, NEW))
    desk.receive(local(5, 28, 11), UNIT, "附件3.xlsx", liaison_form(desk, "zhao@bureau.example", "赵强"))
    desk.receive(local(5, 28, 12), UNIT, "附件3.xlsx", liaison_form(desk, "zhao@bureau.example", "赵强") + b" ")
    with desk.house.ledger.reading() as session:
        liaisons = [c.address for c in contacts_of(session, desk.party(UNIT)) if c.role == "liaison"]
        assert liaisons[0] == "zhao@bureau.example"
        assert set(liaisons) == {"zhao@bureau.example", NEW}
        changes = session.scalars(select(AuditRow).where(AuditRow.verb == "decision.contact_changed")).all()
        assert len(changes) == 2


@pytest.mark.parametrize("address", ["王芳@单位", "wang fang@bureau.example", "没有"])
def test_a_form_with_a_bad_address_is_returned_and_changes_nothing(desk: Desk, address: str) -> None:
    desk.receive(local(5, 28), UNIT, "附件3.xlsx", liaison_form(desk, address))
    assert desk.standings(UNIT)["liaison"] is Standing.RETURNED
    with desk.house.ledger.reading() as session:
        assert len(contacts_of(session, desk.party(UNIT))) == 2


def test_a_mailbox_known_not_to_exist_stays_passed_over_until_staff_say_that_it_works(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        lead = next(c for c in contacts_of(session, party.id) if c.role == "responsible")
        mark_contact_bad(session, act(local(5, 28)), lead, "hard: 5.1.1")
        named = read_named("liaison", "王芳", lead.address)
        change_contact(session, desk.house, by("rule:intake"), party, named, "附件3")
        first = choose_contact(contacts_of(session, party.id), "reminder")
        assert first is not None
        assert first.role == "duty"
        change_contact(session, desk.house, by("staff:chen"), party, named, "电话核实", works=True)
        first = choose_contact(contacts_of(session, party.id), "reminder")
        assert first is not None
        assert first.role == "liaison"


@pytest.mark.parametrize(
    "phone", ["", "022-12345678", "+86 138 0013 8000", "022-12345678转8001", "０２２－１２３４５", "12345"]
)
def test_a_telephone_is_taken_as_people_write_it(phone: str) -> None:
    assert read_named("liaison", "王芳", NEW, phone).phone == phone


@pytest.mark.parametrize("phone", ["abc", "转8001", "无", "1234"])
def test_what_cannot_be_dialled_is_no_telephone(phone: str) -> None:
    with pytest.raises(NotPossible) as refused:
        read_named("liaison", "王芳", NEW, phone)
    assert refused.value.code == "bad_phone"
    assert phone in refused.value.for_unit
