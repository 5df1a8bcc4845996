"""A campaign paused, resumed, closed and reopened: nothing is chased then; hand-ins are taken all the time."""

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import Change
from ledger.decisions import decide, keep_definition
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.tables import CampaignRow, CampaignState, Changed, DecisionRow, PartyKind, PartyRow
from office.premises import Premises
from office.refusal_wording import STATE
from office.refusals import NotPossible
from office.review import grounds_of
from office.rulebook import Rulebook, open_book
from office.telling import tell

PAUSED, RESUMED, CLOSED, REOPENED = "campaign_paused", "campaign_resumed", "campaign_closed", "campaign_reopened"
AT_THE_END = "the final consolidation"


def pause(session: Session, act: Act, campaign: str, grounds: str) -> DecisionRow:
    """Pause a campaign: reminders and escalations that wait are withdrawn, other mail in bulk waits, replies go.

    Raises:
        NotPossible: it is paused or closed.
        ValueError: there are no grounds.

    """
    row, _ = open_book(session, campaign)
    _refuse_unless(row, CampaignState.LAUNCHED)
    return _move(session, act, row, PAUSED, CampaignState.PAUSED, grounds_of(grounds, "the campaign is paused"))


def resume(session: Session, act: Act, campaign: str, grounds: str) -> DecisionRow:
    """Resume a paused campaign. Of what fell due meanwhile each unit hears at most the latest reminder.

    Raises:
        NotPossible: it is not paused.
        ValueError: there are no grounds.

    """
    row, _ = open_book(session, campaign)
    _refuse_unless(row, CampaignState.PAUSED)
    return _move(session, act, row, RESUMED, CampaignState.LAUNCHED, grounds_of(grounds, "the campaign is resumed"))


def close(session: Session, premises: Premises, act: Act, campaign: str, grounds: str) -> DecisionRow:
    """Close a campaign before its day: nothing is chased any more, and every unit is told where it stands.

    Raises:
        NotPossible: it is closed.
        ValueError: there are no grounds.

    """
    row, _ = open_book(session, campaign)
    _refuse_unless(row, CampaignState.LAUNCHED, CampaignState.PAUSED)
    decision = _move(session, act, row, CLOSED, CampaignState.CLOSED, grounds_of(grounds, "the campaign is closed"))
    units = select(PartyRow.id).where(
        PartyRow.campaign_id == row.id, PartyRow.kind == PartyKind.UNIT, PartyRow.left_at.is_(None)
    )
    tell(session, premises, act, "closing", decision, parties=session.scalars(units).all())
    return decision


def close_at_the_end(session: Session, act: Act, row: CampaignRow) -> DecisionRow:
    """Close a campaign with its final consolidation, which has told the units."""
    return _move(session, act, row, CLOSED, CampaignState.CLOSED, AT_THE_END)


def reopen_campaign(
    session: Session, act: Act, campaign: str, grounds: str, *, until: date | None = None
) -> DecisionRow:
    """Reopen a closed campaign until another day, or until the day it was to close on anyway.

    Raises:
        NotPossible: it is not closed, or the day has passed.
        ValueError: there are no grounds.

    """
    row, book = open_book(session, campaign)
    _refuse_unless(row, CampaignState.CLOSED)
    said = grounds_of(grounds, "the campaign is reopened")
    changes = []
    if until is not None and until != book.campaign.closes_on:
        timetable = book.campaign.timetable
        close_at = datetime.combine(until, timetable.close.time())
        amended = book.campaign.model_copy(
            update={"closes_on": until, "timetable": timetable.model_copy(update={"close": close_at})}
        )
        book = Rulebook(amended)
        keep_definition(session, act, row.digest, row.definition)
        keep_definition(session, act, amended.digest(), amended.dump())
        changes.append(Change(Changed.DEFINITION, row.digest, amended.digest()))
    if book.close_at <= act.as_of:
        closes = book.campaign.closes_on
        raise NotPossible("standing", f"{campaign} would close on {closes}, which has passed; name a day with --until")
    after = {"closes_on": book.campaign.closes_on.isoformat()}
    changes.append(Change(Changed.STATE, row.state, CampaignState.LAUNCHED.value))
    return decide(session, act, row.id, REOPENED, said, after=after, changes=changes)


def _refuse_unless(row: CampaignRow, *states: CampaignState) -> None:
    if row.state not in set(states):
        raise NotPossible(
            "standing",
            f"{row.key} is {row.state}; nothing was changed",
            staff="campaign_is",
            campaign=row.key,
            state=STATE.get(row.state, row.state),
        )


def _move(session: Session, act: Act, row: CampaignRow, kind: str, state: CampaignState, grounds: str) -> DecisionRow:
    change = Change(Changed.STATE, row.state, state.value)
    decision = decide(session, act, row.id, kind, grounds, changes=[change])
    if state is CampaignState.CLOSED:
        note(session, act, EventKind.CLOSED, {"decision": decision.id}, row.id)
    return decision
