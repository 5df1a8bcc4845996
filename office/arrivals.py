"""What comes in without a mail, by page or from staff: noted like one, so that the answer has something to answer."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import written
from ledger.submissions import settle
from ledger.tables import IntakeKind, IntakeRow, IntakeState, PartyRow

if TYPE_CHECKING:
    from office.handin import TakenIn


def note_arrival(
    session: Session, act: Act, party: PartyRow, *, mailbox: str, matched_by: str, received_at: datetime, size: int = 0
) -> IntakeRow:
    """Note that something of a unit comes in; ``mailbox`` says by which way."""
    row = IntakeRow(
        mailbox=mailbox,
        uid=uuid4().hex,
        raw_sha256="",
        size=size,
        received_at=received_at,
        from_address=act.actor[:320],
        campaign_id=party.campaign_id,
        party_id=party.id,
        matched_by=matched_by[:32],
        from_known=True,
        problems=[],
        **written(act),
    )
    session.add(row)
    session.flush()
    return row


def settle_arrival(row: IntakeRow, taken: "TakenIn") -> None:
    """Say what became of it: recorded, all there before, or nothing that can be recorded."""
    kind = IntakeKind.HAND_IN if taken.recorded else IntakeKind.UNREADABLE
    if not taken.recorded and taken.notice is None:
        kind = IntakeKind.DUPLICATE
    settle(row, kind=kind, state=IntakeState.DONE, reason="; ".join(taken.reasons), problems=taken.problems)
