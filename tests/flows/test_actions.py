"""Staff actions: each form does what its command does; what does not fit ends in one sentence, and nothing done."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select

from definition.loading import LoadedCampaign
from ledger.acts import Act
from ledger.requests import open_requests
from ledger.senders import holds_in_force
from ledger.tables import (
    AuditRow,
    CampaignRow,
    ContactRow,
    DecisionRow,
    MessageRow,
    ObligationRow,
    PartyRow,
    SubmissionRow,
)
from office.approvals import waiting_lists
from office.extending import extend
from office.requests import ask_extension
from office.units import find_obligation, find_unit
from rehearsal.clerk import Manner
from rules.obligations import Standing
from rules.timetable import StepKind
from settings import settings
from tests.office.test_mailbook import answered, launched
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, LAUNCH, Desk, act, local

UNIT, OTHER = "BH001", "BH036"
NOW = local(5, 28, 10)
WHO = {"requested_by": "陈静", "reason": "处务会同意"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    """Return an office after its launch; its 活动方案 is asked for on paper, of its 综合情况 there may be nothing."""
    updates = {"scheme": {"original": True}, "report": {"nil_return": True}}
    changed = tuple(d.model_copy(update=updates.get(d.key, {})) for d in cast.campaign.deliverables)
    loaded = replace(cast, campaign=cast.campaign.model_copy(update={"deliverables": changed}))
    with launched(loaded, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        answered(opened, LAUNCH, {})
        yield opened


class Staff:
    """Somebody at the run UI, at a moment of the campaign."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.at = NOW
        self.shown: list[str] = []
        self.drained: list[str] = []

    def run(self, name: str, /, **given: Any) -> Any:
        """Run an action by its name; return the state in which the run ended."""
        from flows.actions import ACTIONS  # noqa: PLC0415  after the environment is set

        flow: Any = next(action.flow for action in ACTIONS if action.flow.name == name)

        async def run() -> Any:
            return await flow(**{**WHO, **given}, return_state=True)

        return asyncio.run(run())

    def does(self, name: str, /, **given: Any) -> str:
        """Run an action that is done; return what it says."""
        state = self.run(name, **given)
        assert state.is_completed(), state.message
        assert state.message
        return str(state.message)

    def refused(self, name: str, /, **given: Any) -> str:
        """Run an action that is refused: one Chinese sentence, and nothing written; return the sentence."""
        before = self.entries()
        state = self.run(name, **given)
        assert (state.type, state.name) == ("FAILED", "Failed")
        assert self.entries() == before
        said = str(state.message)
        assert said.startswith("没有办理")
        assert said.endswith("。")
        assert said.count("。") == 1
        assert "\n" not in said
        assert "Traceback" not in said
        return said

    def entries(self) -> int:
        with self.desk.house.ledger.reading() as session:
            return session.scalar(select(func.count()).select_from(AuditRow)) or 0

    def last(self) -> DecisionRow:
        with self.desk.house.ledger.reading() as session:
            return session.scalars(select(DecisionRow).order_by(DecisionRow.id.desc()).limit(1)).one()

    def mails(self, notice: str) -> list[MessageRow]:
        with self.desk.house.ledger.reading() as session:
            return list(session.scalars(select(MessageRow).where(MessageRow.notice == notice)))

    def due_of(self, unit: str, deliverable: str) -> datetime | None:
        with self.desk.house.ledger.reading() as session:
            return find_obligation(session, find_unit(session, unit), deliverable).due_at


