"""A free announcement to units: looked at first, then one decision and one mail each."""

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import record_decision
from ledger.tables import DecisionRow, PartyRow
from office.choosing import units_named
from office.destination import IncomingFile
from office.letters import DecisionLines, Rendered
from office.premises import Premises
from office.refusals import Mistaken
from office.review import grounds_of
from office.rulebook import open_book
from office.samples import sample_context
from office.telling import tell

ANNOUNCED = "announced"
NOTICE = "announcement"
LONGEST_SUBJECT = 60


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What units are told."""

    subject: str
    text: str
    files: tuple[IncomingFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Preview:
    """An announcement before it is made: to whom it would go, and how it reads."""

    units: tuple[PartyRow, ...]
    mail: Rendered


def preview(
    session: Session, premises: Premises, act: Act, campaign: str, announcement: Announcement, *, to: Sequence[str]
) -> Preview:
    """Return what announcing would do; nothing is written.

    Raises:
        ValueError: nobody is meant, or there is no text, or no subject of one line.

    """
    _check(announcement)
    row, book = open_book(session, campaign)
    units = units_named(session, row, book, to)
    context = sample_context(book, NOTICE, premises.intake_address, act.as_of)
    said = DecisionLines(about=announcement.subject.strip(), said=announcement.text.strip())
    mail = premises.renderer.render(
        replace(context, decision=said, attachments=tuple(f.name for f in announcement.files))
    )
    return Preview(units=tuple(units), mail=mail)


def announce(
    session: Session,
    premises: Premises,
    act: Act,
    campaign: str,
    announcement: Announcement,
    *,
    to: Sequence[str],
    grounds: str,
) -> DecisionRow:
    """Send an announcement to the units that ``to`` means, in the sending window.

    Raises:
        ValueError: nobody is meant, there is no text, no subject of one line, or no grounds.

    """
    _check(announcement)
    said = grounds_of(grounds, "it is announced")
    row, book = open_book(session, campaign)
    units = units_named(session, row, book, to)
    files = [
        {
            "name": file.name,
            "media_type": mimetypes.guess_type(file.name)[0] or "application/octet-stream",
            "sha256": premises.files.put(file.content),
        }
        for file in announcement.files
    ]
    decision = record_decision(
        session,
        act,
        row.id,
        ANNOUNCED,
        said,
        after={
            "to": list(to),
            "subject": announcement.subject.strip(),
            "said": announcement.text.strip(),
            "attachments": files,
        },
    )
    detail = {"attachments": files} if files else None
    tell(session, premises, act, NOTICE, decision, parties=[unit.id for unit in units], detail=detail)
    return decision


def _check(announcement: Announcement) -> None:
    subject = announcement.subject.strip()
    if not subject or len(subject.splitlines()) > 1 or len(subject) > LONGEST_SUBJECT:
        raise Mistaken(
            "bad_subject",
            f"the subject is one line of at most {LONGEST_SUBJECT} characters",
            longest=str(LONGEST_SUBJECT),
        )
    if not announcement.text.strip():
        raise Mistaken("no_text", "an announcement needs a text")
