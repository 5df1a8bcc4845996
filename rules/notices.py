"""Which notices are due: what should have been said by now, less what was said.

Level, not edge: a run that is late, repeated or was missed finds the same answer as one that was punctual.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from rules.obligations import Obligation, Standing, SubmissionState, is_owed, standing
from rules.timetable import Audience, Hours, LadderRung, ReminderPolicy, ReminderRung, reminder_rungs, rung_earliest


class Skip(StrEnum):
    """Why somebody is not written to."""

    REPORTED = "reported"
    EXEMPT = "exempt"
    LEFT = "left"
    VOLUNTARY = "voluntary"
    NOT_YET = "not_yet"  # no rung's moment has come
    SAID = "said"  # the rung that is due was said
    EXPIRED = "expired"  # a “before” reminder whose deadline is past
    BEFORE_JOINING = "before_joining"
    JUST_RETURNED = "just_returned"  # it was told a moment ago what to correct; a later run reminds it
    MAILED_TODAY = "mailed_today"  # one mail per party and occasion: the item waits for tomorrow's
    LADDER_DONE = "ladder_done"
    NOBODY_ABOVE = "nobody_above"  # the unit has no superior on record
    CAMPAIGN_PAUSED = "campaign_paused"  # by a decision of staff
    CAMPAIGN_CLOSED = "campaign_closed"


@dataclass(frozen=True, kw_only=True)
class Said:
    """An item that was planned or sent and still stands: for which obligation, rung and due instant, and when."""

    obligation_id: int
    rung: str
    due: datetime | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ItemDue:
    """An obligation that a notice is to name, and the rung it stands on."""

    obligation_id: int
    rung: str
    due: datetime | None


@dataclass(frozen=True, kw_only=True)
class NoticeDue:
    """One mail that should go out: to whom, on what occasion, naming which items."""

    party_id: int
    notice: str
    occasion: str
    items: tuple[ItemDue, ...]
    expires: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The mails due, and for each obligation that is named in none of them the reason."""

    notices: tuple[NoticeDue, ...] = ()
    skips: Mapping[Skip, int] = field(default_factory=dict)


SaidAt = Mapping[tuple[int, str, datetime | None], datetime]


def said_index(said: Iterable[Said]) -> SaidAt:
    """Return what was said by (obligation, rung, due instant), with the earliest moment of each."""
    index: dict[tuple[int, str, datetime | None], datetime] = {}
    for item in said:
        key = (item.obligation_id, item.rung, item.due)
        index[key] = min(item.at, index.get(key, item.at))
    return index


def launches_due(obligations: Iterable[Obligation], said: SaidAt) -> Plan:
    """Return the launch notice for every party that was not told of the launch.

    A new due instant (an extension) or a new occurrence is no second launch: a party is told once.
    """
    skips: Counter[Skip] = Counter()
    items: dict[int, list[ItemDue]] = {}
    every = list(obligations)
    announced = {obligation_id for obligation_id, rung, _ in said if rung == "launch"}
    told = {ob.party_id for ob in every if ob.id in announced}
    for ob in every:
        if (reason := _outside(ob)) is not None:
            skips[reason] += 1
        elif ob.party_id in told:
            skips[Skip.SAID] += 1
        else:
            items.setdefault(ob.party_id, []).append(ItemDue(obligation_id=ob.id, rung="launch", due=ob.due))
    notices = (
        NoticeDue(party_id=party, notice="launch", occasion="launch", items=tuple(due)) for party, due in items.items()
    )
    return Plan(notices=tuple(notices), skips=skips)


