"""Milestones: told once, by the first step that finds them, and not before."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger.campaigns import find_campaign
from ledger.event_kinds import EventKind
from ledger.submissions import NewSubmission, record_submission
from ledger.tables import CampaignState, EventRow, MessageRow, ObligationRow
from office.consolidation import consolidate_campaign
from office.milestones import note_complete
from office.pausing import close
from rules.obligations import SubmissionState
from rules.timetable import StepKind
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        yield opened


def told(desk: Desk, kind: EventKind) -> list[dict[str, object]]:
    with desk.house.ledger.reading() as session:
        return list(session.scalars(select(EventRow.payload).where(EventRow.name == kind).order_by(EventRow.id)))


def exempt_all(desk: Desk, at: datetime, *, but: int = 0) -> None:
    """Let nobody owe anything any more; the last few obligations stand."""
    with desk.house.ledger.writing() as session:
        owed = session.scalars(select(ObligationRow).where(ObligationRow.due_at.is_not(None))).all()
        for row in owed[: len(owed) - but]:
            row.exempt_at = at


@pytest.fixture
def early(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """Return a campaign that is to be closed as soon as everything is in."""
    campaign = cast.campaign.model_copy(update={"consolidate_when_complete": True})
    with launched(replace(cast, campaign=campaign), tmp_path, ledger_url) as opened:
        yield opened


def test_a_launch_is_told_with_its_size(desk: Desk) -> None:
    [said] = told(desk, EventKind.LAUNCHED)
    assert said["units"] == 3
    with desk.house.ledger.reading() as session:
        assert said["obligations"] == len(session.scalars(select(ObligationRow.id)).all())


def test_a_planning_is_told_with_its_notices_whether_by_the_set_or_not(desk: Desk) -> None:
    desk.plan(StepKind.LAUNCH, local(5, 27, 15))
    assert told(desk, EventKind.PLANNED) == [{"count": 3, "notices": {"launch": 3}}]


def test_what_fell_due_and_is_owed_is_told_once_by_the_first_step_after_it(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29))
    assert told(desk, EventKind.OVERDUE) == []
    desk.plan(StepKind.REMIND, local(6, 2))
    found = told(desk, EventKind.OVERDUE)
    assert found
    assert all(local(5, 29).isoformat() < str(said["due"]) <= local(6, 2).isoformat() for said in found)
    desk.plan(StepKind.ESCALATE, local(6, 2, 10))
    desk.plan(StepKind.REMIND, local(6, 2))
    assert told(desk, EventKind.OVERDUE) == found


def test_what_nobody_owes_is_not_told_as_overdue(desk: Desk) -> None:
    exempt_all(desk, local(5, 28))
    desk.plan(StepKind.REMIND, local(6, 2))
    assert told(desk, EventKind.OVERDUE) == []


def hand_in_everything(desk: Desk, at: datetime, *, but: int = 0) -> None:
    """Let every unit report all it owes; of the last few obligations nothing."""
    with desk.house.ledger.writing() as session:
        owed = session.scalars(select(ObligationRow).where(ObligationRow.due_at.is_not(None))).all()
        for obligation in owed[: len(owed) - but]:
            state = SubmissionState.ACCEPTED
            new = NewSubmission(obligation=obligation, channel="portal", received_at=at, state=state, file=None)
            record_submission(session, act(at), new)


def look(desk: Desk, at: datetime) -> bool:
    with desk.house.ledger.writing() as session:
        return note_complete(session, act(at), find_campaign(session, KEY))


def test_a_campaign_is_complete_when_the_last_report_is_in_and_says_so_once(desk: Desk) -> None:
    hand_in_everything(desk, local(6, 1), but=1)
    assert not look(desk, local(6, 1))
    exempt_all(desk, local(6, 2), but=1)
    assert not look(desk, local(6, 2))
    hand_in_everything(desk, local(6, 3))
    assert look(desk, local(6, 3))
    assert look(desk, local(6, 4))
    assert told(desk, EventKind.COMPLETE) == [{"obligations": 1}]


def test_a_campaign_that_nobody_owes_anything_is_not_complete(desk: Desk) -> None:
    exempt_all(desk, local(6, 2))
    assert not look(desk, local(6, 2))
    assert told(desk, EventKind.COMPLETE) == []


def test_a_step_finds_that_everything_is_in(desk: Desk) -> None:
    hand_in_everything(desk, local(6, 1))
    desk.plan(StepKind.REMIND, local(6, 2))
    assert len(told(desk, EventKind.COMPLETE)) == 1


def notices(desk: Desk, name: str) -> int:
    with desk.house.ledger.reading() as session:
        return len(session.scalars(select(MessageRow.id).where(MessageRow.notice == name)).all())


def consolidate(desk: Desk, at: datetime) -> None:
    with desk.house.ledger.writing() as session:
        consolidate_campaign(session, desk.house, act(at), KEY)


def state(desk: Desk) -> str:
    with desk.house.ledger.reading() as session:
        return find_campaign(session, KEY).state


def test_a_complete_campaign_waits_for_its_close_unless_it_says_otherwise(desk: Desk) -> None:
    hand_in_everything(desk, local(6, 1))
    consolidate(desk, local(6, 2))
    assert (state(desk), notices(desk, "closing")) == (CampaignState.LAUNCHED, 0)


def test_a_campaign_that_says_so_is_closed_by_the_first_consolidation_that_finds_everything_in(
    early: Desk,
) -> None:
    consolidate(early, local(6, 1))
    assert (state(early), notices(early, "closing")) == (CampaignState.LAUNCHED, 0)
    hand_in_everything(early, local(6, 1))
    consolidate(early, local(6, 2))
    assert (state(early), notices(early, "closing"), notices(early, "summary")) == (CampaignState.CLOSED, 3, 1)
    assert len(told(early, EventKind.CLOSED)) == 1
    consolidate(early, local(7, 10, 17))  # its day
    assert (notices(early, "closing"), notices(early, "summary")) == (3, 1)


def test_a_campaign_closed_by_staff_says_by_which_decision(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        decision = close(session, desk.house, act(local(6, 2)), KEY, "活动取消")
    assert told(desk, EventKind.CLOSED) == [{"decision": decision.id}]
