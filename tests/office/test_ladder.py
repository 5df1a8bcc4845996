"""The ladder over a real ledger: promises, consent, bulletins, and what is dropped, capped and said by state."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from definition.models import Audience, Reminders, Rung, ToResponsible
from ledger import audit
from ledger.campaigns import find_party
from ledger.errors import UnknownApproval
from ledger.ladder import open_approvals
from ledger.tables import ApprovalRow, DraftRow, ItemRow, MessageRow, ObligationRow, PartyRow
from mail.parsing import parse_mail
from office.acknowledging import acknowledge, rung_page
from office.approvals import approve, decline, list_shown, waiting_lists
from office.board import board, cell_text
from office.exempting import exempt
from office.explaining import explain
from office.mailbook import Bytes, bytes_of
from office.outbox import claim_shard
from office.pausing import pause, resume
from office.refusals import NotPossible
from office.requests import ask_extension, refuse
from office.timetable import outlook
from office.unit_own import NotYoursError
from office.wording import STANDING
from rules.timetable import StepKind
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local
from tests.office.test_requests import plan_of

URL = "https://report.office.example"
# The plan and the list are due on Sunday 05-31; working days after: Tuesday 06-02, Thursday 06-04, Monday 06-08, …
SHIPPED = (
    Rung(after=2, audience=Audience.UNIT, notice="escalation", acknowledge=True),
    Rung(
        after=4,
        audience=Audience.SUPERIOR,
        notice="escalation_digest",
        acknowledge=True,
        approval=True,
        name="告知主管",
    ),
    Rung(after=6, audience=Audience.OFFICE, notice="escalation_digest"),
    Rung(after=8, audience=Audience.CAMPAIGN, notice="escalation_bulletin"),
)
OCCASION = "escalate:2:2020-06-04"


def with_ladder(loaded: LoadedCampaign, *rungs: Rung, **timetable: Any) -> LoadedCampaign:
    """Return a campaign with two units under BH025, and another ladder."""
    units = tuple(replace(u, superior="OFFICE" if u.code == "BH025" else "BH025") for u in loaded.units)
    table = loaded.campaign.timetable.model_copy(update={"escalation": rungs, **timetable})
    return replace(loaded, units=units, campaign=loaded.campaign.model_copy(update={"timetable": table}))


def opened(loaded: LoadedCampaign, folder: Path) -> Iterator[Desk]:
    with launched(loaded, folder, f"sqlite:///{folder / 'ledger.db'}") as desk:
        desk.house = replace(desk.house, portal_url=URL)
        desk.send(local(5, 27, 15))
        yield desk


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    yield from opened(with_ladder(cast, *SHIPPED), tmp_path)


def climb(desk: Desk, at: datetime) -> dict[str, int]:
    """Run the escalation of a moment and send what it planned."""
    planned = desk.plan(StepKind.ESCALATE, at)
    desk.send(at)
    return planned


def text_of(desk: Desk, code: str, notice: str) -> str:
    with desk.house.ledger.reading() as session:
        query = select(MessageRow.id).where(MessageRow.party_id == desk.party(code), MessageRow.notice == notice)
        found = bytes_of(session, desk.house, session.scalars(query.order_by(MessageRow.id.desc())).first() or 0)
    assert isinstance(found, Bytes)
    return parse_mail(b"".join(found.chunks)).text


def report(desk: Desk, at: datetime, code: str, *names: str) -> None:
    for name in names or ("plan", "liaison"):
        desk.receive(at, code, "表.xlsx", desk.form_of(code, name), message_id=f"<{name}{at.timestamp()}@unit.example>")


def consent(desk: Desk, at: datetime, occasion: str = OCCASION) -> tuple[int, int]:
    with desk.house.ledger.writing() as session:
        done = approve(session, desk.house, act(at), occasion, grounds="主任已阅")
    return done.mails, done.left_out


def promise(desk: Desk, at: datetime, day: date, code: str = "BH001", number: int = 1) -> None:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, code)
        acknowledge(session, replace(act(at), actor=f"unit:{code}"), party, number, day)


def waiting(desk: Desk) -> list[str]:
    with desk.house.ledger.reading() as session:
        return [one.occasion for one in open_approvals(session)]


def test_a_rung_waits_for_consent_and_those_who_reported_since_drop_out(desk: Desk) -> None:
    assert climb(desk, local(6, 2)) == {"escalation": 3}
    assert climb(desk, local(6, 4)) == {}
    assert waiting(desk) == [OCCASION]
    with desk.house.ledger.reading() as session:
        assert [line[:5] for line in waiting_lists(session)] == [(OCCASION, KEY, "告知主管", "3", "6")]
        assert len(list_shown(session, OCCASION)) == 6
    alert = text_of(desk, "OFFICE", "alert")
    assert "告知主管：3家单位6项材料（escalate:2:2020-06-04）" in alert
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(MessageRow.address).where(MessageRow.notice == "alert")).all() == [
            "approve@office.example"
        ]
    report(desk, local(6, 4, 10), "BH036")
    assert consent(desk, local(6, 4, 11)) == (2, 2)  # one to BH025 of BH001, one to the office of BH025
    desk.send(local(6, 4, 11))
    digest = text_of(desk, "BH025", "escalation_digest")
    assert digest.count("活动计划表") == 1
    assert "已逾期4天" in digest
    assert "最近联系 6月2日 09:00（邮件）" in digest
    assert f"{URL}/u/" in digest
    assert "/a/2" in digest
    with desk.house.ledger.reading() as session:
        assert not audit.verify(session).fault
    assert climb(desk, local(6, 8)) == {"escalation_digest": 1}  # Monday: the office, two working days after consent


def test_consent_waits_for_a_paused_campaign_and_leaves_out_who_was_exempted(desk: Desk) -> None:
    for day in (2, 4):
        climb(desk, local(6, day))
    with desk.house.ledger.writing() as session:
        pause(session, act(local(6, 4, 10)), KEY, "汛期")
        exempt(session, desk.house, act(local(6, 4, 10)), KEY, "plan", to=["all"], grounds="并入综合表")
    with pytest.raises(NotPossible, match="is paused"):
        consent(desk, local(6, 4, 11))
    with desk.house.ledger.writing() as session:
        resume(session, act(local(6, 4, 12)), KEY, "汛期结束")
    assert consent(desk, local(6, 4, 13)) == (2, 3)


def test_if_all_have_reported_nothing_goes_out(desk: Desk) -> None:
    for day in (2, 4):
        climb(desk, local(6, day))
    for code in ("BH001", "BH025", "BH036"):
        report(desk, local(6, 4, 10), code)
    assert consent(desk, local(6, 4, 11)) == (0, 6)
    with pytest.raises(NotPossible, match="approved already"):
        consent(desk, local(6, 4, 12))


def test_without_consent_nothing_goes_out_and_staff_are_asked_again_each_day(desk: Desk) -> None:
    climb(desk, local(6, 2))
    for day in (4, 5, 8):
        assert climb(desk, local(6, day)) == {}
        assert desk.plan(StepKind.ESCALATE, local(6, day, 10)) == {}  # once a day
        assert waiting(desk) == [f"escalate:2:2020-06-{day:02}"]
    with desk.house.ledger.reading() as session:
        assert len(session.scalars(select(MessageRow).where(MessageRow.notice == "alert")).all()) == 3
        assert len(session.scalars(select(ApprovalRow).where(ApprovalRow.state == "lapsed")).all()) == 2
    with pytest.raises(NotPossible, match="lapsed already"):
        consent(desk, local(6, 8, 11), "escalate:2:2020-06-05")
    with pytest.raises(UnknownApproval, match="muster approvals"):
        consent(desk, local(6, 8, 11), "escalate:3:2020-06-08")


@pytest.mark.parametrize(("until", "again"), [(None, 5), (date(2020, 6, 8), 8)])
def test_what_is_declined_is_asked_about_again_later(desk: Desk, until: date | None, again: int) -> None:
    for day in (2, 4):
        climb(desk, local(6, day))
    with desk.house.ledger.writing() as session:
        when = decline(session, act(local(6, 4, 10)), OCCASION, grounds="再等一等", until=until)
    assert when == local(6, again)
    for day in range(4, again):
        assert desk.plan(StepKind.ESCALATE, local(6, day, 11)) == {}
        assert waiting(desk) == []
    climb(desk, local(6, again))
    assert waiting(desk) == [f"escalate:2:2020-06-{again:02}"]


def test_a_promise_made_on_the_page_of_a_mail_holds_the_superior_s_rung(desk: Desk) -> None:
    climb(desk, local(6, 2))
    assert "/a/1" in text_of(desk, "BH001", "escalation")
    promise(desk, local(6, 3), date(2020, 6, 5))
    climb(desk, local(6, 5))  # Friday: the others are listed, BH001 is not
    with desk.house.ledger.reading() as session:
        assert {line[1][:5] for line in list_shown(session, "escalate:2:2020-06-05")} == {"BH025", "BH036"}
        shown = board(session, KEY)
        line = next(row for row in shown.rows if row.code == "BH001")
        assert cell_text(line.cells["plan"], STANDING, shown.nil, shown.promised) == "未报（承诺6月5日）"
        assert not audit.verify(session).fault
    climb(desk, local(6, 8))  # Monday: the promise is broken
    with desk.house.ledger.reading() as session:
        assert len(list_shown(session, "escalate:2:2020-06-08")) == 6


def test_a_second_promise_takes_the_first_one_s_place_and_a_third_is_none(desk: Desk) -> None:
    climb(desk, local(6, 2))
    for day in (3, 3, 9):  # a double click promises once
        promise(desk, local(6, 3), date(2020, 6, day))
    with pytest.raises(NotPossible) as refused:
        promise(desk, local(6, 3), date(2020, 6, 12))
    assert refused.value.code == "promised_twice"
    with desk.house.ledger.reading() as session:
        page = rung_page(session, find_party(session, 1, "BH001"), 1, local(6, 3))
        assert (page.promised_text, page.may_promise) == ("6月9日（星期二）", False)
    climb(desk, local(6, 9))
    with desk.house.ledger.reading() as session:
        assert "BH001" not in {line[1][:5] for line in list_shown(session, "escalate:2:2020-06-09")}


@pytest.mark.parametrize(
    ("day", "is_taken"),
    [(date(2020, 6, 1), False), (date(2020, 6, 2), True), (date(2020, 7, 10), True), (date(2020, 7, 11), False)],
)
def test_a_promise_lies_between_today_and_the_close(desk: Desk, day: date, is_taken: bool) -> None:
    climb(desk, local(6, 2))
    if is_taken:
        promise(desk, local(6, 2, 23), day)
        return
    with pytest.raises(NotPossible) as refused:
        promise(desk, local(6, 2, 23), day)
    assert "7月10日（星期五）" in refused.value.for_unit


def test_a_superior_promises_for_its_units_and_nobody_for_a_rung_on_which_it_was_not_told(desk: Desk) -> None:
    climb(desk, local(6, 2))
    with pytest.raises(NotYoursError):
        promise(desk, local(6, 4), date(2020, 6, 9), "BH025", 2)
    climb(desk, local(6, 4))
    consent(desk, local(6, 4, 10))
    desk.send(local(6, 4, 10))
    with desk.house.ledger.reading() as session:
        page = rung_page(session, find_party(session, 1, "BH025"), 2, local(6, 4, 10))
        assert page.of_others
        assert len(page.lines) == 4
    promise(desk, local(6, 5), date(2020, 6, 9), "BH025", 2)
    assert climb(desk, local(6, 8)) == {"escalation_digest": 1}  # of BH025 itself, for which nobody promised
    assert "BH001" not in text_of(desk, "OFFICE", "escalation_digest")
    with pytest.raises(NotYoursError):
        promise(desk, local(6, 9), date(2020, 6, 10), "BH036", 2)


def test_a_unit_that_reports_while_the_digest_waits_is_not_in_it(desk: Desk) -> None:
    for day in (2, 4):
        climb(desk, local(6, day))
    consent(desk, local(6, 4, 19))  # after hours: it waits for the morning
    assert desk.send(local(6, 4, 19)).unsent_by_reason() == {"outside_window": 2}
    for code in ("BH001", "BH036"):
        report(desk, local(6, 4, 20), code)
    assert desk.send(local(6, 5)).unsent_by_reason() == {"nothing_left": 1}


def test_a_bulletin_goes_to_all_with_one_list_that_is_read_when_it_leaves(cast: LoadedCampaign, tmp_path: Path) -> None:
    bulletin = Rung(after=2, audience=Audience.CAMPAIGN, notice="escalation_bulletin", name="通报")
    for desk in opened(with_ladder(cast, bulletin), tmp_path):
        assert desk.plan(StepKind.ESCALATE, local(6, 2, 19)) == {"escalation_bulletin": 4}
        assert desk.plan(StepKind.ESCALATE, local(6, 2, 20)) == {}
        report(desk, local(6, 2, 21), "BH036")
        desk.send(local(6, 3))
        for code in ("OFFICE", "BH001", "BH036"):
            said = text_of(desk, code, "escalation_bulletin")
            assert said.count("已逾期3天") == 4
            assert "以下单位经多次催办仍未报送材料，现予通报" in said
        assert desk.plan(StepKind.ESCALATE, local(6, 4)) == {}


def test_a_bulletin_of_which_nothing_is_left_goes_to_nobody(cast: LoadedCampaign, tmp_path: Path) -> None:
    bulletin = Rung(after=2, audience=Audience.CAMPAIGN, notice="escalation_bulletin")
    for desk in opened(with_ladder(cast, bulletin), tmp_path):
        desk.plan(StepKind.ESCALATE, local(6, 2, 19))
        for code in ("BH001", "BH025", "BH036"):
            report(desk, local(6, 2, 21), code)
        with desk.house.ledger.reading() as session:
            waits = select(MessageRow.id).where(MessageRow.state == "planned", MessageRow.mail_class == "reply")
            replies = len(session.scalars(waits).all())
        for count in (
            replies,
            0,
        ):  # first they leave; then the office's copy, which has the list, ends before the others
            with desk.house.ledger.writing() as session:
                shard = claim_shard(session, desk.house, act(local(6, 3)), KEY, sender="test", limit=count or 1)
                assert len(shard.envelopes) == count
        with desk.house.ledger.reading() as session:
            ended = select(MessageRow.party_id).where(MessageRow.notice == "escalation_bulletin")
            assert session.scalars(ended.where(MessageRow.state == "superseded")).all() == [desk.party("OFFICE")]
        assert desk.send(local(6, 3)).unsent_by_reason() == {"nothing_left": 3}


def test_the_daily_cap_puts_a_rung_off_and_loses_none(cast: LoadedCampaign, tmp_path: Path) -> None:
    responsible = Reminders(after=(2,), responsible=ToResponsible.model_validate({"from": "after:2"}))
    loaded = with_ladder(cast, *SHIPPED[:1], *SHIPPED[2:], reminders=responsible)
    sending = loaded.campaign.sending.model_copy(update={"daily_cap": 1})
    loaded = replace(loaded, campaign=loaded.campaign.model_copy(update={"sending": sending}))
    for desk in opened(loaded, tmp_path):
        at = local(6, 2)
        assert desk.plan(StepKind.REMIND, at) == {"reminder": 3, "reminder_responsible": 1}
        assert desk.plan(StepKind.ESCALATE, at) == {"escalation": 3}
        # BH025 and BH036 have one address each: two mails, and one a day; the escalation goes first.
        assert desk.send(at).unsent_by_reason() == {"cap_reached": 3}
        with desk.house.ledger.reading() as session:
            left = session.scalars(select(MessageRow.notice).where(MessageRow.state == "planned")).all()
            assert sorted(left) == ["reminder", "reminder", "reminder_responsible"]
        assert dict(desk.send(local(6, 3)).outcomes) == {"sent": 3}
        with desk.house.ledger.reading() as session:
            to = select(MessageRow.address).where(MessageRow.party_id == desk.party("BH001"))
            said = {
                n: session.scalars(to.where(MessageRow.notice == n)).one() for n in ("reminder", "reminder_responsible")
            }
            assert said == {"reminder": "duty@bureau.example", "reminder_responsible": "lead@bureau.example"}
        assert desk.plan(StepKind.REMIND, local(6, 3)) == {}


def test_a_liaison_who_is_the_responsible_person_too_gets_one_reminder_for_both(
    cast: LoadedCampaign, tmp_path: Path
) -> None:
    both = Reminders(after=(2,), responsible=ToResponsible.model_validate({"from": "after:2"}))
    for desk in opened(with_ladder(cast, *SHIPPED, reminders=both), tmp_path):
        at, code = local(6, 2), "BH025"  # it has one address
        foreseen = outlook(desk.house, KEY, at, replay=False).mails
        marked = [to.split()[0] for _, to, notice, _ in foreseen if "same address" in notice]
        assert sorted(marked) == ["BH025", "BH036"]
        assert desk.plan(StepKind.REMIND, at) == {"reminder": 3, "reminder_responsible": 1}
        assert dict(desk.send(at).outcomes) == {"sent": 4}
        with desk.house.ledger.reading() as session:
            query = select(MessageRow.notice, ItemRow.rung).join(ItemRow, ItemRow.message_id == MessageRow.id)
            query = query.where(MessageRow.party_id == desk.party(code), MessageRow.occasion == "remind:2020-06-02")
            told = session.execute(query.where(MessageRow.state == "sent", ~ItemRow.gone)).all()
            assert {(n, rung) for n, rung in told} == {("reminder", "after:2"), ("reminder", "after:2:responsible")}
            parts = explain(session, desk.house, at, code, "附件2")
        lines = [line for part in parts for line in part.lines if "合为一封" in line]
        assert len(lines) == 1
        assert "已发出" in lines[0]
        assert text_of(desk, code, "reminder").count("附件2") == text_of(desk, "BH001", "reminder").count("附件2") > 0
        for later in (at, local(6, 3)):  # both rungs are on record: neither is said again
            assert desk.plan(StepKind.REMIND, later) == {}


def test_a_reminder_says_how_each_thing_stands_and_only_to_whom_it_applies(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        number = plan_of(desk, "BH001")
        written = {"as_of": local(5, 28), "recorded_at": local(5, 28)}
        session.add(DraftRow(obligation_id=number, entries={}, **written))
        party = session.get_one(PartyRow, desk.party("BH036"))
        asked = ask_extension(
            session, desk.house, replace(act(local(5, 28)), actor="unit:BH036"), party, plan_of(desk, "BH036"),
            until=date(2020, 6, 4), reason="忙",
        )  # fmt: skip
        refuse(session, desk.house, act(local(5, 28, 10)), asked.id, grounds="市里催得急")
    desk.plan(StepKind.REMIND, local(5, 29))
    with desk.house.ledger.writing() as session:
        claim_shard(session, desk.house, act(local(5, 29)), KEY, sender="test", limit=1000)
    said = {code: text_of(desk, code, "reminder") for code in ("BH001", "BH025", "BH036")}
    assert [code for code, text in said.items() if "网页上有草稿，尚未报送" in text] == ["BH001"]
    assert [code for code, text in said.items() if "延期申请未获同意" in text] == ["BH036"]


def test_the_department_of_a_category_hears_of_its_trade(cast: LoadedCampaign, tmp_path: Path) -> None:
    department = Rung(after=2, audience=Audience.DEPARTMENT, notice="escalation_digest")
    loaded = with_ladder(cast, department, SHIPPED[2])
    departments = {"开发区": "BH025"}  # of BH001; the others have none, and the office hears of them in its turn
    loaded = replace(loaded, campaign=loaded.campaign.model_copy(update={"departments": departments}))
    for desk in opened(loaded, tmp_path):
        assert climb(desk, local(6, 2)) == {"escalation_digest": 1}
        said = text_of(desk, "BH025", "escalation_digest")
        assert "由贵单位行业主管的以下单位" in said
        assert said.count("已逾期2天") == 2
        assert climb(desk, local(6, 8)) == {"escalation_digest": 1}
        assert text_of(desk, "OFFICE", "escalation_digest").count("已逾期8天") == 6


def test_what_was_written_before_a_promise_and_has_not_left_is_withdrawn_and_explained(desk: Desk) -> None:
    climb(desk, local(6, 2))
    climb(desk, local(6, 4, 9))
    consent(desk, local(6, 4, 20))  # the window is closed: the list waits for the morning
    promise(desk, local(6, 4, 21), date(2020, 6, 8))
    desk.send(local(6, 5, 9))
    with desk.house.ledger.reading() as session:
        digests = session.scalars(select(MessageRow).where(MessageRow.notice == "escalation_digest")).all()
        ids = [digest.id for digest in digests if digest.state == "sent"]
        left = session.scalars(select(ItemRow.obligation_id).where(ItemRow.message_id.in_(ids), ~ItemRow.gone))
        units = {session.get_one(ObligationRow, id_).party_id for id_ in left}
        assert units
        assert find_party(session, 1, "BH001").id not in units
        said = explain(session, desk.house, local(6, 5, 10), "BH001", "plan")
    lines = [line for part in said for line in part.lines]
    assert any("知悉" in line and "承诺6月8日（星期一）24时前报送" in line for line in lines)
    [ahead] = [part.lines for part in said if part.heading == "接下来"]
    assert ahead[1].startswith("6月9日")  # the day after the promise, and not before
