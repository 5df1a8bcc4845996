"""Running a rehearsal on this machine: stage, server, month, result on screen, and everything ended."""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Awaitable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deployments.local_server import LocalServer, client_environment
from deployments.stage import set_stage
from office import wording
from office.accounts import Accounts
from rules.rates import Totals

LEFT = ("sent", "bounced", "ambiguous")
FATES = {
    "sent": "sent, and not returned",
    "bounced": "taken, and returned later",
    "ambiguous": "may have left or not: see muster queue",
    "refused": "refused (the next contact is written to)",
    "superseded": "never sent, as nothing was left to say",
    "expired": "never sent, as out of date",
}

if TYPE_CHECKING:
    from flows.rehearse import Check, Rehearsed


def run_rehearsal(
    campaign: str, *, units: int | None, seed: int, out: Path, keep: bool, twice: bool, console: Console
) -> bool:
    """Rehearse into ``out`` and show the result; return whether every check holds.

    Raises:
        definition.faults.FaultyCampaign: the campaign has faults.
        ServerDidNotStart: the Prefect server did not come up.

    """
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    # Also when started in the background, where a shell has Ctrl-C ignored, or when told to end by SIGTERM.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    with ExitStack() as stack:
        stage = set_stage(campaign, units=units, seed=seed, out=out)
        stack.callback(stage.world.stop)
        server = LocalServer(out / "prefect")
        stack.callback(server.stop)
        server.start()
        with console.status("waiting for the Prefect server …"):
            server.wait()
        os.environ.update(client_environment(server.home, server.port))
        console.print(f"Prefect UI: {server.url}   mails, ledger, reports: {out}", soft_wrap=True)
        from flows.rehearse import rehearse as walk  # noqa: PLC0415  Prefect reads its environment when imported

        ready = time.monotonic()
        with _progress(console) as bar:
            task = bar.add_task("", total=None)
            done = asyncio.run(
                _walk_quietly(
                    walk(
                        stage,
                        lambda n, of, what: bar.update(task, completed=n, total=of, description=what[:46]),
                        twice=twice,
                    )
                )
            )
        walked = time.monotonic()
        _show(console, done, out)
        _show_how_to_look(console, stage.key, out)
        console.print(f"server {ready - started:.0f} s + month {walked - ready:.0f} s, {done.runs} flow runs")
        console.print(
            f"Prefect UI: {server.url}/v2/runs" + (" (Ctrl-C ends it)" if keep else " (with --keep it stays up)")
        )
        if keep:
            _wait_for_ctrl_c(console)
        else:
            time.sleep(1.5)  # the server writes task runs behind itself; let the last ones reach its database
    return all(c.holds for c in done.checks)


async def _walk_quietly(walk: "Awaitable[Rehearsed]") -> "Rehearsed":
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

    # A heartbeat costs each flow a second when it ends, and the rehearsal watches its runs itself.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        return await walk


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<46}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def _show(console: Console, done: "Rehearsed", out: Path) -> None:
    """Print the month's result: counts by category, checks, paths."""
    lines = done.accounts.lines
    table = Table(
        "category",
        "units",
        "mails sent",
        "owed",
        "reported",
        "on time",
        "late",
        "returned",
        "queried",
        "missing",
        "escalated",
        "report rate",
        "on-time rate",
        title="The month",
    )
    whole = sum((line.totals for line in lines), Totals())
    rows = [(line.category, line.units, line.mails, line.totals, line.escalated) for line in lines]
    rows.append(
        (
            "合计",
            *(sum(getattr(line, n) for line in lines) for n in ("units", "mails")),
            whole,
            sum(line.escalated for line in lines),
        )
    )
    for name, units, mails, t, escalated in rows:
        table.add_row(
            name,
            *map(
                str, (units, mails, t.owed, t.reported, t.on_time, t.late, t.returned, t.queried, t.missing, escalated)
            ),
            wording.rate_text(t.report_rate),
            wording.rate_text(t.on_time_rate),
        )
    console.print(table)
    console.print(*_mails_told(done.accounts), sep="\n", soft_wrap=True)
    for check in done.checks:
        _show_check(console, check)
    console.print(
        f"workbook: {done.workbook}\nsummary:  {done.summary}\npapers:   {_papers_told(done)}\n"
        f"mails:    {out / 'mails'}\n"
        f"ledger:   {out / 'var' / 'ledger.db'}",
        soft_wrap=True,
    )


def _papers_told(done: "Rehearsed") -> str:
    """Say where the drafts of 督办单 and 通报 lie."""
    orders = sum("督办单" in path.name for path in done.papers)
    if not done.papers:
        return "none: nothing has fallen due"
    return f"{done.papers[0].parent} (drafts: {orders} 督办单, {len(done.papers) - orders} 通报)"


def _mails_told(accounts: Accounts) -> list[str]:
    """Say what each count of mails counts: the table's, the post office's, the ledger's."""
    states = accounts.messages
    left = sum(states.get(state, 0) for state in LEFT)
    to_units = sum(line.mails for line in accounts.lines)
    by_state = "; ".join(f"{n} {FATES.get(state, state)}" for state, n in sorted(states.items(), key=lambda s: -s[1]))
    whom = (
        f"{to_units} to units (the table's “mails sent”), {left - to_units} to the office (summaries, digests, alerts)"
    )
    return [
        f"mails out: {sum(states.values())} written, {left} taken by the post office: {whom}",
        f"           {by_state}",
        f"mails in:  {', '.join(f'{n} {kind}' for kind, n in sorted(accounts.intake.items()))}",
    ]


def _show_check(console: Console, check: "Check") -> None:
    mark = "[green]✓[/]" if check.holds else "[red]✗[/]"
    said = check.name if check.holds else f"Does not hold: {check.name}"
    console.print(mark, escape(said), soft_wrap=True)
    if not check.holds:
        why = f"  expected: {check.expected}\n  found:    {check.found}\n  look at:  {check.look}"
        console.print(escape(why), soft_wrap=True)


def _show_how_to_look(console: Console, campaign: str, out: Path) -> None:
    """Print what to copy to look into the ledger; an empty ledger URL, as .env may name the real ledger."""
    muster = Path(sys.executable).with_name("muster")
    muster = muster.relative_to(Path.cwd()) if muster.is_relative_to(Path.cwd()) else muster
    var, campaigns = shlex.quote(str(out / "var")), shlex.quote(str(out / "campaigns"))
    console.print(
        "to look into it, copy these two lines; mail stays behind the fence:\n"
        f"  export MUSTER_VAR_DIR={var} MUSTER_CAMPAIGNS_DIR={campaigns} MUSTER_LEDGER_URL=\n"
        f"  {muster} mails {campaign}; {muster} queue; {muster} board {campaign}\n"
        "and to be back with your own ledger:\n"
        "  unset MUSTER_VAR_DIR MUSTER_CAMPAIGNS_DIR MUSTER_LEDGER_URL",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def _wait_for_ctrl_c(console: Console) -> None:
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("ending the server")
