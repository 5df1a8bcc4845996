"""The pages that staff see of a campaign in the run UI: what they say, how long they get, what changes them."""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from benchmarks.staging import KEY as LARGE
from benchmarks.staging import LAUNCH, campaign_of, launched
from definition.loading import LoadedCampaign
from ledger.tables import ContactRow
from office.premises import Premises
from office.stops import hold
from office.views.all_pages import all_pages
from office.views.pages import Markdown, Page, code, linked, plain, render
from rules.timetable import StepKind
from tests.office.test_office import KEY, Desk, act, desk, loaded, local

__all__ = ["desk", "loaded"]


def pages_of(house: Premises, campaign: str, at: datetime) -> dict[str, Page]:
    with house.ledger.reading() as session:
        return {page.key.removesuffix(f"-{campaign}"): page for page in all_pages(session, house, campaign, at)}


def pictures(page: Page) -> list[str]:
    return [
        base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page.markdown)
    ]


def test_the_board_says_in_one_word_where_each_report_stands(desk: Desk) -> None:
    desk.receive(local(5, 30), "BH001", "附件2.xlsx", desk.form_of("BH001", "plan"))
    desk.receive(local(6, 2), "BH025", "附件2.xlsx", desk.form_of("BH025", "plan"))
    board = pages_of(desk.house, KEY, local(6, 3))["board"]
    assert board.headline == "3家单位应报15项，已报2项（13.3%），逾期未报4项"
    assert "| BH036 塘沽街道办事处 | **逾期3天** | **逾期3天** | 未报 | 未报 | 未报 |" in board.markdown
    assert "| BH025 区应急管理局 | 迟报 | **逾期3天** | 未报 | 未报 | 未报 |" in board.markdown
    assert "| 天津经济技术开发区安委会" not in board.markdown
    assert "BH001 天津经济技术开发区安委会 | 已报 | **逾期3天** |" in board.markdown
    assert "| 活动计划表 | 5月31日 | 3 | 2 | 1 | 0 | 0 | 1 | 0 | 66.7% |" in board.markdown
    assert "<summary>街镇（1家，其中1家有逾期或退回）</summary>" in board.markdown
    assert "2/3  66.7%" in pictures(board)[0]


def test_what_is_due_today_is_not_overdue_and_becomes_so_at_midnight(desk: Desk) -> None:
    assert "逾期" not in pages_of(desk.house, KEY, local(5, 31, 23, 59))["board"].headline
    assert "逾期未报6项" in pages_of(desk.house, KEY, local(6, 1, 0, 0))["board"].headline


def test_pages_are_the_same_at_two_hours_of_a_day_on_which_nothing_happens(desk: Desk) -> None:
    morning, evening = (pages_of(desk.house, KEY, local(6, 13, hour)) for hour in (9, 17))
    assert morning == evening
    assert pages_of(desk.house, KEY, local(6, 14))["today"] != morning["today"]


def test_the_timetable_shows_the_next_deadline_and_the_day_it_is(desk: Desk) -> None:
    timetable = pages_of(desk.house, KEY, local(6, 3))["timetable"]
    assert timetable.headline == "下一个截止：6月5日（星期五）24时前，活动方案"
    assert "| 6月5日（星期五） 09:00 | 提醒 | 活动方案 · 今日截止 |" in timetable.markdown
    (chart,) = pictures(timetable)
    assert ">今日<" in chart
    assert chart.count("<polygon") == 5 + 3  # five due days, three consolidations
    assert pages_of(desk.house, KEY, local(7, 9))["timetable"].headline == "各项材料均已到期"


def test_the_curve_counts_by_the_day_of_the_first_version(desk: Desk) -> None:
    desk.receive(local(5, 30), "BH001", "附件2.xlsx", desk.form_of("BH001", "plan"))
    desk.receive(local(6, 1), "BH025", "附件2.xlsx", desk.form_of("BH025", "plan"))
    curve = pages_of(desk.house, KEY, local(6, 2))["curve"]
    assert "| 6月1日（星期一） | 1 | 2 | 13.3% |\n| 5月31日（星期日） | 0 | 1 | 6.7% |" in curve.markdown
    assert pictures(curve)[0].count("<polyline") == 2  # the plans and the whole; of the others nothing has come


