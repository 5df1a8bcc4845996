"""Cross-checks as expressions: what they say, and what they cannot be made to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.expressions import BadExpressionError, read_expression
from rules.form_checks import check
from rules.forms import Cell, Check, Column, FieldType, FindingCode, Form, FreeRows, ReadRow, Row, Severity, Table

N = {"a": 3, "b": 4, "c": 0}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a <= b", True),
        ("b <= a", False),
        ("a + 1 == b", True),
        ("sum(a, b, c) == 7", True),
        ("a < b < 5", True),
        ("a < b > 5", False),
        ("(a > 0) == (c > 0)", False),
        ("not c", True),
        ("a > 9 or b == 4", True),
        ("a > 9 and b == 4", False),
        ("-a < +b * 2 - 1", True),
        ("a / c > 1", None),  # divided by zero: not judged
        (f"sum({'*'.join(['1e18'] * 18)}, -{'*'.join(['1e18'] * 18)}) < a", None),  # infinite both ways
        ("a <= missing", None),  # a number that is not there: not judged
        ("a > 0 or missing > 0", None),
    ],
)
def test_an_expression_holds_or_not_or_cannot_be_judged(text: str, holds: bool | None) -> None:
    assert read_expression(text).holds(N) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a + b == c", True),
        ("a + b != c", False),
        ("a + b <= c", True),
        ("a + b > c", False),
        ("c >= a + b", True),
        ("c < a + b", False),
        ("c - a - b == 0", True),
        ("sum(a, b) == c", True),
        ("c < 0.30001", True),
        ("c == 0.30001", False),
        ("whole == 1000000000", False),  # whole numbers are compared to the unit, however large
        ("whole > 1000000000", True),
    ],
)
def test_decimals_are_compared_as_people_write_them(text: str, holds: bool) -> None:
    numbers = {"a": 0.1, "b": 0.2, "c": 0.3, "whole": 1_000_000_001}
    assert read_expression(text).holds(numbers) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os').system('true') == 0", "may not stand there"),
        ("().__class__ == 1", "may not stand there"),
        ("a.real > 1", "Attribute may not stand there"),
        ("a[0] > 1", "Subscript may not stand there"),
        ("a ** 9 ** 9 > 1", "Pow may not stand there"),
        ("(lambda: 1)() > a", "may not stand there|one by one"),
        ("[x for x in a] == 1", "may not stand there"),
        ("f'{a}' == 1", "may not stand there"),
        ("a == 'x'", "no number"),
        ("a == True", "no number"),
        ("a == 1e400", "no number"),
        ("a in b", "In may not stand there"),
        ("sum() > a", "one by one"),
        ("sum(a, start=1) > 2", "one by one"),
        ("eval(a) > 1", "only sum"),
        ("a + b", "it says a number"),
        ("1 < 2", "names no number"),
        ("a <", "invalid syntax"),
        ("a = 1", "invalid syntax"),
        ("", "invalid syntax"),
        ("(" * 300 + "a" + ")" * 300, "longer than"),
        ("(" * 240 + "a" + ")" * 240, "parentheses"),
        ("a>" + "+" * 400 + "1", "more than"),
        ("a\0 > 1", "hazards_fixed"),
        ("a > 1 # " + "x" * 600, "longer than"),
    ],
)
def test_an_expression_that_says_more_than_it_may_is_refused_with_its_reason(text: str, said: str) -> None:
    with pytest.raises(BadExpressionError, match=said):
        read_expression(text)


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        expression = read_expression(text)
    except BadExpressionError:
        return
    assert expression.holds(dict.fromkeys(expression.names, 1.0)) in (True, False, None)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_the_two_common_checks_say_what_they_did_as_words(left: int, right: int) -> None:
    numbers = {"x": left, "y": right}
    assert read_expression("x <= y").holds(numbers) is (left <= right)
    assert read_expression("(x > 0) == (y > 0)").holds(numbers) is ((left > 0) == (right > 0))


def test_the_shape_tells_which_sentence_fits() -> None:
    assert read_expression("a <= b").pair == ("a", "b")
    assert read_expression("b >= a").pair == ("a", "b")
    assert read_expression("(a > 0) == (b > 0)").together == ("a", "b")
    other = read_expression("a <= 2 * b")
    assert (other.pair, other.together, other.names) == (None, None, ("a", "b"))


def table(**numbers: object) -> Table:
    rows = (
        ReadRow(key=k, cells={"n": Cell(sheet="s", ref=f"B{i}", value=v)})
        for i, (k, v) in enumerate(numbers.items(), 2)
    )
    return Table(form_key="f", sheet="s", rows=tuple(rows))


def fixed(*checks: Check) -> Form:
    columns = (Column(key="what", title="项目", label=True), Column(key="n", title="数", type=FieldType.INTEGER))
    rows = tuple(Row(key=k, labels={"what": name}) for k, name in (("a", "甲"), ("b", "乙"), ("c", "丙")))
    return Form(key="f", title="f", version=1, columns=columns, rows=rows, checks=checks)


def test_a_check_with_a_message_names_every_number_with_its_cell() -> None:
    form = fixed(Check(expr="a == b + c", column="n", severity=Severity.MUST, message="甲应等于乙与丙之和"))
    (found,) = check(form, table(a=9, b=4, c=4)).findings
    assert (found.severity, found.code, found.cell, found.row) == (Severity.MUST, FindingCode.CROSS, "B2", "a")
    assert found.params == {"message": "甲应等于乙与丙之和", "values": "“甲”为 9（B2）；“乙”为 4（B3）；“丙”为 4（B4）"}
    assert check(form, table(a=8, b=4, c=4)).findings == ()


def test_a_check_over_a_faulty_number_is_left_until_it_is_mended() -> None:
    found = check(fixed(Check(expr="a <= b", column="n")), table(a=9, b="若干", c=4)).findings
    assert [f.code for f in found] == [FindingCode.NOT_A_NUMBER]


def test_free_rows_are_checked_one_by_one() -> None:
    columns = tuple(Column(key=k, title=t, type=FieldType.INTEGER) for k, t in (("plan", "计划"), ("done", "完成")))
    form = Form(
        key="f", title="f", version=1, columns=columns, free=FreeRows(), checks=(Check(expr="done <= plan"),)
    )  # fmt: skip
    numbers = {1: (5, 5), 2: (5, 6), 3: (None, 7)}
    rows = tuple(
        ReadRow(
            key=str(n),
            cells={
                "plan": Cell(sheet="s", ref=f"A{n + 1}", value=plan),
                "done": Cell(sheet="s", ref=f"B{n + 1}", value=done),
            },
        )
        for n, (plan, done) in numbers.items()
    )
    found = check(form, Table(form_key="f", sheet="s", rows=rows)).findings
    assert [(f.code, f.cell, f.field, f.params["other_cell"]) for f in found] == [
        (FindingCode.AT_MOST, "B3", "第2行“完成”", "A3")
    ]
