"""Reading a workbook that a unit filled in: which form it is, and what stands in each cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from documents.opening import UnreadableWorkbook
from documents.recognition import find_forms, origin_of, table_of
from documents.sandbox import SANDBOX, Sandbox
from documents.sheets import Book
from rules.forms import Form, Table
from rules.origin import Origin

__all__ = ["UnreadableWorkbook", "WorkbookRead", "read_book", "read_workbook"]


@dataclass(frozen=True, kw_only=True)
class WorkbookRead:
    """What was recognised. ``form``, ``table`` and ``origin`` are None if no form was; ``reason`` says why."""

    form: Form | None = None
    table: Table | None = None
    origin: Origin | None = None
    campaign: str | None = None
    version: int | None = None
    token: str | None = None
    reason: str = ""


def read_workbook(data: bytes, forms: Sequence[Form], *, sandbox: Sandbox = SANDBOX) -> WorkbookRead:
    """Read a workbook against the forms of a campaign. Moved rows, inserted columns, renamed sheets are fine.

    It is opened in a process of its own; what is found there is judged here.

    Raises:
        UnreadableWorkbook: it cannot be opened, or takes more memory or time than a form may.

    """
    return read_book(sandbox.open_workbook(data), forms)


def read_book(book: Book, forms: Sequence[Form]) -> WorkbookRead:
    """Recognise the form in a workbook that is open."""
    version = book.marks.get("version", "")
    read = WorkbookRead(
        campaign=book.marks.get("campaign"),
        token=book.marks.get("token"),
        version=int(version) if version.isdecimal() and len(version) < len("10000") else None,
        reason="no sheet bears the column titles of a form of this campaign",
    )
    ranked = find_forms(book, forms)
    if not ranked:
        return read
    table, extra_rows = table_of(ranked[0])
    return WorkbookRead(
        form=ranked[0].form,
        table=table,
        origin=origin_of(book, ranked, extra_rows),
        campaign=read.campaign,
        version=read.version,
        token=read.token,
    )
