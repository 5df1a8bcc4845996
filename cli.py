"""The operator's door: `muster …`."""

import asyncio
import getpass
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ledger.acts import Act
    from office.mailbook import Bytes, MailView
    from office.premises import Premises
    from tasks.tally import Tally

app = App(
    name="muster",
    help="Run a reporting campaign: launch, remind, collect, escalate, consolidate.",
    version_flags=["--version"],
)
# Piped into a file or pager there is no width to ask for; tables of Chinese names need some room.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
err = Console(stderr=True, highlight=False, soft_wrap=True)


Row = Sequence[str]
NARROW = 140  # columns, fewer than which tables that do not fit are written as paragraphs
VAST = 10_000
MOST_MAILS = 2**31 - 1


class Refused(Exception):  # noqa: N818  what happened
    """The operator's wish cannot be carried out; the sentence says why."""


def main(words: Sequence[str] | None = None) -> None:
    """Run a command; a refusal is one plain sentence and exit 1, never a traceback."""
    from definition.faults import FaultyCampaign  # noqa: PLC0415  imports wait until they are needed: help is instant
    from ledger.errors import LedgerError  # noqa: PLC0415

    try:
        app(words)
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
    except BrokenPipeError:  # whoever read our output has had enough; nor may the interpreter complain when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(130)


def _premises() -> "Premises":
    _quiet_prefect()
    from sqlalchemy.exc import ArgumentError, OperationalError  # noqa: PLC0415

    from tasks.desk import premises  # noqa: PLC0415

    try:
        return premises()
    except OperationalError as error:
        raise Refused(f"the ledger cannot be opened: {error.orig}; see MUSTER_VAR_DIR and MUSTER_LEDGER_URL") from None
    except ArgumentError as error:
        raise Refused(f"MUSTER_LEDGER_URL: {error}") from None


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


def _table(columns: Iterable[str | Column], rows: Iterable[Row], *, title: str | None = None) -> None:
    """Print a table. Its cells are shown to the letter: a subject may hold what looks like markup.

    Chinese has no blanks at which to break a line, so text is folded wherever it has to be, and nothing is cut off.
    Where the terminal is too narrow for columns, each row is a paragraph.
    """
    headings = [Column(c, overflow="fold") if isinstance(c, str) else c for c in columns]
    cells = [[Text(cell) for cell in row] for row in rows]
    table = Table(*headings, title=title)
    for row in cells:
        table.add_row(*row)
    unbounded = out.options.update(max_width=VAST)
    if out.width < NARROW and Measurement.get(out, unbounded, table).maximum > out.width:
        table = _paragraphs([str(heading.header) for heading in headings], cells, title)
    out.print(table)


def _paragraphs(names: Sequence[str], rows: Iterable[Sequence[Text]], title: str | None) -> Table:
    grid = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    grid.title = title
    for first, *others in rows:
        said = [f"{name}: {cell.plain}" for name, cell in zip(names[1:], others, strict=True) if cell.plain]
        grid.add_row(first, Text("; ".join(said)))
    return grid


def _say(sentence: str) -> None:
    """Print a sentence to the letter, on one line however long."""
    out.print(sentence, markup=False, soft_wrap=True)


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
        rows = []
        for planned in steps:
            local = planned.step.moment.astimezone(book.zone)
            done = planned.mailed is not None
            count = "" if planned.parties is None or done else str(planned.parties)
            mailed = str(planned.mailed) if done else ""
            rows.append(
                (f"{local:%Y-%m-%d %a %H:%M}", planned.step.kind, planned.step.subject, count, mailed, planned.why)
            )
        _table(("when", "step", "about", "units at most", "mailed", "why"), rows, title=book.campaign.title)
        return
    moment = _moment(as_of, book.campaign.zone)
    assert moment is not None  # noqa: S101  for the type checker: as_of was given
    found = outlook(house, book.campaign.key, moment, replay=moment < datetime.now(UTC))
    _table(("step", "to", "notice", "about"), found.mails, title=f"{book.campaign.title} at {as_of}")
    skips = [(kind, reason, str(count)) for kind, reasons in found.skips.items() for reason, count in reasons.items()]
    _table(("step", "not written to, because", "obligations"), skips)


