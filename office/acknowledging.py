"""Acknowledging: the page on which whoever was told on a rung promises a date, and the promise put on record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.decisions import withdraw_rungs
from ledger.facts import load_obligations, party_names
from ledger.ladder import acknowledgements_of, parties_owing, record_acknowledgement, told_on
from ledger.tables import AcknowledgementRow, CampaignRow, PartyRow
from office import wording
from office.refusals import NotPossible
from office.rulebook import Rulebook, rulebook_of
from office.unit_own import NotYoursError
from rules.deadlines import StatedDeadline, due_instant, stated
from rules.ladder import MOST_PROMISES
from rules.obligations import Obligation, is_owed, titled
from rules.timetable import LadderRung

PROMISED = "what it speaks of was promised for a later day"


@dataclass(frozen=True, kw_only=True)
class OweLine:
    """One thing of which a party was told and that is still owed."""

    unit_name: str
    title: str
    due_text: str
    overdue_text: str


@dataclass(frozen=True, kw_only=True)
class RungPage:
    """What a party sees of a rung on which it was told."""

    number: int
    lines: tuple[OweLine, ...]
    of_others: bool  # what is owed is other units'
    promised_text: str  # the day promised last
    may_promise: bool
    is_over: bool  # no day is left that could be promised
    first: date
    last: date


def rung_page(session: Session, party: PartyRow, number: int, at: datetime) -> RungPage:
    """Return the page of a rung for a party that was told on it.

    Raises:
        NotYoursError: it was told nothing on that rung, or the rung asks for no acknowledgement.

    """
    book, rung = _rung(session, party, number)
    owed = _owed(session, party, rung)
    units = party_names(session, party.campaign_id, {ob.party_id for ob in owed})
    made = acknowledgements_of(session, party.id, rung.key)
    today, last = at.astimezone(book.zone).date(), _last_day(book)
    return RungPage(
        number=number,
        lines=tuple(
            OweLine(
                unit_name=units[ob.party_id].name,
                title=_title(book, ob),
                due_text=wording.due_text(ob.due, book.zone),
                overdue_text=wording.overdue_text(ob.due, at, book.zone),
            )
            for ob in owed
        ),
        of_others=any(ob.party_id != party.id for ob in owed),
        promised_text=wording.day_text(stated(made[-1].until, book.zone).day) if made else "",
        may_promise=bool(_open_to_promise(made, owed)) and today <= last,
        is_over=today > last,
        first=today,
        last=last,
    )


def acknowledge(session: Session, act: Act, party: PartyRow, number: int, until: date) -> AcknowledgementRow:
    """Promise a day for what is still owed of what a rung told a party; it takes the place of an earlier promise.

    The rungs above wait for it. A rung is held up by a promise and once more by a later one; after that it goes on.

    Raises:
        NotYoursError: the party was told nothing on that rung.
        NotPossible: the day has passed or lies after the close, nothing is owed, or it was put off twice already.

    """
    book, rung = _rung(session, party, number)
    owed = _owed(session, party, rung)
    if not owed:
        raise NotPossible("nothing_owed", f"nothing of what {rung.key} told {party.code} is owed any more")
    last = _last_day(book)
    if not act.as_of.astimezone(book.zone).date() <= until <= last:
        raise NotPossible("bad_promise", f"{until} is not between today and {last}", closes=wording.day_text(last))
    end = due_instant(StatedDeadline(day=until), book.zone)
    made = acknowledgements_of(session, party.id, rung.key)
    if made and made[-1].until == end and {ob.id for ob in owed} <= {obligation for obligation, _ in made[-1].items}:
        return made[-1]  # a double click promises once
    covered = _open_to_promise(made, owed)
    if not covered:
        raise NotPossible("promised_twice", f"{party.code} has put off {rung.key} {MOST_PROMISES} times already")
    promise = record_acknowledgement(session, act, party, rung.key, end, [(ob.id, ob.due) for ob in covered])
    above = [one.key for one in book.ladder if one.number > rung.number]
    ids = [ob.id for ob in covered]
    withdraw_rungs(session, act, party.campaign_id, obligation_ids=ids, rungs=above, why=PROMISED)
    return promise


def _rung(session: Session, party: PartyRow, number: int) -> tuple[Rulebook, LadderRung]:
    book = rulebook_of(session.get_one(CampaignRow, party.campaign_id))
    rung = next((r for r in book.ladder if r.number == number and r.acknowledge), None)
    if rung is None or not told_on(session, party.id, rung.key):
        raise NotYoursError
    return book, rung


def _owed(session: Session, party: PartyRow, rung: LadderRung) -> list[Obligation]:
    told = set(told_on(session, party.id, rung.key))
    owing = set(parties_owing(session, (obligation for obligation, _ in told)).values())
    known = load_obligations(session, party.campaign_id, party_ids=owing)
    return [ob for ob in known if (ob.id, ob.due) in told and is_owed(ob)]


def _open_to_promise(made: Sequence[AcknowledgementRow], owed: Sequence[Obligation]) -> list[Obligation]:
    """Return what has not been put off as often as it may be."""

    def times(ob: Obligation) -> int:
        due = ob.due.isoformat() if ob.due else None
        return sum([ob.id, due] in row.items for row in made)

    return [ob for ob in owed if times(ob) < MOST_PROMISES]


def _last_day(book: Rulebook) -> date:
    """Return the last day that may be promised: that of the close."""
    return (book.close_at - timedelta(seconds=1)).astimezone(book.zone).date()


def _title(book: Rulebook, ob: Obligation) -> str:
    title = book.campaign.deliverable(ob.deliverable).title
    return titled(title, ob.occurrence)
