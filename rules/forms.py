"""What a form is: columns, rows, constraints and cross-checks, as data.

Names of types and constraints are those of Frictionless Table Schema (https://specs.frictionlessdata.io/table-schema/).
The values here are read straight from ``campaigns/*/forms/*.yaml``; an unknown key there is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made_of
from enum import StrEnum

# Read by the loader (pydantic): a key that no field bears is a fault, not a silent nothing.
STRICT = {"extra": "forbid"}
HEAD_ROW = 5  # where the column titles stand in our template: below title, campaign, unit and notes
SHEET_TITLE = 31  # characters that a sheet's name may have


class FieldType(StrEnum):
    """Type of an entry cell."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"


class Severity(StrEnum):
    """How grave a finding is, in the words staff use."""

    MUST = "must"  # 强制: has to be corrected, the submission is returned
    QUERY = "query"  # 核实: explain or correct; the value is kept out of the totals until then
    INFO = "info"  # 提示: for information; nothing to do


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Limits of an entry cell; absent ones do not limit."""

    __pydantic_config__ = STRICT

    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    minLength: int | None = None  # noqa: N815  Frictionless' spelling
    maxLength: int | None = None  # noqa: N815  Frictionless' spelling
    pattern: str | None = None
    enum: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. A label column is printed and locked; an entry column is filled in by the unit."""

    __pydantic_config__ = STRICT

    key: str
    title: str
    type: FieldType = FieldType.STRING
    label: bool = False
    constraints: Constraints = made_of(default_factory=Constraints)
    width: int = 14  # of the sheet's column, in characters
    note: str = ""  # shown in the template as the cell's prompt


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Departure of one fixed row from its entry column (the text row in a table of numbers)."""

    __pydantic_config__ = STRICT

    type: FieldType | None = None
    constraints: Constraints | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fixed row: its printed labels by column key, and where its entry cells differ from the column."""

    __pydantic_config__ = STRICT

    key: str
    labels: Mapping[str, str]
    entries: Mapping[str, Entry] = made_of(default_factory=dict)
    unit: str = ""  # of measure, for totals and messages: 场次, 人次, 条


@dataclass(frozen=True, kw_only=True)
class FreeRows:
    """A table whose rows the unit writes: how many at least and at most."""

    __pydantic_config__ = STRICT

    at_least: int = 1
    at_most: int = 60


@dataclass(frozen=True, kw_only=True)
class Check:
    """A cross-check: an expression (:mod:`rules.expressions`) that holds in a form filled in rightly.

    In a form of fixed rows its names are row keys and ``column`` says which of their numbers is meant; in one of free
    rows they are column keys, and every row is checked. ``message`` says what is wrong where no sentence of ours fits.
    """

    __pydantic_config__ = STRICT

    expr: str
    column: str = ""
    severity: Severity = Severity.QUERY
    message: str = ""


class Action(StrEnum):
    """What an accepted form does besides being counted."""

    CONTACTS = "contacts"  # who is named in it becomes the unit's first contact


@dataclass(frozen=True, kw_only=True)
class ActsAs:
    """What an accepted form does: which of its ``rows`` name a contact of which role, and in which ``columns``."""

    __pydantic_config__ = STRICT

    kind: Action
    rows: Mapping[str, str]  # key of a fixed row → role: liaison, duty, responsible
    columns: Mapping[str, str]  # name, address, phone → key of a column


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form: either fixed ``rows`` or ``free`` rows, never both."""

    __pydantic_config__ = STRICT

    key: str
    title: str
    version: int
    columns: tuple[Column, ...]
    rows: tuple[Row, ...] = ()
    free: FreeRows | None = None
    checks: tuple[Check, ...] = ()
    acts_as: ActsAs | None = None
    notes: tuple[str, ...] = ()  # printed under the title of the template
    older_template: Severity = Severity.INFO  # what it means that a unit filled in an older version of the form

    @property
    def sheet_title(self) -> str:
        """The name of the template's sheet."""
        return self.title[:SHEET_TITLE]

    @property
    def label_columns(self) -> tuple[Column, ...]:
        """The printed columns."""
        return tuple(c for c in self.columns if c.label)

    @property
    def entry_columns(self) -> tuple[Column, ...]:
        """The columns that the unit fills in."""
        return tuple(c for c in self.columns if not c.label)

    def row_name(self, row: Row) -> str:
        """Return the row as a person would call it: its labels in order, numbering and unit of measure left out."""
        labels = (row.labels[c.key] for c in self.label_columns if c.key in row.labels and c.key != "no")
        return " ".join(label for label in labels if label and label != row.unit)


