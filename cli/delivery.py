"""Commands over what leaves: serve, stop and release, the lanes, and what is decided over single mails."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.campaigns import tally_lines
from cli.desk import act, mail_number, premises, use_prefect
from cli.leaving import say_what_the_fence_holds, when_mail_leaves
from cli.portal import portal_beside
from cli.showing import say, table, times_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from zoneinfo import ZoneInfo

    from sqlalchemy.orm import Session

    from flows.serving import Companion, Say
    from office.premises import Premises


def hold(*, campaign: str | None = None, lane: str | None = None, grounds: str) -> None:
    """Stop sending at once: a campaign, a lane, or everything. What waits goes on waiting.

    Args:
        campaign: stop only this campaign.
        lane: stop only this lane; `muster lanes` lists them.
        grounds: who decided it and why; kept in the audit trail.

    """
    from office import stops  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        scope = stops.scope_of(session, house, campaign, lane)
        placed = stops.hold(session, act(), scope, grounds)
    if placed:
        say(f"on hold: {scope}. A sender under way stops within a second; `muster release` lifts it")
    else:
        say(f"{scope} was on hold already; nothing was changed")
    _print_holds(house)


def release(*, campaign: str | None = None, lane: str | None = None, grounds: str) -> None:
    """Let sending go on: a campaign, a lane, or everything. Each hold is lifted by itself.

    Args:
        campaign: release this campaign.
        lane: release this lane; what its provider had refused is sent again.
        grounds: who decided it and why; kept in the audit trail.

    """
    from office import fence, stops  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        scope = stops.scope_of(session, house, campaign, lane)
        again = stops.release(session, act(), scope, grounds)
        behind, waiting = fence.held_by_campaign(session, house, campaign), fence.waiting_in(session, campaign)
    back = f"; {again} mails that were refused there wait again" if again else ""
    leaves = "what waits leaves with `muster run deliver CAMPAIGN`, or by itself under `muster up` or `muster serve`"
    if behind:
        others = waiting - behind.total()
        leaves = f"of what waits, the fence lets {others} through" if others else "no mail leaves yet"
    say(f"released: {scope}{back}; {leaves}")
    say_what_the_fence_holds(behind)
    _print_holds(house)


def _print_holds(house: "Premises") -> None:
    from ledger.senders import holds_in_force  # noqa: PLC0415
    from office.mailbook import local, one_line  # noqa: PLC0415
    from office.stops import zone_of_house  # noqa: PLC0415

    with house.ledger.reading() as session:
        found, zone = holds_in_force(session), zone_of_house(session)
    if not found:
        say("nothing is on hold")
        return
    rows = [(one.scope, local(one.since, zone), one.actor, one_line(one.grounds)) for one in found]
    table(("on hold", "since", "by", "grounds"), rows, title=times_of(zone.key))


def lanes() -> None:
    """Show what is on hold, and how fast mail goes to each provider now."""
    from office.fence import held_by_campaign  # noqa: PLC0415
    from office.mailbook import local, one_line  # noqa: PLC0415
    from office.stops import lanes_now, zone_of_house  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        found, zone = lanes_now(session, house, datetime.now(UTC)), zone_of_house(session)
        behind = held_by_campaign(session, house)
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
    table((*columns, "waiting", "held", "slowed because"), rows, title=times_of(zone.key))
    say_what_the_fence_holds(behind)


def settle(number: int, /, *, verdict: Annotated[str, Parameter(name="--as")], grounds: str) -> None:
    """Say what became of an ambiguous mail, of which nobody could tell whether it left.

    Args:
        number: the mail's number, as `muster queue` lists it.
        verdict: sent, if it arrived; again, if it is to be sent once more under the same Message-ID.
        grounds: who found out and how; kept in the audit trail.

    """
    from office.settling import is_given_up, settle_ambiguous  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        message = settle_ambiguous(session, act(), mail_number(number), verdict, grounds)
        old, campaign = is_given_up(message), _key_of(session, message.campaign_id)
        leaves = when_mail_leaves(session, house, number, campaign)
    if message.state == "sent":
        say(f"mail {number} is settled: it arrived")
    elif old:
        say(
            f"mail {number} was tried too often to be tried again: the next `muster run deliver {campaign}` gives "
            f"it up, and then `muster resend {number} --grounds …` writes it anew"
        )
    else:
        say(f"mail {number} waits to be sent once more; {leaves}")


def resend(number: int, /, *, grounds: str) -> None:
    """Write a mail anew that was sent, bounced or refused: same occasion, a Message-ID of its own.

    Args:
        number: the mail's number, as `muster mails` lists it.
        grounds: who asked for it and why; kept in the audit trail.

    """
    from office import settling  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        planned = settling.resend(session, house, act(), mail_number(number), grounds)
        superseded = settling.will_be_superseded(session, planned)
        leaves = when_mail_leaves(session, house, planned.id, _key_of(session, planned.campaign_id))
    if superseded:
        leaves = (
            "but it will not leave: all that it asks for was reported meanwhile, or is no longer owed by that date. "
            "The next `muster run deliver` marks it superseded"
        )
    say(f"mail {planned.id} is planned in the place of mail {number}; {leaves}")


def _key_of(session: "Session", campaign_id: int) -> str:
    from ledger.tables import CampaignRow  # noqa: PLC0415

    return session.get_one(CampaignRow, campaign_id).key


def serve(
    *,
    woken: bool = False,
    beat: Annotated[Path | None, Parameter(show=False)] = None,
) -> None:
    """Stay up: fetch and answer mail within a minute, and send within seconds what anybody plans.

    Ctrl-C ends it after the run under way, twice at once.

    Args:
        woken: run no step here: Prefect runs them, woken by the events told to it. So `muster up` calls it.
        beat: a file touched every few seconds.

    """
    use_prefect()
    from flows.serving import beating, stay_up  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415

    config, zone = settings(), _zone()
    _ = config.secret  # a placeholder is refused now, not with the first mail
    told = partial(_say_at, zone)
    staying = stay_up if woken else _sending_too(told)

    async def stay() -> bool:
        return await staying([*_companions(told), *([beating(beat)] if beat else [])])

    does = (
        "telling Prefect what happens, looking"
        if woken
        else f"looking for mail to send every {config.wake_poll_s:g} s,"
    )
    say(f"{does} into {premises().mailbox.name} every {config.imap_poll_s:g} s; {times_of(zone.key)}; Ctrl-C ends")
    if not asyncio.run(stay()):
        say("ended at once; what was being sent goes back to the queue, or is in `muster queue`")
        raise KeyboardInterrupt
    say("ended")


def _companions(told: "Say") -> "list[Companion]":
    """Return what runs until the end, whoever runs the steps: the mailbox, the units' pages, the teller of events."""
    from flows.polling import poller_of  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415
    from tasks.events import keep_telling  # noqa: PLC0415

    return [poller_of(premises(), poll_s=settings().imap_poll_s, say=told).poll, *portal_beside(), keep_telling]


