"""Review: queries are answered, staff accept, return and reopen; a return is chased anew, and the unit is told."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from definition.models import Review
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import find_party
from ledger.facts import load_obligations
from ledger.outbox import items_of
from ledger.review import open_queries
from ledger.tables import (
    CampaignRow,
    DecisionRow,
    EventRow,
    FigureRow,
    FindingRow,
    ItemRow,
    MessageRow,
    ObligationRow,
    SubmissionRow,
)
from office.consolidation import consolidate_campaign
from office.mailbook import bytes_of
from office.refusals import NotPossible
from office.review import accept, confirm_finding, reopen, return_to_unit, revoke_links
from rehearsal.clerk import Manner
from rules.forms import HEAD_ROW, FieldType, type_at
from rules.obligations import Standing, is_on_time, standing
from rules.timetable import StepKind
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local

UNIT, STAFF = "BH001", "staff:chen"


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """Return an office after its launch, on each kind of database in turn."""
    with launched(cast, tmp_path, ledger_url) as opened:
        opened.send(local(5, 27, 15))
        yield opened


def about(desk: Desk) -> list[int]:
    """Let a unit hand in a form with queries, and return their numbers."""
    desk.receive(local(6, 20), UNIT, "表.xlsx", desk.form_of(UNIT, "progress", Manner.ABOUT))
    with desk.house.ledger.reading() as session:
        return list(session.scalars(select(FindingRow.id).where(FindingRow.severity == "query")))


def confirm(desk: Desk, finding: int, actor: str = f"unit:{UNIT}", **given: object) -> None:
    with desk.house.ledger.writing() as session:
        confirm_finding(session, desk.house, as_actor(actor), finding, **given)  # type: ignore[arg-type]


def as_actor(actor: str, day: int = 21) -> Act:
    return replace(act(local(6, day)), actor=actor)


def last_mail(desk: Desk, notice: str) -> tuple[MessageRow, str]:
    """Return the newest mail of a notice that left, and its text."""
    with desk.house.ledger.reading() as session:
        row = session.scalars(
            select(MessageRow).where(MessageRow.notice == notice).order_by(MessageRow.id.desc()).limit(1)
        ).one()
        composed = bytes_of(session, desk.house, row.id)
        assert not isinstance(composed, str), composed
        return row, composed.text


def test_a_query_is_answered_with_its_proposed_value_and_the_last_answer_accepts(desk: Desk) -> None:
    [finding] = about(desk)
    assert desk.standings(UNIT)["progress"] is Standing.QUERIED
    confirm(desk, finding)
    assert desk.standings(UNIT)["progress"] is Standing.ACCEPTED
    with desk.house.ledger.reading() as session:
        found = session.get_one(FindingRow, finding)
        figure = session.scalars(
            select(FigureRow).where(FigureRow.row == found.row, FigureRow.column == found.column)
        ).one()
        assert (figure.number, figure.cell) == (300, found.cell)
        assert not open_queries(session, found.submission_id)
        assert not audit.verify(session).fault
        of_versions = select(EventRow.name).where(EventRow.name.like("muster.submission.%"))
        names = session.scalars(of_versions.order_by(EventRow.id)).all()
        assert names[-3:] == [f"muster.submission.{what}" for what in ("received", "queried", "accepted")]
    desk.send(local(6, 21))
    row, text = last_mail(desk, "receipt")
    assert row.occasion.startswith("decision:")
    assert "已核实：按 300 计" in text


@pytest.mark.parametrize("given", [{"number": 312.0}, {"text": "签到簿遗失，按座位数估计"}])
def test_a_query_is_answered_with_another_value_or_in_words(desk: Desk, given: dict[str, object]) -> None:
    [finding] = about(desk)
    confirm(desk, finding, **given)  # type: ignore[arg-type]
    assert desk.standings(UNIT)["progress"] is Standing.ACCEPTED
    with desk.house.ledger.reading() as session:
        row = session.get_one(FindingRow, finding)
        cell = select(FigureRow.number).where(FigureRow.row == row.row, FigureRow.column == row.column)
        assert session.scalars(cell).all() == ([312] if "number" in given else [])


@pytest.mark.parametrize("number", [-1.0, 3.5])
def test_a_value_that_the_form_does_not_allow_is_refused_in_words_for_the_unit(desk: Desk, number: float) -> None:
    [finding] = about(desk)
    with pytest.raises(NotPossible) as refused:
        confirm(desk, finding, number=number)
    assert refused.value.for_unit.startswith("这个数不符合填报要求：")
    assert desk.standings(UNIT)["progress"] is Standing.QUERIED


def put(desk: Desk, day: int, row_taken_out: str = "", **values: str | int) -> dict[str, int]:
    """Let a unit hand in 附件4 with values of ours in the rows named, and return its queries by row."""
    book = openpyxl.load_workbook(io.BytesIO(desk.form_of(UNIT, "progress")))
    form = desk.book.campaign.form_of(desk.book.campaign.deliverable("progress"))
    assert form is not None
    places = {r.key: f"E{n}" for n, r in enumerate(form.rows, HEAD_ROW + 1)}
    for row, value in values.items():
        book.worksheets[0][places[row]] = value
    if row_taken_out:
        book.worksheets[0].delete_rows(int(places[row_taken_out][1:]))
    buffer = io.BytesIO()
    book.save(buffer)
    desk.receive(local(6, day), UNIT, "表.xlsx", buffer.getvalue())
    with desk.house.ledger.reading() as session:
        last = select(SubmissionRow.id).order_by(SubmissionRow.id.desc()).limit(1).scalar_subquery()
        found = session.scalars(select(FindingRow).where(FindingRow.submission_id == last)).all()
        return {f.row: f.id for f in found if f.severity == "query"}


def test_an_answer_that_contradicts_another_number_is_refused_with_that_check_s_sentence(desk: Desk) -> None:
    queries = put(desk, 20, hazards_found="约300", hazards_fixed=250)
    with pytest.raises(NotPossible) as refused:
        confirm(desk, queries["hazards_found"], number=100)
    assert "250" in refused.value.for_unit
    assert "大于" in refused.value.for_unit
    assert desk.standings(UNIT)["progress"] is Standing.QUERIED
    confirm(desk, queries["hazards_found"], number=250)
    assert desk.standings(UNIT)["progress"] is Standing.ACCEPTED


def test_what_contradicted_before_is_answered_by_a_number_that_fits_and_stops_no_other_answer(desk: Desk) -> None:
    queries = put(desk, 20, hazards_found=10, hazards_fixed=20, launch_sessions="约30")
    confirm(desk, queries["launch_sessions"], number=31)
    with pytest.raises(NotPossible):
        confirm(desk, queries["hazards_fixed"], number=11)
    confirm(desk, queries["hazards_fixed"], number=9)
    assert desk.standings(UNIT)["progress"] is Standing.ACCEPTED


def test_no_unit_answers_for_another_nor_twice_nor_on_a_version_that_was_replaced(desk: Desk) -> None:
    [finding] = about(desk)
    for actor, code in (("unit:BH036", "foreign"), ("staff:chen", ""), (f"unit:{UNIT}", "answered")):
        if not code:
            confirm(desk, finding, actor)
            continue
        with pytest.raises(NotPossible) as refused:
            confirm(desk, finding, actor)
        assert refused.value.code == code
    desk.receive(local(6, 22), "BH025", "表.xlsx", desk.form_of("BH025", "progress", Manner.ABOUT))
    desk.receive(local(6, 23), "BH025", "表.xlsx", desk.form_of("BH025", "progress", Manner.ABOUT, seed=2))
    with desk.house.ledger.reading() as session:
        older = session.scalars(select(FindingRow.id).where(FindingRow.severity == "query")).all()[1]
    with pytest.raises(NotPossible) as refused:
        confirm(desk, older, "unit:BH025")
    assert refused.value.code == "not_latest"


def hand_in_plan(desk: Desk, day: int = 28, month: int = 5) -> int:
    """Let the unit hand in a clean 附件2, and return the version's number."""
    desk.receive(local(month, day), UNIT, "表.xlsx", desk.form_of(UNIT, "plan", seed=day))
    with desk.house.ledger.reading() as session:
        return session.scalars(select(SubmissionRow.id).order_by(SubmissionRow.id.desc())).first() or 0


