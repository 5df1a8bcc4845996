"""The consolidated workbook (.xlsx): rates, totals, states, figures, the missing, and where each figure came from."""

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import cast

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import Cell
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from documents.cells import CENTER, FONT, GRID, HEAD_FILL, LEFT, clean, is_formula_like, print_setup
from documents.values import ConsolidatedBook, FormFigures, SourcedFigure, StateLine
from rules.forms import FieldType, Form, Row
from rules.rates import Totals

HEAD_ROW = 3
TOTAL = "合计"
PLAIN, BOLD = Font(name=FONT, size=10), Font(name=FONT, size=10, bold=True)
TITLE_FONT, NOTE_FONT = Font(name=FONT, size=14, bold=True), Font(name=FONT, size=9, color="FF52606D")
STATE_HEAD = (
    "单位代码",
    "单位名称",
    "类别",
    "期次",
    "截止时间",
    "状态",
    "收到时间",
    "是否按时",
    "版本",
    "渠道",
    "文件名",
)
STATE_WIDTHS = (11, 30, 12, 12, 22, 14, 18, 16, 8, 8, 34)


def write_consolidated(book: ConsolidatedBook) -> bytes:
    """Return the workbook. Every number in it leads back to the sheet 数据来源."""
    workbook = Workbook(write_only=True)
    _overview(workbook, book)
    for figures in book.forms:
        if _numeric_rows(figures.form):
            _totals(workbook, book, figures)
    for deliverable in book.deliverables:
        head = (*STATE_HEAD, "纸质原件") if deliverable.paper else STATE_HEAD
        widths = (*STATE_WIDTHS, 30) if deliverable.paper else STATE_WIDTHS
        row = _state_with_paper if deliverable.paper else _state
        _sheet(workbook, book, f"{deliverable.title}", head, widths, map(row, deliverable.lines))
    if book.voluntary:
        _sheet(workbook, book, "随时报送材料", STATE_HEAD, STATE_WIDTHS, map(_state, book.voluntary))
    for figures in book.forms:
        _figures(workbook, book, figures)
    _missing(workbook, book)
    _sources(workbook, book)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def _sheet(
    workbook: Workbook,
    book: ConsolidatedBook,
    title: str,
    head: Sequence[str],
    widths: Sequence[int],
    rows: Iterable[Sequence[object]],
    *,
    plain: bool = False,
) -> None:
    """Write one table with title, heading, grid, filter and print set-up; ``plain`` leaves the grid out.

    Rows are streamed: thousands of units' figures never stand in memory as cells.
    """
    # The stubs leave out what a write-only sheet borrows from an ordinary one.
    sheet = cast("Worksheet", workbook.create_sheet(_free_name(workbook, title)))
    for column, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.row_dimensions[HEAD_ROW].height = 30
    sheet.freeze_panes = f"{get_column_letter(min(3, len(head)))}{HEAD_ROW + 1}"
    print_setup(sheet, heading_row=HEAD_ROW)
    sheet.append([_cell(sheet, f"{book.title}　{title}", TITLE_FONT)])
    sheet.append([_cell(sheet, f"{book.issuer}　截至 {book.as_of}", NOTE_FONT)])
    sheet.append([_grid(sheet, text, font=BOLD, fill=HEAD_FILL) for text in head])
    wide = [width > 20 for width in widths]  # noqa: PLR2004  wide columns hold prose
    last = HEAD_ROW
    for last, row in enumerate(rows, start=HEAD_ROW + 1):  # noqa: B007  the last row's number is used below
        if plain:
            sheet.append([_safe(sheet, value) for value in row])
        else:
            font = BOLD if row[0] == TOTAL else PLAIN
            sheet.append([_grid(sheet, value, font=font, left=left) for value, left in zip(row, wide, strict=True)])
    sheet.auto_filter.ref = f"A{HEAD_ROW}:{get_column_letter(len(head))}{last}"


class Rate(float):
    """A number shown as a percentage."""


