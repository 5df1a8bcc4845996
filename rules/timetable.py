"""The timetable: from a campaign's policies to dated steps, each with the moment from which it should run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from rules.calendar import WorkCalendar
from rules.deadlines import local_instant, stated


class StepKind(StrEnum):
    """What a step does; each is a flow."""

    LAUNCH = "launch"
    COLLECT = "collect"
    REMIND = "remind"
    ESCALATE = "escalate"
    CONSOLIDATE = "consolidate"


@dataclass(frozen=True, kw_only=True)
class ReminderPolicy:
    """When a unit is reminded: calendar days before, on the due day, working days after.

    What was returned for correction is left in peace for ``after_return``, but no reminder is lost by it: one that
    would be out of date by then goes out. The ladder knows no such peace.
    """

    before: tuple[int, ...] = ()
    on_due_day: bool = False
    after: tuple[int, ...] = ()
    after_return: timedelta = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class ReminderRung:
    """A dated reminder for one due instant; not to be sent at or after ``expires``."""

    key: str  # before:2, on, after:1
    moment: datetime
    expires: datetime | None


class Audience(StrEnum):
    """Who hears of a silent unit."""

    UNIT = "unit"  # the unit's responsible person
    SUPERIOR = "superior"  # 主管单位
    OFFICE = "office"  # the office's lead


@dataclass(frozen=True, kw_only=True)
class LadderRung:
    """A level of the escalation ladder, counted from 1: working days after due, audience, notice."""

    number: int
    after: int
    audience: Audience
    notice: str

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


def reminder_rungs(due: datetime, policy: ReminderPolicy, hours: Hours) -> tuple[ReminderRung, ...]:
    """Return the reminders for a due instant in order of time.

    A date before or on the due day that is a day off moves to the working day before; two that fall together are
    one (the later in meaning stays). Reminders after the due day count working days and are never before due.
    """
    day = stated(due, hours.zone).day
    before = [(f"before:{n}", day - timedelta(days=n)) for n in sorted(policy.before, reverse=True)]
    if policy.on_due_day:
        before.append(("on", day))
    by_moment = {
        local_instant(hours.calendar.working_day_on_or_before(date_), hours.send_at, hours.zone): key
        for key, date_ in before
    }
    early = [ReminderRung(key=key, moment=moment, expires=due) for moment, key in by_moment.items() if moment < due]
    late = [
        ReminderRung(key=f"after:{n}", moment=max(due, _working_days_after(day, n, hours)), expires=None)
        for n in sorted(policy.after)
    ]
    return (*early, *late)


def rung_earliest(due: datetime, rung: LadderRung, hours: Hours, previous_sent: datetime | None) -> datetime:
    """Return the earliest moment of an escalation rung.

    The later of due + delay and the previous rung's sending + one working day: nobody is overtaken by a late run.
    """
    earliest = max(due, _working_days_after(stated(due, hours.zone).day, rung.after, hours))
    if previous_sent is None:
        return earliest
    sent_day = previous_sent.astimezone(hours.zone).date()
    return max(earliest, _working_days_after(sent_day, 1, hours))


def _working_days_after(day: date, count: int, hours: Hours) -> datetime:
    return local_instant(hours.calendar.add_working_days(day, count), hours.send_at, hours.zone)


def reminder_steps(deliverables: Iterable[DatedDeliverable], hours: Hours) -> Iterator[Step]:
    """Yield one step a moment at which reminders fall due, naming the deliverables."""
    by_moment: dict[datetime, list[str]] = {}
    for item in deliverables:
        for rung in reminder_rungs(item.due, item.reminders, hours):
            by_moment.setdefault(rung.moment, []).append(f"{item.title} · {days_text(rung.moment, item.due, hours)}")
    for moment, subjects in by_moment.items():
        yield Step(kind=StepKind.REMIND, moment=moment, subject=_joined(subjects))


def escalation_steps(
    deliverables: Iterable[DatedDeliverable], ladder: Sequence[LadderRung], hours: Hours
) -> Iterator[Step]:
    """Yield one step a moment at which rungs fall due if every earlier rung went out on its day."""
    by_moment: dict[datetime, list[str]] = {}
    for item in deliverables:
        previous: datetime | None = None
        for rung in ladder:
            previous = rung_earliest(item.due, rung, hours, previous)
            by_moment.setdefault(previous, []).append(f"{item.title} · 第{rung.number}级")
    for moment, subjects in by_moment.items():
        yield Step(kind=StepKind.ESCALATE, moment=moment, subject=_joined(subjects))


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
