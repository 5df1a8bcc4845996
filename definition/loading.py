"""Load a campaign folder: everything read, everything checked, every fault at once."""

import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from definition.calendars import OWN_DAYS, load_calendar
from definition.checks import check_campaign_values, check_units
from definition.faults import Fault, FaultyCampaign, Gravity
from definition.form_faults import form_faults
from definition.models import Attachment, CalendarDays, Campaign
from definition.roster import Unit, read_roster
from definition.yaml_source import Source, pydantic_faults, read_yaml
from rules.forms import Form

FORM = TypeAdapter(Form)


@dataclass(frozen=True, kw_only=True)
class LoadedCampaign:
    """A campaign that may run: its definition, its units, and warnings to heed."""

    campaign: Campaign
    units: tuple[Unit, ...]
    warnings: tuple[Fault, ...]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every fault of a campaign folder, errors first; ``loaded`` if there is no error."""

    faults: tuple[Fault, ...]
    loaded: LoadedCampaign | None

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The faults that stop the campaign."""
        return tuple(f for f in self.faults if f.gravity is Gravity.ERROR)


def load_campaign(folder: Path, *, calendars: Path, notices: Path) -> LoadedCampaign:
    """Load a campaign folder.

    Raises:
        FaultyCampaign: with every error found.

    """
    report = check_campaign(folder, calendars=calendars, notices=notices)
    if report.loaded is None:
        raise FaultyCampaign(report.errors)
    return report.loaded


def check_campaign(folder: Path, *, calendars: Path, notices: Path) -> Report:
    """Read and check a campaign folder; ``notices`` is the folder of mail templates."""
    faults: list[Fault] = []
    campaign, source = _read_campaign(folder, faults)
    if campaign is None or source is None:
        return Report(faults=tuple(faults), loaded=None)
    if folder.resolve().parent == calendars.resolve().parent:  # among the campaigns, where it is found by its name
        faults.extend(_another_name(folder.resolve().name, campaign, source))
    units = _read_units(folder, campaign, faults)
    forms = _read_forms(folder, campaign, source, faults)
    attachments = _read_attachments(folder, campaign, source, faults)
    days = _read_calendar(calendars, folder, campaign, source, faults)
    whole = campaign.model_copy(update={"forms": forms, "attachments": attachments, "calendar_days": days})
    faults.extend(check_campaign_values(whole, source, notices))
    faults.sort(key=lambda f: f.gravity is not Gravity.ERROR)
    if any(f.gravity is Gravity.ERROR for f in faults):
        return Report(faults=tuple(faults), loaded=None)
    loaded = LoadedCampaign(campaign=whole, units=units, warnings=tuple(faults), folder=folder)
    return Report(faults=tuple(faults), loaded=loaded)


def _read_campaign(folder: Path, faults: list[Fault]) -> tuple[Campaign | None, Source | None]:
    try:
        source = read_yaml(folder / "campaign.yaml", "campaign.yaml")
    except FaultyCampaign as error:
        faults.extend(error.faults)
        return None, None
    try:
        value: Any = source.value if isinstance(source.value, dict) else {}
        for reserved in ("forms", "calendar_days"):
            if reserved in value:
                problem, remedy = f"unknown key {reserved!r}", "remove it; it is filled in when the campaign is loaded"
                faults.append(Fault(file=source.name, line=source.line(reserved), problem=problem, remedy=remedy))
        return Campaign.model_validate(value), source
    except ValidationError as error:
        faults.extend(pydantic_faults(source, error.errors()))
        return None, source


def _another_name(name: str, campaign: Campaign, source: Source) -> Iterator[Fault]:
    """Yield a fault where key and folder differ: a copy of a folder would act on the campaign it was copied from."""
    if campaign.key != name:
        problem = f"the key is {campaign.key!r}, and the folder is called {name!r}"
        remedy = "call both the same: commands find the folder by it, and the ledger the campaign"
        yield Fault(file=source.name, line=source.line("key"), problem=problem, remedy=remedy)


def _read_units(folder: Path, campaign: Campaign, faults: list[Fault]) -> tuple[Unit, ...]:
    try:
        units, found = read_roster(folder / campaign.roster, campaign.roster)
    except FaultyCampaign as error:
        faults.extend(error.faults)
        return ()
    faults.extend(found)
    faults.extend(check_units(campaign, units, campaign.roster))
    return units


def _read_forms(folder: Path, campaign: Campaign, source: Source, faults: list[Fault]) -> dict[str, Form]:
    forms: dict[str, Form] = {}
    for number, deliverable in enumerate(campaign.deliverables):
        if deliverable.form is None or deliverable.form in forms:
            continue
        if not (folder / deliverable.form).is_file():
            line = source.line("deliverables", number, "form")
            problem = f"{deliverable.key}: form {deliverable.form} is not there"
            faults.append(Fault(file=source.name, line=line, problem=problem, remedy="add it or mend the path"))
            continue
        try:
            form_source = read_yaml(folder / deliverable.form, deliverable.form)
            form = FORM.validate_python(form_source.value)
        except FaultyCampaign as error:
            faults.extend(error.faults)
        except ValidationError as error:
            faults.extend(pydantic_faults(form_source, error.errors()))
        else:
            faults.extend(form_faults(form, form_source))
            forms[deliverable.form] = form
    return forms


def _read_attachments(folder: Path, campaign: Campaign, source: Source, faults: list[Fault]) -> tuple[Attachment, ...]:
    found = []
    for number, attachment in enumerate(campaign.attachments):
        path = folder / attachment.file
        if not path.is_file():
            line = source.line("attachments", number)
            problem = f"attachment {attachment.file} is not there"
            faults.append(Fault(file=source.name, line=line, problem=problem, remedy="add it or mend the path"))
            continue
        details = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "file_name": path.name,
            "media_type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        found.append(attachment.model_copy(update=details))
    return tuple(found)


def _read_calendar(
    calendars: Path, folder: Path, campaign: Campaign, source: Source, faults: list[Fault]
) -> CalendarDays:
    if not (calendars / campaign.calendar).is_dir():
        known = "、".join(sorted(p.name for p in calendars.iterdir() if p.is_dir())) if calendars.is_dir() else ""
        line = source.line("calendar")
        problem = f"unknown calendar {campaign.calendar!r}"
        remedy = f"use one of {known}" if known else f"copy the shipped campaigns/calendar to {calendars}"
        faults.append(Fault(file=source.name, line=line, problem=problem, remedy=remedy))
        return CalendarDays()
    years = range(campaign.issued_on.year, campaign.closes_on.year + 1)
    days, found = load_calendar(calendars, campaign.calendar, years, own=folder / OWN_DAYS)
    faults.extend(found)
    return days
