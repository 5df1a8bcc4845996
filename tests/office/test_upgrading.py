"""A ledger from before steps were kept, with a campaign under way: once migrated, nothing is said or done twice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import func, select

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.engine import MIGRATIONS, Ledger
from ledger.tables import AuditRow, ItemRow, MessageRow
from office.agenda import agenda_of, record_step
from office.launching import join_unit
from office.wakes import marks, may_leave
from rules.timetable import StepKind
from tests.office.test_mailbook import answered, launched
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, LAUNCH, Desk, act, local

BEFORE = "0009"  # the last without step_runs
EVENING = local(6, 3, 18)  # on 06-03 the campaign was run last; of what is due on 06-05 was reminded that morning
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        answered(opened, LAUNCH, {})
        for at in (local(5, 29), local(6, 1), local(6, 3)):
            opened.plan(StepKind.REMIND, at)
            opened.plan(StepKind.ESCALATE, at + MINUTE)
            answered(opened, at + 2 * MINUTE, {})
        answered(opened, EVENING, {})
        yield opened


def upgraded(ledger: Ledger) -> None:
    """Make the ledger what it was, and bring it up."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with ledger.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.stamp(config, "head")
        command.downgrade(config, BEFORE)
    ledger.migrate()


def overdue(desk: Desk, at: datetime) -> list[str]:
    with desk.house.ledger.reading() as session:
        return [entry.key for entry in agenda_of(session, desk.house, KEY, at, since=at).overdue]


def mails(desk: Desk) -> tuple[int, int]:
    with desk.house.ledger.reading() as session:
        return tuple(session.scalar(select(func.count()).select_from(row)) or 0 for row in (MessageRow, ItemRow))  # type: ignore[return-value]


def test_what_was_run_before_is_not_made_up_for_and_nothing_is_sent_again(desk: Desk) -> None:
    before = mails(desk)
    upgraded(desk.house.ledger)
    assert overdue(desk, EVENING + MINUTE) == []
    for kind in (StepKind.LAUNCH, StepKind.REMIND, StepKind.ESCALATE):  # nor would a run that somebody starts
        desk.plan(kind, EVENING + MINUTE)
    assert mails(desk) == before
    with desk.house.ledger.reading() as session:
        mark = marks(session, EVENING + MINUTE).get(KEY)
        assert mark is None or not may_leave(session, desk.house, KEY, mark, EVENING + MINUTE)
        assert not audit.verify(session).fault


def test_what_comes_due_after_is_made_up_for_alone(desk: Desk) -> None:
    upgraded(desk.house.ledger)
    late = local(6, 5, 9, 30)
    assert "remind:2020-06-05T09:00" in overdue(desk, late)
    assert "launch:2020-05-27T15:00" not in overdue(desk, late)
    with desk.house.ledger.writing() as session:
        missed = record_step(session, act(late), KEY, StepKind.REMIND)
        told = session.scalars(select(AuditRow.detail).where(AuditRow.verb == "steps.superseded")).all()
    assert all(key > "remind:2020-06-03T18:00" for key in missed)
    assert [entry["step"] for detail in told for entry in detail["superseded"]] == missed


def test_a_unit_that_joined_and_was_not_told_is_told_after(desk: Desk, cast: LoadedCampaign) -> None:
    newcomer = replace(cast.units[0], code="NEW01", name="新单位")
    with desk.house.ledger.writing() as session:
        join_unit(session, act(local(6, 2)), KEY, newcomer, "新设")
    upgraded(desk.house.ledger)
    assert [key.partition(":")[0] for key in overdue(desk, EVENING + MINUTE)] == ["launch"]
