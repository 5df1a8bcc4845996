"""A whole month through the real flows, real SMTP and a real Prefect server, each step twice and the month again."""

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from deployments.stage import Stage, set_stage
from ledger.acts import Act
from ledger.errors import BehindTheCampaign
from ledger.tables import ApprovalRow, AuditRow, CampaignRow, ContactRow, IntakeRow, MessageRow, SubmissionRow
from office.launching import go_live, reach_of
from rehearsal.temperaments import Temperament
from rules.timetable import DAILY, Step, StepKind
from settings import settings

SetUp = Callable[..., Stage]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[SetUp]:
    """Return a function that sets a stage; the world and the environment go back afterwards."""
    opened: list[Stage] = []
    before = dict(os.environ)

    def set_up(campaign: str, **choices: Any) -> Stage:
        opened.append(set_stage(campaign, out=tmp_path / f"stage{len(opened)}", **choices))
        return opened[-1]

    yield set_up
    for one in opened:
        one.world.stop()
    for name in set(os.environ) - set(before):
        del os.environ[name]
    settings.cache_clear()


def walk(stage: Stage, **how: Any) -> Any:
    from flows.rehearse import rehearse  # noqa: PLC0415  after the environment is set

    return asyncio.run(rehearse(stage, lambda *_: None, **how))


def test_a_month_of_every_temperament_holds_and_a_second_pass_sends_nothing(stage: SetUp, prefect: None) -> None:
    from tasks.desk import premises  # noqa: PLC0415

    played = stage("safety-month-2020", units=32, seed=3)
    done = walk(played, twice=True, missed=_is_dull)
    assert [c.name for c in done.checks if not c.holds] == [], done.checks
    assert len(done.checks) == 9
    assert set(played.world.temperaments.values()) >= set(Temperament) - {Temperament.PUNCTUAL, Temperament.EARLY}
    with premises().ledger.reading() as session:
        _bounced_units_were_reached_at_their_next_contact(session)
        _the_telephone_was_heard(session)
        _each_mail_has_a_fate(session)
        _one_launch_may_have_left(session)
        _rows_bear_their_run(session)


def _is_dull(step: Step) -> bool:
    """Whether a step teaches nothing that others do not; each costs three runs on the server."""
    return step.subject == DAILY or (step.kind is StepKind.COLLECT and step.moment.day % 4 != 1)


def _twice_each() -> Callable[[Step], bool]:
    """Return whether a step was missed: all collections but Monday's, and what was said in two other weeks before."""
    said: Counter[tuple[StepKind, str]] = Counter()

    def missed(step: Step) -> bool:
        if step.kind is StepKind.COLLECT:
            return step.moment.weekday() != 0
        said[step.kind, step.subject] += 1
        return said[step.kind, step.subject] > 2

    return missed


def _bounced_units_were_reached_at_their_next_contact(session: Any) -> None:
    bad = session.scalars(select(ContactRow).where(ContactRow.bad_since.is_not(None))).all()
    assert len(bad) == 2  # one address that bounces, one that is refused
    again = session.scalars(select(MessageRow).where(MessageRow.generation == 1)).all()
    assert [m.notice for m in again] == ["launch", "launch"]
    assert all(m.state == "sent" and m.caused_by and m.address.startswith("lead.") for m in again)


def _the_telephone_was_heard(session: Any) -> None:
    called = session.scalars(select(SubmissionRow).where(SubmissionRow.channel == "phone")).all()
    assert len(called) == 5
    assert all(s.grounds and s.entered_by == "staff:rehearsal" for s in called)


def _each_mail_has_a_fate(session: Any) -> None:
    rows = session.scalars(select(IntakeRow)).all()
    assert not [r for r in rows if r.state == "waiting"]
    kinds = {r.kind for r in rows}
    assert kinds >= {"hand_in", "duplicate", "auto_reply", "bounce", "unreadable"}


def _one_launch_may_have_left(session: Any) -> None:
    (lost,) = session.scalars(select(MessageRow).where(MessageRow.state == "ambiguous")).all()
    assert (lost.notice, lost.generation, lost.tries) == ("launch", 0, 1)


