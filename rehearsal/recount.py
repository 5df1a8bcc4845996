"""A recount from the files that units sent, by nothing of the office's code: openpyxl and addition."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import openpyxl

from rehearsal.clerk import Manner
from rehearsal.world import SentFile

Line = tuple[str, str]  # activity, what is counted


def recount(sent: Iterable[SentFile], title: str) -> dict[Line, int]:
    """Return the sums of a statistics form over the last right version of each unit."""
    last = {file.code: file for file in sent if file.title == title and file.manner is Manner.RIGHT}
    sums: dict[Line, int] = defaultdict(int)
    for file in last.values():
        for line, value in read_lines(file.path, "数量", sheet=0).items():
            sums[line] += value
    return dict(sums)


def read_lines(path: Path, column: str, *, sheet: int | str) -> dict[Line, int]:
    """Return the whole numbers of a column by (活动项目, 统计内容)."""
    book = openpyxl.load_workbook(path, data_only=True, read_only=True)  # its 数据来源 is long; one sheet is wanted
    rows = (book[sheet] if isinstance(sheet, str) else book.worksheets[sheet]).iter_rows(values_only=True)
    found: dict[Line, int] = {}
    at: dict[str, int] = {}
    for row in rows:
        if not at:
            titles = {str(value): index for index, value in enumerate(row) if value is not None}
            at = titles if "统计内容" in titles else {}
            continue
        value = row[at[column]]
        if isinstance(value, int | float):
            found[str(row[at["活动项目"]]), str(row[at["统计内容"]])] = int(value)
    book.close()
    return found