def test_today_says_what_went_out_what_came_in_and_what_needs_a_person(desk: Desk) -> None:
    desk.plan(StepKind.LAUNCH, local(5, 27, 15))
    desk.send(local(5, 27, 15))
    desk.receive(local(5, 27, 16), "BH001", "附件2.xlsx", desk.form_of("BH001", "plan"))
    with desk.house.ledger.writing() as session:
        hold(session, act(local(5, 27, 16)), "all", "先核对")
    today = pages_of(desk.house, KEY, local(5, 27, 17))["today"]
    assert today.headline == "5月27日（星期三）：发出3封，收到材料1份，等待处理0件"
    assert "启动通知3封。" in today.markdown
    assert "等待发出1封。" in today.markdown
    assert "| 5月27日 16:00 | BH001 天津经济技术开发区安委会 | 活动计划表（第1次） | 已接收 |" in today.markdown
    assert "- **暂停发信**——全部邮件：先核对" in today.markdown
    assert "没有等待处理的事项。" in today.markdown
    assert "今日没有发出邮件。" in pages_of(desk.house, KEY, local(5, 28))["today"].markdown


def test_the_contact_list_names_whom_to_telephone(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        party = desk.party("BH036")
        gone = update(ContactRow).where(ContactRow.party_id == party)
        session.execute(gone.values(bad_since=local(5, 28), bad_reason="refused: 550 no | such *user*"))
    contacts = pages_of(desk.house, KEY, local(5, 29))["contacts"]
    assert contacts.headline == "1家单位的联系方式需要核实，其中1家收不到邮件"
    assert "| BH036 塘沽街道办事处 | 没有可用的邮箱，请电话联系。失效：" in contacts.markdown
    assert "550 no \\| such \\*user\\*" in contacts.markdown


def test_pages_lead_to_the_staff_pages_where_there_is_a_portal(desk: Desk) -> None:
    desk.receive(local(5, 30), "BH001", "附件2.xlsx", desk.form_of("BH001", "plan"))
    house = replace(desk.house, portal_url="https://muster.example")
    pages = pages_of(house, KEY, local(5, 30))
    assert "](https://muster.example/staff/" in pages["board"].markdown
    assert "](https://muster.example/staff/" in pages["today"].markdown
    assert "](http" not in "".join(page.markdown for page in pages_of(desk.house, KEY, local(5, 30)).values())


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    """Return a campaign of 5,000 units, just launched."""
    folder = tmp_path_factory.mktemp("large")
    whole: LoadedCampaign = campaign_of(folder / "campaign", 5000)
    house = launched(folder, f"sqlite:///{folder / 'ledger.db'}", whole)
    yield house
    house.ledger.close()


def test_the_pages_of_5_000_units_stay_short_and_count_who_is_not_listed(large: Premises) -> None:
    with large.ledger.writing() as session:
        gone = select_of_units(300)
        session.execute(update(ContactRow).where(ContactRow.party_id.in_(gone)).values(bad_since=LAUNCH))
    pages = pages_of(large, LARGE, local(6, 3))
    assert pages["board"].headline == "5000家单位应报20000项，已报0项（0.0%），逾期未报5000项"
    assert "另有4760家没有列出" in pages["board"].markdown
    assert "另有4985家有逾期或退回" in pages["board"].markdown
    assert "另有240家没有列出" in pages["contacts"].markdown
    assert {name: len(page.markdown) < 40_000 for name, page in pages.items()} == dict.fromkeys(pages, True)


def select_of_units(count: int) -> list[int]:
    return list(range(2, count + 2))  # the office is the first party


def test_text_from_outside_is_shown_to_the_letter(house: Path, tmp_path: Path) -> None:
    assert plain("a|b *c* <d> [e](f)\n`g`") == r"a\|b \*c\* \<d\> \[e\](f) \`g\`"
    assert code("x `y` | z") == "`x 'y' \\| z`"
    assert linked("某[单位]", "") == r"某\[单位\]"
    assert linked("某单位", "https://x.example/u") == "[某单位](https://x.example/u)"
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "page.md").write_text("{{ said }} {{ meant }}", encoding="utf-8")
    assert render(tmp_path, "page.md", said="*x*", meant=Markdown("*y*")) == r"\*x\* *y*"
