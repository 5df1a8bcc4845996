"""Where a file belongs: the deliverable it answers, and the obligation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable, DeliverableKind
from documents.sniff import FileKind, sniff
from ledger.acts import Act
from ledger.campaigns import NewObligation, freeze_obligations
from ledger.facts import load_obligations
from ledger.tables import IntakeRow, ObligationRow, PartyRow
from office import wording
from office.premises import Premises
from office.workbooks import NotPlacedError, check_workbook, kind_problem
from rules.forms import Checked
from rules.obligations import Obligation, SubmissionState, is_owed
from rules.subjects import named_in

TNEF = b"\x78\x9f\x3e\x22"  # winmail.dat
DOCUMENTS = frozenset({FileKind.DOCX, FileKind.PDF})
MATERIALS = frozenset({FileKind.JPEG, FileKind.PNG, FileKind.GIF, FileKind.MP4})
ACCEPTED_AS = {DeliverableKind.DOCUMENT: DOCUMENTS, DeliverableKind.FREE: DOCUMENTS | MATERIALS}


@dataclass(frozen=True, kw_only=True)
class IncomingFile:
    """A file as a unit gave it."""

    name: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class HandIn:
    """What came from one unit at one moment."""

    party: PartyRow
    channel: str
    received_at: datetime
    files: tuple[IncomingFile, ...]
    intake: IntakeRow
    subject: str = ""  # the new words of it: what the unit itself wrote
    entered_by: str = ""
    grounds: str = ""
    deliverable: str = ""  # key: which it is, by the word of staff or the page; a form still tells by itself
    obligation_id: int | None = None  # the same, of one occurrence
    occasion: str = ""  # of the answer, where it is not the mail or upload itself
    answerable: bool = True  # whether a person may sit behind the mail


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A file that belongs to a deliverable, with what was read in it."""

    deliverable: Deliverable
    state: SubmissionState
    checked: Checked | None = None
    sheet: str = ""  # of a workbook


def place(
    session: Session, premises: Premises, campaign: Campaign, hand_in: HandIn, file: IncomingFile
) -> tuple[Placed, ...]:
    """Find the deliverable a file belongs to, and check it; a workbook may hold the forms of several.

    Raises:
        NotPlacedError: it belongs to none that can be told.

    """
    kind = sniff(file.content)
    if kind is FileKind.XLSX:
        sheets = check_workbook(session, premises, campaign, hand_in.party, file.content)
        return tuple(
            Placed(deliverable=s.deliverable, state=_state_of(s.checked), checked=s.checked, sheet=s.sheet)
            for s in sheets
        )
    return (_place_file(session, campaign, hand_in, file, kind),)


def _place_file(session: Session, campaign: Campaign, hand_in: HandIn, file: IncomingFile, kind: FileKind) -> Placed:
    named = campaign.deliverable(hand_in.deliverable) if hand_in.deliverable else None
    if named is not None:
        if kind in ACCEPTED_AS.get(named.kind, ()):
            return Placed(deliverable=named, state=SubmissionState.ACCEPTED)
        raise NotPlacedError(kind_problem(kind), f"a file of kind {kind} is no {named.key}")
    _refuse_picture_of_form(campaign, file.name)
    if kind in DOCUMENTS:
        deliverable = _which_document(session, campaign, hand_in, file.name)
        return Placed(deliverable=deliverable, state=SubmissionState.ACCEPTED)
    if file.content.startswith(TNEF):
        raise NotPlacedError(wording.PROBLEM["winmail"], "attachments packed by Outlook as winmail.dat")
    free = [d for d in campaign.deliverables if d.kind is DeliverableKind.FREE]
    if kind in MATERIALS and free:
        return Placed(deliverable=free[0], state=SubmissionState.ACCEPTED)
    raise NotPlacedError(kind_problem(kind), f"a file of kind {kind} answers no deliverable")


def _refuse_picture_of_form(campaign: Campaign, file_name: str) -> None:
    """Refuse the scan or photograph of a form: nobody can add it up."""
    for deliverable in campaign.deliverables:
        if deliverable.kind is DeliverableKind.FORM and deliverable.title in file_name:
            problem = wording.PROBLEM["picture_of_form"].format(title=deliverable.title)
            raise NotPlacedError(problem, f"{deliverable.key} came as a picture or text, not as a workbook")


def _state_of(checked: Checked) -> SubmissionState:
    if checked.must_correct:
        return SubmissionState.RETURNED
    return SubmissionState.QUERIED if checked.queried else SubmissionState.ACCEPTED


def _which_document(session: Session, campaign: Campaign, hand_in: HandIn, file_name: str) -> Deliverable:
    """Return the document deliverable that a file names, or the only one the unit still owes."""
    documents = [d for d in campaign.deliverables if d.kind is DeliverableKind.DOCUMENT]
    for text in (file_name, hand_in.subject):
        named = named_in(text, [(d.key, (d.title, d.label)) for d in documents])
        if len(named) == 1:
            return campaign.deliverable(named[0])
    owed = {
        o.deliverable
        for o in load_obligations(session, hand_in.party.campaign_id, party_ids=[hand_in.party.id])
        if is_owed(o)
    }
    open_ones = [d for d in documents if d.key in owed]
    if len(open_ones) == 1:
        return open_ones[0]
    names = "、".join(f"《{d.title}》" for d in open_ones or documents)
    raise NotPlacedError(
        wording.PROBLEM["which_document"].format(names=names),
        "the document names none of several open deliverables",
    )


def obligation_for(
    session: Session,
    act: Act,
    party: PartyRow,
    deliverable: Deliverable,
    named: int | None = None,
    *,
    at: datetime | None = None,
    before: Collection[int] = (),
    known: Sequence[Obligation] | None = None,
) -> ObligationRow:
    """Return the obligation that a hand-in answers: the earliest still owed, else the last (a correction).

    Voluntary materials make an obligation of their own for each hand-in. Where the unit named one, it is that one.
    What was handed in for an earlier period (``before``) does not answer one that has not begun ``at`` its coming.
    ``known`` are the unit's obligations, where they were just read.
    """
    if deliverable.kind is DeliverableKind.FREE:
        new = NewObligation(
            party_id=party.id,
            deliverable=deliverable.key,
            occurrence=f"item:{uuid4().hex[:12]}",
            due=None,
            chase_from=act.as_of,
        )
        return freeze_obligations(session, act, party.campaign_id, [new])[0]
    every = load_obligations(session, party.campaign_id, party_ids=[party.id]) if known is None else known
    mine = [o for o in every if o.deliverable == deliverable.key]
    if not mine:
        raise NotPlacedError(wording.PROBLEM["not_owed"], f"{party.code} does not owe {deliverable.key}")
    chosen = next((o for o in mine if o.id == named), None) or answered_one(mine, at or act.as_of, before)
    return session.get_one(ObligationRow, chosen.id)


def answered_one(obligations: Sequence[Obligation], at: datetime, before: Collection[int]) -> Obligation:
    """Return which of a deliverable's occurrences a hand-in answers that names none."""
    by_due = sorted(obligations, key=lambda o: (o.due is None, o.due))
    chosen = next((n for n, o in enumerate(by_due) if is_owed(o)), len(by_due) - 1)
    begins = by_due[chosen - 1].judged_by if chosen else None  # a period begins as the one before it ends
    if begins is not None and at < begins:
        return next((o for o in reversed(by_due[:chosen]) if o.id in before), by_due[chosen])
    return by_due[chosen]
