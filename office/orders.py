"""Supervision orders (督办单) from the ledger: which units are to have one at a moment, and what it says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from documents.supervision import OwedLine, SupervisionOrder, write_order
from ledger.acts import Act
from ledger.facts import Party, load_obligations, party_names
from ledger.papers import papers_of
from ledger.tables import CampaignRow, PaperKind, PaperState
from office import wording
from office.rulebook import Rulebook
from office.told import Told, mails_about, rung_text
from rules.obligations import Obligation, is_owed, standing, titled
from rules.supervision import Grade, days_late, demanded_by, grade_of, worst
from rules.timetable import Audience

GRADE = {"blue": "蓝", "yellow": "黄", "red": "红"}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one unit is to be given an order for."""

    unit: Party
    superior: Party | None
    grade: Grade
    owed: tuple[Obligation, ...]
    told: tuple[Told, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """What it names, so that a later one over the same is known for a repetition."""
        named = [[ob.id, ob.due.isoformat() if ob.due else None, standing(ob).value] for ob in self.owed]
        return {"grade": self.grade.value, "owed": named}


def orders_due(
    session: Session, row: CampaignRow, book: Rulebook, act: Act, *, party_ids: Sequence[int] | None = None
) -> list[Order]:
    """Return the orders that the ledger calls for at a moment, by unit; of all units unless some are named."""
    owed = [ob for ob in load_obligations(session, row.id, party_ids=party_ids) if is_owed(ob)]
    told = _told(session, [ob.id for ob in owed])
    parties = party_names(session, row.id)
    by_party: dict[int, list[tuple[Obligation, Grade]]] = {}
    for ob in owed:
        grade = grade_of(ob.due, act.as_of, book.hours, superior_told=_superior_told(book, ob, told.get(ob.id, ())))
        if grade is not None:
            by_party.setdefault(ob.party_id, []).append((ob, grade))
    return [_order(parties, party, graded, told) for party, graded in by_party.items()]


def orders_given(session: Session, campaign_id: int) -> dict[int, str]:
    """Return the last order given for each obligation, as a mail names it: number and colour."""
    given = papers_of(session, campaign_id, kind=PaperKind.ORDER, state=PaperState.APPROVED)
    return {
        owed[0]: wording.ORDER_GIVEN.format(number=paper.number_text, colour=GRADE[paper.grade])
        for paper in given
        for owed in paper.facts["owed"]
    }


def _order(
    parties: dict[int, Party], party_id: int, graded: Sequence[tuple[Obligation, Grade]], told: dict[int, list[Told]]
) -> Order:
    unit = parties[party_id]
    grade = worst(grade for _, grade in graded)
    assert grade is not None  # noqa: S101  for the type checker: each of them has one
    owed = sorted((ob for ob, _ in graded), key=lambda ob: (ob.due is None, ob.due, ob.id))
    return Order(
        unit=unit,
        superior=parties.get(unit.superior_id) if unit.superior_id is not None else None,
        grade=grade,
        owed=tuple(owed),
        told=tuple(mail for ob in owed for mail in told.get(ob.id, [])),
    )


AT_ONCE = 500  # obligations whose mails are fetched together


def _told(session: Session, ids: Sequence[int]) -> dict[int, list[Told]]:
    found: dict[int, list[Told]] = {}
    for start in range(0, len(ids), AT_ONCE):
        for mail in mails_about(session, ids[start : start + AT_ONCE]):
            found.setdefault(mail.obligation_id, []).append(mail)
    return found


def _superior_told(book: Rulebook, ob: Obligation, told: Iterable[Told]) -> datetime | None:
    """Return when the superior's rung went out for what an obligation is due by now."""
    rungs = {rung.key for rung in book.ladder if rung.audience is Audience.SUPERIOR}
    sent = (t.sent_at for t in told if t.rung in rungs and t.due == ob.due and t.left and t.sent_at is not None)
    return min(sent, default=None)


def order_document(book: Rulebook, act: Act, order: Order, *, number: str = "") -> bytes:
    """Return an order as a Word file."""
    campaign, zone = book.campaign, book.zone
    papers, contact = campaign.papers, campaign.contact
    within = papers.red_within if order.grade is Grade.RED else papers.yellow_within
    dues = [ob.due for ob in order.owed if ob.due is not None]
    hours = f"（{contact.hours}）" if contact.hours else ""
    return write_order(
        SupervisionOrder(
            grade=order.grade,
            number=number,
            unit=order.unit.name,
            superior=order.superior.name if order.superior and order.superior.kind != "office" else "",
            campaign=campaign.title,
            owed=tuple(_owed(book, act, ob) for ob in order.owed),
            sent=_sent(book, order),
            demanded=wording.stated_text(demanded_by(dues, act.as_of, book.hours, within=within)),
            contact=f"{contact.name}　{contact.phone}{hours}　{contact.email}",
            issuer=campaign.office.name,
            as_of=wording.moment_text(act.as_of, zone),
            date=wording.date_text(act.as_of, zone),
        )
    )


def _owed(book: Rulebook, act: Act, ob: Obligation) -> OwedLine:
    deliverable = book.campaign.deliverable(ob.deliverable)
    assert ob.due is not None  # noqa: S101  for the type checker: what has no date has no colour
    return OwedLine(
        label=deliverable.label,
        title=titled(deliverable.title, ob.occurrence),
        due=wording.due_text(ob.due, book.zone),
        state=wording.STANDING[standing(ob)],
        days_late=days_late(ob.due, act.as_of, book.hours),
    )


def _sent(book: Rulebook, order: Order) -> tuple[str, ...]:
    """Return what was sent when, a line a mail: 5月29日 09:00　截止前2天提醒（活动计划表、…）."""
    titles: dict[int, list[str]] = {}
    mails: dict[int, Told] = {}
    by_id = {ob.id: book.campaign.deliverable(ob.deliverable).title for ob in order.owed}
    for mail in order.told:
        if mail.left and mail.sent_at is not None:
            mails[mail.message_id] = mail
            titles.setdefault(mail.message_id, []).append(by_id[mail.obligation_id])
    ordered = sorted(mails.values(), key=lambda m: (m.sent_at, m.message_id))
    return tuple(
        f"{wording.moment_text(m.sent_at or m.planned_at, book.zone)}　{_whom(order, m)}"
        f"（{'、'.join(dict.fromkeys(titles[m.message_id]))}）" + ("，邮件被退回" if m.state == "bounced" else "")
        for m in ordered
    )


def _whom(order: Order, mail: Told) -> str:
    said = rung_text(mail.rung, mail.notice)
    if mail.party_id == order.unit.id:
        return said
    return (
        f"告知{order.superior.name}" if order.superior and mail.party_id == order.superior.id else f"{said}，报办公室"
    )
