"""What a unit hands in on its page: through the same door as a mail, and at the moment of the commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import written
from ledger.submissions import settle
from ledger.tables import IntakeKind, IntakeRow, IntakeState, ObligationRow, PartyRow
from office.destination import HandIn, IncomingFile
from office.handin import TakenIn, take_in
from office.nil import hand_in_nil
from office.premises import Premises
from office.refusals import NotPossible
from office.unit_forms import Opened, drop_draft
from office.unit_own import deliverable_key
from office.workbooks import NotPlacedError

CHANNEL = "portal"
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
) -> HandedIn:
    """Take in what a unit uploads, for one affair or for whichever the files tell; plan one answer for all.

    Raises:
        ValueError: there is no file.

    """
    if not files:
        raise ValueError("a hand-in without a file")
    intake = _noted(session, act, party, sum(len(file.content) for file in files))
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
    kind = IntakeKind.HAND_IN if taken.recorded else IntakeKind.UNREADABLE
    if taken.notice is None:
        kind = IntakeKind.DUPLICATE
    settle(intake, kind=kind, state=IntakeState.DONE, reason="; ".join(taken.reasons), problems=taken.problems)
    return HandedIn(intake_id=intake.id, taken=taken)


def hand_in_nothing(
    session: Session, premises: Premises, act: Act, party: PartyRow, obligation: ObligationRow
) -> HandedIn:
    """Take in that a unit has nothing to report.

    Raises:
        NotPossible: that cannot be said of it.

    """
    intake = _noted(session, act, party, 0)
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
    kind = IntakeKind.DUPLICATE if taken.notice is None else IntakeKind.HAND_IN
    settle(intake, kind=kind, state=IntakeState.DONE, reason="; ".join(taken.reasons), problems=taken.problems)
    return HandedIn(intake_id=intake.id, taken=taken)


def _noted(session: Session, act: Act, party: PartyRow, size: int) -> IntakeRow:
    """Note that something comes in by the page, as of a mail."""
    intake = IntakeRow(
        mailbox=CHANNEL,
        uid=uuid4().hex,
        raw_sha256="",
        size=size,
        received_at=act.as_of,
        campaign_id=party.campaign_id,
        party_id=party.id,
        matched_by=MATCHED_BY,
        from_known=True,
        problems=[],
        **written(act),
    )
    session.add(intake)
    session.flush()
    return intake


def hand_in_form(session: Session, premises: Premises, act: Act, opened: Opened, content: bytes) -> HandedIn:
    """Take in a form filled on the page, as the unit's workbook; its draft is no longer needed then."""
    deliverable = opened.book.campaign.deliverable(opened.deliverable)
    name = f"{deliverable.label}{deliverable.title}（网页填报）.xlsx"
    file = IncomingFile(name=name, content=content)
    done = hand_in_files(session, premises, act, opened.party, [file], obligation=opened.obligation)
    if done.taken.recorded or done.known_before:
        drop_draft(session, opened.obligation.id)
    return done