def _cell(sheet: Worksheet, value: object, font: Font) -> Cell:
    cell = WriteOnlyCell(sheet, value=cast("str | float | None", clean(value)))
    if is_formula_like(value):
        cell.data_type = "s"
    cell.font = font
    return cell


def _grid(sheet: Worksheet, value: object, *, font: Font, fill: PatternFill | None = None, left: bool = False) -> Cell:
    cell = _cell(sheet, value, font)
    cell.border = GRID
    cell.alignment = LEFT if left and isinstance(value, str) else CENTER
    if fill is not None:
        cell.fill = fill
    if isinstance(value, Rate):
        cell.number_format = "0.0%"
    elif isinstance(value, int | float):
        cell.number_format = "#,##0" if float(value).is_integer() else "#,##0.00"
    return cell


def _safe(sheet: Worksheet, value: object) -> object:
    """Return a value that may be written as it is, or a cell that keeps it text."""
    return _cell(sheet, value, PLAIN) if is_formula_like(value) else clean(value)


def _free_name(workbook: Workbook, title: str) -> str:
    """Return a sheet name of at most 31 characters that is not taken and has no forbidden character."""
    name = "".join("－" if c in "[]:*?/\\" else c for c in title)[:31]
    taken, number = set(workbook.sheetnames), 2
    while name in taken:
        name = f"{name[:28]}（{number}）"
        number += 1
    return name


def _overview(workbook: Workbook, book: ConsolidatedBook) -> None:
    head = (
        "类别",
        "应报（项）",
        "已报",
        "按时",
        "其中：退回后补正",
        "迟报",
        "已报待核实",
        "退回待补正",
        "未报",
        "报送率",
        "及时率",
        "计算式",
    )
    widths = (16, 10, 8, 8, 12, 8, 12, 12, 8, 10, 10, 44)
    rows = [_rates(name, totals) for name, totals in (*book.categories, (TOTAL, book.totals))]
    _sheet(workbook, book, "总体情况", head, widths, rows)


def _rates(name: str, t: Totals) -> tuple[object, ...]:
    formula = f"报送率 {t.reported}/{t.owed}；及时率 {t.on_time}/{t.owed}（免报、退出 {t.outside} 项不计）"
    report = "—" if t.report_rate is None else Rate(t.report_rate)
    on_time = "—" if t.on_time_rate is None else Rate(t.on_time_rate)
    return (
        name,
        t.owed,
        t.reported,
        t.on_time,
        t.corrected_late,
        t.late,
        t.queried,
        t.returned,
        t.missing,
        report,
        on_time,
        formula,
    )


def _numeric_rows(form: Form) -> list[tuple[Row, str]]:
    """Return the (row, column key) pairs of a fixed-row form that hold numbers."""
    pairs = []
    for row in form.rows:
        for column in form.entry_columns:
            entry = row.entries.get(column.key)
            type_ = entry.type if entry and entry.type else column.type
            if type_ in (FieldType.INTEGER, FieldType.NUMBER):
                pairs.append((row, column.key))
    return pairs


def _totals(workbook: Workbook, book: ConsolidatedBook, figures: FormFigures) -> None:
    """Write the sums per line and category, with how many units stand behind each."""
    form = figures.form
    by_line: dict[tuple[str, str], list[SourcedFigure]] = defaultdict(list)
    for figure in figures.figures:
        if figure.number is not None:
            by_line[figure.row, figure.column].append(figure)
    categories = [name for name, _ in book.categories]
    labels = [c for c in form.label_columns if c.key != "unit"]
    head = (*(c.title for c in labels), "计量单位", "合计", *categories, "计入单位数", "待核实未计入")
    widths = (*(c.width for c in labels), 10, 14, *(12 for _ in categories), 10, 30)
    rows = []
    for row, column in _numeric_rows(form):
        line = by_line[row.key, column]
        queried = figures.queried.get((row.key, column), ())
        rows.append(
            (
                *(row.labels.get(c.key, "") for c in labels),
                row.unit or row.labels.get("unit", ""),
                sum(f.number or 0 for f in line),
                *(sum(f.number or 0 for f in line if f.category == name) for name in categories),
                len(line),
                "、".join(queried),
            )
        )
    _sheet(workbook, book, f"{form.title}汇总", head, widths, rows)


