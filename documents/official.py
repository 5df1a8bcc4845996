"""What the office's papers in Word share: the A4 page, the faces, paragraphs, tables.

The faces are those of official documents; where a machine lacks one, Word and LibreOffice take the nearest they have.
"""

import io
from collections.abc import Iterable, Sequence
from copy import deepcopy

from docx import Document
from docx.document import Document as DocumentType
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.table import CT_Row
from docx.shared import Cm, Pt, RGBColor
from docx.table import Table, _Cell, _Row
from docx.text.paragraph import Paragraph
from docx.text.run import Run

BODY, HEADLINE, HEADING, NOTE = "仿宋", "方正小标宋简体", "黑体", "楷体"
LATIN = "Times New Roman"  # the face of figures and Latin letters, as official papers have it
SEAL_RED = RGBColor(0xC0, 0x00, 0x00)


def a4_page(*, top: float = 2.2, side: float = 2.6) -> DocumentType:
    """Return an empty document of A4 pages."""
    document = Document()
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.top_margin = section.bottom_margin = Cm(top)
    section.left_margin = section.right_margin = Cm(side)
    return document


def as_bytes(document: DocumentType) -> bytes:
    """Return a document as the bytes of its file."""
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def set_font(run: Run, name: str, size: float, *, bold: bool = False, color: RGBColor | None = None) -> None:
    """Set the face of Chinese text, which Word keeps apart from that of figures and Latin letters."""
    run.font.name, run.font.size, run.font.bold = LATIN, Pt(size), bold
    if color is not None:
        run.font.color.rgb = color
    fonts = run._element.get_or_add_rPr().get_or_add_rFonts()  # noqa: SLF001  python-docx has no other way
    fonts.set(qn("w:eastAsia"), name)


def headline(document: DocumentType, text: str, size: float, *, color: RGBColor | None = None) -> Paragraph:
    """Add the title, centred."""
    return centred(document, text, HEADLINE, size, bold=True, color=color)


def centred(
    document: DocumentType, text: str, face: str, size: float, *, bold: bool = False, color: RGBColor | None = None
) -> Paragraph:
    """Add a centred line."""
    paragraph = document.add_paragraph()
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    set_font(paragraph.add_run(text), face, size, bold=bold, color=color)
    return paragraph


def prose(
    document: DocumentType, text: str, size: float = 12, *, face: str = BODY, indent: bool = True, spacing: float = 1.3
) -> Paragraph:
    """Add a paragraph of text, its first line two characters in."""
    paragraph = document.add_paragraph()
    if indent:
        paragraph.paragraph_format.first_line_indent = Pt(2 * size)
    paragraph.paragraph_format.line_spacing = spacing
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(size / 4)
    set_font(paragraph.add_run(text), face, size)
    return paragraph


def closing_lines(document: DocumentType, lines: Iterable[str], size: float = 12, *, indent: float = 0) -> None:
    """Add who signs and the date, to the right and kept together; ``indent`` (cm) leaves room at the right."""
    for line in lines:
        paragraph = document.add_paragraph()
        paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        paragraph.paragraph_format.right_indent = Cm(indent)
        paragraph.paragraph_format.keep_with_next = True
        set_font(paragraph.add_run(line), BODY, size)


def header_line(document: DocumentType, text: str) -> None:
    """Print a red line at the top of every page."""
    paragraph = document.sections[0].header.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    set_font(paragraph.add_run(text), HEADING, 12, bold=True, color=SEAL_RED)


def add_table(
    document: DocumentType, lines: Sequence[Sequence[str]], widths: Sequence[float], *,
    size: float = 9, left: frozenset[int] = frozenset(), bold: frozenset[int] = frozenset({0}),
) -> Table:  # fmt: skip
    """Add a table with lines around all cells; its first line is repeated on each page.

    ``widths`` in cm; text is centred but in the columns ``left``; the lines ``bold`` stand out. Lines that look alike
    are copies of one: a thousand units made cell by cell take many seconds.
    """
    table: Table = document.add_table(rows=0, cols=len(widths))
    table.style, table.alignment = "Table Grid", WD_TABLE_ALIGNMENT.CENTER
    model: CT_Row | None = None
    for number, values in enumerate(lines):
        plain = number not in bold and not any("\n" in value for value in values)
        if plain and model is not None:
            table._tbl.append(_copy(model, values))  # noqa: SLF001  python-docx has no other way
            continue
        row = _line(table, values, size, bold=number in bold, left=left if number else frozenset())
        unbroken(row, head=number == 0)
        model = row if plain else model
    set_widths(table, widths)
    return table


def _line(table: Table, values: Sequence[str], size: float, *, bold: bool, left: frozenset[int]) -> CT_Row:
    row: _Row = table.add_row()  # type: ignore[no-untyped-call]
    for column, (cell, value) in enumerate(zip(cells_of(table, row._tr), values, strict=True)):  # noqa: SLF001
        aligned = WD_ALIGN_PARAGRAPH.LEFT if column in left else WD_ALIGN_PARAGRAPH.CENTER
        write_cell(cell, value, size, bold=bold, aligned=aligned)
    return row._tr  # noqa: SLF001


def _copy(model: CT_Row, values: Sequence[str]) -> CT_Row:
    """Return a line like another with other text."""
    row = deepcopy(model)
    for cell, value in zip(row.tc_lst, values, strict=True):
        next(cell.iter(qn("w:t"))).text = value
    return row


def set_widths(table: Table, widths: Sequence[float]) -> None:
    """Give a table's columns their widths in cm, in its grid and its cells: programs differ in which they heed."""
    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Cm(width)
    for row in table._tbl.tr_lst:  # noqa: SLF001
        for cell, width in zip(row.tc_lst, widths, strict=True):
            cell.width = Cm(width)


def cells_of(table: Table, row: CT_Row) -> list[_Cell]:
    """Return the cells of a line without merged ones: python-docx asks the whole table for each, which takes long."""
    return [_Cell(cell, table) for cell in row.tc_lst]


def write_cell(
    cell: _Cell, text: str, size: float, *, face: str = BODY, bold: bool = False,
    aligned: WD_ALIGN_PARAGRAPH = WD_ALIGN_PARAGRAPH.LEFT, color: RGBColor | None = None,
) -> None:  # fmt: skip
    """Write into an empty cell, each line a paragraph."""
    for number, line in enumerate(text.split("\n")):
        paragraph = cell.paragraphs[0] if number == 0 else cell.add_paragraph()
        paragraph.alignment = aligned
        paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(size / 6)
        set_font(paragraph.add_run(line), face, size, bold=bold, color=color)


def unbroken(row: CT_Row, *, head: bool = False) -> None:
    """Keep a table's line on one page; a head is repeated on each."""
    properties = row.get_or_add_trPr()
    properties.append(OxmlElement("w:cantSplit"))
    if head:
        properties.append(OxmlElement("w:tblHeader"))


def shade(cell: _Cell, fill: str) -> None:
    """Give a cell a ground colour (RRGGBB)."""
    ground = OxmlElement("w:shd")
    for name, value in (("val", "clear"), ("color", "auto"), ("fill", fill)):
        ground.set(qn(f"w:{name}"), value)
    cell._tc.get_or_add_tcPr().append(ground)  # noqa: SLF001
