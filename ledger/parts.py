"""Long lists of numbers, a part at a time: PostgreSQL takes 65,535 in a statement, SQLite by how it was built."""

from collections.abc import Iterable, Iterator

AT_ONCE = 1000


def in_parts(ids: Iterable[int]) -> Iterator[list[int]]:
    """Yield numbers in parts that a statement can name, each number once."""
    left = list(dict.fromkeys(ids))
    for start in range(0, len(left), AT_ONCE):
        yield left[start : start + AT_ONCE]
