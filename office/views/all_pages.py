"""All pages of a campaign, from one look at the ledger."""

from datetime import datetime

from sqlalchemy.orm import Session

from office.premises import Premises
from office.views.board import board_page
from office.views.consolidation import consolidation_page
from office.views.contacts import contacts_page
from office.views.curve import curve_page
from office.views.pages import Page
from office.views.scene import open_scene
from office.views.timetable import timetable_page
from office.views.today import today_page

DRAWN = (board_page, today_page, timetable_page, curve_page, contacts_page, consolidation_page)


def all_pages(session: Session, house: Premises, campaign: str, moment: datetime) -> tuple[Page, ...]:
    """Return the pages of a campaign at a moment, in the order in which staff look at them.

    Raises:
        UnknownCampaign: it has not been launched.

    """
    scene = open_scene(session, house, campaign, moment)
    return tuple(draw(scene) for draw in DRAWN)