def _sending_too(told: "Say") -> "Callable[[Sequence[Companion]], Awaitable[bool]]":
    """Return what runs the steps here that send and take in, beside companions, and returns whether none was cut."""
    from flows.running import run_step  # noqa: PLC0415
    from flows.serving import intake_serving  # noqa: PLC0415
    from flows.serving import serve as stay_up  # noqa: PLC0415
    from settings import settings  # noqa: PLC0415
    from tasks.own_loop import OwnLoop  # noqa: PLC0415

    house, every = premises(), {"poll_s": settings().wake_poll_s, "sweep_s": settings().sweep_s}

    async def send_too(beside: "Sequence[Companion]") -> bool:
        # In a thread of its own: in the main one Prefect would answer SIGTERM by breaking the run off.
        async with OwnLoop() as loop:

            async def deliver(campaign: str) -> str:
                return "; ".join(tally_lines(await loop.run(run_step("deliver", campaign)))) or "nothing to do"

            async def collect(campaign: str) -> str:
                done = await loop.run(run_step("collect", campaign, fetch=False))
                return "; ".join(tally_lines(done)) or "nothing to do"

            intake = intake_serving(house, collect, say=told, **every).serve
            return await stay_up(house, deliver, say=told, beside=[intake, *beside], **every)

    return send_too


def _zone() -> "ZoneInfo":
    from office.stops import zone_of_house  # noqa: PLC0415

    with premises().ledger.reading() as session:
        return zone_of_house(session)


def _say_at(zone: "ZoneInfo", sentence: str) -> None:
    say(f"{datetime.now(zone):%Y-%m-%d %H:%M:%S}  {sentence}")
