"""The roster: units with category, superior and contacts, from .csv (UTF-8 or GBK) or .xlsx."""

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import openpyxl

from definition.faults import Fault, FaultyCampaign, Gravity
from rules.addresses import ADDRESS

OFFICE = "OFFICE"


class ContactRole(StrEnum):
    """Roles in the order in which a notice tries them."""

    LIAISON = "liaison"
    DUTY = "duty"
    RESPONSIBLE = "responsible"


@dataclass(frozen=True, kw_only=True)
class RosterContact:
    """A contact of a unit; the address may be empty or bad, which is a warning and a work list, not a stop."""

    role: ContactRole
    name: str
    address: str
    phone: str


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit of the roster, with the line it stands on."""

    code: str
    name: str
    category: str
    superior: str
    contacts: tuple[RosterContact, ...] = ()
    industry: str = ""  # the code of the department of its trade
    line: int = 0


COLUMNS = {
    "code": ("code", "单位代码", "代码", "编号"),
    "name": ("name", "单位名称", "单位", "名称"),
    "category": ("category", "类别", "单位类别"),
    "superior": ("superior", "主管单位", "主管单位代码", "上级单位"),
}
INDUSTRY = ("industry", "行业主管部门", "行业主管部门代码")
CONTACT_WORDS = {ContactRole.LIAISON: "联络员", ContactRole.DUTY: "值班", ContactRole.RESPONSIBLE: "负责人"}
CONTACT_FIELDS = {"name": ("姓名", ""), "email": ("邮箱", "电子邮箱"), "phone": ("电话", "手机")}


def read_roster(path: Path, name: str) -> tuple[tuple[Unit, ...], list[Fault]]:
    """Return the units and the faults of single lines.

    Raises:
        FaultyCampaign: the file is missing, cannot be read, or lacks a column.

    """
    rows = list(_rows(path, name))
    header = {_key(title): title for title in rows[0][1]} if rows else {}
    absent = [key for key in COLUMNS if key not in header]
    if absent:
        titles = "、".join(f"{key} ({COLUMNS[key][1]})" for key in absent)
        problem = f"column {titles} is missing" if rows else "has no rows"
        raise FaultyCampaign([Fault(file=name, line=1, problem=problem, remedy="name the columns in the first row")])
    units: list[Unit] = []
    faults: list[Fault] = []
    for line, row in rows:
        values = {_key(title): " ".join((value or "").split()) for title, value in row.items() if title}
        unit = _unit(values, line)
        faults.extend(_line_faults(unit, name))
        if unit.code:
            units.append(unit)
    return tuple(units), faults


def _key(title: str) -> str:
    """Return the canonical name of a column: code, name, …, liaison_email."""
    bare = title.strip().lower()
    for key, titles in COLUMNS.items():
        if bare in titles:
            return key
    if bare in INDUSTRY:
        return "industry"
    for role, word in CONTACT_WORDS.items():
        for part, words in CONTACT_FIELDS.items():
            if bare == f"{role}_{part}" or bare in (f"{word}{w}" for w in words):
                return f"{role}_{part}"
    return bare


def _unit(values: Mapping[str, str], line: int) -> Unit:
    contacts = tuple(
        RosterContact(
            role=role,
            name=values.get(f"{role}_name", ""),
            address=values.get(f"{role}_email", "").lower(),
            phone=values.get(f"{role}_phone", ""),
        )
        for role in ContactRole
        if values.get(f"{role}_email") or values.get(f"{role}_phone")
    )
    return Unit(
        code=values["code"],
        name=values["name"],
        category=values["category"],
        superior=values["superior"],
        contacts=contacts,
        industry=values.get("industry", ""),
        line=line,
    )


def _line_faults(unit: Unit, file: str) -> Iterator[Fault]:
    def warn(problem: str, remedy: str) -> Fault:
        return Fault(file=file, line=unit.line, problem=problem, remedy=remedy, gravity=Gravity.WARNING)

    if not unit.code or not unit.name:
        yield Fault(file=file, line=unit.line, problem="a unit without code or name", remedy="fill in both")
    for contact in unit.contacts:
        if contact.address and not ADDRESS.fullmatch(contact.address):
            yield warn(
                f"{unit.code} {unit.name}: {contact.role} address {contact.address!r} is no e-mail address",
                "mend it; mails to it cannot leave",
            )
    if not any(ADDRESS.fullmatch(c.address) for c in unit.contacts):
        yield warn(f"{unit.code} {unit.name} has no working address", "add one, or be ready to telephone")


def _rows(path: Path, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines below the header with their numbers, empty ones left out."""
    if not path.is_file():
        raise FaultyCampaign([Fault(file=name, line=None, problem="is not there", remedy="put the roster in place")])
    numbered = _xlsx(path, name) if path.suffix.lower() == ".xlsx" else _csv(path, name)
    header: list[str] | None = None
    for line, cells in numbered:
        if not any(c.strip() for c in cells):
            continue
        if header is None:
            header = cells
        else:
            yield line, dict(zip(header, [*cells, *[""] * len(header)], strict=False))


def _csv(path: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    raw = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise FaultyCampaign(
            [Fault(file=name, line=None, problem="is neither UTF-8 nor GBK", remedy="save it as UTF-8 CSV")]
        )
    reader = csv.reader(io.StringIO(text, newline=""))
    for cells in reader:
        yield reader.line_num, cells


def _xlsx(path: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        problem = f"cannot be opened as a workbook ({error})"
        raise FaultyCampaign([Fault(file=name, line=None, problem=problem, remedy="save it anew as .xlsx")]) from error
    try:
        for line, row in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
            yield line, ["" if value is None else str(value) for value in row]
    finally:
        book.close()
