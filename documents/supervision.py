"""A supervision order (督办单, .docx): what one unit owes, how it was reminded, and by when it is to report."""

from dataclasses import dataclass

from docx.document import Document as DocumentType
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.shared import Cm, Pt, RGBColor
from docx.table import Table, _Row

from documents.official import (
    HEADING,
    NOTE,
    a4_page,
    add_table,
    as_bytes,
    header_line,
    headline,
    prose,
    set_font,
    set_widths,
    shade,
    unbroken,
    write_cell,
)
from rules.supervision import Grade

COLOR = {
    Grade.BLUE: ("蓝色督办", "2F5597"),
    Grade.YELLOW: ("黄色督办", "BF8F00"),
    Grade.RED: ("红色督办", "C00000"),
}
MEANING = {
    Grade.BLUE: "临近报送截止时间，请抓紧办理。",
    Grade.YELLOW: "已超过报送截止时间，请尽快补报。",
    Grade.RED: "逾期未报，且已告知主管单位，请立即办理。",
}
ITEM_HEAD = ("序号", "附件", "材料名称", "报送截止时间", "状态", "逾期")
ITEM_WIDTHS = (1.3, 1.6, 4.4, 5.2, 1.9, 1.4)
SIDE, REST, BAND = 2.6, 13.2, 4.0  # cm: the heading of a line, the line; the band of the colour
SENT_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class OwedLine:
    """One thing the unit owes."""

    label: str
    title: str
    due: str
    state: str
    days_late: int


@dataclass(frozen=True, kw_only=True)
class SupervisionOrder:
    """Everything an order says."""

    grade: Grade
    number: str  # empty on a draft
    unit: str
    superior: str
    campaign: str
    owed: tuple[OwedLine, ...]
    sent: tuple[str, ...]  # what was sent when, a line each
    demanded: str
    contact: str
    issuer: str
    as_of: str
    date: str


def write_order(order: SupervisionOrder) -> bytes:
    """Return an order as a Word file of one A4 page, or a few where much is owed."""
    document = a4_page(top=2.0)
    word, fill = COLOR[order.grade]
    if not order.number:
        header_line(document, "草稿 · 未经批准，不得外发")
    headline(document, "督 办 单", 24, color=RGBColor.from_string(fill)).paragraph_format.space_after = Pt(4)
    _under_title(document, word, order.number or "编号：批准后编列", fill)
    _sheet(document, order)
    _signature(document, order)
    return as_bytes(document)


def _under_title(document: DocumentType, word: str, number: str, fill: str) -> None:
    """Print the colour as a band at the left, the number at the right."""
    table = document.add_table(rows=1, cols=2)
    set_widths(table, (BAND, SIDE + REST - BAND))
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    left, right = table.rows[0].cells
    shade(left, fill)
    white = RGBColor(0xFF, 0xFF, 0xFF)
    write_cell(left, word, 13, face=HEADING, bold=True, aligned=WD_ALIGN_PARAGRAPH.CENTER, color=white)
    write_cell(right, number, 13, aligned=WD_ALIGN_PARAGRAPH.RIGHT)
    _gap(document)


def _sheet(document: DocumentType, order: SupervisionOrder) -> None:
    head = _lined(document)
    _line(head, "督办单位", order.unit + (f"\n（主管单位：{order.superior}）" if order.superior else ""))
    _line(head, "督办事项", f"{order.campaign}\n截至{order.as_of}，贵单位下列材料尚未报送。{MEANING[order.grade]}")
    _gap(document)
    lines = [ITEM_HEAD, *(_owed(n, owed) for n, owed in enumerate(order.owed, start=1))]
    add_table(document, lines, ITEM_WIDTHS, size=10.5, left=frozenset({2, 3}))
    _gap(document)
    foot = _lined(document)
    sent = "\n".join(_shown(order.sent))
    _line(foot, "此前告知", sent or "此前没有发出过邮件，请以电话联系情况为准。", size=10.5)
    _line(foot, "办理要求", f"请于{order.demanded}将上列材料报送办公室，并由负责同志过问。"
          "确有困难的，请在此之前说明原因和预计报送时间。", mark=order.demanded)  # fmt: skip
    _line(foot, "联系方式", order.contact)
    _line(foot, "签收", "签收人：　　　　　　　　　　签收时间：　　　　年　　月　　日")


def _lined(document: DocumentType) -> Table:
    """Add an empty table of headings and lines."""
    table: Table = document.add_table(rows=0, cols=2)
    table.style, table.alignment = "Table Grid", WD_TABLE_ALIGNMENT.CENTER
    set_widths(table, (SIDE, REST))
    return table


def _gap(document: DocumentType) -> None:
    paragraph = document.add_paragraph()
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(0)
    paragraph.paragraph_format.line_spacing = Pt(6)


def _owed(number: int, owed: OwedLine) -> tuple[str, ...]:
    late = f"{owed.days_late}天" if owed.days_late else "—"
    return (str(number), owed.label or "—", owed.title, owed.due, owed.state, late)


def _shown(sent: tuple[str, ...]) -> tuple[str, ...]:
    """Return the last lines, and how many came before them."""
    if len(sent) <= SENT_SHOWN:
        return sent
    return (f"（更早的{len(sent) - SENT_SHOWN}次略）", *sent[-SENT_SHOWN:])


def _line(table: Table, heading: str, text: str, *, mark: str = "", size: float = 12) -> None:
    """Add a line: its heading, and the text, in which ``mark`` stands out."""
    row: _Row = table.add_row()  # type: ignore[no-untyped-call]
    unbroken(row._tr)  # noqa: SLF001
    side, rest = row.cells
    side.width, rest.width = Cm(SIDE), Cm(REST)
    side.vertical_alignment = rest.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
    write_cell(side, heading, 12, face=HEADING, aligned=WD_ALIGN_PARAGRAPH.CENTER)
    before, found, after = text.partition(mark) if mark else (text, "", "")
    write_cell(rest, before, size)
    for part, face in ((found, HEADING), (after, "仿宋")):
        if part:
            set_font(rest.paragraphs[-1].add_run(part), face, size)


def _signature(document: DocumentType, order: SupervisionOrder) -> None:
    for line in (f"{order.issuer}（盖章）", order.date):
        paragraph = prose(document, line, 14, indent=False)
        paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        paragraph.paragraph_format.right_indent = Cm(1.2)
        paragraph.paragraph_format.space_before = Pt(8 if line != order.date else 2)
        paragraph.paragraph_format.keep_with_next = line != order.date
    note = "本单一式两份，办公室和督办单位各存一份。单位报送后自动办结。"
    prose(document, note, 10.5, face=NOTE, indent=False)
