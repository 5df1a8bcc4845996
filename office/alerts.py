"""Alerts: mails to the operators about what needs a person: contacts that fail, lanes that were stopped."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import office_of
from ledger.facts import mailed_on
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import CampaignRow
from office import wording
from office.contacts import contact_troubles
from office.letters import Alert
from office.premises import Premises
from office.rulebook import open_book

SHOWN = 40
CONTACTS = "contacts"


def alert_staff(session: Session, premises: Premises, act: Act, campaign: str, topic: str, *, said: str = "") -> bool:
    """Plan an alert on a topic, at most one a local day; return whether one was planned.

    What it lists is read when it leaves, so that later troubles of the day that it still catches are in it.
    """
    row, book = open_book(session, campaign)
    occasion = f"alert:{topic}:{act.as_of.astimezone(book.zone).date().isoformat()}"
    office = office_of(session, row.id)
    if (office.id, occasion) in mailed_on(session, row.id, occasion):
        return False
    new = NewMessage(party_id=office.id, notice="alert", occasion=occasion, detail={"topic": topic, "said": said[:500]})
    plan_messages(session, act, row.id, premises.mail_domain, [new])
    return True


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
