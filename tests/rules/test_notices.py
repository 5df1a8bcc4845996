"""Which notices are due: level, not edge."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.calendar import WorkCalendar
from rules.notices import Plan, Said, SaidAt, Skip, escalations_due, launches_due, reminders_due, said_index
from rules.obligations import Obligation, SubmissionState, Version
from rules.timetable import Audience, Hours, LadderRung, ReminderPolicy, reminder_rungs

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOURS = Hours(
    zone=SHANGHAI,
    send_at=time(9, 0),
    calendar=WorkCalendar(
        holidays=frozenset({date(2020, 6, 25), date(2020, 6, 26), date(2020, 6, 27)}),
        makeup_days=frozenset({date(2020, 6, 28)}),
    ),
)
POLICY = ReminderPolicy(before=(2,), on_due_day=True, after=(1,))
LADDER = (
    LadderRung(number=1, after=2, audience=Audience.UNIT, notice="escalation"),
    LadderRung(number=2, after=4, audience=Audience.SUPERIOR, notice="escalation_digest"),
    LadderRung(number=3, after=6, audience=Audience.OFFICE, notice="escalation_digest"),
)
OFFICE = 99


def local(month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2020, month, day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


SUNDAY_DUE = local(6, 1, 0)  # 05-31, a Sunday, inclusive
FRIDAY_DUE = local(6, 6, 0)  # 06-05
TUESDAY_DUE = local(7, 1, 0)  # 06-30
LAUNCH = local(5, 27, 15)


def owing(
    id_: int = 1, *, due: datetime | None = SUNDAY_DUE, party: int = 1, chase_from: datetime = LAUNCH, **facts: object
) -> Obligation:
    return Obligation(
        id=id_,
        party_id=party,
        superior_id=50,
        category="街镇",
        deliverable=f"d{due}",
        occurrence="once",
        due=due,
        chase_from=chase_from,
        **facts,  # type: ignore[arg-type]
    )


def remind(obligations: list[Obligation], said: SaidAt, as_of: datetime) -> Plan:
    return reminders_due(obligations, said, as_of, policy_of=lambda _: POLICY, hours=HOURS)


def escalate(obligations: list[Obligation], said: SaidAt, as_of: datetime) -> Plan:
    return escalations_due(obligations, said, as_of, ladder=LADDER, hours=HOURS, office_id=OFFICE)


def say(plan: Plan, at: datetime) -> list[Said]:
    return [Said(obligation_id=i.obligation_id, rung=i.rung, due=i.due, at=at) for n in plan.notices for i in n.items]


def handed_in(at: datetime, state: SubmissionState = SubmissionState.ACCEPTED) -> tuple[Version, ...]:
    return (Version(number=1, received_at=at, state=state),)


def test_before_and_on_a_sunday_deadline_fall_together_on_friday() -> None:
    rungs = reminder_rungs(SUNDAY_DUE, POLICY, HOURS)
    assert [(r.key, r.moment) for r in rungs] == [("on", local(5, 29)), ("after:1", local(6, 1))]


def test_reminders_around_the_dragon_boat_holiday() -> None:
    due = local(6, 28, 0)  # Saturday 06-27, a holiday
    rungs = reminder_rungs(due, POLICY, HOURS)
    # two days before = Thursday holiday → Wednesday; on the day = Saturday holiday → Wednesday; after = made-up Sunday
    assert [(r.key, r.moment) for r in rungs] == [("on", local(6, 24)), ("after:1", local(6, 28))]


@pytest.mark.parametrize(
    ("as_of", "rung"),
    [
        (local(5, 29, 8, 59), None),
        (local(5, 29, 9, 0), "on"),
        (local(5, 31, 23, 59), "on"),  # a missed run still says it while it is true
        (local(6, 1, 0, 0), None),  # the deadline is past: “today is the day” must not go out
        (local(6, 1, 9, 0), "after:1"),
    ],
)
def test_a_reminder_is_due_from_its_moment_until_it_is_untrue(as_of: datetime, rung: str | None) -> None:
    plan = remind([owing()], {}, as_of)
    assert [i.rung for n in plan.notices for i in n.items] == ([rung] if rung else [])


def test_of_two_overdue_reminders_only_the_later_goes_out() -> None:
    plan = remind([owing(due=FRIDAY_DUE)], {}, local(6, 5, 10))  # 06-03 was missed
    assert [i.rung for n in plan.notices for i in n.items] == ["on"]
    again = remind([owing(due=FRIDAY_DUE)], said_index(say(plan, local(6, 5, 10))), local(6, 5, 11))
    assert again.notices == ()
    assert again.skips == {Skip.SAID: 1}


def test_one_mail_a_unit_lists_all_it_owes() -> None:
    plan = remind([owing(1), owing(2), owing(3, party=2)], {}, local(5, 29))
    assert [(n.party_id, n.occasion, len(n.items)) for n in plan.notices] == [
        (1, "remind:2020-05-29", 2),
        (2, "remind:2020-05-29", 1),
    ]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"versions": handed_in(local(5, 28))}, Skip.REPORTED),
        ({"versions": handed_in(local(5, 28), SubmissionState.QUERIED)}, Skip.REPORTED),
        ({"exempt": True}, Skip.EXEMPT),
        ({"left_at": local(5, 28)}, Skip.LEFT),
        ({"due": None}, Skip.VOLUNTARY),
        ({"chase_from": local(5, 30)}, Skip.BEFORE_JOINING),
    ],
)
def test_a_unit_is_not_reminded_and_the_reason_is_said(facts: dict[str, object], reason: Skip) -> None:
    plan = remind([owing(**facts)], {}, local(5, 29))  # type: ignore[arg-type]
    assert plan.notices == ()
    assert plan.skips == {reason: 1}


def test_a_returned_report_is_chased_like_a_missing_one() -> None:
    returned = owing(versions=handed_in(local(5, 28), SubmissionState.RETURNED))
    assert len(remind([returned], {}, local(5, 29)).notices) == 1


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (local(6, 3, 8, 30), Skip.JUST_RETURNED),  # half an hour before the reminder of two days before
        (local(6, 2, 9, 1), Skip.JUST_RETURNED),
        (local(6, 2, 9, 0), None),
    ],
)
def test_what_was_just_returned_is_left_in_peace_for_a_day(returned: datetime, reason: Skip | None) -> None:
    ob = owing(due=FRIDAY_DUE, versions=handed_in(returned, SubmissionState.RETURNED))
    plan = remind([ob], {}, local(6, 3))
    assert plan.skips == ({reason: 1} if reason else {})
    assert len(remind([ob], {}, local(6, 4, 9)).notices) == 1  # it waits for tomorrow's


@pytest.mark.parametrize(("returned", "is_reminded"), [(local(6, 5, 0), True), (local(6, 4, 23, 59), False)])
def test_a_deadline_within_the_day_after_a_return_is_said(returned: datetime, is_reminded: bool) -> None:
    ob = owing(due=FRIDAY_DUE, versions=handed_in(returned, SubmissionState.RETURNED))
    assert bool(remind([ob], {}, local(6, 5)).notices) is is_reminded


def test_what_was_in_time_and_returned_this_morning_is_not_called_overdue_half_an_hour_later() -> None:
    version = Version(
        number=1, received_at=local(5, 31, 22), state=SubmissionState.RETURNED, taken_in_at=local(6, 1, 8, 30)
    )
    ob = owing(versions=(version,))
    assert remind([ob], {}, local(6, 1)).skips == {Skip.JUST_RETURNED: 1}
    (notice,) = remind([ob], {}, local(6, 2)).notices
    assert [item.rung for item in notice.items] == ["after:1"]
    assert len(escalate([ob], {}, local(6, 2)).notices) == 1  # the ladder does not wait


def test_a_day_after_the_return_counts_from_when_it_was_judged() -> None:
    version = Version(
        number=1, received_at=local(5, 30), state=SubmissionState.RETURNED, taken_in_at=local(6, 3, 8, 30)
    )
    assert remind([owing(due=FRIDAY_DUE, versions=(version,))], {}, local(6, 3)).skips == {Skip.JUST_RETURNED: 1}


def test_an_extension_makes_new_items() -> None:
    said = said_index(say(remind([owing()], {}, local(5, 29)), local(5, 29)))
    extended = owing(due=FRIDAY_DUE)
    assert [i.rung for n in remind([extended], said, local(6, 3)).notices for i in n.items] == ["before:2"]


def test_a_rung_waits_a_working_day_after_the_rung_before() -> None:
    ob = owing(due=FRIDAY_DUE)
    # every run until Thursday 06-18 was missed
    first = escalate([ob], {}, local(6, 18))
    assert [n.occasion for n in first.notices] == ["escalate:1:2020-06-18"]
    said = said_index(say(first, local(6, 18)))
    assert escalate([ob], said, local(6, 18, 17)).notices == ()
    assert escalate([ob], said, local(6, 19, 8, 59)).notices == ()
    second = escalate([ob], said, local(6, 19))
    assert [(n.party_id, n.notice) for n in second.notices] == [(50, "escalation_digest")]


def test_a_superior_gets_one_digest_of_all_its_silent_units() -> None:
    obligations = [owing(i, party=i, due=FRIDAY_DUE) for i in (1, 2, 3)]
    said = [Said(obligation_id=i, rung="escalate:1", due=FRIDAY_DUE, at=local(6, 9)) for i in (1, 2, 3)]
    plan = escalate(obligations, said_index(said), local(6, 11))
    assert [(n.party_id, n.occasion, len(n.items)) for n in plan.notices] == [(50, "escalate:2:2020-06-11", 3)]


def test_the_ladder_ends() -> None:
    ob = owing(due=FRIDAY_DUE)
    said = [Said(obligation_id=1, rung=f"escalate:{n}", due=FRIDAY_DUE, at=local(6, 9 + n)) for n in (1, 2, 3)]
    assert escalate([ob], said_index(said), local(7, 9)).skips == {Skip.LADDER_DONE: 1}


def test_a_unit_without_superior_is_counted_not_lost() -> None:
    orphan = Obligation(
        id=1, party_id=1, superior_id=None, category="", deliverable="d", occurrence="once", due=FRIDAY_DUE,
        chase_from=LAUNCH,
    )  # fmt: skip
    said = said_index([Said(obligation_id=1, rung="escalate:1", due=FRIDAY_DUE, at=local(6, 9))])
    assert escalate([orphan], said, local(6, 11)).skips == {Skip.NOBODY_ABOVE: 1}


def test_a_unit_that_joined_is_told_of_the_launch_and_the_others_not_again() -> None:
    old, new = owing(1, party=1), owing(2, party=2)
    said = said_index([Said(obligation_id=1, rung="launch", due=SUNDAY_DUE, at=LAUNCH)])
    plan = launches_due([old, new], said)
    assert [n.party_id for n in plan.notices] == [2]
    assert plan.skips == {Skip.SAID: 1}


def test_neither_an_extension_nor_a_picture_handed_in_is_a_second_launch() -> None:
    said = said_index([Said(obligation_id=1, rung="launch", due=SUNDAY_DUE, at=LAUNCH)])
    assert launches_due([owing(1, due=FRIDAY_DUE), owing(2, due=None)], said).notices == ()


RUNS = st.lists(st.integers(0, 24 * 45), min_size=1, max_size=40).map(sorted)


@settings(max_examples=60)
@given(runs=RUNS, reported=st.none() | st.integers(0, 24 * 45))
def test_whatever_runs_are_missed_or_doubled_no_rung_is_said_twice_or_after_the_report(
    runs: list[int], reported: int | None
) -> None:
    start = local(5, 27)
    said: list[Said] = []
    for hour in [*runs, *runs[-3:]]:
        now = start + timedelta(hours=hour)
        came = reported is not None and start + timedelta(hours=reported) <= now
        versions = handed_in(start + timedelta(hours=reported or 0)) if came else ()
        obligations = [
            owing(i, due=due, versions=versions) for i, due in enumerate((SUNDAY_DUE, FRIDAY_DUE, TUESDAY_DUE))
        ]
        index = said_index(said)
        new = [*say(remind(obligations, index, now), now), *say(escalate(obligations, index, now), now)]
        assert not (came and new)
        said.extend(new)
    keys = [(s.obligation_id, s.rung, s.due) for s in said]
    assert len(keys) == len(set(keys))
    for s in said:
        assert s.due is not None
        is_early = s.rung == "on" or s.rung.startswith("before")
        assert (s.at < s.due) is is_early


@settings(max_examples=25, deadline=None)
@given(
    late=st.integers(24, 24 * 45),
    reported=st.dictionaries(st.integers(0, 2), st.integers(0, 24 * 45)),
)
def test_one_late_run_says_what_hourly_runs_would_have_said_less_what_was_overtaken(
    late: int, reported: dict[int, int]
) -> None:
    start, dues = local(5, 27), (SUNDAY_DUE, FRIDAY_DUE, TUESDAY_DUE)

    def world(hours: list[int]) -> list[Said]:
        said: list[Said] = []
        for hour in hours:
            now = start + timedelta(hours=hour)
            came = {i: start + timedelta(hours=h) for i, h in reported.items()}
            facts = [
                owing(i, party=i, due=due, versions=handed_in(came[i]) if i in came and came[i] <= now else ())
                for i, due in enumerate(dues)
            ]
            index = said_index(said)
            said += [*say(remind(facts, index, now), now), *say(escalate(facts, index, now), now)]
        return said

    punctual, tardy = world(list(range(late + 1))), world([late])
    owed = [i for i in range(3) if reported.get(i, late + 1) > late]
    for i in owed:
        chased = [s.rung for s in punctual if s.obligation_id == i and not s.rung.startswith("escalate")]
        at_once = [s.rung for s in tardy if s.obligation_id == i and not s.rung.startswith("escalate")]
        untrue = start + timedelta(hours=late) >= dues[i] and chased[-1:] in (["on"], ["before:2"])
        assert at_once == ([] if untrue else chased[-1:])  # only the last of them, unless it is no longer true
        climbed = [s.rung for s in punctual if s.obligation_id == i and s.rung.startswith("escalate")]
        # Nobody is overtaken: a late run begins at the ladder's foot, and goes on a working day later.
        assert [s.rung for s in tardy if s.obligation_id == i and s.rung.startswith("escalate")] == climbed[:1]
    assert {s.obligation_id for s in tardy} <= set(owed)
    after = [late + 24 * day for day in range(1, 30)]
    ends = [
        sorted({(s.obligation_id, s.rung) for s in world(hours) if s.rung.startswith("escalate")})
        for hours in ([*range(late + 1), *after], [late, *after])
    ]
    missing = set(owed) - {i for i, hour in reported.items() if hour <= late + 24 * 29}
    for i in missing:
        assert [rung for id_, rung in ends[0] if id_ == i] == [rung for id_, rung in ends[1] if id_ == i]
