"""What comes next for one obligation if nothing changes, and why a reminder whose moment has come was not written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rules.ladder import FREE, Brakes, opens_at, promised_until
from rules.notices import SaidAt, Skip, spared_returns, was_returned
from rules.obligations import REPORTED, Obligation, SubmissionState, is_owed, standing
from rules.timetable import Audience, Hours, LadderRung, ReminderPolicy, ReminderRung, reminder_rungs


@dataclass(frozen=True, kw_only=True)
class Coming:
    """A mail that will speak of an obligation unless it is reported before: on which rung, from when, to whom."""

    rung: str
    moment: datetime
    audience: Audience
    notice: str


@dataclass(frozen=True, kw_only=True)
class Unwritten:
    """A reminder whose moment has come and that was not written, and why; None: the next run writes it."""

    rung: str
    moment: datetime
    why: Skip | None
    replaced_by: str = ""  # a later rung that was or will be said in its place


def coming(
    ob: Obligation,
    said: SaidAt,
    as_of: datetime,
    *,
    policy: ReminderPolicy,
    ladder: Sequence[LadderRung],
    hours: Hours,
    brakes: Brakes = FREE,
) -> list[Coming]:
    """Return what is to come for an obligation that is owed, in order of time; nothing if it is not.

    Promises and lists that staff declined hold a rung back as they do on the ladder; a request that waits does not
    show here, for it may be answered at any time.
    """
    if not is_owed(ob) or ob.due is None:
        return []
    found = [
        Coming(rung=r.key, moment=r.moment, audience=Audience.UNIT, notice="reminder")
        for r in reminder_rungs(ob.due, policy, hours)
        if (ob.id, r.key, ob.due) not in said and r.moment > as_of and r.moment >= ob.chase_from
    ]
    previous: datetime | None = None
    told: list[LadderRung] = []
    for rung in ladder:
        sent = said.get((ob.id, rung.key, ob.due))
        if sent is None:
            held = (promised_until(ob, told, brakes), brakes.declined.get((ob.id, rung.key, ob.due)))
            sent = max(opens_at(ob, rung, hours, previous), as_of, *(until for until in held if until is not None))
            found.append(Coming(rung=rung.key, moment=sent, audience=Audience(rung.audience), notice=rung.notice))
        else:
            told.append(rung)
        previous = sent
    return sorted(found, key=lambda c: c.moment)


def unwritten(
    ob: Obligation, said: SaidAt, as_of: datetime, *, policy: ReminderPolicy, hours: Hours
) -> list[Unwritten]:
    """Return the reminders whose moment has come and that were not written, each with its reason."""
    if ob.due is None:
        return []
    come = [r for r in reminder_rungs(ob.due, policy, hours) if r.moment <= as_of]
    silent = [(place, r) for place, r in enumerate(come) if (ob.id, r.key, ob.due) not in said]
    return [_unwritten(ob, rung, come[place + 1 :], as_of, policy) for place, rung in silent]


def _unwritten(
    ob: Obligation, rung: ReminderRung, later: Sequence[ReminderRung], as_of: datetime, policy: ReminderPolicy
) -> Unwritten:
    why = _why(ob, rung, as_of, policy)
    if why is None and later:
        return Unwritten(rung=rung.key, moment=rung.moment, why=Skip.SAID, replaced_by=later[-1].key)
    return Unwritten(rung=rung.key, moment=rung.moment, why=why)


def _why(ob: Obligation, rung: ReminderRung, as_of: datetime, policy: ReminderPolicy) -> Skip | None:
    expired = rung.expires is not None and as_of >= rung.expires
    reasons = (
        (ob.exempt, Skip.EXEMPT),
        (ob.left_at is not None and ob.left_at <= rung.moment, Skip.LEFT),
        (rung.moment < ob.chase_from, Skip.BEFORE_JOINING),
        (_had_reported(ob, rung.moment), Skip.REPORTED),
        (expired, Skip.EXPIRED),
        (standing(ob) in REPORTED, Skip.REPORTED),
        (was_returned(ob, spared_returns(rung, as_of, policy)), Skip.JUST_RETURNED),
    )
    return next((why for holds, why in reasons if holds), None)


def _had_reported(ob: Obligation, moment: datetime) -> bool:
    return any(
        v.state is not SubmissionState.RETURNED and (v.taken_in_at or v.received_at) <= moment for v in ob.versions
    )
