"""The mail book: what was written to whom, found again by staff; one mail with all that happened to it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from ledger.campaigns import find_campaign
from ledger.errors import UnknownParty
from ledger.outbox import attempts_of, find_message
from ledger.tables import (
    AttemptRow,
    CampaignRow,
    ContactRow,
    DeliverableRow,
    ItemRow,
    MessageRow,
    MessageState,
    ObligationRow,
    PartyRow,
)
from mail.parsing import parse_mail
from office import wording
from office.premises import Premises
from office.rulebook import rulebook_of
from office.skeletons import LostBytesError
from rules.obligations import titled

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")  # a relay's reply could else write to the terminal as it likes
ALL_BUT_BREAKS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")
DASH = "—"
WAITING = (MessageState.PLANNED, MessageState.DEFERRED)
NOT_YET = "not composed yet: a mail is addressed, composed and dated when a sender first claims it"
NEVER = "never composed: it was over before a sender claimed it"


class MailLine(NamedTuple):
    """A mail in the list, in words."""

    id: str
    campaign: str
    planned: str
    unit: str
    notice: str
    occasion: str
    state: str
    address: str
    lane: str
    subject: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class MailList:
    """The newest mails of those that match, the newest last; and how many match."""

    lines: tuple[MailLine, ...]
    matching: int
    zones: tuple[str, ...]  # of the times in it

    @property
    def campaigns(self) -> int:
        """How many campaigns stand in the list."""
        return len({line.campaign for line in self.lines})


def list_mails(
    session: Session,
    *,
    campaign: str | None = None,
    unit: str | None = None,
    state: str | None = None,
    notice: str | None = None,
    limit: int = 50,
) -> MailList:
    """Return the newest mails that match.

    Raises:
        UnknownCampaign: it has not been launched.
        UnknownParty: no such unit takes part.
        ValueError: there is no such state or notice, or nothing is to be shown; the message names what there is.

    """
    if limit < 1:
        raise ValueError("--limit takes a number from 1")
    wanted = _matching(session, campaign, unit, state, notice)
    joined = (
        select(MessageRow, PartyRow, CampaignRow)
        .join(PartyRow, PartyRow.id == MessageRow.party_id)
        .join(CampaignRow, CampaignRow.id == MessageRow.campaign_id)
        .where(*wanted)
    )
    count = select(func.count()).select_from(MessageRow).join(PartyRow, PartyRow.id == MessageRow.party_id)
    newest = session.execute(joined.order_by(MessageRow.id.desc()).limit(limit)).all()
    return MailList(
        lines=tuple(_line(message, party, of) for message, party, of in reversed(newest)),
        matching=session.scalars(count.where(*wanted)).one(),
        zones=tuple(dict.fromkeys(rulebook_of(of).zone.key for _, _, of in reversed(newest))),
    )


def _parties_called(session: Session, unit: str, campaign: str | None) -> Sequence[int]:
    """Return who bears a code or a full name, in one campaign or in any."""
    called = select(PartyRow.id).where(or_(PartyRow.code == unit, PartyRow.name == unit))
    if campaign is not None:
        called = called.join(CampaignRow, CampaignRow.id == PartyRow.campaign_id).where(CampaignRow.key == campaign)
    if found := session.scalars(called).all():
        return found
    where = campaign or "any campaign"
    raise UnknownParty(f"no party {unit!r} takes part in {where}; `muster board CAMPAIGN` lists the codes")


def _matching(
    session: Session, campaign: str | None, unit: str | None, state: str | None, notice: str | None
) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if campaign is not None:
        wanted.append(MessageRow.campaign_id == find_campaign(session, campaign).id)
    if unit is not None:
        parties = _parties_called(session, unit, campaign)
        wanted.append(MessageRow.party_id.in_(parties))
    if state is not None:
        wanted.append(MessageRow.state == _one_of("state", state, list(MessageState)))
    if notice is not None:
        wanted.append(MessageRow.notice == _one_of("notice", notice, list(wording.NOTICE)))
    return wanted


def _one_of(what: str, given: str, known: Sequence[str]) -> str:
    if given not in known:
        raise ValueError(f"no {what} {given!r}; there are {', '.join(known)}")
    return given


def _line(message: MessageRow, party: PartyRow, campaign: CampaignRow) -> MailLine:
    return MailLine(
        id=str(message.id),
        campaign=campaign.key,
        planned=local(message.as_of, rulebook_of(campaign).zone),
        unit=f"{party.code} {party.name}",
        notice=message.notice,
        occasion=message.occasion,
        state=message.state,
        address=message.address or DASH,
        lane=message.lane or DASH,
        subject=one_line(message.subject or DASH),
        reason=one_line(message.reason),
    )


@dataclass(frozen=True, kw_only=True)
class ItemView:
    """What a mail says of one obligation."""

    title: str
    unit: str  # whose obligation it is
    rung: str
    due: str
    gone: bool
    now: str = ""  # where the due instant has been moved since: what holds now


@dataclass(frozen=True, kw_only=True)
class AttemptView:
    """One change of a mail's state."""

    as_of: str
    at: str  # on the wall's clock
    state: str
    said: str  # code and text
    address: str
    lane: str
    run: str


