"""How units behave, dealt by a seed."""

import random
from collections.abc import Sequence
from enum import StrEnum


class Temperament(StrEnum):
    """A unit's way with circulars."""

    PUNCTUAL = "punctual"
    EARLY = "early"
    LAST_AFTERNOON = "last_afternoon"
    AFTER_REMINDER = "after_reminder"
    LATE = "late"
    AFTER_ESCALATION = "after_escalation"
    SILENT = "silent"
    WRONG_THEN_RIGHT = "wrong_then_right"
    EMPTY_FIRST = "empty_first"
    APPROXIMATE = "approximate"
    GBK_MAIL = "gbk_mail"
    FILE_NAMES = "file_names"
    DUPLICATE = "duplicate"
    AUTO_REPLY = "auto_reply"
    WRONG_ATTACHMENT = "wrong_attachment"
    BOUNCING = "bouncing"  # its first address takes mail and returns it
    REFUSED = "refused"  # its first address is refused outright
    BY_TELEPHONE = "by_telephone"
    MATERIALS = "materials"  # punctual, and sends pictures besides


SPECIAL = tuple(t for t in Temperament if t not in (Temperament.PUNCTUAL, Temperament.EARLY))
SHARES = {
    Temperament.PUNCTUAL: 40,
    Temperament.EARLY: 20,
    Temperament.LAST_AFTERNOON: 15,
    Temperament.AFTER_REMINDER: 10,
    Temperament.LATE: 6,
    Temperament.WRONG_THEN_RIGHT: 4,
    Temperament.AFTER_ESCALATION: 3,
    Temperament.SILENT: 2,
}


def deal(codes: Sequence[str], seed: int) -> dict[str, Temperament]:
    """Return a temperament for each unit: with 30 units or more every special one at least once."""
    rng = random.Random(f"temperaments:{seed}")
    shuffled = list(codes)
    rng.shuffle(shuffled)
    dealt: dict[str, Temperament] = dict(zip(shuffled, SPECIAL, strict=False)) if len(codes) >= 30 else {}  # noqa: PLR2004
    for code in codes:
        if code not in dealt:
            dealt[code] = rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
    return dealt
