"""Choosing what a decision is about, as staff name it: the campaign; everybody, categories, units; a material."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable
from ledger.campaigns import deliverable_ids
from ledger.tables import CampaignRow, CampaignState, ObligationRow, PartyKind, PartyRow
from office.refusals import Mistaken
from office.rulebook import Rulebook

EVERYBODY = "all"
IN_CHINESE = ("全部", "全体", "全体单位", "所有单位")  # names of everybody
COMMAS = str.maketrans("，、；;\n", ",,,,,")


def names_in(text: str) -> list[str]:
    """Return the names that a text lists: separated by commas of either kind; everybody may be named in Chinese."""
    names = [name.strip() for name in text.translate(COMMAS).split(",")]
    return [EVERYBODY if name in IN_CHINESE else name for name in names if name]


def campaign_meant(session: Session, named: str) -> CampaignRow:
    """Return the campaign named by its key or title; where none is named, the only one that is not closed.

    Raises:
        Mistaken: there is none, or several are open.

    """
    rows = session.scalars(select(CampaignRow).order_by(CampaignRow.id)).all()
    if named.strip():
        found = [row for row in rows if named.strip() in (row.key, row.title)]
        known = ", ".join(row.key for row in rows) or "none"
        if len(found) != 1:
            raise Mistaken(
                "unknown_campaign",
                f"no campaign {named!r} has been launched; there are {known}",
                named=named.strip(),
                known="、".join(row.key for row in rows) or "无",
            )
        return found[0]
    still = [row for row in rows if row.state != CampaignState.CLOSED]
    if not still:
        raise Mistaken("no_campaign", "no campaign is open; name one by its key")
    if len(still) > 1:
        keys = [row.key for row in still]
        raise Mistaken("several_campaigns", f"{', '.join(keys)} are open; name one by its key", known="、".join(keys))
    return still[0]


def units_named(session: Session, row: CampaignRow, book: Rulebook, names: Sequence[str]) -> list[PartyRow]:
    """Return the units that some names mean: ``all``, a category, a unit's code or name. Who has left is none of them.

    Raises:
        ValueError: a name means nobody, or none is given.

    """
    units = _taking_part(session, row)
    wanted = [name.strip() for name in names if name.strip()]
    if not wanted:
        raise Mistaken("nobody_named", "say whom it is about: all, a category, or units by their codes")
    gone = select(PartyRow.code, PartyRow.name).where(PartyRow.campaign_id == row.id, PartyRow.left_at.is_not(None))
    names_of = (*((unit.code, unit.name) for unit in units),)
    known = {EVERYBODY, *book.campaign.categories, *(name for pair in names_of for name in pair)}
    left = {name for pair in session.execute(gone) for name in pair} - known
    for name in wanted:
        if name in left:
            raise Mistaken(
                "has_left", f"{name} has left {row.key}; `muster come-back {name} --grounds …` first", named=name
            )
        if name not in known:
            categories = ", ".join(book.campaign.categories)
            raise Mistaken(
                "unknown_whom",
                f"{name!r} means no unit of {row.key}; use all, a category ({categories}), or codes",
                named=name,
                categories="、".join(book.campaign.categories),
            )
    return [u for u in units if _means(wanted, u)]


def units_meant(session: Session, row: CampaignRow, names: Sequence[str]) -> list[PartyRow]:
    """Return the units that take part now of those that an earlier decision named."""
    return [unit for unit in _taking_part(session, row) if _means(names, unit)]


def _taking_part(session: Session, row: CampaignRow) -> list[PartyRow]:
    query = select(PartyRow).where(
        PartyRow.campaign_id == row.id, PartyRow.kind == PartyKind.UNIT, PartyRow.left_at.is_(None)
    )
    return list(session.scalars(query.order_by(PartyRow.id)))


def _means(names: Sequence[str], unit: PartyRow) -> bool:
    return EVERYBODY in names or unit.category in names or unit.code in names or unit.name in names


def owed_of(
    session: Session, row: CampaignRow, book: Rulebook, deliverable: str, occurrence: str | None
) -> list[ObligationRow]:
    """Return all obligations of a deliverable, named by key, title or label; of a series those of one occurrence.

    Raises:
        ValueError: there is no such deliverable, or none of that occurrence, or several.

    """
    key = deliverable_named(book, deliverable)
    query = select(ObligationRow).where(
        ObligationRow.campaign_id == row.id, ObligationRow.deliverable_id == deliverable_ids(session, row.id)[key]
    )
    found = list(session.scalars(query.order_by(ObligationRow.id)))
    occurrences = sorted({o.occurrence for o in found})
    if occurrence is not None and occurrence not in occurrences:
        raise Mistaken(
            "unknown_occurrence",
            f"{key} has no occurrence {occurrence!r}; there are {', '.join(occurrences) or 'none'}",
            named=deliverable,
            occurrence=occurrence,
            known="、".join(one for one in occurrences if one) or "无",
        )
    return [o for o in found if occurrence is None or o.occurrence == occurrence]


def deliverable_named(book: Rulebook, named: str) -> str:
    """Return the key of a deliverable by key, title or label.

    Raises:
        ValueError: there is none, with those that there are.

    """
    return deliverable_of(book.campaign, named).key


def deliverable_of(campaign: Campaign, named: str) -> Deliverable:
    """Return a deliverable of a campaign by key, title or label; the title may stand in its brackets.

    Raises:
        ValueError: there is none, with those that there are.

    """
    bare = named.strip().removeprefix("《").removesuffix("》")
    found = [d for d in campaign.deliverables if bare and bare in (d.key, d.title, d.label)]
    if len(found) != 1:
        raise Mistaken(
            "unknown_deliverable",
            f"no deliverable {named!r}; there are {', '.join(d.key for d in campaign.deliverables)}",
            named=named.strip(),
            known="、".join(f"{d.label}{d.title}" if d.label else d.title for d in campaign.deliverables),
        )
    return found[0]


def one_occurrence(obligations: Sequence[ObligationRow], named: str) -> Sequence[ObligationRow]:
    """Return obligations that are all of one occurrence.

    Raises:
        ValueError: they are of several: a new deadline is that of one.

    """
    occurrences = sorted({o.occurrence for o in obligations})
    if len(occurrences) > 1:
        raise Mistaken(
            "which_occurrence",
            f"{named} is a series ({', '.join(occurrences)}): say which with --occurrence",
            named=named,
            known="、".join(occurrences),
        )
    return obligations
