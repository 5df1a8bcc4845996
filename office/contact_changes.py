"""A unit's contacts changed: by staff, by a request that was granted, by an accepted form that names somebody.

Whoever changes them, the new contact comes first of its role, the old ones stay behind it, and both are told.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import contacts_at, contacts_of, record_decision, written
from ledger.outbox import NewMessage, plan_messages
from ledger.submissions import fitting, keepable
from ledger.tables import ContactRow, DecisionRow, PartyRow
from office.premises import Premises
from office.refusals import NotPossible
from rules.addresses import ADDRESS, is_telephone
from rules.delivery import UNIT_ORDER, choose_contact

CHANGED = "contact_changed"
NOTICE = "contact_changed"


@dataclass(frozen=True, kw_only=True)
class Named:
    """A contact as somebody names it; an empty name or telephone leaves what is on record of the same address."""

    role: str
    name: str
    address: str
    phone: str = ""


def read_named(role: str, name: str, address: str, phone: str = "") -> Named:
    """Return a contact as it is kept.

    Raises:
        NotPossible: the role is none, the address cannot be written to, or the telephone not dialled.

    """
    if role not in UNIT_ORDER:
        raise NotPossible("bad_role", f"{role!r} is no role of a contact; use {', '.join(UNIT_ORDER)}")
    kept = address.strip().lower()
    if not ADDRESS.fullmatch(kept):
        raise NotPossible("bad_address", f"{address!r} is no e-mail address", address=address.strip()[:80])
    if phone.strip() and not is_telephone(phone):
        raise NotPossible(
            "bad_phone",
            f"{phone!r} is no telephone number: write one such as 022-12345678 or 022-12345678转8001",
            phone=phone.strip()[:40],
        )
    texts = fitting(ContactRow, name=" ".join(name.split()), phone=" ".join(phone.split()))
    return Named(role=role, address=kept, **texts)


def which_role(session: Session, party: PartyRow) -> str:
    """Return the sentence that asks which contact of a unit is meant: the roles, and who is first in each."""
    first = {role: next(iter(_of_role(session, party, role)), None) for role in UNIT_ORDER}
    known = (f"{role} ({contact.address if contact else 'nobody'})" for role, contact in first.items())
    return f"say with --role which contact of {party.code} it is: {', '.join(known)}"


def is_first(session: Session, party: PartyRow, named: Named) -> bool:
    """Whether a contact is the first of its role already, with the same name and telephone."""
    first = next(iter(_of_role(session, party, named.role)), None)
    return first is not None and first.bad_since is None and _says(first, named)


def _says(contact: ContactRow, named: Named) -> bool:
    same = contact.address == named.address
    return same and named.name in ("", contact.name) and named.phone in ("", contact.phone)


def _of_role(session: Session, party: PartyRow, role: str) -> list[ContactRow]:
    return [contact for contact in contacts_of(session, party.id) if contact.role == role]


def change_contact(
    session: Session,
    premises: Premises,
    act: Act,
    party: PartyRow,
    named: Named,
    grounds: str,
    *,
    works: bool = False,
) -> DecisionRow | None:
    """Make a contact the first of its role; return the decision, or None if it is that already.

    A mailbox known not to exist stays passed over, unless staff say that it ``works``.
    """
    if is_first(session, party, named):
        return None
    old = choose_contact(contacts_of(session, party.id), NOTICE)
    new = _put_first(session, act, party, named, works=works)
    decision = record_decision(
        session,
        act,
        party.campaign_id,
        CHANGED,
        keepable(grounds)[:1000],
        party_id=party.id,
        before=_told_of(old),
        after=_told_of(new),
    )
    _tell(session, premises, act, party, decision, new, old)
    return decision


def _told_of(contact: ContactRow | None) -> dict[str, object]:
    if contact is None:
        return {}
    return {
        "contact": contact.id,
        "role": contact.role,
        "name": contact.name,
        "address": contact.address,
        "phone": contact.phone,
    }


def _put_first(session: Session, act: Act, party: PartyRow, named: Named, *, works: bool) -> ContactRow:
    """Promote or add a contact; the others of its role step back by one."""
    others = _of_role(session, party, named.role)
    contact = next((c for c in others if c.address == named.address), None)
    first = min((c.rank for c in others), default=0)
    for other in others:
        other.rank += other is not contact
    if contact is None:
        contact = ContactRow(party_id=party.id, role=named.role, address=named.address, **written(act))
        _inherit_fault(session, contact)
        session.add(contact)
    contact.rank = first
    contact.name = named.name or contact.name or ""
    contact.phone = named.phone or contact.phone or ""
    if works:
        contact.bad_since, contact.bad_reason = None, ""
        contact.soft_bounces, contact.soft_reason = 0, ""
    session.flush()
    return contact


def _inherit_fault(session: Session, contact: ContactRow) -> None:
    """Let a new contact know what is known of its mailbox: one that does not exist, exists for nobody."""
    known = next((c for c in contacts_at(session, contact.address) if c.bad_since is not None), None)
    if known is not None:
        contact.bad_since, contact.bad_reason = known.bad_since, known.bad_reason


def _tell(
    session: Session,
    premises: Premises,
    act: Act,
    party: PartyRow,
    decision: DecisionRow,
    new: ContactRow,
    old: ContactRow | None,
) -> None:
    """Tell the new contact and the one written to before, each at its own address."""
    occasion = f"decision:{decision.id}"
    told = [(occasion, new)]
    if old is not None and old.address != new.address:
        told.append((f"{occasion}:old", old))
    news = [
        NewMessage(party_id=party.id, notice=NOTICE, occasion=occasion, detail={"contact": contact.id})
        for occasion, contact in told
        if contact.bad_since is None
    ]
    plan_messages(session, act, party.campaign_id, premises.mail_domain, news)
