"""What is done on the staff pages: each form changes the ledger as its command does, once, in the name of its doer."""

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from docx import Document
from sqlalchemy import func, select

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.campaigns import contacts_of
from ledger.tables import (
    AnswerRow,
    ApprovalRow,
    AuditRow,
    CallRow,
    CampaignRow,
    DecisionRow,
    FigureRow,
    IntakeRow,
    MessageRow,
    ObligationRow,
    PaperRow,
    RequestRow,
    SubmissionRow,
)
from office import staff_links
from office.review import accept
from office.staff_overview import waiting_of
from tests.corpus.mails import docx
from tests.portal.conftest import KEY, URL, Office, clerk_of, local, open_office
from tests.portal.conftest import loaded as shipped  # noqa: F401  a fixture of ours too
from tests.portal.staff_scene import OCCASION, Scene, StaffClerk, add_accounts, open_scene, staffed

MEANWHILE = "情况有了变化"


@pytest.fixture
def office(shipped: LoadedCampaign, house: Path, tmp_path: Path) -> Iterator[Office]:  # noqa: F811
    opened = open_office(staffed(shipped), house, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    with opened.house.ledger.reading() as session:
        assert not audit.verify(session).fault
    opened.house.ledger.close()


@pytest.fixture
def scene(office: Office) -> Scene:
    opened = open_scene(office)
    add_accounts(office)
    return opened


@pytest.fixture
async def staff(office: Office, scene: Scene) -> AsyncIterator[StaffClerk]:
    async with clerk_of(office)() as client:
        clerk = StaffClerk(client)
        await clerk.log_in("li")
        yield clerk


def last(office: Office) -> tuple[str, str, str]:
    """Return kind, actor and grounds of the last decision."""
    with office.house.ledger.reading() as session:
        row = session.scalars(select(DecisionRow).order_by(DecisionRow.id.desc())).first()
        return (row.kind, row.actor, row.grounds) if row is not None else ("", "", "")


def state_of(office: Office, version: int) -> str:
    with office.house.ledger.reading() as session:
        return session.get_one(SubmissionRow, version).state


def planned(office: Office, notice: str) -> int:
    with office.house.ledger.reading() as session:
        query = select(func.count(MessageRow.id)).where(MessageRow.notice == notice, MessageRow.state == "planned")
        return session.scalars(query).one()


async def test_a_version_is_accepted_taken_up_again_and_returned(
    office: Office, scene: Scene, staff: StaffClerk
) -> None:
    asked = planned(office, "returned")  # of the query
    await staff.open(f"/staff/s/{scene.version}")
    assert "请写明理由" in await staff.submit("accept", {"grounds": " "})
    assert state_of(office, scene.version) == "submitted"
    page = await staff.submit("accept", {"grounds": "已核对"})
    assert "已接收，回执已列入发信" in page
    assert (state_of(office, scene.version), last(office)) == ("accepted", ("accepted", "staff:li", "已核对"))
    page = await staff.submit("reopen", {"grounds": "看错了"})
    assert (state_of(office, scene.version), last(office)[0]) == ("submitted", "reopened")
    page = await staff.submit("return", {"reasons": "缺少时间安排\n\n没有盖章", "due": "2020-06-20"})
    assert "已退回" in page
    assert "缺少时间安排；没有盖章" in page
    assert last(office) == ("returned", "staff:li", "缺少时间安排；没有盖章")
    assert planned(office, "returned") == asked + 1
    with office.house.ledger.reading() as session:
        assert session.get_one(ObligationRow, office.obligation("scheme")).due_at == local(6, 21, 0)
    page = await staff.submit("reopen", {"grounds": "x"})
    page = await staff.submit("return", {"reasons": "日期已过", "due": "2020-06-01"})
    assert staff.page.status_code == 409
    assert "新的截止日期应晚于现在" in page
    assert ">日期已过</textarea>" in page  # what was typed is kept


async def test_two_who_judge_the_same_version_judge_it_once(office: Office, scene: Scene, staff: StaffClerk) -> None:
    await staff.open(f"/staff/s/{scene.version}")
    fields = {form: staff.hidden(form) for form in ("accept", "return")}
    mails = planned(office, "returned")
    with office.house.ledger.writing() as session:
        accept(session, office.house, office.act(), scene.version, "同事先办了")
    for form, hidden in fields.items():
        typed = {"grounds": "再办", "reasons": "再办"}
        page = await staff.send(f"/staff/s/{scene.version}/{form}", hidden | typed)
        assert staff.page.status_code == 409
        assert MEANWHILE in page
    assert last(office)[2] == "同事先办了"
    assert planned(office, "returned") == mails


async def test_a_query_is_confirmed_as_proposed_with_another_number_or_in_words(
    office: Office, scene: Scene, staff: StaffClerk
) -> None:
    page = await staff.open(f"/staff/q/{scene.query}")
    assert staff.path == f"/staff/s/{scene.queried}"
    form = f"q{scene.query}"
    assert "确认为 300" in page
    assert "请填准确的阿拉伯数字" in await staff.submit(form, {"grounds": "来电", "value": "约三百"})
    assert "已经变化" in await staff.submit(form, {"grounds": "来电", "confirm": "301"})
    page = await staff.submit(form, {"grounds": "张三来电核实", "confirm": "300"})
    assert "已登记核实结果" in page
    with office.house.ledger.reading() as session:
        answer = session.scalars(select(AnswerRow)).one()
        assert (answer.actor, answer.number, answer.text) == ("staff:li", 300, "张三来电核实")
        figures = select(FigureRow.number).where(
            FigureRow.submission_id == scene.queried, FigureRow.row == "launch_people"
        )
        assert session.scalars(figures).one() == 300
    assert state_of(office, scene.queried) == "accepted"
    page = await staff.send(f"/staff/q/{scene.query}", {"grounds": "再来", "confirm": "300"})
    assert (staff.page.status_code, "已经有人核实过了" in page) == (409, True)


async def test_an_extension_is_shown_before_it_is_granted(office: Office, scene: Scene, staff: StaffClerk) -> None:
    page = await staff.open(f"/staff/r/{scene.extension}")
    assert "截止时间：6月30日（星期二）24时前 → 7月3日（星期五）24时前" in page
    page = await staff.submit("grant", {"grounds": "主任同意", "until": "2020-06-29"})
    assert "应晚于现在的截止时间" in page
    page = await staff.submit("grant", {"grounds": "主任同意"})
    assert "已同意，单位会收到邮件" in page
    assert "li：延期，理由：主任同意" in page
    assert last(office) == ("extended", "staff:li", "主任同意")
    with office.house.ledger.reading() as session:
        assert session.get_one(ObligationRow, office.obligation("progress")).due_at == local(7, 4, 0)
    assert planned(office, "granted") == 1
    page = await staff.send(f"/staff/r/{scene.extension}/refuse", {"grounds": "再办"})
    assert (staff.page.status_code, "没有重复办理" in page) == (409, True)


async def test_a_change_of_contact_is_refused_with_grounds_that_the_unit_reads(
    office: Office, scene: Scene, staff: StaffClerk
) -> None:
    page = await staff.open(f"/staff/r/{scene.contact}")
    assert "联络员：" in page
    assert "赵六 zhao@unit.example" in page
    await staff.submit("refuse", {"grounds": "请单位盖章来函"})
    assert last(office) == ("request_refused", "staff:li", "请单位盖章来函")
    with office.house.ledger.reading() as session:
        assert session.get_one(RequestRow, scene.contact).decision_id is not None
    assert planned(office, "refused") == 1


async def test_a_rung_goes_out_when_it_is_agreed_to_and_once(office: Office, scene: Scene, staff: StaffClerk) -> None:
    page = await staff.open(f"/staff/a/{KEY}/{OCCASION}")
    assert "名单（6项）" in page
    token = staff.token()
    seen = staff.hidden("approve")["_seen"]
    page = await staff.submit("approve", {"grounds": "主任已阅"})
    assert "已同意发出" in page
    with office.house.ledger.reading() as session:
        row = session.scalars(select(ApprovalRow).where(ApprovalRow.occasion == OCCASION)).one()
        assert (row.state, row.actor, row.grounds) == ("approved", "staff:li", "主任已阅")
    mails = planned(office, "escalation_digest")
    assert mails > 0
    page = await staff.send(
        f"/staff/a/{KEY}/{OCCASION}/decline", {"_csrf": token, "_seen": seen, "grounds": "改主意了"}
    )
    assert (staff.page.status_code, MEANWHILE in page) == (409, True)
    assert planned(office, "escalation_digest") == mails


async def test_a_rung_is_kept_back_until_another_day(office: Office, scene: Scene, staff: StaffClerk) -> None:
    await staff.open(f"/staff/a/{KEY}/{OCCASION}")
    assert "日期须晚于今天" in await staff.submit("decline", {"grounds": "再等等", "until": "2020-06-04"})
    await staff.submit("decline", {"grounds": "再等等", "until": "2020-06-10"})
    with office.house.ledger.reading() as session:
        row = session.scalars(select(ApprovalRow).where(ApprovalRow.occasion == OCCASION)).one()
        assert (row.state, row.again_at) == ("declined", local(6, 10))
    assert planned(office, "escalation_digest") == 0


async def test_a_paper_is_read_approved_and_numbered_and_another_dropped(
    office: Office, scene: Scene, staff: StaffClerk
) -> None:
    response = await staff.client.get(f"/staff/p/{scene.paper}/file")
    assert Document(io.BytesIO(response.content)).paragraphs
    await staff.open(f"/staff/p/{scene.paper}")
    page = await staff.submit("approve", {"grounds": "领导同意"})
    assert "督办〔2020〕第1号" in page
    assert planned(office, "supervision_order") == 1
    await staff.open(f"/staff/p/{scene.paper + 1}")
    await staff.submit("drop", {"grounds": "已电话督促"})
    with office.house.ledger.reading() as session:
        assert [session.get_one(PaperRow, scene.paper + n).state for n in (0, 1)] == ["approved", "dropped"]
    page = await staff.send(f"/staff/p/{scene.paper + 1}/drop", {"grounds": "再办"})
    assert (staff.page.status_code, "没有重复办理" in page) == (409, True)


async def test_a_stranger_s_file_is_taken_in_for_the_unit_it_belongs_to(
    office: Office, scene: Scene, staff: StaffClerk
) -> None:
    path = f"/staff/in/{scene.letter}"
    await staff.open(path)
    assert "没有这个单位" in await staff.submit("assign", {"unit": "BH999", "grounds": "来电"})
    page = await staff.submit("assign", {"unit": "bh036", "deliverable": f"{KEY}:scheme", "grounds": "来电确认"})
    assert "附件已登记" in page
    assert "已经办结" in page
    with office.house.ledger.reading() as session:
        version = session.scalars(select(SubmissionRow).order_by(SubmissionRow.id.desc())).first()
        assert version is not None
        assert (version.entered_by, version.grounds, version.channel) == ("staff:li", "来电确认", "mail")
    assert last(office)[:2] == ("mail_assigned", "staff:li")
    for verb in ("assign", "answer", "dismiss"):
        page = await staff.send(f"{path}/{verb}", {"unit": "BH036", "text": "x", "grounds": "x"})
        assert (staff.page.status_code, "没有重复办理" in page) == (409, True), verb


@pytest.mark.parametrize(
    ("verb", "fields", "kind"),
    [("answer", {"text": "已转交"}, "mail_answered"), ("dismiss", {"grounds": "广告"}, "")],
)
async def test_a_letter_is_answered_or_dismissed(
    office: Office, scene: Scene, staff: StaffClerk, verb: str, fields: dict[str, str], kind: str
) -> None:
    await staff.open(f"/staff/in/{scene.letter}")
    await staff.submit(verb, fields)
    with office.house.ledger.reading() as session:
        assert session.get_one(IntakeRow, scene.letter).state == "done"
        entry = session.scalars(select(AuditRow).where(AuditRow.verb.like("decision.mail_%"))).one()
        assert entry.actor == "staff:li"
    assert last(office)[0] == kind
    assert planned(office, "answer") == int(verb == "answer")


async def test_what_became_of_a_mail_in_doubt_is_settled_once(office: Office, scene: Scene, staff: StaffClerk) -> None:
    await staff.open(f"/staff/m/{scene.doubt}")
    await staff.submit("settle", {"grounds": "单位说收到了", "as": "sent"})
    with office.house.ledger.reading() as session:
        assert session.get_one(MessageRow, scene.doubt).state == "sent"
    assert last(office) == ("mail_settled", "staff:li", "单位说收到了")
    page = await staff.send(f"/staff/m/{scene.doubt}/settle", {"grounds": "x", "as": "again"})
    assert (staff.page.status_code, "没有重复办理" in page) == (409, True)


async def test_a_call_is_put_on_record_once(office: Office, scene: Scene, staff: StaffClerk) -> None:
    await staff.open(f"/staff/u/{KEY}/BH001")
    fields = staff.hidden("call") | {"said": "张三说明天报", "about": str(office.obligation("plan"))}
    for _ in range(2):  # a double click
        page = await staff.send(f"/staff/u/{KEY}/BH001/call", fields)
    assert MEANWHILE in page
    with office.house.ledger.reading() as session:
        call = session.scalars(select(CallRow)).one()
        assert (call.actor, call.said, call.obligation_id) == ("staff:li", "张三说明天报", office.obligation("plan"))
    page = await staff.send(
        f"/staff/u/{KEY}/BH036/call", {"_seen": "0", "said": "x", "about": str(office.obligation("plan"))}
    )
    assert "没有这项材料" in page


async def test_a_contact_is_corrected_and_both_are_told(office: Office, scene: Scene, staff: StaffClerk) -> None:
    await staff.open(f"/staff/u/{KEY}/BH001")
    named = {"role": "duty", "name": "钱七", "phone": "", "grounds": "来电告知"}
    assert "写得不对" in await staff.submit("contact", named | {"address": "no address"})
    fields = staff.hidden("contact") | named | {"address": "qian@unit.example"}
    assert "联系人已更正" in await staff.send(f"/staff/u/{KEY}/BH001/contact", fields)
    assert MEANWHILE in await staff.send(f"/staff/u/{KEY}/BH001/contact", fields)
    with office.house.ledger.reading() as session:
        first = next(c for c in contacts_of(session, office.party_id()) if c.role == "duty")
        assert (first.address, first.name) == ("qian@unit.example", "钱七")
    assert last(office) == ("contact_changed", "staff:li", "来电告知")
    assert planned(office, "contact_changed") == 2


async def test_an_obligation_is_extended_and_exempted(office: Office, scene: Scene, staff: StaffClerk) -> None:
    number = office.obligation("report")
    page = await staff.open(f"/staff/o/{number}")
    assert "通知要求6月30日（星期二）24时前报送" in page
    assert "muster" not in page
    assert "没有认出日期" in await staff.submit("extend", {"until": "明天", "grounds": "x"})
    fields = staff.hidden("extend") | {"until": "2020-07-05", "grounds": "活动延后"}
    assert "截止时间已延长" in await staff.send(f"/staff/o/{number}/extend", fields)
    assert MEANWHILE in await staff.send(f"/staff/o/{number}/extend", fields)
    await staff.submit("exempt", {"grounds": "没有此类活动"})
    assert last(office) == ("exempted", "staff:li", "没有此类活动")
    with office.house.ledger.reading() as session:
        row = session.get_one(ObligationRow, number)
        assert (row.due_at, row.exempt_at is not None) == (local(7, 6, 0), True)
        others = select(func.count(ObligationRow.id)).where(ObligationRow.exempt_at.is_not(None))
        assert session.scalars(others).one() == 1


async def test_nil_and_paper_are_recorded_with_their_true_time(office: Office, scene: Scene, staff: StaffClerk) -> None:
    report, scheme = office.obligation("report"), office.obligation("scheme")
    await staff.open(f"/staff/o/{report}")
    nil = {"channel": "phone", "grounds": "张三来电"}
    assert "不能晚于现在" in await staff.submit("nil", nil | {"received": "2099-06-04T10:00"})
    page = await staff.submit("nil", nil | {"received": "2020-06-04T09:30"})
    assert "零报告已登记" in page
    await staff.open(f"/staff/o/{scheme}")
    fields = staff.hidden("original") | {"received": "2020-06-03T15:00", "grounds": "专人送达"}
    await staff.send(f"/staff/o/{scheme}/original", fields)
    assert MEANWHILE in await staff.send(f"/staff/o/{scheme}/original", fields)
    with office.house.ledger.reading() as session:
        version = session.scalars(select(SubmissionRow).where(SubmissionRow.obligation_id == report)).one()
        assert (version.channel, version.entered_by, version.received_at) == ("phone", "staff:li", local(6, 4, 9, 30))
        assert session.get_one(ObligationRow, scheme).original_at == local(6, 3, 15)


async def test_files_are_handed_in_for_a_unit_that_came(office: Office, scene: Scene, staff: StaffClerk) -> None:
    await staff.open(f"/staff/u/{KEY}/BH036")
    fields = {"channel": "person", "received": "2020-06-04T09:00", "grounds": "来人"}
    assert "请选择单位报来的文件" in await staff.submit("hand-in", fields)
    page = await staff.submit("hand-in", fields, files=[("files", ("活动方案.docx", docx()))])
    assert "已代为登记" in page
    with office.house.ledger.reading() as session:
        version = session.scalars(select(SubmissionRow).order_by(SubmissionRow.id.desc())).first()
        assert version is not None
        assert (version.channel, version.entered_by, version.grounds) == ("person", "staff:li", "来人")


async def test_a_unit_s_own_page_opens_and_that_is_put_on_record(
    office: Office, scene: Scene, staff: StaffClerk
) -> None:
    await staff.open(f"/staff/u/{KEY}/BH001")
    page = await staff.send(f"/staff/u/{KEY}/BH001/open")
    assert staff.path.startswith("/u/")
    assert "待报材料" in page
    with office.house.ledger.reading() as session:
        entry = session.scalars(select(AuditRow).where(AuditRow.verb == "link.given_out")).one()
        assert entry.actor == "staff:li"


async def test_a_campaign_is_paused_resumed_and_closed(office: Office, scene: Scene, staff: StaffClerk) -> None:
    def state() -> str:
        with office.house.ledger.reading() as session:
            return session.get_one(CampaignRow, 1).state

    await staff.open(f"/staff/c/{KEY}")
    await staff.submit("pause", {"grounds": "防汛应急响应"})
    assert state() == "paused"
    page = await staff.send(f"/staff/c/{KEY}/pause", {"grounds": "再办"})
    assert (staff.page.status_code, "不允许这样处理" in page) == (409, True)
    await staff.open(f"/staff/a/{KEY}/{OCCASION}")
    assert "活动已暂停。请先恢复" in await staff.submit("approve", {"grounds": "x"})
    await staff.open(f"/staff/c/{KEY}")
    await staff.submit("resume", {"grounds": "响应解除"})
    assert state() == "launched"
    assert "请先勾选" in await staff.submit("close", {"grounds": "提前完成"})
    assert state() == "launched"
    await staff.submit("close", {"grounds": "提前完成", "sure": "1"})
    assert (state(), last(office)) == ("closed", ("campaign_closed", "staff:li", "提前完成"))


async def test_the_overview_counts_what_the_queues_list(office: Office, scene: Scene, staff: StaffClerk) -> None:
    with office.house.ledger.reading() as session:
        counts = waiting_of(session, None)
        assert counts == waiting_of(session, session.get_one(CampaignRow, 1))
    assert all(counts.values())
    page = await staff.open("/staff/")
    assert f"需要人办理的（{sum(counts.values())}件）" in page
    for kind, count in counts.items():
        page = await staff.open(f"/staff/queue/{kind}?campaign={KEY}")
        assert f"（{count}）</h1>" in page, kind
        assert page.count('<td class="act">') == count, kind


@pytest.mark.parametrize(
    ("words", "leads"),
    [("BH001", "/staff/u/safety-month-2020/BH001"), ("塘沽", "/staff/u/safety-month-2020/BH036"),
     ("duty.bh025@", "/staff/u/safety-month-2020/BH025"), ("in-{letter}", "/staff/in/{letter}"),
     ("someone@163.example", "/staff/in/{letter}"), ("{version}", "/staff/s/{version}"),
     ("{doubt}", "/staff/m/{doubt}")],
)  # fmt: skip
async def test_a_search_leads_to_what_is_meant(
    office: Office, scene: Scene, staff: StaffClerk, words: str, leads: str
) -> None:
    page = await staff.open(f"/staff/search?q={words.format(**vars(scene))}")
    assert f'href="{leads.format(**vars(scene))}"' in page
    for nothing in ("%", "_", "nobody at all"):
        assert "没有找到" in await staff.open(f"/staff/search?q={nothing.replace('%', '%25')}")


async def test_what_is_linked_to_from_elsewhere_opens(office: Office, scene: Scene, staff: StaffClerk) -> None:
    house = office.house
    addresses = (
        staff_links.campaign_url(house, KEY), staff_links.queue_url(house, KEY), staff_links.queue_url(house),
        staff_links.unit_url(house, KEY, "BH001"), staff_links.submission_url(house, scene.version),
        staff_links.mail_url(house, scene.doubt), staff_links.request_url(house, scene.extension),
    )  # fmt: skip
    for address in addresses:
        assert address.startswith(f"{URL}/staff/")
        await staff.open(address.removeprefix(URL))
        assert staff.page.status_code == 200, address