def send_back(desk: Desk, submission: int, day: int, due: date | None = None) -> None:
    with desk.house.ledger.writing() as session:
        who = as_actor(STAFF, day)
        return_to_unit(session, desk.house, who, submission, reasons=["活动内容过于简略"], due=due)


def test_what_staff_return_is_owed_by_a_new_date_and_chased_like_the_first(desk: Desk) -> None:
    version = hand_in_plan(desk)
    send_back(desk, version, 2, date(2020, 6, 11))
    assert desk.standings(UNIT)["plan"] is Standing.RETURNED
    desk.send(local(6, 2))
    row, text = last_mail(desk, "returned")
    for needed in ("1. 活动内容过于简略", "请于6月11日（星期四）24时前重新报送", "活动计划表（第1次报送"):
        assert needed in text, needed
    desk.plan(StepKind.REMIND, local(6, 3))  # the unit was just told, and hears of the others only
    desk.plan(StepKind.REMIND, local(6, 9))  # two days before the new date
    with desk.house.ledger.reading() as session:
        reminders = session.scalars(
            select(MessageRow).where(MessageRow.notice == "reminder", MessageRow.party_id == desk.party(UNIT))
        ).all()
        rungs = {
            i.rung for m in reminders if m.occasion == "remind:2020-06-09" for i in items_of(session, [m.id])[m.id]
        }
        assert "before:2" in rungs
        assert row.party_id == desk.party(UNIT)


