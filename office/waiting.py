"""Why a mail that is planned has not left, and when it can: what the gate would say of it now, in words."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger import senders
from ledger.acts import Act
from ledger.outbox import Waiting
from ledger.tables import CampaignRow, MessageRow
from ledger.tables.messages import WAITS
from office.gate import Gate, scopes_of
from office.mailbook import local, one_line
from office.premises import Premises
from office.rulebook import Rulebook, rulebook_of
from rules.delivery import Unsent, next_opening

NOBODY = ""  # asks without being a sender
READY = "ready: leaves with the next run of deliver, or by itself under `muster up` or `muster serve`"


def why_waiting(
    session: Session, premises: Premises, act: Act, message_ids: Collection[int]
) -> dict[int, tuple[Unsent | None, str]]:
    """Return of those among some mails that wait what keeps them, and the same in words with when they can go.

    They are asked in the order in which they would leave: what goes before counts towards the cap of an address.
    """
    query = select(MessageRow).where(MessageRow.id.in_(message_ids), text(WAITS))
    by_campaign: dict[int, list[MessageRow]] = {}
    for row in session.scalars(query.order_by(MessageRow.priority, MessageRow.id)):
        by_campaign.setdefault(row.campaign_id, []).append(row)
    found: dict[int, tuple[Unsent | None, str]] = {}
    for campaign_id, rows in by_campaign.items():
        campaign = session.get_one(CampaignRow, campaign_id)
        desk = _Desk(session, premises, act, campaign)
        desk.gate.look_at([_as_read(row) for row in rows])
        found |= {row.id: desk.said_of(row) for row in rows}
    return found


def _as_read(row: MessageRow) -> Waiting:
    return Waiting(**{name: getattr(row, name) for name in Waiting._fields})


class _Desk:
    """One campaign's gate, asked and put into words."""

    def __init__(self, session: Session, premises: Premises, act: Act, campaign: CampaignRow) -> None:
        self._session = session
        self._act = act
        self._key = campaign.key
        self._book: Rulebook = rulebook_of(campaign)
        self.gate = Gate(session, premises, act, campaign, self._book, NOBODY)

    def said_of(self, row: MessageRow) -> tuple[Unsent | None, str]:
        if row.not_before is not None and row.not_before > self._act.as_of:
            return None, f"goes from {self._local(row.not_before)}"
        message = _as_read(row)
        verdict = self.gate.over(message, named=0, live=0) or self.gate.verdict(message)
        if not isinstance(verdict, Unsent):
            return None, READY
        return verdict, self._words(verdict, self.gate.lane_of(message))

    def _words(self, why: Unsent, lane: str) -> str:
        window, zone, now = self._book.campaign.sending.window, self._book.zone, self._act.as_of
        opens, tomorrow = (self._local(next_opening(now, window, zone, today=today)) for today in (True, False))
        hours = f"{window[0]:%H:%M}–{window[1]:%H:%M}"
        cap = self._book.campaign.sending.daily_cap
        words: Mapping[Unsent, str] = {
            Unsent.FENCED: f"behind the fence; goes after `muster go-live {self._key}`",
            Unsent.OUTSIDE_WINDOW: f"outside the sending window ({hours}); goes from {opens}",
            Unsent.CAP_REACHED: f"its address has its {cap} reminders of the day; goes from {tomorrow}",
            Unsent.CAMPAIGN_PAUSED: f"the campaign is paused; goes after `muster resume {self._key}`",
            Unsent.NO_CONTACT: "no contact works; goes once `muster contact` names one",
            Unsent.EXPIRED: "its time is over: it does not leave any more",
            Unsent.PAUSED: "the campaign is closed: it does not leave any more",
            Unsent.GIVEN_UP: "was tried too often: it does not leave any more",
            Unsent.LANE_FULL: f"lane {lane} is used up for the moment; goes as it frees up",
        }
        if why is Unsent.HELD:
            return self._held(lane)
        return self._lane_closed(lane) if why is Unsent.LANE_CLOSED else words.get(why, why.value)

    def _held(self, lane: str) -> str:
        concern = scopes_of(self._key, [lane])
        holds = [one for one in senders.holds_in_force(self._session) if one.scope in concern]
        grounds = "; ".join(f"{one.scope}: {one_line(one.grounds)}" for one in holds)
        return f"on hold ({grounds}); goes after {' and '.join(_release(one.scope) for one in holds)}"

    def _lane_closed(self, lane: str) -> str:
        stand = senders.lane_stands(self._session).get(lane)
        until = stand.pace.closed_until if stand is not None else None
        return f"lane {lane} is closed by its provider" + (f"; goes from {self._local(until)}" if until else "")

    def _local(self, moment: datetime) -> str:
        return local(moment, self._book.zone)


def _release(scope: str) -> str:
    kind, _, name = scope.partition(":")
    return "`muster release" + (f" --{kind} {name}`" if name else "`")
