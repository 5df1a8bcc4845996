"""Choosing whom a decision is about: everybody, categories, units by code."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.campaigns import deliverable_ids
from ledger.tables import CampaignRow, ObligationRow, PartyKind, PartyRow
from office.rulebook import Rulebook

EVERYBODY = "all"


def units_named(session: Session, row: CampaignRow, book: Rulebook, names: Sequence[str]) -> list[PartyRow]:
    """Return the units that some names mean: ``all``, a category, or a unit's code. Who has left is none of them.

    Raises:
        ValueError: a name means nobody, or none is given.

    """
    units = _taking_part(session, row)
    wanted = [name.strip() for name in names if name.strip()]
    if not wanted:
        raise ValueError("say whom it is about: all, a category, or units by their codes")
    left = set(
        session.scalars(select(PartyRow.code).where(PartyRow.campaign_id == row.id, PartyRow.left_at.is_not(None)))
    )
    known = {EVERYBODY, *book.campaign.categories, *(unit.code for unit in units)}
    for name in wanted:
        if name in left:
            raise ValueError(f"{name} has left {row.key}; `muster come-back {name} --grounds …` first")
        if name not in known:
            categories = ", ".join(book.campaign.categories)
            raise ValueError(f"{name!r} means no unit of {row.key}; use all, a category ({categories}), or codes")
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
    return EVERYBODY in names or unit.category in names or unit.code in names


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
        raise ValueError(f"{key} has no occurrence {occurrence!r}; there are {', '.join(occurrences) or 'none'}")
    return [o for o in found if occurrence is None or o.occurrence == occurrence]


def deliverable_named(book: Rulebook, named: str) -> str:
    """Return the key of a deliverable by key, title or label.

    Raises:
        ValueError: there is none, with those that there are.

    """
    found = [d.key for d in book.campaign.deliverables if named in (d.key, d.title, d.label)]
    if len(found) != 1:
        raise ValueError(f"no deliverable {named!r}; there are {', '.join(d.key for d in book.campaign.deliverables)}")
    return found[0]


def one_occurrence(obligations: Sequence[ObligationRow], named: str) -> Sequence[ObligationRow]:
    """Return obligations that are all of one occurrence.

    Raises:
        ValueError: they are of several: a new deadline is that of one.

    """
    occurrences = sorted({o.occurrence for o in obligations})
    if len(occurrences) > 1:
        raise ValueError(f"{named} is a series ({', '.join(occurrences)}): say which with --occurrence")
    return obligations
