"""Ranks with ties, and what counts for them."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rules.obligations import Obligation
from rules.ranking import fallen_due, ranked, standings
from tests.rules.test_rates import DUE, EXEMPT, LATE_ONE, MISSING, ON_TIME, RETURNED

NOW = DUE + timedelta(days=3)


def of(party: int, *obligations: Obligation) -> list[Obligation]:
    return [ob._replace(party_id=party, id=100 * party + n) for n, ob in enumerate(obligations)]


def test_ties_share_a_rank_and_the_ranks_they_use_up_are_left_out() -> None:
    assert [rank for rank, _ in ranked([9, 7, 8, 8, 7, 1], score=lambda n: n)] == [1, 2, 2, 4, 4, 6]


@given(st.lists(st.integers(0, 4)))
def test_a_rank_is_one_more_than_how_many_are_better(scores: list[int]) -> None:
    assert [(r, s) for r, s in ranked(scores, score=lambda n: n)] == [
        (1 + sum(other > s for other in scores), s) for s in sorted(scores, reverse=True)
    ]


def test_units_are_ranked_by_what_they_reported_then_by_what_was_in_time() -> None:
    obligations = [
        *of(1, MISSING, ON_TIME),
        *of(2, ON_TIME, ON_TIME),
        *of(3, ON_TIME, LATE_ONE),
        *of(4, MISSING, RETURNED),
        *of(5, ON_TIME, MISSING, ON_TIME, MISSING),  # 2 of 4 is 1 of 2
    ]
    found = standings(obligations, NOW)
    assert [(one.party_id, one.rank) for one in found] == [(2, 1), (3, 2), (1, 3), (5, 3), (4, 5)]
    assert [one.party_id for one in found if one.reported_nothing] == [4]
    assert [one.party_id for one in found if one.all_on_time] == [2]


def test_a_unit_that_owed_nothing_has_no_rank_and_is_named_for_nothing() -> None:
    [one] = standings(of(1, EXEMPT), NOW)
    assert one.rank is None
    assert not one.reported_nothing
    assert not one.all_on_time


def test_what_is_still_to_come_counts_for_nobody() -> None:
    ahead = MISSING._replace(due=NOW + timedelta(microseconds=1))
    assert fallen_due([ahead, MISSING, MISSING._replace(due=None)], NOW) == [MISSING]
    assert fallen_due([MISSING._replace(due=NOW)], NOW)


def test_what_was_returned_with_a_new_date_is_judged_by_the_one_before() -> None:
    again = RETURNED._replace(due=NOW + timedelta(days=3), first_due=DUE)
    assert fallen_due([again], NOW) == [again]