@app.command
def board(campaign: str) -> None:
    """Show the completeness board: units and deliverables, those with most left open first."""
    from office import wording  # noqa: PLC0415
    from office.board import board as board_of  # noqa: PLC0415
    from office.board import cell_text  # noqa: PLC0415

    house = _premises()
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
    _table(("类别", "应报", "已报", "按时", "迟报", "退回", "未报", "报送率", "及时率"), rates, title=found.title)
    rows = [
        (
            row.code,
            row.name,
            row.category,
            *(cell_text(row.cells.get(key, []), wording.STANDING) for key, _ in found.deliverables),
        )
        for row in found.rows
    ]
    _table(("代码", "单位", "类别", *(title for _, title in found.deliverables)), rows)


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
    _premises()  # a ledger that cannot be opened is said now, not by a run that fails
    tally = asyncio.run(run_step(step, campaign, _moment(as_of, _zone_of(campaign) if as_of else "UTC")))
    for line in _tally_lines(tally) or ["nothing to do"]:
        _say(line)


def _tally_lines(tally: "Tally") -> list[str]:
    counted = {name: getattr(tally, name) for name in ("planned", "mails", "outcomes", "unsent", "skips")}
    lines = [
        f"{name}: {', '.join(f'{k} {v}' for k, v in counts.items())}" for name, counts in counted.items() if counts
    ]
    if tally.unreached:
        lines.append(f"unreached: {tally.unreached} (`muster contacts {tally.campaign}` lists them)")
    return [*lines, *(f"on hold: {stop}" for stop in tally.stops)]


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
def mails(
    campaign: str | None = None,
    *,
    unit: str | None = None,
    state: str | None = None,
    notice: str | None = None,
    limit: int = 50,
) -> None:
    """List the mails to units, the newest last.

    Args:
        campaign: the campaign's key; all of them unless given.
        unit: only those to a unit, by its code.
        state: only those in a state, such as ambiguous or bounced.
        notice: only those of a notice, such as reminder.
        limit: how many to show at most.

    """
    from office.mailbook import list_mails  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        found = list_mails(session, campaign=campaign, unit=unit, state=state, notice=notice, limit=limit)
    several = found.campaigns > 1
    planned, notice_, state_, lane = (Column(c, no_wrap=True) for c in ("planned", "notice", "state", "lane"))
    subject = Column("subject", no_wrap=True, max_width=16)  # the whole of it is for `muster mail`
    columns = (planned, "unit", notice_, "occasion", state_, "address", lane, subject, "reason")
    rows = [line if several else (line.id, *line[2:]) for line in found.lines]
    _table((Column("id", no_wrap=True), *(["campaign"] if several else []), *columns), rows)
    shown = len(found.lines)
    more = f"; --limit {found.matching} shows all, --unit, --state and --notice fewer" if shown < found.matching else ""
    _say(f"{shown} of {found.matching} mails{more}; `muster mail ID` shows one")


@app.command
def mail(
    mail_or_campaign: str,
    /,
    *,
    to_me: str | None = None,
    eml: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
) -> None:
    """Show one mail and all that happened to it; or, with --to-me, send samples of a campaign's notices to oneself.

    Args:
        mail_or_campaign: a mail's number, as `muster mails` lists it; with --to-me a campaign's key.
        to_me: the operator's address: each notice is sent there as a sample, and no unit is written to.
        eml: write the mail's exact bytes to this file; - is standard output.

    """
    if to_me is not None:
        if eml is not None:
            raise Refused("--eml is for one mail, and --to-me for samples; use one of them")
        _send_samples(mail_or_campaign, to_me)
        return
    if not (mail_or_campaign.isascii() and mail_or_campaign.isdigit()):
        raise Refused(
            f"{mail_or_campaign!r} is no mail's number; `muster mails` lists them, "
            f"and `muster mail {mail_or_campaign} --to-me ADDRESS` sends samples"
        )
    _show_mail(_mail_number(int(mail_or_campaign)), eml)


