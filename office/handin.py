"""Taking in a hand-in: sniff, read, check, record, plan the answer. The same for mail, page and staff on behalf."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from definition.models import Deliverable, DeliverableKind, Review
from documents.opening import UnreadableWorkbook
from documents.sandbox import SANDBOX
from documents.sniff import FileKind, sniff
from ledger.acts import Act
from ledger.facts import load_obligations
from ledger.outbox import NewMessage, plan_messages
from ledger.submissions import (
    KeptFile,
    NewSubmission,
    answered_by,
    record_file,
    record_submission,
)
from ledger.tables import CampaignRow, ObligationRow
from office import wording
from office.acting import act_on_accepted
from office.alerts import DESK, alert_staff
from office.arrivals import note_arrival, settle_arrival
from office.courtesy import answer_mail, said_the_same
from office.destination import HandIn, IncomingFile, Placed, obligation_for, place
from office.next_period import meant_for_next
from office.premises import Premises
from office.refusals import Mistaken
from office.rulebook import open_book, rulebook_of
from office.unchanged import standing_as_said
from office.units import find_unit
from office.workbooks import NotPlacedError
from rules.notices import ItemDue
from rules.obligations import Obligation, SubmissionState

PAGE = "portal"  # the channel whose answer is seen at once
CLEAN = frozenset({SubmissionState.ACCEPTED, SubmissionState.SUBMITTED})


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """The outcome: versions recorded, what could not be (``problems`` for the unit, ``reasons`` for the log).

    ``notice`` is the answer, planned as a mail or shown on the page; None where all was there already, byte for byte.
    """

    recorded: int = 0
    problems: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    notice: str | None = None


def take_in(session: Session, premises: Premises, act: Act, hand_in: HandIn) -> TakenIn:
    """Record every file of a hand-in and plan one answer for all of them."""
    taking = _Taking(session, premises, act, hand_in)
    for file in _unfolded(session, premises, act, hand_in):
        try:
            taking.take(file)
        except NotPlacedError as error:
            taking.keep(file, error)
    return taking.answered()


class _Taking:
    """A hand-in being taken in: what was recorded so far, and what could not be."""

    def __init__(self, session: Session, premises: Premises, act: Act, hand_in: HandIn) -> None:
        self._session = session
        self._premises = premises
        self._act = act
        self._hand_in = hand_in
        row = session.get_one(CampaignRow, hand_in.party.campaign_id)
        self._campaign = rulebook_of(row).campaign
        self._occasion = hand_in.occasion or f"intake:{hand_in.intake.id}"
        self._states: list[SubmissionState] = []
        self._items: list[ItemDue] = []
        self._problems: list[str] = []
        self._reasons: list[str] = []
        self._duplicates = 0

    def take(self, file: IncomingFile) -> None:
        """Record a file as a version of what it answers; of a workbook each form, whatever becomes of the others.

        Raises:
            NotPlacedError: it answers nothing that can be told, or nothing that the unit owes.

        """
        kept = _kept(self._premises, file)
        every = place(self._session, self._premises, self._campaign, self._hand_in, file)
        party = self._hand_in.party
        owed = load_obligations(self._session, party.campaign_id, party_ids=[party.id])
        if len(every) == 1:
            self._take(every[0], kept, owed)
            return
        refused: list[tuple[Placed, NotPlacedError]] = []
        for placed in every:
            try:
                self._take(placed, kept, owed, several=True)
            except NotPlacedError as error:
                refused.append((placed, error))
        if len(refused) == len(every):
            record_file(self._session, self._act, kept, submission_id=None, intake_id=self._hand_in.intake.id)
        for placed, why in refused:
            self._note(wording.SHEET_OF.format(name=file.name or wording.UNNAMED, sheet=placed.sheet), why)

    def _take(self, placed: Placed, kept: KeptFile, owed: Sequence[Obligation], *, several: bool = False) -> None:
        session, party, named = self._session, self._hand_in.party, self._hand_in.obligation_id
        free = placed.deliverable.kind is DeliverableKind.FREE
        mine = [o for o in owed if o.deliverable == placed.deliverable.key]
        before = self._stands(placed, kept, {o.id for o in mine}, several=several)
        chosen = not free and any(o.id == named for o in mine)  # a voluntary item would else come anew with each resend
        if before.get(named or 0, False) if chosen else any(before.values()):
            named = None if chosen or free else meant_for_next(session, self._premises, self._hand_in, mine, before)
            if named is None:
                self._duplicates += 1
                return
        obligation = obligation_for(
            session, self._act, party, placed.deliverable, named,
            at=self._hand_in.received_at, before=before, known=mine,
        )  # fmt: skip
        self._record(obligation, placed, kept)

    def _stands(self, placed: Placed, kept: KeptFile, ids: Collection[int], *, several: bool) -> dict[int, bool]:
        """Return for which obligations the same was handed in before, and whether it stands there.

        The same are the same bytes; of a workbook with ``several`` forms the same figures too.
        """
        before = answered_by(self._session, ids, kept.sha256)
        if several and placed.checked is not None:
            before |= standing_as_said(self._session, ids, placed.checked)
        return before

    def _record(self, obligation: ObligationRow, placed: Placed, kept: KeptFile) -> None:
        session, premises, act, hand_in = self._session, self._premises, self._act, self._hand_in
        state = reviewed(placed.state, placed.deliverable)
        new = NewSubmission(
            obligation=obligation,
            channel=hand_in.channel,
            received_at=hand_in.received_at,
            state=state,
            file=kept,
            checked=placed.checked,
            intake_id=hand_in.intake.id,
            entered_by=hand_in.entered_by,
            grounds=hand_in.grounds,
        )
        submission = record_submission(session, act, new)
        if state is SubmissionState.SUBMITTED:
            alert_staff(session, premises, act, self._campaign.key, DESK)
        if state is SubmissionState.ACCEPTED:
            act_on_accepted(session, premises, act, submission, obligation)
        self._states.append(state)
        self._items.append(ItemDue(obligation_id=obligation.id, rung=self._occasion, due=obligation.due_at))

    def keep(self, file: IncomingFile, error: NotPlacedError) -> None:
        """Keep a file that answers nothing, and note what to tell the unit."""
        kept = _kept(self._premises, file)
        record_file(self._session, self._act, kept, submission_id=None, intake_id=self._hand_in.intake.id)
        self._note(file.name or wording.UNNAMED, error)

    def _note(self, name: str, error: NotPlacedError) -> None:
        self._problems.append(f"{name}：{error.problem}")
        self._reasons.append(error.reason)

    def answered(self) -> TakenIn:
        """Plan the answer, unless all was there before or a mail gets none; return the outcome."""
        if self._duplicates and not self._states and not self._problems:
            return TakenIn()
        notice, silent = self._plan_answer()
        told = (*self._reasons, silent) if silent else tuple(self._reasons)
        return TakenIn(
            recorded=len(self._states),
            problems=tuple(self._problems),
            reasons=told,
            notice=None if silent else notice,
        )

    def _plan_answer(self) -> tuple[str, str]:
        """Plan the answer; return its notice, and why a mail gets none."""
        clean = not self._problems and all(state in CLEAN for state in self._states)
        notice = "receipt" if clean else "returned"
        session, act, hand_in = self._session, self._act, self._hand_in
        if hand_in.channel == PAGE and all(state is SubmissionState.RETURNED for state in self._states):
            return notice, ""  # nothing was taken, and the page says why: a mail would only say it again
        party, unique = hand_in.party, tuple(dict.fromkeys(self._items))
        answer = NewMessage(party_id=party.id, notice=notice, occasion=self._occasion, items=unique)
        if hand_in.channel != "mail" or hand_in.occasion:  # what staff assign is always answered
            plan_messages(session, act, party.campaign_id, self._premises.mail_domain, [answer])
            return notice, ""
        if not self._states and said_the_same(session, act, hand_in.intake, tuple(self._problems)):
            return notice, "told the same within the hour: not answered again"
        return notice, answer_mail(session, self._premises, act, party, answer, answerable=hand_in.answerable)


def reviewed(state: SubmissionState, deliverable: Deliverable) -> SubmissionState:
    """Return the state of a version as its deliverable is reviewed: a clean one may wait for staff."""
    waits = state is SubmissionState.ACCEPTED and deliverable.review is Review.STAFF
    return SubmissionState.SUBMITTED if waits else state


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
    check_on_behalf(act, grounds, received_at)
    row, _ = open_book(session, campaign)
    party = find_unit(session, code, row.key)
    intake = note_arrival(session, act, party, mailbox="desk", matched_by="staff", received_at=received_at)
    hand_in = HandIn(
        party=party,
        channel=channel,
        received_at=received_at,
        files=files,
        intake=intake,
        entered_by=act.actor,
        grounds=grounds,
    )
    taken = take_in(session, premises, act, hand_in)
    settle_arrival(intake, taken)
    return taken


def check_on_behalf(act: Act, grounds: str, received_at: datetime) -> None:
    """See to it that what staff hand in for a unit has grounds, and a time that has come.

    Raises:
        ValueError: it has not.

    """
    if not grounds.strip():
        raise Mistaken("no_grounds", "say on what grounds: who called or came, and what was agreed")
    if received_at > act.wall and received_at > act.as_of:
        raise Mistaken("not_yet", f"received {received_at.isoformat()} lies in the future")
