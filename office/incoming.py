"""Incoming mails as staff look at them: who wrote what and when, and why it waits for a person."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.errors import UnknownMessage
from ledger.tables import IntakeRow, IntakeState, PartyRow
from office.mailbook import Bytes, bytes_as_shown, local, one_line
from office.premises import Premises

PREFIX = "in-"  # outgoing mails have numbers of their own
NUMBER = re.compile(PREFIX + "([0-9]{1,9})")  # more no database would look for


def number_of(row: IntakeRow) -> str:
    """Return the number by which staff name an incoming mail."""
    return f"{PREFIX}{row.id}"


def find_incoming(session: Session, number: str) -> IntakeRow:
    """Return an incoming mail by its number.

    Raises:
        UnknownMessage: there is none.

    """
    digits = NUMBER.fullmatch(number)
    row = session.get(IntakeRow, int(digits[1])) if digits else None
    if row is None:
        raise UnknownMessage(f"there is no incoming mail {number}; `muster queue` lists those that wait")
    return row


def facts_of(session: Session, row: IntakeRow, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return what is known of an incoming mail, as pairs of a name and what is known; times of a zone."""
    party = session.get(PartyRow, row.party_id) if row.party_id is not None else None
    facts = (
        ("from", row.from_address),
        ("subject", row.subject),
        ("received", local(row.received_at, zone)),
        ("unit", f"{party.code} {party.name}" if party else ""),
        ("kind", row.kind),
        ("state", row.state),
        ("why", row.reason),
        ("Message-ID", row.message_id),
    )
    return [(name, one_line(value)) for name, value in facts if value.strip()]


def bytes_of_incoming(premises: Premises, row: IntakeRow) -> Bytes:
    """Return an incoming mail as it came.

    Raises:
        FileNotFoundError: it is no longer in the file store.

    """
    return bytes_as_shown((premises.files.get(row.raw_sha256),), row.raw_sha256)


def waiting_of(session: Session, party_id: int, *, known_at: datetime | None = None) -> list[IntakeRow]:
    """Return the mails of a unit that wait for a person, the oldest first."""
    query = select(IntakeRow).where(IntakeRow.party_id == party_id, IntakeRow.state == IntakeState.QUEUED)
    if known_at is not None:
        query = query.where(IntakeRow.received_at <= known_at)
    return list(session.scalars(query.order_by(IntakeRow.received_at)))
