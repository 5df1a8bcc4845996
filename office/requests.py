"""Requests: what a unit asks for, and what staff grant or refuse. Each becomes a decision, and the unit is told."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import record_decision, written
from ledger.event_kinds import EventKind
from ledger.events import note
from ledger.facts import load_obligations
from ledger.outbox import NewMessage, plan_messages
from ledger.requests import CONTACT as CONTACT  # noqa: PLC0414  the portal reads it from here
from ledger.requests import EXTENSION, REFUSED, find_request
from ledger.requests import open_requests as open_requests  # noqa: PLC0414  a verb of the office too
from ledger.submissions import fitting
from ledger.tables import CampaignRow, CampaignState, DecisionRow, ObligationRow, PartyRow, RequestRow
from office import wording
from office.alerts import DESK, alert_staff
from office.contact_changes import change_contact, is_first, read_named
from office.dues import new_due
from office.extending import extend_obligations
from office.premises import Premises
from office.refusals import Mistaken, NotPossible
from office.review import grounds_of
from office.rulebook import Rulebook, rulebook_of
from rules.notices import ItemDue
from rules.obligations import is_owed


def ask_extension(
    session: Session,
    premises: Premises,
    act: Act,
    party: PartyRow,
    obligation_id: int,
    *,
    until: date,
    reason: str,
) -> RequestRow:
    """Ask for a later deadline.

    Raises:
        NotPossible: it is not the unit's own, not owed, asked for already, without reason, or the day is none.

    """
    obligation = session.get(ObligationRow, obligation_id)
    if obligation is None or obligation.party_id != party.id:
        raise NotPossible("foreign", f"obligation {obligation_id} is none of {party.code}")
    _refuse_foreign(act, party)
    known = next(o for o in load_obligations(session, party.campaign_id, party_ids=[party.id]) if o.id == obligation_id)
    if not is_owed(known) or obligation.due_at is None:
        raise NotPossible("not_owed", f"obligation {obligation_id} is not owed any more")
    book = rulebook_of(session.get_one(CampaignRow, party.campaign_id))
    due = new_due(book, act, until)
    _refuse_earlier(book, obligation, due)
    if any(r.obligation_id == obligation_id and r.kind == EXTENSION for r in _open_of(session, party)):
        raise NotPossible("asked_already", f"a request for obligation {obligation_id} waits already")
    return _ask(
        session, premises, act, party, EXTENSION, {"until": until.isoformat()}, reason, obligation_id=obligation_id
    )


def ask_contact_change(  # noqa: PLR0913
    session: Session,
    premises: Premises,
    act: Act,
    party: PartyRow,
    *,
    role: str,
    name: str,
    address: str,
    phone: str,
    reason: str,
) -> RequestRow:
    """Ask for another contact.

    Raises:
        NotPossible: role or address is none, nothing would change, one waits already, or there is no reason.

    """
    _refuse_foreign(act, party)
    named = read_named(role, name, address, phone)
    if is_first(session, party, named):
        raise NotPossible("same_contact", f"{named.address} is the first {role} of {party.code} already")
    if any(r.kind == CONTACT and r.wish["role"] == role for r in _open_of(session, party)):
        raise NotPossible("asked_already", f"{party.code} has a request for its {role} waiting already")
    wish = {"role": named.role, "name": named.name, "address": named.address, "phone": named.phone}
    return _ask(session, premises, act, party, CONTACT, wish, reason)


def _refuse_earlier(book: Rulebook, obligation: ObligationRow, due: datetime) -> None:
    """Let an extension only extend."""
    if obligation.due_at is not None and due <= obligation.due_at:
        said = wording.due_text(obligation.due_at, book.zone)
        raise NotPossible(
            "not_later", f"the new deadline is not after the one in force ({said}); name a later day", due=said
        )


def _refuse_foreign(act: Act, party: PartyRow) -> None:
    if act.actor.startswith("unit:") and act.actor != f"unit:{party.code}":
        raise NotPossible("foreign", f"{act.actor} may not ask for {party.code}")


def _ask(
    session: Session,
    premises: Premises,
    act: Act,
    party: PartyRow,
    kind: str,
    wish: dict[str, str],
    reason: str,
    *,
    obligation_id: int | None = None,
) -> RequestRow:
    campaign = session.get_one(CampaignRow, party.campaign_id)
    if campaign.state == CampaignState.CLOSED:
        raise NotPossible("closed", "the campaign is closed; it takes no requests")
    if not reason.strip():
        raise NotPossible("no_reason", "say why: staff decide by it")
    row = RequestRow(
        campaign_id=party.campaign_id,
        party_id=party.id,
        obligation_id=obligation_id,
        kind=kind,
        asked_at=act.as_of,
        wish=wish,
        **fitting(RequestRow, reason=reason.strip()),
        **written(act),
    )
    session.add(row)
    session.flush()
    detail = {"request": row.id, "obligation": obligation_id, "wish": wish, "reason": row.reason}
    audit.append(session, act, f"request.{kind}", detail, campaign_id=party.campaign_id, party_id=party.id)
    if kind == EXTENSION:
        told = {"request": row.id, "party": party.id, "obligation": obligation_id, "until": wish["until"]}
        note(session, act, EventKind.EXTENSION, told, party.campaign_id)
    alert_staff(session, premises, act, campaign.key, DESK)
    return row


def _open_of(session: Session, party: PartyRow) -> Sequence[RequestRow]:
    return [r for r in requests_of(session, party) if r.decision_id is None]


def requests_of(session: Session, party: PartyRow) -> list[RequestRow]:
    """Return what a unit asked for, the oldest first; what was decided has ``decision_id``."""
    return list(session.scalars(select(RequestRow).where(RequestRow.party_id == party.id).order_by(RequestRow.id)))


def grant(
    session: Session, premises: Premises, act: Act, request_id: int, *, grounds: str, until: date | None = None
) -> DecisionRow:
    """Grant a request: an extension moves the due instant (to ``until`` if staff name another day), a contact changes.

    Raises:
        UnknownRequest: there is none of that number.
        NotPossible: it was decided before, or the day has passed or lies after the close.
        ValueError: there are no grounds.

    """
    request = _undecided(session, request_id)
    said = grounds_of(grounds, "it is granted")
    if request.kind == EXTENSION:
        decision = _extend(session, premises, act, request, said, until)
    else:
        if until is not None:
            raise Mistaken("no_day_for_contact", "a change of contact has no day; leave it out")
        decision = _change(session, premises, act, request, said)
    request.decision_id = decision.id
    session.flush()
    return decision


def _undecided(session: Session, request_id: int) -> RequestRow:
    request = find_request(session, request_id)
    if request.decision_id is not None:
        raise NotPossible("decided", f"request {request_id} was decided before")
    return request


def _extend(
    session: Session, premises: Premises, act: Act, request: RequestRow, grounds: str, until: date | None
) -> DecisionRow:
    obligation = session.get_one(ObligationRow, request.obligation_id)
    book = rulebook_of(session.get_one(CampaignRow, request.campaign_id))
    due = new_due(book, act, until or date.fromisoformat(request.wish["until"]))
    _refuse_earlier(book, obligation, due)
    decision = extend_obligations(session, act, [obligation], due, grounds, after={"request": request.id})
    _tell(session, premises, act, "granted", decision, obligation)
    return decision


def _change(session: Session, premises: Premises, act: Act, request: RequestRow, grounds: str) -> DecisionRow:
    party = session.get_one(PartyRow, request.party_id)
    wish = request.wish
    named = read_named(wish["role"], wish["name"], wish["address"], wish["phone"])
    decision = change_contact(session, premises, act, party, named, grounds)
    if decision is not None:
        return decision
    decision = record_decision(
        session, act, party.campaign_id, "contact_kept", grounds, party_id=party.id, after={"request": request.id}
    )
    _tell(session, premises, act, "granted", decision, None)
    return decision


def refuse(session: Session, premises: Premises, act: Act, request_id: int, *, grounds: str) -> DecisionRow:
    """Refuse a request; the unit reads the grounds in its mail.

    Raises:
        UnknownRequest: there is none of that number.
        NotPossible: it was decided before.
        ValueError: there are no grounds.

    """
    request = _undecided(session, request_id)
    decision = record_decision(
        session,
        act,
        request.campaign_id,
        REFUSED,
        grounds_of(grounds, "it is refused; the unit reads them in its mail"),
        party_id=request.party_id,
        obligation_id=request.obligation_id,
        after={"request": request.id},
    )
    request.decision_id = decision.id
    session.flush()
    obligation = session.get(ObligationRow, request.obligation_id) if request.obligation_id is not None else None
    _tell(session, premises, act, "refused", decision, obligation)
    return decision


def _tell(
    session: Session,
    premises: Premises,
    act: Act,
    notice: str,
    decision: DecisionRow,
    obligation: ObligationRow | None,
) -> None:
    occasion = f"decision:{decision.id}"
    items = () if obligation is None else (ItemDue(obligation_id=obligation.id, rung=occasion, due=obligation.due_at),)
    assert decision.party_id is not None  # noqa: S101  for the type checker: what is told is told to a party
    new = NewMessage(party_id=decision.party_id, notice=notice, occasion=occasion, items=items)
    plan_messages(session, act, decision.campaign_id, premises.mail_domain, [new])
