"""Alerts: mails to the operators about what needs a person: contacts that fail, lanes that were stopped."""

from collections.abc import Mapping, Sequence
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
from ledger.requests import EXTENSION, open_requests
from ledger.tables import CampaignRow, MessageRow, MessageState, PartyRow
from office import wording
from office.contacts import contact_troubles
from office.digest import plan_digest
from office.letters import Alert
from office.mailbook import one_line
from office.premises import Premises
from office.rulebook import open_book, rulebook_of
from office.worklists import wish_of

SHOWN = 40
CONTACTS, DESK, APPROVALS = "contacts", "desk", "approvals"  # topics; of a stopped lane: lane:<name>
REQUESTS, RUN = "requests", "run"  # planned by office/request_notes.py and office/broken_runs.py; of a flow: run:<name>
READERS = {
    APPROVALS: "approver",
    REQUESTS: "approver",
}  # the role of the office to whom a topic goes, where it is not the operators


def alert_staff(
    session: Session,
    premises: Premises,
    act: Act,
    campaign: str,
    topic: str,
    *,
    said: str = "",
    facts: Mapping[str, Any] | None = None,
) -> bool:
    """Plan an alert on a topic, at most one a local day; return whether one was planned.

    What it lists is read when it is composed, so one that still waits for that tells the new trouble too. If the
    day's has been composed, the trouble is told tomorrow, when the campaign's sending window opens.
    ``facts`` are what it is to say beside what can be read then.
    What waits for the staff's own hands is in their digest: today's, if it has not gone, else tomorrow's.
    """
    if topic == DESK:
        session.flush()
        return plan_digest(session, premises, act, campaign, just_now=True) > 0
    row, book = open_book(session, campaign)
    if waiting_alert(session, row.id, topic) is not None:
        return False
    office = office_of(session, row.id)
    today = act.as_of.astimezone(book.zone).date()
    day = _first_day_without(session, row.id, topic, today)
    occasion = f"alert:{topic}:{day.isoformat()}"
    detail: dict[str, Any] = {"topic": topic, "said": said[:500], **(facts or {})}
    reader = next((c for c in contacts_of(session, office.id) if c.role == READERS.get(topic)), None)
    if reader is not None:
        detail["contact"] = reader.id
    new = NewMessage(party_id=office.id, notice="alert", occasion=occasion, detail=detail)
    [planned] = plan_messages(session, act, row.id, premises.mail_domain, [new])
    if day > today:
        planned.not_before = datetime.combine(day, book.campaign.sending.window[0], tzinfo=book.zone)
    return True


def waiting_alert(session: Session, campaign_id: int, topic: str) -> MessageRow | None:
    """Return the alert on a topic that is not composed yet, if there is one."""
    query = select(MessageRow).where(
        MessageRow.campaign_id == campaign_id,
        MessageRow.occasion.like(f"alert:{topic}:%"),
        MessageRow.state == MessageState.PLANNED,
        MessageRow.raw_sha256.is_(None),
    )
    return session.scalars(query.limit(1)).first()


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
    if topic == REQUESTS:
        return _requests(session, campaign, detail)
    if topic.startswith(f"{RUN}:"):
        return Alert(
            headline=wording.ALERT["run"].format(step=wording.step_text(topic.removeprefix(f"{RUN}:"))),
            lines=_shortened(list(detail["runs"].values()), wording.MORE_RUNS),
            remedy=wording.ALERT_REMEDY["run"],
        )
    troubles = contact_troubles(session, campaign.id)
    lines = [
        f"{t.code} {t.name}：{wording.TROUBLE[t.trouble]}"
        + (f"（现写往 {t.written_to}）" if t.written_to else "")
        + (f"；{'；'.join(t.failing)}" if t.failing else "")
        + (f"；电话 {'、'.join(t.phones)}" if t.phones else "")
        for t in troubles
    ]
    return Alert(
        headline=wording.ALERT["contacts"].format(count=len(troubles)),
        lines=_shortened(lines, wording.MORE_CONTACTS),
        remedy=wording.ALERT_REMEDY["contacts"],
    )


def _shortened(lines: Sequence[str], more: str) -> tuple[str, ...]:
    """Return the first lines, and how many more there are."""
    left = len(lines) - SHOWN
    return (*lines[:SHOWN], *((more.format(count=left),) if left > 0 else ()))


def _requests(session: Session, campaign: CampaignRow, detail: Mapping[str, Any]) -> Alert:
    """Return the extensions asked for since the day's digest that nobody has decided on."""
    since, zone = datetime.fromisoformat(detail["since"]), rulebook_of(campaign).zone
    asked = [r for r in open_requests(session, campaign.id) if r.kind == EXTENSION and r.asked_at > since]
    lines = [
        wording.ASKED_LINE.format(
            number=request.id, unit=session.get_one(PartyRow, request.party_id).name,
            wish=wish_of(session, request, zone), reason=one_line(request.reason),
        )
        for request in asked
    ]  # fmt: skip
    return Alert(
        headline=wording.ALERT["requests"].format(count=len(asked)),
        lines=_shortened(lines, wording.MORE_REQUESTS),
        remedy=wording.ALERT_REMEDY["requests"],
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
