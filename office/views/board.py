"""The board: how many reported and how many are missing, by deliverable and category; then the units, worst first."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from documents.drawing import PALE, RULE, Drawing
from ledger.facts import Party
from office import wording
from office.board import nil_obligations, promised_days
from office.staff_links import campaign_url, unit_url
from office.views.pages import Markdown, Page, linked, picture, plain, render
from office.views.scene import Scene
from office.views.shades import COLOUR, DRAWN, Shade, days_overdue, word_of
from rules.deadlines import stated
from rules.obligations import Obligation

MOST_LINES = 240  # units listed at most; the rest are counted
FEWEST_LINES = 15  # of a category at least, however many categories there are
WORST = 15
URGENT = (Shade.OVERDUE, Shade.RETURNED)
DONE = (Shade.REPORTED, Shade.LATE, Shade.WAITING)
WIDTH, BAR, GAP, LEFT, RIGHT = 720, 20, 14, 190, 90
NAME_CUT = 13


@dataclass(frozen=True, kw_only=True)
class Line:
    """How some obligations stand: the row of a deliverable or a category."""

    name: str
    due: str
    units: int
    shades: Mapping[Shade, int]

    @property
    def reported(self) -> int:
        """How many were reported and not returned, late ones and those that wait for somebody too."""
        return sum(self.shades.get(shade, 0) for shade in DONE)

    @property
    def owed(self) -> int:
        """The denominator: all but those exempt or left."""
        return sum(self.shades.values()) - self.shades.get(Shade.OUTSIDE, 0)

    @property
    def rate(self) -> str:
        """报送率."""
        return wording.rate_text(self.reported / self.owed if self.owed else None)

    def count(self, shade: str) -> int:
        """Return how many have a shade."""
        return self.shades.get(Shade(shade), 0)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit's row: its cells by deliverable, and what makes it urgent."""

    party: Party
    cells: Mapping[str, Sequence[Obligation]]
    shades: Mapping[Shade, int]
    days: int  # the longest it is overdue

    @property
    def urgency(self) -> tuple[int, ...]:
        """Sorts the most urgent first."""
        urgent = self.party.left_at is None
        counts = (self.shades.get(s, 0) for s in (*URGENT, Shade.WAITING, Shade.OPEN))
        overdue, returned, waiting, open_ = counts
        return (not urgent, -overdue, -self.days, -returned, -waiting, -open_)


@dataclass(frozen=True, kw_only=True)
class Category:
    """A category's part of the board: its units, as many as are listed, and those that are not."""

    name: str
    units: int
    urgent: int
    lines: Sequence[Sequence[Markdown]]
    more: int


