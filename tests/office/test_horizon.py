"""Series become obligations a horizon ahead, at whatever times the runs come."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign, load_campaign
from definition.roster import Unit
from ledger.acts import Act
from ledger.campaigns import find_campaign, find_party
from ledger.engine import Ledger
from ledger.facts import load_obligations
from ledger.files import FileStore
from ledger.tables import AuditRow
from office.horizon import extend_horizon
from office.launching import join_unit, launch_campaign
from office.leaving import come_back, leave
from office.nil import nil_on_behalf
from office.pausing import close
from office.planning import plan_step
from office.premises import Premises
from office.timetable import outlook
from office.units import find_unit
from office.workbooks import NotPlacedError
from rules.timetable import StepKind

KEY = "flood-season-2023"
LAUNCH = datetime(2023, 5, 22, 2, tzinfo=UTC)
NEWCOMER = Unit(code="SK03", name="新建水库", category="水库", superior="XZ01")


@contextmanager
def undone(ledger: Ledger) -> Iterator[Session]:
    """Write, and leave no trace."""
    with ledger.writing() as session:
        yield session
        session.rollback()


@pytest.fixture(scope="module")
def office(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Premises, LoadedCampaign]]:
    place = tmp_path_factory.mktemp("flood")
    folder = house / "tests" / "campaigns" / KEY
    loaded = load_campaign(folder, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email")
    ledger = Ledger(f"sqlite:///{place / 'ledger.db'}")
    ledger.migrate()
    yield (
        Premises(
            ledger=ledger,
            files=FileStore(place / "files"),
            templates=house / "templates",
            campaigns=house / "campaigns",
            reports=place,
            maildir=place,
            received_by="mx.office.example",
            signing=lambda: b"a secret for the tests only",
            mail_domain="office.example",
            mail_box="muster",
            rehearsal=True,
        ),
        loaded,
    )
    ledger.close()


def act(at: datetime) -> Act:
    return Act(actor="rule:test", as_of=at, wall=datetime.now(UTC))


Made = Counter[tuple[int, str, str, datetime]]


def made(session: Session) -> Made:
    row = find_campaign(session, KEY)
    return Counter((o.party_id, o.deliverable, o.occurrence, o.chase_from) for o in load_obligations(session, row.id))


def series_made(office: tuple[Premises, LoadedCampaign], runs: Iterable[datetime], joins: datetime) -> list[Made]:
    """Launch, run at moments, let a unit join between, and return what stood on record after each; then undo it."""
    premises, loaded = office
    stood: list[Made] = []
    joined = False
    with undone(premises.ledger) as session:
        launch_campaign(session, premises, act(LAUNCH), loaded)
        for at in runs:
            if at >= joins and not joined:
                join_unit(session, act(joins), KEY, NEWCOMER, "新建")
                joined = True
            extend_horizon(session, act(at), KEY)
            stood.append(made(session))
    return stood


@given(hours=st.lists(st.integers(0, 24 * 80), min_size=1, max_size=5).map(sorted), joins=st.integers(1, 24 * 60))
@examples(max_examples=12, deadline=None)
def test_late_and_repeated_runs_make_what_daily_ones_would_have_made(
    office: tuple[Premises, LoadedCampaign], hours: list[int], joins: int
) -> None:
    runs = [LAUNCH + timedelta(hours=h) for h in hours]
    joined = LAUNCH + timedelta(hours=joins)
    daily = [LAUNCH + timedelta(days=n) for n in range(81) if LAUNCH + timedelta(days=n) < runs[-1]]
    few = series_made(office, [*runs, runs[-1]], joined)
    assert few[-1] == few[-2] == series_made(office, [*daily, runs[-1]], joined)[-1]
    assert max(few[-1].values()) == 1


def test_at_launch_there_is_what_lies_within_the_horizon_and_at_the_end_everything(
    office: tuple[Premises, LoadedCampaign],
) -> None:
    first, last = series_made(office, [LAUNCH, LAUNCH + timedelta(days=60)], LAUNCH + timedelta(days=90))
    weekly = sorted({occurrence for _, key, occurrence, _ in first if key == "weekly"})
    assert weekly == ["2023-05-26", "2023-06-02", "2023-06-09"]  # to 21 days ahead, 06-12
    assert len(last) == (8 + 1) * 2 + 2 + 2 + 1 + 6


def test_a_planning_step_extends_the_horizon_with_an_entry_in_the_audit_trail(
    office: tuple[Premises, LoadedCampaign],
) -> None:
    premises, loaded = office
    with undone(premises.ledger) as session:
        launch_campaign(session, premises, act(LAUNCH), loaded)
        plan_step(session, premises, act(LAUNCH), KEY, StepKind.LAUNCH)
        plan_step(session, premises, act(LAUNCH + timedelta(days=4)), KEY, StepKind.REMIND)
        entries = session.scalars(select(AuditRow.detail).where(AuditRow.verb == "obligations.frozen")).all()
        assert entries[1:] == [{"obligations": 3, "occurrences": {"bulletin 2023-06-15": 1, "weekly 2023-06-16": 2}}]
        close(session, premises, act(LAUNCH + timedelta(days=5)), KEY, "活动提前结束")
        assert extend_horizon(session, act(LAUNCH + timedelta(days=80)), KEY) == 0


def test_a_week_without_findings_is_a_nil_return_of_that_week(office: tuple[Premises, LoadedCampaign]) -> None:
    premises, loaded = office
    with undone(premises.ledger) as session:
        launch_campaign(session, premises, act(LAUNCH), loaded)
        party = find_unit(session, "SK01", KEY)
        told = {"channel": "phone", "received_at": LAUNCH, "grounds": "值班员来电"}
        for occurrence in ("2023-06-02", None):
            taken = nil_on_behalf(session, premises, act(LAUNCH), party, "weekly", occurrence=occurrence, **told)  # type: ignore[arg-type]
            assert (taken.recorded, taken.notice) == (1, "receipt")
        with pytest.raises(NotPlacedError, match="monthly takes no nil return"):
            nil_on_behalf(session, premises, act(LAUNCH), party, "防汛工作月报", **told)  # type: ignore[arg-type]
        mine = [o for o in load_obligations(session, party.campaign_id, party_ids=[party.id]) if o.versions]
        assert sorted(o.occurrence for o in mine) == ["2023-05-26", "2023-06-02"]


def test_a_unit_that_comes_back_owes_of_a_series_what_was_still_to_come(
    office: tuple[Premises, LoadedCampaign],
) -> None:
    premises, loaded = office
    with undone(premises.ledger) as session:
        launch_campaign(session, premises, act(LAUNCH), loaded)
        party = find_party(session, find_campaign(session, KEY).id, "SK01")
        leave(session, premises, act(LAUNCH + timedelta(days=1)), party, "借调")
        extend_horizon(session, act(LAUNCH + timedelta(days=20)), KEY)  # gives the others those up to 07-14
        back = LAUNCH + timedelta(days=50)  # Tuesday 07-11
        come_back(session, premises, act(back), party, "回来了")
        assert extend_horizon(session, act(back), KEY) > 0
        known = load_obligations(session, party.campaign_id)
        weekly = [(o.occurrence, o.party_id) for o in known if o.deliverable == "weekly" and not o.exempt]
        # Fridays 06-30 and 07-07 fell due while it was away, and were made for the others alone
        assert [at for at, whose in weekly if whose == party.id] == ["2023-07-14"]
        assert {"2023-06-30", "2023-07-07", "2023-07-14"} <= {at for at, whose in weekly if whose != party.id}
        assert extend_horizon(session, act(back), KEY) == 0


def test_a_plan_beyond_the_horizon_says_up_to_when_occurrences_are_on_record(
    office: tuple[Premises, LoadedCampaign], tmp_path: Path
) -> None:
    premises, loaded = office
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.migrate()
    house = replace(premises, ledger=ledger)
    with ledger.writing() as session:
        launch_campaign(session, house, act(LAUNCH), loaded)
    assert outlook(house, KEY, LAUNCH, replay=False).beyond == []
    later = LAUNCH + timedelta(days=14)
    weekly = [line for line in outlook(house, KEY, later, replay=False).beyond if "up to 2023-06-09" in line]
    assert len(weekly) == 1
    assert "21 days ahead; 2023-06-16 and 1 more after it would be made by then" in weekly[0]
    with ledger.writing() as session:
        extend_horizon(session, act(later), KEY)
    assert outlook(house, KEY, later, replay=False).beyond == []
    ledger.close()
