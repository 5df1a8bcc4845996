"""Decisions from the command line: made with grounds, listed, taken back; refusals are one sentence."""

import io

import pytest
from sqlalchemy import select

from cli.desk import act as act_now
from ledger.acts import Act
from ledger.tables import MessageRow
from tests.cli.conftest import Door
from tests.office.test_office import Desk, local

KEY = "safety-month-2020"


@pytest.fixture(autouse=True)
def in_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let staff act on the day after the launch."""

    def then() -> Act:
        now = act_now()
        return Act(actor=now.actor, as_of=local(5, 28, 10), wall=now.wall)

    monkeypatch.setattr("cli.decisions.act", then)


def test_staff_decide_list_and_take_back(door: Door) -> None:
    code, said, _ = door("extend", "BH001,BH036", "附件2", "--until", "2020-06-04", "--grounds", "受灾")
    assert (code, "decision 1: 附件2 of BH001,BH036 is extended" in said) == (0, True)
    assert "decision 2: BH001 is exempt" in door("exempt", "BH001", "附件4", "--grounds", "无此项业务")[1]
    assert "BH036 has left" in door("remove-unit", "BH036", "--grounds", "撤并")[1]
    assert "takes part again" in door("come-back", "BH036", "--grounds", "误")[1]
    assert "BH036 is the superior of BH001" in door("superior", "BH001", "BH036", "--grounds", "划转")[1]
    assert "is paused" in door("pause", KEY, "--grounds", "汛期")[1]
    assert "活动已暂停" in door("explain", "BH001", "附件2")[1]
    assert "goes on" in door("resume", KEY, "--grounds", "汛期结束")[1]
    words = ("--due", "2020-06-08", "--text", "推迟至6月8日。", "--category", "开发区", "--grounds", "处务会")
    assert "the circular is corrected" in door("correct", "附件2", *words)[1]
    _, said, _ = door("decisions", KEY, "--unit", "BH001", width=200)
    assert "受灾" in said
    assert "staff:" in said
    assert "decision 2 is taken back" in door("undo", "2", "--grounds", "误办")[1]
    assert "undone by 9" in door("decisions", KEY, width=200)[1]
    code, _, complained = door("undo", "1", "--grounds", "误办")
    assert (code, "overtaken by decision 8; take that back first" in complained) == (1, True)
    code, _, complained = door("undo", "77", "--grounds", "误办")
    assert (code, "`muster decisions` lists them" in complained) == (1, True)


def test_a_correction_that_judges_anew_what_was_handed_in_shows_the_rates_and_asks(
    door: Door, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.receive(local(6, 2), "BH001", "表.xlsx", desk.form_of("BH001", "plan"))  # due on Sunday 05-31: late
    now = act_now()
    monkeypatch.setattr("cli.decisions.act", lambda: Act(actor=now.actor, as_of=local(6, 3), wall=now.wall))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    words = ("correct", "附件2", "--due", "2020-06-08", "--grounds", "处务会")
    code, said, complained = door(*words, width=200)
    assert (code, "give --yes" in complained) == (1, True)
    assert "units that become late: 0; that become on time: 1" in said
    assert "及时率" in said
    assert "corrected" not in door("decisions", KEY, width=200)[1]  # nothing was done
    code, said, _ = door(*words, "--yes", width=200)
    assert (code, "decision 1: the circular is corrected" in said) == (0, True)
    assert "become on time" in said
    assert "become" not in door(*words[:2], "--due", "2020-06-09", "--grounds", "处务会")[1]  # judges nothing anew


def test_a_mail_from_before_an_extension_says_what_holds_now(door: Door, desk: Desk) -> None:
    with desk.house.ledger.reading() as session:
        query = select(MessageRow.id).where(MessageRow.notice == "launch", MessageRow.party_id == desk.party("BH001"))
        number = str(session.scalars(query).one())
    assert "what holds now" not in door("mail", number, width=200)[1]
    assert door("extend", "BH001", "附件2", "--until", "2020-06-04", "--grounds", "受灾")[0] == 0
    said = door("mail", number, width=200)[1]
    assert said.count("written before its deadline was moved; what holds now is 6月4日（星期四）24时前") == 1
    assert "活动计划表 of BH001" in said


def test_an_announcement_is_shown_before_it_is_made(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    words = ("announce", KEY, "--subject", "培训通知", "--text", "6月5日下午培训。", "--grounds", "处务会")
    _, said, _ = door(*words, "--preview")
    assert "6月5日下午培训。" in said
    assert "would go to 3 units; nothing was sent" in said
    code, _, complained = door(*words, "--confirm", "no")
    assert (code, "nothing was sent" in complained) == (1, True)
    code, _, complained = door(*words)  # from cron: there is no terminal to ask at
    assert (code, f"give --confirm {KEY}" in complained) == (1, True)
    assert "announced to 3 units" in door(*words, "--confirm", KEY)[1]


def test_a_campaign_is_closed_and_reopened(door: Door) -> None:
    assert "is closed" in door("close", KEY, "--grounds", "提前办结")[1]
    assert "open again until 2020-07-20" in door("reopen-campaign", KEY, "--until", "2020-07-20", "--grounds", "补")[1]
    code, _, complained = door("resume", KEY, "--grounds", "x")
    assert (code, "is launched; nothing was changed" in complained) == (1, True)


def test_the_folder_of_a_running_campaign_is_compared_before_it_is_amended(door: Door) -> None:
    code, said, _ = door("amend", KEY)
    assert code == 0
    assert "0 differences" in said
    code, _, complained = door("amend", KEY, "--grounds", "统一要求")
    assert (code, "nothing was changed" in complained) == (1, True)
