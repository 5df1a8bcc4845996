"""The circular corrected (更正): another deadline or attachment for some units; one decision, one mail to each."""

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from definition.models import Attachment, Campaign
from ledger.acts import Act
from ledger.campaigns import Change
from ledger.decisions import decide, due_changes, iso, keep_definition
from ledger.tables import CampaignRow, Changed, DecisionRow, ObligationRow
from office.choosing import EVERYBODY, deliverable_named, one_occurrence, owed_of, units_named
from office.destination import IncomingFile
from office.dues import new_due
from office.premises import Premises
from office.refusals import NotPossible
from office.review import grounds_of
from office.rulebook import Rulebook, open_book
from office.telling import tell
from office.wording import due_text
from rules.deadlines import Adjustment

CORRECTED = "corrected"
NOTICE = "correction"


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What is corrected: the deadline of a deliverable, attachments, or both, and what the units are told of it.

    Of a deadline alone nothing need be said: the mail names it.
    """

    said: str = ""
    deliverable: str | None = None
    until: date | datetime | None = None
    occurrence: str | None = None
    files: tuple[IncomingFile, ...] = ()  # each takes the place of the attachment of its name, or is added


def correct(
    session: Session,
    premises: Premises,
    act: Act,
    campaign: str,
    correction: Correction,
    *,
    to: Sequence[str],
    grounds: str,
) -> DecisionRow:
    """Correct the circular for the units that ``to`` means: deadlines move, what waits is withdrawn, each is told once.

    Where everybody is meant the frozen definition is corrected too, so that who joins later gets it right.

    Raises:
        NotPossible: the new deadline has passed, or lies after the close.
        ValueError: nothing is corrected, nobody is meant, nothing is said, or there are no grounds.

    """
    grounds = grounds_of(grounds, "the circular is corrected")
    if not correction.said.strip() and correction.files:
        raise ValueError("say to the units what is corrected")
    if correction.until is None and not correction.files:
        raise ValueError("name what is corrected: a deliverable with its new deadline, or a file")
    row, book = open_book(session, campaign)
    units = units_named(session, row, book, to)
    moved, due = _moved(session, act, row, book, correction, {unit.id for unit in units})
    attachments = [_kept(premises, file) for file in correction.files]
    changes = [change for o in moved if due is not None for change in due_changes(act, o, due)]
    if EVERYBODY in to:
        changes += _definition(session, act, row, _amended(book.campaign, correction, attachments))
    decision = decide(
        session,
        act,
        row.id,
        CORRECTED,
        grounds,
        party_id=units[0].id if len(units) == 1 else None,
        after={
            "to": list(to),
            "deliverable": correction.deliverable,
            "due": iso(due),
            "said": correction.said.strip() or _words(book, correction, due),
            "attachments": [{"name": a.file_name, "sha256": a.sha256} for a in attachments],
        },
        changes=changes,
    )
    told_all = bool(correction.said.strip() or attachments)  # of a deadline alone only those hear whose it was
    files = [{"name": a.file_name, "media_type": a.media_type, "sha256": a.sha256} for a in attachments]
    tell(
        session, premises, act, NOTICE, decision, moved,
        parties=[unit.id for unit in units if told_all], detail={"attachments": files} if files else None,
    )  # fmt: skip
    return decision


def _words(book: Rulebook, correction: Correction, due: datetime | None) -> str:
    """Return what is said of a deadline that staff corrected without a word."""
    title = book.campaign.deliverable(deliverable_named(book, correction.deliverable or "")).title
    return f"《{title}》的报送截止时间更正为{due_text(due, book.zone)}。"


def _moved(
    session: Session, act: Act, row: CampaignRow, book: Rulebook, correction: Correction, parties: set[int]
) -> tuple[list[ObligationRow], datetime | None]:
    """Return the obligations that get the new deadline, and that deadline; none if none is named."""
    if correction.until is None:
        return [], None
    if correction.deliverable is None:
        raise ValueError("name the deliverable whose deadline is corrected")
    due = new_due(book, act, correction.until)
    meant = [
        o
        for o in owed_of(session, row, book, correction.deliverable, correction.occurrence)
        if o.party_id in parties and o.due_at is not None and o.exempt_at is None
    ]
    moved = [o for o in one_occurrence(meant, correction.deliverable) if o.due_at != due]
    if not moved:
        raise NotPossible("nobody_meant", f"{correction.deliverable} is due then already for everybody who is meant")
    return moved, due


def _kept(premises: Premises, file: IncomingFile) -> Attachment:
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Attachment(
        file=f"attachments/{file.name}",
        title=file.name.rpartition(".")[0] or file.name,
        sha256=premises.files.put(file.content),
        file_name=file.name,
        media_type=media_type,
    )


def _amended(campaign: Campaign, correction: Correction, attachments: Sequence[Attachment]) -> Campaign:
    """Return the definition as corrected. A series keeps its rule: one occurrence of it was moved."""
    fresh = {a.file_name: a for a in attachments}
    kept = tuple(
        fresh.pop(a.file_name).model_copy(update={"title": a.title, "file": a.file}) if a.file_name in fresh else a
        for a in campaign.attachments
    )
    deliverables = campaign.deliverables
    if correction.until is not None and correction.deliverable is not None:
        key = deliverable_named(Rulebook(campaign), correction.deliverable)
        until = correction.until.replace(tzinfo=None) if isinstance(correction.until, datetime) else correction.until
        corrected = {"due": until, "adjust": Adjustment.NONE}  # the day as it is said now, wherever it falls
        deliverables = tuple(
            d.model_copy(update=corrected) if d.key == key and d.due is not None else d for d in deliverables
        )
    return campaign.model_copy(update={"attachments": (*kept, *fresh.values()), "deliverables": deliverables})


def _definition(session: Session, act: Act, row: CampaignRow, amended: Campaign) -> list[Change]:
    """Return the change that puts another definition in force, if it is another."""
    digest = amended.digest()
    if digest == row.digest:
        return []
    keep_definition(session, act, row.digest, row.definition)
    keep_definition(session, act, digest, amended.dump())
    return [Change(Changed.DEFINITION, row.digest, digest)]