def entry_at(form: Form, row_key: str, column: Column) -> Entry | None:
    """Return where a fixed row departs from its column, if it does."""
    row = next((r for r in form.rows if r.key == row_key), None)
    return row.entries.get(column.key) if row is not None else None


def type_at(form: Form, row_key: str, column: Column) -> FieldType:
    """Return the type that holds in an entry cell."""
    entry = entry_at(form, row_key, column)
    return entry.type if entry is not None and entry.type is not None else column.type


def constraints_at(form: Form, row_key: str, column: Column) -> Constraints:
    """Return the limits that hold in an entry cell."""
    entry = entry_at(form, row_key, column)
    return entry.constraints if entry is not None and entry.constraints is not None else column.constraints


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What was read in one cell: where, and the raw value (str, int, float, bool, date, datetime or None)."""

    sheet: str
    ref: str  # "E7"
    value: object
    formula: str = ""  # behind the value; a formula that was never calculated has no value


@dataclass(frozen=True, kw_only=True)
class ReadRow:
    """One row as read; ``key`` is the fixed row's key, or the 1-based ordinal of a free row as text."""

    key: str
    cells: Mapping[str, Cell]  # by column key, entry columns only for fixed rows, all columns for free rows


@dataclass(frozen=True, kw_only=True)
class Table:
    """A form as read from a workbook (or a web page): the rows found and the columns that were not."""

    form_key: str
    sheet: str
    rows: tuple[ReadRow, ...]
    missing_columns: tuple[str, ...] = ()  # keys of entry columns that the sheet lacks
    missing_rows: tuple[str, ...] = ()  # keys of fixed rows that the sheet lacks


class FindingCode(StrEnum):
    """What can be wrong with a table. The sentences stand in templates/findings.yaml, one for each code."""

    EMPTY_FORM = "empty_form"
    MISSING_COLUMN = "missing_column"
    MISSING_ROW = "missing_row"
    OLD_TEMPLATE = "old_template"
    OTHER_YEAR = "other_year"
    SECOND_SHEET = "second_sheet"
    SECOND_FORM = "second_form"  # on record only: each form of a workbook is recorded now
    EXTRA_ROW = "extra_row"
    EXTRA_COLUMN = "extra_column"
    HEADING_MOVED = "heading_moved"
    SHEET_RENAMED = "sheet_renamed"
    REQUIRED = "required"
    BLANK_NUMBER = "blank_number"
    MOSTLY_BLANK = "mostly_blank"
    NOT_A_NUMBER = "not_a_number"
    APPROXIMATE = "approximate"
    EMPTY_LIKE = "empty_like"
    UNCLEAR = "unclear"
    DATE_FOR_NUMBER = "date_for_number"
    NORMALISED = "normalised"
    NOT_WHOLE = "not_whole"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    PATTERN = "pattern"
    NOT_IN_LIST = "not_in_list"
    NOT_A_DATE = "not_a_date"
    TOO_FEW_ROWS = "too_few_rows"
    TOO_MANY_ROWS = "too_many_rows"
    FORMULA_WITHOUT_VALUE = "formula_without_value"
    OUTSIDE_LINK = "outside_link"
    AT_MOST = "at_most"
    TOGETHER = "together"
    CROSS = "cross"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault or query. ``params`` fill the sentence of its code (``expected``, ``proposed``, ``other`` …)."""

    severity: Severity
    code: FindingCode
    sheet: str = ""
    cell: str = ""
    row: str = ""  # keys, where the finding is about one cell
    column: str = ""
    field: str = ""  # what a person calls the place: “启动仪式 组织收看或举办（场次）”
    read: str = ""  # what stood there, shortened
    params: Mapping[str, str] = made_of(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A value taken from a submission, with the cell it stands in. Exactly one of number and text is set."""

    row: str
    column: str
    number: int | float | None = None
    text: str | None = None
    sheet: str
    cell: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The outcome of checking a table."""

    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...]

    @property
    def must_correct(self) -> bool:
        """Whether any finding sends the submission back."""
        return any(f.severity is Severity.MUST for f in self.findings)

    @property
    def queried(self) -> bool:
        """Whether anything waits to be explained or corrected."""
        return any(f.severity is Severity.QUERY for f in self.findings)
