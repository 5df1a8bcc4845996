"""Taking in a hand-in: sniff, read, check, record, plan the answer. The same for mail, page and staff on behalf."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable, DeliverableKind, Review
from documents.opening import UnreadableWorkbook
from documents.sandbox import SANDBOX
from documents.sniff import FileKind, sniff
from ledger.acts import Act
from ledger.campaigns import NewObligation, find_party, freeze_obligations, written
from ledger.facts import load_obligations
from ledger.outbox import NewMessage, plan_messages
from ledger.submissions import (
    KeptFile,
    NewSubmission,
    already_handed_in,
    record_file,
    record_submission,
    settle,
)
from ledger.tables import CampaignRow, IntakeKind, IntakeRow, IntakeState, ObligationRow, PartyRow
from office import wording
from office.acting import act_on_accepted
from office.alerts import DESK, alert_staff
from office.courtesy import has_enough, said_the_same
from office.premises import Premises
from office.rulebook import open_book, rulebook_of
from office.workbooks import NotPlacedError, check_workbook, kind_problem
from rules.forms import Checked
from rules.notices import ItemDue
from rules.obligations import Obligation, SubmissionState, is_owed
from rules.subjects import named_in

CLEAN = frozenset({SubmissionState.ACCEPTED, SubmissionState.SUBMITTED})
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


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """The outcome: versions recorded, what could not be (``problems`` for the unit, ``reasons`` for the log).

    ``notice`` is the answer planned, or None where all was there already, byte for byte.
    """

    recorded: int = 0
    problems: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    notice: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A file that belongs to a deliverable, with what was read in it."""

    deliverable: Deliverable
    state: SubmissionState
    checked: Checked | None = None


def take_in(session: Session, premises: Premises, act: Act, hand_in: HandIn) -> TakenIn:
    """Record every file of a hand-in and plan one answer for all of them."""
    campaign_row = session.get_one(CampaignRow, hand_in.party.campaign_id)
    campaign = rulebook_of(campaign_row).campaign
    problems: list[str] = []
    reasons: list[str] = []
    states: list[SubmissionState] = []
    items: list[ItemDue] = []
    duplicates = 0
    occasion = hand_in.occasion or f"intake:{hand_in.intake.id}"
    for file in _unfolded(session, premises, act, hand_in):
        kept = _kept(premises, file)
        try:
            placed = _place(session, premises, campaign, hand_in, file)
        except NotPlacedError as error:
            record_file(session, act, kept, submission_id=None, intake_id=hand_in.intake.id)
            problems.append(f"{file.name or wording.UNNAMED}：{error.problem}")
            reasons.append(error.reason)
            continue
        if _is_there(session, hand_in.party, placed.deliverable, kept.sha256):
            duplicates += 1
            continue
        obligation = obligation_for(session, act, hand_in.party, placed.deliverable, hand_in.obligation_id)
        if already_handed_in(session, obligation.id, kept.sha256) is not None:
            duplicates += 1
            continue
        submission = record_submission(
            session,
            act,
            NewSubmission(
                obligation=obligation,
                channel=hand_in.channel,
                received_at=hand_in.received_at,
                state=(state := reviewed(placed.state, placed.deliverable)),
                file=kept,
                checked=placed.checked,
                intake_id=hand_in.intake.id,
                entered_by=hand_in.entered_by,
                grounds=hand_in.grounds,
            ),
        )
        if state is SubmissionState.SUBMITTED:
            alert_staff(session, premises, act, campaign.key, DESK)
        if state is SubmissionState.ACCEPTED:
            act_on_accepted(session, premises, act, submission, obligation)
        states.append(state)
        items.append(ItemDue(obligation_id=obligation.id, rung=occasion, due=obligation.due_at))
    if duplicates and not states and not problems:
        return TakenIn()
    clean = not problems and all(state in CLEAN for state in states)
    notice = "receipt" if clean else "returned"
    by_mail = hand_in.channel == "mail" and not hand_in.occasion  # what staff assign is always answered
    if not states and by_mail and said_the_same(session, act, hand_in.intake, tuple(problems)):
        return TakenIn(
            problems=tuple(problems), reasons=(*reasons, "told the same within the hour: not answered again")
        )
    if by_mail and has_enough(session, act, hand_in.party.id):
        reasons.append("many answers within the hour: this one is not answered")
        return TakenIn(recorded=len(states), problems=tuple(problems), reasons=tuple(reasons))
    unique = tuple(dict.fromkeys(items))
    answer = NewMessage(party_id=hand_in.party.id, notice=notice, occasion=occasion, items=unique)
    plan_messages(session, act, campaign_row.id, premises.mail_domain, [answer])
    return TakenIn(recorded=len(states), problems=tuple(problems), reasons=tuple(reasons), notice=notice)


def reviewed(state: SubmissionState, deliverable: Deliverable) -> SubmissionState:
    """Return the state of a version as its deliverable is reviewed: a clean one may wait for staff."""
    waits = state is SubmissionState.ACCEPTED and deliverable.review is Review.STAFF
    return SubmissionState.SUBMITTED if waits else state


