"""What may be promised of mail that waits: when it leaves, or what it stays behind."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cli.showing import say

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from office.premises import Premises


def go_live_command(campaign: str) -> str:
    """Return the command that opens a campaign's fence."""
    return f'`muster go-live {campaign} --grounds "…"`'


def when_mail_leaves(session: "Session", house: "Premises", message_id: int, campaign: str) -> str:
    """Say when a waiting mail leaves."""
    from office.fence import held_among  # noqa: PLC0415

    return _when(campaign, behind_the_fence=bool(held_among(session, house, [message_id])))


def when_answer_leaves(session: "Session", house: "Premises", campaign: str) -> str:
    """Say when a campaign's mail to a unit leaves, before anybody looks to which address it goes."""
    from office.fence import is_open  # noqa: PLC0415

    but = ", but for addresses on MUSTER_ALLOW_LIST," if house.allow_list else ""
    return _when(campaign, behind_the_fence=not is_open(session, house, campaign), but=but)


def _when(campaign: str, *, behind_the_fence: bool, but: str = "") -> str:
    leaves = f"it leaves with `muster run deliver {campaign}`, or by itself under `muster up` or `muster serve`"
    if not behind_the_fence:
        return leaves
    return f"it stays behind the fence{but} until {go_live_command(campaign)} opens it; from then on {leaves}"


def fence_line(campaign: str, count: int) -> str:
    """Say how much of a campaign's mail the fence holds, and what opens it."""
    return f"behind the fence of {campaign}: {count}; no such mail leaves before {go_live_command(campaign)}"


def say_what_the_fence_holds(held: Mapping[str, int]) -> None:
    """Print a line for each campaign whose mail the fence holds."""
    for campaign, count in held.items():
        say(fence_line(campaign, count))
