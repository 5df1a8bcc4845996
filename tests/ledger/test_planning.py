"""Planning by the set says exactly what the rule says of one obligation after another."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from definition.loading import load_campaign
from definition.models import Reminders
from ledger.acts import Act
from ledger.campaigns import deliverable_ids, written
from ledger.engine import Ledger
from ledger.files import FileStore
from ledger.outbox import class_of
from ledger.tables import (
    GONE,
    CampaignRow,
    CampaignState,
    ItemRow,
    MessageRow,
    MessageState,
    ObligationRow,
    PartyKind,
    PartyRow,
    SubmissionRow,
)
from office.launching import launch_campaign
from office.planning import Planned, decide, plan_step
from office.premises import Premises
from office.rulebook import Rulebook, open_book
from rules.notices import ItemDue, NoticeDue, Skip
from rules.obligations import SubmissionState
from rules.timetable import StepKind
from tests.servers import Postgres

KEY = "safety-month-2020"
SHANGHAI = ZoneInfo("Asia/Shanghai")
CODES = ("BH025", "BH001", "BH002", "BH003", "BH004")
DATED = ("plan", "liaison", "scheme", "report", "progress")
VOLUNTARY = "materials"
RUNGS = ("before:2", "on", "after:1", "after:1:responsible", "escalate:1")
TO_BOTH = {"before_working": [1], "on_due_day": True, "after": [1, 3], "responsible": {"from": "after:1"}}
STATES = tuple(SubmissionState)


def local(month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2020, month, day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


LAUNCH = local(5, 27, 15)


@dataclass(frozen=True, kw_only=True)
class Debt:
    """What a unit owes: a report with its due instant put off by some days, or voluntary material."""

    deliverable: str
    extended: timedelta = timedelta()
    exempt: bool = False
    chase_from: datetime = LAUNCH
    versions: tuple[SubmissionState, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """What an earlier mail said of one of its unit's debts, perhaps under the due instant it had before."""

    debt: int
    rung: str
    old_due: bool = False
    dropped: bool = False


