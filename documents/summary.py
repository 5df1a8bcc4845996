"""The one-page summary (.docx) that the office sends upward."""

import io

from docx import Document
from docx.document import Document as DocumentType
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml.ns import qn
from docx.shared import Cm, Pt
from docx.text.run import Run

from documents.values import Summary
from rules.rates import Totals

BODY, HEADLINE = "仿宋", "方正小标宋简体"
NAMES_SHOWN = 8
HEAD = ("类别", "应报", "已报", "按时", "迟报", "退回待补正", "未报", "报送率", "及时率")


def write_summary(summary: Summary) -> bytes:
    """Return the summary: what was due, the rates, who is missing."""
    document = Document()
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.top_margin = section.bottom_margin = Cm(2.2)
    section.left_margin = section.right_margin = Cm(2.6)
    kind = "报送情况总结" if summary.final else "报送情况阶段小结"
    title = document.add_paragraph()
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _font(title.add_run(f"{summary.title}{kind}"), HEADLINE, 18, bold=True)
    _paragraph(document, _opening(summary))
    _table(document, summary)
    _paragraph(document, _missing(summary))
    for line in (summary.issuer, summary.date):
        closing = document.add_paragraph()
        closing.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        _font(closing.add_run(line), BODY, 12)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _opening(summary: Summary) -> str:
    t = summary.totals
    text = (
        f"本次活动（{summary.period}）共有{summary.units}家单位承担报送任务，应报{t.owed}项。截至{summary.as_of}，"
        f"已报{t.reported}项，报送率{_rate(t.report_rate)}；按时{t.on_time}项，及时率{_rate(t.on_time_rate)}"
        f"（两项均以应报{t.owed}项为分母）；迟报{t.late}项，退回待补正{t.returned}项，未报{t.missing}项。"
    )
    extra = f"另有待核实{t.queried}项，相关数字暂未计入汇总。" if t.queried else ""
    voluntary = f"各单位另随时报送特色做法和影像资料{summary.voluntary}件。" if summary.voluntary else ""
    return text + extra + voluntary


def _missing(summary: Summary) -> str:
    if not summary.missing:
        return "各单位均已完成报送。"
    parts = []
    for deliverable, units in summary.missing:
        names = "、".join(units[:NAMES_SHOWN]) + (f"等{len(units)}家" if len(units) > NAMES_SHOWN else "")
        parts.append(f"《{deliverable}》未报的有{names}")
    return "；".join(parts) + "。"


def _table(document: DocumentType, summary: Summary) -> None:
    lines = [*summary.categories, ("合计", summary.totals)]
    table = document.add_table(rows=1 + len(lines), cols=len(HEAD))
    table.style = "Table Grid"
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    for number, values in enumerate([HEAD, *(_line(name, t) for name, t in lines)]):
        for cell, value in zip(table.rows[number].cells, values, strict=True):
            paragraph = cell.paragraphs[0]
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
            _font(paragraph.add_run(value), BODY, 9, bold=number in (0, len(lines)))


def _line(name: str, t: Totals) -> tuple[str, ...]:
    counts = (t.owed, t.reported, t.on_time, t.late, t.returned, t.missing)
    return (name, *map(str, counts), _rate(t.report_rate), _rate(t.on_time_rate))


def _rate(rate: float | None) -> str:
    return "—" if rate is None else f"{rate * 100:.1f}%"


def _paragraph(document: DocumentType, text: str) -> None:
    paragraph = document.add_paragraph()
    paragraph.paragraph_format.first_line_indent = Pt(24)
    paragraph.paragraph_format.line_spacing = 1.3
    paragraph.paragraph_format.space_before = Pt(4)
    paragraph.paragraph_format.space_after = Pt(4)
    _font(paragraph.add_run(text), BODY, 12)


def _font(run: Run, name: str, size: float, *, bold: bool = False) -> None:
    """Set a font for Chinese too: Word keeps the East Asian face apart."""
    run.font.name, run.font.size, run.font.bold = name, Pt(size), bold
    fonts = run._element.get_or_add_rPr().get_or_add_rFonts()  # noqa: SLF001  python-docx has no other way
    fonts.set(qn("w:eastAsia"), name)
