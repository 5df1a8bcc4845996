"""Commands of the papers: 督办单 and 通报 drafted, listed, approved, dropped."""

from pathlib import Path

from cli.desk import Refused, act, moment_of, premises, zone_of_campaign
from cli.leaving import when_answer_leaves
from cli.review import campaign_of
from cli.showing import say, table


def papers(campaign: str | None = None, *, to: Path | None = None) -> None:
    """List the papers: drafts that wait to be approved, what was approved under which number, what was dropped.

    Args:
        campaign: the campaign's key; all of them unless given.
        to: a folder to write those that were not dropped into, to be opened and printed.

    """
    from office.papers import STATE, list_papers  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        found = list_papers(session, campaign)
    rows = [(str(p.id), p.campaign, p.kind, p.state, p.grade, p.number, p.party, p.drafted) for p in found]
    table(("id", "campaign", "kind", "state", "grade", "number", "to", "drafted"), rows)
    standing = [p for p in found if p.state != STATE["dropped"]]
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
        for paper in standing:
            (to / f"{paper.id}-{paper.name}").write_bytes(house.files.get(paper.sha256))
        say(f"{len(standing)} files in {to}")
    waiting = sum(p.state == STATE["draft"] for p in found)
    say(
        f"{waiting} to be approved: `muster papers --to FOLDER` writes them out, `muster approve-paper ID --grounds …` "
        "sends one, `muster drop-paper ID --grounds …` does away with it"
        if waiting
        else "none waits to be approved; `muster draft-orders` and `muster draft-circulation` draft them"
    )


def draft_orders(campaign: str, *, as_of: str | None = None) -> None:
    """Draft a 督办单 for every unit that owes something overdue or due within three working days. Nothing is sent.

    Args:
        campaign: the campaign's key.
        as_of: the moment for which they are drafted; now unless given.

    """
    from office.papers import draft_orders as draft  # noqa: PLC0415
    from office.papers import write_ahead  # noqa: PLC0415

    house, now = premises(), act(moment_of(as_of, zone_of_campaign(campaign)))
    with house.ledger.reading() as session:
        ahead = write_ahead(session, now, campaign)
    with house.ledger.writing() as session:
        done = draft(session, house, now, campaign, ahead=ahead)
    say(
        f"{len(done.drafted)} orders drafted, {done.dropped} drafts dropped as nothing is left to demand, "
        f"{done.said} units passed over that have the same order already"
    )
    if done.wrote:
        say(f"see the staff queue first, mails of these units wait in it: {', '.join(done.wrote)}", style="yellow")
    if done.drafted:
        say(f"they lie in {house.reports / campaign / 'papers'}; `muster papers {campaign}` lists them")


def draft_circulation(campaign: str, *, as_of: str | None = None) -> None:
    """Draft the 通报 over what has fallen due. Nothing is sent.

    Args:
        campaign: the campaign's key.
        as_of: the moment for which it is drafted; now unless given.

    """
    from office.papers import draft_circulation as draft  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        done = draft(session, house, act(moment_of(as_of, zone_of_campaign(campaign))), campaign)
    [paper] = done.drafted
    say(f"drafted as paper {paper}; it lies in {house.reports / campaign / 'papers'}")


def approve_paper(*paper: int, grounds: str) -> None:
    """Approve papers: each is written anew with what holds now, numbered, and sent.

    A unit that has reported meanwhile gets none.

    Args:
        paper: their numbers, as `muster papers` lists them.
        grounds: who decided it and why; kept in the audit trail.

    """
    from ledger.papers import find_paper  # noqa: PLC0415
    from office.papers import approve_paper as approve  # noqa: PLC0415

    if not paper:
        raise Refused("name the papers to approve by their numbers; `muster papers` lists them")
    house = premises()
    for one in paper:
        with house.ledger.writing() as session:
            done = approve(session, house, act(), one, grounds=grounds)
            campaign = campaign_of(session, find_paper(session, one).campaign_id)
            leaves = when_answer_leaves(session, house, campaign)
        if done.dropped:
            say(f"paper {one} is dropped: the unit has reported everything it was to demand; no number is used up")
            continue
        changed = "; it says other than the draft, as the ledger does by now" if done.changed else ""
        say(f"paper {one} is {done.number}{changed}; {done.parties} mails planned: {leaves}")


def drop_paper(*paper: int, grounds: str) -> None:
    """Do away with drafts; a later drafting may draft them again.

    Args:
        paper: their numbers, as `muster papers` lists them.
        grounds: why; kept in the audit trail.

    """
    from office.papers import drop_paper as drop  # noqa: PLC0415

    house = premises()
    for one in paper:
        with house.ledger.writing() as session:
            drop(session, house, act(), one, grounds=grounds)
        say(f"paper {one} is dropped")