def _mail_number(number: int) -> int:
    if not 0 < number <= MOST_MAILS:
        raise Refused(f"there is no mail {number}; `muster mails` lists them")
    return number


def _send_samples(campaign: str, to_me: str) -> None:
    _quiet_prefect()
    from tasks.samples import send_samples  # noqa: PLC0415

    for notice, outcome in asyncio.run(send_samples(campaign, to_me)):
        out.print(f"{notice}: {outcome.state} {outcome.code or ''} {outcome.text}", markup=False)
        if outcome.state != "sent":
            raise Refused("the relay did not take the sample; see MUSTER_SMTP_HOST and the settings beside it")


def _show_mail(number: int, eml: Path | None) -> None:
    from office.mailbook import bytes_of, view_mail  # noqa: PLC0415
    from office.skeletons import LostBytesError  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        if eml is None:
            _print_view(view_mail(session, number))
        try:
            composed = bytes_of(session, house, number)
        except LostBytesError as error:
            raise Refused(f"the bytes of mail {number} cannot be shown: {error}") from None
    if eml is not None:
        if isinstance(composed, str):
            raise Refused(f"mail {number} has no bytes: {composed}")
        _write_eml(number, composed, eml)
    elif isinstance(composed, str):
        _say(f"\n{composed}")
    else:
        _print_text(number, composed)


def _print_view(view: "MailView") -> None:
    width = max(len(name) for name, _ in view.facts)
    _say(f"mail {view.id}, times of {view.zone}")
    for name, value in view.facts:
        _say(f"  {name:<{width}}  {value}")
    if view.items:
        rows = [(i.title, i.unit, i.rung, i.due, "gone" if i.gone else "yes") for i in view.items]
        _table(("item", "of", "rung", "due", "stands"), rows)
    for number, attempt in enumerate(view.attempts, start=1):
        where = ", ".join(part for part in (attempt.address, attempt.lane and f"lane {attempt.lane}") if part)
        run = f", flow run {attempt.run}" if attempt.run else ""
        _say(f"{number:>3}. {attempt.as_of}  {attempt.state}  {where}".rstrip())
        if attempt.said:
            _say(f"     {attempt.said}")
        _say(f"     by the clock {attempt.at}{run}")
    if not view.attempts:
        _say("no attempt yet")


def _print_text(number: int, composed: "Bytes") -> None:
    line = "─" * min(out.width, 78)
    _say(f"{line}\n{composed.text}\n{line}")
    for name, octets in composed.attachments:
        _say(f"enclosed: {name} ({octets:,} bytes)")
    path = Path(f"mail-{number}.eml")
    _say(f"{composed.size:,} bytes, sha256 {composed.sha256}")
    _say(f"`muster mail {number} --eml {path}` writes them to {path.resolve()}; --eml - to standard output")


def _write_eml(number: int, composed: "Bytes", to: Path) -> None:
    if str(to) == "-":
        sys.stdout.buffer.writelines(composed.chunks)
        sys.stdout.buffer.flush()
        return
    path = to / f"mail-{number}.eml" if to.is_dir() else to
    if path.exists():
        raise Refused(f"{path} exists already; name another file, or remove it")
    try:
        path.write_bytes(b"".join(composed.chunks))
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from None
    _say(f"{path}: {composed.size:,} bytes, sha256 {composed.sha256}")


@app.command
def contacts(campaign: str) -> None:
    """List the units whose contacts need a person: those that no mail reaches first.

    Args:
        campaign: the campaign's key; before its launch its folder is looked at.

    """
    from office import wording  # noqa: PLC0415
    from office.contacts import Trouble  # noqa: PLC0415
    from office.queue import contact_work  # noqa: PLC0415

    found = contact_work(_premises(), campaign)
    rows = [
        (t.code, t.name, wording.TROUBLE[t.trouble], t.written_to or "—", "\n".join(t.failing), "\n".join(t.phones))
        for t in found
    ]
    _table(("代码", "单位", "情况", "现写往", "失效的地址", "电话"), rows)
    kinds = {trouble: sum(t.trouble is trouble for t in found) for trouble in Trouble}
    counted = "".join(f"; {wording.TROUBLE[trouble]} {count}" for trouble, count in kinds.items() if count)
    _say(f"{len(found)} to be looked at{counted}")


