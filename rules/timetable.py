"""The timetable: from a campaign's policies to dated steps, each with the moment from which it should run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from rules.calendar import WorkCalendar
from rules.deadlines import local_instant, stated

DAILY = "逐日复核"


class StepKind(StrEnum):
    """What a step does; each is a flow."""

    LAUNCH = "launch"
    COLLECT = "collect"
    REMIND = "remind"
    ESCALATE = "escalate"
    CONSOLIDATE = "consolidate"


class Reader(StrEnum):
    """Whom in a unit a reminder is written to."""

    LIAISON = "liaison"
    RESPONSIBLE = "responsible"


@dataclass(frozen=True, kw_only=True)
class ReminderPolicy:
    """When a unit is reminded: calendar or working days before, on the due day, working days after.

    From the reminder ``responsible_from`` on (``on``, ``after:1``) the responsible person is written to besides the
    liaison, or with ``instead`` in its stead. What was returned for correction is left in peace for ``after_return``,
    but no reminder is lost by it: one that would be out of date by then goes out. The ladder knows no such peace.
    """

    before: tuple[int, ...] = ()
    before_working: tuple[int, ...] = ()
    on_due_day: bool = False
    after: tuple[int, ...] = ()
    responsible_from: str | None = None
    instead: bool = False
    after_return: timedelta = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class ReminderRung:
    """A dated reminder for one due instant; not to be sent at or after ``expires``."""

    key: str  # before:2, before_working:1, on, after:1; to the responsible person after:1:responsible
    moment: datetime
    expires: datetime | None


class Audience(StrEnum):
    """Who hears of a silent unit."""

    UNIT = "unit"  # the unit's responsible person
    SUPERIOR = "superior"  # 主管单位
    DEPARTMENT = "department"  # 行业主管部门
    OFFICE = "office"  # the office's lead
    CAMPAIGN = "campaign"  # everybody who takes part: 通报


@dataclass(frozen=True, kw_only=True)
class LadderRung:
    """A level of the escalation ladder, counted from 1: working days after due, audience, notice.

    ``acknowledge``: whoever is told may promise a date, for which the rungs above wait. ``approval``: it goes out only
    when staff have agreed.
    """

    number: int
    after: int
    audience: Audience
    notice: str
    name: str = ""
    acknowledge: bool = False
    approval: bool = False

    @property
    def key(self) -> str:
        """The rung's name in the ledger."""
        return f"escalate:{self.number}"


@dataclass(frozen=True, kw_only=True)
class Hours:
    """Local working habits that every dated rule needs."""

    zone: ZoneInfo
    calendar: WorkCalendar
    send_at: time


@dataclass(frozen=True, kw_only=True)
class DatedDeliverable:
    """A due instant of a deliverable (and its title) with the reminders that belong to it."""

    key: str
    title: str
    due: datetime
    reminders: ReminderPolicy


@dataclass(frozen=True, kw_only=True)
class Step:
    """A dated entry of the timetable. ``subject`` says for a person what it is about."""

    kind: StepKind
    moment: datetime
    subject: str
    final: bool = False


def reminder_rungs(
    due: datetime, policy: ReminderPolicy, hours: Hours, reader: Reader = Reader.LIAISON
) -> tuple[ReminderRung, ...]:
    """Return the reminders of one reader for a due instant in order of time.

    A date before or on the due day that is a day off moves to the working day before; two that fall together are
    one (the later in meaning stays). Reminders after the due day count working days and are never before due.
    """
    day = stated(due, hours.zone).day
    dates = [(day - timedelta(days=n), f"before:{n}") for n in policy.before]
    dates += [(working_days_before(day, n, hours), f"before_working:{n}") for n in policy.before_working]
    dates += [(day, "on")] if policy.on_due_day else []
    early = [
        (local_instant(hours.calendar.working_day_on_or_before(date_), hours.send_at, hours.zone), key)
        for date_, key in sorted(dates)
    ]
    late = [(max(due, _working_days_after(day, n, hours)), f"after:{n}") for n in sorted(policy.after)]
    from_ = next((moment for moment, key in (*early, *late) if key == policy.responsible_from), None)

    def is_for(moment: datetime) -> bool:
        reached = from_ is not None and moment >= from_
        return reached if reader is Reader.RESPONSIBLE else not (reached and policy.instead)

    suffix = "" if reader is Reader.LIAISON else f":{reader}"
    by_moment = {moment: key for moment, key in early if moment < due and is_for(moment)}
    return (
        *(ReminderRung(key=key + suffix, moment=moment, expires=due) for moment, key in by_moment.items()),
        *(ReminderRung(key=key + suffix, moment=moment, expires=None) for moment, key in late if is_for(moment)),
    )


def working_days_before(day: date, count: int, hours: Hours) -> date:
    """Return the ``count``-th working day before a day."""
    for _ in range(count):
        day = hours.calendar.working_day_on_or_before(day - timedelta(days=1))
    return day


