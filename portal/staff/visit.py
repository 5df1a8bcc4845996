"""What a staff page is handed: who looks, in a session of the ledger; and what a route is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import find_campaign
from ledger.errors import LedgerError
from ledger.tables import CampaignRow
from office.premises import Premises
from office.staff_accounts import Role, Staff
from portal.forms import Sent
from portal.pages import Download, GoTo, Page
from portal.staff.tries import Tries

LARGEST = 2**31 - 1


class NothingThereError(Exception):
    """There is no such page."""


class MeanwhileError(Exception):
    """What was to be done about had changed since the page was opened; nothing was done."""


class NotFilledError(Exception):
    """A form lacks something; the sentence says what."""


class TooOftenError(Exception):
    """Passwords were tried too often; this one was not."""


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Where to look next, anywhere on this host."""

    path: str


Shown = Page | GoTo | Download | Elsewhere


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A password that was tried before the transaction: against which hash, whether it was right, a new one's hash."""

    kept: str | None = None
    right: bool = False
    hashed: str = ""


@dataclass(frozen=True, kw_only=True)
class StaffVisit:
    """Somebody of the staff, in a session of the ledger; ``named`` are the parts of the path, ``asked`` its query."""

    session: Session
    premises: Premises
    staff: Staff
    at: datetime
    act: Act
    named: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, bool] = ("", False)
    typed: Mapping[str, str] = field(default_factory=dict)  # of a form that comes back
    address: str = ""
    tried: Tried = field(default_factory=Tried)

    @property
    def number(self) -> int:
        """The number in the path.

        Raises:
            NothingThereError: it is none that a database would look for.

        """
        text = self.named.get("number", "")
        if not (text.isascii() and text.isdigit() and len(text) < 11 and 0 < int(text) <= LARGEST):  # noqa: PLR2004
            raise NothingThereError
        return int(text)

    def may(self, role: Role) -> bool:
        """Whether this person may do what needs a role."""
        return self.staff.role.may(role)

    @property
    def campaign(self) -> CampaignRow:
        """The campaign in the path.

        Raises:
            NothingThereError: there is none.

        """
        return campaign_named(self.session, self.named.get("campaign", ""))


def campaign_named(session: Session, key: str) -> CampaignRow:
    """Return a campaign by its key.

    Raises:
        NothingThereError: there is none.

    """
    try:
        return find_campaign(session, key)
    except LedgerError:
        raise NothingThereError from None


Show = Callable[[StaffVisit], Shown]
Do = Callable[[StaffVisit, Sent], Shown]
Prepare = Callable[[StaffVisit, Sent, Tries], Tried]


@dataclass(frozen=True, kw_only=True)
class Look:
    """A page: a GET of a path below /staff, for a role and those above it."""

    path: str
    show: Show
    role: Role = Role.VIEWER


@dataclass(frozen=True, kw_only=True)
class Deed:
    """A form: a POST to a path below /staff; ``back`` shows the page it stands on again, if it cannot be done.

    Passwords are for ``prepare``, which comes before the transaction and writes nothing.
    """

    path: str
    do: Do
    back: Show
    role: Role = Role.OPERATOR
    prepare: Prepare | None = None


def filled(sent: Sent, name: str, said: str) -> str:
    """Return a field of a form.

    Raises:
        NotFilledError: it is empty.

    """
    text = sent.get(name)
    if not text:
        raise NotFilledError(said)
    return text


def grounds_in(sent: Sent) -> str:
    """Return the grounds in a form.

    Raises:
        NotFilledError: there are none.

    """
    return filled(sent, "grounds", "请写明理由。")


def unchanged(sent: Sent, seen: str) -> None:
    """See to it that what a form is about stands as it did when the page was opened.

    Raises:
        MeanwhileError: it does not.

    """
    if sent.text.get("_seen", "") != seen:
        raise MeanwhileError
