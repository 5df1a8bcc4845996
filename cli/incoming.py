"""Commands over a mail that came in and waits for a person: take it in for a unit, answer it, dismiss it."""

from cli.desk import act, premises
from cli.leaving import when_answer_leaves, when_mail_leaves
from cli.showing import say


def assign(
    number: str,
    unit: str,
    *,
    deliverable: str | None = None,
    campaign: str | None = None,
    grounds: str = "staff knew whose it is",
) -> None:
    """Take in the files of a mail that waits, for the unit it belongs to. The unit gets one answer.

    Args:
        number: the mail, such as in-1; `muster queue` lists them.
        unit: the unit's code.
        deliverable: which document it is, by key or title, where its name does not say so.
        campaign: the campaign's key, where a unit takes part in several.
        grounds: how it was found out whose it is; kept in the audit trail.

    """
    from ledger.tables import CampaignRow  # noqa: PLC0415
    from office.placing import assign as take  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        party = find_unit(session, unit, campaign)
        taken = take(session, house, act(), number, party, deliverable=deliverable, grounds=grounds)
        leaves = when_answer_leaves(session, house, session.get_one(CampaignRow, party.campaign_id).key)
    for problem in taken.problems:
        say(problem)
    rest = f"; {number} stays in the queue for the rest" if taken.problems else f"; {number} is closed"
    known = "" if taken.recorded or taken.problems else " (handed in before, byte for byte)"
    answer = f". The answer is planned: {leaves}" if taken.notice else ""
    say(f"{taken.recorded} recorded for {unit}{known}{rest}{answer}")


def answer(number: str, text: str, *, campaign: str | None = None) -> None:
    """Answer whoever wrote a mail that waits, and close its row.

    Args:
        number: the mail, such as in-1; `muster queue` lists them.
        text: what to answer; the reader sees it as it is.
        campaign: in whose name a stranger is answered, where several campaigns run.

    """
    from ledger.tables import CampaignRow  # noqa: PLC0415
    from office.placing import answer as write  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        mail = write(session, house, act(), number, text, campaign=campaign)
        key = session.get_one(CampaignRow, mail.campaign_id).key
        leaves, planned = when_mail_leaves(session, house, mail.id, key), mail.id
    say(f"{number} is answered by mail {planned}: {leaves}")


def dismiss(number: str, *, grounds: str) -> None:
    """Close a mail that waits and asks for nothing. It is kept, and `muster mail` still shows it.

    Args:
        number: the mail, such as in-1; `muster queue` lists them.
        grounds: why nothing is to be done; kept in the audit trail.

    """
    from office.placing import dismiss as close  # noqa: PLC0415

    with premises().ledger.writing() as session:
        close(session, act(), number, grounds)
    say(f"{number} is dismissed")
