"""Commands over rungs of the ladder that go out only when staff agree."""

from datetime import datetime

from cli.desk import Refused, act, premises
from cli.leaving import when_answer_leaves
from cli.review import day_or_moment
from cli.showing import say, table


def approvals(occasion: str | None = None, *, campaign: str | None = None) -> None:
    """List what waits for consent; with an occasion, what its list names.

    Args:
        occasion: such as escalate:2:2020-06-11.
        campaign: the campaign's key; all of them unless given.

    """
    from office.approvals import list_shown, waiting_lists  # noqa: PLC0415

    with premises().ledger.reading() as session:
        if occasion is not None:
            table(("to", "unit", "owes", "was due"), list_shown(session, occasion, campaign), title=occasion)
            return
        rows = waiting_lists(session, campaign)
    table(("occasion", "campaign", "rung", "units", "items", "asked"), rows)
    say(f"{len(rows)} to be decided: `muster approve OCCASION --grounds …` or `muster decline OCCASION --grounds …`")


def approve(occasion: str, *, grounds: str, campaign: str | None = None) -> None:
    """Let a rung go out, to those whom the list names and who have not reported since.

    Args:
        occasion: as `muster approvals` lists it.
        grounds: who agreed and why; kept in the audit trail.
        campaign: the campaign's key, where several have the same occasion.

    """
    from office.approvals import approve as consent  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        done = consent(session, house, act(), occasion, grounds=grounds, campaign=campaign)
        leaves = when_answer_leaves(session, house, done.campaign)
    dropped = f"; {done.left_out} of its items have been dealt with since" if done.left_out else ""
    if done.mails:
        say(f"{occasion} is approved: {done.mails} mail(s) planned{dropped}; they leave within the window: {leaves}")
    else:
        say(f"{occasion} is approved, and nothing goes out{dropped}")


def decline(occasion: str, *, grounds: str, until: str | None = None, campaign: str | None = None) -> None:
    """Keep a rung from going out; the rungs above wait too. Staff are asked again later.

    Args:
        occasion: as `muster approvals` lists it.
        grounds: who decided it and why; kept in the audit trail.
        until: the day on which to be asked again; the next working day unless given.
        campaign: the campaign's key, where several have the same occasion.

    """
    from office.approvals import decline as keep_back  # noqa: PLC0415

    day = day_or_moment(until) if until is not None else None
    if isinstance(day, datetime):
        raise Refused(f"{until!r} names an hour; give a day, as 2020-06-20")
    with premises().ledger.writing() as session:
        again = keep_back(session, act(), occasion, grounds=grounds, until=day, campaign=campaign)
    say(f"{occasion} is declined; what is still owed is asked about again from {again:%Y-%m-%d} on")
