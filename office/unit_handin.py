"""What a unit hands in on its page: through the same door as a mail, and at the moment of the commit."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.tables import ObligationRow, PartyRow
from office.answers import TYPED
from office.arrivals import note_arrival, settle_arrival
from office.destination import HandIn, IncomingFile
from office.handin import PAGE, TakenIn, take_in
from office.nil import hand_in_nil
from office.premises import Premises
from office.refusals import NotPossible
from office.unit_forms import Opened, drop_draft
from office.unit_own import deliverable_key
from office.workbooks import NotPlacedError

CHANNEL = PAGE
MATCHED_BY = "link"


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """What came of a hand-in: the number under which the page shows it, and whether it was all there before."""

    intake_id: int
    taken: TakenIn

    @property
    def known_before(self) -> bool:
        """Whether every file had been handed in before, byte for byte."""
        return self.taken.notice is None


def unit_act(party: PartyRow, act: Act) -> Act:
    """Return an act in a unit's own name."""
    return Act(actor=f"unit:{party.code}"[:100], as_of=act.as_of, wall=act.wall, flow_run_id=act.flow_run_id)


def hand_in_files(
    session: Session,
    premises: Premises,
    act: Act,
    party: PartyRow,
    files: Sequence[IncomingFile],
    *,
    obligation: ObligationRow | None = None,
    deliverable: str = "",
    mailbox: str = CHANNEL,
) -> HandedIn:
    """Take in what a unit uploads, for one affair or for whichever the files tell; plan one answer for all.

    Raises:
        ValueError: there is no file.

    """
    if not files:
        raise ValueError("a hand-in without a file")
    intake = note_arrival(
        session,
        act,
        party,
        mailbox=mailbox,
        matched_by=MATCHED_BY,
        received_at=act.as_of,
        size=sum(len(file.content) for file in files),
    )
    hand_in = HandIn(
        party=party,
        channel=CHANNEL,
        received_at=act.as_of,
        files=tuple(files),
        intake=intake,
        entered_by=act.actor,
        deliverable=deliverable_key(session, obligation) if obligation is not None else deliverable,
        obligation_id=obligation.id if obligation is not None else None,
    )
    taken = take_in(session, premises, act, hand_in)
    settle_arrival(intake, taken)
    return HandedIn(intake_id=intake.id, taken=taken)


def hand_in_nothing(
    session: Session, premises: Premises, act: Act, party: PartyRow, obligation: ObligationRow
) -> HandedIn:
    """Take in that a unit has nothing to report.

    Raises:
        NotPossible: that cannot be said of it.

    """
    intake = note_arrival(session, act, party, mailbox=CHANNEL, matched_by=MATCHED_BY, received_at=act.as_of)
    key = deliverable_key(session, obligation)
    try:
        taken = hand_in_nil(
            session,
            premises,
            act,
            party,
            [key],
            channel=CHANNEL,
            received_at=act.as_of,
            entered_by=act.actor,
            intake=intake,
            obligation_id=obligation.id,
        )
    except NotPlacedError as error:
        raise NotPossible("not_nil", error.reason) from None
    settle_arrival(intake, taken)
    return HandedIn(intake_id=intake.id, taken=taken)


def hand_in_form(session: Session, premises: Premises, act: Act, opened: Opened, content: bytes) -> HandedIn:
    """Take in a form filled on the page, as the unit's workbook; its draft is no longer needed then."""
    deliverable = opened.book.campaign.deliverable(opened.deliverable)
    name = f"{deliverable.label}{deliverable.title}（网页填报）.xlsx"
    file = IncomingFile(name=name, content=content)
    done = hand_in_files(session, premises, act, opened.party, [file], obligation=opened.obligation, mailbox=TYPED)
    if done.taken.recorded or done.known_before:
        drop_draft(session, opened.obligation.id)
    return done
