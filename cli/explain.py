"""The command that explains one obligation, in the words of the office."""

from cli.desk import moment_of, premises
from cli.showing import say


def explain(
    unit: str,
    deliverable: str,
    *,
    occurrence: str | None = None,
    campaign: str | None = None,
    as_of: str | None = None,
) -> None:
    """Explain in plain words what a unit owes and why by then, what was sent and what not, and what comes next.

    Args:
        unit: the unit's code.
        deliverable: its key, title or label, such as 附件4.
        occurrence: of a series, which one, such as 2023-07-07.
        campaign: the campaign's key, where a unit takes part in several.
        as_of: a past moment, explained with what was known then; now unless given.

    """
    from office.explaining import explain as explained  # noqa: PLC0415
    from office.stops import zone_of_house  # noqa: PLC0415
    from tasks.desk import now  # noqa: PLC0415

    house = premises()
    with house.ledger.reading() as session:
        moment = moment_of(as_of, zone_of_house(session, campaign).key)
        parts = explained(
            session,
            house,
            moment or now(),
            unit,
            deliverable,
            occurrence=occurrence,
            campaign=campaign,
            replay=moment is not None,
        )
    for number, part in enumerate(parts):
        say(("" if number == 0 else "\n") + part.heading, style="bold")
        for line in part.lines:
            say(f"  {line}")
