"""A form on the unit's page: what is typed, kept as a draft, checked as a workbook, and handed in as one.

A form filled on the page is written into the unit's own empty workbook and read back, so that a page and a mail are
judged by the same rules, and every figure leads to a file, a sheet and a cell.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from documents.filling import NUMBERING, Entries, fill_form
from documents.reading import UnreadableWorkbook, read_workbook
from documents.sniff import FileKind
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.submissions import keepable
from ledger.tables import CampaignRow, DraftRow, FileRow, ObligationRow, PartyRow, SubmissionRow
from mail.tokens import sign
from office.answers import finding_lines
from office.enclosures import empty_form
from office.letters import FindingLine
from office.premises import Premises
from office.rulebook import Rulebook, rulebook_of
from office.unit_own import NotYoursError, deliverable_key, own_obligation
from rules.form_checks import check
from rules.forms import Checked, Column, FieldType, Finding, Form, Severity, Table, constraints_at, entry_at, type_at

LONGEST_TEXT = 4000  # as the ledger keeps a figure
FEWEST_ROWS = 3  # of free rows, offered on an empty page
LONG = 200  # characters; a text that may be longer is given room
Typed = Mapping[str, str]  # text as typed, by "row.column"


@dataclass(frozen=True, kw_only=True)
class FieldView:
    """One field of the page, with what was typed and what is wrong with it."""

    name: str
    label: str
    value: str
    kind: str  # number, date, choice, long, text
    choices: tuple[str, ...] = ()
    required: bool = False
    hint: str = ""
    findings: tuple[FindingLine, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RowView:
    """A row of the form: what a person calls it, and its fields."""

    key: str
    name: str
    unit: str
    fields: tuple[FieldView, ...]


@dataclass(frozen=True, kw_only=True)
class GroupView:
    """Rows that stand together under one heading."""

    heading: str
    rows: tuple[RowView, ...]


@dataclass(frozen=True, kw_only=True)
class ListedFinding:
    """A finding in the list above a form, and the field it leads to, if it is about one."""

    severity: str
    line: FindingLine
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class FormView:
    """A form as a page shows it."""

    title: str
    notes: tuple[str, ...]
    groups: tuple[GroupView, ...]
    free: bool
    compact: bool  # one or two fields a row
    may_add: bool
    listed: tuple[ListedFinding, ...] = ()  # all that was found, the gravest first: as many as are counted
    must: int = 0
    queries: int = 0
    checked: bool = False
    source: str = ""  # draft, version, or nothing: where the text comes from


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A form of a unit, opened: the obligation, its form, and the rulebook."""

    obligation: ObligationRow
    party: PartyRow
    book: Rulebook
    form: Form
    deliverable: str
    digest: str  # of the campaign's definition


def open_form(session: Session, party: PartyRow, obligation_id: int) -> Opened:
    """Return the form of a unit's obligation.

    Raises:
        NotYoursError: the unit has no such obligation, or no form belongs to it.

    """
    obligation = own_obligation(session, party, obligation_id)
    row = session.get_one(CampaignRow, party.campaign_id)
    book = rulebook_of(row)
    key = deliverable_key(session, obligation)
    form = book.campaign.form_of(book.campaign.deliverable(key))
    if form is None:
        raise NotYoursError
    return Opened(obligation=obligation, party=party, book=book, form=form, deliverable=key, digest=row.digest)


def empty_workbook(premises: Premises, opened: Opened) -> bytes:
    """Return the unit's empty form, its name and token filled in."""
    token = sign("p", opened.party.id, premises.secret)
    return empty_form(opened.digest, opened.deliverable, opened.book).fill(unit_name=opened.party.name, token=token)


