"""What the consolidated workbook and the summary are made of: plain values that office/ hands in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.forms import Form
from rules.rates import Totals


@dataclass(frozen=True, kw_only=True)
class StateLine:
    """One unit's state for one deliverable (and occurrence), as text."""

    code: str
    unit: str
    category: str
    occurrence: str
    due: str
    state: str
    received: str = ""
    timeliness: str = ""  # 按时, 迟报, 按时（退回后补正）
    version: str = ""
    channel: str = ""
    file_name: str = ""
    paper: str = ""  # whether the original came on paper


@dataclass(frozen=True, kw_only=True)
class DeliverableSheet:
    """A deliverable with the state of every unit that owes it; ``paper`` asks for an original on paper besides."""

    title: str
    paper: bool = False
    lines: tuple[StateLine, ...]


@dataclass(frozen=True, kw_only=True, slots=True)  # slots: there are a hundred of them a unit
class SourcedFigure:
    """A figure with everything needed to find the cell it came from."""

    code: str
    unit: str
    category: str
    occurrence: str
    form: str
    row: str
    column: str
    number: float | None
    text: str | None
    version: int
    file_name: str
    sha256: str
    sheet: str
    cell: str


@dataclass(frozen=True, kw_only=True)
class FormFigures:
    """The figures of one form's counting versions, and who is left out of a line because it is 待核实."""

    form: Form
    figures: tuple[SourcedFigure, ...]
    queried: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)  # (row, column) → unit names


@dataclass(frozen=True, kw_only=True)
class MissingLine:
    """One unit that still owes something."""

    code: str
    unit: str
    category: str
    superior: str
    contact: str
    missing: str
    overdue_days: int


@dataclass(frozen=True, kw_only=True)
class ConsolidatedBook:
    """Everything that goes into the workbook."""

    title: str
    issuer: str
    as_of: str
    categories: tuple[tuple[str, Totals], ...]
    deliverables: tuple[DeliverableSheet, ...]
    forms: tuple[FormFigures, ...]
    missing: tuple[MissingLine, ...]
    voluntary: tuple[StateLine, ...] = ()

    @property
    def totals(self) -> Totals:
        """The totals over all categories."""
        return sum((t for _, t in self.categories), Totals())


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Everything that goes on the one page."""

    title: str
    issuer: str
    period: str
    as_of: str
    date: str
    categories: tuple[tuple[str, Totals], ...]
    missing: tuple[tuple[str, tuple[str, ...]], ...]  # deliverable, unit names
    units: int
    voluntary: int
    final: bool

    @property
    def totals(self) -> Totals:
        """The totals over all categories."""
        return sum((t for _, t in self.categories), Totals())
