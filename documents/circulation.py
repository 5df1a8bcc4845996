"""A circulation (通报, .docx): how all units reported what has fallen due, by category and by rank."""

from dataclasses import dataclass

from docx.document import Document as DocumentType
from docx.enum.text import WD_BREAK
from docx.shared import Pt

from documents.official import (
    HEADING,
    NOTE,
    a4_page,
    add_table,
    as_bytes,
    centred,
    closing_lines,
    header_line,
    headline,
    prose,
)
from documents.summary import HEAD, WIDTHS, counts_line
from rules.rates import Totals

SIZE = 14
RANK_HEAD = ("名次", "单位", "类别", "应报", "已报", "按时", "迟报", "退回", "未报", "报送率", "及时率")
RANK_WIDTHS = (1.1, 4.4, 2.0, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.6, 1.6)
NUMERALS = "一二三四五六七八九十"
NAMED_AT_MOST = 40  # units that are named for having been in time; who was not is named however many


@dataclass(frozen=True, kw_only=True)
class RankLine:
    """A unit with its rank; no rank where nothing of it had fallen due."""

    rank: int | None
    unit: str
    category: str
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class Named:
    """Units of one category, each with what it is named for."""

    category: str
    units: tuple[tuple[str, tuple[str, ...]], ...]  # unit, titles


@dataclass(frozen=True, kw_only=True)
class Circulation:
    """Everything a circulation says."""

    number: str  # empty on a draft
    campaign: str
    issuer: str
    as_of: str
    date: str
    demanded: str
    contact: str
    categories: tuple[tuple[str, Totals], ...]
    ranking: tuple[RankLine, ...]
    praised: tuple[str, ...]  # units that reported everything in time
    late: tuple[Named, ...]
    returned: tuple[Named, ...]
    missing: tuple[Named, ...]
    nothing: tuple[str, ...]  # units that reported nothing of what had fallen due (零报送)
    nil: tuple[tuple[str, tuple[str, ...]], ...]  # units that stated they had nothing to report (零报告)

    @property
    def totals(self) -> Totals:
        """The totals over all categories."""
        return sum((t for _, t in self.categories), Totals())


def write_circulation(paper: Circulation) -> bytes:
    """Return a circulation as a Word file: the text, and a ranking of all units on pages of its own."""
    document = a4_page(top=2.5)
    if not paper.number:
        header_line(document, "草稿 · 未经批准，不得外发")
    headline(document, f"关于{paper.campaign}", 18).paragraph_format.space_after = Pt(0)
    headline(document, "材料报送情况的通报", 18)
    centred(document, paper.number or "（编号在批准后编列）", NOTE, SIZE)
    prose(document, _addressed(paper), SIZE, indent=False)
    prose(document, f"现将截至{paper.as_of}各单位材料报送情况通报如下。", SIZE)
    for number, (title, paragraphs, tabled) in enumerate(_sections(paper)):
        prose(document, f"{NUMERALS[number]}、{title}", SIZE, face=HEADING).paragraph_format.keep_with_next = True
        for text in paragraphs:
            prose(document, text, SIZE)
        if tabled:
            _by_category(document, paper)
    prose(document, "附件：各单位报送情况排名", SIZE)
    closing_lines(document, (paper.issuer, paper.date), SIZE, indent=0.8)
    _ranking(document, paper)
    return as_bytes(document)


def _addressed(paper: Circulation) -> str:
    names = (c if c.startswith(("各", "有关")) else f"各{c}" for c, _ in paper.categories)
    return "、".join(names) + "："


def _sections(paper: Circulation) -> list[tuple[str, list[str], bool]]:
    """Return the parts that have something to say: title, paragraphs, and whether the table follows."""
    parts = [("总体情况", [_overall(paper)], True)]
    if paper.praised:
        parts.append(("报送及时的单位", [_praised(paper.praised)], False))
    problems = _problems(paper)
    if problems:
        parts.append(("存在的问题", problems, False))
    if paper.nil:
        parts.append(("零报告情况", [f"下列单位按要求作了零报告，计为已报：{_units(paper.nil)}。"], False))
    parts.append(("有关要求", _demands(paper), False))
    return parts


