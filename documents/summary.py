"""The one-page summary (.docx) that the office sends upward."""

from docx.document import Document as DocumentType

from documents.official import a4_page, add_table, as_bytes, closing_lines, headline, prose
from documents.values import Summary
from rules.rates import Totals

NAMES_SHOWN = 8
HEAD = ("类别", "应报", "已报", "按时", "迟报", "退回待补正", "未报", "报送率", "及时率")
WIDTHS = (2.6, 1.5, 1.5, 1.5, 1.5, 2.2, 1.5, 1.75, 1.75)


def write_summary(summary: Summary) -> bytes:
    """Return the summary: what was due, the rates, who is missing."""
    document = a4_page()
    kind = "报送情况总结" if summary.final else "报送情况阶段小结"
    headline(document, f"{summary.title}{kind}", 18)
    prose(document, _opening(summary))
    _table(document, summary)
    prose(document, _missing(summary))
    closing_lines(document, (summary.issuer, summary.date))
    return as_bytes(document)


def _opening(summary: Summary) -> str:
    t = summary.totals
    text = (
        f"本次活动（{summary.period}）共有{summary.units}家单位承担报送任务，应报{t.owed}项。截至{summary.as_of}，"
        f"已报{t.reported}项，报送率{rate_text(t.report_rate)}；按时{t.on_time}项，及时率{rate_text(t.on_time_rate)}"
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
    lines = [HEAD, *(counts_line(name, t) for name, t in (*summary.categories, ("合计", summary.totals)))]
    add_table(document, lines, WIDTHS, bold=frozenset({0, len(lines) - 1}))


def counts_line(name: str, t: Totals) -> tuple[str, ...]:
    """Return a line of counts and both rates."""
    counts = (t.owed, t.reported, t.on_time, t.late, t.returned, t.missing)
    return (name, *map(str, counts), rate_text(t.report_rate), rate_text(t.on_time_rate))


def rate_text(rate: float | None) -> str:
    """Return a rate as it is printed: 96.5%; a dash where nothing is owed."""
    return "—" if rate is None else f"{rate * 100:.1f}%"
