"""The ladder: promises, requests and consent that hold rungs back, each on both sides of its edge; who hears of it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.ladder import Asked, Brakes, stand_of
from rules.notices import Plan, Said, SaidAt, Skip, escalations_due, reminders_due, said_index
from rules.obligations import Obligation
from rules.timetable import Audience, LadderRung, Reader, ReminderPolicy, StepKind, escalation_steps, reminder_rungs
from rules.timetable import DatedDeliverable as Dated
from tests.rules.test_notices import FRIDAY_DUE, HOURS, LADDER, OFFICE, SUNDAY_DUE, TUESDAY_DUE, local, owing, say

UNIT_RUNG, SUPERIOR_RUNG, OFFICE_RUNG = LADDER
ASKS = (replace(UNIT_RUNG, acknowledge=True), replace(SUPERIOR_RUNG, approval=True, name="告知主管单位"), OFFICE_RUNG)
FIRST_SAID = said_index([Said(obligation_id=1, rung="escalate:1", due=FRIDAY_DUE, at=local(6, 9))])  # a Tuesday


def escalate(
    obligations: list[Obligation],
    said: SaidAt,
    as_of: datetime,
    ladder: tuple[LadderRung, ...] = LADDER,
    brakes: Brakes | None = None,
) -> Plan:
    return escalations_due(
        obligations, said, as_of, ladder=ladder, hours=HOURS, office_id=OFFICE, brakes=brakes or Brakes()
    )


@pytest.mark.parametrize(
    ("as_of", "reason"),
    [
        (local(6, 11, 9), Skip.PROMISED),  # Thursday: the superior's moment
        (local(6, 12, 23, 59), Skip.PROMISED),  # Friday, the day promised
        (local(6, 13, 0), None),  # Saturday: the promise is broken
    ],
)
def test_a_promise_holds_the_rungs_above_until_the_promised_day_is_over(as_of: datetime, reason: Skip | None) -> None:
    brakes = Brakes(promised={(1, "escalate:1", FRIDAY_DUE): local(6, 13, 0)})
    plan = escalate([owing(due=FRIDAY_DUE)], FIRST_SAID, as_of, brakes=brakes)
    assert plan.skips == ({reason: 1} if reason else {})
    assert [n.party_id for n in plan.notices] == ([] if reason else [50])


def test_a_promise_for_another_deadline_holds_nothing() -> None:
    brakes = Brakes(promised={(1, "escalate:1", TUESDAY_DUE): local(7, 9, 0)})
    assert len(escalate([owing(due=FRIDAY_DUE)], FIRST_SAID, local(6, 11), brakes=brakes).notices) == 1


@pytest.mark.parametrize(
    ("asked", "as_of", "reason"),
    [
        (Asked(local(6, 5, 23, 59)), local(6, 11, 9), Skip.EXTENSION_ASKED),  # Thursday
        (Asked(local(6, 5, 23, 59)), local(6, 15, 8, 59), Skip.EXTENSION_ASKED),  # Monday, a minute too early
        (Asked(local(6, 5, 23, 59)), local(6, 15, 9), None),  # two working days after Thursday
        (Asked(local(6, 6, 0)), local(6, 11, 9), None),  # asked for at the due instant: too late
        (Asked(local(6, 5, 12), local(6, 11, 10)), local(6, 11, 9, 59), Skip.EXTENSION_ASKED),
        (Asked(local(6, 5, 12), local(6, 11, 10)), local(6, 11, 10), None),  # refused
    ],
)
def test_an_unanswered_request_keeps_the_superiors_out_for_two_working_days(
    asked: Asked, as_of: datetime, reason: Skip | None
) -> None:
    plan = escalate([owing(due=FRIDAY_DUE)], FIRST_SAID, as_of, brakes=Brakes(asked={1: [asked]}))
    assert plan.skips == ({reason: 1} if reason else {})


def test_a_request_holds_back_neither_the_unit_s_own_rung_nor_the_rungs_above_a_second_time() -> None:
    brakes = Brakes(asked={1: [Asked(local(6, 5, 12))]})
    own = escalate([owing(due=FRIDAY_DUE)], {}, local(6, 9), brakes=brakes)
    assert [n.occasion for n in own.notices] == ["escalate:1:2020-06-09"]
    told = [Said(obligation_id=1, rung=f"escalate:{n}", due=FRIDAY_DUE, at=local(6, 15)) for n in (1, 2)]
    above = escalate([owing(due=FRIDAY_DUE)], said_index(told), local(6, 16), brakes=brakes)
    assert [n.party_id for n in above.notices] == [OFFICE]


def test_a_rung_that_needs_consent_is_listed_and_the_rungs_above_wait_for_its_sending() -> None:
    ob = owing(due=FRIDAY_DUE)
    for day in (11, 15, 30):
        plan = escalate([ob], FIRST_SAID, local(6, day), ASKS)
        assert plan.notices == ()
        assert [(n.party_id, n.occasion) for n in plan.to_approve] == [(50, f"escalate:2:2020-06-{day}")]
        assert plan.skips == {Skip.TO_APPROVE: 1}
    sent = Said(obligation_id=1, rung="escalate:2", due=FRIDAY_DUE, at=local(6, 30))  # a Tuesday
    said = {**FIRST_SAID, **said_index([sent])}
    assert escalate([ob], said, local(7, 1, 8, 59), ASKS).notices == ()
    assert [n.party_id for n in escalate([ob], said, local(7, 1), ASKS).notices] == [OFFICE]


@pytest.mark.parametrize(("as_of", "is_asked"), [(local(6, 17, 8, 59), False), (local(6, 17), True)])
def test_what_was_declined_is_asked_about_again_when_its_time_has_come(as_of: datetime, is_asked: bool) -> None:
    brakes = Brakes(declined={(1, "escalate:2", FRIDAY_DUE): local(6, 17)})
    plan = escalate([owing(due=FRIDAY_DUE)], FIRST_SAID, as_of, ASKS, brakes)
    assert bool(plan.to_approve) is is_asked
    assert plan.skips == ({Skip.TO_APPROVE: 1} if is_asked else {Skip.DECLINED: 1})


def test_a_rung_for_nobody_is_passed_over_and_the_office_hears_all_the_same() -> None:
    orphan = owing(due=FRIDAY_DUE)._replace(superior_id=None)
    assert escalate([orphan], FIRST_SAID, local(6, 12)).skips == {Skip.NOBODY_ABOVE: 1}  # Friday
    assert escalate([orphan], FIRST_SAID, local(6, 15, 8, 59)).notices == ()
    assert [n.party_id for n in escalate([orphan], FIRST_SAID, local(6, 15)).notices] == [OFFICE]  # Monday


def test_a_department_hears_of_its_trade_in_one_mail_a_day_though_it_is_a_superior_too() -> None:
    ladder = (replace(SUPERIOR_RUNG, number=1), replace(SUPERIOR_RUNG, number=2, after=5, audience=Audience.DEPARTMENT))
    theirs = owing(1, due=FRIDAY_DUE)
    trade = owing(2, party=2, due=FRIDAY_DUE)._replace(superior_id=51, department_id=50)
    said = said_index([Said(obligation_id=2, rung="escalate:1", due=FRIDAY_DUE, at=local(6, 11))])
    plan = escalate([theirs, trade], said, local(6, 12), ladder)
    assert [(n.party_id, n.occasion, len(n.items)) for n in plan.notices] == [(50, "escalate:1:2020-06-12", 2)]
    again = escalations_due(
        [theirs, trade], said, local(6, 12), ladder=ladder, hours=HOURS, office_id=OFFICE,
        mailed=frozenset({(50, "escalation_digest")}),
    )  # fmt: skip
    assert again.skips == {Skip.MAILED_TODAY: 2}


def test_where_a_thing_stands_says_what_comes_next_and_when() -> None:
    found = stand_of(owing(due=FRIDAY_DUE), LADDER, FIRST_SAID, local(6, 10), hours=HOURS, office_id=OFFICE)
    assert (found.due, found.reason, found.coming, found.opens) == (None, Skip.SAID, SUPERIOR_RUNG, local(6, 11))


def test_every_working_day_is_a_step_where_rungs_may_shift() -> None:
    dated = [Dated(key="d", title="方案", due=FRIDAY_DUE, reminders=ReminderPolicy())]
    plain = list(escalation_steps(dated, LADDER, HOURS, until=local(6, 17, 17)))
    daily = list(escalation_steps(dated, ASKS, HOURS, until=local(6, 17, 17)))
    assert [s.moment for s in plain] == [local(6, 9), local(6, 11), local(6, 15)]
    assert sorted(s.moment for s in daily) == [local(6, day) for day in (9, 10, 11, 12, 15, 16, 17)]
    assert {s.subject for s in daily} >= {"方案 · 告知主管单位", "逐日复核"}
    assert all(s.kind is StepKind.ESCALATE for s in daily)


POLICY = ReminderPolicy(before=(2,), before_working=(1,), on_due_day=True, after=(1, 3), responsible_from="on")


def test_a_working_day_before_a_monday_is_the_friday() -> None:
    due = local(6, 9, 0)  # Monday 06-08, inclusive
    rungs = reminder_rungs(due, replace(POLICY, responsible_from=None), HOURS)
    # two days before is a Saturday, moved to Friday 06-05 as well: one reminder
    assert [(r.key, r.moment) for r in rungs] == [
        ("before:2", local(6, 5)),
        ("on", local(6, 8)),
        ("after:1", local(6, 9)),
        ("after:3", local(6, 11)),
    ]


@pytest.mark.parametrize(
    ("instead", "liaison"),
    [(False, ["before:2", "before_working:1", "on", "after:1", "after:3"]), (True, ["before:2", "before_working:1"])],
)
def test_the_responsible_person_hears_from_the_stated_reminder_on(instead: bool, liaison: list[str]) -> None:
    policy = replace(POLICY, instead=instead)  # due Tuesday 06-30: Sunday 06-28 is a working day, Monday 06-29
    by_reader = {reader: [r.key for r in reminder_rungs(TUESDAY_DUE, policy, HOURS, reader)] for reader in Reader}
    assert by_reader[Reader.LIAISON] == liaison
    assert by_reader[Reader.RESPONSIBLE] == ["on:responsible", "after:1:responsible", "after:3:responsible"]


def test_both_readers_get_one_mail_each_and_the_tally_says_nothing_of_who_has_no_such_reminder() -> None:
    obligations = [owing(1, due=TUESDAY_DUE), owing(2, due=FRIDAY_DUE)]
    policies = {f"d{TUESDAY_DUE}": POLICY, f"d{FRIDAY_DUE}": ReminderPolicy(after=(1,))}
    plans = {
        reader: reminders_due(obligations, {}, local(6, 30), policy_of=policies.__getitem__, hours=HOURS, reader=reader)
        for reader in Reader
    }
    assert [(n.notice, [i.rung for i in n.items]) for plan in plans.values() for n in plan.notices] == [
        ("reminder", ["on", "after:1"]),
        ("reminder_responsible", ["on:responsible"]),
    ]
    assert plans[Reader.RESPONSIBLE].skips == {}


HOUR = timedelta(hours=1)


@settings(max_examples=60)
@given(
    runs=st.lists(st.integers(0, 24 * 45), min_size=1, max_size=40).map(sorted),
    promised=st.none() | st.integers(0, 24 * 40),
    asked=st.none() | st.integers(0, 24 * 20),
    consents=st.booleans(),
)
def test_whatever_holds_the_ladder_back_no_rung_goes_twice_or_out_of_order(
    runs: list[int], promised: int | None, asked: int | None, consents: bool
) -> None:
    start = local(5, 27)
    dues = (SUNDAY_DUE, FRIDAY_DUE)
    until = start + HOUR * promised if promised is not None else None
    brakes = Brakes(
        promised={(i, "escalate:1", due): until for i, due in enumerate(dues)} if until is not None else {},
        asked={i: [Asked(start + HOUR * asked)] for i in range(2)} if asked is not None else {},
    )
    said: list[Said] = []
    for hour in [*runs, 24 * 60, 24 * 63, 24 * 66]:  # three late runs end every ladder
        now = start + HOUR * hour
        plan = escalate([owing(i, due=due) for i, due in enumerate(dues)], said_index(said), now, ASKS, brakes)
        said.extend(say(plan, now))
        if consents:
            said.extend(say(Plan(notices=plan.to_approve), now))
    for i in range(2):
        mine = [s for s in said if s.obligation_id == i]
        assert [s.rung for s in mine] == [f"escalate:{n}" for n in range(1, 4 if consents else 2)]
        above = [s.at for s in mine if s.rung != "escalate:1"]
        assert until is None or all(at >= until for at in above) or not above
