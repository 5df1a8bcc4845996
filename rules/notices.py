"""Which notices are due: what should have been said by now, less what was said.

Level, not edge: a run that is late, repeated or was missed finds the same answer as one that was punctual.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import NamedTuple

from rules.ladder import FREE, Brakes, party_of, stand_of
from rules.obligations import Obligation, Standing, SubmissionState, is_owed, standing
from rules.said import COMMON
from rules.said import Said as Said  # noqa: PLC0414  what is due is read together with what was said
from rules.said import SaidAt as SaidAt  # noqa: PLC0414
from rules.said import Skip as Skip  # noqa: PLC0414
from rules.said import said_index as said_index  # noqa: PLC0414
from rules.timetable import Hours, LadderRung, Reader, ReminderPolicy, ReminderRung, reminder_rungs

REMINDER_OF = {Reader.LIAISON: "reminder", Reader.RESPONSIBLE: "reminder_responsible"}


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
    """The mails due, and for each obligation that is named in none of them the reason.

    ``to_approve`` are mails that go out when staff agree; what they name is counted among the reasons. ``passed`` are
    the obligations of reasons that are not common, where they are asked for.
    """

    notices: tuple[NoticeDue, ...] = ()
    to_approve: tuple[NoticeDue, ...] = ()
    skips: Mapping[Skip, int] = field(default_factory=dict)
    passed: Mapping[Skip, Sequence[int]] = field(default_factory=dict, compare=False)


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
    reader: Reader = Reader.LIAISON,
) -> tuple[ReminderClass, ...]:
    """Return the few classes into which all reminders of a moment fall, for the ledger to apply set-wise.

    What depends on a single obligation (reported, said before, joined later, mailed today) is the ledger's to ask;
    :func:`reminders_due` says the same of single obligations, and a property test holds the two together.
    """
    classes = []
    for deliverable, due in dues:
        policy = policy_of(deliverable)
        rungs = reminder_rungs(due, policy, hours, reader)
        if reader is not Reader.LIAISON and not rungs:
            continue  # the tally does not say of everything that nobody above the liaison is to be written to
        come = [r for r in rungs if r.moment <= as_of]
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
    reader: Reader = Reader.LIAISON,
) -> Plan:
    """Return the reminders due at ``as_of`` to one reader, one mail a unit.

    ``mailed`` are the parties already reminded on this local day: what is new for them waits for the next.
    """
    occasion = f"remind:{as_of.astimezone(hours.zone).date().isoformat()}"

    @cache
    def rungs_for(deliverable: str, due: datetime) -> tuple[ReminderRung, ...]:
        return reminder_rungs(due, policy_of(deliverable), hours, reader)

    skips: Counter[Skip] = Counter()
    items: dict[int, list[tuple[ItemDue, ReminderRung]]] = {}
    for ob in obligations:
        rungs = () if ob.due is None else rungs_for(ob.deliverable, ob.due)
        if reader is not Reader.LIAISON and not rungs:
            continue
        if (reason := _outside(ob)) is not None:
            skips[reason] += 1
            continue
        verdict = _reminder_rung(ob, rungs, said, as_of)
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
            notice=REMINDER_OF[reader],
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
    brakes: Brakes = FREE,
) -> Plan:
    """Return the escalations due at ``as_of``: one mail a party and notice, listing all that it is to hear of.

    ``mailed`` are the (party, notice) pairs that the day has seen: what falls due later is in the next day's. What
    needs approval is listed by itself, a rung at a time.
    """
    today = as_of.astimezone(hours.zone).date().isoformat()
    passed: dict[Skip, list[int]] = {}
    due: dict[tuple[int, str], list[tuple[LadderRung, ItemDue]]] = {}
    to_approve: dict[tuple[int, str, str], list[ItemDue]] = {}
    for ob in obligations:
        if (reason := _outside(ob)) is not None:
            passed.setdefault(reason, []).append(ob.id)
            continue
        stand = stand_of(ob, ladder, said, as_of, hours=hours, office_id=office_id, brakes=brakes)
        rung = stand.due
        party = party_of(ob, rung.audience, office_id) if rung is not None else None
        if rung is None or party is None:
            passed.setdefault(stand.reason or Skip.NOBODY_ABOVE, []).append(ob.id)
            continue
        item = ItemDue(obligation_id=ob.id, rung=rung.key, due=ob.due)
        if rung.approval:
            passed.setdefault(Skip.TO_APPROVE, []).append(ob.id)
            to_approve.setdefault((party, rung.notice, f"{rung.key}:{today}"), []).append(item)
        elif (party, rung.notice) in mailed:
            passed.setdefault(Skip.MAILED_TODAY, []).append(ob.id)
        else:
            due.setdefault((party, rung.notice), []).append((rung, item))
    notices = (
        NoticeDue(
            party_id=party,
            notice=notice,
            occasion=f"{min(items, key=lambda i: i[0].number)[0].key}:{today}",
            items=tuple(item for _, item in items),
        )
        for (party, notice), items in due.items()
    )
    listed = (
        NoticeDue(party_id=party, notice=notice, occasion=occasion, items=tuple(items))
        for (party, notice, occasion), items in to_approve.items()
    )
    return Plan(
        notices=tuple(notices),
        to_approve=tuple(listed),
        skips={reason: len(ids) for reason, ids in passed.items()},
        passed={reason: ids for reason, ids in passed.items() if reason not in COMMON},
    )


def _outside(ob: Obligation) -> Skip | None:
    """Return why nothing is to be said of an obligation, or None if the unit still owes it."""
    if is_owed(ob):
        return None
    if ob.voluntary:
        return Skip.VOLUNTARY
    if ob.left_at is not None:
        return Skip.LEFT
    return Skip.EXEMPT if standing(ob) is Standing.EXEMPT else Skip.REPORTED
