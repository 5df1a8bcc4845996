"""Links to a unit's page: made for its mails, read when somebody comes with one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.facts import Party
from ledger.tables import CampaignRow, PartyKind, PartyRow
from mail.links import Link, read_link_text, sign_link
from office.premises import Premises
from office.rulebook import Rulebook


class LinkState(StrEnum):
    """What became of a link."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNKNOWN = "unknown"  # forged, cut off, or of a party that is not there


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A link as it was read. The party is known also of one that no longer holds: its office can be named."""

    state: LinkState
    party: PartyRow | None = None
    campaign: CampaignRow | None = None


def link_text(premises: Premises, book: Rulebook, party_id: int, epoch: int) -> str:
    """Return the signed text of a party's link, which holds for a while after the campaign's close."""
    expires = book.close_at + timedelta(days=premises.link_days)
    return sign_link(Link(party_id=party_id, epoch=epoch, expires=expires), premises.secret)


def portal_link(premises: Premises, book: Rulebook, party_id: int, epoch: int) -> str:
    """Return the address of a party's page; empty where there is no portal."""
    if not premises.portal_url:
        return ""
    return f"{premises.portal_url.rstrip('/')}/u/{link_text(premises, book, party_id, epoch)}"


def link_for_days(session: Session, premises: Premises, act: Act, party: PartyRow, days: int) -> str:
    """Return a link that staff pass on themselves; it holds for so many days from now. Put on record.

    Raises:
        ValueError: the party is no unit that takes part.

    """
    if not has_page(party):
        raise ValueError(f"{party.code} is no unit that takes part: it has no page")
    expires = act.wall + timedelta(days=days)
    text = sign_link(Link(party_id=party.id, epoch=party.link_epoch, expires=expires), premises.secret)
    detail = {"expires": expires.isoformat(timespec="seconds")}
    audit.append(session, act, "link.given_out", detail, campaign_id=party.campaign_id, party_id=party.id)
    return f"{premises.portal_url.rstrip('/')}/u/{text}"


def is_signed(premises: Premises, text: str) -> bool:
    """Whether a link is ours, before anything is asked of the ledger or read of a request."""
    return read_link_text(text, premises.secret) is not None


def has_page(party: PartyRow | Party) -> bool:
    """Whether a party has a page of its own: a unit that takes part, not one that has left, and not the office."""
    return party.kind == PartyKind.UNIT and party.left_at is None


def open_link(session: Session, premises: Premises, text: str, at: datetime) -> Opened:
    """Read a link at a moment. Only one of a unit that takes part, not expired and not revoked, is valid."""
    link = read_link_text(text, premises.secret)
    party = session.get(PartyRow, link.party_id) if link is not None else None
    if link is None or party is None:
        return Opened(state=LinkState.UNKNOWN)
    campaign = session.get_one(CampaignRow, party.campaign_id)
    state = LinkState.VALID
    if at >= link.expires:
        state = LinkState.EXPIRED
    elif link.epoch != party.link_epoch or not has_page(party):
        state = LinkState.REVOKED
    return Opened(state=state, party=party, campaign=campaign)