def board_page(scene: Scene) -> Page:
    """Return the board of a campaign at a moment."""
    whole = _line(scene, "", scene.obligations)
    by_deliverable = [
        _line(scene, title, [ob for ob in scene.obligations if ob.deliverable == key])
        for key, title in scene.titles.items()
    ]
    units = _units(scene)
    cells = _Cells(scene)
    categories = scene.book.campaign.categories
    most = max(FEWEST_LINES, MOST_LINES // max(len(categories), 1))
    worst = [u for u in units if u.party.left_at is None and any(u.shades.get(s) for s in URGENT)]
    markdown = render(
        scene.house.templates,
        "board.md",
        whole=whole,
        units=sum(u.party.left_at is None for u in units),
        chart=picture(_chart(by_deliverable), "各项材料报送情况"),
        by_deliverable=by_deliverable,
        by_category=[_of_category(scene, category) for category in categories],
        titles=list(scene.titles.values()),
        worst=[cells.of(unit) for unit in worst[:WORST]] if len(units) > WORST else [],
        more=max(len(worst) - WORST, 0),
        categories=[_category(category, units, cells, most) for category in categories],
        staff_page=campaign_url(scene.house, scene.key),
        key=scene.key,
    )
    return Page(key=f"board-{scene.key}", title="报送情况", headline=_headline(whole, len(units)), markdown=markdown)


def _headline(whole: Line, units: int) -> str:
    parts = [f"{units}家单位应报{whole.owed}项，已报{whole.reported}项（{whole.rate}）"]
    parts += [
        f"{word}{whole.count(s)}项" for s, word in (("overdue", "逾期未报"), ("returned", "退回")) if whole.count(s)
    ]
    return "，".join(parts)


def _line(scene: Scene, name: str, obligations: Sequence[Obligation]) -> Line:
    days = sorted({stated(due, scene.zone).day for due in {ob.due for ob in obligations} if due is not None})
    short = [f"{day.month}月{day.day}日" for day in days]
    return Line(
        name=name,
        due=short[0] if len(short) == 1 else f"{short[0]}至{short[-1]}" if short else "",
        units=len({ob.party_id for ob in obligations}),
        shades=Counter(scene.shades[ob.id] for ob in obligations),
    )


def _of_category(scene: Scene, category: str) -> Line:
    return _line(scene, category, [ob for ob in scene.obligations if ob.category == category])


def _units(scene: Scene) -> list[Unit]:
    cells: dict[int, dict[str, list[Obligation]]] = {id_: {} for id_ in scene.units}
    for ob in scene.obligations:
        cells[ob.party_id].setdefault(ob.deliverable, []).append(ob)
    units = [_unit(scene, scene.units[id_], mine) for id_, mine in cells.items()]
    return sorted(units, key=lambda unit: (unit.urgency, unit.party.code))


def _unit(scene: Scene, party: Party, cells: Mapping[str, Sequence[Obligation]]) -> Unit:
    shades: Counter[Shade] = Counter()
    days = 0
    for ob in (ob for cell in cells.values() for ob in cell):
        shade = scene.shades[ob.id]
        shades[shade] += 1
        if shade in URGENT:
            days = max(days, days_overdue(ob, scene.moment, scene.zone))
    return Unit(party=party, cells=cells, shades=shades, days=days)


class _Cells:
    """Writes the cells of a unit's row."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._nil = nil_obligations(scene.session, scene.row.id, scene.obligations)
        self._promised = promised_days(scene.session, scene.row.id, scene.book, scene.obligations)

    def of(self, unit: Unit) -> list[Markdown]:
        """Return a unit's row: its name and a word for each deliverable."""
        address = unit_url(self._scene.house, self._scene.key, unit.party.code)
        name = linked(f"{unit.party.code} {unit.party.name}", address)
        return [name, *(self._cell(unit.cells.get(key, ())) for key in self._scene.titles)]

    def _cell(self, obligations: Sequence[Obligation]) -> Markdown:
        if not obligations:
            return Markdown("—")
        urgent = any(self._scene.shades[ob.id] in URGENT for ob in obligations)
        said = plain(self._one(obligations[0]) if len(obligations) == 1 else self._series(obligations))
        return Markdown(f"**{said}**") if urgent else said

    def _one(self, ob: Obligation) -> str:
        return word_of(ob, self._scene.moment, self._scene.zone, nil=self._nil, promised=self._promised)

    def _series(self, obligations: Sequence[Obligation]) -> str:
        """Return how many of how many were reported, and the worst that is to be said of the others."""
        shades = Counter(self._scene.shades[ob.id] for ob in obligations)
        done = sum(shades[shade] for shade in DONE)
        owed = shades.total() - shades[Shade.OUTSIDE]
        bad = "".join(f"，{wording.SHADE[s]}{shades[s]}" for s in (*URGENT, Shade.WAITING) if shades[s])
        return wording.SHADE_DONE.format(done=done, all=owed) + bad


def _category(name: str, units: Iterable[Unit], cells: _Cells, most: int) -> Category:
    mine = [unit for unit in units if unit.party.category == name]
    return Category(
        name=name,
        units=len(mine),
        urgent=sum(any(u.shades.get(s) for s in URGENT) and u.party.left_at is None for u in mine),
        lines=[cells.of(unit) for unit in mine[:most]],
        more=max(len(mine) - most, 0),
    )


def _chart(lines: Sequence[Line]) -> Drawing:
    """Draw a bar a deliverable, in the shares of its shades."""
    drawing = Drawing(WIDTH, 34 + len(lines) * (BAR + GAP))
    x = 8.0
    for shade in DRAWN:
        drawing.box(x, 8, 12, 12, COLOUR[shade], round_=2)
        drawing.text(x + 17, 19, wording.SHADE[shade])
        x += 62
    for index, line in enumerate(lines):
        y = 32 + index * (BAR + GAP)
        name = line.name if len(line.name) <= NAME_CUT else line.name[: NAME_CUT - 1] + "…"
        drawing.text(LEFT - 8, y + 15, name, anchor="end")
        _bar(drawing, line, y)
        drawing.text(WIDTH - RIGHT + 8, y + 15, f"{line.reported}/{line.owed}  {line.rate}", size=12, fill=PALE)
    return drawing


def _bar(drawing: Drawing, line: Line, y: float) -> None:
    whole, x = WIDTH - LEFT - RIGHT, float(LEFT)
    drawing.box(x, y, whole, BAR, RULE)
    for shade in DRAWN:
        width = whole * line.count(shade) / line.owed if line.owed else 0
        if width:
            drawing.box(x, y, width, BAR, COLOUR[shade])
            if width > 26:  # noqa: PLR2004  room for a number
                ink = "#212121" if shade in (Shade.OPEN, Shade.LATE) else "#ffffff"
                drawing.text(x + width / 2, y + 15, str(line.count(shade)), size=12, fill=ink, anchor="middle")
        x += width