def test_a_return_makes_nobody_punctual(desk: Desk) -> None:
    late = hand_in_plan(desk, 3, 6)  # due was 05-31
    send_back(desk, late, 4)
    hand_in_plan(desk, 5, 6)
    with desk.house.ledger.reading() as session:
        [plan] = [o for o in load_obligations(session, 1, party_ids=[desk.party(UNIT)]) if o.deliverable == "plan"]
        assert plan.due == local(6, 10, 0)  # three working days: until the end of Tuesday 06-09
        assert is_on_time(plan) is False
        [then] = [
            o
            for o in load_obligations(session, 1, party_ids=[desk.party(UNIT)], known_at=local(6, 3, 10))
            if o.deliverable == "plan"
        ]
        assert then.due == local(6, 1, 0)
        assert standing(then) is Standing.ACCEPTED


def test_a_reminder_that_waits_with_the_old_date_is_withdrawn(desk: Desk) -> None:
    hand_in_plan(desk)
    version = hand_in_plan(desk, 29)
    desk.receive(local(5, 29), UNIT, "表.xlsx", desk.form_of(UNIT, "liaison"))
    with desk.house.ledger.writing() as session:
        row = session.get_one(SubmissionRow, version)
        obligation = session.get_one(ObligationRow, row.obligation_id)
        for version_row in session.scalars(select(SubmissionRow).where(SubmissionRow.obligation_id == obligation.id)):
            version_row.state = "returned"
    desk.plan(StepKind.REMIND, local(5, 30, 20))
    with desk.house.ledger.writing() as session:
        row = session.get_one(SubmissionRow, version)
        row.state = "accepted"
        session.flush()
        return_to_unit(session, desk.house, act(local(5, 30, 21)), version, reasons=["再改"], due=date(2020, 6, 3))
    with desk.house.ledger.reading() as session:
        waiting = session.scalars(
            select(MessageRow).where(MessageRow.notice == "reminder", MessageRow.party_id == desk.party(UNIT))
        ).all()
        assert [(m.state, m.reason) for m in waiting] == [("superseded", "the due instant was moved")]


