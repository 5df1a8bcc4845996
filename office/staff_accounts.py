"""Staff's accounts for the staff pages: roles, passwords, and visits that end by themselves.

Whoever knows no password cannot tell by time or answer whether a name is known. The instants are the wall's, whatever
clock a rehearsal's campaigns run by.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from hashlib import sha256
from secrets import token_urlsafe

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from ledger import staff as ledger
from ledger.acts import Act
from ledger.tables import StaffRow
from office.mailbook import one_line
from office.premises import Premises

NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}")
SHORTEST, LONGEST = 12, 200  # characters of a password
IDLE = timedelta(minutes=30)
WHOLE = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=1)  # so often it is kept that a visit goes on
_HASHER = PasswordHasher()  # Argon2id with the library's parameters (RFC 9106, low memory)


class Role(StrEnum):
    """What an account may do; each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"

    def may(self, needed: "Role") -> bool:
        """Whether this role is enough where another is needed."""
        return list(Role).index(self) >= list(Role).index(needed)


@dataclass(frozen=True, kw_only=True)
class Staff:
    """Who is logged in."""

    name: str
    display: str
    role: Role

    @property
    def actor(self) -> str:
        """The name under which the ledger knows what this person does."""
        return f"staff:{self.name}"


def read_role(text: str) -> Role:
    """Return a role by its name.

    Raises:
        ValueError: there is none, with those that there are.

    """
    try:
        return Role(text)
    except ValueError:
        raise ValueError(f"{text!r} is no role; use {', '.join(Role)}") from None


def add(session: Session, act: Act, name: str, *, display: str, role: str, hashed: str) -> StaffRow:
    """Add an account; ``hashed`` is what :func:`hash_password` returned.

    Raises:
        AlreadyRecorded: the name is taken.
        ValueError: the name or the role is none.

    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an account: up to 32 of a-z, 0-9, dot, dash; a letter first")
    shown = " ".join(one_line(display).split())[:100] or name
    return ledger.add_staff(session, act, name, shown, read_role(role), hashed)


def hash_password(password: str, name: str) -> str:
    """Return what is kept of a password.

    Raises:
        ValueError: it is too short, too long, or the name.

    """
    if len(password) < SHORTEST or password.casefold() == name.casefold():
        raise ValueError(f"the password is too easy: give at least {SHORTEST} characters, a sentence for example")
    if len(password) > LONGEST:
        raise ValueError(f"the password is longer than {LONGEST} characters")
    return _HASHER.hash(password)


@cache
def _of_nobody() -> str:
    """Return a hash against which the passwords for unknown names are tried."""
    return _HASHER.hash(token_urlsafe())


def is_password(kept: str | None, password: str) -> bool:
    """Whether a password is the one of which this hash was kept; of an unknown name (None) it takes as long."""
    try:
        return _HASHER.verify(kept or _of_nobody(), password[: LONGEST + 1]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def kept_of(session: Session, name: str) -> str | None:
    """Return the hash that is kept for a name, if it is known."""
    row = ledger.known_staff(session, name)
    return row.password if row is not None else None


class Strangers:
    """Counts the logins under unknown names in an hour: anybody may try as many as he likes.

    They are put on record with their number: the first nine, each tenth up to the ninetieth, each hundredth …
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._hour: datetime | None = None
        self._count = 0

    def count(self, wall: datetime) -> int:
        """Count one more; return how many there were in this hour, 0 where that is not put on record."""
        hour = wall.replace(minute=0, second=0, microsecond=0)
        self._count = self._count + 1 if hour == self._hour else 1
        self._hour = hour
        return self._count if not str(self._count)[1:].strip("0") else 0


def log_in(
    session: Session, act: Act, name: str, kept: str | None, address: str, *, right: bool, strangers: Strangers
) -> str:
    """Record a login that was tried; return the key that the browser keeps, empty if it failed.

    The password was tried before the ledger's pen was taken: it must be the one that is kept still.
    """
    row = ledger.known_staff(session, name)
    if row is None:
        ledger.count_stranger(session, act, address, strangers.count(act.wall))
        return ""
    if not right or row.password != kept:
        ledger.count_failure(session, act, row, address)
        return ""
    key = token_urlsafe(32)
    ledger.open_visit(session, act, row, digest_of(key), address)
    return key


def change_password(
    session: Session, act: Act, name: str, kept: str | None, hashed: str, address: str, *, right: bool
) -> bool:
    """Give somebody a new password, by its hash, for the old one; return whether it was right.

    As at the login it was tried before the ledger's pen was taken, and a wrong one counts as a login that failed.
    """
    row = ledger.find_staff(session, name)
    if not right or row.password != kept:
        ledger.count_failure(session, act, row, address)
        return False
    ledger.give_password(session, act, row, hashed)
    return True


def digest_of(key: str) -> str:
    """Return what is kept of a visit's key."""
    return sha256(key.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class GoingOn:
    """A visit that holds: whose it is, and whether it is time to keep that it goes on."""

    staff: Staff
    touch: bool


def visit_of(session: Session, key: str, wall: datetime) -> GoingOn | None:
    """Return whose visit a key opens, if it does; it ends 30 minutes after the last look, and 12 hours after login."""
    found = ledger.find_visit(session, digest_of(key))
    if found is None:
        return None
    visit, row = found
    if wall - visit.seen_at >= IDLE or wall - visit.opened_at >= WHOLE:
        return None
    staff = Staff(name=row.name, display=row.display, role=Role(row.role))
    return GoingOn(staff=staff, touch=wall - visit.seen_at >= SEEN_EVERY)


def keep_seen(premises: Premises, key: str, wall: datetime) -> None:
    """Keep that a visit goes on."""
    with premises.ledger.writing() as session:
        ledger.touch_visit(session, digest_of(key), wall)


def log_out(session: Session, act: Act, key: str) -> None:
    """End a visit."""
    ledger.end_visit(session, act, digest_of(key))
