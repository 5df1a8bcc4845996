"""A unit's page for staff, and the search that leads to it."""

import json
import re
from dataclasses import dataclass
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import contacts_of
from ledger.tables import (
    AuditRow,
    CampaignRow,
    ContactRow,
    IntakeRow,
    MessageRow,
    ObligationRow,
    PartyKind,
    PartyRow,
    SubmissionRow,
)
from office import wording
from office.calls import calls_of
from office.decision_list import decisions
from office.incoming import number_of
from office.mailbook import DASH, local, one_line
from office.premises import Premises
from office.relay_wording import relay_text
from office.rulebook import rulebook_of
from office.staff_views import Whose, fingerprint, whose
from office.staff_wording import audit_text
from office.unit_desk import AffairView, desk_of
from office.waiting import why_waiting
from rules.delivery import Unsent

MAILS, TRAIL, FOUND = 30, 40, 30
STATE = {
    "planned": "待发", "claimed": "正在发出", "deferred": "稍后再发", "sent": "已发出", "superseded": "没有发出",
    "expired": "没有发出", "held": "已暂停", "refused": "没有送到", "bounced": "被退回", "ambiguous": "是否送达不明",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MailLine:
    """A mail to a unit, and why it has not left or did not."""

    id: int
    when: str
    what: str
    state: str
    state_text: str
    address: str
    why: str


@dataclass(frozen=True, kw_only=True)
class ContactLine:
    """A contact, in the order in which they are written to."""

    role: str
    role_text: str
    name: str
    address: str
    phone: str
    trouble: str


@dataclass(frozen=True, kw_only=True)
class UnitView:
    """All that staff see of a unit."""

    of: Whose
    category: str
    superior: str
    left: bool
    affairs: tuple[AffairView, ...]
    mails: tuple[MailLine, ...]
    more_mails: int
    calls: tuple[tuple[str, str, str], ...]  # when, who, what was said
    contacts: tuple[ContactLine, ...]
    decisions: tuple[tuple[str, ...], ...]
    trail: tuple[tuple[str, ...], ...]
    seen_contacts: str


def view_unit(session: Session, premises: Premises, party: PartyRow, act: Act) -> UnitView:
    """Return a unit as staff look at it."""
    zone = rulebook_of(session.get_one(CampaignRow, party.campaign_id)).zone
    above = session.get(PartyRow, party.superior_id) if party.superior_id is not None else None
    mails, more = _mails(session, premises, party, act, zone)
    calls = reversed(calls_of(session, party.id))
    return UnitView(
        of=whose(session, party),
        category=party.category,
        superior=above.name if above is not None else DASH,
        left=party.left_at is not None,
        affairs=desk_of(session, premises, party, act.as_of).affairs,
        mails=mails,
        more_mails=more,
        calls=tuple((local(c.called_at, zone), _person(c.actor), c.said) for c in calls),
        contacts=tuple(_contact(c) for c in contacts_of(session, party.id)),
        decisions=tuple(
            (
                number,
                when,
                what,
                about,
                _person(who),
                grounds,
                undone.replace("undone by ", "已由决定") + ("收回" * bool(undone)),
            )
            for number, when, what, about, who, grounds, undone in reversed(
                decisions(session, zone, party.campaign_id, party)
            )
        ),
        trail=_trail(session, party, zone),
        seen_contacts=seen_contacts(session, party),
    )


def seen_contacts(session: Session, party: PartyRow) -> str:
    """Return the mark of a unit's contacts as somebody saw them."""
    return fingerprint([(c.id, c.role, c.rank, c.address, c.name, c.phone) for c in contacts_of(session, party.id)])


def _person(actor: str) -> str:
    kind, _, name = actor.partition(":")
    return {"staff": name, "unit": "单位", "rule": "系统"}.get(kind, actor)


def _contact(row: ContactRow) -> ContactLine:
    return ContactLine(
        role=row.role,
        role_text=wording.ROLE.get(row.role, "来信人"),
        name=row.name,
        address=row.address,
        phone=row.phone,
        trouble=wording.cause_text(row.bad_reason) if row.bad_since is not None else "",
    )


def _mails(
    session: Session, premises: Premises, party: PartyRow, act: Act, zone: ZoneInfo
) -> tuple[tuple[MailLine, ...], int]:
    """Return the latest mails to a unit, the newest first, and how many are older."""
    of_party = MessageRow.party_id == party.id
    count = session.scalars(select(func.count()).select_from(MessageRow).where(of_party)).one()
    rows = session.scalars(select(MessageRow).where(of_party).order_by(MessageRow.id.desc()).limit(MAILS)).all()
    waiting = why_waiting(session, premises, act, [row.id for row in rows])
    return tuple(_mail(row, waiting.get(row.id), zone) for row in rows), max(0, count - MAILS)


def _mail(row: MessageRow, waits: tuple[Unsent | None, str] | None, zone: ZoneInfo) -> MailLine:
    why = one_line(row.reason)
    if waits is not None:
        unsent = waits[0]
        later = f"{local(row.not_before, zone)}起发出" if row.not_before is not None else "下一轮发信时发出"
        why = wording.UNSENT[unsent.value] if unsent is not None else later
    else:
        why = next((said for start, said in wording.ENDED.items() if why.startswith(start)), relay_text(why))
    return MailLine(
        id=row.id,
        when=local(row.sent_as_of or row.as_of, zone),
        what=wording.NOTICE.get(row.notice, row.notice),
        state=row.state,
        state_text=STATE.get(row.state, row.state),
        address=row.address or DASH,
        why=why if row.state != "sent" else "",
    )


def _trail(session: Session, party: PartyRow, zone: ZoneInfo) -> tuple[tuple[str, ...], ...]:
    query = select(AuditRow).where(AuditRow.party_id == party.id).order_by(AuditRow.seq.desc()).limit(TRAIL)
    return tuple(
        (
            str(row.seq),
            local(row.as_of, zone),
            _person(row.actor),
            audit_text(row.verb),
            json.dumps(row.detail, ensure_ascii=False)[:160],
        )
        for row in session.scalars(query)
    )


@dataclass(frozen=True, kw_only=True)
class Hit:
    """Something that a search found, and its page below /staff."""

    kind: str
    title: str
    about: str
    path: str


def search(session: Session, words: str) -> list[Hit]:
    """Return what some words may mean: a unit, an address, the number of a mail or of a version."""
    said = words.strip()
    if not said:
        return []
    hits = list(_numbers(session, said))
    hits += _units(session, said)
    if "@" in said or "." in said:
        hits += _addresses(session, said.lower())
    return list(dict.fromkeys(hits))


def _numbers(session: Session, said: str) -> list[Hit]:
    found = re.fullmatch(r"(in-)?0*([1-9][0-9]{0,8})", said.lower())
    if found is None:
        return []
    number, hits = int(found[2]), []
    intake = session.get(IntakeRow, number) if found[1] else None
    if intake is not None:
        about = f"{one_line(intake.from_address)}：{one_line(intake.subject)}"
        hits.append(Hit(kind="来信", title=number_of(intake), about=about, path=f"/in/{number}"))
    if found[1]:
        return hits
    submission = session.get(SubmissionRow, number)
    if submission is not None:
        obligation = session.get_one(ObligationRow, submission.obligation_id)
        party = session.get_one(PartyRow, obligation.party_id)
        hits.append(Hit(kind="报送", title=str(number), about=f"{party.code} {party.name}", path=f"/s/{number}"))
    message = session.get(MessageRow, number)
    if message is not None:
        party = session.get_one(PartyRow, message.party_id)
        about = f"{wording.NOTICE.get(message.notice, message.notice)}，{party.code} {party.name}"
        hits.append(Hit(kind="邮件", title=str(number), about=about, path=f"/m/{number}"))
    return hits


def _units(session: Session, said: str) -> list[Hit]:
    part = "%" + said.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    query = (
        select(PartyRow, CampaignRow)
        .join(CampaignRow, CampaignRow.id == PartyRow.campaign_id)
        .where(PartyRow.kind == PartyKind.UNIT)
        .where(or_(PartyRow.code.ilike(part, escape="\\"), PartyRow.name.ilike(part, escape="\\")))
        .order_by(CampaignRow.id.desc(), PartyRow.code)
        .limit(FOUND)
    )
    return [_unit(party, row.key, row.title) for party, row in session.execute(query)]


def _addresses(session: Session, said: str) -> list[Hit]:
    part = "%" + said.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    contacts = (
        select(PartyRow, CampaignRow, ContactRow.address)
        .join(ContactRow, ContactRow.party_id == PartyRow.id)
        .join(CampaignRow, CampaignRow.id == PartyRow.campaign_id)
        .where(ContactRow.address.ilike(part, escape="\\"), PartyRow.kind == PartyKind.UNIT)
        .order_by(CampaignRow.id.desc(), PartyRow.code)
        .limit(FOUND)
    )
    hits = [_unit(party, row.key, f"{row.title}，{address}") for party, row, address in session.execute(contacts)]
    letters = select(IntakeRow).where(IntakeRow.from_address.ilike(part, escape="\\")).order_by(IntakeRow.id.desc())
    return hits + [
        Hit(
            kind="来信",
            title=number_of(row),
            about=f"{one_line(row.from_address)}：{one_line(row.subject)}",
            path=f"/in/{row.id}",
        )
        for row in session.scalars(letters.limit(FOUND))
    ]


def _unit(party: PartyRow, key: str, about: str) -> Hit:
    return Hit(
        kind="单位",
        title=f"{party.code} {party.name}",
        about=about,
        path=f"/u/{quote(key, safe='')}/{quote(party.code, safe='')}",
    )
