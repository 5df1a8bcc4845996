"""The circulation (通报) from the ledger: rates by category, ranking, and who is named for what."""

from collections.abc import Callable, Iterable

from sqlalchemy.orm import Session

from documents.circulation import Circulation, Named, RankLine, write_circulation
from ledger.acts import Act
from ledger.facts import Party, load_obligations, party_names
from ledger.tables import CampaignRow
from office import wording
from office.nil import nil_versions
from office.rulebook import Rulebook
from rules.obligations import REPORTED, Obligation, Standing, counting_version, is_on_time, standing
from rules.ranking import UnitStanding, fallen_due, standings
from rules.rates import totals
from rules.supervision import demanded_by


def circulation_at(session: Session, row: CampaignRow, book: Rulebook, act: Act, *, number: str = "") -> Circulation:
    """Return what a circulation says at a moment: only of what has fallen due."""
    campaign, zone, contact = book.campaign, book.zone, book.campaign.contact
    obligations = load_obligations(session, row.id)
    due = fallen_due(obligations, act.as_of)
    parties = party_names(session, row.id)
    nil = nil_versions(session, row.id)
    ranking = standings(obligations, act.as_of)
    demanded = demanded_by((), act.as_of, book.hours, within=campaign.papers.yellow_within)
    return Circulation(
        number=number,
        campaign=campaign.title,
        issuer=campaign.issuer,
        as_of=wording.moment_text(act.as_of, zone),
        date=wording.date_text(act.as_of, zone),
        demanded=wording.stated_text(demanded),
        contact=f"联系人：{contact.name}，电话：{contact.phone}。",
        categories=tuple((c, totals(o for o in due if o.category == c)) for c in campaign.categories),
        ranking=tuple(_line(parties, one) for one in ranking),
        praised=tuple(parties[one.party_id].name for one in ranking if one.all_on_time),
        late=_named(book, parties, due, lambda o: is_on_time(o) is False),
        returned=_named(book, parties, due, lambda o: standing(o) is Standing.RETURNED),
        missing=_named(book, parties, due, lambda o: standing(o) is Standing.MISSING),
        nothing=tuple(parties[one.party_id].name for one in ranking if one.reported_nothing),
        nil=_units(book, parties, (o for o in due if _is_nil(o, nil))),
    )


def circulation_document(paper: Circulation) -> bytes:
    """Return a circulation as a Word file."""
    return write_circulation(paper)


def _line(parties: dict[int, Party], one: UnitStanding) -> RankLine:
    party = parties[one.party_id]
    return RankLine(rank=one.rank, unit=party.name, category=party.category, totals=one.totals)


def _is_nil(ob: Obligation, nil: frozenset[tuple[int, int]]) -> bool:
    version = counting_version(ob.versions)
    return standing(ob) in REPORTED and version is not None and (ob.id, version.number) in nil


def _named(
    book: Rulebook, parties: dict[int, Party], due: Iterable[Obligation], fits: Callable[[Obligation], bool]
) -> tuple[Named, ...]:
    """Return the units of which something fits, by category in the campaign's order."""
    found = [ob for ob in due if fits(ob)]
    groups = ((c, _units(book, parties, (o for o in found if o.category == c))) for c in book.campaign.categories)
    return tuple(Named(category=category, units=units) for category, units in groups if units)


def _units(
    book: Rulebook, parties: dict[int, Party], obligations: Iterable[Obligation]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return units with the titles of what they are named for; of a series how many of it."""
    titles: dict[int, dict[str, int]] = {}
    for ob in obligations:
        counted = titles.setdefault(ob.party_id, {})
        counted[ob.deliverable] = counted.get(ob.deliverable, 0) + 1
    return tuple(
        (
            parties[party].name,
            tuple(
                book.campaign.deliverable(key).title + (f"{count}期" if count > 1 else "")
                for key, count in counted.items()
            ),
        )
        for party, counted in titles.items()
    )
