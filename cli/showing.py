"""How the door speaks: tables, sentences, complaints."""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

# Piped into a file or pager there is no width to ask for; tables of Chinese names need some room.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Row = Sequence[str]
NARROW = 140  # columns, fewer than which tables that do not fit are written as paragraphs
VAST = 10_000


def table(columns: Iterable[str | Column], rows: Iterable[Row], *, title: str | None = None) -> None:
    """Print a table. Its cells are shown to the letter: a subject may hold what looks like markup.

    Chinese has no blanks at which to break a line, so text is folded wherever it has to be, and nothing is cut off.
    Where the terminal is too narrow for columns, each row is a paragraph.
    """
    headings = [Column(c, overflow="fold") if isinstance(c, str) else c for c in columns]
    cells = [[Text(cell) for cell in row] for row in rows]
    table = Table(*headings, title=title)
    for row in cells:
        table.add_row(*row)
    unbounded = out.options.update(max_width=VAST)
    if out.width < NARROW and Measurement.get(out, unbounded, table).maximum > out.width:
        table = _paragraphs([str(heading.header) for heading in headings], cells, title)
    out.print(table)


def _paragraphs(names: Sequence[str], rows: Iterable[Sequence[Text]], title: str | None) -> Table:
    grid = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    grid.title = title
    for first, *others in rows:
        said = [f"{name}: {cell.plain}" for name, cell in zip(names[1:], others, strict=True) if cell.plain]
        grid.add_row(first, Text("; ".join(said)))
    return grid


def say(sentence: str, *, style: str | None = None) -> None:
    """Print a sentence to the letter, on one line however long."""
    out.print(sentence, style=style, markup=False, soft_wrap=True)


def times_of(zone: str) -> str:
    """Return what a heading says of the times below it."""
    return f"times of {zone}"


def rule() -> str:
    """Return a line across the page."""
    return "─" * min(out.width, 78)


def complain(sentence: str, *, style: str | None = None) -> None:
    """Say to the letter what went wrong."""
    err.print(sentence, style=style, markup=False)


def asked(question: str) -> str:
    """Return what is typed in answer to a question; nothing where there is no terminal to ask at."""
    try:
        return input(question).strip()
    except EOFError:
        return ""
