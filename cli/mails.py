"""Commands over single mails: find them, look at one, send oneself samples."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Column

from cli.desk import Refused, act, mail_number, premises, quiet_prefect
from cli.leaving import go_live_command, say_what_the_fence_holds
from cli.showing import rule, say, table, times_of

if TYPE_CHECKING:
    from office.mailbook import Bytes, MailLine, MailView
    from rules.delivery import Unsent


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
    from office.fence import held_among, held_by_campaign  # noqa: PLC0415
    from office.mailbook import list_mails  # noqa: PLC0415
    from office.waiting import why_waiting  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        found = list_mails(session, campaign=campaign, unit=unit, state=state, notice=notice, limit=limit)
        numbers = [int(line.id) for line in found.lines]
        shown = set(held_among(session, house, numbers).values())
        behind = {key: n for key, n in held_by_campaign(session, house, campaign).items() if key in shown}
        waits = why_waiting(session, house, act(), numbers)
    several = found.campaigns > 1
    planned, notice_, state_, lane = (Column(c, no_wrap=True) for c in ("planned", "notice", "state", "lane"))
    subject = Column("subject", no_wrap=True, max_width=16)  # the whole of it is for `muster mail`
    columns = (planned, "unit", notice_, "occasion", state_, "address", lane, subject, "reason")
    lines = [line._replace(reason=_reason(line, waits)) for line in found.lines]
    rows = [line if several else (line.id, *line[2:]) for line in lines]
    table(
        (Column("id", no_wrap=True), *(["campaign"] if several else []), *columns),
        rows,
        title=times_of(", ".join(found.zones)),
    )
    count = len(found.lines)
    more = f"; --limit {found.matching} shows all, --unit, --state and --notice fewer" if count < found.matching else ""
    say(f"{count} of {found.matching} mails{more}; `muster mail ID` shows one")
    say_what_the_fence_holds(behind)


def _reason(line: "MailLine", waits: "Mapping[int, tuple[Unsent | None, str]]") -> str:
    """Return why a mail is where it is; of one that waits, when it can go too."""
    said = waits.get(int(line.id), (None, ""))[1]
    return "; ".join(part for part in (line.reason, said) if part)


def mail(
    mail_or_campaign: str,
    /,
    *,
    to_me: str | None = None,
    eml: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
) -> None:
    """Show one mail and all that happened to it; or, with --to-me, send samples of a campaign's notices to oneself.

    Args:
        mail_or_campaign: a mail's number, as `muster mails` or `muster queue` lists it; with --to-me a campaign's key.
        to_me: the operator's address: each notice is sent there as a sample, and no unit is written to.
        eml: write the mail's exact bytes to this file; - is standard output.

    """
    if to_me is not None:
        if eml is not None:
            raise Refused("--eml is for one mail, and --to-me for samples; use one of them")
        _send_samples(mail_or_campaign, to_me)
        return
    if mail_or_campaign.startswith("in-"):
        _show_incoming(mail_or_campaign, eml)
        return
    if not (mail_or_campaign.isascii() and mail_or_campaign.isdigit()):
        raise Refused(
            f"{mail_or_campaign!r} is no mail's number; `muster mails` lists those to units, `muster queue` those that "
            f"wait for a person (in-1 is one that came in), "
            f"and `muster mail {mail_or_campaign} --to-me ADDRESS` sends samples"
        )
    _show_mail(mail_number(int(mail_or_campaign)), eml)


def _send_samples(campaign: str, to_me: str) -> None:
    quiet_prefect()
    from tasks.samples import send_samples  # noqa: PLC0415

    for notice, outcome in asyncio.run(send_samples(campaign, to_me)):
        say(f"{notice}: {outcome.state} {outcome.code or ''} {outcome.text}")
        if outcome.state != "sent":
            raise Refused("the relay did not take the sample; see MUSTER_SMTP_HOST and the settings beside it")


def _show_mail(number: int, eml: Path | None) -> None:
    from office.fence import held_among  # noqa: PLC0415
    from office.mailbook import bytes_of, view_mail  # noqa: PLC0415
    from office.skeletons import LostBytesError  # noqa: PLC0415
    from office.waiting import why_waiting  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        if eml is None:
            _print_view(view_mail(session, number))
            for _, said in why_waiting(session, house, act(), [number]).values():
                say(f"waits: {said}")
            for campaign in held_among(session, house, [number]).values():
                say(f"held by the fence: it does not leave before {go_live_command(campaign)}")
        try:
            composed = bytes_of(session, house, number)
        except LostBytesError as error:
            raise Refused(f"the bytes of mail {number} cannot be shown: {error}") from None
    if eml is not None:
        if isinstance(composed, str):
            raise Refused(f"mail {number} has no bytes: {composed}")
        _write_eml(str(number), composed, eml)
    elif isinstance(composed, str):
        say(f"\n{composed}")
    else:
        _print_text(str(number), composed)


def _show_incoming(number: str, eml: Path | None) -> None:
    from office.incoming import bytes_of_incoming, facts_of, find_incoming  # noqa: PLC0415
    from office.stops import zone_of_house  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        row, zone = find_incoming(session, number), zone_of_house(session)
        if eml is None:
            say(f"incoming mail {number}, {times_of(zone.key)}")
            _print_facts(facts_of(session, row, zone))
        try:
            came = bytes_of_incoming(house, row)
        except FileNotFoundError:
            raise Refused(f"the bytes of mail {number} cannot be shown: they are no longer in the file store") from None
    if eml is not None:
        _write_eml(number, came, eml)
    else:
        _print_text(number, came)


def _print_view(view: "MailView") -> None:
    say(f"mail {view.id}, {times_of(view.zone)}")
    _print_facts(view.facts)
    if view.items:
        rows = [(i.title, i.unit, i.rung, i.due, "gone" if i.gone else "yes") for i in view.items]
        table(("item", "of", "rung", "due", "stands"), rows)
    for item in view.items:
        if item.now:
            say(f"{item.title} of {item.unit}: written before its deadline was moved; what holds now is {item.now}")
    for number, attempt in enumerate(view.attempts, start=1):
        where = ", ".join(part for part in (attempt.address, attempt.lane and f"lane {attempt.lane}") if part)
        run = f", flow run {attempt.run}" if attempt.run else ""
        say(f"{number:>3}. {attempt.as_of}  {attempt.state}  {where}".rstrip())
        if attempt.said:
            say(f"     {attempt.said}")
        say(f"     by the clock {attempt.at}{run}")
    if not view.attempts:
        say("no attempt yet")


def _print_facts(facts: Sequence[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        say(f"  {name:<{width}}  {value}")


def _print_text(number: str, composed: "Bytes") -> None:
    say(f"{rule()}\n{composed.text}\n{rule()}")
    for name, octets in composed.attachments:
        say(f"enclosed: {name} ({octets:,} bytes)")
    path = Path(f"mail-{number}.eml")
    say(f"{composed.size:,} bytes, sha256 {composed.sha256}")
    say(f"`muster mail {number} --eml {path}` writes them to {path.resolve()}; --eml - to standard output")


def _write_eml(number: str, composed: "Bytes", to: Path) -> None:
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
    say(f"{path}: {composed.size:,} bytes, sha256 {composed.sha256}")