def typed_in(form: Form, given: Mapping[str, str]) -> dict[str, str]:
    """Return what was typed into a form's own fields, from whatever a page sent; free rows are closed up."""
    columns = [c.key for c in form.entry_columns if form.rows or c.key != NUMBERING]
    if form.rows:
        return {
            name: _kept(given[name]) for row in form.rows for key in columns if (name := f"{row.key}.{key}") in given
        }
    most = form.free.at_most if form.free else 0
    numbers = sorted({int(row) for name in given if (row := name.rpartition(".")[0]).isdigit() and len(row) <= 4})  # noqa: PLR2004
    rows = [{key: _kept(given.get(f"{number}.{key}", "")) for key in columns} for number in numbers]
    written_rows = [row for row in rows if any(text.strip() for text in row.values())][: most + 1]
    return {f"{n}.{key}": text for n, row in enumerate(written_rows, start=1) for key, text in row.items()}


def _kept(text: str) -> str:
    return keepable(text).replace("\r\n", "\n")[:LONGEST_TEXT]


def entries_of(typed: Typed) -> dict[str, dict[str, str]]:
    """Return what was typed by row and column."""
    entries: dict[str, dict[str, str]] = {}
    for name, text in typed.items():
        row, _, column = name.rpartition(".")
        entries.setdefault(row, {})[column] = text
    return entries


