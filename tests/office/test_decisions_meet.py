"""What decisions do to one another, and to what was said, asked and written before them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from definition.models import Audience, Deliverable, Rung
from ledger.campaigns import find_party
from ledger.facts import load_obligations
from ledger.ladder import load_brakes
from ledger.tables import DecisionRow, ItemRow, MessageRow, RequestRow, SubmissionRow
from office.amending import amend, compare
from office.correcting import Correction, correct
from office.exempting import exempt
from office.extending import extend
from office.horizon import extend_horizon
from office.launching import launch_campaign
from office.leaving import leave
from office.pausing import close
from office.planning import plan_step
from office.premises import Premises
from office.refusals import NotPossible
from office.requests import ask_extension, grant, refuse
from office.review import return_to_unit
from office.rulebook import open_book
from office.undoing import undo
from rules.deadlines import Adjustment
from rules.obligations import is_on_time
from rules.timetable import StepKind
from tests.office import test_horizon as series
from tests.office.test_decisions import OTHER, UNIT, extended, of, staff, undone
from tests.office.test_horizon import office as office  # noqa: PLC0414  a fixture of ours too
from tests.office.test_ladder import climb, opened, with_ladder
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local

FIRST = Rung(after=1, audience=Audience.UNIT, notice="escalation")
SECOND = Rung(after=2, audience=Audience.SUPERIOR, notice="escalation_digest")
OFFICE = Rung(after=1, audience=Audience.OFFICE, notice="escalation_digest")
BULLETIN = Rung(after=2, audience=Audience.CAMPAIGN, notice="escalation_bulletin", name="通报")


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    with launched(cast, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened_desk:
        opened_desk.send(local(5, 27, 15))
        yield opened_desk


@contextmanager
def on_ladder(cast: LoadedCampaign, folder: Path, *rungs: Rung) -> Iterator[tuple[Desk, LoadedCampaign]]:
    loaded = with_ladder(cast, *rungs)
    for ladder_desk in opened(loaded, folder):
        yield ladder_desk, loaded


def asked(desk: Desk, until: date = date(2020, 6, 4)) -> int:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        mine = of(desk, UNIT, "plan").id
        return ask_extension(session, desk.house, act(local(5, 28)), party, mine, until=until, reason="出差").id


def answer_to(desk: Desk, request: int) -> int | None:
    with desk.house.ledger.reading() as session:
        return session.get_one(RequestRow, request).decision_id


def states_of(desk: Desk, notice: str) -> list[str]:
    with desk.house.ledger.reading() as session:
        return list(session.scalars(select(MessageRow.state).where(MessageRow.notice == notice)))


def chased(desk: Desk, deliverable: str, code: str) -> set[str]:
    """Return the rungs of the ladder on which a unit was told of what it owes."""
    mine = of(desk, code, deliverable).id
    with desk.house.ledger.reading() as session:
        rungs = select(ItemRow.rung).where(ItemRow.obligation_id == mine, ItemRow.rung.like("escalate:%"))
        return set(session.scalars(rungs))


def test_a_closed_campaign_names_nobody_in_a_bulletin(cast: LoadedCampaign, tmp_path: Path) -> None:
    with on_ladder(cast, tmp_path, BULLETIN) as (desk, _):
        assert desk.plan(StepKind.ESCALATE, local(6, 2, 19)) == {"escalation_bulletin": 4}
        with desk.house.ledger.writing() as session:
            close(session, desk.house, staff(local(6, 2, 20)), KEY, "提前结束")
        desk.send(local(6, 3, 10))
        assert set(states_of(desk, "escalation_bulletin")) == {"superseded"}


def test_what_goes_to_everybody_waits_while_a_unit_is_away(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        told = Correction(said="改期", deliverable="plan", until=date(2020, 6, 8))
        correct(session, desk.house, staff(local(5, 28, 19)), KEY, told, to=["all"], grounds="市里改期")
    with desk.house.ledger.writing() as session:
        number = leave(session, desk.house, staff(local(5, 28, 20)), find_party(session, 1, UNIT), "误报").id
    undone(desk, number, local(5, 28, 21))
    desk.send(local(5, 29, 10))
    assert set(states_of(desk, "correction")) == {"sent"}


def test_a_unit_that_stays_away_gets_nothing_that_goes_to_everybody(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        told = Correction(said="改期", deliverable="plan", until=date(2020, 6, 8))
        correct(session, desk.house, staff(local(5, 28, 19)), KEY, told, to=["all"], grounds="市里改期")
        leave(session, desk.house, staff(local(5, 28, 20)), find_party(session, 1, UNIT), "撤销")
    desk.send(local(5, 29, 10))
    with desk.house.ledger.reading() as session:
        gone = find_party(session, 1, UNIT).id
        written = session.scalars(select(MessageRow).where(MessageRow.notice == "correction")).all()
        assert {m.party_id: m.state for m in written}[gone] == "superseded"
        assert {m.state for m in written if m.party_id != gone} == {"sent"}


def test_rungs_that_were_climbed_keep_their_place_in_an_amended_ladder(cast: LoadedCampaign, tmp_path: Path) -> None:
    with on_ladder(cast, tmp_path, FIRST, SECOND) as (desk, loaded):
        table = loaded.campaign.timetable

        def ladder(*rungs: Rung) -> LoadedCampaign:
            changed = table.model_copy(update={"escalation": rungs})
            return replace(loaded, campaign=loaded.campaign.model_copy(update={"timetable": changed}))

        with desk.house.ledger.reading() as session:
            assert compare(session, ladder(OFFICE, FIRST, SECOND)).refusals == ()  # nobody stands on it yet
        assert climb(desk, local(6, 3, 9))
        with desk.house.ledger.reading() as session:
            [refused] = compare(session, ladder(OFFICE, FIRST, SECOND)).refusals
            assert "the ladder was climbed" in refused
            assert compare(session, ladder(FIRST, SECOND, OFFICE)).refusals == ()


def test_an_exemption_taken_back_late_starts_the_ladder_a_working_day_later(
    cast: LoadedCampaign, tmp_path: Path
) -> None:
    with on_ladder(cast, tmp_path, FIRST) as (desk, _):
        with desk.house.ledger.writing() as session:
            for key in ("plan", "liaison"):
                exempt(session, desk.house, staff(local(5, 28)), KEY, key, to=["all"], grounds="并入综合表")
        with desk.house.ledger.reading() as session:
            numbers = list(session.scalars(select(DecisionRow.id)))
        for number in numbers:
            undone(desk, number, local(6, 10, 9))
        desk.plan(StepKind.ESCALATE, local(6, 10, 10))
        assert not chased(desk, "plan", UNIT) | chased(desk, "liaison", UNIT)
        desk.plan(StepKind.ESCALATE, local(6, 11, 10))
        assert chased(desk, "plan", UNIT) == chased(desk, "liaison", UNIT) == {"escalate:1"}


def test_a_leaving_taken_back_late_starts_the_ladder_a_working_day_later(cast: LoadedCampaign, tmp_path: Path) -> None:
    with on_ladder(cast, tmp_path, FIRST) as (desk, _):
        with desk.house.ledger.writing() as session:
            number = leave(session, desk.house, staff(local(5, 28)), find_party(session, 1, UNIT), "撤销").id
        climb(desk, local(6, 3, 9))
        assert chased(desk, "plan", OTHER) == {"escalate:1"}
        undone(desk, number, local(6, 10, 9))
        desk.plan(StepKind.ESCALATE, local(6, 10, 10))
        assert not chased(desk, "plan", UNIT)
        desk.plan(StepKind.ESCALATE, local(6, 11, 10))
        assert chased(desk, "plan", UNIT) == {"escalate:1"}


def test_a_return_taken_back_no_longer_decides_what_is_late(desk: Desk) -> None:
    desk.receive(local(6, 2), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    with desk.house.ledger.writing() as session:
        handed_in = session.scalars(select(SubmissionRow.id)).one()
        number = return_to_unit(
            session, desk.house, staff(local(6, 2, 12)), handed_in, reasons=["合计不符"], due=date(2020, 6, 9)
        ).id
    assert of(desk, UNIT, "plan").first_due == local(6, 1, 0)
    undone(desk, number, local(6, 2, 13))
    extended(desk, local(6, 2, 14), until=date(2020, 6, 12))
    mine = of(desk, UNIT, "plan")
    assert mine.first_due is None
    assert is_on_time(mine)


def test_a_grant_taken_back_leaves_the_request_to_be_answered(desk: Desk) -> None:
    request = asked(desk)
    with desk.house.ledger.writing() as session:
        number = grant(session, desk.house, staff(local(5, 28, 10)), request, grounds="同意").id
    assert answer_to(desk, request) == number
    undone(desk, number, local(5, 28, 11))
    assert answer_to(desk, request) is None


def test_a_past_in_which_a_request_was_refused_is_replayed_so_though_it_waits_again(desk: Desk) -> None:
    request = asked(desk)
    with desk.house.ledger.writing() as session:
        number = refuse(session, desk.house, staff(local(5, 29)), request, grounds="不行").id
    with desk.house.ledger.reading() as session:
        then = load_brakes(session, 1, known_at=local(5, 30)).asked
    assert [a.answered for some in then.values() for a in some] == [local(5, 29)]
    undone(desk, number, local(6, 3))
    with desk.house.ledger.reading() as session:
        assert load_brakes(session, 1, known_at=local(5, 30)).asked == then
        assert [a.answered for some in load_brakes(session, 1).asked.values() for a in some] == [None]


def test_an_extension_to_an_hour_of_the_day_asked_for_does_not_meet_the_request(desk: Desk) -> None:
    request = asked(desk, until=date(2020, 6, 5))
    with desk.house.ledger.writing() as session:
        early = datetime(2020, 6, 5, 9, 0)  # noqa: DTZ001  local, as staff write it
        extend(session, desk.house, staff(local(5, 28, 10)), KEY, "plan", to=[UNIT], until=early, grounds="只到上午")
    assert answer_to(desk, request) is None
    number = extended(desk, local(5, 28, 11), until=date(2020, 6, 5))
    assert answer_to(desk, request) == number


def test_a_corrected_deadline_stands_where_it_was_put(cast: LoadedCampaign, tmp_path: Path) -> None:
    def moved(key: str) -> Adjustment:
        return Adjustment.FOLLOWING if key == "plan" else Adjustment.NONE

    deliverables = tuple(d.model_copy(update={"adjust": moved(d.key)}) for d in cast.campaign.deliverables)
    loaded = replace(cast, campaign=cast.campaign.model_copy(update={"deliverables": deliverables}))
    with launched(loaded, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as desk:
        saturday = Correction(said="改期", deliverable="plan", until=date(2020, 6, 6))
        with desk.house.ledger.writing() as session:
            correct(session, desk.house, staff(local(5, 28, 19)), KEY, saturday, to=["all"], grounds="市里改期")
        with desk.house.ledger.reading() as session:
            _, book = open_book(session, KEY)
        [told] = [book.due(o) for o in book.occurrences["plan"]]
        assert told == of(desk, UNIT, "plan").due == local(6, 7, 0)


def weekly(session: Session, code: str) -> dict[str, bool]:
    party = find_party(session, 1, code)
    mine = load_obligations(session, 1, party_ids=[party.id])
    return {o.occurrence: o.exempt for o in mine if o.deliverable == "weekly"}


def test_an_exemption_from_a_series_holds_for_what_comes_over_the_horizon_later(
    office: tuple[Premises, LoadedCampaign],
) -> None:
    premises, loaded = office
    launch, day = series.LAUNCH, timedelta(days=1)
    with series.undone(premises.ledger) as session:
        launch_campaign(session, premises, series.act(launch), loaded)
        number = exempt(
            session, premises, series.act(launch + day), series.KEY, "weekly", to=["SK01"], grounds="停用"
        ).id
        extend_horizon(session, series.act(launch + 30 * day), series.KEY)
        spared = weekly(session, "SK01")
        owed = len(weekly(session, "SK02"))
        assert set(spared.values()) == {True}
        assert len(spared) < owed
        undo(session, premises, series.act(launch + 31 * day), number, "恢复使用")
        extend_horizon(session, series.act(launch + 32 * day), series.KEY)
        assert len(weekly(session, "SK01")) == len(weekly(session, "SK02"))
        plan_step(session, premises, series.act(launch + 32 * day), series.KEY, StepKind.ESCALATE)
        mine = find_party(session, 1, "SK01").id
        chased = select(ItemRow).where(ItemRow.party_id == mine, ItemRow.rung.like("escalate:%"))
        assert session.scalars(chased).all() == []


def test_an_exemption_from_one_week_is_of_that_week_alone(office: tuple[Premises, LoadedCampaign]) -> None:
    premises, loaded = office
    launch, day = series.LAUNCH, timedelta(days=1)
    with series.undone(premises.ledger) as session:
        launch_campaign(session, premises, series.act(launch), loaded)
        one = {"to": ["SK01"], "occurrence": "2023-05-26", "grounds": "停用"}
        exempt(session, premises, series.act(launch + day), series.KEY, "weekly", **one)  # type: ignore[arg-type]
        extend_horizon(session, series.act(launch + 30 * day), series.KEY)
        mine = weekly(session, "SK01")
        assert [occurrence for occurrence, spared in mine.items() if spared] == ["2023-05-26"]
        assert set(mine) == set(weekly(session, "SK02"))


def test_a_longer_series_is_not_taken_back_once_it_has_gone_on(office: tuple[Premises, LoadedCampaign]) -> None:
    premises, loaded = office
    launch, day = series.LAUNCH, timedelta(days=1)

    def ends(deliverable: Deliverable) -> Deliverable:
        return (
            deliverable.model_copy(update={"until": date(2023, 6, 10)}) if deliverable.key == "weekly" else deliverable
        )

    short = loaded.campaign.model_copy(update={"deliverables": tuple(map(ends, loaded.campaign.deliverables))})
    with series.undone(premises.ledger) as session:
        launch_campaign(session, premises, series.act(launch), replace(loaded, campaign=short))
        number = amend(session, premises, series.act(launch + day), loaded, "延长").id
        extend_horizon(session, series.act(launch + 14 * day), series.KEY)
        before = weekly(session, "SK01")
        with pytest.raises(NotPossible, match="cannot be taken back"):
            undo(session, premises, series.act(launch + 15 * day), number, "情况有变")
        assert weekly(session, "SK01") == before
        assert set(before) <= {o.key for o in open_book(session, series.KEY)[1].occurrences["weekly"]}
