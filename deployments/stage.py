"""The stage of a rehearsal: a campaign folder with a chosen roster, the world outside, and the environment for both."""

import csv
import os
import secrets
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from definition.loading import load_campaign
from definition.roster import INDUSTRY, OFFICE, ContactRole, Unit
from office.launching import find_folder
from office.rulebook import Rulebook
from rehearsal.post_office import LOOPBACK
from rehearsal.temperaments import Temperament, deal
from rehearsal.world import World
from settings import HOUSE, settings

JOINS_AFTER_DAYS = 12  # the newcomer of the month; in 2020, 06-08
ENOUGH_FOR_A_NEWCOMER = 10
ENOUGH_FOR_A_LOST_LINE = 10
CALM = (Temperament.PUNCTUAL, Temperament.EARLY)
COLUMNS = ("code", "name", "category", "superior")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A rehearsal set up: where it lies, whom it plays, who joins later, and the world outside."""

    key: str
    out: Path
    seed: int
    units: tuple[Unit, ...]
    newcomer: Unit | None
    book: Rulebook
    world: World


def set_stage(campaign: str, *, units: int | None, seed: int, out: Path) -> Stage:
    """Copy the campaign with the roster of the rehearsal, open the world, and set the environment.

    Raises:
        definition.faults.FaultyCampaign: the campaign has faults.
        FileNotFoundError: there is no such campaign.

    """
    campaigns, templates = settings().campaigns_dir, settings().templates_dir
    source = find_folder(campaigns, campaign)
    loaded = load_campaign(source, calendars=campaigns / "calendar", notices=templates / "email")
    roster = choose_units(loaded.units, units or len(loaded.units))
    newcomer = _newcomer(roster, set(loaded.campaign.departments.values()))
    first = [u for u in roster if u is not newcomer]
    key = loaded.campaign.key
    stage_campaigns = out / "campaigns"
    shutil.copytree(source, stage_campaigns / key)
    shutil.copytree(campaigns / "calendar", stage_campaigns / "calendar")
    _write_roster(stage_campaigns / key / loaded.campaign.roster, first)
    book = Rulebook(loaded.campaign)
    world = World(
        out=out,
        start=book.launch_at - timedelta(hours=1),
        zone=ZoneInfo(loaded.campaign.zone),
        intake=out / "var" / "intake",
        intake_address="muster@office.example",
        seed=seed,
    )
    dealt = deal([u.code for u in roster], seed)
    if newcomer is not None:
        dealt[newcomer.code] = Temperament.PUNCTUAL
    for unit in roster:
        addresses = tuple(c.address for c in unit.contacts if c.address)
        if addresses:
            world.add_unit(unit.code, unit.name, addresses, dealt[unit.code])
    if (lost := _line_lost_to(first, dealt)) is not None:
        world.lose_the_line_to(lost.code)
    world.start()
    os.environ.update(_environment(out, stage_campaigns, world.post_office.port))
    settings.cache_clear()
    return Stage(key=key, out=out, seed=seed, units=tuple(first), newcomer=newcomer, book=book, world=world)


def _environment(out: Path, campaigns: Path, port: int) -> dict[str, str]:
    return {
        "MUSTER_REHEARSAL": "true",
        "MUSTER_VAR_DIR": str(out / "var"),
        "MUSTER_LEDGER_URL": "",
        "MUSTER_CAMPAIGNS_DIR": str(campaigns),
        "MUSTER_TEMPLATES_DIR": str(settings().templates_dir),
        "MUSTER_SIGNING_SECRET": secrets.token_urlsafe(),
        "MUSTER_MAIL_DOMAIN": "office.example",
        "MUSTER_MAIL_BOX": "muster",
        "MUSTER_SMTP_HOST": LOOPBACK,
        "MUSTER_SMTP_PORT": str(port),
        "MUSTER_SMTP_TLS": "none",
        "MUSTER_SMTP_USERNAME": "",
        "MUSTER_INTAKE_MAILDIR": str(out / "var" / "intake"),
        "MUSTER_INTAKE_RECEIVED_BY": "mx.office.example",
    }


def choose_units(units: Sequence[Unit], count: int) -> list[Unit]:
    """Return the first units of a roster, or more of the same kind; whoever is above them and left out is the office."""
    chosen = list(units[:count])
    chosen += [_double(units[number % len(units)], number) for number in range(len(chosen), count)]
    codes = {u.code for u in chosen}
    return [
        replace(
            u,
            superior=u.superior if u.superior in codes else OFFICE,
            industry=u.industry if u.industry in codes or not u.industry else OFFICE,
        )
        for u in chosen
    ]


def _double(unit: Unit, number: int) -> Unit:
    """Return a unit like another, under a code and addresses of its own."""
    code = f"{unit.code}-{number + 1:05d}"
    contacts = tuple(
        replace(c, address=f"{c.role}.{code.lower()}@unit.example") if c.address else c for c in unit.contacts
    )
    return replace(unit, code=code, name=f"{unit.name}（{number + 1}）", contacts=contacts)


def _newcomer(units: Sequence[Unit], departments: Collection[str] = ()) -> Unit | None:
    """Return the unit that joins later: the last one that nobody has as superior or department."""
    superiors = {u.superior for u in units} | {u.industry for u in units} | set(departments)
    free = [u for u in units if u.code not in superiors and len(u.contacts) > 0]
    return free[-1] if len(units) >= ENOUGH_FOR_A_NEWCOMER and free else None


def _line_lost_to(units: Sequence[Unit], dealt: Mapping[str, Temperament]) -> Unit | None:
    """Return the unit of whose launch nobody will be able to tell whether it arrived: the last that is no trouble."""
    calm = [u for u in units if dealt[u.code] in CALM and any(c.address for c in u.contacts)]
    return calm[-1] if len(units) >= ENOUGH_FOR_A_LOST_LINE and calm else None


def _write_roster(path: Path, units: Sequence[Unit]) -> None:
    if path.suffix == ".xlsx":
        raise ValueError(f"a rehearsal with a chosen roster needs a .csv, and {path.name} is none")
    parts = ("name", "email", "phone")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, INDUSTRY[0], *(f"{role}_{part}" for role in ContactRole for part in parts)])
        for unit in units:
            by_role = {c.role: (c.name, c.address, c.phone) for c in unit.contacts}
            cells = [cell for role in ContactRole for cell in by_role.get(role, ("", "", ""))]
            writer.writerow([unit.code, unit.name, unit.category, unit.superior, unit.industry, *cells])


def default_out(seed: int) -> Path:
    """Return a folder for a rehearsal that does not exist yet: rehearsals/seed-1, then rehearsals/seed-1-2."""
    base = HOUSE / "rehearsals"
    names = (f"seed-{seed}" if n == 1 else f"seed-{seed}-{n}" for n in range(1, 10_000))
    return next(base / name for name in names if not (base / name).exists())
