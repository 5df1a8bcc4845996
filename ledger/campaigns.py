"""Verbs on campaigns, parties and contacts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ledger import audit
from ledger.acts import Act
from ledger.errors import AlreadyRecorded, BehindTheCampaign, DecidedMeanwhile, UnknownCampaign, UnknownParty
from ledger.tables import (
    AuditRow,
    CampaignRow,
    Changed,
    ChangeRow,
    ContactRow,
    DecisionRow,
    DeliverableRow,
    ObligationRow,
    PartyKind,
    PartyRow,
)

OVERLAP = timedelta(hours=1)
SOFT_BOUNCE = "contact.soft_bounce"
STAFF = "staff:"  # whose decisions these are
CORRESPONDENT = "correspondent"  # the role of somebody who was answered, and is no contact of a unit


@dataclass(frozen=True, kw_only=True)
class NewContact:
    """A contact to be recorded."""

    role: str
    address: str
    name: str = ""
    phone: str = ""
    bad_reason: str = ""  # known to be unusable from the start


@dataclass(frozen=True, kw_only=True)
class NewParty:
    """A party to be recorded; ``superior`` and ``department`` are codes of other parties of the campaign."""

    code: str
    name: str
    kind: PartyKind = PartyKind.UNIT
    category: str = ""
    superior: str | None = None
    department: str | None = None
    contacts: tuple[NewContact, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NewObligation:
    """An obligation to be frozen; ``deliverable`` is its key."""

    party_id: int
    deliverable: str
    occurrence: str
    due: datetime | None
    chase_from: datetime


def written(act: Act) -> dict[str, Any]:
    """Return the columns that every row bears of the act that writes it."""
    return {"flow_run_id": act.flow_run_id, "as_of": act.as_of, "recorded_at": act.wall}


def find_campaign(session: Session, key: str) -> CampaignRow:
    """Return a launched campaign.

    Raises:
        UnknownCampaign: none of that key was launched.

    """
    row = session.scalar(select(CampaignRow).where(CampaignRow.key == key))
    if row is None:
        known = ", ".join(session.scalars(select(CampaignRow.key).order_by(CampaignRow.id))) or "none"
        raise UnknownCampaign(
            f"campaign {key!r} has not been launched (those that were: {known}); `muster run launch {key}` launches it"
        )
    return row


def latest_campaign(session: Session) -> CampaignRow:
    """Return the campaign launched last.

    Raises:
        UnknownCampaign: none was launched.

    """
    row = session.scalars(select(CampaignRow).order_by(CampaignRow.id.desc()).limit(1)).first()
    if row is None:
        raise UnknownCampaign("no campaign has been launched")
    return row


def record_campaign(
    session: Session, act: Act, *, key: str, title: str, definition: Mapping[str, Any], digest: str
) -> CampaignRow:
    """Freeze a campaign's definition.

    Raises:
        AlreadyRecorded: the campaign was launched before.

    """
    if session.scalar(select(CampaignRow.id).where(CampaignRow.key == key)) is not None:
        raise AlreadyRecorded(f"campaign {key!r} was launched before; its definition is frozen")
    row = CampaignRow(
        key=key, title=title, definition=dict(definition), digest=digest, latest_as_of=act.as_of, **written(act)
    )
    session.add(row)
    session.flush()
    audit.append(session, act, "campaign.launched", {"key": key, "digest": digest}, campaign_id=row.id)
    return row


def record_deliverables(
    session: Session, act: Act, campaign_id: int, deliverables: Iterable[tuple[str, str, str]]
) -> None:
    """Record the kinds of report as (key, title, kind)."""
    session.add_all(
        DeliverableRow(campaign_id=campaign_id, key=key, title=title, kind=kind, **written(act))
        for key, title, kind in deliverables
    )
    session.flush()


def record_parties(session: Session, act: Act, campaign_id: int, parties: Iterable[NewParty]) -> dict[str, PartyRow]:
    """Record parties with their contacts; superiors may be among them or on record already."""
    rows = {row.code: row for row in session.scalars(select(PartyRow).where(PartyRow.campaign_id == campaign_id))}
    fresh = tuple(parties)
    for party in fresh:
        if party.code in rows:
            raise AlreadyRecorded(f"party {party.code} takes part already")
        rows[party.code] = PartyRow(
            campaign_id=campaign_id,
            code=party.code,
            name=party.name,
            kind=party.kind,
            category=party.category,
            joined_at=act.as_of,
            **written(act),
        )
    session.add_all(rows.values())
    session.flush()
    for party in fresh:
        if party.superior is not None:
            rows[party.code].superior_id = rows[party.superior].id
        if party.department is not None:
            rows[party.code].department_id = rows[party.department].id
        session.add_all(
            ContactRow(
                party_id=rows[party.code].id,
                role=contact.role,
                rank=rank,
                name=contact.name,
                address=contact.address,
                phone=contact.phone,
                bad_since=act.as_of if contact.bad_reason else None,
                bad_reason=contact.bad_reason,
                **written(act),
            )
            for rank, contact in enumerate(party.contacts)
        )
    session.flush()
    return {party.code: rows[party.code] for party in fresh}


def freeze_obligations(
    session: Session, act: Act, campaign_id: int, obligations: Iterable[NewObligation]
) -> list[ObligationRow]:
    """Freeze obligations, one audit entry for all of them."""
    ids = deliverable_ids(session, campaign_id)
    rows = [
        ObligationRow(
            campaign_id=campaign_id,
            party_id=new.party_id,
            deliverable_id=ids[new.deliverable],
            occurrence=new.occurrence,
            due_at=new.due,
            chase_from=new.chase_from,
            **written(act),
        )
        for new in obligations
    ]
    session.add_all(rows)
    session.flush()
    return rows


def deliverable_ids(session: Session, campaign_id: int) -> dict[str, int]:
    """Return the ids of a campaign's deliverables by key."""
    rows = session.scalars(select(DeliverableRow).where(DeliverableRow.campaign_id == campaign_id))
    return {row.key: row.id for row in rows}


