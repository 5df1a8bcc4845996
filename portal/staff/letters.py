"""Mails: one that came in, taken in for a unit, answered or dismissed; one that went out, and its fate settled."""

import re

from ledger.tables import IntakeRow, MessageRow, MessageState, PartyRow
from office.mailbook import Bytes, bytes_of, view_mail
from office.placing import answer, assign, dismiss
from office.queue import why_queued
from office.relay_wording import relay_text
from office.settling import settle_ambiguous
from office.skeletons import LostBytesError
from office.staff_accounts import Role
from office.staff_overview import campaigns
from office.staff_units import STATE
from office.staff_views import letter_file, view_letter, whose
from office.staff_wording import mail_facts
from office.stops import zone_of_house
from office.units import find_unit
from office.wording import NOTICE
from portal.forms import Sent
from portal.pages import Download, GoTo, Page
from portal.staff.visit import (
    Deed,
    Look,
    NotFilledError,
    NothingThereError,
    StaffVisit,
    campaign_named,
    filled,
    grounds_in,
)

PLACE = re.compile(r"[1-9][0-9]{0,2}")


def _row(visit: StaffVisit) -> IntakeRow:
    row = visit.session.get(IntakeRow, visit.number)
    if row is None:
        raise NothingThereError
    return row


def _letter(visit: StaffVisit) -> Page:
    row = _row(visit)
    zone = zone_of_house(visit.session)
    open_ones = [one for one in campaigns(visit.session) if one.state != "closed"] or campaigns(visit.session)
    deliverables = [(one.key, one.definition["deliverables"]) for one in open_ones]
    context = {
        "v": view_letter(visit.session, visit.premises, row, zone, why_queued(row)),
        "campaigns": [(one.key, one.title) for one in open_ones],
        "deliverables": [(f"{key}:{d['key']}", d["title"]) for key, some in deliverables for d in some],
        "several": len(open_ones) > 1,
        "said": visit.said,
        "typed": visit.typed,
    }
    return Page(template="staff/letter.html", context=context)


def _letter_file(visit: StaffVisit) -> Download:
    place, row = visit.named.get("place", ""), _row(visit)
    known = PLACE.fullmatch(place)
    found = letter_file(visit.premises, row, int(place)) if known else None
    if found is None:
        raise NothingThereError
    return Download(name=found[0] or "file", content=found[1])


def _assign(visit: StaffVisit, sent: Sent) -> GoTo:
    code = filled(sent, "unit", "请填写单位代码。").upper()
    campaign, _, deliverable = sent.get("deliverable").partition(":")
    key = campaign or sent.get("campaign") or None
    if key is not None:
        campaign_named(visit.session, key)
    party = find_unit(visit.session, code, key)
    taken = assign(
        visit.session, visit.premises, visit.act, f"in-{visit.number}", party,
        deliverable=deliverable or None, grounds=grounds_in(sent),
    )  # fmt: skip
    said = "partly" if taken.problems else "assigned" if taken.recorded else "known"
    return GoTo(path=f"/in/{visit.number}?said={said}")


def _answer(visit: StaffVisit, sent: Sent) -> GoTo:
    text = filled(sent, "text", "请写明答复内容。")
    key = sent.get("campaign") or None
    answer(visit.session, visit.premises, visit.act, f"in-{visit.number}", text, campaign=key)
    return GoTo(path=f"/in/{visit.number}?said=answered")


def _dismiss(visit: StaffVisit, sent: Sent) -> GoTo:
    dismiss(visit.session, visit.act, f"in-{visit.number}", grounds_in(sent))
    return GoTo(path=f"/in/{visit.number}?said=dismissed")


def _mail(visit: StaffVisit) -> Page:
    message = visit.session.get(MessageRow, visit.number)
    if message is None:
        raise NothingThereError
    view = view_mail(visit.session, message.id)
    party = visit.session.get_one(PartyRow, message.party_id)
    context = {
        "number": message.id,
        "of": whose(visit.session, party),
        "is_unit": party.kind == "unit",
        "notice": NOTICE.get(message.notice, message.notice),
        "state": message.state,
        "state_text": STATE.get(message.state, message.state),
        "doubt": message.state == MessageState.AMBIGUOUS,
        "facts": mail_facts(view.facts, campaign_title=whose(visit.session, party).campaign_title),
        "items": view.items,
        "attempts": [(a.as_of, STATE.get(a.state, a.state), a.address, relay_text(a.said)) for a in view.attempts],
        "text": _text(visit, message.id),
        "said": visit.said,
        "typed": visit.typed,
    }
    return Page(template="staff/mail.html", context=context)


def _text(visit: StaffVisit, number: int) -> str:
    try:
        found = bytes_of(visit.session, visit.premises, number)
    except LostBytesError:
        return "（原件已不能完整再现）"
    return found.text if isinstance(found, Bytes) else "（尚未写成：邮件在发出时才按当时的情况写成）"


def _settle(visit: StaffVisit, sent: Sent) -> GoTo:
    verdict = sent.get("as")
    if verdict not in ("sent", "again"):
        raise NotFilledError("请选择认定结果。")
    settle_ambiguous(visit.session, visit.act, visit.number, verdict, grounds_in(sent))
    return GoTo(path=f"/m/{visit.number}?said=settled")


LOOKS = (
    Look(path="/in/{number}", show=_letter),
    Look(path="/in/{number}/file/{place}", show=_letter_file),
    Look(path="/m/{number}", show=_mail),
)
DEEDS = (
    Deed(path="/in/{number}/assign", do=_assign, back=_letter, role=Role.OPERATOR),
    Deed(path="/in/{number}/answer", do=_answer, back=_letter, role=Role.OPERATOR),
    Deed(path="/in/{number}/dismiss", do=_dismiss, back=_letter, role=Role.OPERATOR),
    Deed(path="/m/{number}/settle", do=_settle, back=_mail, role=Role.OPERATOR),
)
