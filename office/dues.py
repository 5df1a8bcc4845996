"""New due instants: a date as staff or a unit state it, against what the campaign allows."""

from datetime import date, datetime

from ledger.acts import Act
from ledger.tables import ObligationRow
from office.refusals import NotPossible
from office.rulebook import Rulebook
from rules.deadlines import StatedDeadline, due_instant


def new_due(book: Rulebook, act: Act, stated: date | datetime) -> datetime:
    """Return the due instant of a new deadline: a day (inclusive), or an aware or local moment.

    Raises:
        NotPossible: it has passed, or lies after the day on which the campaign closes.

    """
    if isinstance(stated, datetime):
        local = stated if stated.tzinfo is None else stated.astimezone(book.zone)
        deadline = StatedDeadline(day=local.date(), at=local.time().replace(second=0, microsecond=0))
    else:
        deadline = StatedDeadline(day=stated)
    closes = book.campaign.closes_on
    if book.close_at <= act.as_of:
        raise NotPossible(
            "bad_due",
            f"the campaign closed on {closes}; first `muster reopen-campaign {book.campaign.key} --until DAY`",
            staff="campaign_over",
            closes=f"{closes.month}月{closes.day}日",
        )
    # A day beyond the close comes first: of the calendar's last day there is no next midnight.
    due = due_instant(deadline, book.zone) if deadline.day <= closes else None
    if due is None or due <= act.as_of:
        raise NotPossible(
            "bad_due",
            f"the new deadline {stated.isoformat()} has passed, or lies after the campaign's close on {closes}; "
            "name a day from today to that",
            closes=f"{closes.month}月{closes.day}日",
        )
    return due


def due_after_return(book: Rulebook, act: Act, obligation: ObligationRow) -> datetime | None:
    """Return by when a correction is owed if staff name no day: the old instant if it is to come, else some days on.

    Voluntary materials have none.
    """
    if obligation.due_at is None or obligation.due_at > act.as_of:
        return obligation.due_at
    today = act.as_of.astimezone(book.zone).date()
    days = book.campaign.returns.working_days
    return due_instant(StatedDeadline(day=book.hours.calendar.add_working_days(today, days)), book.zone)
