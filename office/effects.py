"""What an act did, read back from the ledger: its decision, whom it touches, what it changed, withdrew and planned.

Whatever verb staff use, the same is asked of the rows it wrote, so that what they are shown is what happened.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.facts import party_names
from ledger.tables import (
    GONE,
    AttemptRow,
    Changed,
    ChangeRow,
    DecisionRow,
    DeliverableRow,
    MessageRow,
    MessageState,
    ObligationRow,
)
from office import wording
from office.decision_list import what_was_decided
from office.premises import Premises
from office.rulebook import open_book
from office.waiting import why_waiting
from rules.delivery import Unsent, next_opening
from rules.obligations import titled

SHOWN = 12  # units named; of the others only the number
ASKED = 1_000  # waiting mails of which is asked what they wait for
NAMED = {
    Changed.EXEMPT: "免报",
    Changed.ORIGINAL: "登记收到纸质件",
    Changed.LEFT: "退出活动",
}
BACK = {
    Changed.EXEMPT: "恢复报送",
    Changed.ORIGINAL: "撤销收到纸质件的登记",
    Changed.LEFT: "恢复参加活动",
}
LATER = "等待发出"
OTHERWISE = {"superseded": "事项已办完，不再发出", "expired": "已过时效，不再发出", "bounced": "被退回"}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How far the ledger had come before an act."""

    decision: int
    message: int
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What an act did; plain values, in the words of staff."""

    decision: int | None = None
    kind: str = ""
    units: tuple[str, ...] = ()  # the first so many
    touched: int = 0
    changes: tuple[tuple[str, int], ...] = ()
    mails: tuple[int, ...] = ()
    notices: tuple[tuple[str, int], ...] = ()
    withdrawn: tuple[tuple[str, int], ...] = ()

    @property
    def others(self) -> int:
        """How many units are touched that are not named."""
        return self.touched - len(self.units)


def mark(session: Session) -> Mark:
    """Return how far the ledger has come."""
    last = [session.scalar(select(func.max(row.id))) or 0 for row in (DecisionRow, MessageRow, AttemptRow)]
    return Mark(decision=last[0], message=last[1], attempt=last[2])


def effect_since(session: Session, campaign: str, before: Mark) -> Effect:
    """Return what was done to a campaign since a mark, in the transaction that did it: nobody else has written."""
    session.flush()
    row, book = open_book(session, campaign)
    new = DecisionRow.campaign_id == row.id, DecisionRow.id > before.decision
    decisions = session.scalars(select(DecisionRow).where(*new).order_by(DecisionRow.id)).all()
    changes = session.scalars(
        select(ChangeRow).where(ChangeRow.decision_id.in_([d.id for d in decisions])).order_by(ChangeRow.id)
    ).all()
    mine = MessageRow.campaign_id == row.id, MessageRow.id > before.message, MessageRow.state.not_in(GONE)
    mails = session.scalars(select(MessageRow).where(*mine).order_by(MessageRow.id)).all()
    touched = [
        *(d.party_id for d in decisions), *(c.party_id for c in changes), *(m.party_id for m in mails)
    ]  # fmt: skip
    names = party_names(session, row.id)
    units = [f"{names[id_].code} {names[id_].name}" for id_ in dict.fromkeys(touched) if id_ is not None]
    return Effect(
        decision=decisions[0].id if decisions else None,
        kind=what_was_decided(session, decisions[0]) if decisions else "",
        units=tuple(units[:SHOWN]),
        touched=len(units),
        changes=tuple(Counter(_changed(session, changes, book.zone)).items()),
        mails=tuple(m.id for m in mails),
        notices=_by_notice(m.notice for m in mails),
        withdrawn=_withdrawn(session, row.id, before),
    )


def _by_notice(notices: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(wording.NOTICE.get(notice, notice) for notice in notices).items())


def _withdrawn(session: Session, campaign_id: int, before: Mark) -> tuple[tuple[str, int], ...]:
    """Return the mails that waited and were withdrawn, by notice."""
    query = (
        select(MessageRow.notice)
        .join(AttemptRow, AttemptRow.message_id == MessageRow.id)
        .where(AttemptRow.id > before.attempt, AttemptRow.state.in_(GONE), MessageRow.campaign_id == campaign_id)
    )
    return _by_notice(session.scalars(query))


def _changed(session: Session, changes: Sequence[ChangeRow], zone: ZoneInfo) -> Iterator[str]:
    """Yield each value changed, in words, with the material it is about."""
    titles = _titles(session, [c.obligation_id for c in changes if c.obligation_id is not None])
    for change in changes:
        about = f"《{titles[change.obligation_id]}》" if change.obligation_id is not None else ""
        field = Changed(change.field)
        if field is Changed.DUE:
            yield f"{about}截止时间：{_due(change.before, zone)} → {_due(change.after, zone)}"
        elif field in NAMED:
            yield about + (NAMED if change.after is not None else BACK)[field]


def _due(stated: str | None, zone: ZoneInfo) -> str:
    return wording.due_text(datetime.fromisoformat(stated) if stated else None, zone)


def _titles(session: Session, obligation_ids: Sequence[int]) -> dict[int, str]:
    query = select(ObligationRow.id, DeliverableRow.title, ObligationRow.occurrence)
    query = query.join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
    campaigns = select(ObligationRow.campaign_id).where(ObligationRow.id.in_(obligation_ids[:1]))
    return {
        id_: titled(title, occ)
        for id_, title, occ in session.execute(query.where(ObligationRow.campaign_id.in_(campaigns)))
    }


def fates_of(
    session: Session, premises: Premises, act: Act, campaign: str, mails: Sequence[int]
) -> tuple[tuple[str, int], ...]:
    """Return how some mails stand now, and what those that wait are waiting for, each with their number."""
    book = open_book(session, campaign)[1]
    waits = why_waiting(session, premises, act, mails[:ASKED])
    window = book.campaign.sending.window
    opens = wording.moment_text(next_opening(act.as_of, window, book.zone), book.zone)
    counted: Counter[str] = Counter()
    states = select(MessageRow.id, MessageRow.state, MessageRow.not_before)
    wanted = set(mails)
    for id_, state, not_before in session.execute(states.where(MessageRow.id >= min(mails, default=0))):
        if id_ not in wanted:
            continue
        why = waits[id_][0] if id_ in waits else None
        if why is Unsent.OUTSIDE_WINDOW:
            counted[f"不在发送时段，{opens}起发出"] += 1
        elif why is not None:
            counted[wording.UNSENT[why.value]] += 1
        elif state in (MessageState.PLANNED, MessageState.CLAIMED):
            later = f"{wording.moment_text(not_before, book.zone)}起发出" if not_before is not None else LATER
            counted[later if not_before is not None and not_before > act.as_of else LATER] += 1
        else:
            counted[wording.OUTCOME.get(state, OTHERWISE.get(state, state))] += 1
    return tuple(counted.items())