def find_party(session: Session, campaign_id: int, code: str) -> PartyRow:
    """Return a party by its code.

    Raises:
        UnknownParty: no party of that code takes part.

    """
    query = select(PartyRow).where(PartyRow.campaign_id == campaign_id, PartyRow.code == code)
    row = session.scalar(query)
    if row is None:
        raise UnknownParty(f"no party {code!r} takes part in this campaign; `muster board` lists the codes")
    return row


def office_of(session: Session, campaign_id: int) -> PartyRow:
    """Return the party that is the office itself."""
    query = select(PartyRow).where(PartyRow.campaign_id == campaign_id, PartyRow.kind == PartyKind.OFFICE)
    return session.scalars(query).one()


def contacts_of(session: Session, party_id: int) -> list[ContactRow]:
    """Return a party's contacts, bad ones included, in the order of the roster."""
    query = select(ContactRow).where(ContactRow.party_id == party_id).order_by(ContactRow.rank, ContactRow.id)
    return list(session.scalars(query))


def contacts_at(session: Session, address: str) -> list[ContactRow]:
    """Return every contact with an address, of whichever party and campaign."""
    query = select(ContactRow).where(ContactRow.address == address).order_by(ContactRow.id)
    return list(session.scalars(query))


def mark_contact_bad(session: Session, act: Act, contact: ContactRow, reason: str) -> None:
    """Pass a contact over from now on, saying why."""
    if contact.bad_since is not None:
        return
    contact.bad_since = act.as_of
    contact.bad_reason = reason[:500]
    party = session.get_one(PartyRow, contact.party_id)
    audit.append(
        session,
        act,
        "contact.bad",
        {"address": contact.address, "reason": reason[:500]},
        campaign_id=party.campaign_id,
        party_id=party.id,
    )


def has_soft_bounced(session: Session, party_id: int, message_id: int) -> bool:
    """Whether a soft bounce of a mail was counted before: servers on the way may each report on it, and again."""
    query = select(AuditRow.detail).where(AuditRow.party_id == party_id, AuditRow.verb == SOFT_BOUNCE)
    return any(detail.get("message") == message_id for detail in session.scalars(query))


def count_soft_bounce(session: Session, act: Act, contact: ContactRow, message_id: int, reason: str) -> None:
    """Count that a mail was accepted and then returned though the address is right: full mailbox, policy."""
    contact.soft_bounces += 1
    contact.soft_reason = reason[:500]
    party = session.get_one(PartyRow, contact.party_id)
    detail = {
        "address": contact.address,
        "message": message_id,
        "count": contact.soft_bounces,
        "reason": reason[:500],
    }
    audit.append(session, act, SOFT_BOUNCE, detail, campaign_id=party.campaign_id, party_id=party.id)


