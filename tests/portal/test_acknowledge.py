"""The page of a rung: looking promises nothing, a day sent is kept, and nobody else's rung is there."""

from datetime import UTC, datetime

from sqlalchemy import select

from ledger import audit
from ledger.acts import Act
from ledger.tables import AcknowledgementRow
from office.planning import plan_step
from rules.timetable import StepKind
from tests.portal.conftest import KEY, Clerk, Office, local


def tell(office: Office) -> None:
    """Plan the first rung: on Tuesday 06-02 every unit hears that plan and list are two working days late."""
    act = Act(actor="rule:test", as_of=local(6, 2), wall=datetime.now(UTC))
    with office.house.ledger.writing() as session:
        assert plan_step(session, office.house, act, KEY, StepKind.ESCALATE).planned == {"escalation": 3}


def promised(office: Office) -> list[tuple[str, datetime, int, str]]:
    with office.house.ledger.reading() as session:
        assert not audit.verify(session).fault
        rows = session.scalars(select(AcknowledgementRow).order_by(AcknowledgementRow.id)).all()
        return [(row.rung, row.until, len(row.items), row.actor) for row in rows]


async def test_a_day_is_promised_with_a_button_and_changed_once(office: Office, clerk: Clerk) -> None:
    tell(office)
    office.now = local(6, 3)
    page = f"{office.link()}/a/1"
    text = await clerk.open(page)
    assert "贵单位的以下材料已过截止时间" in text
    assert "知悉，将于" in text
    await clerk.client.head(page)
    assert promised(office) == []
    assert "没有认出日期" in await clerk.send(page, {"promised": "下周五"})
    said = await clerk.send(page, {"promised": "2020-07-11"})
    assert "承诺的日期应在今天至活动截止日期7月10日（星期五）之间" in said
    assert promised(office) == []
    await clerk.open(page)
    assert "将于6月5日（星期五）前报送" in (await clerk.send(page, {"promised": "2020-06-05"})).replace(
        "<strong>", ""
    ).replace("</strong>", "")
    await clerk.send(page, {"promised": "2020-06-05"})
    assert promised(office) == [("escalate:1", local(6, 6, 0), 2, "unit:BH001")]
    assert "不能再改" in await clerk.send(page, {"promised": "2020-06-09"})
    await clerk.open(f"{office.link()}/upload")
    assert "日期已经改过一次，不能再改" in await clerk.send(page, {"promised": "2020-06-12"})
    assert [until for _, until, *_ in promised(office)] == [local(6, 6, 0), local(6, 10, 0)]


async def test_a_rung_on_which_nobody_was_told_has_no_page(office: Office, clerk: Clerk) -> None:
    await clerk.open(f"{office.link()}/a/1")
    assert clerk.page.status_code == 404  # nothing was said yet
    tell(office)
    for number in (2, 3, 9):  # the superior's, the office's, and none
        await clerk.open(f"{office.link()}/a/{number}")
        assert clerk.page.status_code == 404
    await clerk.open(f"{office.link('BH036')}/upload")
    token = clerk.token()
    response = await clerk.client.post(f"{office.link()}/a/1", data={"_csrf": token, "promised": "2020-06-12"})
    assert response.status_code == 403  # a form of another link
    assert promised(office) == []


async def test_after_the_close_no_day_is_left_to_be_promised(office: Office, clerk: Clerk) -> None:
    tell(office)
    office.now = local(7, 10, 23, 59)
    assert "预计报送日期（2020-07-10 至 2020-07-10）" in await clerk.open(f"{office.link()}/a/1")
    office.now = local(7, 11)
    text = await clerk.open(f"{office.link()}/a/1")
    assert "本次活动已经结束，不再登记日期" in text
    assert "<form" not in text
