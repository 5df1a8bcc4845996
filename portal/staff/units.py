"""A unit and what it owes: calls, contacts, its own page; extended, exempted, handed in for it."""

from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from sqlalchemy import select

from ledger.campaigns import find_party
from ledger.errors import LedgerError
from ledger.tables import CampaignRow, DeliverableRow, ObligationRow, PartyRow
from office.calls import calls_of, log_call
from office.contact_changes import change_contact, read_named
from office.exempting import exempt
from office.extending import extend
from office.handin import hand_in_on_behalf
from office.links import link_for_days
from office.nil import nil_on_behalf
from office.paper import record_original
from office.rulebook import rulebook_of
from office.staff_accounts import Role
from office.staff_units import seen_contacts, view_unit
from office.staff_views import seen_of_obligation, view_obligation
from office.wording import CHANNEL, ROLE
from portal.forms import Sent
from portal.pages import GoTo, Page
from portal.staff.review import day_in
from portal.staff.visit import (
    Deed,
    Elsewhere,
    Look,
    MeanwhileError,
    NotFilledError,
    NothingThereError,
    Shown,
    StaffVisit,
    filled,
    grounds_in,
    unchanged,
)

DAYS = 1  # that a link to a unit's page holds which staff open themselves
CHANNELS = ("phone", "paper", "person")


def _party(visit: StaffVisit) -> PartyRow:
    try:
        party = find_party(visit.session, visit.campaign.id, visit.named.get("code", ""))
    except LedgerError:
        raise NothingThereError from None
    if party.kind != "unit":
        raise NothingThereError
    return party


def _unit(visit: StaffVisit) -> Page:
    party = _party(visit)
    view = view_unit(visit.session, visit.premises, party, visit.act)
    context = {
        "v": view,
        "roles": ROLE,
        "channels": [(key, CHANNEL[key]) for key in CHANNELS],
        "has_page": bool(visit.premises.portal_url) and not view.left,
        "path": _path(visit),
        "now_input": _now(visit, party.campaign_id),
        "said": visit.said,
        "typed": visit.typed,
    }
    return Page(template="staff/unit.html", context=context)


def _now(visit: StaffVisit, campaign_id: int) -> str:
    """Return the moment as a field for dates and times shows it."""
    zone = rulebook_of(visit.session.get_one(CampaignRow, campaign_id)).zone
    return f"{visit.at.astimezone(zone):%Y-%m-%dT%H:%M}"


def _path(visit: StaffVisit) -> str:
    return f"/u/{quote(visit.named['campaign'], safe='')}/{quote(visit.named['code'], safe='')}"


def _call(visit: StaffVisit, sent: Sent) -> GoTo:
    """Log a call; the same one sent twice, as by a double click, is one."""
    party, said = _party(visit), filled(sent, "said", "请写明与谁通话、说了什么。")
    number = sent.get("about")
    about = _obligation_of(visit, party, number) if number else None
    unchanged(sent, str(len(calls_of(visit.session, party.id))))
    log_call(visit.session, visit.act, party, said, obligation=about)
    return GoTo(path=f"{_path(visit)}?said=called#calls")


def _obligation_of(visit: StaffVisit, party: PartyRow, number: str) -> ObligationRow:
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0  # noqa: PLR2004
    found = visit.session.get(ObligationRow, wanted) if wanted else None
    if found is None or found.party_id != party.id:
        raise NotFilledError("没有这项材料，请从列表中选择。")
    return found


def _contact(visit: StaffVisit, sent: Sent) -> GoTo:
    party = _party(visit)
    unchanged(sent, seen_contacts(visit.session, party))
    address = filled(sent, "address", "请填写邮箱。")
    named = read_named(sent.get("role"), sent.get("name"), address, sent.get("phone"))
    changed = change_contact(visit.session, visit.premises, visit.act, party, named, grounds_in(sent), works=True)
    return GoTo(path=f"{_path(visit)}?said={'contact' if changed is not None else 'same'}#contact")


def _open_page(visit: StaffVisit, _sent: Sent) -> Elsewhere:
    """Open the unit's own page; that a link was given out is put on record."""
    if not visit.premises.portal_url:
        raise NotFilledError("没有设置报送页面的网址。")
    address = link_for_days(visit.session, visit.premises, visit.act, _party(visit), DAYS)
    return Elsewhere(path=urlsplit(address).path)


def _hand_in(visit: StaffVisit, sent: Sent) -> GoTo:
    party, row = _party(visit), visit.campaign
    if not sent.files:
        raise NotFilledError("请选择单位报来的文件。")
    taken = hand_in_on_behalf(
        visit.session, visit.premises, visit.act, row.key, party.code, sent.files,
        channel=_channel(sent), received_at=_moment(visit, sent, party.campaign_id), grounds=grounds_in(sent),
    )  # fmt: skip
    said = "problems" if taken.problems else "handed" if taken.recorded else "known"
    return GoTo(path=f"{_path(visit)}?said={said}")


