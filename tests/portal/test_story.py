"""A clerk's way through the pages: from the mail's link to the receipt."""

import random
import re
from datetime import date

from sqlalchemy import func, select

from ledger.acts import Act
from ledger.tables import DraftRow, FigureRow, FileRow, MessageRow, RequestRow, SubmissionRow
from office import wording
from office.board import board, cell_text
from office.decided import told_of
from office.enclosures import empty_form
from office.review import return_to_unit
from rehearsal.clerk import Manner, fill_form
from tests.portal.conftest import KEY, Clerk, Office, local

WRONG = "若干"


def right_answers(office: Office) -> dict[str, str]:
    form = office.book.campaign.forms["forms/annex4.yaml"]
    return {f"{row.key}.quantity": "3" for row in form.rows} | {"flagship.quantity": "安全生产大家谈"}


async def test_from_the_link_by_a_wrong_cell_to_the_receipt(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("progress")
    page = await clerk.open(desk)
    assert "滨海新区" in page or office.book.campaign.title in page
    assert "6月30日（星期二）24时前" in page
    assert "北京时间" in page
    assert "set-cookie" not in clerk.page.headers  # the page that mail scanners fetch

    await clerk.open(f"{desk}/o/{number}/fill")
    answers = right_answers(office)
    page = await clerk.send(f"{desk}/o/{number}/fill", answers | {"launch_people.quantity": WRONG, "action": "hand_in"})
    assert clerk.path == f"{desk}/o/{number}/fill"
    assert "有 1 处必须更正" in page
    assert f"读到“{WRONG}”，不是数字" in page
    assert f'value="{WRONG}"' in page  # what was typed is kept
    with office.house.ledger.reading() as session:
        assert session.scalar(select(func.count(SubmissionRow.id))) == 0
        assert session.scalars(select(DraftRow)).one().entries["launch_people.quantity"] == WRONG

    page = await clerk.send(f"{desk}/o/{number}/fill", answers | {"action": "hand_in"})
    assert clerk.path.startswith(f"{desk}/r/")
    assert "已经收到" in page
    with office.house.ledger.reading() as session:
        version = session.scalars(select(SubmissionRow)).one()
        assert (version.channel, version.state, version.entered_by) == ("portal", "accepted", "unit:BH001")
        assert version.received_at == office.now
        mailed = session.scalars(select(MessageRow).where(MessageRow.notice == "receipt")).one()
        assert mailed.state == "planned"
        told = told_of(session, office.house, office.book, mailed.occasion).answer
        assert told is not None
        assert told.again == "打开报送页面重新报送，或直接回复本邮件"  # there was no mail to reply to again
        figure = session.scalars(select(FigureRow).where(FigureRow.row == "launch_people")).one()
        file = session.get_one(FileRow, figure.file_id)
        assert (figure.number, file.submission_id, figure.cell[0]) == (3, version.id, "E")
        assert office.house.files.get(file.sha256)[:2] == b"PK"
        assert session.scalar(select(func.count(DraftRow.id))) == 0

    receipt = await clerk.open(f"{desk}/s/{version.id}/receipt")
    assert f"{KEY}-BH001-{version.id}" in receipt
    text = await clerk.client.get(f"{desk}/s/{version.id}/receipt.txt")
    assert text.headers["content-disposition"].startswith("attachment")
    assert "附件4　活动进展情况统计表（第1次报送）" in text.content.decode("utf-8-sig")


async def test_a_form_handed_in_twice_is_recorded_once(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("progress")
    await clerk.open(f"{desk}/o/{number}/fill")
    token = clerk.token()
    for _ in range(2):
        page = await clerk.send(
            f"{desk}/o/{number}/fill", right_answers(office) | {"action": "hand_in", "_csrf": token}
        )
    assert "此前已经收到并登记" in page
    with office.house.ledger.reading() as session:
        assert session.scalar(select(func.count(SubmissionRow.id))) == 1
        assert session.scalar(select(func.count(MessageRow.id)).where(MessageRow.notice == "receipt")) == 1


async def test_an_approximate_number_is_queried_and_confirmed_with_one_click(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("progress")
    await clerk.open(f"{desk}/o/{number}/fill")
    answers = right_answers(office) | {"launch_people.quantity": "约300"}
    page = await clerk.send(f"{desk}/o/{number}/fill", answers | {"action": "hand_in"})
    assert "有 1 处需要核实" in page
    page = await clerk.send(f"{desk}/o/{number}/fill", answers | {"sure": "1"})
    assert "已登记，待核实" in page
    page = await clerk.open(f"{desk}/o/{number}")
    assert "确认为 300" in page
    query = page.split(f'action="{desk}/q/')[1].split('"')[0]
    assert 'name="confirm" value="300"' in page
    token = clerk.token()
    for said in ({}, {"number": "", "text": " "}, {"confirm": "30"}):
        page = await clerk.send(f"{desk}/q/{query}", said | {"_csrf": token})
        assert clerk.page.status_code == 409
        assert "请填写准确数字" in page
    page = await clerk.send(f"{desk}/q/{query}", {"_csrf": token, "confirm": "300"})
    assert "已经登记您的答复" in page
    assert "已接收" in page
    with office.house.ledger.reading() as session:
        assert session.scalars(select(SubmissionRow)).one().state == "accepted"
        assert session.scalars(select(FigureRow.number).where(FigureRow.row == "launch_people")).one() == 300


async def test_a_faulty_file_after_a_queried_one_was_not_taken_and_page_and_board_agree(
    office: Office, clerk: Clerk
) -> None:
    desk, number = office.link(), office.obligation("progress")
    empty = empty_form(office.book.campaign.digest(), "progress", office.book)
    for manner in (Manner.ABOUT, Manner.WRONG):
        filled = fill_form(empty.fill(unit_name="x", token=office.token()), random.Random(1), manner)
        await clerk.open(f"{desk}/o/{number}")
        page = await clerk.upload(f"{desk}/o/{number}/upload", ("表.xlsx", filled))
    assert "目前仍以第1次报送为准（已登记，待核实）" in page  # what came of it
    page = await clerk.open(f"{desk}/o/{number}")
    assert "目前仍以第1次报送为准（已登记，待核实）" in page
    assert "以此次为准" in page
    assert "确认为 300" in page  # the query of the one that counts is still asked
    assert "按未报统计" not in page
    home = await clerk.open(desk)
    with office.house.ledger.reading() as session:
        row = next(r for r in board(session, KEY).rows if r.code == "BH001")
    assert cell_text(row.cells["progress"], wording.STANDING) == "已报待核实"
    for shown in (page, home):
        assert "已报待核实" in shown
        assert "退回" not in shown.split("报送记录")[0]


async def test_the_list_above_a_form_has_what_is_counted_and_names_fields_not_cells(
    office: Office, clerk: Clerk
) -> None:
    desk, number = office.link(), office.obligation("progress")
    await clerk.open(f"{desk}/o/{number}/fill")
    odd = {"launch_people.quantity": WRONG, "launch_sessions.quantity": "约30"}
    odd |= {"hazards_found.quantity": "10", "hazards_fixed.quantity": "20"}
    page = await clerk.send(f"{desk}/o/{number}/fill", right_answers(office) | odd | {"action": "hand_in"})
    assert "有 1 处必须更正、2 处需要核实" in page
    listed = page.split('<ul class="jump">')[1].split("</ul>")[0]
    assert (listed.count("强制</strong>"), listed.count("核实</strong>")) == (1, 2)
    assert re.search("[A-Z][0-9]+）|!E[0-9]", page) is None
    await clerk.send(
        f"{desk}/o/{number}/fill", right_answers(office) | odd | {"launch_people.quantity": "3", "sure": "1"}
    )
    for shown in (clerk.text, await clerk.open(f"{desk}/o/{number}")):
        assert "约30" in shown
        assert re.search("[A-Z][0-9]+）|!E[0-9]", shown) is None


async def test_a_telephone_that_is_none_is_refused_on_the_page_and_in_the_form_that_names_a_contact(
    office: Office, clerk: Clerk
) -> None:
    desk = office.link()
    await clerk.open(f"{desk}/contact")
    person = {"role": "liaison", "name": "李四", "address": "li@unit.example", "phone": "abc", "reason": "换人"}
    page = await clerk.send(f"{desk}/contact", person)
    assert (clerk.page.status_code, "电话“abc”写得不对" in page) == (409, True)
    number = office.obligation("liaison")
    await clerk.open(f"{desk}/o/{number}/fill")
    typed = {
        f"{row}.{key}": said
        for row in ("responsible", "liaison")
        for key, said in (("name", "李四"), ("email", "li@unit.example"), ("mobile", "138 0013 8000"))
    }
    page = await clerk.send(f"{desk}/o/{number}/fill", typed | {"liaison.mobile": "abc", "action": "hand_in"})
    assert "读到“abc”，格式不对" in page
    page = await clerk.send(
        f"{desk}/o/{number}/fill", typed | {"liaison.phone": "022-12345678转8001", "action": "hand_in"}
    )
    assert "已经收到" in page


async def test_a_draft_is_kept_and_offered_again(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("plan")
    await clerk.open(f"{desk}/o/{number}/fill")
    typed = {"1.name": "", "2.name": "宣传咨询日", "2.time": "6月16日", "2.person": "=张三"}
    page = await clerk.send(f"{desk}/o/{number}/fill", typed | {"action": "draft"})
    assert "草稿已经保存" in page
    assert 'name="1.name" value="宣传咨询日"' in page  # empty rows are closed up
    assert "有未报送的草稿" in await clerk.open(desk)
    await clerk.open(f"{desk}/o/{number}/fill")
    page = await clerk.send(f"{desk}/o/{number}/fill", {f"1.{k[2:]}": v for k, v in typed.items()} | {"action": "more"})
    assert 'name="6.name"' in page


async def test_a_correction_begins_with_what_was_handed_in_by_mail_or_upload(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("progress")
    with office.house.ledger.reading():
        empty = empty_form(office.book.campaign.digest(), "progress", office.book)
    filled = fill_form(empty.fill(unit_name="x", token=office.token()), random.Random(1), Manner.RIGHT)
    await clerk.open(f"{desk}/o/{number}")
    page = await clerk.upload(f"{desk}/o/{number}/upload", ("表.xlsx", filled))
    assert "已经收到" in page
    page = await clerk.open(f"{desk}/o/{number}/fill")
    assert "最近一次报送的内容" in page
    values = [part.split('"')[0] for part in page.split('.quantity" value="')[1:]]
    assert all(values)


async def test_files_are_taken_for_the_affair_they_are_uploaded_for(office: Office, clerk: Clerk) -> None:
    desk, report = office.link(), office.obligation("report")
    await clerk.open(f"{desk}/o/{report}")
    page = await clerk.upload(f"{desk}/o/{report}/upload", ("../../扫描件.pdf", b"%PDF-1.4 x"))
    assert "活动综合情况" in page
    await clerk.open(f"{desk}/v/materials")
    for _ in range(2):
        page = await clerk.upload(f"{desk}/v/materials/upload", ("a.png", b"\x89PNG\r\n\x1a\n1"), ("b.pdf", b"%PDF-2"))
        await clerk.open(f"{desk}/v/materials")
    with office.house.ledger.reading() as session:
        names = session.scalars(select(FileRow.name).order_by(FileRow.id)).all()
        assert names == ["扫描件.pdf", "a.png", "b.pdf"]  # the second time nothing more
    file = await clerk.client.get(f"{desk}/f/1")
    assert file.content == b"%PDF-1.4 x"
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].startswith("attachment")


async def test_what_cannot_be_placed_is_said_and_kept(office: Office, clerk: Clerk) -> None:
    desk = office.link()
    await clerk.open(f"{desk}/upload")
    page = await clerk.upload(f"{desk}/upload", ("说明.txt", b"hello"), ("活动方案.pdf", b"%PDF-1"))
    assert "说明.txt：" in page
    assert "下列文件没有登记" in page
    assert "活动方案" in page
    await clerk.open(f"{desk}/upload")
    assert "没有选择文件" in await clerk.send(f"{desk}/upload")


async def test_an_extension_and_another_contact_are_asked_for_once(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("report")
    await clerk.open(f"{desk}/o/{number}")
    await clerk.send(f"{desk}/o/{number}/extension", {"until": "9999-12-31", "reason": "很久"})
    assert clerk.page.status_code == 409
    await clerk.open(f"{desk}/o/{number}")
    wish = {"until": "2020-07-03", "reason": "负责人出差"}
    for _ in range(2):
        page = await clerk.send(f"{desk}/o/{number}/extension", wish)
        assert "延期申请已经提交" in page
    assert "日期和理由" in await clerk.send(f"{desk}/o/{number}/extension", {"until": "2020-07-03"})
    await clerk.open(f"{desk}/o/{number}")
    page = await clerk.send(f"{desk}/o/{number}/extension", {"until": "2020-06-01", "reason": "早一点"})
    assert clerk.page.status_code == 409
    assert "早一点" in page  # what was typed is there for copying
    await clerk.open(f"{desk}/contact")
    person = {"role": "liaison", "name": "李　四", "address": "Li@Unit.Example", "phone": "", "reason": "换人"}
    for _ in range(2):
        assert "更换联系人的申请已经提交" in await clerk.send(f"{desk}/contact", person)
    with office.house.ledger.reading() as session:
        assert [(r.kind, r.reason) for r in session.scalars(select(RequestRow))] == [
            ("extension", "负责人出差"),
            ("contact", "换人"),
        ]


def kept(page: str, name: str) -> str:
    """Return what stands in a field of a page."""
    found = re.search(
        rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"|<textarea[^>]* name="{name}"[^>]*>([^<]*)<', page
    )
    return (found[1] or found[2] or "") if found else ""


async def test_a_form_that_is_not_complete_comes_back_as_it_was_typed(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("report")
    await clerk.open(f"{desk}/o/{number}")
    page = await clerk.send(f"{desk}/o/{number}/extension", {"until": "", "reason": "负责人出差"})
    assert (clerk.page.status_code, kept(page, "reason")) == (422, "负责人出差")
    assert '<p class="error" id="e-until">请填写日期。</p>' in page
    assert "<details open><summary>不能按时报送" in page
    page = await clerk.send(f"{desk}/o/{number}/extension", {"until": "2020-06-01", "reason": "早一点"})
    assert (clerk.page.status_code, kept(page, "until"), kept(page, "reason")) == (409, "2020-06-01", "早一点")
    assert "新的截止日期应晚于现在" in page
    await clerk.open(f"{desk}/contact")
    person = {"role": "duty", "name": "李四", "address": "", "phone": "022-1234567", "reason": "换人，见附函"}
    page = await clerk.send(f"{desk}/contact", person)
    assert clerk.page.status_code == 422
    assert [kept(page, name) for name in ("name", "phone", "reason")] == ["李四", "022-1234567", "换人，见附函"]
    assert '<option value="duty" selected>' in page
    assert "请填写邮箱。" in page
    with office.house.ledger.reading() as session:
        assert session.scalars(select(RequestRow)).all() == []


async def test_whoever_is_refused_finds_the_way_back_and_the_text(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("report")
    await clerk.open(f"{desk}/o/{number}")
    await clerk.send(f"{desk}/o/{number}/extension", {"until": "2020-07-03", "reason": "负责人出差"})
    page = await clerk.send(f"{desk}/o/{number}/extension", {"until": "2020-07-04", "reason": "再晚一天"})
    assert (clerk.page.status_code, "再晚一天" in page) == (409, True)
    links = re.findall(r'<a href="([^"]+)"', page)
    assert links == [f"{desk}/o/{number}", desk]
    for link in links:
        await clerk.open(link)
        assert clerk.page.status_code == 200


async def test_what_is_refused_on_the_page_makes_no_mail_and_what_is_taken_makes_one(
    office: Office, clerk: Clerk
) -> None:
    desk, number = office.link(), office.obligation("scheme")

    def mails() -> list[str]:
        with office.house.ledger.reading() as session:
            query = select(MessageRow.notice).where(MessageRow.notice.in_(("receipt", "returned")))
            return list(session.scalars(query.order_by(MessageRow.id)))

    await clerk.open(f"{desk}/o/{number}")
    page = await clerk.upload(f"{desk}/o/{number}/upload", ("方案.doc", b"no document"))
    assert "下列文件没有登记" in page
    assert "已经收到过" not in page  # refused, not a copy of what was there
    assert "同时发往" not in page
    form = office.obligation("progress")
    empty = empty_form(office.book.campaign.digest(), "progress", office.book)
    wrong = fill_form(empty.fill(unit_name="x", token=office.token()), random.Random(1), Manner.WRONG)
    await clerk.open(f"{desk}/o/{form}")
    page = await clerk.upload(f"{desk}/o/{form}/upload", ("表.xlsx", wrong))
    assert "退回" in page
    assert mails() == []
    await clerk.open(f"{desk}/o/{number}")
    page = await clerk.upload(f"{desk}/o/{number}/upload", ("方案.pdf", b"%PDF-1"), ("别的.doc", b"no document"))
    assert "同时发往" in page
    assert mails() == ["returned"]  # part of it was taken: the mail says which


async def test_after_the_due_instant_a_hand_in_is_taken_and_marked_late(office: Office, clerk: Clerk) -> None:
    office.now = local(6, 6)
    desk, number = office.link(), office.obligation("scheme")
    assert "已逾期1天" in await clerk.open(f"{desk}/o/{number}")
    page = await clerk.upload(f"{desk}/o/{number}/upload", ("方案.pdf", b"%PDF-1"))
    assert "按迟报登记" in page


async def test_nothing_to_report_is_said_with_a_tick_and_once(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("report")
    assert "零报告" in await clerk.open(f"{desk}/o/{number}")
    assert "请先勾选" in await clerk.send(f"{desk}/o/{number}/nil")
    page = await clerk.send(f"{desk}/o/{number}/nil", {"sure": "1"})
    assert "已经收到" in page
    with office.house.ledger.reading() as session:
        assert session.scalars(select(SubmissionRow.channel)).one() == "portal"
    other = office.obligation("scheme")
    await clerk.open(f"{desk}/o/{other}")
    await clerk.send(f"{desk}/o/{other}/nil", {"sure": "1"})
    assert clerk.page.status_code == 409


async def test_what_staff_returned_says_why_and_what_was_asked_waits_in_sight(office: Office, clerk: Clerk) -> None:
    desk, number = office.link(), office.obligation("report")
    await clerk.open(f"{desk}/o/{number}")
    await clerk.upload(f"{desk}/o/{number}/upload", ("综合情况.pdf", b"%PDF-1"))
    with office.house.ledger.writing() as session:
        staff = Act(actor="staff:li", as_of=office.now, wall=office.now)
        return_to_unit(session, office.house, staff, 1, reasons=["缺少第三部分", "未盖章"])
    page = await clerk.open(f"{desk}/o/{number}")
    assert "退回原因：</strong>缺少第三部分；未盖章" in page
    assert page.index("退回原因") < page.index("上传 Word")
    await clerk.send(f"{desk}/o/{number}/extension", {"until": "2020-07-03", "reason": "补材料"})
    assert "已申请延期至 2020-07-03，等待办公室处理" in clerk.text


async def test_page_and_receipt_judge_by_the_instant_before_a_return_as_the_rates_do(
    office: Office, clerk: Clerk
) -> None:
    office.now = local(6, 6)
    for code, first, again in (("BH001", local(6, 6), "按迟报登记"), ("BH036", local(6, 5), "按时（以首次报送计）")):
        office.now = first
        desk, number = office.link(code), office.obligation("scheme", code)
        await clerk.open(f"{desk}/o/{number}")
        await clerk.upload(f"{desk}/o/{number}/upload", ("方案.pdf", b"%PDF-1"))
        with office.house.ledger.writing() as session:
            version = session.scalars(select(SubmissionRow.id).order_by(SubmissionRow.id.desc()).limit(1)).one()
            staff = Act(actor="staff:li", as_of=local(6, 7), wall=office.now)
            return_to_unit(session, office.house, staff, version, reasons=["未盖章"], due=date(2020, 6, 15))
        office.now = local(6, 8)
        await clerk.open(f"{desk}/o/{number}")
        assert again in await clerk.upload(f"{desk}/o/{number}/upload", ("方案2.pdf", b"%PDF-2"))  # the answer
        page = await clerk.open(f"{desk}/o/{number}")
        assert page.count("按迟报登记") == (2 if code == "BH001" else 0)
        assert again in page
        assert again in await clerk.open(f"{desk}/s/{version + 1}/receipt")