@dataclass(frozen=True, kw_only=True)
class MailView:
    """One mail and all that happened to it. ``facts`` are pairs of a name and what is known."""

    id: int
    zone: str  # of all times in it
    facts: tuple[tuple[str, str], ...]
    items: tuple[ItemView, ...]
    attempts: tuple[AttemptView, ...]


def view_mail(session: Session, message_id: int) -> MailView:
    """Return a mail as staff look at it.

    Raises:
        UnknownMessage: there is none of that number.

    """
    message = find_message(session, message_id)
    campaign = session.get_one(CampaignRow, message.campaign_id)
    zone = rulebook_of(campaign).zone
    return MailView(
        id=message.id,
        zone=zone.key,
        facts=tuple((name, one_line(value)) for name, value in _facts(session, message, campaign, zone) if value),
        items=tuple(_items(session, message, zone)),
        attempts=tuple(_attempt(row, zone) for row in attempts_of(session, message.id)),
    )


def _facts(session: Session, message: MessageRow, campaign: CampaignRow, zone: ZoneInfo) -> list[tuple[str, str]]:
    party = session.get_one(PartyRow, message.party_id)
    planned_by = f", flow run {message.flow_run_id}" if message.flow_run_id else ""
    return [
        ("state", message.state + (f": {message.reason}" if message.reason else "")),
        ("class", message.mail_class),
        ("campaign", campaign.key),
        ("unit", f"{party.code} {party.name}"),
        ("notice", message.notice),
        ("occasion", message.occasion),
        ("generation", f"{message.generation}{_cause(session, message)}"),
        ("taken up by", _successor(session, message)),
        ("Message-ID", message.message_id),
        ("contact", _contact(session, message, zone)),
        ("lane", message.lane or ""),
        ("subject", message.subject or ""),
        ("planned", local(message.as_of, zone) + planned_by),
        ("not before", local(message.not_before, zone) if message.not_before else ""),
        ("expires", local(message.expires_at, zone) if message.expires_at else ""),
        ("dated", local(message.dated_at, zone) if message.dated_at else ""),
        (_told(message), local(message.sent_as_of, zone) if message.sent_as_of else ""),
        ("tries", str(message.tries)),
    ]


def _told(message: MessageRow) -> str:
    return "sent" if message.state in (MessageState.SENT, MessageState.BOUNCED) else "may have left"


def _cause(session: Session, message: MessageRow) -> str:
    if message.caused_by is None:
        return ""
    cause = session.get_one(MessageRow, message.caused_by)
    return f", caused by mail {cause.id}, which is {cause.state}" + (f" ({cause.reason})" if cause.reason else "")


def _successor(session: Session, message: MessageRow) -> str:
    query = select(MessageRow).where(MessageRow.caused_by == message.id).order_by(MessageRow.id)
    return ", ".join(f"mail {row.id} (generation {row.generation}, {row.state})" for row in session.scalars(query))