def _channel(sent: Sent) -> str:
    if sent.get("channel") not in CHANNELS:
        raise NotFilledError("请选择报送方式。")
    return sent.get("channel")


def _moment(visit: StaffVisit, sent: Sent, campaign_id: int) -> datetime:
    zone = rulebook_of(visit.session.get_one(CampaignRow, campaign_id)).zone
    text = filled(sent, "received", "请填写收到的时间。")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotFilledError("没有认出时间，请写成 2020-06-16T09:30 的样式。") from None


def _obligation(visit: StaffVisit) -> Page:
    obligation = _found(visit)
    context = {
        "v": view_obligation(visit.session, visit.premises, obligation, visit.at),
        "channels": [(key, CHANNEL[key]) for key in CHANNELS],
        "now_input": _now(visit, obligation.campaign_id),
        "said": visit.said,
        "typed": visit.typed,
    }
    return Page(template="staff/obligation.html", context=context)


def _found(visit: StaffVisit) -> ObligationRow:
    obligation = visit.session.get(ObligationRow, visit.number)
    if obligation is None:
        raise NothingThereError
    return obligation


def _names(visit: StaffVisit, obligation: ObligationRow) -> tuple[str, str, PartyRow]:
    """Return the campaign's and the deliverable's key, and whose it is."""
    key = visit.session.get_one(CampaignRow, obligation.campaign_id).key
    deliverable = visit.session.scalars(
        select(DeliverableRow.key).where(DeliverableRow.id == obligation.deliverable_id)
    ).one()
    return key, deliverable, visit.session.get_one(PartyRow, obligation.party_id)


def _as_seen(visit: StaffVisit, sent: Sent) -> ObligationRow:
    obligation = _found(visit)
    unchanged(sent, seen_of_obligation(visit.session, obligation))
    return obligation


def _extend(visit: StaffVisit, sent: Sent) -> Shown:
    obligation = _as_seen(visit, sent)
    key, deliverable, party = _names(visit, obligation)
    extend(
        visit.session, visit.premises, visit.act, key, deliverable, to=[party.code], until=day_in(sent, "until"),
        grounds=grounds_in(sent), occurrence=obligation.occurrence,
    )  # fmt: skip
    return GoTo(path=f"/o/{visit.number}?said=extended")


def _exempt(visit: StaffVisit, sent: Sent) -> Shown:
    obligation = _as_seen(visit, sent)
    key, deliverable, party = _names(visit, obligation)
    exempt(
        visit.session, visit.premises, visit.act, key, deliverable, to=[party.code], grounds=grounds_in(sent),
        occurrence=obligation.occurrence,
    )  # fmt: skip
    return GoTo(path=f"/o/{visit.number}?said=exempted")


def _original(visit: StaffVisit, sent: Sent) -> Shown:
    obligation = _as_seen(visit, sent)
    if obligation.original_at is not None:
        raise MeanwhileError
    received = _moment(visit, sent, obligation.campaign_id)
    record_original(visit.session, visit.act, obligation, received, sent.get("grounds"))
    return GoTo(path=f"/o/{visit.number}?said=original")


def _nil(visit: StaffVisit, sent: Sent) -> Shown:
    obligation = _as_seen(visit, sent)
    _, deliverable, party = _names(visit, obligation)
    nil_on_behalf(
        visit.session, visit.premises, visit.act, party, deliverable, channel=_channel(sent),
        received_at=_moment(visit, sent, obligation.campaign_id), grounds=grounds_in(sent),
        occurrence=obligation.occurrence,
    )  # fmt: skip
    return GoTo(path=f"/o/{visit.number}?said=nil")


LOOKS = (
    Look(path="/u/{campaign}/{code}", show=_unit),
    Look(path="/o/{number}", show=_obligation),
)
DEEDS = (
    Deed(path="/u/{campaign}/{code}/call", do=_call, back=_unit, role=Role.OPERATOR),
    Deed(path="/u/{campaign}/{code}/contact", do=_contact, back=_unit, role=Role.OPERATOR),
    Deed(path="/u/{campaign}/{code}/open", do=_open_page, back=_unit, role=Role.OPERATOR),
    Deed(path="/u/{campaign}/{code}/hand-in", do=_hand_in, back=_unit, role=Role.OPERATOR),
    Deed(path="/o/{number}/extend", do=_extend, back=_obligation, role=Role.APPROVER),
    Deed(path="/o/{number}/exempt", do=_exempt, back=_obligation, role=Role.APPROVER),
    Deed(path="/o/{number}/original", do=_original, back=_obligation, role=Role.OPERATOR),
    Deed(path="/o/{number}/nil", do=_nil, back=_obligation, role=Role.OPERATOR),
)
