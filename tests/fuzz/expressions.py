"""Cross-checks of forms: a text is an expression or is refused with a reason; judging one never raises."""

import itertools
from collections.abc import Iterator

from rules.expressions import BadExpressionError, read_expression

LONGEST = 520
AMOUNTS = (0.0, 1.0, -1.0, 0.1, 1e18, 1e308, -1e308, 3.0, 5e-324)


def seeds() -> Iterator[bytes]:
    """Yield checks as forms have them, each behind the byte that picks the amounts."""
    for number, text in enumerate(
        (
            "hazards_fixed <= hazards_found", "(a > 0) == (b > 0)", "a + b == c", "sum(a, b, c) <= d", "not a > b",
            "a / b < 0.5 and b != 0 or c == 1", "-a * b >= +c", "a < b <= c", "sum(a * a, -b * b) == 0",
        )
    ):  # fmt: skip
        yield bytes([number]) + text.encode()


def judge(data: bytes) -> None:
    """Read and judge what the bytes say; raise where a promise is broken."""
    text = data[1:].decode("utf-8", "replace")
    try:
        read = read_expression(text)
    except BadExpressionError:
        return
    first = data[0] % len(AMOUNTS)
    amounts = itertools.cycle((*AMOUNTS[first:], *AMOUNTS[:first]))
    numbers = dict(zip(read.names, amounts, strict=False))
    assert read.holds(numbers) in (True, False, None)
    assert read.holds({}) is None
    assert read.pair is None or set(read.pair) <= set(read.names)
    assert read.together is None or set(read.together) <= set(read.names)
    assert read_expression(read.text).names == read.names
