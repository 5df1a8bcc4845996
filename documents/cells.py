"""What all our sheets share: fonts, borders, and text that must not become a formula."""

from typing import cast

from openpyxl.cell.cell import Cell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

FONT = "微软雅黑"
THIN = Side(style="thin", color="FF9AA5B1")
GRID = Border(left=THIN, right=THIN, top=THIN, bottom=THIN)
HEAD_FILL = PatternFill("solid", start_color="FFDCE6F1")
LABEL_FILL = PatternFill("solid", start_color="FFF3F6FA")
ENTRY_FILL = PatternFill("solid", start_color="FFFFFDE7")
CENTER = Alignment(horizontal="center", vertical="center", wrap_text=True)
LEFT = Alignment(horizontal="left", vertical="center", wrap_text=True)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def clean(value: object) -> object:
    """Return text without the control characters that XML forbids; anything else as it is."""
    if not isinstance(value, str):
        return value
    return "".join(c for c in value if c in "\n\t" or ord(c) >= ord(" "))


def is_formula_like(value: object) -> bool:
    """Whether a spreadsheet would take a text for a formula."""
    return isinstance(value, str) and value.startswith(FORMULA_STARTS)


def put(sheet: Worksheet, row: int, column: int, value: object) -> Cell:
    """Write a value; text that a spreadsheet would take for a formula stays text."""
    cell = cast("Cell", sheet.cell(row=row, column=column))
    cell.value = clean(value)  # type: ignore[assignment]
    if is_formula_like(value):
        cell.data_type = "s"
        cell.quotePrefix = True
    return cell


def style(
    cell: Cell, *, bold: bool = False, size: int = 10, fill: PatternFill | None = None, left: bool = False
) -> None:
    """Give a cell the house's look."""
    cell.font = Font(name=FONT, size=size, bold=bold)
    cell.alignment = LEFT if left else CENTER
    cell.border = GRID
    if fill is not None:
        cell.fill = fill


def print_setup(sheet: Worksheet, *, heading_row: int) -> None:
    """Landscape A4, one page wide, heading repeated."""
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = 9
    sheet.page_setup.fitToWidth = 1
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = f"{heading_row}:{heading_row}"