def workbook_of(premises: Premises, opened: Opened, typed: Typed) -> bytes:
    """Return what was typed as the unit's workbook."""
    entries: Entries = entries_of(typed)
    return fill_form(empty_workbook(premises, opened), opened.form, entries)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A form as it was typed: the workbook it becomes, and what is found in it."""

    content: bytes
    checked: Checked


def fill_and_check(premises: Premises, opened: Opened, typed: Typed) -> Filled:
    """Make a workbook of what was typed, and check it as it would be handed in."""
    content = workbook_of(premises, opened, typed)
    read = read_workbook(content, [opened.form])
    table = read.table or Table(form_key=opened.form.key, sheet=opened.form.title, rows=())
    return Filled(content=content, checked=check(opened.form, table))


def draft_of(session: Session, obligation_id: int) -> DraftRow | None:
    """Return the draft of an obligation."""
    return session.scalar(select(DraftRow).where(DraftRow.obligation_id == obligation_id))


def save_draft(session: Session, act: Act, opened: Opened, typed: Typed) -> None:
    """Keep what was typed, in the place of what was kept before."""
    row = draft_of(session, opened.obligation.id)
    if row is None:
        session.add(DraftRow(obligation_id=opened.obligation.id, entries=dict(typed), **written(act)))
    elif row.entries == typed:
        return
    else:
        row.entries, row.as_of, row.recorded_at = dict(typed), act.as_of, act.wall
    session.flush()
    sha256 = hashlib.sha256(json.dumps(dict(typed), ensure_ascii=False, sort_keys=True).encode()).hexdigest()
    detail = {"obligation": opened.obligation.id, "entries_sha256": sha256}
    audit.append(session, act, "draft.saved", detail, campaign_id=opened.party.campaign_id, party_id=opened.party.id)


def drop_draft(session: Session, obligation_id: int) -> None:
    """Forget a draft that was handed in; its text stands in the workbook kept."""
    row = draft_of(session, obligation_id)
    if row is not None:
        session.delete(row)


def typed_before(session: Session, premises: Premises, opened: Opened) -> tuple[dict[str, str], str]:
    """Return what a page begins with, and where it comes from: the draft, else the last version handed in."""
    draft = draft_of(session, opened.obligation.id)
    if draft is not None:
        return {str(name): str(text) for name, text in draft.entries.items()}, "draft"
    query = (
        select(FileRow.sha256)
        .join(SubmissionRow, SubmissionRow.id == FileRow.submission_id)
        .where(SubmissionRow.obligation_id == opened.obligation.id, FileRow.kind == FileKind.XLSX)
        .order_by(SubmissionRow.version.desc())
        .limit(1)
    )
    sha256 = session.scalar(query)
    if sha256 is None:
        return {}, ""
    try:
        read = read_workbook(premises.files.get(sha256), [opened.form])
    except (UnreadableWorkbook, FileNotFoundError):
        return {}, ""
    rows = read.table.rows if read.table else ()
    found = {f"{row.key}.{key}": _as_typed(cell.value) for row in rows for key, cell in row.cells.items()}
    return typed_in(opened.form, found), "version"


def _as_typed(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()[:10]
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def view_form(
    premises: Premises, opened: Opened, typed: Typed, checked: Checked | None, *, more: int = 0, source: str = ""
) -> FormView:
    """Return a form as the page shows it, with findings beside the fields if it was checked."""
    form = opened.form
    found = checked.findings if checked is not None else ()
    at: dict[str, list[Finding]] = {}
    for finding in found:
        at.setdefault(f"{finding.row}.{finding.column}", []).append(finding)
    shown = _Shown(premises=premises, form=form, typed=typed, at=at)
    groups = shown.fixed() if form.rows else (shown.free(more),)
    named = {field.name for group in groups for row in group.rows for field in row.fields}
    return FormView(
        title=form.title,
        notes=form.notes,
        groups=groups,
        free=not form.rows,
        compact=len(form.entry_columns) <= 2,  # noqa: PLR2004  number and remark side by side
        may_add=form.free is not None and len(groups[0].rows) < form.free.at_most,
        listed=_listed(premises, found, named),
        must=sum(f.severity == "must" for f in found),
        queries=sum(f.severity == "query" for f in found),
        checked=checked is not None,
        source=source,
    )


def _listed(premises: Premises, found: Sequence[Finding], fields: Collection[str]) -> tuple[ListedFinding, ...]:
    ordered = sorted(found, key=lambda f: list(Severity).index(f.severity))
    lines = finding_lines(premises.finding_texts, ordered, typed=True)
    return tuple(
        ListedFinding(severity=f.severity, line=line, name=name if (name := f"{f.row}.{f.column}") in fields else "")
        for f, line in zip(ordered, lines, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A form on its way to the page."""

    premises: Premises
    form: Form
    typed: Typed
    at: Mapping[str, list[Finding]]

    def fixed(self) -> tuple[GroupView, ...]:
        """Return the fixed rows; where rows have several labels, those that share the first stand together."""
        labels = [c.key for c in self.form.label_columns if c.key != NUMBERING]
        heading = labels[0] if len(labels) > 1 else ""
        groups: list[GroupView] = []
        for row in self.form.rows:
            head = row.labels.get(heading, "")
            rest = [row.labels.get(key, "") for key in labels if key != heading]
            name = " ".join(text for text in rest if text and text != row.unit)
            view = self._row(row.key, name or self.form.row_name(row), row.unit)
            if groups and groups[-1].heading == head:
                groups[-1] = GroupView(heading=head, rows=(*groups[-1].rows, view))
            else:
                groups.append(GroupView(heading=head, rows=(view,)))
        return tuple(groups)

    def free(self, more: int) -> GroupView:
        """Return the rows that were written, and some empty ones."""
        most = self.form.free.at_most if self.form.free else 0
        rows = {int(name.rpartition(".")[0]) for name in self.typed}
        count = max(min(max(max(rows, default=0) + more, FEWEST_ROWS), most), max(rows, default=0))
        return GroupView(heading="", rows=tuple(self._row(str(n), f"第{n}行", "") for n in range(1, count + 1)))

    def _row(self, key: str, name: str, unit: str) -> RowView:
        columns = [c for c in self.form.entry_columns if self.form.rows or c.key != NUMBERING]
        return RowView(key=key, name=name, unit=unit, fields=tuple(self._field(key, column) for column in columns))

    def _field(self, row: str, column: Column) -> FieldView:
        name = f"{row}.{column.key}"
        limits, entry = constraints_at(self.form, row, column), entry_at(self.form, row, column)
        return FieldView(
            name=name,
            label=column.title,
            value=self.typed.get(name, ""),
            kind=_kind(type_at(self.form, row, column), limits.maxLength, choices=bool(limits.enum)),
            choices=limits.enum,
            required=limits.required,
            hint=(entry.note if entry is not None else "") or column.note,
            findings=finding_lines(self.premises.finding_texts, self.at.get(name, ()), typed=True),
        )


def _kind(type_: FieldType, longest: int | None, *, choices: bool) -> str:
    if choices:
        return "choice"
    if type_ in (FieldType.INTEGER, FieldType.NUMBER):
        return "number"
    if type_ is FieldType.DATE:
        return "date"
    return "long" if longest is not None and longest > LONG else "text"
