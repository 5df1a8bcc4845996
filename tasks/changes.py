"""What a synchronisation changed, told like a plan: + new, ~ changed, - removed, and how much stayed as it was."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

FEW = 3  # so many of a kind are told as one
SHOWN = 6  # names of a kind that are told


class Sign(StrEnum):
    """What became of a thing."""

    NEW = "+"
    CHANGED = "~"
    REMOVED = "-"
    KEPT = "="  # left as it was, which is worth a word


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a thing is one of, where many are told as one: ``many`` names them together, ``one`` is its own name.

    A thing with a ``day`` is told by it: the first and the last of its kind.
    """

    many: str
    one: str = ""
    day: date | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that was made, changed or removed; ``why`` says what of it changed, or why it went."""

    sign: Sign
    what: str
    why: str = ""
    kind: Kind | None = None

    def __str__(self) -> str:
        """Return it as a line of the plan."""
        return _line(self.sign, self.what, self.why)


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

    def summary(self) -> Iterator[str]:
        """Yield the plan with what became of several things of a kind as one line, where the first of them stands."""
        alike: dict[tuple[Sign, str, str], list[Change]] = {}
        for place, change in enumerate(self.changes):
            alone = change.kind is None or change.sign is Sign.KEPT
            key = f"{place}" if alone or change.kind is None else change.kind.many
            alike.setdefault((change.sign, key, change.why), []).append(change)
        for some in alike.values():
            yield from [_together(some)] if len(some) >= FEW else map(str, some)
        yield f"= {self.unchanged} unchanged"


def _together(some: list[Change]) -> str:
    kinds = [change.kind for change in some if change.kind is not None]
    days = sorted(kind.day for kind in kinds if kind.day is not None)
    if days:
        which = f" on {days[0]}" if days[0] == days[-1] else f" from {days[0]} to {days[-1]}"
    else:
        which = " " + ", ".join(kind.one for kind in kinds[:SHOWN]) + (" …" if len(kinds) > SHOWN else "")
    return _line(some[0].sign, f"{len(some)} {kinds[0].many}{which}", some[0].why)


def _line(sign: Sign, what: str, why: str) -> str:
    return f"{sign} {what}" + (f": {why}" if why else "")


def new(what: str, why: str = "", kind: Kind | None = None) -> Changes:
    """Return that a thing was made."""
    return Changes(changes=(Change(sign=Sign.NEW, what=what, why=why, kind=kind),))


def changed(what: str, why: str, kind: Kind | None = None) -> Changes:
    """Return that a thing was changed."""
    return Changes(changes=(Change(sign=Sign.CHANGED, what=what, why=why, kind=kind),))


def removed(what: str, why: str = "", kind: Kind | None = None) -> Changes:
    """Return that a thing was removed."""
    return Changes(changes=(Change(sign=Sign.REMOVED, what=what, why=why, kind=kind),))


def kept(what: str, why: str) -> Changes:
    """Return that a thing was left as it was, and why."""
    return Changes(changes=(Change(sign=Sign.KEPT, what=what, why=why),))


SAME = Changes(unchanged=1)
