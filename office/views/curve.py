"""The submission curve: how the share of what was reported grew day by day, against the due days."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from documents.drawing import PALE, RULE, Drawing
from office import wording
from office.views.pages import Page, picture, render
from office.views.scene import Scene
from rules.deadlines import stated
from rules.obligations import OUTSIDE_RATES, REPORTED, Obligation, first_received, standing

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 340, 46, 14, 60, 30
WHOLE = "#212121"
COLOURS = ("#1565c0", "#ef6c00", "#2e7d32", "#8e24aa", "#00838f", "#6d4c41")  # of so many deliverables, not more
DAYS = 10
QUARTERS = 4


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How many of some obligations were reported by each day's end."""

    name: str
    owed: int
    by_day: Mapping[date, int]  # reported on that day

    def share(self, day: date) -> float:
        """Return the share that was reported by a day's end."""
        return sum(n for when, n in self.by_day.items() if when <= day) / self.owed if self.owed else 0.0


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day as a line: what came first on it, and what was there at its end."""

    day: str
    came: int
    reported: int
    rate: str


def curve_page(scene: Scene) -> Page:
    """Return the submission curve of a campaign up to a moment."""
    first = scene.day(scene.book.launch_at)
    last = max(min(scene.today, scene.day(scene.book.close_at)), first)
    parts = [
        _growth(scene, title, [ob for ob in scene.obligations if ob.deliverable == key])
        for key, title in scene.titles.items()
    ]
    by_day = sum((Counter(part.by_day) for part in parts), Counter[date]())
    whole = Growth(name="合计", owed=sum(part.owed for part in parts), by_day=by_day)
    days = [_day(whole, last - timedelta(days=back)) for back in range(min(DAYS, (last - first).days + 1))]
    markdown = render(
        scene.house.templates,
        "curve.md",
        chart=picture(_chart(scene, whole, parts, first, last), "报送进度曲线"),
        days=days,
        owed=whole.owed,
    )
    headline = f"已报{days[0].reported}项，报送率{days[0].rate}，最近一日新报{days[0].came}项"
    return Page(key=f"curve-{scene.key}", title="报送进度曲线", headline=headline, markdown=markdown)


def _growth(scene: Scene, name: str, obligations: Sequence[Obligation]) -> Growth:
    """Count by the day on which each was first reported; of what was returned since, nothing."""
    return Growth(
        name=name,
        owed=sum(standing(ob) not in OUTSIDE_RATES for ob in obligations),
        by_day=Counter(scene.day(first_received(ob.versions)) for ob in obligations if standing(ob) in REPORTED),
    )


def _day(whole: Growth, day: date) -> Day:
    return Day(
        day=wording.day_text(day),
        came=whole.by_day.get(day, 0),
        reported=round(whole.share(day) * whole.owed),
        rate=wording.rate_text(whole.share(day) if whole.owed else None),
    )


class _Plane:
    """The plane of the curve: days to the right, shares upwards."""

    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, last
        self.drawing = Drawing(WIDTH, HEIGHT)
        self._day = (WIDTH - LEFT - RIGHT) / max((last - first).days, 1)
        for quarter in range(QUARTERS + 1):
            y = self.y(quarter / QUARTERS)
            self.drawing.line(LEFT, y, WIDTH - RIGHT, y, RULE)
            self.drawing.text(LEFT - 6, y + 4, f"{quarter * 25}%", size=11, fill=PALE, anchor="end")

    def x(self, day: date) -> float:
        """Return where a day lies."""
        return LEFT + self._day * (day - self.first).days

    def y(self, share: float) -> float:
        """Return where a share lies."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def days(self) -> None:
        """Write every so many days beneath."""
        step = max(1, round((self.last - self.first).days / 8))
        day = self.first
        while day <= self.last:
            self.drawing.text(self.x(day), HEIGHT - 10, f"{day.month}/{day.day}", size=11, fill=PALE, anchor="middle")
            day += timedelta(days=step)

    def due(self, day: date) -> None:
        """Mark a due day."""
        x = self.x(day)
        self.drawing.line(x, TOP - 4, x, HEIGHT - BOTTOM, "#c62828", dash="4 3")
        self.drawing.text(x, TOP - 8, f"{day.month}月{day.day}日截止", size=11, fill="#c62828", anchor="middle")

    def grow(self, growth: Growth, colour: str, width: float) -> None:
        """Draw the growth of some obligations from day to day."""
        span = range((self.last - self.first).days + 1)
        points, so_far = [], 0
        early = sum(n for when, n in growth.by_day.items() if when < self.first)
        for number in span:
            day = self.first + timedelta(days=number)
            so_far += growth.by_day.get(day, 0) + (early if number == 0 else 0)
            points.append((self.x(day), self.y(so_far / growth.owed if growth.owed else 0.0)))
        self.drawing.path(points, colour, width=width)


def _chart(scene: Scene, whole: Growth, parts: Sequence[Growth], first: date, last: date) -> Drawing:
    plane = _Plane(first, max(last, first + timedelta(days=1)))
    plane.days()
    dues = sorted({stated(one.due, scene.zone).day for one in scene.book.dated})
    for due in [day for day in dues if first <= day <= last][-3:]:
        plane.due(due)
    x, y = 8.0, 4.0
    drawn = [(part, colour) for part, colour in zip(parts, COLOURS, strict=False) if part.by_day]
    drawn.append((whole, WHOLE))
    for growth, colour in drawn:
        plane.grow(growth, colour, 3 if growth is whole else 1.6)
        width = 30 + 12 * len(growth.name)
        if x + width > WIDTH:
            x, y = 8.0, y + 18
        plane.drawing.box(x, y, 12, 12, colour, round_=2)
        plane.drawing.text(x + 17, y + 11, growth.name, size=12)
        x += width
    return plane.drawing
