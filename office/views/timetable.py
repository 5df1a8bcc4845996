"""The timetable: each deliverable's time as a bar with its reminders and its due day, and the steps to come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from documents.drawing import PALE, RULE, Drawing
from ledger.facts import mails_by_occasion
from office import wording
from office.timetable import mails_of_step
from office.views.pages import Page, picture, render
from office.views.scene import Scene
from rules.deadlines import stated
from rules.timetable import DAILY, Step, StepKind

NEXT = 8
WIDTH, ROW, LEFT, RIGHT, HEAD = 720, 26, 190, 14, 46
BAR, DUE, REMIND, ESCALATE, CONSOLIDATE, TODAY = "#bbdefb", "#c62828", "#1565c0", "#ef6c00", "#2e7d32", "#d81b60"
NAME_CUT = 13


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A step of the timetable as a line: its day, what it does, what became of it."""

    day: str
    kind: str
    subject: str
    state: str


def timetable_page(scene: Scene) -> Page:
    """Return the timetable of a campaign, with the day it is."""
    steps = [step for step in scene.book.steps if step.kind is not StepKind.COLLECT]
    mails = mails_by_occasion(scene.session, scene.row.id)
    entries = [_entry(scene, step, mails_of_step(scene.book, step, mails)) for step in steps]
    both = zip(entries, steps, strict=True)
    coming = [entry for entry, step in both if scene.day(step.moment) >= scene.today and step.subject != DAILY]
    next_dues = _next_dues(scene)
    markdown = render(
        scene.house.templates,
        "timetable.md",
        chart=picture(_chart(scene), "时间安排"),
        coming=coming[:NEXT],
        more=max(len(coming) - NEXT, 0),
        entries=entries,
        dues=next_dues,
        collect_at="、".join(f"{at:%H:%M}" for at in scene.book.campaign.timetable.collect_at),
    )
    headline = f"下一个截止：{next_dues[0]}" if next_dues else "各项材料均已到期"
    return Page(key=f"timetable-{scene.key}", title="时间安排", headline=headline, markdown=markdown)


def _next_dues(scene: Scene) -> list[str]:
    """Return the next due instants as sentences, the soonest first."""
    coming = sorted({(d.due, d.title) for d in scene.book.dated if d.due > scene.moment})
    by_due: dict[datetime, list[str]] = {}
    for due, title in coming:
        by_due.setdefault(due, []).append(title)
    return [f"{wording.due_text(due, scene.zone)}，{'、'.join(titles)}" for due, titles in by_due.items()][:3]


def _entry(scene: Scene, step: Step, mails: int | None) -> Entry:
    passed = scene.day(step.moment) < scene.today
    done = f"已办，发信{mails}封" if mails else "已办"
    local = step.moment.astimezone(scene.zone)
    return Entry(
        day=f"{wording.day_text(local.date())} {local:%H:%M}",
        kind=wording.STEP[step.kind],
        subject=step.subject,
        state=(done if mails is not None else "") if passed else "今日" if local.date() == scene.today else "待办",
    )


class _Sheet:
    """The days of a campaign on a sheet: where each lies, and one row after another."""

    def __init__(self, first: date, last: date, rows: int) -> None:
        self.first, self.last = first, last
        self.drawing = Drawing(WIDTH, HEAD + rows * ROW + 12)
        self._day = (WIDTH - LEFT - RIGHT) / max((last - first).days + 1, 1)
        self._rows = rows
        self._grid()

    def x(self, day: date) -> float:
        """Return the left edge of a day."""
        return LEFT + self._day * (min(max(day, self.first), self.last + timedelta(days=1)) - self.first).days

    def middle(self, day: date) -> float:
        """Return the middle of a day."""
        return self.x(day) + self._day / 2

    def _grid(self) -> None:
        bottom = HEAD + self._rows * ROW
        step = max(7, 7 * round((self.last - self.first).days / 70))
        day = self.first
        while day <= self.last:
            self.drawing.line(self.x(day), HEAD - 8, self.x(day), bottom, RULE)
            self.drawing.text(self.x(day) + 2, HEAD - 12, f"{day.month}/{day.day}", size=11, fill=PALE)
            day += timedelta(days=step)

    def name(self, row: int, name: str) -> float:
        """Write a row's name; return the middle of its height."""
        y = HEAD + row * ROW + ROW / 2
        said = name if len(name) <= NAME_CUT else name[: NAME_CUT - 1] + "…"
        self.drawing.text(LEFT - 8, y + 5, said, anchor="end")
        return y

    def bar(self, y: float, start: date, end: date) -> None:
        """Draw a time from one day to another."""
        self.drawing.box(self.x(start), y - 7, self.x(end + timedelta(days=1)) - self.x(start), 14, BAR, round_=3)

    def ticks(self, y: float, days: Iterable[date], colour: str) -> None:
        """Mark days with a stroke."""
        for day in sorted(set(days)):
            self.drawing.line(self.middle(day), y - 8, self.middle(day), y + 8, colour, width=3)

    def diamonds(self, y: float, days: Iterable[date], colour: str) -> None:
        """Mark days with a diamond."""
        for day in sorted(set(days)):
            self.drawing.diamond(self.middle(day), y, 7, colour)

    def today(self, day: date) -> None:
        """Draw the day it is."""
        if self.first <= day <= self.last:
            x = self.middle(day)
            self.drawing.line(x, HEAD - 8, x, HEAD + self._rows * ROW, TODAY, width=2, dash="5 3")
            self.drawing.text(x, HEAD + self._rows * ROW + 10, "今日", size=11, fill=TODAY, anchor="middle")


def _chart(scene: Scene) -> Drawing:
    book = scene.book
    first, last = scene.day(book.launch_at), scene.day(book.close_at)
    dated: dict[str, list[datetime]] = {}
    for one in book.dated:
        dated.setdefault(one.key, []).append(one.due)
    sheet = _Sheet(first, last, len(dated) + 2)
    _legend(sheet.drawing)
    for row, (key, dues) in enumerate(dated.items()):
        y = sheet.name(row, book.campaign.deliverable(key).title)
        days = [stated(due, scene.zone).day for due in dues]
        sheet.bar(y, first, max(days))
        sheet.ticks(y, _reminders(scene, key), REMIND)
        sheet.diamonds(y, days, DUE)
    y = sheet.name(len(dated), wording.STEP[StepKind.ESCALATE])
    sheet.ticks(y, _days(scene, book.steps, StepKind.ESCALATE), ESCALATE)
    y = sheet.name(len(dated) + 1, wording.STEP[StepKind.CONSOLIDATE])
    sheet.diamonds(y, _days(scene, book.steps, StepKind.CONSOLIDATE), CONSOLIDATE)
    sheet.today(scene.today)
    return sheet.drawing


def _reminders(scene: Scene, deliverable: str) -> list[date]:
    title = scene.book.campaign.deliverable(deliverable).title
    steps = (s for s in scene.book.steps if s.kind is StepKind.REMIND and title in s.subject)
    return [scene.day(step.moment) for step in steps]


def _days(scene: Scene, steps: Sequence[Step], kind: StepKind) -> list[date]:
    return [scene.day(step.moment) for step in steps if step.kind is kind and step.subject != DAILY]


def _legend(drawing: Drawing) -> None:
    marks = (("报送期", BAR), ("提醒", REMIND), ("截止", DUE), ("催办", ESCALATE), ("汇总", CONSOLIDATE))
    x = 8.0
    for said, colour in marks:
        drawing.box(x, 4, 12, 12, colour, round_=2)
        drawing.text(x + 17, 15, said, size=12)
        x += 30 + 13 * len(said)