def rung_earliest(due: datetime, rung: LadderRung, hours: Hours, previous_sent: datetime | None) -> datetime:
    """Return the earliest moment of an escalation rung.

    The later of due + delay and the previous rung's sending + one working day: nobody is overtaken by a late run.
    """
    earliest = max(due, _working_days_after(stated(due, hours.zone).day, rung.after, hours))
    if previous_sent is None:
        return earliest
    return max(earliest, working_days_later(previous_sent, 1, hours))


def working_days_later(moment: datetime, count: int, hours: Hours) -> datetime:
    """Return the sending hour of the ``count``-th working day after a moment's day."""
    return _working_days_after(moment.astimezone(hours.zone).date(), count, hours)


def _working_days_after(day: date, count: int, hours: Hours) -> datetime:
    return local_instant(hours.calendar.add_working_days(day, count), hours.send_at, hours.zone)


def reminder_steps(deliverables: Iterable[DatedDeliverable], hours: Hours) -> Iterator[Step]:
    """Yield one step a moment at which reminders fall due, naming the deliverables."""
    by_moment: dict[datetime, list[str]] = {}
    for item in deliverables:
        rungs = (rung for reader in Reader for rung in reminder_rungs(item.due, item.reminders, hours, reader))
        for rung in rungs:
            by_moment.setdefault(rung.moment, []).append(f"{item.title} · {days_text(rung.moment, item.due, hours)}")
    for moment, subjects in by_moment.items():
        yield Step(kind=StepKind.REMIND, moment=moment, subject=_joined(subjects))


def escalation_steps(
    deliverables: Iterable[DatedDeliverable], ladder: Sequence[LadderRung], hours: Hours, *, until: datetime
) -> Iterator[Step]:
    """Yield one step a moment at which rungs fall due if every earlier rung went out on its day.

    Promises, requests and approvals shift rungs to days that nobody knows beforehand: where they may, every working
    day from the first rung on is a step.
    """
    by_moment: dict[datetime, list[str]] = {}
    for item in deliverables:
        previous: datetime | None = None
        for rung in ladder:
            previous = rung_earliest(item.due, rung, hours, previous)
            by_moment.setdefault(previous, []).append(f"{item.title} · {rung.name or f'第{rung.number}级'}")
    if any(rung.acknowledge or rung.approval for rung in ladder) and by_moment:
        moment = min(by_moment)
        while moment < until:
            by_moment.setdefault(moment, [])
            moment = working_days_later(moment, 1, hours)
    for moment, subjects in by_moment.items():
        yield Step(kind=StepKind.ESCALATE, moment=moment, subject=_joined(subjects) or DAILY)


def collect_steps(times: Sequence[time], *, first: datetime, last: datetime, hours: Hours) -> Iterator[Step]:
    """Yield the collections of each working day between two instants."""
    day = first.astimezone(hours.zone).date()
    while day <= last.astimezone(hours.zone).date():
        if hours.calendar.is_working_day(day):
            moments = (local_instant(day, at, hours.zone) for at in times)
            for moment in moments:
                if first < moment <= last:
                    yield Step(kind=StepKind.COLLECT, moment=moment, subject=_day_text(day))
        day += timedelta(days=1)


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return steps by moment; at one moment in the order launch, collect, remind, escalate, consolidate."""
    order = list(StepKind)
    return tuple(sorted(steps, key=lambda s: (s.moment, order.index(s.kind))))


def days_text(moment: datetime, due: datetime, hours: Hours) -> str:
    """Return how far a moment's day is from the stated due day, as staff read it: 距截止 2 天, 今日截止, 逾期 1 天."""
    days = (stated(due, hours.zone).day - moment.astimezone(hours.zone).date()).days
    if days > 0:
        return f"距截止 {days} 天"
    return "今日截止" if days == 0 else f"逾期 {-days} 天"


def latest_moment(steps: Iterable[Step], kind: StepKind, as_of: datetime) -> Step | None:
    """Return the last step of a kind whose moment has come, for naming a run after what it does."""
    return max((s for s in steps if s.kind is kind and s.moment <= as_of), key=lambda s: s.moment, default=None)


def _joined(subjects: Sequence[str]) -> str:
    """Return subjects that share their ending (距截止 2 天) as one: 甲、乙 · 距截止 2 天."""
    by_ending: dict[str, list[str]] = {}
    for subject in subjects:
        title, _, ending = subject.rpartition(" · ")
        titles = by_ending.setdefault(ending, [])
        if title not in titles:
            titles.append(title)
    return "；".join(f"{'、'.join(titles)} · {ending}" for ending, titles in by_ending.items())


def _day_text(day: date) -> str:
    return f"{day.month}月{day.day}日"


def utc(moment: datetime) -> datetime:
    """Return an aware instant in UTC.

    Raises:
        ValueError: the instant is naive.

    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no zone; give an aware instant, as 2020-05-29T09:00+08:00")
    return moment.astimezone(UTC)
