"""The ladder: on which rung a silent obligation stands, and what holds it back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rules.obligations import Obligation
from rules.said import SaidAt, Skip
from rules.timetable import Audience, Hours, LadderRung, rung_earliest, working_days_later

GRACE = 2  # working days for which an unanswered request for extension keeps a unit's superiors from hearing of it
MOST_PROMISES = 2  # a rung is held up by a promise, and once more; a third is none
ABOVE = frozenset({Audience.SUPERIOR, Audience.DEPARTMENT, Audience.OFFICE, Audience.CAMPAIGN})
Key = tuple[int, str, datetime | None]  # obligation, rung, due instant


class Asked(NamedTuple):
    """A request for extension: when it was made, and when it was answered."""

    at: datetime
    answered: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Brakes:
    """What holds rungs back.

    ``promised``: until when, by what was promised in answer to a rung. ``asked``: extensions asked for, by obligation.
    ``declined``: until when staff do not want to be asked about a rung again.
    """

    promised: Mapping[Key, datetime] = field(default_factory=dict)
    asked: Mapping[int, Sequence[Asked]] = field(default_factory=dict)
    declined: Mapping[Key, datetime] = field(default_factory=dict)


FREE = Brakes()


class Stand(NamedTuple):
    """Where an obligation stands on the ladder: the rung to send now, or why none is, and which comes next and when.

    ``opens`` is the earliest moment of the next rung as far as it is known now; approval is asked for from then on.
    """

    due: LadderRung | None
    reason: Skip | None = None
    coming: LadderRung | None = None
    opens: datetime | None = None


def party_of(ob: Obligation, audience: Audience, office_id: int) -> int | None:
    """Return the party that hears of an obligation on a rung; of the whole campaign the office keeps the list."""
    return {
        Audience.UNIT: ob.party_id,
        Audience.SUPERIOR: ob.superior_id,
        Audience.DEPARTMENT: ob.department_id,
        Audience.OFFICE: office_id,
        Audience.CAMPAIGN: office_id,
    }[audience]


def stand_of(
    ob: Obligation,
    ladder: Sequence[LadderRung],
    said: SaidAt,
    as_of: datetime,
    *,
    hours: Hours,
    office_id: int,
    brakes: Brakes = FREE,
) -> Stand:
    """Return where an obligation that is still owed stands.

    The rung to send is the lowest not yet said, if its earliest moment has come and nothing holds it back. One whose
    party is not on record is passed over.
    """
    if ob.due is None:
        return Stand(None, Skip.VOLUNTARY)
    previous: datetime | None = None
    orphaned = False
    told: list[LadderRung] = []
    for rung in ladder:
        sent = said.get((ob.id, rung.key, ob.due))
        if sent is not None:
            previous = sent
            told.append(rung)
            continue
        opens = opens_at(ob, rung, hours, previous)
        if as_of >= opens and party_of(ob, rung.audience, office_id) is None:
            orphaned = True
            continue
        reason, until = _held_back(ob, rung, told, as_of, opens=opens, hours=hours, brakes=brakes)
        if reason is not None:
            return Stand(None, reason, rung, until)
        if as_of >= opens:
            return Stand(rung, coming=rung, opens=opens)
        waits = Skip.NOBODY_ABOVE if orphaned else Skip.SAID if told else Skip.NOT_YET
        return Stand(None, waits, rung, opens)
    return Stand(None, Skip.NOBODY_ABOVE if orphaned and not told else Skip.LADDER_DONE)


def opens_at(ob: Obligation, rung: LadderRung, hours: Hours, previous: datetime | None) -> datetime:
    """Return the earliest moment of a rung, given when the one below it was said; of what is due at some instant."""
    assert ob.due is not None  # noqa: S101  voluntary materials climb no ladder
    opens = rung_earliest(ob.due, rung, hours, previous)
    if opens < ob.chase_from:  # it was owed again when its time had come: a working day to hand it in
        opens = working_days_later(ob.chase_from, 1, hours)
    return opens


def promised_until(ob: Obligation, told: Iterable[LadderRung], brakes: Brakes) -> datetime | None:
    """Return until when the rungs above those that were told wait for what was promised in answer."""
    found = (until for rung in told if (until := brakes.promised.get((ob.id, rung.key, ob.due))))
    return max(found, default=None)


def _held_back(
    ob: Obligation,
    rung: LadderRung,
    told: Iterable[LadderRung],
    as_of: datetime,
    *,
    opens: datetime,
    hours: Hours,
    brakes: Brakes,
) -> tuple[Skip | None, datetime | None]:
    """Return what keeps a rung from going out now although its moment has come, and until when."""
    below = tuple(told)
    promised = promised_until(ob, below, brakes)
    if promised is not None and max(as_of, opens) < promised:
        return Skip.PROMISED, promised
    if as_of < opens:
        return None, None
    grace = working_days_later(opens, GRACE, hours)
    is_first_above = rung.audience in ABOVE and not any(r.audience in ABOVE for r in below)
    if is_first_above and as_of < grace and _is_unanswered(ob, brakes, as_of):
        return Skip.EXTENSION_ASKED, grace
    again = brakes.declined.get((ob.id, rung.key, ob.due))
    if again is not None and as_of < again:
        return Skip.DECLINED, again
    return None, None


def _is_unanswered(ob: Obligation, brakes: Brakes, as_of: datetime) -> bool:
    """Whether an extension was asked for before an obligation was due, and is not answered yet."""
    return any(
        ob.due is not None and one.at < ob.due and (one.answered is None or one.answered > as_of)
        for one in brakes.asked.get(ob.id, ())
    )
