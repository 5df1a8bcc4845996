"""The report of a run: to whom it wrote, whom it passed over and why, and what needs a person."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import update

from ledger.campaigns import written
from ledger.tables import AttemptRow, CampaignRow, ContactRow, MessageRow
from office.exempting import exempt
from office.planning import Planned, plan_step
from office.premises import Premises
from office.run_report import Report, Run, report_of_run
from office.stops import hold
from office.views.tally import in_one_line, in_sentences, tally_page
from rules.timetable import StepKind
from tests.office.test_office import KEY, Desk, act, desk, loaded, local

__all__ = ["desk", "loaded"]
RUN = "11111111-2222-3333-4444-555555555555"
NONE: Mapping[str, Mapping[str, int]] = {name: {} for name in ("planned", "mails", "outcomes", "unsent", "skips")}


def report_at(
    house: Premises,
    at: datetime,
    *,
    step: str = "remind",
    counts: Mapping[str, Mapping[str, int]] = NONE,
    whom: Mapping[str, Sequence[int]] | None = None,
) -> Report:
    run = Run(
        campaign=KEY,
        step=step,
        moment=at,
        id=RUN,
        counts={**NONE, **counts},
        whom=whom or {},
        views={"报送情况": "/a/1"},
    )
    with house.ledger.reading() as session:
        return report_of_run(session, house, run)


def remind(desk: Desk, at: datetime) -> Planned:
    with desk.house.ledger.writing() as session:
        return plan_step(session, desk.house, replace(act(at), flow_run_id=RUN), KEY, StepKind.REMIND)


def test_a_run_names_those_it_wrote_to_with_the_numbers_of_the_mails(desk: Desk) -> None:
    planned = remind(desk, local(5, 29))
    report = report_at(desk.house, local(5, 29), counts={"planned": planned.planned, "skips": planned.skips})
    (letters,) = report.letters
    assert (letters.notice, letters.count, letters.fates, letters.more) == ("提醒", 3, (("待发", 3),), 0)
    assert [(one.name, one.said) for one in letters.first] == [
        ("天津经济技术开发区安委会", "4"),
        ("区应急管理局", "5"),
        ("塘沽街道办事处", "6"),
    ]
    assert [(passed.reason, passed.count, passed.first) for passed in report.passed] == [("未到时间", 9, ())]
    text = tally_page(desk.house.templates, report)
    assert (
        "- **提醒3封**（待发3）：天津经济技术开发区安委会（4）、区应急管理局（5）、塘沽街道办事处（6）\n\n**没有写信"
        in text
    )
    assert "- 未到时间：9项\n" in text
    assert "[报送情况](/a/1)" in text
    assert in_one_line(report) == "提醒：提醒3封"


def test_a_run_names_what_another_had_planned_if_it_tried_to_send_it(desk: Desk) -> None:
    remind(desk, local(5, 29))
    with desk.house.ledger.writing() as session:
        session.execute(update(MessageRow).where(MessageRow.notice == "reminder").values(flow_run_id="another"))
    assert report_at(desk.house, local(5, 29)).letters == ()
    tried = written(replace(act(local(5, 29)), flow_run_id=RUN))
    with desk.house.ledger.writing() as session:
        session.add(AttemptRow(message_id=5, batch="x", state="sent", **tried))
    (letters,) = report_at(desk.house, local(5, 29)).letters
    assert [one.said for one in letters.first] == ["5"]


def test_a_rare_reason_names_whom_it_concerns_and_a_common_one_does_not(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        decision = exempt(session, desk.house, act(local(5, 28)), KEY, "plan", to=["BH001"], grounds="不涉及")
        exempted = decision.obligation_id
    planned = remind(desk, local(5, 29))
    assert planned.whom == {"exempt": [exempted]}
    report = report_at(desk.house, local(5, 29), counts={"skips": planned.skips}, whom=planned.whom)
    by_reason = {passed.reason: passed for passed in report.passed}
    assert [(one.name, one.said) for one in by_reason["免报"].first] == [("天津经济技术开发区安委会", "活动计划表")]
    assert by_reason["未到时间"].first == ()
    assert "没有写信——免报：1项（天津经济技术开发区安委会《活动计划表》）。" in list(in_sentences(report))


def test_of_many_only_the_first_are_named_and_the_rest_counted(desk: Desk) -> None:
    owed = list(range(1, 16))
    report = report_at(desk.house, local(5, 29), counts={"skips": {"promised": 4000}}, whom={"promised": owed * 3})
    (passed,) = report.passed
    assert (passed.count, len(passed.first), passed.more) == (4000, 20, 3980)
    assert "等，另有3980项" in tally_page(desk.house.templates, report)


def test_the_escalation_names_what_waits_for_approval(desk: Desk) -> None:
    at = local(6, 2)
    with desk.house.ledger.writing() as session:
        plan_step(session, desk.house, act(at), KEY, StepKind.ESCALATE)
    desk.send(at)
    with desk.house.ledger.writing() as session:
        planned = plan_step(session, desk.house, act(local(6, 4)), KEY, StepKind.ESCALATE)
    assert planned.skips["to_approve"] == len(planned.whom["to_approve"]) > 0
    assert "not_yet" not in planned.whom


def test_a_report_says_what_stops_mail_and_whom_none_reaches(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        hold(session, act(local(5, 28)), "lane:default", "SPF | 有误")
        gone = update(ContactRow).where(ContactRow.party_id == desk.party("BH036"))
        session.execute(gone.values(bad_since=local(5, 28), bad_reason="refused: no"))
        session.execute(update(CampaignRow).values(live=False))
    remind(desk, local(5, 29))
    report = report_at(replace(desk.house, rehearsal=False), local(5, 29), step="deliver")
    assert report.needs.fenced == 2  # of the third unit no contact is left to be held from
    assert [one.name for one in report.needs.unreached] == ["塘沽街道办事处"]
    text = tally_page(desk.house.templates, report)
    assert "- 尚未放行：2封邮件在等待，确认后用 `muster go-live safety-month-2020` 放行。" in text
    assert "SPF \\| 有误" in text
    assert in_one_line(report).endswith("；3件事需要人工处理")


def test_names_lead_to_the_staff_pages_where_there_is_a_portal(desk: Desk) -> None:
    remind(desk, local(5, 29))
    report = report_at(replace(desk.house, portal_url="https://muster.example"), local(5, 29))
    text = tally_page(desk.house.templates, report)
    assert "天津经济技术开发区安委会（[4](https://muster.example/staff/m/4)）" in text
