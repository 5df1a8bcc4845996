"""What a synchronisation changed, told like a plan: + new, ~ changed, - removed, and how much stayed as it was."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Sign(StrEnum):
    """What became of a thing."""

    NEW = "+"
    CHANGED = "~"
    REMOVED = "-"
    KEPT = "="  # left as it was, which is worth a word


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that was made, changed or removed; ``why`` says what of it changed, or why it went."""

    sign: Sign
    what: str
    why: str = ""

    def __str__(self) -> str:
        """Return it as a line of the plan."""
        return f"{self.sign} {self.what}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What was changed, and how many things were found as they should be and left alone."""

    changes: tuple[Change, ...] = ()
    unchanged: int = 0

    def __add__(self, other: "Changes") -> "Changes":
        """Return both together."""
        return Changes(changes=self.changes + other.changes, unchanged=self.unchanged + other.unchanged)

    def __bool__(self) -> bool:
        """Whether anything was changed."""
        return any(change.sign is not Sign.KEPT for change in self.changes)

    def of(self, sign: Sign) -> tuple[Change, ...]:
        """Return the changes of one kind."""
        return tuple(change for change in self.changes if change.sign is sign)

    def lines(self) -> Iterator[str]:
        """Yield the plan, a line each, and at its end what was left alone."""
        yield from map(str, self.changes)
        yield f"= {self.unchanged} unchanged"


def new(what: str, why: str = "") -> Changes:
    """Return that a thing was made."""
    return Changes(changes=(Change(sign=Sign.NEW, what=what, why=why),))


def changed(what: str, why: str) -> Changes:
    """Return that a thing was changed."""
    return Changes(changes=(Change(sign=Sign.CHANGED, what=what, why=why),))


def removed(what: str, why: str = "") -> Changes:
    """Return that a thing was removed."""
    return Changes(changes=(Change(sign=Sign.REMOVED, what=what, why=why),))


def kept(what: str, why: str) -> Changes:
    """Return that a thing was left as it was, and why."""
    return Changes(changes=(Change(sign=Sign.KEPT, what=what, why=why),))


SAME = Changes(unchanged=1)
