"""Commands over a campaign as a whole: check it, look ahead, run its steps, let it go live, rehearse it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli import showing
from cli.desk import Refused, act, moment_of, premises, use_prefect, zone_of_campaign
from cli.leaving import fence_line, when_answer_leaves
from cli.showing import say, table, times_of

if TYPE_CHECKING:
    from office.premises import Premises
    from tasks.tally import Tally


def check(campaign: str) -> None:
    """Read a campaign folder and list every fault, each with file, line and remedy. Exits 1 if there is an error.

    Args:
        campaign: key or folder.

    """
    from definition.loading import check_campaign  # noqa: PLC0415
    from office.launching import find_folder  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config = settings()
    folder = find_folder(config.campaigns_dir, campaign)
    report = check_campaign(folder, calendars=config.campaigns_dir / "calendar", notices=config.templates_dir / "email")
    for fault in report.faults:
        say(f"{fault.gravity}: {fault}")
    if report.loaded is None:
        raise SystemExit(1)
    loaded = report.loaded
    warnings = f", {len(report.faults)} warning(s)" if report.faults else ""
    say(
        f"{loaded.campaign.title}: {len(loaded.units)} units, "
        f"{len(loaded.campaign.deliverables)} deliverables, no error{warnings}"
    )


def plan(campaign: str, *, as_of: str | None = None) -> None:
    """Show the month as a table; with --as-of, who would be mailed at that moment and who not and why.

    Args:
        campaign: key or folder.
        as_of: a moment, local unless it has an offset. In the past, the facts known then are replayed.

    """
    from office.timetable import deadlines_of, outlook, plan_of_month  # noqa: PLC0415
    from tasks.desk import now  # noqa: PLC0415

    house = premises()
    book, steps = plan_of_month(house, campaign)
    if as_of is None:
        rows = []
        for planned in steps:
            local = planned.step.moment.astimezone(book.zone)
            done = planned.mailed is not None
            count = "" if planned.parties is None or done else str(planned.parties)
            mailed = str(planned.mailed) if done else ""
            rows.append(
                (f"{local:%Y-%m-%d %a %H:%M}", planned.step.kind, planned.step.subject, count, mailed, planned.why)
            )
        title = f"{book.campaign.title}, {times_of(book.campaign.zone)}"
        table(("when", "step", "about", "units at most", "mailed", "why"), rows, title=title)
        table(("due", "deliverable", "occurrence", "how it was found"), deadlines_of(book), title="deadlines")
        return
    moment = moment_of(as_of, book.campaign.zone)
    assert moment is not None  # noqa: S101  for the type checker: as_of was given
    found = outlook(house, book.campaign.key, moment, replay=moment < now())
    table(
        ("step", "to", "notice", "about"),
        found.mails,
        title=f"{book.campaign.title} at {as_of}",
    )
    skips = [(kind, reason, str(count)) for kind, reasons in found.skips.items() for reason, count in reasons.items()]
    table(("step", "not written to, because", "obligations"), skips)
    for line in found.beyond:
        say(line)


def board(campaign: str) -> None:
    """Show the completeness board: units and deliverables, those with most left open first.

    Args:
        campaign: the campaign's key.

    """
    from office import wording  # noqa: PLC0415
    from office.board import board as board_of  # noqa: PLC0415
    from office.board import cell_text  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        found = board_of(session, campaign)
    rates = [
        (
            name,
            *map(str, (t.owed, t.reported, t.on_time, t.late, t.returned, t.missing)),
            wording.rate_text(t.report_rate),
            wording.rate_text(t.on_time_rate),
        )
        for name, t in (*found.by_category, ("合计", found.totals))
    ]
    table(("类别", "应报", "已报", "按时", "迟报", "退回", "未报", "报送率", "及时率"), rates, title=found.title)
    rows = [
        (
            row.code,
            row.name,
            row.category,
            *(
                cell_text(row.cells.get(key, []), wording.STANDING, found.nil, found.promised, found.papers)
                for key, _ in found.deliverables
            ),
        )
        for row in found.rows
    ]
    table(("代码", "单位", "类别", *(title for _, title in found.deliverables)), rows)


def run(step: str, campaign: str, *, as_of: str | None = None) -> None:
    """Run one step now: launch, collect, remind, escalate, consolidate or deliver.

    Args:
        step: what to run.
        campaign: the campaign's key.
        as_of: run for this moment instead of now; refused for a live campaign that has passed it.

    """
    use_prefect()
    from flows.running import FLOWS, run_step  # noqa: PLC0415
    from ledger.campaigns import find_campaign  # noqa: PLC0415
    from rules.timetable import StepKind  # noqa: PLC0415

    if step not in FLOWS:
        raise Refused(f"no step {step!r}; there are {', '.join(FLOWS)}")
    with premises().ledger.reading() as session:  # what makes it impossible is said now, not by a run that fails
        if step != StepKind.LAUNCH:
            find_campaign(session, campaign)
    tally = asyncio.run(run_step(step, campaign, moment_of(as_of, zone_of_campaign(campaign) if as_of else "UTC")))
    for line in tally_lines(tally) or ["nothing to do"]:
        say(line)


def tally_lines(tally: "Tally") -> list[str]:
    """Return the counts of a run, a line each, and what needs a person."""
    counted = {name: getattr(tally, name) for name in ("planned", "mails", "outcomes", "unsent", "skips")}
    lines = [
        f"{name}: {', '.join(f'{k} {v}' for k, v in counts.items())}" for name, counts in counted.items() if counts
    ]
    if fenced := tally.unsent.get("fenced"):
        lines.append(fence_line(tally.campaign, fenced))
    if tally.unreached:
        lines.append(f"unreached: {tally.unreached} (`muster contacts {tally.campaign}` lists them)")
    if tally.unmatched:
        lines.append(f"unmatched: {tally.unmatched} mails wait for staff (`muster queue` lists them)")
    lines.extend(
        f"calendar: {year} is not on record, Monday–Friday are taken; see docs/how-to/renew-the-holidays.md"
        for year in tally.years_to_renew
    )
    return [*lines, *(f"on hold: {stop}" for stop in tally.stops)]


def go_live(campaign: str, *, grounds: str, confirm: str | None = None) -> None:
    """Open the fence: from now on mail leaves to every contact. Shows the counts and asks for the campaign's key.

    Args:
        campaign: the campaign's key.
        grounds: who decided it and why; kept in the audit trail.
        confirm: the campaign's key again, instead of typing it.

    """
    from ledger.errors import UnknownCampaign  # noqa: PLC0415
    from office import launching  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        try:
            reach = launching.reach_of(session, campaign)
        except UnknownCampaign:
            raise Refused(_not_launched(house, campaign)) from None
    say(f"{reach.units} units, {reach.contacts} working contacts, {reach.waiting} messages waiting to leave")
    if reach.undeliverable:
        say(f"{reach.undeliverable} addresses lie under domains that no mail system delivers", style="yellow")
    for unit in reach.without_contact:
        say(f"no working contact: {unit}", style="yellow")
    typed = confirm if confirm is not None else showing.asked(f"type {campaign} to let mail out: ")
    if typed.strip() != campaign:
        raise Refused("not confirmed; nothing was changed")
    with house.ledger.writing() as session:
        launching.go_live(session, act(), campaign, grounds)
    say(f"{campaign} is live")


def _not_launched(house: "Premises", campaign: str) -> str:
    """Say when a campaign will be launched, and how to do it now."""
    from office.launching import load  # noqa: PLC0415
    from office.rulebook import Rulebook  # noqa: PLC0415

    book = Rulebook(load(house, campaign).campaign)
    at = f"{book.launch_at.astimezone(book.zone):%Y-%m-%d %H:%M}"
    return (
        f"{book.campaign.key} is not launched yet, so there is nothing to let out: once it is deployed it launches by "
        f"itself at {at} ({book.zone.key}), and `muster run launch {book.campaign.key}` does so now"
    )


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
    from office.launching import join_unit, newcomer  # noqa: PLC0415

    unit = newcomer(code, name, category=category, superior=superior, email=email, phone=phone)
    house = premises()
    with house.ledger.writing() as session:
        owed = join_unit(session, act(), campaign, unit, grounds)
        leaves = when_answer_leaves(session, house, campaign)
    say(f"{code} joined and owes {len(owed)} items; `muster run launch {campaign}` writes to it: {leaves}")


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
    if not run_rehearsal(campaign, units=units, seed=seed, out=folder, keep=keep, twice=twice, console=showing.out):
        raise SystemExit(1)
