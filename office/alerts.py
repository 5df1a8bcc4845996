"""Alerts: mails to the operators about what needs a person: contacts that fail, lanes that were stopped."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import contacts_of, office_of
from ledger.facts import mailed_on
from ledger.ladder import open_approvals, parties_owing, shown_in
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import CampaignRow, MessageRow, MessageState
from office import wording
from office.contacts import contact_troubles
from office.digest import plan_digest
from office.letters import Alert
from office.premises import Premises
from office.rulebook import open_book, rulebook_of

SHOWN = 40
CONTACTS, DESK, APPROVALS = "contacts", "desk", "approvals"  # topics; of a stopped lane: lane:<name>
READERS = {APPROVALS: "approver"}  # the role of the office to whom a topic goes, where it is not the operators


def alert_staff(session: Session, premises: Premises, act: Act, campaign: str, topic: str, *, said: str = "") -> bool:
    """Plan an alert on a topic, at most one a local day; return whether one was planned.

    What it lists is read when it is composed, so one that still waits for that tells the new trouble too. If the
    day's has been composed, the trouble is told tomorrow, when the campaign's sending window opens.
    What waits for the staff's own hands is in their digest: today's, if it has not gone, else tomorrow's.
    """
    if topic == DESK:
        session.flush()
        return plan_digest(session, premises, act, campaign, just_now=True) > 0
    row, book = open_book(session, campaign)
    if _waits_to_be_composed(session, row.id, topic):
        return False
    office = office_of(session, row.id)
    today = act.as_of.astimezone(book.zone).date()
    day = _first_day_without(session, row.id, topic, today)
    occasion = f"alert:{topic}:{day.isoformat()}"
    detail: dict[str, Any] = {"topic": topic, "said": said[:500]}
    reader = next((c for c in contacts_of(session, office.id) if c.role == READERS.get(topic)), None)
    if reader is not None:
        detail["contact"] = reader.id
    new = NewMessage(party_id=office.id, notice="alert", occasion=occasion, detail=detail)
    [planned] = plan_messages(session, act, row.id, premises.mail_domain, [new])
    if day > today:
        planned.not_before = datetime.combine(day, book.campaign.sending.window[0], tzinfo=book.zone)
    return True


def _waits_to_be_composed(session: Session, campaign_id: int, topic: str) -> bool:
    query = select(MessageRow.id).where(
        MessageRow.campaign_id == campaign_id,
        MessageRow.occasion.like(f"alert:{topic}:%"),
        MessageRow.state == MessageState.PLANNED,
        MessageRow.raw_sha256.is_(None),
    )
    return session.scalar(query.limit(1)) is not None


def _first_day_without(session: Session, campaign_id: int, topic: str, today: date) -> date:
    taken = {occasion for _, occasion in mailed_on(session, campaign_id, f"alert:{topic}:%")}
    days = (today + timedelta(days=ahead) for ahead in count())
    return next(day for day in days if f"alert:{topic}:{day.isoformat()}" not in taken)


def alert_lines(session: Session, campaign: CampaignRow, detail: Mapping[str, Any]) -> Alert:
    """Return what an alert says, by the facts of the moment."""
    topic = str(detail.get("topic", CONTACTS))
    if topic.startswith("lane:"):
        lane = topic.removeprefix("lane:")
        return Alert(
            headline=wording.ALERT["lane"].format(lane=lane),
            lines=(wording.ANSWERED.format(said=detail.get("said", "")),),
            remedy=wording.ALERT_REMEDY["lane"].format(lane=lane),
        )
    if topic == APPROVALS:
        return _approvals(session, campaign)
    troubles = contact_troubles(session, campaign.id)
    lines = [
        f"{t.code} {t.name}：{wording.TROUBLE[t.trouble]}"
        + (f"（现写往 {t.written_to}）" if t.written_to else "")
        + (f"；{'；'.join(t.failing)}" if t.failing else "")
        + (f"；电话 {'、'.join(t.phones)}" if t.phones else "")
        for t in troubles
    ]
    more = (f"另有 {len(lines) - SHOWN} 个单位，见联系人清单。",) if len(lines) > SHOWN else ()
    return Alert(
        headline=wording.ALERT["contacts"].format(count=len(troubles)),
        lines=(*lines[:SHOWN], *more),
        remedy=wording.ALERT_REMEDY["contacts"],
    )


def _approvals(session: Session, campaign: CampaignRow) -> Alert:
    """Return the rungs that wait for staff's consent, and how many units each would name."""
    rungs = {r.key: r.name or f"第{r.number}级" for r in rulebook_of(campaign).ladder}
    waiting = open_approvals(session, campaign.id)
    return Alert(
        headline=wording.ALERT["approvals"].format(count=len(waiting)),
        lines=tuple(
            wording.CONSENT.format(
                rung=rungs[one.rung],
                units=len(set(parties_owing(session, (obligation for _, obligation, _ in shown_in(one))).values())),
                items=len(one.shown),
                occasion=one.occasion,
            )
            for one in waiting
        ),
        remedy=wording.ALERT_REMEDY["approvals"],
    )