def _contact(session: Session, message: MessageRow, zone: ZoneInfo) -> str:
    contact = session.get(ContactRow, message.contact_id) if message.contact_id is not None else None
    if contact is None:
        return message.address or "none"
    bad = f"; bad since {local(contact.bad_since, zone)}: {contact.bad_reason}" if contact.bad_since else ""
    now = f" (then {message.address})" if message.address not in (None, contact.address) else ""
    parts = (contact.role, contact.name, f"<{contact.address}>{now}", contact.phone)
    return " ".join(part for part in parts if part) + bad


def _items(session: Session, message: MessageRow, zone: ZoneInfo) -> list[ItemView]:
    query = (
        select(ItemRow, ObligationRow.occurrence, DeliverableRow.title, PartyRow, ObligationRow.due_at)
        .join(ObligationRow, ObligationRow.id == ItemRow.obligation_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .where(ItemRow.message_id == message.id)
        .order_by(ItemRow.id)
    )
    return [
        ItemView(
            title=titled(title, occurrence),
            unit=f"{owing.code} {owing.name}",
            rung=item.rung,
            due=wording.due_text(item.due_at, zone),
            gone=item.gone,
            now=wording.due_text(due, zone) if due is not None and due != item.due_at else "",
        )
        for item, occurrence, title, owing, due in session.execute(query)
    ]


def _attempt(row: AttemptRow, zone: ZoneInfo) -> AttemptView:
    return AttemptView(
        as_of=local(row.as_of, zone),
        at=f"{row.recorded_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
        state=row.state,
        said=one_line(f"{row.smtp_code or ''} {row.smtp_text}"),
        address=row.address or "",
        lane=row.lane or "",
        run=row.flow_run_id or "",
    )


@dataclass(frozen=True, kw_only=True)
class Bytes:
    """A mail's exact bytes, in chunks, and what stands in them."""

    chunks: tuple[bytes, ...]
    sha256: str
    text: str
    attachments: tuple[tuple[str, int], ...]  # name, octets

    @property
    def size(self) -> int:
        """How many octets."""
        return sum(map(len, self.chunks))


def bytes_of(session: Session, premises: Premises, message_id: int) -> Bytes | str:
    """Return a mail as it left or is to leave; of one that was not composed, the reason in words.

    Raises:
        LostBytesError: it cannot be shown exactly; the message says why.
        UnknownMessage: there is none of that number.

    """
    message = find_message(session, message_id)
    if message.raw_sha256 is None:
        return NOT_YET if message.state in WAITING else NEVER
    return bytes_as_shown(_chunks(premises, message, message.raw_sha256), message.raw_sha256)


def bytes_as_shown(chunks: tuple[bytes, ...], sha256: str) -> Bytes:
    """Return a mail's bytes with what stands in them, fit for a terminal."""
    mail = parse_mail(b"".join(chunks))
    return Bytes(
        chunks=chunks,
        sha256=sha256,
        text=ALL_BUT_BREAKS.sub("", mail.text.replace("\r\n", "\n")).strip("\n"),
        attachments=tuple((one_line(a.file_name), len(a.content)) for a in mail.attachments),
    )


def _chunks(premises: Premises, message: MessageRow, raw_sha256: str) -> tuple[bytes, ...]:
    try:
        if message.skeleton_sha256 is None or message.fields is None:  # kept whole, before there were skeletons
            return (premises.files.get(raw_sha256),)
        return premises.skeletons.again(message.skeleton_sha256, message.fields, raw_sha256)
    except FileNotFoundError as error:
        raise LostBytesError(f"a file of this mail is no longer in the file store: {error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise LostBytesError(f"what is kept of this mail was changed or damaged: {error}") from error


def local(moment: datetime, zone: ZoneInfo) -> str:
    """Return an instant in local time, to the minute."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def one_line(text: str) -> str:
    """Return a text on one line, without characters that a terminal would obey."""
    return CONTROLS.sub(" ", text).strip()
