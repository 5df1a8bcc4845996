"""What a synchronisation changed, told short and in full."""

from datetime import date

from tasks.changes import SAME, Changes, Kind, changed, kept, new, removed


def run(day: int, why: str = "") -> Changes:
    kind = Kind(many="runs 收件", one=f"2020-06-{day:02d}T08:30", day=date(2020, 6, day))
    return removed(f"run {day}", why, kind) if why else new(f"run {day}", kind=kind)


def test_several_of_a_kind_are_one_line_with_their_number_and_the_first_and_last_day() -> None:
    some = run(3) + new("run 汇总", kind=Kind(many="runs 汇总", day=date(2020, 6, 8))) + run(1) + run(2) + SAME
    assert list(some.summary()) == [
        "+ 3 runs 收件 from 2020-06-01 to 2020-06-03",
        "+ run 汇总",
        "= 1 unchanged",
    ]
    assert list(some.lines()) == ["+ run 3", "+ run 汇总", "+ run 1", "+ run 2", "= 1 unchanged"]


def test_what_went_for_different_reasons_is_told_apart_from_what_is_new() -> None:
    some = run(1) + run(2, "gone") + run(3, "gone") + run(4, "gone") + run(5, "moved")
    assert list(some.summary()) == [
        "+ run 1",
        "- 3 runs 收件 from 2020-06-02 to 2020-06-04: gone",
        "- run 5: moved",
        "= 0 unchanged",
    ]


def test_things_without_a_day_are_told_by_name_and_many_of_them_by_the_first() -> None:
    some = sum((changed(f"deployment {n}", "tags", Kind(many="deployments", one=f"{n}")) for n in range(8)), Changes())
    assert next(some.summary()) == "~ 8 deployments 0, 1, 2, 3, 4, 5 …: tags"


def test_what_was_left_as_it_was_is_told_each_by_itself() -> None:
    some = kept("a", "by staff") + kept("b", "by staff") + kept("c", "by staff")
    assert len(list(some.summary())) == 4
