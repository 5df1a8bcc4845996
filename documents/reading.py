"""Reading a workbook that a unit filled in: which forms it holds, and what stands in each cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from documents.opening import UnreadableWorkbook
from documents.recognition import Found, find_forms, origin_of, table_of
from documents.sandbox import SANDBOX, Sandbox
from documents.sheets import Book
from rules.forms import Form, Table
from rules.origin import Origin

__all__ = ["SheetRead", "UnreadableWorkbook", "WorkbookRead", "read_book", "read_workbook"]


@dataclass(frozen=True, kw_only=True)
class SheetRead:
    """A form that was recognised in a sheet, and what stands in it and around it."""

    form: Form
    table: Table
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class WorkbookRead:
    """What was recognised: the sheets, one of each form. Without any, ``reason`` says why."""

    sheets: tuple[SheetRead, ...] = ()
    campaign: str | None = None
    version: int | None = None
    token: str | None = None
    reason: str = ""

    @property
    def form(self) -> Form | None:
        """The form that fits best."""
        return self.sheets[0].form if self.sheets else None

    @property
    def table(self) -> Table | None:
        """What stands in its cells."""
        return self.sheets[0].table if self.sheets else None

    @property
    def origin(self) -> Origin | None:
        """What stands around it."""
        return self.sheets[0].origin if self.sheets else None


def read_workbook(data: bytes, forms: Sequence[Form], *, sandbox: Sandbox = SANDBOX) -> WorkbookRead:
    """Read a workbook against the forms of a campaign. Moved rows, inserted columns, renamed sheets are fine.

    It is opened in a process of its own; what is found there is judged here.

    Raises:
        UnreadableWorkbook: it cannot be opened, or takes more memory or time than a form may.

    """
    return read_book(sandbox.open_workbook(data), forms)


def read_book(book: Book, forms: Sequence[Form]) -> WorkbookRead:
    """Recognise the forms in a workbook that is open."""
    version = book.marks.get("version", "")
    found = tuple(_read_sheet(book, sheets) for sheets in find_forms(book, forms))
    return WorkbookRead(
        sheets=found,
        campaign=book.marks.get("campaign"),
        token=book.marks.get("token"),
        version=int(version) if version.isdecimal() and len(version) < len("10000") else None,
        reason="" if found else "no sheet bears the column titles of a form of this campaign",
    )


def _read_sheet(book: Book, sheets: Sequence[Found]) -> SheetRead:
    table, extra_rows = table_of(sheets[0])
    return SheetRead(form=sheets[0].form, table=table, origin=origin_of(book, sheets, extra_rows))
