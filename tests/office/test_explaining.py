"""One obligation explained: to a unit with nothing, returned, extended, exempt, without an address; and as it was."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from definition.loading import LoadedCampaign
from ledger.campaigns import contacts_of, find_party, mark_contact_bad
from ledger.tables import CampaignRow, ObligationRow, SubmissionRow
from office.calls import log_call
from office.explaining import explain
from office.requests import grant
from office.review import return_to_unit
from rules.timetable import StepKind
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import Desk, act, local
from tests.office.test_papers import plain_ladder
from tests.office.test_requests import ask, by, plan_of

UNIT = "BH001"


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    """Return an office after its launch, live."""
    with launched(plain_ladder(cast), tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        with opened.house.ledger.writing() as session:
            session.execute(update(CampaignRow).values(live=True))
        opened.send(local(5, 27, 15))
        yield opened


def told(desk: Desk, at: datetime, code: str = UNIT, what: str = "附件2", **how: object) -> str:
    with desk.house.ledger.reading() as session:
        parts = explain(session, desk.house, at, code, what, **how)  # type: ignore[arg-type]
    return "\n".join(line for part in parts for line in (part.heading, *part.lines))


def test_a_unit_with_nothing_reads_why_it_is_late_what_was_sent_and_what_comes(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29))
    desk.send(local(5, 29))
    text = told(desk, local(6, 2, 8))
    for said in (
        "未报，已逾期2天",
        "通知要求5月31日（星期日）24时前报送，下发时（5月27日 15:00）已固定。",
        "自6月1日 00:00（北京时间）起收到的算迟报。",
        "还没有收到任何报送件。",
        "5月27日 15:00　下发通知",
        "已发出，收件地址duty@bureau.example",
        "5月29日 09:00　截止日提醒",  # Friday stands for Friday and for the Sunday
        "6月1日 09:00　逾期第1个工作日提醒：时间已到还没有写，下一次提醒节点运行时补上",
        "6月2日 09:00　第1级催办，致负责人 lead@bureau.example",
        "6月4日 09:00　第2级催办，致区安委会办公室　办公室负责人 lead@office.example",
        "7月10日 17:00活动结束，此后不再催办。",
    ):
        assert said in text, (said, text)


def test_after_the_day_of_the_close_nothing_is_said_to_come_though_nobody_closed_it(desk: Desk) -> None:
    text = told(desk, local(7, 11))
    assert "活动已于7月10日 17:00到期，不再催办；补报仍可接收。" in text
    assert "若一直不报" not in text


def test_a_returned_version_reads_when_it_is_owed_again_and_that_lateness_stays(desk: Desk) -> None:
    desk.receive(local(5, 30), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    with desk.house.ledger.writing() as session:
        version = session.scalars(select(SubmissionRow.id)).one()
        return_to_unit(session, desk.house, by("staff:chen", 2, 6), version, reasons=["缺责任人"], due=date(2020, 6, 4))
    text = told(desk, local(6, 2, 10))
    for said in (
        "退回待补正",
        "第1次：5月30日 09:00收到（邮件），表.xlsx，退回待补正",
        "办公室（chen）退回，截止时间改为6月4日（星期四）24时前",
        "缺责任人",
        "退回不改变是否按时：仍以退回前的5月31日（星期日）24时前为准。",
        "6月4日 09:00　截止日提醒",
    ):
        assert said in text, (said, text)
    before = told(desk, local(6, 1), replay=True)  # as it was known on Monday
    assert "：已报，按时" in before
    assert "退回" not in before


def test_an_extended_unit_reads_who_moved_the_date_and_what_fell_with_it(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29, 19))  # after the sending window
    request = ask(desk)
    waiting = told(desk, local(5, 29, 20))
    assert f"等待答复（muster grant {request} 或 refuse）" in waiting
    assert "截止日提醒" in waiting
    assert "待发：不在发送时段" in waiting
    with desk.house.ledger.writing() as session:
        grant(session, desk.house, by("staff:chen", 30), request, grounds="情况属实")
        party = find_party(session, 1, UNIT)
        log_call(session, by("staff:chen", 30), party, "王芳称下周四报送")
    text = told(desk, local(5, 30, 10))
    for said in (
        "通知要求5月31日（星期日）24时前报送",
        "办公室（chen）延期，截止时间改为6月4日（星期四）24时前，理由：情况属实",
        "截止日提醒（按当时的截止时间5月31日（星期日）24时前）",
        "发出前已去掉此项",
        f"申请{request}：申请延期至2020-06-04，理由：负责同志出差；已由决定1答复",
        "电话，办公室（chen）：王芳称下周四报送",
        "6月2日 09:00　截止前2天提醒",
    ):
        assert said in text, (said, text)


def test_an_exempt_unit_reads_that_nothing_comes(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        session.execute(update(ObligationRow).where(ObligationRow.id == plan_of(desk)).values(exempt_at=local(5, 28)))
    text = told(desk, local(6, 2, 10))
    assert "已免报：不催办，不计入报送率的分母。" in text
    assert "没有写，免报" in text
    assert "免报，不再催办。" in text


def test_a_unit_without_an_address_reads_that_it_must_be_telephoned(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        for contact in contacts_of(session, desk.party("BH036")):
            mark_contact_bad(session, act(local(5, 27)), contact, "refused: 550")
    desk.plan(StepKind.REMIND, local(5, 29))
    assert "待发：没有可用的联系地址" in told(desk, local(5, 29, 9), "BH036")
    desk.send(local(5, 29))
    text = told(desk, local(5, 29, 10), "BH036")
    assert "没有送到：对方拒收或没有可用地址（没有可用的联系地址）" in text
    assert "没有可用的联系地址，需电话联系（muster calls safety-month-2020）" in text


def test_what_was_not_owed_yet_cannot_be_explained(desk: Desk) -> None:
    with pytest.raises(ValueError, match="did not owe 附件2 yet"):
        told(desk, local(5, 27, 10), replay=True)
    with pytest.raises(ValueError, match="no deliverable '附件9'"):
        told(desk, local(6, 1), what="附件9")


def test_a_mail_of_the_unit_that_could_not_be_taken_in_is_named(desk: Desk) -> None:
    desk.receive(local(5, 30), UNIT, "活动计划表.xlsx", b"PK damaged")
    text = told(desk, local(6, 2, 8))
    assert "5月30日 09:00收到来件in-1，未能登记为任何材料（附件无法登记），等待办公室处理" in text
    assert "还没有收到任何报送件" not in text
