"""Telephone calls: whom no mail reaches, what they owe, and what was said."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import written
from ledger.facts import load_obligations
from ledger.submissions import fitting
from ledger.tables import CallRow, ObligationRow, PartyRow
from office import wording
from office.contacts import Trouble, contact_troubles
from office.mailbook import local, one_line
from office.rulebook import open_book
from rules.obligations import is_owed


@dataclass(frozen=True, kw_only=True)
class CallLine:
    """A unit to telephone: its numbers, what it owes and by when, and the last call."""

    code: str
    name: str
    phones: tuple[str, ...]
    owes: tuple[str, ...]
    last: str


def log_call(
    session: Session, act: Act, party: PartyRow, said: str, *, obligation: ObligationRow | None = None
) -> CallRow:
    """Put a telephone call on record, about one obligation or in general.

    Raises:
        ValueError: nothing was said.

    """
    if not said.strip():
        raise ValueError("say what was said in the call")
    row = CallRow(
        party_id=party.id,
        obligation_id=obligation.id if obligation is not None else None,
        called_at=act.as_of,
        **fitting(CallRow, actor=act.actor, said=said.strip()),
        **written(act),
    )
    session.add(row)
    session.flush()
    detail = {"call": row.id, "obligation": row.obligation_id, "said": row.said}
    audit.append(session, act, "call.made", detail, campaign_id=party.campaign_id, party_id=party.id)
    return row


def calls_of(session: Session, party_id: int) -> list[CallRow]:
    """Return the calls with a unit, the oldest first."""
    return list(session.scalars(select(CallRow).where(CallRow.party_id == party_id).order_by(CallRow.id)))


def telephone_list(session: Session, campaign: str) -> list[CallLine]:
    """Return the units of a campaign that no mail reaches, with what they owe and the last call."""
    row, book = open_book(session, campaign)
    unreached = [t for t in contact_troubles(session, row.id) if t.trouble is Trouble.UNREACHED]
    codes = [t.code for t in unreached]
    query = select(PartyRow).where(PartyRow.campaign_id == row.id, PartyRow.code.in_(codes))
    ids = {party.code: party.id for party in session.scalars(query)}
    owed = [o for o in load_obligations(session, row.id, party_ids=list(ids.values())) if is_owed(o)]
    return [
        CallLine(
            code=t.code,
            name=t.name,
            phones=t.phones,
            owes=tuple(
                f"{book.campaign.deliverable(o.deliverable).title}，{wording.due_text(o.due, book.zone)}"
                for o in owed
                if o.party_id == ids[t.code]
            ),
            last=_last(session, ids[t.code], book.zone),
        )
        for t in unreached
    ]


def _last(session: Session, party_id: int, zone: ZoneInfo) -> str:
    calls = calls_of(session, party_id)
    return f"{local(calls[-1].called_at, zone)} {one_line(calls[-1].said)}" if calls else ""