def _state(line: StateLine) -> tuple[object, ...]:
    return (
        line.code,
        line.unit,
        line.category,
        line.occurrence,
        line.due,
        line.state,
        line.received,
        line.timeliness,
        line.version,
        line.channel,
        line.file_name,
    )


def _state_with_paper(line: StateLine) -> tuple[object, ...]:
    return (*_state(line), line.paper)


def _figures(workbook: Workbook, book: ConsolidatedBook, figures: FormFigures) -> None:
    """Write what each unit filled in: a line a unit for fixed rows, all its rows for free ones."""
    form = figures.form
    by_unit: dict[tuple[str, str], dict[tuple[str, str], SourcedFigure]] = defaultdict(dict)
    for figure in figures.figures:
        by_unit[figure.code, figure.occurrence][figure.row, figure.column] = figure
    if form.rows:
        keys = [(r.key, c.key) for r in form.rows for c in form.entry_columns]
        keys = [k for k in keys if any(k in unit for unit in by_unit.values())]
        names = {(r.key, c.key): _short(form, r, c.title) for r in form.rows for c in form.entry_columns}
        head = ("单位代码", "单位名称", "期次", *(names[k] for k in keys))
        widths = (11, 30, 12, *(13 for _ in keys))
        rows: Iterable[Sequence[object]] = (
            (*_unit(unit), *(_value(unit.get(k)) for k in keys)) for unit in by_unit.values()
        )
    else:
        columns = [c for c in form.columns if c.key != "no"]
        head = ("单位代码", "单位名称", "期次", "行", *(c.title for c in columns))
        widths = (11, 30, 12, 6, *(c.width for c in columns))
        rows = (
            (*_unit(unit), int(number), *(_value(unit.get((number, c.key))) for c in columns))
            for unit in by_unit.values()
            for number in sorted({row for row, _ in unit}, key=int)
        )
    _sheet(workbook, book, f"{form.title}明细", head, widths, rows)


def _short(form: Form, row: Row, column_title: str) -> str:
    unit = row.unit
    many = len(form.entry_columns) > 1
    measure = f"（{unit}）" if unit else ""
    return f"{form.row_name(row)}{measure}{f' {column_title}' if many else ''}"


def _unit(unit: dict[tuple[str, str], SourcedFigure]) -> tuple[str, str, str]:
    first = next(iter(unit.values()))
    return first.code, first.unit, first.occurrence


def _value(figure: SourcedFigure | None) -> object:
    if figure is None:
        return ""
    return figure.number if figure.number is not None else figure.text


def _missing(workbook: Workbook, book: ConsolidatedBook) -> None:
    head = ("单位代码", "单位名称", "类别", "主管单位", "联系方式", "未报材料", "逾期天数")
    rows = [(m.code, m.unit, m.category, m.superior, m.contact, m.missing, m.overdue_days) for m in book.missing]
    _sheet(workbook, book, "未报名单", head, (11, 30, 12, 24, 36, 48, 10), rows)


def _sources(workbook: Workbook, book: ConsolidatedBook) -> None:
    head = (
        "单位代码",
        "单位名称",
        "期次",
        "表",
        "行",
        "列",
        "值",
        "版本",
        "文件名",
        "文件指纹 sha256",
        "工作表",
        "单元格",
    )
    widths = (11, 30, 12, 22, 26, 14, 24, 6, 30, 68, 20, 8)
    rows = (
        (
            f.code,
            f.unit,
            f.occurrence,
            f.form,
            f.row,
            f.column,
            _value(f),
            f.version,
            f.file_name,
            f.sha256,
            f.sheet,
            f.cell,
        )
        for figures in book.forms
        for f in figures.figures
    )
    _sheet(workbook, book, "数据来源", head, widths, rows, plain=True)