@app.command
def hold(*, campaign: str | None = None, lane: str | None = None, grounds: str) -> None:
    """Stop sending at once: a campaign, a lane, or everything. What waits goes on waiting.

    Args:
        campaign: stop only this campaign.
        lane: stop only this lane; `muster lanes` lists them.
        grounds: who decided it and why; kept in the audit trail.

    """
    from office import stops  # noqa: PLC0415

    house = _premises()
    with house.ledger.writing() as session:
        scope = stops.scope_of(session, house, campaign, lane)
        placed = stops.hold(session, _act(), scope, grounds)
    if placed:
        _say(f"on hold: {scope}. A sender under way stops within a second; `muster release` lets mail leave again")
    else:
        _say(f"{scope} was on hold already; nothing was changed")
    _print_holds(house)


@app.command
def release(*, campaign: str | None = None, lane: str | None = None, grounds: str) -> None:
    """Let sending go on: a campaign, a lane, or everything. Each hold is lifted by itself.

    Args:
        campaign: release this campaign.
        lane: release this lane; what its provider had refused is sent again.
        grounds: who decided it and why; kept in the audit trail.

    """
    from office import stops  # noqa: PLC0415

    house = _premises()
    with house.ledger.writing() as session:
        scope = stops.scope_of(session, house, campaign, lane)
        again = stops.release(session, _act(), scope, grounds)
    back = f"; {again} mails that were refused there wait again" if again else ""
    _say(
        f"released: {scope}{back}; what waits leaves with `muster run deliver`, or by itself where `muster serve` runs"
    )
    _print_holds(house)


def _print_holds(house: "Premises") -> None:
    from ledger.senders import holds_in_force  # noqa: PLC0415
    from office.mailbook import local, one_line  # noqa: PLC0415
    from office.stops import zone_of_house  # noqa: PLC0415

    with house.ledger.reading() as session:
        found, zone = holds_in_force(session), zone_of_house(session)
    if not found:
        _say("nothing is on hold")
        return
    rows = [(one.scope, local(one.since, zone), one.actor, one_line(one.grounds)) for one in found]
    _table(("on hold", "since", "by", "grounds"), rows)


@app.command
def lanes() -> None:
    """Show what is on hold, and how fast mail goes to each provider now."""
    from office.mailbook import local, one_line  # noqa: PLC0415
    from office.stops import lanes_now, zone_of_house  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        found, zone = lanes_now(session, house, datetime.now(UTC)), zone_of_house(session)
    _print_holds(house)
    rows = []
    for view in found:
        limits = view.lane
        rows.append(
            (
                view.name + (" (on hold)" if view.stopped else ""),
                ", ".join(limits.domains) or "all others" if limits else "not in MUSTER_LANES",
                str(limits.connections) if limits else "",
                str(limits.messages_per_connection) if limits else "",
                (str(limits.per_minute) if limits.per_minute else "no limit") if limits else "",
                f"{view.pace:.0%}",
                local(view.closed_until, zone) if view.closed_until else "",
                str(view.waiting),
                str(view.held),
                one_line(view.reason),
            )
        )
    columns = ("lane", "domains", "connections", "mails each", "per minute", "pace now", "closed until")
    _table((*columns, "waiting", "held", "slowed because"), rows)


