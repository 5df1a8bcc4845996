"""What a unit's clerk does with a form: fill it in, rightly or not."""

import io
import random
from dataclasses import dataclass
from enum import StrEnum

import openpyxl
from docx import Document
from openpyxl.worksheet.worksheet import Worksheet

ACTIVITIES = ("安全知识讲座", "隐患排查行动", "应急演练", "主题宣讲", "线上答题", "企业座谈")
SURNAMES = "赵钱孙李周吴郑王"


class Manner(StrEnum):
    """How a form is filled in."""

    RIGHT = "right"
    WRONG = "wrong"  # text where a number belongs, more hazards mended than found
    EMPTY = "empty"
    ABOUT = "about"  # 约300


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Where the entry cells of a form stand: heading row and columns by title."""

    sheet: Worksheet
    head: int
    columns: dict[str, int]


def fill_form(content: bytes, rng: random.Random, manner: Manner, *, mailbox: str = "") -> bytes:
    """Return the workbook as the clerk hands it in. The clerk knows the sheet by what is printed on it.

    ``mailbox`` is the one that people of the unit read, where they are to be named.
    """
    book = openpyxl.load_workbook(io.BytesIO(content))
    table = _find(book.worksheets[0])
    if manner is not Manner.EMPTY:
        _fill(table, rng, mailbox)
        if manner is Manner.WRONG:
            _spoil(table)
        elif manner is Manner.ABOUT:
            _about(table)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _find(sheet: Worksheet) -> _Table:
    for number, row in enumerate(sheet.iter_rows(min_row=1, max_row=10, values_only=True), start=1):
        titles = {str(value): index for index, value in enumerate(row, start=1) if value is not None}
        if len(titles) > 3:  # noqa: PLR2004  a heading has more columns than a title line
            return _Table(sheet=sheet, head=number, columns=titles)
    raise ValueError("the form has no heading")


def _fill(table: _Table, rng: random.Random, mailbox: str) -> None:
    if "数量" in table.columns:
        _fill_numbers(table, rng)
    elif "活动名称" in table.columns:
        _fill_activities(table, rng)
    elif "姓名" in table.columns:
        _fill_people(table, rng, mailbox)
    else:
        _fill_whatever(table, rng)


def _fill_numbers(table: _Table, rng: random.Random) -> None:
    """Fill the statistics: sessions and people go together, no more is mended than was found."""
    quantity, unit, content = table.columns["数量"], table.columns["单位"], table.columns["统计内容"]
    found = rng.randint(3, 60)
    for row in range(table.head + 1, table.sheet.max_row + 1):
        what = str(table.sheet.cell(row=row, column=content).value or "")
        measure = str(table.sheet.cell(row=row, column=unit).value or "")
        value: object = rng.randint(1, 12) if measure in ("场次", "篇", "个") else rng.randint(20, 900)
        if measure == "文字":
            value = rng.choice(ACTIVITIES)
        elif what == "发现隐患":
            value = found
        elif what == "完成整改":
            value = found - rng.randint(0, 3)
        if what:
            table.sheet.cell(row=row, column=quantity).value = value  # type: ignore[assignment]


def _fill_activities(table: _Table, rng: random.Random) -> None:
    for number in range(1, rng.randint(2, 5)):
        values = {
            "序号": number,
            "活动名称": rng.choice(ACTIVITIES),
            "活动时间": rng.choice(("6月上旬", "6月16日", "6月1日至30日")),
            "活动内容及形式": "线上线下结合",
            "参加人员（预计人数）": f"约{rng.randint(2, 40)}0人",
            "责任人": rng.choice(SURNAMES) + "主任",
            "联系电话": f"022-{rng.randint(10_000_000, 99_999_999)}",
            "是否主打活动": "是" if number == 1 else "否",
        }
        for title, value in values.items():
            table.sheet.cell(row=table.head + number, column=table.columns[title]).value = value  # type: ignore[assignment]


def _fill_people(table: _Table, rng: random.Random, mailbox: str) -> None:
    for row in (table.head + 1, table.head + 2):
        name = rng.choice(SURNAMES) + rng.choice(("伟", "敏", "静", "强"))
        values = {
            "姓名": name,
            "职务": rng.choice(("科长", "主任", "科员")),
            "手机": f"0{rng.randint(1_000_000_000, 9_999_999_999)}",
            "电子邮箱": f"clerk{rng.randint(1, 9999)}@unit.example",
        }
        if mailbox:
            values["电子邮箱"] = mailbox
        for title, value in values.items():
            table.sheet.cell(row=row, column=table.columns[title]).value = value


def _fill_whatever(table: _Table, rng: random.Random) -> None:
    """Fill a form never seen before: a number into every unlocked cell, or one row of a free table."""
    for row in table.sheet.iter_rows(min_row=table.head + 1):
        for cell in row:
            if not cell.protection.locked:
                cell.value = rng.randint(1, 20)


def _spoil(table: _Table) -> None:
    """Spoil a filled form as people do."""
    first = table.head + 1
    if "数量" in table.columns:
        table.sheet.cell(row=first, column=table.columns["数量"]).value = "若干"
        table.sheet.cell(row=first + 1, column=table.columns["数量"]).value = None
    elif "责任人" in table.columns:
        table.sheet.cell(row=first, column=table.columns["责任人"]).value = None
        table.sheet.cell(row=first, column=table.columns["是否主打活动"]).value = "可能"
    elif "手机" in table.columns:
        table.sheet.cell(row=first, column=table.columns["手机"]).value = "见通讯录"


def _about(table: _Table) -> None:
    if "数量" in table.columns:
        table.sheet.cell(row=table.head + 2, column=table.columns["数量"]).value = "约300人"
        table.sheet.cell(row=table.head + 1, column=table.columns["数量"]).value = "12场"


def write_document(title: str, unit: str) -> bytes:
    """Return a short report (.docx)."""
    document = Document()
    document.add_heading(f"{unit}{title}", level=1)
    for text in ("一、组织领导。", "二、主要做法。", "三、取得成效。", "四、下一步打算。"):
        document.add_paragraph(text)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def another_workbook() -> bytes:
    """Return a workbook that is none of the forms: what is attached when one is in a hurry."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["部门", "设备", "数量", "经手人"])
    sheet.append(["办公室", "打印机", 3, "张"])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()
