"""Consent: rungs that go out only when staff agree. The list is shown, and made anew when consent is given.

Nothing is remembered but what was asked and answered: what waits follows from the ledger's facts at every run.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import find_campaign
from ledger.facts import party_names
from ledger.ladder import (
    ask_approval,
    find_approval,
    open_approvals,
    parties_owing,
    settle_approval,
    shown_in,
    titles_of,
)
from ledger.tables import ApprovalRow, ApprovalState, CampaignRow, CampaignState
from office.alerts import APPROVALS, alert_staff
from office.ladder import rungs_due, send_rungs
from office.mailbook import local, one_line
from office.premises import Premises
from office.refusals import Mistaken, NotPossible
from office.review import grounds_of
from office.rulebook import Rulebook, rulebook_of
from rules.deadlines import local_instant
from rules.notices import NoticeDue
from rules.timetable import LadderRung, working_days_later


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What came of consent: mails planned, and how many things of the list had been dealt with meanwhile."""

    campaign: str
    mails: int
    left_out: int


def ask_for_consent(
    session: Session, premises: Premises, act: Act, row: CampaignRow, waiting: Iterable[NoticeDue]
) -> int:
    """Put the lists of today before staff, in the place of those of earlier days; return how many are new.

    Staff are told by mail, once a day for as long as something waits.
    """
    by_occasion: dict[str, list[NoticeDue]] = {}
    for notice in waiting:
        by_occasion.setdefault(notice.occasion, []).append(notice)
    for old in open_approvals(session, row.id):
        if old.occasion not in by_occasion and old.as_of <= act.as_of:
            settle_approval(session, act, old, ApprovalState.LAPSED)
    asked = 0
    for occasion, notices in by_occasion.items():
        shown = ((n.party_id, item.obligation_id, item.due) for n in notices for item in n.items)
        asked += ask_approval(session, act, row.id, occasion, notices[0].items[0].rung, shown) is not None
    if asked:  # a list is made anew each day, and with it staff are reminded
        alert_staff(session, premises, act, row.key, APPROVALS)
    return asked


def approve(
    session: Session, premises: Premises, act: Act, occasion: str, *, grounds: str, campaign: str | None = None
) -> Consent:
    """Let a rung go out: to whom it was shown, of what is still owed now. With nothing left, nothing goes.

    Raises:
        UnknownApproval: nothing waits on that occasion.
        NotPossible: it was answered before, a later list has taken its place, or the campaign is paused.
        ValueError: there are no grounds.

    """
    said = grounds_of(grounds, "it goes out")
    asked, row, book = _open_one(session, occasion, campaign)
    if row.state == CampaignState.PAUSED:
        raise NotPossible(
            "standing",
            f"{row.key} is paused; `muster resume {row.key}` first, or decline it",
            staff="approve_paused",
            campaign=row.key,
        )
    shown = shown_in(asked)
    notices = []
    for notice in rungs_due(session, row, book, act.as_of).to_approve:
        left = tuple(i for i in notice.items if (notice.party_id, i.obligation_id, i.due) in shown)
        if left and left[0].rung == asked.rung:
            notices.append(replace(notice, occasion=occasion, items=left))
    mails = send_rungs(session, premises, act, row, notices)
    settle_approval(session, act, asked, ApprovalState.APPROVED, said, mails=len(mails))
    return Consent(campaign=row.key, mails=len(mails), left_out=len(shown) - sum(len(n.items) for n in notices))


def decline(
    session: Session, act: Act, occasion: str, *, grounds: str, until: date | None = None, campaign: str | None = None
) -> datetime:
    """Keep a rung from going out; return when staff are asked again: the next working day, or on the day named.

    Raises:
        UnknownApproval: nothing waits on that occasion.
        NotPossible: it was answered before, or a later list has taken its place.
        ValueError: there are no grounds, or the day has come already.

    """
    said = grounds_of(grounds, "it does not go out")
    asked, _, book = _open_one(session, occasion, campaign)
    again = working_days_later(act.as_of, 1, book.hours)
    if until is not None:
        again = local_instant(until, book.hours.send_at, book.zone)
        if again <= act.as_of:
            raise Mistaken("asked_again_past", f"{until} has come already; name a later day on which to be asked again")
    settle_approval(session, act, asked, ApprovalState.DECLINED, said, again_at=again)
    return again


def _open_one(session: Session, occasion: str, campaign: str | None) -> tuple[ApprovalRow, CampaignRow, Rulebook]:
    """Return the list of an occasion that waits; of several campaigns, that of the one named."""
    only = find_campaign(session, campaign).id if campaign is not None else None
    asked = find_approval(session, occasion, only)
    if asked.state != ApprovalState.ASKED:
        raise NotPossible(
            "judged",
            f"{occasion} is {asked.state} already; `muster approvals` lists what waits now",
            staff="approval_answered",
        )
    row = session.get_one(CampaignRow, asked.campaign_id)
    return asked, row, rulebook_of(row)


def occasion_meant(session: Session, campaign: str, named: str) -> str:
    """Return the occasion that staff name; where they name none, the only one of a campaign that waits.

    Raises:
        Mistaken: none waits, or several do.

    """
    if named.strip():
        return named.strip()
    waiting = [asked.occasion for asked in open_approvals(session, find_campaign(session, campaign).id)]
    if not waiting:
        raise Mistaken("no_approval", f"nothing of {campaign} waits for consent")
    if len(waiting) > 1:
        raise Mistaken(
            "several_approvals", f"several rungs wait: {', '.join(waiting)}; name one", known="、".join(waiting)
        )
    return waiting[0]


def waiting_lists(session: Session, campaign: str | None = None) -> list[tuple[str, ...]]:
    """Return the lists that wait for staff: occasion, campaign, rung, units, items, since when."""
    only = find_campaign(session, campaign).id if campaign is not None else None
    lines: list[tuple[str, ...]] = []
    for asked in open_approvals(session, only):
        row = session.get_one(CampaignRow, asked.campaign_id)
        book = rulebook_of(row)
        units = set(parties_owing(session, (obligation for _, obligation, _ in shown_in(asked))).values())
        name = rung_name(next(r for r in book.ladder if r.key == asked.rung))
        since = local(asked.as_of, book.zone)
        lines.append((asked.occasion, row.key, name, str(len(units)), str(len(asked.shown)), since))
    return lines


def list_shown(session: Session, occasion: str, campaign: str | None = None) -> list[tuple[str, ...]]:
    """Return what an open list shows: to whom, of which unit, what, and by when it was due."""
    asked, row, book = _open_one(session, occasion, campaign)
    names = party_names(session, row.id)
    shown = sorted(shown_in(asked), key=lambda s: (s[0], s[1]))
    owing = parties_owing(session, (obligation for _, obligation, _ in shown))
    titles = titles_of(session, [obligation for _, obligation, _ in shown])
    return [
        (
            f"{names[party].code} {names[party].name}",
            f"{names[owing[obligation]].code} {names[owing[obligation]].name}",
            one_line(titles[obligation]),
            local(due - timedelta(minutes=1), book.zone) if due is not None else "",
        )
        for party, obligation, due in shown
    ]


def rung_name(rung: LadderRung) -> str:
    """Return a rung as staff know it."""
    return rung.name or f"第{rung.number}级"