@app.command
def settle(number: int, /, *, verdict: Annotated[str, Parameter(name="--as")], grounds: str) -> None:
    """Say what became of an ambiguous mail, of which nobody could tell whether it left.

    Args:
        number: the mail's number, as `muster queue` lists it.
        verdict: sent, if it arrived; again, if it is to be sent once more under the same Message-ID.
        grounds: who found out and how; kept in the audit trail.

    """
    from office.settling import is_given_up, settle_ambiguous  # noqa: PLC0415

    house = _premises()
    act = _act()
    with house.ledger.writing() as session:
        message = settle_ambiguous(session, act, _mail_number(number), verdict, grounds)
        old, campaign = is_given_up(message), _key_of(session, message.campaign_id)
    if message.state == "sent":
        _say(f"mail {number} is settled: it arrived")
    elif old:
        _say(
            f"mail {number} was tried too often to be tried again: the next `muster run deliver {campaign}` gives "
            f"it up, and then `muster resend {number} --grounds …` writes it anew"
        )
    else:
        _say(f"mail {number} waits to be sent once more; {_leaves(campaign)}")


@app.command
def resend(number: int, /, *, grounds: str) -> None:
    """Write a mail anew that was sent, bounced or refused: same occasion, a Message-ID of its own.

    Args:
        number: the mail's number, as `muster mails` lists it.
        grounds: who asked for it and why; kept in the audit trail.

    """
    from office import settling  # noqa: PLC0415

    house = _premises()
    with house.ledger.writing() as session:
        planned = settling.resend(session, house, _act(), _mail_number(number), grounds)
        campaign = _key_of(session, planned.campaign_id)
    _say(f"mail {planned.id} is planned in the place of mail {number}; {_leaves(campaign)}")


def _key_of(session: "Session", campaign_id: int) -> str:
    from ledger.tables import CampaignRow  # noqa: PLC0415

    return session.get_one(CampaignRow, campaign_id).key


def _leaves(campaign: str) -> str:
    return f"it leaves with `muster run deliver {campaign}`, or by itself where `muster serve` runs"


@app.command
def serve() -> None:
    """Stay up and send within seconds what anybody plans. Ctrl-C ends it after the run under way, twice at once."""
    _quiet_prefect()
    from flows.running import run_step  # noqa: PLC0415
    from flows.serving import serve as stay_up  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415
    from tasks.own_loop import OwnLoop  # noqa: PLC0415

    config = settings()
    _ = config.secret  # a placeholder is refused now, not with the first mail

    async def stay() -> bool:
        # In a thread of its own: in the main one Prefect would answer SIGTERM by breaking the run off.
        async with OwnLoop() as loop:

            async def deliver(campaign: str) -> str:
                return "; ".join(_tally_lines(await loop.run(run_step("deliver", campaign)))) or "nothing to do"

            return await stay_up(
                _premises(), deliver, poll_s=config.wake_poll_s, sweep_s=config.sweep_s, say=_say_with_time
            )

    _say(f"looking for mail to send every {config.wake_poll_s:g} s; Ctrl-C ends")
    if not asyncio.run(stay()):
        _say("ended at once; what was being sent goes back to the queue, or is in `muster queue`")
        raise KeyboardInterrupt
    _say("ended")


def _say_with_time(sentence: str) -> None:
    _say(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}  {sentence}")


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
    from definition.roster import ContactRole, RosterContact, Unit  # noqa: PLC0415
    from office.launching import join_unit  # noqa: PLC0415
    from rules.addresses import ADDRESS  # noqa: PLC0415

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
    """List what waits for a person: mails from units that nobody could place, and mails to them that may have left."""
    from office.queue import ambiguous_mails, waiting_for_a_person  # noqa: PLC0415

    house = _premises()
    with house.ledger.reading() as session:
        rows, lost = waiting_for_a_person(session), ambiguous_mails(session)
    columns = ("id", "received (UTC)", "campaign", "unit", "kind", "from", "subject", "why")
    _table(columns, rows, title="staff queue")
    _say(f"{len(rows)} waiting")
    if lost:
        _table(("id", "unit", "notice", "when", "address", "last word"), lost, title="may have left, or not")
        _say(f"{len(lost)} to be settled: `muster mail ID`, then `muster settle ID --as sent|again --grounds …`")


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
        rows = trail_of(session, unit, campaign)
    _table(("entry", "as of (UTC)", "who", "what", "detail"), rows, title=f"audit trail of {unit}")


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