@pytest.fixture
def staff(desk: Desk, prefect: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Staff]:
    """Return somebody at the run UI; mail leaves to a relay that takes all."""
    monkeypatch.setenv("MUSTER_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("MUSTER_SIGNING_SECRET", "a secret for the tests only")
    settings.cache_clear()
    from flows.actions import action  # noqa: PLC0415
    from tasks import actions  # noqa: PLC0415

    one = Staff(desk)

    async def drain(campaign: str, moment: datetime) -> None:
        one.drained.append(campaign)
        await asyncio.to_thread(answered, desk, moment, {})

    async def tell() -> None:
        pass

    async def show(**artifact: str) -> None:
        assert re.fullmatch(r"[a-z0-9-]+", artifact["key"])
        one.shown.append(artifact["markdown"])

    monkeypatch.setattr(action, "drain_outbox", drain)
    monkeypatch.setattr(action, "tell_events", tell)
    monkeypatch.setattr(actions, "acreate_markdown_artifact", show)
    monkeypatch.setattr(actions, "premises", lambda: desk.house)
    monkeypatch.setattr(actions, "now", lambda: one.at)
    monkeypatch.setattr(action, "now", lambda: one.at)
    yield one
    settings.cache_clear()


def test_an_extension_moves_the_deadline_and_shows_what_it_did(staff: Staff) -> None:
    said = staff.does("extend", unit=UNIT, deliverable="附件2", until="2020-06-04")
    assert said == "已将BH001的《活动计划表》延期至6月4日。"
    assert staff.due_of(UNIT, "plan") == local(6, 5, 0)
    made = staff.last()
    assert (made.kind, made.actor, made.grounds) == ("extended", "staff:陈静", "处务会同意")
    assert made.flow_run_id is not None
    (shown,) = staff.shown
    for part in ("陈静", "处务会同意", f"第 {made.id} 号（延期）", "收回决定", "BH001", "5月31日", "6月4日", "已发出"):
        assert part in shown
    assert [m.state for m in staff.mails("decided")] == ["sent"]


def test_units_are_named_by_code_full_name_category_or_all(staff: Staff, desk: Desk) -> None:
    with desk.house.ledger.reading() as session:
        name = find_unit(session, OTHER).name
    staff.does("extend", unit=f"{name}，{UNIT}", deliverable="活动计划表", until=date(2020, 6, 4), campaign=KEY)
    assert staff.due_of(UNIT, "plan") == staff.due_of(OTHER, "plan") == local(6, 5, 0)
    staff.does("exempt", unit="全部", deliverable="附件4")
    assert len(staff.last().after["to"]) == 1
    with desk.house.ledger.reading() as session:
        rows = session.scalars(select(ObligationRow).where(ObligationRow.exempt_at.is_not(None)))
        assert len(list(rows)) == 3


def handed_in(desk: Desk, deliverable: str = "plan", manner: Manner = Manner.RIGHT) -> int:
    desk.receive(local(5, 28, 9), UNIT, "表.xlsx", desk.form_of(UNIT, deliverable, manner))
    with desk.house.ledger.reading() as session:
        return session.scalars(select(SubmissionRow.id).order_by(SubmissionRow.id.desc()).limit(1)).one()


def test_the_latest_version_is_returned_and_the_reasons_stand_each_by_itself(staff: Staff, desk: Desk) -> None:
    number = handed_in(desk)
    said = staff.does("return", unit=UNIT, deliverable="附件2", reason="缺少总数；没有盖章", due="2020-06-03")
    assert f"第{number}号报送件" in said
    assert staff.last().after["reasons"] == ["缺少总数", "没有盖章"]
    assert staff.due_of(UNIT, "plan") == local(6, 4, 0)
    assert desk.standings(UNIT)["plan"] is Standing.RETURNED
    assert "已经退回" in staff.refused("return", submission=number, reason="再退")


def test_a_returned_version_is_accepted_by_its_number(staff: Staff, desk: Desk) -> None:
    number = handed_in(desk)
    staff.does("return", submission=number)
    staff.does("accept", submission=number)
    assert desk.standings(UNIT)["plan"] is Standing.ACCEPTED
    assert "已经接收" in staff.refused("accept", submission=number)
    assert "没有第9999号报送件" in staff.refused("accept", submission=9999)
    assert "不是" in staff.refused("accept", submission=number, unit=OTHER)
    assert "报送件编号" in staff.refused("accept")
    assert "还没有报送" in staff.refused("accept", unit=OTHER, deliverable="附件2")


def test_a_judgement_is_taken_back_by_the_number_of_its_decision(staff: Staff, desk: Desk) -> None:
    staff.does("extend", unit=UNIT, deliverable="plan", until="2020-06-04")
    number = staff.last().id
    staff.does("undo", decision=number)
    assert staff.due_of(UNIT, "plan") == local(6, 1, 0)
    assert f"第{number}号决定已由" in staff.refused("undo", decision=number)
    assert "没有第999号决定" in staff.refused("undo", decision=999)


def test_a_nil_return_is_recorded_once(staff: Staff, desk: Desk) -> None:
    nil = {"unit": UNIT, "deliverable": "活动综合情况", "received": "2020-05-28T09:30", "channel": "当面"}
    staff.does("record-nil", **nil)
    with desk.house.ledger.reading() as session:
        version = session.scalars(select(SubmissionRow)).one()
        told = (version.channel, version.grounds, version.received_at, version.entered_by)
        assert told == ("person", "处务会同意", local(5, 28, 9, 30), "staff:陈静")
    assert [m.state for m in staff.mails("receipt")] == ["sent"]
    assert "已经登记过零报告" in staff.refused("record-nil", **nil)
    assert "不能登记零报告" in staff.refused("record-nil", **{**nil, "deliverable": "附件2"})
    assert "不是时间" in staff.refused("record-nil", **{**nil, "received": "昨天"})
    assert "还没有到" in staff.refused("record-nil", **{**nil, "unit": OTHER, "received": "2030-01-01T00:00:00Z"})


def test_an_original_on_paper_is_recorded_and_taken_back(staff: Staff, desk: Desk) -> None:
    came = {"unit": UNIT, "deliverable": "活动方案", "received": "2020-05-28T09:00"}
    staff.does("record-paper", **came)
    with desk.house.ledger.reading() as session:
        assert find_obligation(session, find_unit(session, UNIT), "scheme").original_at == local(5, 28, 9)
    assert "登记收到纸质件" in staff.shown[-1]
    assert "没有需要发给单位的邮件" in staff.shown[-1]
    staff.does("undo", decision=staff.last().id)
    assert "不要求报送纸质件" in staff.refused("record-paper", **{**came, "deliverable": "附件2"})
    assert "没有“BH777”这家单位" in staff.refused("record-paper", **{**came, "unit": "BH777"})


def test_a_contact_is_changed_and_both_are_told(staff: Staff, desk: Desk) -> None:
    given = {"unit": UNIT, "role": "值班", "email": "New@bureau.example"}
    staff.does("change-contact", **given)
    with desk.house.ledger.reading() as session:
        first = select(ContactRow).where(ContactRow.address == "new@bureau.example")
        assert session.scalars(first).one().role == "duty"
    assert len(staff.mails("contact_changed")) == 2
    assert "已经是" in staff.refused("change-contact", **given)
    assert "邮箱“x”" in staff.refused("change-contact", **{**given, "email": "x"})
    assert "电话" in staff.refused("change-contact", **{**given, "phone": "none"})
    assert "联系人类别" in staff.refused("change-contact", **{**given, "role": "局长"})


def test_a_mail_is_written_anew_once(staff: Staff) -> None:
    number = staff.mails("launch")[0].id
    assert f"第{number}号邮件已重写" in staff.does("resend", mail=number)
    assert "已经重发过" in staff.refused("resend", mail=number)
    assert "没有第999号邮件" in staff.refused("resend", mail=999)
    assert "不是整数" in staff.refused("resend", mail="第三封")


def test_sending_is_held_and_released(staff: Staff, desk: Desk) -> None:
    staff.does("hold")
    assert "已经暂停发信" in staff.refused("hold")
    with desk.house.ledger.reading() as session:
        assert [(one.scope, one.actor) for one in holds_in_force(session)] == [(f"campaign:{KEY}", "staff:陈静")]
    staff.does("release")
    assert "没有暂停发信" in staff.refused("release")
    assert "请填写通道名称" in staff.refused("hold", scope="某一通道的邮件")
    assert "没有名为“yahoo”的通道" in staff.refused("hold", scope="某一通道的邮件", lane="yahoo")
    staff.does("hold", scope="某一通道的邮件", lane="tencent")
    staff.does("hold", scope="全部邮件")
    before = len(staff.drained)
    staff.does("release", scope="全部邮件")
    assert staff.drained[before:] == [KEY]


def test_a_campaign_is_paused_resumed_and_closed(staff: Staff, desk: Desk) -> None:
    def state() -> str:
        with desk.house.ledger.reading() as session:
            return session.scalars(select(CampaignRow.state)).one()

    assert "正在进行" in staff.refused("resume")
    staff.does("pause")
    assert state() == "paused"
    staff.does("resume")
    assert state() == "launched"
    staff.does("close")
    assert state() == "closed"
    assert len(staff.mails("closing")) == 3
    assert "没有正在进行的活动" in staff.refused("close")
    assert "已结束" in staff.refused("close", campaign=KEY)


def asked(desk: Desk) -> str:
    """Let the second rung come to wait for consent; return its occasion."""
    for day in (3, 5, 8):
        desk.plan(StepKind.ESCALATE, local(6, day, 9))
        answered(desk, local(6, day, 9, 1), {})
    with desk.house.ledger.reading() as session:
        return waiting_lists(session, KEY)[0][0]


def test_a_rung_is_kept_back_and_agreed_to_without_its_number_being_named(staff: Staff, desk: Desk) -> None:
    assert "目前没有等待审批" in staff.refused("approve")
    occasion = asked(desk)
    staff.at = local(6, 8, 10)
    assert "已经到了" in staff.refused("decline", until="2020-06-01")
    assert "没有编号为“escalate:9”" in staff.refused("approve", occasion="escalate:9")
    said = staff.does("approve")
    assert occasion in said
    assert "已经批复过" in staff.refused("approve", occasion=occasion)
    assert staff.mails("escalation_digest")


def test_a_rung_is_declined_until_a_day(staff: Staff, desk: Desk) -> None:
    asked(desk)
    staff.at = local(6, 8, 10)
    assert "6月12日起再提请审批" in staff.does("decline", until="2020-06-12")
    assert not staff.mails("escalation_digest")


def test_a_unit_joins_and_leaves(staff: Staff, desk: Desk) -> None:
    new = {"code": "BH099", "name": "新区管委会", "category": "街镇", "email": "duty@new.example"}
    assert "没有“乡镇”这个类别" in staff.refused("add-unit", **{**new, "category": "乡镇"})
    assert "“BH777”不在活动中" in staff.refused("add-unit", **{**new, "superior": "BH777"})
    staff.does("add-unit", **new)
    assert "“BH099”的单位已在活动中" in staff.refused("add-unit", **new)
    assert len(staff.mails("launch")) == 4
    staff.does("remove-unit", unit="新区管委会")
    assert "不必再退出" in staff.refused("remove-unit", unit="BH099")
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(PartyRow).where(PartyRow.code == "BH099")).one().left_at is not None
    assert "“新区管委会”已退出活动" in staff.refused("exempt", unit="新区管委会", deliverable="plan")


