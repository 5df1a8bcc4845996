"""The corpus: workbooks as they come in, each with what is to be found in it.

``found`` lists findings as “severity code cell”; ``problem`` is the key of the sentence with which a file is refused
(``office.wording``), and excludes ``found``.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.corpus import make
from tests.corpus.make import calculated, pasted, put, right, spoiled
from tests.documents import attacks


@dataclass(frozen=True)
class Case:
    """One file: what it is, how it is made, the name it comes under, and what is to be found."""

    name: str
    make: Callable[[], bytes]
    found: tuple[str, ...] = ()
    problem: str = ""
    file_name: str = "填报.xlsx"


def number(shown: object, *found: str, cell: str = "E6") -> Case:
    """Return the case of one number in an otherwise right 附件4."""
    return Case(f"{cell} is {shown!r}", lambda: spoiled("annex4", put(**{cell: shown})), found)


def changed(name: str, key: str, *changes: make.Change, found: tuple[str, ...] = ()) -> Case:
    """Return the case of a form filled in rightly, then changed."""
    return Case(name, lambda: spoiled(key, *changes), found)


def refused(name: str, content: Callable[[], bytes], problem: str, file_name: str = "填报.xlsx") -> Case:
    """Return the case of a file that cannot be recorded."""
    return Case(name, content, problem=problem, file_name=file_name)


MOVED, RENAMED = "info heading_moved ", "info sheet_renamed "

NUMBERS = (
    number("12" ),
    number("12场", "info normalised E6"),
    number("１２", "info normalised E6"),
    number("1,234", "info normalised E6"),
    number("1，234", "info normalised E6"),
    number("1142.7万", "info normalised E7", cell="E7"),
    number("三百", "info normalised E6"),
    number("一百二", "info normalised E6"),
    number("叁拾", "info normalised E6"),
    number("3万1千", "info normalised E7", cell="E7"),
    number("共12场", "info normalised E6"),
    number("0场", "info normalised E6", "query together E7"),
    number("1.5亿", "must too_large E7", cell="E7"),
    number(10**9, "must too_large E7", cell="E7"),
    number("5000余份", "query approximate E7", cell="E7"),
    number("1000多册", "query approximate E7", cell="E7"),
    number("近万份", "query approximate E7", cell="E7"),
    number("约50人", "query approximate E7", cell="E7"),
    number("3万1千余份", "query approximate E7", cell="E7"),
    number("300+", "query approximate E7", cell="E7"),
    number("3万5", "query unclear E7", cell="E7"),
    number("无", "query empty_like E6"),
    number("/", "query empty_like E6"),
    number("——", "query empty_like E6"),
    number("待定", "query empty_like E6"),
    number(None, "query blank_number E6"),
    number("  ", "query blank_number E6"),
    number("若干", "must not_a_number E6"),
    number("几十", "must not_a_number E6"),
    number("12 15", "must not_a_number E6"),
    number("12场300人", "must not_a_number E6"),
    number("6月16日", "must not_a_number E6"),
    number(make.DAY, "must date_for_number E6"),
    number(date(2020, 6, 12), "must date_for_number E6"),
    number(-1, "must too_small E6"),
    number(1.5, "must not_whole E6"),
    number(bool(1), "must not_a_number E6"),
    number("#REF!", "must not_a_number E6"),
    number("=E7*2", "must formula_without_value E6"),
    number(0, "query together E7"),
)  # fmt: skip

FORMULAS = (
    Case("a formula with its result", lambda: calculated("E7", "10+20", "30")),
    Case("a formula that was never calculated", lambda: calculated("E7", "10+20", None),
         ("must formula_without_value E7",)),
    Case("a formula over another workbook", lambda: calculated("E7", "[1]Sheet1!$A$1", "30"),
         ("query outside_link E7",)),
    Case("a formula with an error", lambda: spoiled("annex4", put(E7="#DIV/0!")), ("must not_a_number E7",)),
)  # fmt: skip

STATISTICS = (
    Case("附件4 filled in rightly", lambda: right("annex4")),
    changed("more mended than found", "annex4", put(E26=3, E27=5), found=("query at_most E27",)),
    changed("rows above the heading", "annex4", make.rows_above(2), found=(MOVED,)),
    changed("title lines taken out", "annex4", make.without_rows(1, 3), found=(MOVED,)),
    changed("a renamed sheet", "annex4", make.renamed("Sheet1"), found=(RENAMED,)),
    changed("an inserted 编号 column", "annex4", make.column_before(1, "编号"), found=("info extra_column A5",)),
    changed("an inserted 序号 column", "annex4", make.column_before(3, "序号")),
    changed("the 序号 column taken out", "annex4", make.without_column(1)),
    changed("the 备注 column taken out", "annex4", make.without_column(6), found=("must missing_column ",)),
    changed("数量 and 备注 swapped", "annex4", make.swapped(5, 6)),
    changed("rows upside down", "annex4", make.upside_down),
    changed("items merged", "annex4", make.merged_items),
    changed("items written once", "annex4", make.items_only_once),
    changed("labels with spaces", "annex4", make.spaced_labels),
    changed("numbers as text", "annex4", make.numbers_as_text),
    changed("hidden and filtered rows", "annex4", make.hidden_rows),
    changed("a row taken out", "annex4", make.without_rows(8, 1), found=("must missing_row ",)),
    changed("a row of their own", "annex4", make.row_below(11, "其他", "消防演练", "场次", 3),
            found=("query extra_row E59",)),
    changed("a row without a name", "annex4", make.row_below(None, None, None, None, 3),
            found=("query extra_row E59",)),
    changed("a row with nothing to count", "annex4", make.row_below(None, None, None, None, "/", "以上属实")),
    changed("a 小计 row", "annex4", make.row_below(None, "启动仪式", "小计", None, 9999)),
    changed("a 合计 row in the number", "annex4", make.row_below("合计", None, None, None, 9999)),
    changed("a 合计 row", "annex4", make.row_below(None, "合计", None, None, 9999)),
    changed("a line for the signature", "annex4", make.row_below("填表人：王某", None, "联系电话：022-00000001")),
    changed("the flagship left out", "annex4", put(E58=None), found=("must required E58",)),
    changed("a flagship in too many words", "annex4", put(E58="好" * 501), found=("must too_long E58",)),
    changed("most numbers left out", "annex4", make.emptied(10, 57),
            found=("must mostly_blank ", *(f"query blank_number E{n}" for n in range(10, 58)))),
    Case("nothing filled in", lambda: make.blank("annex4"), ("must empty_form ",)),
    Case("a wrong size", lambda: make.wrong_dimensions(right("annex4"))),
    Case("pasted into a workbook of their own", lambda: pasted("annex4"), (MOVED, RENAMED)),
    Case("an older template", lambda: make.marked(right("annex4"), version="0"), ("info old_template ",)),
    Case("a filled copy behind", lambda: make.with_sheets(right("annex4"), ("副本", right("annex4"))),
         ("query second_sheet ",)),
    Case("an empty form before the filled one",
         lambda: make.with_sheets(right("annex4"), ("空表", make.blank("annex4")), first=True)),
    Case("the filled form behind the empty one",
         lambda: make.with_sheets(make.blank("annex4"), ("Sheet2", right("annex4"))), (RENAMED,)),
    Case("last year's paper", lambda: right("annex4", title="2019年“安全生产月”活动"), ("must other_year A2",)),
    Case("last year's table pasted", lambda: pasted("annex4", top="2019年6月活动进展情况统计表"),
         (MOVED, RENAMED, "must other_year A1")),
    Case("this year and last year named", lambda: pasted("annex4", top="2020年（2019年同期见备注）"), (MOVED, RENAMED)),
)  # fmt: skip

ACTIVITIES = (
    Case("附件2 filled in rightly", lambda: right("annex2")),
    changed("sixty activities", "annex2", make.many_activities(60)),
    changed("sixty-one activities", "annex2", make.many_activities(61), found=("must too_many_rows ",)),
    changed("about so many people is text there", "annex2", put(F6="约300人", C6="6月上旬")),
    changed("a day as a date", "annex2", put(C6=make.DAY)),
    changed("no person", "annex2", put(H6=None), found=("must required H6",)),
    changed("neither yes nor no", "annex2", put(J6="可能"), found=("must not_in_list J6",)),
    changed("a name without end", "annex2", put(B6="长" * 201), found=("must too_long B6",)),
    changed("a 合计 row of activities", "annex2", make.row_at(15, "合计", None, None, None, None, "约800人")),
    changed("one person for two activities, merged", "annex2", make.many_activities(2), make.merged("H6:H7")),
    changed("rows left out between", "annex2", make.many_activities(2),
            make.row_at(12, 3, "演练", "6月", None, None, None, None, "王主任")),
    changed("only numbered", "annex2", make.many_activities(2), make.row_at(8, 3), make.row_at(9, 4)),
    Case("an empty plan", lambda: make.blank("annex2"), ("must empty_form ",)),
)  # fmt: skip

PEOPLE = (
    Case("附件3 filled in rightly", lambda: right("annex3")),
    changed("telephones as numbers", "annex3", put(E6=2200000001, F6=13800000000.0)),
    changed("no address of the liaison", "annex3", put(H7=None), found=("must required H7",)),
    changed("no address of the responsible", "annex3", put(H6=None)),
    changed("an address without @", "annex3", put(H7="clerk.unit.example"), found=("must pattern H7",)),
    changed("a mobile that is none", "annex3", put(F7="见通讯录"), found=("must pattern F7",)),
    changed("no liaison at all", "annex3", make.without_rows(7, 1), found=("must missing_row ",)),
    changed("two liaisons", "annex3",
            make.row_below("联络员", None, "李四", None, None, "13900000000", None, "b@unit.example"),
            found=("query extra_row C8",)),
)  # fmt: skip


def together(annex4: bytes, annex2: bytes, annex3: bytes) -> bytes:
    """Return the three forms as sheets of one file, as clerks collect them."""
    return make.with_sheets(annex4, ("附件2", annex2), ("附件3", annex3))


SEVERAL = (
    Case("three forms in one file", lambda: together(right("annex4"), right("annex2"), right("annex3")),
         ("progress", "plan: info sheet_renamed ", "liaison: info sheet_renamed ")),
    Case("a good sheet and a faulty one",
         lambda: make.with_sheets(right("annex4"), ("附件2", spoiled("annex2", put(H6=None)))),
         ("progress", "plan: info sheet_renamed ", "plan: must required H6")),
    Case("a sheet with a query and a good one",
         lambda: make.with_sheets(spoiled("annex4", put(E7="约300人")), ("附件3", right("annex3"))),
         ("progress: query approximate E7", "liaison: info sheet_renamed ")),
    Case("one filled and two empty", lambda: together(right("annex4"), make.blank("annex2"), make.blank("annex3"))),
    Case("the filled one behind two empty", lambda: together(make.blank("annex4"), make.blank("annex2"),
         right("annex3")), (RENAMED,)),
    Case("none of three filled in",
         lambda: together(make.blank("annex4"), make.blank("annex2"), make.blank("annex3")), ("must empty_form ",)),
    Case("three forms, one of them twice",
         lambda: make.with_sheets(right("annex4"), ("附件2", right("annex2")), ("副本", right("annex4"))),
         ("progress: query second_sheet ", "plan: info sheet_renamed ")),
    Case("another form beside last year's",
         lambda: make.with_sheets(right("annex4", title="2019年“安全生产月”活动"), ("附件2", right("annex2"))),
         ("progress: must other_year A2", "plan: info sheet_renamed ")),
)  # fmt: skip

REFUSED = (
    refused("three forms, another unit's", lambda: make.with_sheets(
        right("annex4", token=make.ANOTHERS), ("附件2", right("annex2"))), "another_unit"),
    refused("another unit's file", lambda: right("annex4", token=make.ANOTHERS), "another_unit"),
    refused("another unit's name, pasted", lambda: pasted("annex4", top="填报单位：天津港保税区安委会"),
            "another_unit"),
    refused("another campaign's file", lambda: right("annex4", campaign="fire-month-2020"), "another_campaign"),
    refused("no form of ours", lambda: make.spoiled("annex4", make.without_rows(1, 60)), "no_form"),
    refused("macros", lambda: attacks.with_named({"xl/vbaProject.bin": b"x"}), "macros", "填报.xlsm"),
    refused("a password", lambda: attacks.old_office("EncryptedPackage"), "encrypted"),
    refused("an old .xls", lambda: attacks.old_office("Workbook"), "xls", "填报.xls"),
    refused("an .et", lambda: attacks.old_office("Workbook"), "xls", "填报.et"),
    refused("a .wps", lambda: attacks.old_office("WordDocument"), "doc", "填报.wps"),
    refused("an .xlsb", lambda: attacks.packed(("xl/workbook.bin", b"x")), "xlsb", "填报.xlsb"),
    refused("an .ods", lambda: attacks.packed(("META-INF/manifest.xml", b"x")), "odf", "填报.ods"),
    refused("a web page called .xls", lambda: b"<html><table><tr><td>1</td></tr></table></html>", "html", "填报.xls"),
    refused("a table as text", lambda: "项目,数量\n启动仪式,3".encode("gbk"), "text", "填报.csv"),
    refused("a drawing", lambda: b"<svg onload='alert(1)'/>", "svg", "填报.svg"),
    refused("no bytes at all", lambda: b"", "empty"),
    refused("half a file", lambda: right("annex4")[:3000], "kind"),
    refused("a bomb", attacks.bomb, "bomb"),
    refused("billion laughs", lambda: attacks.with_parts(sheet=attacks.laughs()), "unsafe"),
    refused("a file of ours asked for", lambda: attacks.with_parts(sheet=attacks.outside_entity()), "unsafe"),
    refused("a broken sheet", lambda: attacks.with_parts(sheet=b"<worksheet><sheetData><row"), "unreadable"),
    refused("a .rar", lambda: b"Rar!\x1a\x07\x00", "rar", "填报.rar"),
    refused("a photograph of the table", lambda: b"\xff\xd8\xff\xe0", "picture_of_form", "活动进展情况统计表.jpg"),
    refused("a scan of the table", lambda: b"%PDF-1.4", "picture_of_form", "附件4活动进展情况统计表（盖章）.pdf"),
)  # fmt: skip

CASES = (*NUMBERS, *FORMULAS, *STATISTICS, *ACTIVITIES, *PEOPLE, *SEVERAL, *REFUSED)

if __name__ == "__main__":
    make.write_all(Path(sys.argv[1]), {case.name: case.make() for case in CASES})