def test_a_return_of_a_later_version_leaves_the_accepted_one_and_starts_no_chase(desk: Desk) -> None:
    first, second = hand_in_plan(desk), hand_in_plan(desk, 29)
    with desk.house.ledger.writing() as session:
        session.get_one(SubmissionRow, second).state = "submitted"
    send_back(desk, second, 2)
    assert desk.standings(UNIT)["plan"] is Standing.ACCEPTED
    with desk.house.ledger.reading() as session:
        assert session.get_one(SubmissionRow, first).state == "accepted"
        due = session.get_one(ObligationRow, session.get_one(SubmissionRow, first).obligation_id).due_at
        assert due == local(6, 1, 0)


def test_a_judgement_is_taken_back_with_the_date_it_moved(desk: Desk) -> None:
    version = hand_in_plan(desk)
    send_back(desk, version, 2, date(2020, 6, 11))
    with desk.house.ledger.writing() as session:
        decision = reopen(session, desk.house, as_actor(STAFF, 3), version, "退错了单位")
        assert decision.reverses is not None
        submission = session.get_one(SubmissionRow, version)
        assert submission.state == "submitted"
        assert session.get_one(ObligationRow, submission.obligation_id).due_at == local(6, 1, 0)
        accept(session, desk.house, as_actor(STAFF, 3), version, "审核通过")
    assert desk.standings(UNIT)["plan"] is Standing.ACCEPTED
    with pytest.raises(NotPossible, match="accepted already"), desk.house.ledger.writing() as session:
        accept(session, desk.house, as_actor(STAFF, 3), version, "再次")


@pytest.mark.parametrize("has_left", [False, True])
def test_the_mail_of_a_judgement_that_is_taken_back_does_not_leave_any_more(desk: Desk, has_left: bool) -> None:
    version = hand_in_plan(desk)
    send_back(desk, version, 2, date(2020, 6, 11))
    if has_left:
        desk.send(local(6, 2))
    with desk.house.ledger.writing() as session:
        reopen(session, desk.house, as_actor(STAFF, 3), version, "退错了单位")
    desk.send(local(6, 3))
    with desk.house.ledger.reading() as session:
        told = session.scalars(select(MessageRow).where(MessageRow.notice == "returned")).one()
        assert (told.state, told.reason) == (
            ("sent", "") if has_left else ("superseded", "the judgement was taken back")
        )
        assert [i.gone for i in session.scalars(select(ItemRow).where(ItemRow.message_id == told.id))] == [not has_left]
        assert not audit.verify(session).fault


@pytest.mark.parametrize("reasons", [[], ["  "]])
def test_a_return_needs_reasons_and_a_date_that_can_be_kept(desk: Desk, reasons: list[str]) -> None:
    version = hand_in_plan(desk)
    with pytest.raises(ValueError, match="grounds"), desk.house.ledger.writing() as session:
        return_to_unit(session, desk.house, as_actor(STAFF, 2), version, reasons=reasons)
    for day in (date(2020, 6, 1), date(2020, 7, 11)):
        with pytest.raises(NotPossible, match="new deadline"):
            send_back(desk, version, 2, day)
    assert desk.standings(UNIT)["plan"] is Standing.ACCEPTED