def test_an_announcement_is_looked_at_first_and_then_sent(staff: Staff) -> None:
    given = {"to": "全部", "subject": "培训通知", "text": "6月5日下午培训。"}
    before = staff.entries()
    assert staff.does("announce", **given) == "预览：将发给 3 家单位，尚未发出。"
    assert staff.entries() == before
    (shown,) = staff.shown
    assert UNIT in shown
    assert "6月5日下午培训。" in shown
    assert "没有需要发给单位的邮件" not in shown
    assert staff.does("announce", **given, preview=False) == "已向 3 家单位发出通知“培训通知”。"
    assert len(staff.mails("announcement")) == 3
    assert "邮件标题须为一行" in staff.refused("announce", **{**given, "subject": "长" * 61})
    assert "既不是单位也不是类别" in staff.refused("announce", **{**given, "to": "乡镇"})


def wish(desk: Desk) -> int:
    with desk.house.ledger.writing() as session:
        party = find_unit(session, UNIT)
        plan = find_obligation(session, party, "plan")
        return ask_extension(
            session, desk.house, act(local(5, 28, 9)), party, plan.id, until=date(2020, 6, 5), reason="受灾"
        ).id


def test_a_request_is_granted_on_another_day(staff: Staff, desk: Desk) -> None:
    number = wish(desk)
    assert "应晚于现在的截止时间" in staff.refused("grant", request=number, until="2020-05-31")
    staff.does("grant", request=number, until="2020-06-03")
    assert staff.due_of(UNIT, "plan") == local(6, 4, 0)
    assert "已经处理过了" in staff.refused("refuse", request=number)
    assert "没有第77号申请" in staff.refused("grant", request=77)


