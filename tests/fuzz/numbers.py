"""The number reader: whatever stands in a cell, it is read or said not to be a number; never a silent 0."""

import math
import unicodedata
from collections.abc import Iterator

from rules.numbers import LONGEST as LONGEST_NUMBER
from rules.numbers import NumberKind, read_number

LONGEST = 200
SURE = (NumberKind.EXACT, NumberKind.NORMALISED)
NONE = (NumberKind.BLANK, NumberKind.NOT_A_NUMBER)
ZEROS = frozenset("0零〇")


def seeds() -> Iterator[bytes]:
    """Yield numbers as people write them."""
    yield from (
        text.encode()
        for text in (
            "12", "１２", "12场", "1,234", "1，234.50", "1142.7万", "三百", "一百二", "叁拾", "3万1千", "3万5",
            "共12场", "约300", "5000余份", "无", "/", "-3", "1e5", "12 15", "12\u00a0150", "一万零二", "二〇二〇",
            "十万", "亿", "(场)",
        )
    )  # fmt: skip


def judge(data: bytes) -> None:
    """Read what the bytes say; raise where a promise is broken."""
    text = data.decode("utf-8", "replace")
    read = read_number(text)
    assert (read.value is None) == (read.kind in NONE), read
    if read.value is None:
        return
    assert math.isfinite(read.value), read
    assert len(text.strip()) <= LONGEST_NUMBER, read
    if read.kind is NumberKind.EMPTY_LIKE:
        assert read.value == 0, read
    elif read.value == 0 and read.kind in SURE:
        assert ZEROS & set(unicodedata.normalize("NFKC", text)), f"a silent 0: {read}"
    if read.kind in SURE and abs(read.value) < 10**15:  # beyond, a decimal is shown with an exponent
        again = read_number(f"{read.value:f}".rstrip("0").rstrip(".") if read.value % 1 else str(int(read.value)))
        assert again.value is not None, read
        assert math.isclose(again.value, read.value, rel_tol=1e-9, abs_tol=1e-6), (read, again)