class Between(NamedTuple):
    """A time, both ends left out; without end if ``before`` is None."""

    after: datetime
    before: datetime | None

    def has(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.after < moment and (self.before is None or moment < self.before)


def spared_returns(rung: ReminderRung, as_of: datetime, policy: ReminderPolicy) -> Between:
    """Return when something was returned of which a unit is not to be reminded yet.

    Lately; but not if the reminder would be out of date before the unit's time of peace is over: it would be lost.
    """
    before = rung.expires - policy.after_return if rung.expires is not None else None
    return Between(after=as_of - policy.after_return, before=before)


@dataclass(frozen=True, kw_only=True)
class ReminderClass:
    """What is to be said now of every obligation of one deliverable with one due instant.

    ``skip`` is set where nothing is, whatever was said before; ``rung`` is the reminder whose moment has come last.
    What was returned in the time ``spares`` is not reminded of yet.
    """

    deliverable: str
    due: datetime
    rung: ReminderRung | None
    skip: Skip | None
    spares: Between | None


def reminder_classes(
    dues: Iterable[tuple[str, datetime]],
    as_of: datetime,
    *,
    policy_of: Callable[[str], ReminderPolicy],
    hours: Hours,
) -> tuple[ReminderClass, ...]:
    """Return the few classes into which all reminders of a moment fall, for the ledger to apply set-wise.

    What depends on a single obligation (reported, said before, joined later, mailed today) is the ledger's to ask;
    :func:`reminders_due` says the same of single obligations, and a property test holds the two together.
    """
    classes = []
    for deliverable, due in dues:
        policy = policy_of(deliverable)
        come = [r for r in reminder_rungs(due, policy, hours) if r.moment <= as_of]
        rung = come[-1] if come else None
        classes.append(
            ReminderClass(
                deliverable=deliverable,
                due=due,
                rung=rung,
                skip=None if rung else Skip.NOT_YET,
                spares=spared_returns(rung, as_of, policy) if rung else None,
            )
        )
    return tuple(classes)


def reminders_due(
    obligations: Iterable[Obligation],
    said: SaidAt,
    as_of: datetime,
    *,
    policy_of: Callable[[str], ReminderPolicy],
    hours: Hours,
    mailed: frozenset[int] = frozenset(),
) -> Plan:
    """Return the reminders due at ``as_of``, one mail a unit.

    ``mailed`` are the parties already reminded on this local day: what is new for them waits for the next.
    """
    occasion = f"remind:{as_of.astimezone(hours.zone).date().isoformat()}"
    rungs_of: dict[tuple[str, datetime], tuple[ReminderRung, ...]] = {}
    skips: Counter[Skip] = Counter()
    items: dict[int, list[tuple[ItemDue, ReminderRung]]] = {}
    for ob in obligations:
        if (reason := _outside(ob)) is not None or ob.due is None:
            skips[reason or Skip.VOLUNTARY] += 1
            continue
        key = (ob.deliverable, ob.due)
        if key not in rungs_of:
            rungs_of[key] = reminder_rungs(ob.due, policy_of(ob.deliverable), hours)
        verdict = _reminder_rung(ob, rungs_of[key], said, as_of)
        if isinstance(verdict, Skip):
            skips[verdict] += 1
        elif was_returned(ob, spared_returns(verdict, as_of, policy_of(ob.deliverable))):
            skips[Skip.JUST_RETURNED] += 1
        elif ob.party_id in mailed:
            skips[Skip.MAILED_TODAY] += 1
        else:
            item = ItemDue(obligation_id=ob.id, rung=verdict.key, due=ob.due)
            items.setdefault(ob.party_id, []).append((item, verdict))
    notices = (
        NoticeDue(
            party_id=party,
            notice="reminder",
            occasion=occasion,
            items=tuple(item for item, _ in due),
            expires=_last_expiry(rung for _, rung in due),
        )
        for party, due in items.items()
    )
    return Plan(notices=tuple(notices), skips=skips)


def _reminder_rung(ob: Obligation, rungs: Sequence[ReminderRung], said: SaidAt, as_of: datetime) -> ReminderRung | Skip:
    """Return the one reminder to send now: the latest whose moment has come; earlier ones it supersedes."""
    come = [rung for rung in rungs if rung.moment <= as_of]
    if not come:
        return Skip.NOT_YET
    latest = come[-1]
    if (ob.id, latest.key, ob.due) in said:
        return Skip.SAID
    if latest.moment < ob.chase_from:
        return Skip.BEFORE_JOINING
    if latest.expires is not None and as_of >= latest.expires:
        return Skip.EXPIRED
    return latest


def was_returned(ob: Obligation, time: Between) -> bool:
    """Whether a version of an obligation was returned in a time."""
    returned = (v for v in ob.versions if v.state is SubmissionState.RETURNED)
    return any(time.has(v.taken_in_at or v.received_at) for v in returned)


def _last_expiry(rungs: Iterable[ReminderRung]) -> datetime | None:
    """Return when the whole mail is out of date: when the last of its items is; never, if one of them never is."""
    expiries = [rung.expires for rung in rungs]
    return None if None in expiries else max(e for e in expiries if e is not None)


def escalations_due(
    obligations: Iterable[Obligation],
    said: SaidAt,
    as_of: datetime,
    *,
    ladder: Sequence[LadderRung],
    hours: Hours,
    office_id: int,
    mailed: frozenset[tuple[int, str]] = frozenset(),
) -> Plan:
    """Return the escalations due at ``as_of``: one mail an audience and rung, listing all its silent units.

    ``mailed`` are the (party, occasion) pairs that already exist: a unit that falls due later is in the next digest.
    """
    today = as_of.astimezone(hours.zone).date().isoformat()
    skips: Counter[Skip] = Counter()
    items: dict[tuple[int, str, str], list[ItemDue]] = {}
    for ob in obligations:
        if (reason := _outside(ob)) is not None or ob.due is None:
            skips[reason or Skip.VOLUNTARY] += 1
            continue
        verdict = _ladder_rung(ob, ladder, said, as_of, hours)
        if isinstance(verdict, Skip):
            skips[verdict] += 1
            continue
        party = {Audience.UNIT: ob.party_id, Audience.SUPERIOR: ob.superior_id, Audience.OFFICE: office_id}[
            verdict.audience
        ]
        occasion = f"{verdict.key}:{today}"
        if party is None:
            skips[Skip.NOBODY_ABOVE] += 1
        elif (party, occasion) in mailed:
            skips[Skip.MAILED_TODAY] += 1
        else:
            due = ItemDue(obligation_id=ob.id, rung=verdict.key, due=ob.due)
            items.setdefault((party, verdict.notice, occasion), []).append(due)
    notices = (
        NoticeDue(party_id=party, notice=notice, occasion=occasion, items=tuple(due))
        for (party, notice, occasion), due in items.items()
    )
    return Plan(notices=tuple(notices), skips=skips)


def _ladder_rung(
    ob: Obligation, ladder: Sequence[LadderRung], said: SaidAt, as_of: datetime, hours: Hours
) -> LadderRung | Skip:
    """Return the rung to send now: the lowest one not yet said, if its earliest moment has come."""
    if ob.due is None:
        return Skip.VOLUNTARY
    previous: datetime | None = None
    for rung in ladder:
        sent = said.get((ob.id, rung.key, ob.due))
        if sent is not None:
            previous = sent
            continue
        earliest = max(rung_earliest(ob.due, rung, hours, previous), ob.chase_from)
        if as_of >= earliest:
            return rung
        return Skip.NOT_YET if previous is None else Skip.SAID
    return Skip.LADDER_DONE


def _outside(ob: Obligation) -> Skip | None:
    """Return why nothing is to be said of an obligation, or None if the unit still owes it."""
    if is_owed(ob):
        return None
    if ob.voluntary:
        return Skip.VOLUNTARY
    if ob.left_at is not None:
        return Skip.LEFT
    return Skip.EXEMPT if standing(ob) is Standing.EXEMPT else Skip.REPORTED