def _place(session: Session, premises: Premises, campaign: Campaign, hand_in: HandIn, file: IncomingFile) -> _Placed:
    """Find the deliverable a file belongs to, and check it.

    Raises:
        NotPlacedError: it belongs to none that can be told.

    """
    kind = sniff(file.content)
    if kind is FileKind.XLSX:
        return _place_workbook(session, premises, campaign, hand_in.party, file.content)
    named = campaign.deliverable(hand_in.deliverable) if hand_in.deliverable else None
    if named is not None:
        if kind in ACCEPTED_AS.get(named.kind, ()):
            return _Placed(deliverable=named, state=SubmissionState.ACCEPTED)
        raise NotPlacedError(kind_problem(kind), f"a file of kind {kind} is no {named.key}")
    _refuse_picture_of_form(campaign, file.name)
    if kind in DOCUMENTS:
        deliverable = _which_document(session, campaign, hand_in, file.name)
        return _Placed(deliverable=deliverable, state=SubmissionState.ACCEPTED)
    if file.content.startswith(TNEF):
        raise NotPlacedError(wording.PROBLEM["winmail"], "attachments packed by Outlook as winmail.dat")
    free = [d for d in campaign.deliverables if d.kind is DeliverableKind.FREE]
    if kind in MATERIALS and free:
        return _Placed(deliverable=free[0], state=SubmissionState.ACCEPTED)
    raise NotPlacedError(kind_problem(kind), f"a file of kind {kind} answers no deliverable")


def _kept(premises: Premises, file: IncomingFile) -> KeptFile:
    sha256 = premises.files.put(file.content)
    return KeptFile(sha256=sha256, name=file.name, kind=str(sniff(file.content)), size=len(file.content))


def _unfolded(session: Session, premises: Premises, act: Act, hand_in: HandIn) -> Iterator[IncomingFile]:
    """Yield the files, and for a .zip those in it; the .zip is kept as it came. One that cannot be opened stays."""
    for file in hand_in.files:
        inner: list[IncomingFile] = []
        if sniff(file.content) is FileKind.ZIP:
            with suppress(UnreadableWorkbook):
                inner = [IncomingFile(name=p.name, content=p.content) for p in SANDBOX.unpack(file.content)]
        if inner:
            record_file(session, act, _kept(premises, file), submission_id=None, intake_id=hand_in.intake.id)
        yield from inner or (file,)


def _refuse_picture_of_form(campaign: Campaign, file_name: str) -> None:
    """Refuse the scan or photograph of a form: nobody can add it up."""
    for deliverable in campaign.deliverables:
        if deliverable.kind is DeliverableKind.FORM and deliverable.title in file_name:
            problem = wording.PROBLEM["picture_of_form"].format(title=deliverable.title)
            raise NotPlacedError(problem, f"{deliverable.key} came as a picture or text, not as a workbook")


def _place_workbook(
    session: Session, premises: Premises, campaign: Campaign, party: PartyRow, content: bytes
) -> _Placed:
    deliverable, checked = check_workbook(session, premises, campaign, party, content)
    if checked.must_correct:
        state = SubmissionState.RETURNED
    else:
        state = SubmissionState.QUERIED if checked.queried else SubmissionState.ACCEPTED
    return _Placed(deliverable=deliverable, state=state, checked=checked)


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


def _is_there(session: Session, party: PartyRow, deliverable: Deliverable, sha256: str) -> bool:
    """Whether a unit handed in the same bytes as a voluntary item before: each would else be one of its own."""
    if deliverable.kind is not DeliverableKind.FREE:
        return False
    mine = load_obligations(session, party.campaign_id, party_ids=[party.id])
    return any(already_handed_in(session, o.id, sha256) for o in mine if o.deliverable == deliverable.key)


def obligation_for(
    session: Session, act: Act, party: PartyRow, deliverable: Deliverable, named: int | None = None
) -> ObligationRow:
    """Return the obligation that a hand-in answers: the earliest still owed, else the last (a correction).

    Voluntary materials make an obligation of their own for each hand-in. Where the unit named one, it is that one.
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
    mine = [
        o
        for o in load_obligations(session, party.campaign_id, party_ids=[party.id])
        if o.deliverable == deliverable.key
    ]
    if not mine:
        raise NotPlacedError(wording.PROBLEM["not_owed"], f"{party.code} does not owe {deliverable.key}")
    chosen = next((o for o in mine if o.id == named), None) or _answered(mine)
    return session.get_one(ObligationRow, chosen.id)


def _answered(obligations: Sequence[Obligation]) -> Obligation:
    by_due = sorted(obligations, key=lambda o: (o.due is None, o.due))
    return next((o for o in by_due if is_owed(o)), by_due[-1])


def hand_in_on_behalf(  # noqa: PLR0913
    session: Session,
    premises: Premises,
    act: Act,
    campaign: str,
    code: str,
    files: tuple[IncomingFile, ...],
    *,
    channel: str,
    received_at: datetime,
    grounds: str,
) -> TakenIn:
    """Take in what a unit handed in by telephone, on paper or by hand, at the true time that staff state.

    Raises:
        ValueError: no grounds, or a time that has not come yet.

    """
    if not grounds.strip():
        raise ValueError("say on what grounds: who called or came, and what was agreed")
    if received_at > act.wall and received_at > act.as_of:
        raise ValueError(f"received {received_at.isoformat()} lies in the future")
    row, _ = open_book(session, campaign)
    party = find_party(session, row.id, code)
    intake = IntakeRow(
        mailbox="desk",
        uid=uuid4().hex,
        raw_sha256="",
        size=0,
        received_at=received_at,
        from_address=act.actor[:320],
        campaign_id=row.id,
        party_id=party.id,
        matched_by="staff",
        from_known=True,
        problems=[],
        **written(act),
    )
    session.add(intake)
    session.flush()
    taken = take_in(
        session,
        premises,
        act,
        HandIn(
            party=party,
            channel=channel,
            received_at=received_at,
            files=files,
            intake=intake,
            entered_by=act.actor,
            grounds=grounds,
        ),
    )
    settle(
        intake,
        kind=IntakeKind.HAND_IN if taken.recorded else IntakeKind.UNREADABLE,
        state=IntakeState.DONE,
        reason="; ".join(taken.reasons),
        problems=taken.problems,
    )
    return taken