def _rows_bear_their_run(session: Any) -> None:
    by_staff = select(ApprovalRow.occasion).where(ApprovalRow.state == "approved")
    assert session.scalars(by_staff).all()  # the rehearsal's staff agreed to the rungs that ask for it
    sent_by_rule = MessageRow.occasion.not_in(by_staff)
    by_flows = session.scalars(select(MessageRow).where(MessageRow.mail_class != "reply", sent_by_rule)).all()
    assert all(m.flow_run_id and m.as_of and m.recorded_at for m in by_flows)


def test_another_campaign_runs_by_the_same_code_though_most_steps_were_missed(
    stage: SetUp, prefect: None, house: Path
) -> None:
    played = stage(str(house / "tests" / "campaigns" / "flood-season-2023"), units=None, seed=1)
    done = walk(played, missed=_twice_each())
    assert [c.name for c in done.checks if not c.holds] == []
    whole = {line.category: line.totals for line in done.accounts.lines}
    # 8 Fridays from 05-26 to 07-14 and the review for two reservoirs, 2 month ends for one of them; for the township
    # the month ends, the review, and the 5th, 15th and 25th from 05-25 to 07-15. Half of it was beyond the horizon.
    assert whole["水库"].owed == (8 + 1) * 2 + 2
    assert whole["乡镇"].owed == 2 + 1 + 6


def test_the_fence_keeps_mail_in_until_the_campaign_goes_live(
    stage: SetUp, prefect: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.running import run_step  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    played = stage("safety-month-2020", units=3, seed=1)
    monkeypatch.setenv("MUSTER_REHEARSAL", "false")
    monkeypatch.setenv("MUSTER_ALLOW_LIST", '["duty.bh001@unit.example"]')
    settings.cache_clear()
    launch_at = played.book.launch_at
    tally = asyncio.run(run_step("launch", played.key, launch_at))
    assert (tally.outcomes, tally.unsent) == ({"sent": 1}, {"fenced": 2})
    act = Act(actor="staff:test", as_of=launch_at, wall=datetime.now(UTC))
    with premises().ledger.writing() as session:
        assert reach_of(session, played.key).waiting == 2
        go_live(session, act, played.key, "负责人同意")
    again = asyncio.run(run_step("deliver", played.key, launch_at))
    assert again.outcomes == {"sent": 2}
    with pytest.raises(BehindTheCampaign):
        asyncio.run(run_step("remind", played.key, launch_at.replace(year=2019)))


def test_one_byte_changed_by_hand_is_named(stage: SetUp, prefect: None) -> None:
    from flows.running import run_step  # noqa: PLC0415
    from ledger import audit  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    played = stage("safety-month-2020", units=2, seed=1)
    asyncio.run(run_step("launch", played.key, played.book.launch_at))
    with premises().ledger.reading() as session:
        assert audit.verify(session).fault == ""
        victim = session.scalars(select(AuditRow).where(AuditRow.verb == "messages.planned")).one().seq
    with sqlite3.connect(settings().var_dir / "ledger.db") as raw:
        raw.execute("DROP TRIGGER audit_no_update")
        raw.execute("UPDATE audit SET actor = 'rule:lanuch' WHERE seq = ?", (victim,))
    raw.close()
    with premises().ledger.reading() as session:
        assert audit.verify(session).fault.startswith(f"entry {victim} (messages.planned")


def test_a_folder_edited_after_launch_changes_nothing_that_runs(stage: SetUp, prefect: None) -> None:
    from flows.running import run_step  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    played = stage("safety-month-2020", units=2, seed=1)
    asyncio.run(run_step("launch", played.key, played.book.launch_at))
    folder = settings().campaigns_dir / played.key
    (folder / "campaign.yaml").write_text("key: nonsense", encoding="utf-8")
    reminder = next(s for s in played.book.steps if s.kind == "remind")
    tally = asyncio.run(run_step("remind", played.key, reminder.moment))
    assert tally.planned == {"reminder": 2}
    with premises().ledger.reading() as session:
        assert session.scalars(select(CampaignRow.title)).one().startswith("2020年")
        assert session.execute(text("SELECT count(*) FROM messages")).scalar_one() == 4
