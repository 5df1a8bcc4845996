"""Where a table came from: moved, renamed, an older template, another year. Each is named to the unit."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rules.forms import HEAD_ROW, Finding, FindingCode, Form, Severity

YEAR = re.compile(r"(?<!\d)(20\d\d)(?=\s*年|\s*[-./]\s*\d{1,2}(?!\d))")
MAX_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A text and the cell it stands in."""

    ref: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What was found around a table."""

    sheet: str
    head: int  # row of the column titles, from 1
    version: int | None = None  # of the template, by its hidden mark
    above: tuple[Spot, ...] = ()  # texts above the column titles
    extra_columns: tuple[Spot, ...] = ()
    extra_rows: tuple[Spot, ...] = ()  # filled rows that are none of the form's
    other_sheets: tuple[str, ...] = ()  # filled sheets of the same form that were not read


def origin_findings(form: Form, origin: Origin, *, years: Collection[int] = ()) -> Iterator[Finding]:
    """Yield what a unit should know of where its table came from; ``years`` are those the campaign speaks of."""

    def finding(severity: Severity, code: FindingCode, cell: str = "", read: str = "", **params: str) -> Finding:
        return Finding(
            severity=severity, code=code, sheet=origin.sheet, cell=cell, read=read[:MAX_SHOWN], params=params
        )

    if origin.version is not None and origin.version < form.version:
        yield finding(
            form.older_template, FindingCode.OLD_TEMPLATE, read=f"{origin.version}", expected=f"{form.version}"
        )
    if (spot := other_year(origin, years)) is not None:
        expected = "、".join(f"{year}年" for year in sorted(years))
        yield finding(Severity.MUST, FindingCode.OTHER_YEAR, spot.ref, spot.text, expected=expected)
    for sheet in origin.other_sheets:
        yield finding(Severity.QUERY, FindingCode.SECOND_SHEET, read=sheet)
    for spot in origin.extra_rows:
        yield finding(Severity.QUERY, FindingCode.EXTRA_ROW, spot.ref, spot.text)
    for spot in origin.extra_columns:
        yield finding(Severity.INFO, FindingCode.EXTRA_COLUMN, spot.ref, spot.text)
    if origin.head != HEAD_ROW:
        yield finding(Severity.INFO, FindingCode.HEADING_MOVED, read=f"{origin.head}", expected=f"{HEAD_ROW}")
    if origin.sheet != form.sheet_title:
        yield finding(Severity.INFO, FindingCode.SHEET_RENAMED, read=origin.sheet, expected=form.sheet_title)


def other_year(origin: Origin, years: Collection[int]) -> Spot | None:
    """Return where a year is named that is not the campaign's, if the campaign's is named nowhere."""
    if not years:
        return None
    named = [(int(year), spot) for spot in origin.above for year in years_in(spot.text)]
    named += [(int(year), Spot(ref="", text=origin.sheet)) for year in years_in(origin.sheet)]
    if any(year in years for year, _ in named):
        return None
    return next((spot for _, spot in named), None)


def years_in(text: str) -> list[int]:
    """Return the years that a text names: 2019年, 2019-06."""
    return [int(year) for year in YEAR.findall(unicodedata.normalize("NFKC", text))]
