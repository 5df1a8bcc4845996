"""The gate: whose link it is, whether it holds, and whether a form sent came from a page of ours."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from re import compile as pattern

from sqlalchemy.orm import Session
from starlette.requests import Request

from ledger.acts import Act
from ledger.tables import PartyRow
from office.links import LinkState, Opened, open_link
from office.premises import Premises
from office.unit_forms import Filled
from office.unit_handin import unit_act

SCOPE = b"muster page 1"
COOKIE = pattern(r"[A-Za-z0-9_-]{24,64}")
FIELD = "_csrf"


class NoEntryError(Exception):
    """A link that does not hold; carries what is known of it."""

    def __init__(self, opened: Opened) -> None:
        """Keep what was read."""
        super().__init__(opened.state)
        self.opened = opened


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What was made ready for a visit before the ledger is held for it."""

    contents: tuple[bytes, ...] = ()  # workbooks that will be asked for, to be opened ahead
    filled: Filled | None = None


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Somebody with a valid link, in a session of the ledger."""

    session: Session
    premises: Premises
    party: PartyRow
    at: datetime
    act: Act
    ready: Ready = Ready()


def admit(session: Session, premises: Premises, link: str, at: datetime) -> Visit:
    """Let somebody in by a link.

    Raises:
        NoEntryError: it is forged, expired or revoked.

    """
    opened = open_link(session, premises, link, at)
    if opened.state is not LinkState.VALID or opened.party is None:
        raise NoEntryError(opened)
    act = unit_act(opened.party, Act.now("portal", at))
    return Visit(session=session, premises=premises, party=opened.party, at=at, act=act)


def cookie_name(*, secure: bool) -> str:
    """Return the cookie's name; by https one that no other host of the domain can set."""
    return "__Host-muster" if secure else "muster"


def cookie_of(request: Request, *, secure: bool) -> tuple[str, bool]:
    """Return the visitor's cookie, and whether it is new."""
    found = request.cookies.get(cookie_name(secure=secure), "")
    return (found, False) if COOKIE.fullmatch(found) else (secrets.token_urlsafe(24), True)


def form_token(secret: bytes, link: str, cookie: str) -> str:
    """Return what a form of a link must bring back, together with the cookie."""
    key = hmac.digest(secret, SCOPE, "sha256")
    return hmac.digest(key, f"{link}\n{cookie}".encode(), "sha256").hex()


def is_ours(request: Request, secret: bytes, link: str, cookie: str, given: str) -> bool:
    """Whether a form was sent from a page of ours to the same link."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return hmac.compare_digest(form_token(secret, link, cookie).encode(), given.encode("utf-8", "replace"))
