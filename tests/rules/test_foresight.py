"""What comes next for an obligation, and why a reminder was not written."""

from datetime import UTC, datetime, timedelta

from rules.foresight import coming, unwritten
from rules.notices import Said, Skip, said_index
from rules.obligations import Obligation, SubmissionState, Version
from rules.timetable import Audience, LadderRung, ReminderPolicy
from tests.rules.test_ageing import HOURS

DUE = datetime(2020, 6, 5, 16, tzinfo=UTC)  # Friday 06-05
POLICY = ReminderPolicy(before=(2,), on_due_day=True, after=(1,))
LADDER = (
    LadderRung(number=1, after=2, audience=Audience.UNIT, notice="escalation"),
    LadderRung(number=2, after=4, audience=Audience.SUPERIOR, notice="escalation_digest"),
)
OWED = Obligation(
    id=1, party_id=1, superior_id=2, category="街镇", deliverable="scheme", occurrence="once", due=DUE,
    chase_from=datetime(2020, 5, 27, 7, tzinfo=UTC),
)  # fmt: skip


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2020, 6, day, hour - 8, tzinfo=UTC)


def said(*rungs: tuple[str, datetime]) -> list[Said]:
    return [Said(obligation_id=1, rung=rung, due=DUE, at=moment) for rung, moment in rungs]


def ahead(ob: Obligation, as_of: datetime, told: list[Said]) -> list[tuple[str, datetime]]:
    found = coming(ob, said_index(told), as_of, policy=POLICY, ladder=LADDER, hours=HOURS)
    return [(one.rung, one.moment) for one in found]


def silent(ob: Obligation, as_of: datetime, *told: tuple[str, datetime]) -> list[tuple[str, Skip | None, str]]:
    found = unwritten(ob, said_index(said(*told)), as_of, policy=POLICY, hours=HOURS)
    return [(one.rung, one.why, one.replaced_by) for one in found]


def test_a_silent_unit_hears_of_each_rung_in_turn() -> None:
    assert ahead(OWED, at(1), []) == [
        ("before:2", at(3)),  # Wednesday
        ("on", at(5)),  # Friday
        ("after:1", at(8)),  # Monday
        ("escalate:1", at(9)),  # Tuesday
        ("escalate:2", at(11)),  # Thursday
    ]


def test_a_rung_that_went_out_late_puts_off_the_next() -> None:
    told = said(("escalate:1", at(12)))  # Friday
    assert ahead(OWED, at(12, 10), told) == [("escalate:2", at(15))]  # Monday


def test_nothing_comes_for_what_is_reported() -> None:
    done = OWED._replace(versions=(Version(1, at(2), SubmissionState.ACCEPTED, at(2)),))
    assert ahead(done, at(3), []) == []
    assert silent(done, at(8, 10), ("before:2", at(3))) == [
        ("on", Skip.REPORTED, ""),
        ("after:1", Skip.REPORTED, ""),
    ]


def test_a_reminder_whose_machine_was_down_is_replaced_by_a_later_one_or_out_of_date() -> None:
    assert silent(OWED, at(5), ("on", at(5))) == [("before:2", Skip.SAID, "on")]
    assert silent(OWED, at(8), ("after:1", at(8))) == [("before:2", Skip.EXPIRED, ""), ("on", Skip.EXPIRED, "")]
    assert silent(OWED, at(3)) == [("before:2", None, "")]


def test_nothing_is_made_up_for_a_unit_that_joined_later() -> None:
    joined = OWED._replace(chase_from=at(4))
    assert silent(joined, at(4)) == [("before:2", Skip.BEFORE_JOINING, "")]
    assert ahead(joined, at(4), [])[0] == ("on", at(5))


def test_what_was_returned_a_moment_ago_is_left_in_peace() -> None:
    returned = OWED._replace(versions=(Version(1, at(2), SubmissionState.RETURNED, at(2, 20)),))
    assert silent(returned, at(3)) == [("before:2", Skip.JUST_RETURNED, "")]
    assert silent(OWED._replace(exempt=True), at(3)) == [("before:2", Skip.EXEMPT, "")]


def test_moments_are_those_of_the_due_instant_in_force() -> None:
    later = OWED._replace(due=DUE + timedelta(days=7))
    assert ahead(later, at(6), said(("before:2", at(3))))[0] == ("before:2", at(10))
