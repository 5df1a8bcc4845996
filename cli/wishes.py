"""Commands over what units ask for, over their contacts and links, and over telephone calls."""

from cli.desk import Refused, act, premises
from cli.leaving import when_answer_leaves
from cli.review import campaign_of, day_or_moment
from cli.showing import say, table, times_of


def requests(campaign: str | None = None) -> None:
    """List the requests that wait for staff: extensions, changes of contact.

    Args:
        campaign: the campaign's key; all of them unless given.

    """
    from ledger.campaigns import find_campaign  # noqa: PLC0415
    from office.stops import zone_of_house  # noqa: PLC0415
    from office.worklists import waiting_requests  # noqa: PLC0415

    with premises().ledger.reading() as session:
        zone = zone_of_house(session, campaign)
        only = find_campaign(session, campaign).id if campaign is not None else None
        rows = waiting_requests(session, zone, only)
    title = f"requests, {times_of(zone.key)}"
    table(("id", "asked", "campaign", "unit", "wish", "reason", "do"), rows, title=title)
    say(f"{len(rows)} to be decided: `muster grant ID --grounds …` or `muster refuse ID --grounds …`")


def grant(request: int, *, grounds: str, until: str | None = None) -> None:
    """Grant a request: the deadline moves and is chased anew, or the contact changes. The unit is told.

    Args:
        request: its number, as `muster requests` lists it.
        grounds: who decided it and why; kept in the audit trail.
        until: of an extension, another day than the one asked for.

    """
    from office.requests import grant as decide  # noqa: PLC0415

    day = day_or_moment(until) if until is not None else None
    house = premises()
    with house.ledger.writing() as session:
        decision = decide(session, house, act(), request, grounds=grounds, until=day)
        leaves = when_answer_leaves(session, house, campaign_of(session, decision.campaign_id))
    say(f"request {request} is granted; the unit is told: {leaves}")


def refuse(request: int, *, grounds: str) -> None:
    """Refuse a request; the unit reads the grounds in its mail.

    Args:
        request: its number, as `muster requests` lists it.
        grounds: why, in words for the unit.

    """
    from office.requests import refuse as decide  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        decision = decide(session, house, act(), request, grounds=grounds)
        leaves = when_answer_leaves(session, house, campaign_of(session, decision.campaign_id))
    say(f"request {request} is refused; the unit is told: {leaves}")


def contact(
    unit: str,
    *,
    email: str,
    grounds: str,
    role: str | None = None,
    name: str = "",
    phone: str = "",
    campaign: str | None = None,
) -> None:
    """Correct a unit's contact: it comes first of its role from now on, and both the new and the old one are told.

    Args:
        unit: the unit's code.
        email: the address that works.
        grounds: who said so; the contacts read it in their mail.
        role: which contact it is: liaison, duty or responsible.
        name: the person's name.
        phone: the telephone.
        campaign: the campaign's key, where a unit takes part in several.

    """
    from office.contact_changes import change_contact, read_named, which_role  # noqa: PLC0415
    from office.review import grounds_of  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        party = find_unit(session, unit, campaign)
        if role is None:
            raise Refused(which_role(session, party))
        named = read_named(role, name, email, phone)
        said = grounds_of(grounds, "the contact changes")
        changed = change_contact(session, house, act(), party, named, said, works=True)
        leaves = when_answer_leaves(session, house, campaign_of(session, party.campaign_id))
    if changed is None:
        raise Refused(f"{named.address} is the first {role} of {unit} already; nothing was changed")
    say(f"{named.address} is the first {role} of {unit} from now on; it is told: {leaves}")


def revoke_links(unit: str, *, grounds: str, campaign: str | None = None) -> None:
    """Make every link to the pages of a unit invalid; later mails carry new ones.

    Args:
        unit: the unit's code.
        grounds: why; kept in the audit trail.
        campaign: the campaign's key, where a unit takes part in several.

    """
    from office.review import revoke_links as revoke  # noqa: PLC0415
    from office.units import find_unit  # noqa: PLC0415

    with premises().ledger.writing() as session:
        revoke(session, act(), find_unit(session, unit, campaign), grounds)
    say(f"all links of {unit} given out so far are invalid; `muster link {unit}` prints a new one to pass on")


def calls(campaign: str) -> None:
    """List the units that no mail reaches, with their telephones, what they owe, and the last call.

    Args:
        campaign: the campaign's key.

    """
    from office.calls import telephone_list  # noqa: PLC0415

    with premises().ledger.reading() as session:
        found = telephone_list(session, campaign)
    rows = [(t.code, t.name, "\n".join(t.phones) or "—", "\n".join(t.owes) or "—", t.last or "—") for t in found]
    table(("代码", "单位", "电话", "未报", "上次通话"), rows, title="电话联系名单")
    verbs = "`muster call UNIT --said …`; `muster contact UNIT --role … --email …` corrects an address"
    say(f"{len(rows)} to telephone: {verbs}")


def call(
    unit: str, *, said: str, deliverable: str | None = None, campaign: str | None = None, occurrence: str | None = None
) -> None:
    """Log a telephone call with a unit.

    Args:
        unit: the unit's code.
        said: with whom, and what was said.
        deliverable: what it was about, by key, title or label.
        campaign: the campaign's key, where a unit takes part in several.
        occurrence: of a series, which one, such as 2023-07-07.

    """
    from office.calls import log_call  # noqa: PLC0415
    from office.units import find_obligation, find_unit  # noqa: PLC0415

    with premises().ledger.writing() as session:
        party = find_unit(session, unit, campaign)
        about = find_obligation(session, party, deliverable, occurrence) if deliverable is not None else None
        log_call(session, act(), party, said, obligation=about)
    say(f"the call with {unit} is on record")
