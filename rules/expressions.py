"""Cross-checks as expressions in data: ``hazards_fixed <= hazards_found``.

Read with Python's own parser and judged by our own evaluator, which knows numbers, names, + - * /, comparisons,
and, or, not, and sum(). Nothing is ever executed.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

LONGEST = 500  # characters
MOST_PARTS = 120
LARGEST = 1e18
CLOSE = 1e-9  # decimals are kept in halves: 0.1 + 0.2 is not quite 0.3, and nobody writes so fine a difference

_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _same(left: float, right: float) -> bool:
    """Whether two numbers are the same: whole ones to the unit, decimals as near as arithmetic brings them."""
    if left % 1 == 0 and right % 1 == 0:
        return left == right
    return math.isclose(left, right, rel_tol=CLOSE, abs_tol=CLOSE)


_COMPARISON: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: lambda left, right: left < right and not _same(left, right),
    ast.LtE: lambda left, right: left <= right or _same(left, right),
    ast.Gt: lambda left, right: left > right and not _same(left, right),
    ast.GtE: lambda left, right: left >= right or _same(left, right),
    ast.Eq: _same,
    ast.NotEq: lambda left, right: not _same(left, right),
}
_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Compare,
    ast.Name, ast.Load, ast.Constant, ast.Call, *_ARITHMETIC, *_COMPARISON,
)  # fmt: skip


class BadExpressionError(ValueError):
    """An expression that cannot be used; the message says what is wrong with it and what may be written."""


class _Unknown(Exception):  # noqa: N818  an answer, not an error
    """A number that the expression needs is not there."""


@dataclass(frozen=True, kw_only=True)
class Expression:
    """A cross-check that was read and found to be allowed."""

    text: str
    names: tuple[str, ...]  # in the order in which they stand
    tree: ast.expr

    def holds(self, numbers: Mapping[str, float]) -> bool | None:
        """Whether it holds; None if a number it needs is not there, it divides by zero, or goes beyond all numbers."""
        try:
            return bool(_value(self.tree, numbers))
        except (_Unknown, ArithmeticError, ValueError):  # sum() of infinities is a ValueError
            return None

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two names of ``a <= b``, the commonest check, for which we have a sentence."""
        match self.tree:
            case ast.Compare(left=ast.Name(id=a), ops=[ast.LtE()], comparators=[ast.Name(id=b)]):
                return a, b
            case ast.Compare(left=ast.Name(id=b), ops=[ast.GtE()], comparators=[ast.Name(id=a)]):
                return a, b
        return None

    @property
    def together(self) -> tuple[str, str] | None:
        """The two names of ``(a > 0) == (b > 0)``: both zero or both positive."""
        match self.tree:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                a, b = _positive(left), _positive(right)
                return (a, b) if a and b else None
        return None


def _positive(node: ast.expr) -> str | None:
    match node:
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Gt()], comparators=[ast.Constant(value=0)]):
            return name
    return None


def read_expression(text: str) -> Expression:
    """Read an expression.

    Raises:
        BadExpressionError: it is none, or says more than it may.

    """
    if len(text) > LONGEST:
        raise BadExpressionError(f"it is longer than {LONGEST} characters; split it")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else "it cannot be read"
        raise BadExpressionError(f"{said}; write it like hazards_fixed <= hazards_found") from None
    parts = list(ast.walk(tree))
    if len(parts) > MOST_PARTS:
        raise BadExpressionError(f"it has more than {MOST_PARTS} parts; split it")
    called = {id(node.func) for node in parts if isinstance(node, ast.Call)}
    for node in parts:
        _allow(node, is_called=id(node) in called)
    if not isinstance(tree.body, ast.Compare | ast.BoolOp) and not _is_not(tree.body):
        raise BadExpressionError("it says a number; compare it with another, as in a + b == c")
    named = [n for n in parts if isinstance(n, ast.Name) and id(n) not in called]
    in_order = sorted(named, key=lambda n: (n.lineno, n.col_offset))
    names = tuple(dict.fromkeys(n.id for n in in_order))
    if not names:
        raise BadExpressionError("it names no number of the form")
    return Expression(text=text.strip(), names=names, tree=tree.body)


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _allow(node: ast.AST, *, is_called: bool) -> None:
    if not isinstance(node, _ALLOWED):
        what = type(node).__name__
        raise BadExpressionError(
            f"{what} may not stand there; use names, numbers, + - * /, comparisons, and, or, not, sum()"
        )
    if is_called and not (isinstance(node, ast.Name) and node.id == "sum"):
        raise BadExpressionError("only sum(a, b, …) may be called")
    if isinstance(node, ast.Call) and (node.keywords or not node.args):
        raise BadExpressionError("sum() takes the numbers one by one: sum(a, b, c)")
    if isinstance(node, ast.Constant) and not _is_number(node.value):
        raise BadExpressionError(f"{node.value!r} is no number one may use here")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _value(node: ast.expr, numbers: Mapping[str, float]) -> float:  # noqa: PLR0911  one for each kind of node
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float):
            return value
        case ast.Name(id=name):
            if name not in numbers:
                raise _Unknown
            return numbers[name]
        case ast.Call(args=args):
            return math.fsum(_value(a, numbers) for a in args)
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, numbers), _value(right, numbers))
        case ast.UnaryOp(op=op, operand=operand):
            value = _value(operand, numbers)
            return not value if isinstance(op, ast.Not) else (-value if isinstance(op, ast.USub) else value)
        case ast.BoolOp(op=op, values=values):
            # All are judged: a check with a number missing is not judged at all.
            truths = [bool(_value(v, numbers)) for v in values]
            return all(truths) if isinstance(op, ast.And) else any(truths)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [_value(v, numbers) for v in (left, *comparators)]
            return all(_COMPARISON[type(op)](a, b) for op, a, b in zip(ops, sides[:-1], sides[1:], strict=True))
    raise _Unknown
