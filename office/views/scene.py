"""The scene: what all pages of a campaign are drawn from, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ledger.facts import Party, load_obligations, party_names
from ledger.tables import CampaignRow, PartyKind
from office.premises import Premises
from office.rulebook import Rulebook, open_book
from office.views.shades import Shade, shade_of
from rules.obligations import Obligation


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One campaign at a moment. Pages name days, never hours, so that an hour in which nothing happens changes none."""

    session: Session
    house: Premises
    row: CampaignRow
    book: Rulebook
    moment: datetime
    obligations: tuple[Obligation, ...]  # what is owed; voluntary materials left out
    units: Mapping[int, Party]

    @property
    def key(self) -> str:
        """The campaign's key."""
        return self.row.key

    @property
    def zone(self) -> ZoneInfo:
        """The campaign's zone."""
        return self.book.zone

    @cached_property
    def today(self) -> date:
        """The local day of the moment."""
        return self.day(self.moment)

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """The titles of the deliverables that are owed, in the order of the definition."""
        dated = {ob.deliverable for ob in self.obligations}
        return {d.key: d.title for d in self.book.campaign.deliverables if d.key in dated}

    @cached_property
    def shades(self) -> Mapping[int, Shade]:
        """By obligation where it stands at the moment."""
        return {ob.id: shade_of(ob, self.moment) for ob in self.obligations}

    def day(self, moment: datetime) -> date:
        """Return the local day of an instant."""
        return moment.astimezone(self.zone).date()


def open_scene(session: Session, house: Premises, campaign: str, moment: datetime) -> Scene:
    """Read a campaign at a moment.

    Raises:
        UnknownCampaign: it has not been launched.

    """
    row, book = open_book(session, campaign)
    return Scene(
        session=session,
        house=house,
        row=row,
        book=book,
        moment=moment,
        obligations=tuple(ob for ob in load_obligations(session, row.id) if not ob.voluntary),
        units={id_: p for id_, p in party_names(session, row.id).items() if p.kind == PartyKind.UNIT},
    )