def _praised(units: tuple[str, ...]) -> str:
    if len(units) > NAMED_AT_MOST:
        return f"{len(units)}家单位到期材料全部按时报送，并列第1名，予以肯定，名单见附件。"
    who = f"{'、'.join(units)}等{len(units)}家单位" if len(units) > 1 else units[0]
    return f"{who}到期材料全部按时报送，予以肯定。"


def _overall(paper: Circulation) -> str:
    t = paper.totals
    if not t.owed:
        return "目前尚无到期应报的材料。"
    units = sum(line.totals.owed > 0 for line in paper.ranking)
    outside = f"免报和到期前退出活动的{t.outside}项不计在内；" if t.outside else ""
    corrected = f"（其中{t.corrected_late}项首次按时报送、退回后补正）" if t.corrected_late else ""
    queried = f"已报材料中有{t.queried}项数据尚待核实。" if t.queried else ""
    return (
        f"已到报送期限的材料共{t.owed}项，涉及{units}家单位。已报{t.reported}项，"
        f"报送率{_of(t.reported, t.owed)}；按时报送{t.on_time}项{corrected}，及时率{_of(t.on_time, t.owed)}；"
        f"迟报{t.late}项，退回尚未补正{t.returned}项，未报{t.missing}项。"
        f"报送率和及时率均以到期应报{t.owed}项为分母，{outside}经同意延期的，按延期后的时间计算。{queried}"
    )


def _of(part: int, whole: int) -> str:
    return f"{part / whole * 100:.1f}%（{part}/{whole}）"


def _problems(paper: Circulation) -> list[str]:
    told = [
        ("未报", "下列单位有材料逾期未报", paper.missing),
        ("退回未补正", "下列单位报送的材料不合要求，退回后至今没有补正", paper.returned),
        ("迟报", "下列单位虽已报送，但超过了规定时间", paper.late),
    ]
    texts = [f"{opening}：{_groups(named)}。" for _, opening, named in told if named]
    if paper.nothing:
        count = f"等{len(paper.nothing)}家单位" if len(paper.nothing) > 1 else ""
        texts.insert(0, f"零报送的单位：{'、'.join(paper.nothing)}{count}到期材料一项也没有报送。")
    return [f"（{NUMERALS[n]}）{text}" for n, text in enumerate(texts)]


def _groups(named: tuple[Named, ...]) -> str:
    return "；".join(f"{group.category}{len(group.units)}家，为{_units(group.units)}" for group in named)


def _units(units: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return "、".join(f"{unit}（{'、'.join(titles)}）" for unit, titles in units)


def _demands(paper: Circulation) -> list[str]:
    t = paper.totals
    asked = []
    if t.missing or t.returned:
        asked.append(
            f"未报和退回未补正的单位，请于{paper.demanded}报送到位；确有特殊情况的，在此之前向办公室说明原因和预计报送时间。"
        )
        asked.append("各主管单位请对照名单，督促所属和归口联系的单位按时完成。")
    asked.append(f"后续材料请各单位按规定时间报送。{paper.contact}")
    return asked


def _by_category(document: DocumentType, paper: Circulation) -> None:
    lines = [HEAD, *(counts_line(name, t) for name, t in (*paper.categories, ("合计", paper.totals)))]
    add_table(document, lines, WIDTHS, size=10, bold=frozenset({0, len(lines) - 1}))


def _ranking(document: DocumentType, paper: Circulation) -> None:
    document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    prose(document, "附件", SIZE, face=HEADING, indent=False)
    centred(document, "各单位报送情况排名", HEADING, 16)
    lines = [
        RANK_HEAD,
        *(
            ("—" if line.rank is None else str(line.rank), line.unit, *counts_line(line.category, line.totals))
            for line in paper.ranking
        ),
    ]
    add_table(document, lines, RANK_WIDTHS, size=9, left=frozenset({1}))
    note = "按报送率、及时率由高到低排列，均相同的名次并列；只计截至通报时已到期限的材料。"
    prose(document, note, 10.5, face=NOTE, indent=False)
