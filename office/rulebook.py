"""A campaign's frozen definition, turned into the values that rules take."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable, Reminders
from definition.occurrences import occurrences_of
from definition.roster import Unit
from ledger.campaigns import find_campaign
from ledger.decisions import definition_kept, value_at
from ledger.tables import CampaignRow, Changed
from rules.calendar import years_to_renew
from rules.deadlines import (
    MIDNIGHT,
    Occurrence,
    StatedDeadline,
    chased_from,
    due_instant,
    local_instant,
    within_horizon,
)
from rules.timetable import (
    Audience,
    DatedDeliverable,
    Hours,
    LadderRung,
    ReminderPolicy,
    Step,
    StepKind,
    collect_steps,
    escalation_steps,
    in_order,
    reminder_steps,
)


@dataclass(frozen=True)
class Rulebook:
    """The rules' view of one campaign."""

    campaign: Campaign

    @cached_property
    def zone(self) -> ZoneInfo:
        """The campaign's zone."""
        return ZoneInfo(self.campaign.zone)

    @cached_property
    def hours(self) -> Hours:
        """Zone, calendar and sending hour."""
        return Hours(zone=self.zone, calendar=self.campaign.work_calendar(), send_at=self.campaign.timetable.send_at)

    @cached_property
    def ladder(self) -> tuple[LadderRung, ...]:
        """The escalation ladder, counted from 1."""
        return tuple(
            LadderRung(
                number=number,
                after=rung.after,
                audience=Audience(rung.audience),
                notice=rung.notice,
                name=rung.name,
                acknowledge=rung.acknowledge,
                approval=rung.approval,
            )
            for number, rung in enumerate(self.campaign.timetable.escalation, start=1)
        )

    @cached_property
    def _policies(self) -> dict[str, ReminderPolicy]:
        return {d.key: _policy(d.reminders or self.campaign.timetable.reminders) for d in self.campaign.deliverables}

    def policy_of(self, deliverable: str) -> ReminderPolicy:
        """Return the reminder policy of a deliverable."""
        return self._policies[deliverable]

    @cached_property
    def occurrences(self) -> dict[str, tuple[Occurrence, ...]]:
        """The occurrences of each deliverable; voluntary materials have none until something comes in."""
        return {d.key: occurrences_of(self.campaign, d) for d in self.campaign.deliverables}

    def due(self, occurrence: Occurrence) -> datetime | None:
        """Return the due instant of an occurrence."""
        return None if occurrence.deadline is None else due_instant(occurrence.deadline, self.zone)

    def moment(self, local: datetime) -> datetime:
        """Return the instant of a naive local moment of the timetable."""
        return local_instant(local.date(), local.time(), self.zone)

    @cached_property
    def launch_at(self) -> datetime:
        """The moment of launch."""
        return self.moment(self.campaign.timetable.launch)

    @cached_property
    def close_at(self) -> datetime:
        """The moment of the final consolidation; nothing is chased after it."""
        return self.moment(self.campaign.timetable.close)

    @cached_property
    def dated(self) -> tuple[DatedDeliverable, ...]:
        """Every due instant of the campaign with its deliverable."""
        return tuple(dated for dated, _ in self._dated)

    @cached_property
    def _dated(self) -> tuple[tuple[DatedDeliverable, date | None], ...]:
        return tuple(
            (
                DatedDeliverable(key=d.key, title=d.title, due=due, reminders=self.policy_of(d.key)),
                occurrence.opens,
            )
            for d in self.campaign.deliverables
            for occurrence in self.occurrences[d.key]
            if (due := self.due(occurrence)) is not None
        )

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The whole timetable in order, nothing before the launch or after the close."""
        timetable = self.campaign.timetable
        launch = Step(kind=StepKind.LAUNCH, moment=self.launch_at, subject="通知下发")
        middle = [
            *self._reminder_steps(),
            *escalation_steps(self.dated, self.ladder, self.hours, until=self.close_at),
            *collect_steps(timetable.collect_at, first=self.launch_at, last=self.close_at, hours=self.hours),
            *(
                Step(kind=StepKind.CONSOLIDATE, moment=self.moment(at), subject=f"{at.month}月{at.day}日阶段汇总")
                for at in timetable.consolidate
            ),
        ]
        final = Step(kind=StepKind.CONSOLIDATE, moment=self.close_at, subject="最终汇总", final=True)
        return in_order([launch, *(s for s in middle if self.launch_at < s.moment < self.close_at), final])

    def _reminder_steps(self) -> Iterator[Step]:
        """Yield the reminder steps; for what is due within a span none before it begins."""
        by_begin: dict[date | None, list[DatedDeliverable]] = {}
        for dated, opens in self._dated:
            by_begin.setdefault(opens, []).append(dated)
        for opens, group in by_begin.items():
            begin = None if opens is None else local_instant(opens, MIDNIGHT, self.zone)
            yield from (s for s in reminder_steps(group, self.hours) if begin is None or s.moment >= begin)

    def owes(self, unit_category: str, unit_code: str, deliverable: Deliverable) -> bool:
        """Whether a unit owes a deliverable."""
        owed_by = deliverable.owed_by
        return owed_by.everyone or unit_category in owed_by.categories or unit_code in owed_by.units

    def chased_from(self, deliverable: str, occurrence: Occurrence, since: datetime) -> datetime:
        """Return the moment before which nothing is owed to be said of an occurrence to a unit that came ``since``."""
        series = self.campaign.deliverable(deliverable).recurrence is not None
        return chased_from(occurrence, since, self.zone, self.campaign.horizon_days if series else None)

    def years_to_renew(self, as_of: datetime) -> tuple[int, ...]:
        """Return the years of the campaign whose holidays are announced and not on record."""
        needed = range(self.campaign.issued_on.year, self.campaign.closes_on.year + 1)
        return years_to_renew(self.campaign.calendar_days.years, needed, as_of.astimezone(self.zone).date())

    def joiner_deadline(self, joined: datetime) -> StatedDeadline:
        """Return the deadline for a joining unit of what fell due before it joined."""
        day = joined.astimezone(self.zone).date()
        last = self.hours.calendar.add_working_days(day, self.campaign.joiners.working_days)
        return StatedDeadline(day=last)


def _policy(reminders: Reminders) -> ReminderPolicy:
    return ReminderPolicy(
        before=reminders.before,
        before_working=reminders.before_working,
        responsible_from=reminders.responsible.from_ if reminders.responsible is not None else None,
        instead=reminders.responsible is not None and reminders.responsible.instead,
        on_due_day=reminders.on_due_day,
        after=reminders.after,
        after_return=timedelta(hours=reminders.after_return_hours),
    )


_BOOKS: dict[str, Rulebook] = {}


def rulebook_of(row: CampaignRow) -> Rulebook:
    """Return the rulebook of a launched campaign, from its frozen definition."""
    return _book_of(row.digest, row.definition)


def _book_of(digest: str, definition: dict[str, Any]) -> Rulebook:
    if digest not in _BOOKS:
        _BOOKS[digest] = Rulebook(Campaign.model_validate(definition))
    return _BOOKS[digest]


def book_at(session: Session, row: CampaignRow, known_at: datetime) -> Rulebook:
    """Return the rulebook of a campaign as it was at a moment: an amendment since then does not count."""
    digest = value_at(session, row, Changed.DEFINITION, known_at)
    kept = definition_kept(session, digest) if digest != row.digest else None
    return _book_of(digest, kept) if kept is not None else rulebook_of(row)


def open_book(session: Session, key: str) -> tuple[CampaignRow, Rulebook]:
    """Return a launched campaign and its rulebook.

    Raises:
        UnknownCampaign: it has not been launched.

    """
    row = find_campaign(session, key)
    return row, rulebook_of(row)


def owed_by_unit(
    book: Rulebook, unit: Unit, *, joined: datetime | None, as_of: datetime | None = None
) -> list[tuple[str, Occurrence]]:
    """Return what a unit owes, as (deliverable key, occurrence); of a series what is within the horizon at ``as_of``.

    A unit that joins late owes by the joiner's deadline what fell due before; of a series it owes what is to come:
    nobody asks a newcomer for last month's weekly returns. Without ``as_of`` the whole of a series is returned.
    """
    today = None if as_of is None else as_of.astimezone(book.zone).date()
    owed: list[tuple[str, Occurrence]] = []
    for deliverable in book.campaign.deliverables:
        if not book.owes(unit.category, unit.code, deliverable):
            continue
        dated = [(o, book.due(o)) for o in book.occurrences[deliverable.key]]
        coming = [o for o, due in dated if joined is None or due is None or due > joined]
        if deliverable.recurrence is not None and today is not None:
            coming = list(within_horizon(coming, today, book.campaign.horizon_days))
        owed.extend((deliverable.key, o) for o in coming)
        past = [o for o, due in dated if joined is not None and due is not None and due <= joined]
        if past and joined is not None and deliverable.recurrence is None:
            deadline = book.joiner_deadline(joined)
            owed.append((deliverable.key, Occurrence(key=past[-1].key, deadline=deadline, nominal=deadline.day)))
    return owed
