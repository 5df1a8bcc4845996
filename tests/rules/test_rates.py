"""Rates over a frozen denominator."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

from rules.obligations import Obligation, Standing, SubmissionState, Version, is_on_time, standing, was_corrected_late
from rules.rates import Totals, totals

DUE = datetime(2020, 5, 31, 16, tzinfo=UTC)
IN_TIME, LATE = DUE - timedelta(microseconds=1), DUE
MISSING = Obligation(
    id=1, party_id=1, superior_id=None, category="街镇", deliverable="plan", occurrence="once", due=DUE, chase_from=DUE
)


def with_versions(*versions: tuple[datetime, SubmissionState]) -> Obligation:
    handed_in = (Version(number=n, received_at=at, state=s) for n, (at, s) in enumerate(versions, start=1))
    return MISSING._replace(versions=tuple(handed_in))


ON_TIME = with_versions((IN_TIME, SubmissionState.ACCEPTED))
LATE_ONE = with_versions((LATE, SubmissionState.ACCEPTED))
RETURNED = with_versions((IN_TIME, SubmissionState.RETURNED))
CORRECTED_LATE = with_versions((IN_TIME, SubmissionState.RETURNED), (LATE, SubmissionState.ACCEPTED))
QUERIED = with_versions((IN_TIME, SubmissionState.QUERIED))
EXEMPT = MISSING._replace(exempt=True)
LEFT = MISSING._replace(left_at=DUE - timedelta(days=1))
LEFT_AFTER_DUE = MISSING._replace(left_at=DUE + timedelta(days=1))


def test_received_at_the_due_instant_is_late() -> None:
    assert is_on_time(ON_TIME) is True
    assert is_on_time(LATE_ONE) is False
    assert is_on_time(RETURNED) is None


def test_a_return_corrected_after_due_is_on_time_and_shown_apart() -> None:
    assert is_on_time(CORRECTED_LATE) is True
    assert was_corrected_late(CORRECTED_LATE)
    assert not was_corrected_late(ON_TIME)


def test_a_faulty_version_after_acceptance_changes_nothing() -> None:
    again = with_versions((IN_TIME, SubmissionState.ACCEPTED), (LATE, SubmissionState.RETURNED))
    assert standing(again) is Standing.ACCEPTED
    assert is_on_time(again) is True


def test_the_denominator_leaves_out_exempt_and_those_who_left_before_due() -> None:
    every = [ON_TIME, LATE_ONE, RETURNED, CORRECTED_LATE, QUERIED, MISSING, EXEMPT, LEFT, LEFT_AFTER_DUE]
    counted = totals(every)
    assert counted == Totals(
        owed=7, reported=4, on_time=3, corrected_late=1, late=1, queried=1, returned=1, missing=2, outside=2
    )
    assert counted.report_rate == 4 / 7
    assert counted.on_time_rate == 3 / 7


def test_what_waits_for_staff_is_reported_and_gives_way_to_an_accepted_version() -> None:
    waits = with_versions((IN_TIME, SubmissionState.SUBMITTED))
    assert standing(waits) is Standing.SUBMITTED
    assert is_on_time(waits) is True
    assert totals([waits]) == Totals(owed=1, reported=1, on_time=1)
    later = with_versions((IN_TIME, SubmissionState.ACCEPTED), (LATE, SubmissionState.SUBMITTED))
    assert standing(later) is Standing.ACCEPTED


def test_a_date_moved_by_a_return_makes_nobody_punctual() -> None:
    moved = LATE_ONE._replace(due=DUE + timedelta(days=5), first_due=DUE)
    assert is_on_time(moved) is False
    in_time = CORRECTED_LATE._replace(due=DUE + timedelta(days=5), first_due=DUE)
    assert is_on_time(in_time) is True
    assert was_corrected_late(in_time)


def test_nothing_owed_has_no_rate() -> None:
    assert totals([EXEMPT]).report_rate is None


def test_voluntary_materials_stand_outside_the_rates() -> None:
    assert totals([ON_TIME._replace(due=None)]) == Totals()


def test_order_never_changes_the_totals() -> None:
    some = [ON_TIME, LATE_ONE, RETURNED, MISSING]
    assert len({totals(order) for order in permutations(some)}) == 1


def test_every_obligation_is_counted_once() -> None:
    counted = totals([ON_TIME, LATE_ONE, RETURNED, QUERIED, MISSING])
    assert counted.reported + counted.returned + counted.missing == counted.owed