def test_a_request_is_refused_with_grounds(staff: Staff, desk: Desk) -> None:
    number = wish(desk)
    staff.does("refuse", request=number, reason="市里不同意")
    assert staff.last().grounds == "市里不同意"
    with desk.house.ledger.reading() as session:
        assert not open_requests(session, 1)
    assert [m.state for m in staff.mails("refused")] == ["sent"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"until": "六月四日"}, "“新的截止日期”填的“六月四日”不是日期，请写成 2020-06-11 这样的形式"),
        ({"until": "2020-05-27"}, "应在今天至活动截止日期7月10日之间"),
        ({"until": "2020-08-01"}, "应在今天至活动截止日期7月10日之间"),
        ({"until": "2020-05-30"}, "截止时间都不早于新日期"),
        ({"until": None}, "请填写“新的截止日期”"),
        ({"unit": "BH777"}, "“BH777”既不是单位也不是类别"),
        ({"deliverable": "附件9"}, "没有“附件9”这项材料，可填：附件2活动计划表"),
        ({"occurrence": "2020-06-05"}, "没有“2020-06-05”这一期"),
        ({"campaign": "flood"}, "没有启动过代码为“flood”的活动，已启动的有：safety-month-2020"),
        ({"reason": " "}, "请写明办理理由"),
        ({"requested_by": "　"}, "请填写经办人姓名"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence_that_names_the_remedy(
    staff: Staff, given: dict[str, Any], said: str
) -> None:
    right = {"unit": UNIT, "deliverable": "附件2", "until": "2020-06-04"}
    assert said in staff.refused("extend", **{**right, **given})


def test_every_form_is_flat_and_speaks_chinese() -> None:
    from prefect.utilities.callables import parameter_schema  # noqa: PLC0415

    from flows.actions import ACTIONS  # noqa: PLC0415

    assert len({action.flow.name for action in ACTIONS}) == len(ACTIONS) >= 21
    for action in ACTIONS:
        schema = parameter_schema(action.flow).model_dump_for_openapi()
        assert not schema["definitions"]
        assert {"requested_by", "reason"} <= set(schema["required"])
        assert CHINESE.search(action.title)
        assert CHINESE.search(action.description)
        for name, field in schema["properties"].items():
            assert field["type"] in ("string", "integer", "boolean"), (action.flow.name, name)
            assert CHINESE.search(field["title"]), (action.flow.name, name)
            assert CHINESE.search(field["description"]), (action.flow.name, name)


def test_every_action_is_found_at_its_entrypoint() -> None:
    from prefect.utilities.importtools import import_object  # noqa: PLC0415

    from flows.actions import ACTIONS  # noqa: PLC0415

    assert all(import_object(action.entrypoint) is action.flow for action in ACTIONS)
    assert all(asyncio.iscoroutinefunction(action.flow.fn) for action in ACTIONS)


def test_the_how_to_lists_every_action_with_its_fields(house: Path) -> None:
    from flows.actions import ACTIONS  # noqa: PLC0415

    page = (house / "docs" / "how-to" / "staff-actions.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    listed = {row[0].strip("`"): (row[1], row[2]) for row in rows}
    said = {}
    for action in ACTIONS:
        properties = action.flow.parameters.properties
        fields = [f["title"] for n, f in properties.items() if n not in ("campaign", "requested_by", "reason")]
        said[action.flow.name] = (action.title, "、".join(fields) or "—")
    assert listed == said


def test_a_run_that_is_tried_again_does_nothing_twice(
    staff: Staff, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from office.announcing import Announcement, announce  # noqa: PLC0415
    from tasks import actions  # noqa: PLC0415

    def verb(at: Any, given: Any) -> Any:
        said = Announcement(subject="培训", text="请参加。")
        announce(at.session, at.house, at.act, at.campaign, said, to=["all"], grounds=given["reason"])
        return actions.Done(said="已发")

    run = replace(act(NOW), actor="staff:陈静", flow_run_id="a-run")
    for count, expected in ((1, "已发"), (2, actions.AGAIN)):
        monkeypatch.setattr(actions, "flow_run", SimpleNamespace(run_count=count))
        assert actions._carry_out(verb, "", run, WHO).done.said == expected
    assert len(staff.mails("announcement")) == 3
    other = replace(run, flow_run_id="another-run")
    assert actions._carry_out(verb, "", other, WHO).done.said == "已发"


def test_what_a_colleague_decides_after_the_form_was_sent_refuses_it(
    staff: Staff, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import actions  # noqa: PLC0415

    def meanwhile() -> Any:
        monkeypatch.setattr(actions, "premises", lambda: desk.house)
        with desk.house.ledger.writing() as session:
            by = Act.now("staff:王芳", NOW)
            extend(session, desk.house, by, KEY, "scheme", to=[UNIT], until=date(2020, 6, 9), grounds="来函")
        return desk.house

    monkeypatch.setattr(actions, "premises", meanwhile)
    state = staff.run("extend", unit=UNIT, deliverable="scheme", until="2020-06-12")
    assert state.is_failed()
    assert "王芳已就同一事项作了决定" in state.message
    assert staff.due_of(UNIT, "scheme") == local(6, 10, 0)
    staff.does("extend", unit=UNIT, deliverable="scheme", until="2020-06-12")  # having looked