def test_revoking_raises_the_epoch_of_a_unit_s_links(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        revoke_links(session, as_actor(STAFF), party, "链接误转到工作群")
        assert party.link_epoch == 1
        assert session.scalars(select(DecisionRow.kind)).all() == ["links_revoked"]


def test_what_a_unit_confirmed_still_waits_for_staff_where_they_review_it(desk: Desk) -> None:
    deliverables = tuple(
        d.model_copy(update={"review": Review.STAFF}) if d.key == "progress" else d
        for d in desk.book.campaign.deliverables
    )
    campaign = desk.book.campaign.model_copy(update={"deliverables": deliverables})
    with desk.house.ledger.writing() as session:
        row = session.scalars(select(CampaignRow)).one()
        row.definition, row.digest = campaign.dump(), campaign.digest()
    [finding] = about(desk)
    confirm(desk, finding)
    assert desk.standings(UNIT)["progress"] is Standing.SUBMITTED
    desk.send(local(6, 21))
    assert "已收到，待办公室审核" in last_mail(desk, "receipt")[1]
    with desk.house.ledger.writing() as session:
        accept(session, desk.house, as_actor(STAFF), 1, "审核通过")
    assert desk.standings(UNIT)["progress"] is Standing.ACCEPTED


def test_a_confirmed_value_is_counted_and_named_no_longer_as_queried(desk: Desk) -> None:
    [finding] = about(desk)
    confirm(desk, finding)
    with desk.house.ledger.writing() as session:
        consolidate_campaign(session, desk.house, as_actor(STAFF), KEY)
    [path] = (desk.house.reports / KEY).glob("*汇总表*.xlsx")
    cells = [str(c) for sheet in openpyxl.load_workbook(path) for row in sheet.iter_rows(values_only=True) for c in row]
    assert "300" in cells
    assert "约300人" not in cells


def test_what_staff_accept_all_the_same_is_named_where_it_is_not_counted(desk: Desk) -> None:
    put(desk, 20, launch_people="若干", launch_sessions="约30", training_people=-5)
    with desk.house.ledger.writing() as session:
        accept(session, desk.house, as_actor(STAFF), 1, "电话核实无误")
        consolidate_campaign(session, desk.house, as_actor(STAFF), KEY)
    assert uncounted(desk) == {"launch_people", "launch_sessions", "training_people"}


def test_a_row_that_staff_do_without_is_named_where_it_is_not_counted(desk: Desk) -> None:
    put(desk, 20, row_taken_out="launch_people")
    with desk.house.ledger.writing() as session:
        accept(session, desk.house, as_actor(STAFF), 1, "该项未开展")
        consolidate_campaign(session, desk.house, as_actor(STAFF), KEY)
    assert uncounted(desk) == {"launch_people"}


def uncounted(desk: Desk) -> set[str]:
    """Return the rows of 附件4 beside whose totals the unit is named."""
    [path] = (desk.house.reports / KEY).glob("*汇总表*.xlsx")
    form = desk.book.campaign.form_of(desk.book.campaign.deliverable("progress"))
    assert form is not None
    sheet = openpyxl.load_workbook(path)[f"{form.title}汇总"]
    lines = list(sheet.iter_rows(values_only=True))
    [head] = [n for n, line in enumerate(lines) if "待核实未计入" in line]
    place = lines[head].index("待核实未计入")
    numeric = [r.key for r in form.rows if type_at(form, r.key, form.entry_columns[0]) is FieldType.INTEGER]
    return {key for key, line in zip(numeric, lines[head + 1 :], strict=False) if line[place]}


def test_the_receipt_of_what_staff_accepted_asks_for_no_answer_any_more(desk: Desk) -> None:
    about(desk)
    with desk.house.ledger.writing() as session:
        accept(session, desk.house, as_actor(STAFF), 1, "电话核实")
    desk.send(local(6, 21))
    _, text = last_mail(desk, "receipt")
    assert "是约数" in text
    assert "办公室审核后已接收，不必再处理" in text
    assert "请填准确数字" not in text


def test_a_file_that_was_not_taken_leaves_the_queries_of_the_one_before_open(desk: Desk) -> None:
    [finding] = about(desk)
    desk.receive(local(6, 20, 10), UNIT, "表.xlsx", desk.form_of(UNIT, "progress", Manner.WRONG))
    assert desk.standings(UNIT)["progress"] is Standing.QUERIED
    desk.send(local(6, 20, 11))
    _, text = last_mail(desk, "returned")
    assert "目前仍以第1次报送为准（已登记，待核实）" in text
    assert "按未报统计" not in text
    confirm(desk, finding)
    assert desk.standings(UNIT)["progress"] is Standing.ACCEPTED
