"""What mails say besides where a thing stands: a draft on the page, a refused extension, when a unit was reached."""

from collections.abc import Collection, Iterable, Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.ladder import refused_extensions
from ledger.outbox import Item
from ledger.tables import CallRow, DraftRow, MessageRow
from office import wording
from rules.obligations import Obligation, Standing, standing
from rules.timetable import LadderRung


def notes_of(session: Session, obligations: Collection[Obligation]) -> dict[int, str]:
    """Return what is to be said of open things besides their standing, by obligation."""
    ids = [ob.id for ob in obligations]
    drafts = (
        set(session.scalars(select(DraftRow.obligation_id).where(DraftRow.obligation_id.in_(ids)))) if ids else set()
    )
    refused = refused_extensions(session, ids)
    found: dict[int, str] = {}
    for ob in obligations:
        notes = []
        if ob.id in drafts and standing(ob) is Standing.MISSING:
            notes.append(wording.NOTE["draft"])
        if ob.id in drafts and standing(ob) is Standing.RETURNED:
            notes.append(wording.NOTE["draft_again"])
        if ob.id in refused:
            notes.append(wording.NOTE["refused"])
        if notes:
            found[ob.id] = "；".join(notes)
    return found


def last_reached(session: Session, party_ids: Collection[int], zone: ZoneInfo) -> dict[int, str]:
    """Return when units were last written to or telephoned with, as a mail says it."""
    mails = select(MessageRow.party_id, func.max(MessageRow.sent_as_of)).where(
        MessageRow.party_id.in_(party_ids), MessageRow.state == "sent"
    )
    calls = select(CallRow.party_id, func.max(CallRow.called_at)).where(CallRow.party_id.in_(party_ids))
    said = [
        (at, party, way)
        for way, query in (
            ("mail", mails.group_by(MessageRow.party_id)),
            ("phone", calls.group_by(CallRow.party_id)),
        )
        for party, at in session.execute(query)
        if at is not None
    ]
    return {
        party: wording.REACHED.format(at=wording.moment_text(at, zone), way=wording.CHANNEL[way])
        for at, party, way in sorted(said)
    }


def pages_to_acknowledge(notice: str, live: Sequence[Item], ladder: Iterable[LadderRung], link: str) -> tuple[str, ...]:
    """Return the pages on which the reader of a mail promises a date, one a rung."""
    if not link or not notice.startswith("escalation"):
        return ()
    named = {item.rung for item in live}
    return tuple(f"{link}/a/{rung.number}" for rung in ladder if rung.acknowledge and rung.key in named)