def hear_of_contact(session: Session, party_id: int, address: str) -> bool:
    """Whether an address is a contact of a party; if so, it is alive, and soft bounces are counted anew."""
    query = select(ContactRow).where(
        ContactRow.party_id == party_id, ContactRow.address == address.lower(), ContactRow.role != CORRESPONDENT
    )
    contacts = session.scalars(query).all()
    for contact in contacts:
        contact.soft_bounces, contact.soft_reason = 0, ""
    return bool(contacts)


class Change(NamedTuple):
    """A value before and after a decision, as text: of an obligation if that is named, of a party, of the campaign."""

    field: Changed
    before: str | None
    after: str | None
    party_id: int | None = None
    obligation_id: int | None = None


def _refuse_overtaken(
    session: Session, act: Act, campaign_id: int, kind: str, party_id: int | None, about: set[int | None]
) -> None:
    """Let none of two who decide about one thing without knowing of each other decide last by being slower."""
    if act.asked is None:
        return
    query = select(DecisionRow).where(
        DecisionRow.campaign_id == campaign_id,
        DecisionRow.recorded_at > act.asked,
        DecisionRow.actor != act.actor,
        DecisionRow.actor.startswith(STAFF),
    )
    for other in session.scalars(query.order_by(DecisionRow.id)):
        changed = session.scalars(select(ChangeRow.obligation_id).where(ChangeRow.decision_id == other.id))
        theirs = {other.obligation_id, *changed} - {None}
        if about & theirs if about or theirs else (kind, party_id) == (other.kind, other.party_id):
            by = other.actor.removeprefix(STAFF)
            raise DecidedMeanwhile(
                f"{by} decided about the same thing meanwhile (decision {other.id}); nothing was changed",
                by=by,
                number=str(other.id),
            )


def record_decision(  # noqa: PLR0913  a decision has that many sides
    session: Session,
    act: Act,
    campaign_id: int,
    kind: str,
    grounds: str,
    *,
    party_id: int | None = None,
    obligation_id: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reverses: int | None = None,
    changes: Sequence[Change] = (),
) -> DecisionRow:
    """Record a decision with what it changes, and its audit entry, which vouches for both.

    Raises:
        DecidedMeanwhile: a colleague decided about the same thing after this was asked for.

    """
    about = {obligation_id, *(change.obligation_id for change in changes)} - {None}
    _refuse_overtaken(session, act, campaign_id, kind, party_id, about)
    row = DecisionRow(
        campaign_id=campaign_id,
        party_id=party_id,
        obligation_id=obligation_id,
        kind=kind,
        actor=act.actor,
        grounds=grounds,
        before=dict(before or {}),
        after=dict(after or {}),
        reverses=reverses,
        **written(act),
    )
    session.add(row)
    session.flush()
    detail = {"decision": row.id, "obligation": obligation_id, "grounds": grounds, "before": row.before}
    if reverses is not None:
        detail["reverses"] = reverses
    if changes:
        _record_changes(session, row, changes)
        told = [(c.party_id, c.obligation_id, c.field, c.before, c.after) for c in changes]
        detail["changes"] = {"count": len(told), "digest": audit.changes_digest(told)}
    audit.append(
        session,
        act,
        f"decision.{kind}",
        {**detail, "after": row.after},
        campaign_id=campaign_id,
        party_id=party_id,
    )
    return row


def _record_changes(session: Session, decision: DecisionRow, changes: Sequence[Change]) -> None:
    """Put on record what a decision changes, in order."""
    constant = {"decision_id": decision.id, "campaign_id": decision.campaign_id}
    rows = [{**change._asdict(), "field": change.field.value, **constant} for change in changes]
    session.execute(insert(ChangeRow), rows)


def advance(act: Act, campaign: CampaignRow, *, rehearsal: bool) -> None:
    """Move the campaign's latest moment forward. Runs that overlap may be behind each other by :data:`OVERLAP`.

    Raises:
        BehindTheCampaign: a live campaign is to send for a moment it has passed; only a rehearsal may go back.

    """
    if act.as_of >= campaign.latest_as_of:
        campaign.latest_as_of = act.as_of
    elif campaign.live and not rehearsal and campaign.latest_as_of - act.as_of > OVERLAP:
        latest = campaign.latest_as_of.isoformat()
        raise BehindTheCampaign(
            f"{campaign.key} has run for {latest}; as_of {act.as_of.isoformat()} is behind it. "
            "Leave as_of out to run for now, or use `muster plan --as-of` to look at the past."
        )
