"""The operator's door: `muster …`."""

import asyncio
import getpass
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ledger.acts import Act
    from office.premises import Premises

app = App(
    name="muster",
    help="Run a reporting campaign: launch, remind, collect, escalate, consolidate.",
    version_flags=["--version"],
)
# Piped into a file or pager there is no width to ask for; tables of Chinese names need some room.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Refused(Exception):  # noqa: N818  what happened
    """The operator's wish cannot be carried out; the sentence says why."""


def main() -> None:
    """Run the command; a refusal is one plain sentence and exit 1, never a traceback."""
    from definition.faults import FaultyCampaign  # noqa: PLC0415  imports wait until they are needed: help is instant
    from ledger.errors import LedgerError  # noqa: PLC0415

    try:
        app()
    except FaultyCampaign as error:
        err.print(f"[red]{len(error.faults)} fault(s):[/]")
        for fault in error.faults:
            err.print(str(fault), markup=False)
        sys.exit(1)
    except ValidationError as error:
        for detail in error.errors():
            name = "_".join(str(step) for step in detail["loc"]).upper()
            err.print(f"MUSTER_{name}: {detail['msg']}" if name else str(detail["msg"]), markup=False)
        sys.exit(1)
    except (Refused, LedgerError, ValueError, FileNotFoundError) as error:
        err.print(str(error), markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(130)


def _premises() -> "Premises":
    _quiet_prefect()
    from tasks.desk import premises  # noqa: PLC0415

    return premises()


def _quiet_prefect() -> None:
    """Keep Prefect from talking to anybody: no analytics, and no server of its own where none is set."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")


def _act(as_of: datetime | None = None) -> "Act":
    from ledger.acts import Act  # noqa: PLC0415

    return Act.now(f"staff:{getpass.getuser()}", as_of)


def _moment(text: str | None, zone: str = "Asia/Shanghai") -> datetime | None:
    """Read a moment; without an offset it is local to the campaign's zone."""
    if text is None:
        return None
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is no moment; write 2020-05-29T09:00 (local) or 2020-05-29T09:00+08:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _zone_of(campaign: str) -> str:
    from office.timetable import find_rulebook  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        return find_rulebook(session, house, campaign)[1].campaign.zone


@app.command
def check(campaign: str) -> None:
    """Read a campaign folder and list every fault, each with file, line and remedy. Exits 1 if there is an error."""
    from definition.loading import check_campaign  # noqa: PLC0415
    from office.launching import find_folder  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config = settings()
    folder = find_folder(config.campaigns_dir, campaign)
    report = check_campaign(folder, calendars=config.campaigns_dir / "calendar", notices=config.templates_dir / "email")
    for fault in report.faults:
        out.print(f"{fault.gravity}: {fault}", markup=False, soft_wrap=True)
    if report.loaded is None:
        raise SystemExit(1)
    loaded = report.loaded
    warnings = f", {len(report.faults)} warning(s)" if report.faults else ""
    out.print(
        f"{loaded.campaign.title}: {len(loaded.units)} units, "
        f"{len(loaded.campaign.deliverables)} deliverables, no error{warnings}",
        markup=False,
    )


@app.command
def plan(campaign: str, *, as_of: str | None = None) -> None:
    """Show the month as a table; with --as-of, who would be mailed at that moment and who not and why.

    Args:
        campaign: key or folder.
        as_of: a moment, local unless it has an offset. In the past, the facts known then are replayed.

    """
    from office.timetable import outlook, plan_of_month  # noqa: PLC0415

    house = _premises()
    book, steps = plan_of_month(house, campaign)
    if as_of is None:
        table = Table("when", "step", "about", "units at most", "mailed", "why", title=book.campaign.title)
        for planned in steps:
            local = planned.step.moment.astimezone(book.zone)
            done = planned.mailed is not None
            count = "" if planned.parties is None or done else str(planned.parties)
            mailed = str(planned.mailed) if done else ""
            table.add_row(
                f"{local:%Y-%m-%d %a %H:%M}", planned.step.kind, planned.step.subject, count, mailed, planned.why
            )
        out.print(table)
        return
    moment = _moment(as_of, book.campaign.zone)
    assert moment is not None  # noqa: S101  for the type checker: as_of was given
    found = outlook(house, book.campaign.key, moment, replay=moment < datetime.now(UTC))
    table = Table("step", "to", "notice", "about", title=f"{book.campaign.title} at {as_of}")
    for kind, party, notice, about in found.mails:
        table.add_row(kind, party, notice, about)
    out.print(table)
    skips = Table("step", "not written to, because", "obligations")
    for step_kind, reasons in found.skips.items():
        for reason, obligations in reasons.items():
            skips.add_row(step_kind, reason, str(obligations))
    out.print(skips)


@app.command
def board(campaign: str) -> None:
    """Show the completeness board: units and deliverables, those with most left open first."""
    from office import wording  # noqa: PLC0415
    from office.board import board as board_of  # noqa: PLC0415
    from office.board import cell_text  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        found = board_of(session, campaign)
    rates = Table("类别", "应报", "已报", "按时", "迟报", "退回", "未报", "报送率", "及时率", title=found.title)
    for name, t in (*found.by_category, ("合计", found.totals)):
        rates.add_row(
            name,
            *map(str, (t.owed, t.reported, t.on_time, t.late, t.returned, t.missing)),
            wording.rate_text(t.report_rate),
            wording.rate_text(t.on_time_rate),
        )
    out.print(rates)
    table = Table("代码", "单位", "类别", *(title for _, title in found.deliverables))
    for row in found.rows:
        cells = (cell_text(row.cells.get(key, []), wording.STANDING) for key, _ in found.deliverables)
        table.add_row(row.code, row.name, row.category, *cells)
    out.print(table)


@app.command
def run(step: str, campaign: str, *, as_of: str | None = None) -> None:
    """Run one step now: launch, collect, remind, escalate, consolidate or deliver.

    Args:
        step: what to run.
        campaign: the campaign's key.
        as_of: run for this moment instead of now; refused for a live campaign that has passed it.

    """
    _quiet_prefect()
    from flows.running import FLOWS, run_step  # noqa: PLC0415

    if step not in FLOWS:
        raise Refused(f"no step {step!r}; there are {', '.join(FLOWS)}")
    tally = asyncio.run(run_step(step, campaign, _moment(as_of, _zone_of(campaign) if as_of else "UTC")))
    for name in ("planned", "mails", "outcomes", "unsent", "skips"):
        counts = getattr(tally, name)
        if counts:
            out.print(f"{name}: {', '.join(f'{k} {v}' for k, v in counts.items())}", markup=False)


@app.command(name="go-live")
def go_live_(campaign: str, *, grounds: str, confirm: str | None = None) -> None:
    """Open the fence: from now on mail leaves to every contact. Shows the counts and asks for the campaign's key.

    Args:
        campaign: the campaign's key.
        grounds: who decided it and why; kept in the audit trail.
        confirm: the campaign's key again, instead of typing it.

    """
    from office.launching import go_live, reach_of  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        reach = reach_of(session, campaign)
    out.print(f"{reach.units} units, {reach.contacts} working contacts, {reach.waiting} messages waiting to leave")
    if reach.undeliverable:
        out.print(f"[yellow]{reach.undeliverable} addresses lie under domains that no mail system delivers[/]")
    for unit in reach.without_contact:
        out.print(f"[yellow]no working contact: {unit}[/]")
    typed = confirm if confirm is not None else input(f"type {campaign} to let mail out: ")
    if typed.strip() != campaign:
        raise Refused("not confirmed; nothing was changed")
    with house.ledger.writing() as session:
        go_live(session, _act(), campaign, grounds)
    out.print(f"{campaign} is live")


@app.command
def mail(campaign: str, *, to_me: str) -> None:
    """Send samples of each notice to the operator; no unit is written to.

    Args:
        campaign: the campaign's key.
        to_me: the operator's address.

    """
    _quiet_prefect()
    from tasks.samples import send_samples  # noqa: PLC0415

    for notice, outcome in asyncio.run(send_samples(campaign, to_me)):
        out.print(f"{notice}: {outcome.state} {outcome.code or ''} {outcome.text}", markup=False)
        if outcome.state != "sent":
            raise Refused("the relay did not take the sample; see MUSTER_SMTP_HOST and the settings beside it")


@app.command(name="hand-in")
def hand_in(campaign: str, unit: str, *files: Path, received: str, grounds: str, channel: str = "phone") -> None:
    """Hand in for a unit that called, came, or sent paper.

    Args:
        campaign: the campaign's key.
        unit: the unit's code.
        files: what it handed in.
        received: the true moment, local unless it has an offset.
        grounds: who called or came, and what was agreed; kept in the audit trail.
        channel: phone, paper or person.

    """
    from office.handin import IncomingFile, hand_in_on_behalf  # noqa: PLC0415

    if channel not in ("phone", "paper", "person"):
        raise Refused(f"channel {channel!r}; use phone, paper or person")
    if not files:
        raise Refused("name at least one file")
    moment = _moment(received, _zone_of(campaign))
    assert moment is not None  # noqa: S101  received is required
    incoming = tuple(IncomingFile(name=path.name, content=path.read_bytes()) for path in files)
    house = _premises()
    with house.ledger.writing() as session:
        taken = hand_in_on_behalf(
            session, house, _act(), campaign, unit, incoming, channel=channel, received_at=moment, grounds=grounds
        )
    for problem in taken.problems:
        out.print(problem, markup=False)
    known = "" if taken.recorded or taken.problems else " (handed in before, byte for byte)"
    out.print(f"{taken.recorded} recorded{known}; the answer leaves with the next `muster run deliver {campaign}`")
    if taken.problems:
        raise SystemExit(1)


@app.command(name="add-unit")
def add_unit(
    campaign: str, code: str, name: str, *, category: str, superior: str, email: str, grounds: str, phone: str = ""
) -> None:
    """Let a unit join a running campaign; the next launch run writes to it.

    Args:
        campaign: the campaign's key.
        code: the unit's code.
        name: its name.
        category: one of the campaign's categories.
        superior: a unit's code, or OFFICE.
        email: its duty mailbox.
        grounds: why it joins; kept in the audit trail.
        phone: its duty telephone.

    """
    from definition.roster import ADDRESS, ContactRole, RosterContact, Unit  # noqa: PLC0415
    from office.launching import join_unit  # noqa: PLC0415

    if not ADDRESS.fullmatch(email):
        raise Refused(f"{email!r} is no e-mail address")
    contact = RosterContact(role=ContactRole.DUTY, name="", address=email.lower(), phone=phone)
    unit = Unit(code=code, name=name, category=category, superior=superior, contacts=(contact,))
    house = _premises()
    with house.ledger.writing() as session:
        owed = join_unit(session, _act(), campaign, unit, grounds)
    out.print(f"{code} joined and owes {len(owed)} items; `muster run launch {campaign}` writes to it")


@app.command
def queue() -> None:
    """List the mails that wait for a person: unmatched, unreadable, questions."""
    from office.queue import waiting_for_a_person  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        rows = waiting_for_a_person(session)
    table = Table("id", "received (UTC)", "campaign", "unit", "kind", "from", "subject", "why", title="staff queue")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print(f"{len(rows)} waiting")


@app.command
def audit(unit: str | None = None, *, campaign: str | None = None, verify: bool = False) -> None:
    """Show the audit trail of a unit, or --verify the whole chain.

    Args:
        unit: the unit's code.
        campaign: the campaign's key, where a unit takes part in several.
        verify: walk the chain from its first entry; exits 1 at the first that does not fit.

    """
    from ledger import audit as trail  # noqa: PLC0415
    from office.queue import trail_of  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        if verify:
            verdict = trail.verify(session)
            if verdict.fault:
                raise Refused(f"the audit trail does not verify: {verdict.fault}")
            out.print(f"the audit trail verifies: {verdict.entries} entries, last hash {verdict.head}")
            return
        if unit is None:
            raise Refused("name a unit's code, or --verify")
        table = Table("entry", "as of (UTC)", "who", "what", "detail", title=f"audit trail of {unit}")
        for row in trail_of(session, unit, campaign):
            table.add_row(*row)
    out.print(table)


@app.command
def rehearse(
    campaign: str = "safety-month-2020",
    *,
    units: Annotated[int | None, Parameter(name="--units")] = None,
    seed: int = 1,
    keep: bool = False,
    twice: bool = False,
    to: Annotated[Path | None, Parameter(name="--out")] = None,
) -> None:
    """Run a whole month on this machine: real Prefect server, real SMTP, simulated units. Nothing leaves the machine.

    Args:
        campaign: key or folder.
        units: how many units; more than the roster has are made up after its likeness.
        seed: deals the units' temperaments; the same seed gives the same summary.
        keep: leave the Prefect server up afterwards, until Ctrl-C.
        twice: run every step two times and the whole month again, to see that nothing more is sent.
        to: folder for mails, files, ledger and reports; a new one under rehearsals/ unless given.

    """
    from deployments.rehearsing import run_rehearsal  # noqa: PLC0415
    from deployments.stage import default_out  # noqa: PLC0415

    if units is not None and units < 1:
        raise Refused("--units takes a number from 1")
    folder = (to or default_out(seed)).resolve()
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty; name another --out, or remove it")
    if not run_rehearsal(campaign, units=units, seed=seed, out=folder, keep=keep, twice=twice, console=out):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