@dataclass(frozen=True, kw_only=True)
class Mail:
    """An earlier mail to a unit; a reminder of the day of planning has no day of its own."""

    notice: Literal["launch", "reminder", "reminder_responsible", "escalation"]
    lines: tuple[Line, ...]
    day: date | None = None
    generation: int = 0
    state: MessageState = MessageState.SENT


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit with what it owes and what was said to it."""

    debts: tuple[Debt, ...]
    left_at: datetime | None = None
    mails: tuple[Mail, ...] = ()


@dataclass(frozen=True, kw_only=True)
class World:
    """A campaign at the moment of planning."""

    units: tuple[Unit, ...]
    as_of: datetime
    order: tuple[StepKind, ...] = (StepKind.REMIND, StepKind.LAUNCH)
    closed: bool = False


# From two days before the launch to six after the close, most often a day of reminders; and the hours of such a day.
DAYS = st.sampled_from([2, 5, 7, 9, 12, 34, 35]) | st.integers(-2, 50)
HOURS = st.sampled_from(
    [timedelta(), timedelta(hours=9), timedelta(hours=9, microseconds=-1), timedelta(hours=15), timedelta(hours=23)]
)
MOMENTS = st.builds(lambda day, at: local(5, 27, 0) + timedelta(days=day) + at, DAYS, HOURS)
EXTENSIONS = st.sampled_from([timedelta(), timedelta(), timedelta(days=1), timedelta(days=5, hours=-7), -timedelta(7)])
DEBTS = st.builds(
    Debt,
    deliverable=st.sampled_from((*DATED, VOLUNTARY)),
    extended=EXTENSIONS,
    exempt=st.sampled_from([False, False, False, True]),
    chase_from=st.just(LAUNCH) | MOMENTS,
    versions=st.just(()) | st.lists(st.sampled_from(STATES), max_size=3).map(tuple),
)
ALL_DEBTS = st.lists(DEBTS, min_size=1, max_size=6, unique_by=lambda debt: debt.deliverable).map(tuple)


def mails(debts: int) -> st.SearchStrategy[Mail]:
    lines = st.lists(
        st.builds(
            Line,
            debt=st.integers(0, debts - 1),
            rung=st.sampled_from(RUNGS),
            old_due=st.booleans(),
            dropped=st.sampled_from([False, False, True]),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple)
    return st.builds(
        Mail,
        notice=st.sampled_from(["launch", "reminder", "reminder", "reminder_responsible", "escalation"]),
        lines=lines,
        day=st.none() | st.dates(date(2020, 5, 27), date(2020, 7, 12)),
        generation=st.sampled_from([0, 0, 1, 2]),
        state=st.sampled_from(tuple(MessageState)),
    )


@st.composite
def units(draw: st.DrawFn) -> Unit:
    debts = draw(ALL_DEBTS)
    left_at = draw(MOMENTS) if draw(st.sampled_from([False, False, False, True])) else None
    return Unit(debts=debts, left_at=left_at, mails=draw(st.lists(mails(len(debts)), max_size=4).map(tuple)))


WORLDS = st.builds(
    World,
    units=st.lists(units(), min_size=2, max_size=len(CODES)).map(tuple),
    as_of=MOMENTS,
    order=st.permutations((StepKind.REMIND, StepKind.LAUNCH)).map(tuple),
    closed=st.sampled_from([False] * 9 + [True]),
)


class Staging:
    """Gathers the rows of a world, as the ledger's verbs would have left them, to write them at once."""

    def __init__(self, desk: "Desk", session: Session, act: Act) -> None:
        self._desk = desk
        self._session = session
        self._act = act
        self._deliverables = deliverable_ids(session, desk.campaign_id)
        self._rows: dict[type[Any], list[dict[str, Any]]] = {
            model: [] for model in (ObligationRow, SubmissionRow, MessageRow, ItemRow)
        }
        self._ids = count(1_000_000)  # beyond those that the database gives
        self._standing: set[tuple[object, ...]] = set()

    def write(self) -> None:
        for model, rows in self._rows.items():
            if rows:
                self._session.execute(insert(model), rows)

    def add_unit(self, party: int, unit: Unit) -> None:
        if unit.left_at is not None:
            self._session.execute(update(PartyRow).where(PartyRow.id == party).values(left_at=unit.left_at))
        obligations = [self._add_debt(party, debt) for debt in unit.debts]
        for mail in unit.mails:
            self._add_mail(party, mail, unit.debts, obligations)

    def _add(self, model: type[Any], **columns: Any) -> None:
        self._rows[model].append(written(self._act) | columns)

    def _add_debt(self, party: int, debt: Debt) -> int:
        obligation = next(self._ids)
        self._add(
            ObligationRow,
            id=obligation,
            campaign_id=self._desk.campaign_id,
            party_id=party,
            deliverable_id=self._deliverables[debt.deliverable],
            occurrence="once",
            due_at=self._desk.due(debt),
            chase_from=debt.chase_from,
            exempt_at=LAUNCH if debt.exempt else None,
        )
        for number, state in enumerate(debt.versions, start=1):
            received_at = LAUNCH + timedelta(days=number)
            self._add(
                SubmissionRow,
                obligation_id=obligation,
                version=number,
                channel="mail",
                received_at=received_at,
                state=state,
                as_of=received_at,
                entered_by="",
                grounds="",
            )
        return obligation

    def _add_mail(self, party: int, mail: Mail, debts: Sequence[Debt], obligations: Sequence[int]) -> None:
        day = (mail.day or self._act.as_of.astimezone(SHANGHAI).date()).isoformat()
        occasion = {"launch": "launch", "escalation": f"escalate:1:{day}"}.get(mail.notice, f"remind:{day}")
        is_gone = mail.state in GONE
        if not is_gone and not self._is_new(party, mail.notice, occasion, mail.generation):
            return  # the ledger would not have taken it
        message = next(self._ids)
        self._add(
            MessageRow,
            id=message,
            campaign_id=self._desk.campaign_id,
            party_id=party,
            notice=mail.notice,
            occasion=occasion,
            generation=mail.generation,
            mail_class=class_of(mail.notice),
            priority=40,
            message_id=f"<{message}@office.example>",
            state=mail.state,
            reason="",
            detail={},
            tries=0,
            sent_as_of=LAUNCH if mail.state is MessageState.SENT else None,
        )
        for number, line in enumerate(mail.lines):
            rung = "launch" if mail.notice == "launch" else line.rung
            due = self._desk.due(debts[line.debt], as_stated=line.old_due)
            what = (party, obligations[line.debt], rung, due, mail.generation)
            # A mail that stands has something left to say; and what stands is said once.
            gone = is_gone or (line.dropped and number > 0) or not self._is_new(*what)
            names = ("party_id", "obligation_id", "rung", "due_at", "generation")
            self._add(ItemRow, message_id=message, gone=gone, **dict(zip(names, what, strict=True)))

    def _is_new(self, *key: object) -> bool:
        """Whether nothing of this key stands yet; it does now."""
        is_new = key not in self._standing
        self._standing.add(key)
        return is_new


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The office over a ledger whose units owe nothing yet; what a test adds is rolled back."""

    house: Premises
    book: Rulebook
    campaign_id: int
    parties: tuple[int, ...]

    def due(self, debt: Debt, *, as_stated: bool = False) -> datetime | None:
        if debt.deliverable == VOLUNTARY:
            return None
        due = self.book.due(self.book.occurrences[debt.deliverable][0])
        assert due is not None
        return due if as_stated else due + debt.extended

    def stage(self, session: Session, world: World) -> None:
        """Put a world on record."""
        if world.closed:
            session.execute(update(CampaignRow).values(state=CampaignState.CLOSED))
        staging = Staging(self, session, act_of(world))
        for party, unit in zip(self.parties, world.units, strict=False):
            staging.add_unit(party, unit)
        staging.write()

    def check(self, world: World) -> dict[StepKind, Planned]:
        """Plan each step twice, holding it to the rule; return what was planned at first."""
        with self.house.ledger.writing() as session:
            self.stage(session, world)
            found = {kind: self._check_step(session, act_of(world), kind) for kind in world.order}
            session.rollback()
        return found

    def _check_step(self, session: Session, act: Act, kind: StepKind) -> Planned:
        row, book = open_book(session, KEY)
        ruled = decide(session, row, book, kind, act, replay=False)
        before = items_and_messages(session)
        planned = plan_step(session, self.house, act, KEY, kind)
        assert planned.planned == Counter(notice.notice for notice in ruled.notices)
        assert planned.skips == ruled.skips
        assert planned_since(session, before) == sorted(map(comparable, ruled.notices), key=str)
        after = items_and_messages(session)
        again = plan_step(session, self.house, act, KEY, kind)
        assert again.planned == {}
        assert again.skips == Counter(planned.skips) + Counter({Skip.SAID: len(after[0] - before[0])})
        assert again.skips == decide(session, row, book, kind, act, replay=False).skips
        assert items_and_messages(session) == after
        return planned


def act_of(world: World) -> Act:
    return Act(actor="rule:test", as_of=world.as_of, wall=world.as_of)


def items_and_messages(session: Session) -> tuple[frozenset[int], frozenset[int]]:
    return frozenset(session.scalars(select(ItemRow.id))), frozenset(session.scalars(select(MessageRow.id)))


def comparable(notice: NoticeDue) -> NoticeDue:
    """Return a notice with its items in a fixed order."""
    return replace(notice, items=tuple(sorted(notice.items, key=lambda item: item.obligation_id)))


def planned_since(session: Session, before: tuple[frozenset[int], frozenset[int]]) -> list[NoticeDue]:
    """Return what was written since as the rule would have put it, each message whole and in order."""
    items: dict[int, list[ItemDue]] = {}
    parties: dict[int, set[int]] = {}
    for item in session.scalars(select(ItemRow).where(ItemRow.id.not_in(before[0]))):
        assert (item.generation, item.gone) == (0, False)
        items.setdefault(item.message_id, []).append(
            ItemDue(obligation_id=item.obligation_id, rung=item.rung, due=item.due_at)
        )
        parties.setdefault(item.message_id, set()).add(item.party_id)
    messages = session.scalars(select(MessageRow).where(MessageRow.id.not_in(before[1]))).all()
    assert {m.id for m in messages} == set(items)  # every mail has something to say, and nothing is said in old ones
    for message in messages:
        assert (message.state, message.generation, message.tries) == (MessageState.PLANNED, 0, 0)
        assert message.mail_class == class_of(message.notice)
        assert parties[message.id] == {message.party_id}
        assert re.fullmatch(r"<[0-9a-f]{32}@office\.example>", message.message_id)
    named = session.scalars(select(MessageRow.message_id)).all()
    assert len(set(named)) == len(named)
    notices = (
        NoticeDue(
            party_id=m.party_id, notice=m.notice, occasion=m.occasion, items=tuple(items[m.id]), expires=m.expires_at
        )
        for m in messages
    )
    return sorted(map(comparable, notices), key=str)


def desk_at(url: str, folder: Path, house: Path) -> Desk:
    """Open the office over a fresh ledger: the campaign, five units that owe nothing, and a neighbour that owes all."""
    loaded = load_campaign(
        house / "campaigns" / KEY, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email"
    )
    units = tuple(unit for unit in loaded.units if unit.code in CODES)
    both = Reminders.model_validate(TO_BOTH)  # of what is due last, the responsible person is reminded too
    known = loaded.campaign.deliverables
    some = tuple(d.model_copy(update={"reminders": both}) if d.key == "progress" else d for d in known)
    loaded = replace(loaded, units=units, campaign=loaded.campaign.model_copy(update={"deliverables": some}))
    ledger = Ledger(url)
    ledger.migrate()
    premises = Premises(
        ledger=ledger,
        files=FileStore(folder / "files"),
        templates=house / "templates",
        campaigns=house / "campaigns",
        reports=folder / "reports",
        maildir=folder / "intake",
        received_by="mx.office.example",
        signing=lambda: b"a secret for the tests only",
        mail_domain="office.example",
        mail_box="muster",
        rehearsal=True,
    )
    act = Act(actor="rule:test", as_of=LAUNCH, wall=LAUNCH)
    neighbour = replace(loaded, campaign=loaded.campaign.model_copy(update={"key": "neighbour"}))
    with ledger.writing() as session:
        launch_campaign(session, premises, act, neighbour)
        row = launch_campaign(session, premises, act, loaded)
        session.execute(delete(ObligationRow).where(ObligationRow.campaign_id == row.id))
        ours = select(PartyRow.id).where(PartyRow.campaign_id == row.id, PartyRow.kind == PartyKind.UNIT)
        parties = tuple(session.scalars(ours.order_by(PartyRow.id)))
    return Desk(house=premises, book=Rulebook(loaded.campaign), campaign_id=row.id, parties=parties)


@pytest.fixture(scope="module")
def on_sqlite(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("planning")
    desk = desk_at(f"sqlite:///{folder / 'ledger.db'}", folder, house)
    yield desk
    desk.house.ledger.close()


@pytest.fixture(scope="module")
def on_postgres(postgres_server: Postgres, house: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    url = postgres_server()
    desk = desk_at(url, tmp_path_factory.mktemp("planning"), house)
    yield desk
    desk.house.ledger.close()
    postgres_server.drop(url)


@pytest.fixture(params=["on_sqlite", "on_postgres"])
def desk(request: pytest.FixtureRequest) -> Desk:
    found: Desk = request.getfixturevalue(request.param)
    return found


def owes(*deliverables: str, **facts: Any) -> tuple[Debt, ...]:
    return tuple(Debt(deliverable=deliverable, **facts) for deliverable in deliverables)


def early(days: int) -> tuple[Debt, ...]:
    """Return the scheme, due so many days before 06-05."""
    return owes("scheme", extended=-timedelta(days=days), chase_from=local(5, 20))


ACCEPTED, QUERIED, RETURNED = SubmissionState.ACCEPTED, SubmissionState.QUERIED, SubmissionState.RETURNED
# Friday 06-05, 10:00: the scheme is due today, the plan is five days late, the reports have weeks.
EVERY_REASON = World(
    as_of=local(6, 5, 10),
    units=(
        Unit(  # owes in several ways; the plan's last reminder was said to it, the list's was not
            debts=(*owes("plan", "liaison"), *owes("scheme", versions=(RETURNED,)), *owes("report", VOLUNTARY)),
            mails=(Mail(notice="reminder", day=date(2020, 6, 1), lines=(Line(debt=0, rung="after:1"),)),),
        ),
        Unit(  # reported, the returned version after the accepted one changing nothing; exempt from the rest
            debts=(
                *owes("plan", versions=(ACCEPTED, RETURNED)),
                *owes("liaison", versions=(QUERIED,)),
                *owes("scheme", exempt=True),
            ),
        ),
        Unit(debts=owes("plan", "scheme"), left_at=local(6, 3)),
        Unit(debts=owes("plan", "scheme", chase_from=local(6, 5, 9, 30))),  # joined this morning, after nine
        Unit(  # was reminded today of the scheme alone; the list had been extended until nine this morning
            debts=(*owes("scheme"), *owes("plan"), *owes("liaison", extended=timedelta(days=4, hours=9))),
            mails=(Mail(notice="reminder", lines=(Line(debt=0, rung="on"),), state=MessageState.DEFERRED),),
        ),
    ),
)


def test_every_obligation_is_named_or_passed_over_for_a_reason(desk: Desk) -> None:
    found = desk.check(EVERY_REASON)
    assert found[StepKind.REMIND].planned == {"reminder": 1}
    assert found[StepKind.REMIND].skips == {
        "said": 2,
        "not_yet": 1,
        "voluntary": 1,
        "reported": 2,
        "exempt": 1,
        "left": 2,
        "before_joining": 2,
        "expired": 1,
        "mailed_today": 1,
    }
    assert found[StepKind.LAUNCH].planned == {"launch": 3}
    assert found[StepKind.LAUNCH].skips == {"voluntary": 1, "reported": 2, "exempt": 1, "left": 2}


def test_a_reminder_that_came_to_say_today_is_the_day_says_so_no_more_the_day_after(desk: Desk) -> None:
    world = World(units=(Unit(debts=owes("plan")),) * 2, as_of=local(6, 1, 0))
    assert desk.check(world)[StepKind.REMIND] == Planned(skips={"expired": 2})
    assert desk.check(replace(world, as_of=local(6, 1)))[StepKind.REMIND] == Planned(planned={"reminder": 2})


def test_a_mail_is_out_of_date_when_the_last_of_its_items_is(desk: Desk) -> None:
    # Friday 05-29, 9:00: the plan is due on Sunday. Due today, “today” is untrue tonight, but the mail is not yet.
    today = World(units=(Unit(debts=(*owes("plan"), *early(days=7))),), as_of=local(5, 29))
    # Due on 05-26: the reminder of the working days after is never untrue, and so neither is the mail.
    overdue = replace(today, units=(Unit(debts=(*owes("plan"), *early(days=10))),))
    for world, expires in ((today, local(6, 1, 0)), (overdue, None)):
        with desk.house.ledger.writing() as session:
            desk.stage(session, world)
            plan_step(session, desk.house, act_of(world), KEY, StepKind.REMIND)
            assert session.scalars(select(MessageRow.expires_at)).all() == [expires]
            session.rollback()
        desk.check(world)


@pytest.mark.parametrize(("joined", "is_reminded"), [(local(6, 5), True), (local(6, 5, 9, 1), False)])
def test_a_unit_gets_the_reminders_from_the_moment_at_which_it_joined(
    desk: Desk, joined: datetime, is_reminded: bool
) -> None:
    world = World(units=(Unit(debts=owes("scheme", chase_from=joined)),), as_of=local(6, 5, 10))
    found = desk.check(world)[StepKind.REMIND]
    assert found == (Planned(planned={"reminder": 1}) if is_reminded else Planned(skips={"before_joining": 1}))


@pytest.mark.parametrize(
    ("as_of", "is_reminded"),
    [(local(5, 29, 9), False), (local(5, 29, 14, 59), False), (local(5, 29, 15), True)],
)
def test_what_was_returned_a_day_ago_is_chased_again(desk: Desk, as_of: datetime, is_reminded: bool) -> None:
    # The plan is due on Sunday 05-31; handed in and returned on 05-28, 15:00.
    world = World(units=(Unit(debts=owes("plan", versions=(RETURNED,))),), as_of=as_of)
    found = desk.check(world)[StepKind.REMIND]
    assert found == (Planned(planned={"reminder": 1}) if is_reminded else Planned(skips={"just_returned": 1}))


def test_a_closed_campaign_reminds_nobody(desk: Desk) -> None:
    found = desk.check(replace(EVERY_REASON, closed=True))[StepKind.REMIND]
    assert (found.planned, set(found.skips)) == ({}, {"campaign_closed"})


@pytest.mark.parametrize(("state", "is_mailed"), [(state, state not in GONE) for state in MessageState])
def test_a_reminder_of_today_that_came_to_nothing_makes_room_for_another(
    desk: Desk, state: MessageState, is_mailed: bool
) -> None:
    today = Mail(notice="reminder", lines=(Line(debt=0, rung="on"),), state=state)
    world = World(units=(Unit(debts=owes("scheme", "plan"), mails=(today,)),), as_of=local(6, 5, 10))
    found = desk.check(world)[StepKind.REMIND]
    assert found == (Planned(skips={"said": 1, "mailed_today": 1}) if is_mailed else Planned(planned={"reminder": 1}))


def test_what_one_world_adds_is_gone_in_the_next(desk: Desk) -> None:
    desk.check(EVERY_REASON)
    with desk.house.ledger.reading() as session:
        assert items_and_messages(session) == (frozenset(), frozenset())
        ours = ObligationRow.campaign_id == desk.campaign_id
        assert session.scalar(select(func.count()).select_from(ObligationRow).where(ours)) == 0


THOROUGH = settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@THOROUGH
@example(world=EVERY_REASON)
@given(world=WORLDS)
def test_planning_by_the_set_says_what_the_rule_says(on_sqlite: Desk, world: World) -> None:
    on_sqlite.check(world)


@settings(THOROUGH, max_examples=12)
@given(world=WORLDS)
def test_planning_by_the_set_says_what_the_rule_says_on_postgresql(on_postgres: Desk, world: World) -> None:
    on_postgres.check(world)


@pytest.mark.parametrize(
    ("day", "planned"),
    [
        (29, {"reminder": 1}),  # Monday, a working day before Tuesday 06-30
        (31, {"reminder": 1, "reminder_responsible": 1}),  # Wednesday 07-01, the first day late
    ],
)
def test_the_responsible_person_is_reminded_besides_the_liaison(desk: Desk, day: int, planned: dict[str, int]) -> None:
    world = World(units=(Unit(debts=owes("progress")),), as_of=local(6, 1) + timedelta(days=day - 1))
    assert desk.check(world)[StepKind.REMIND].planned == planned
