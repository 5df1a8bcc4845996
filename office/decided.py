"""What a mail on the occasion of a decision says: returned, granted, refused, a contact changed, a letter answered."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.decisions import root_of
from ledger.replay import RETURNED_BY_STAFF, UNDONE
from ledger.tables import Changed, ChangeRow, DecisionRow, DeliverableRow, ObligationRow, PartyRow, RequestRow
from office import wording
from office.answers import answer_of, answer_of_submission
from office.letters import Answer, DecisionLines, NamedContact
from office.premises import Premises
from office.rulebook import Rulebook
from rules.obligations import titled

PREFIX = "decision:"


@dataclass(frozen=True, kw_only=True)
class Told:
    """The parts of a letter that a decision fills."""

    answer: Answer | None = None
    decision: DecisionLines | None = None


def told_of(session: Session, premises: Premises, book: Rulebook, occasion: str) -> Told:
    """Return what an occasion's mail says of its decision, or of the mail or upload that it answers."""
    kind, _, number = occasion.partition(":")
    number, _, whom = number.partition(":")
    if not number.isdigit():
        return Told()
    if kind == "intake":
        return Told(answer=answer_of(session, premises, book, int(number)))
    if f"{kind}:" != PREFIX:
        return Told()
    decision = session.get_one(DecisionRow, int(number))
    return Told(
        answer=_answer(session, premises, book, decision),
        decision=_lines(session, book, decision, to_old=whom == "old"),
    )


def moved_by(session: Session, occasion: str) -> tuple[int, ...]:
    """Return the obligations whose due instants the decision of an occasion moved."""
    kind, _, number = occasion.partition(":")
    if f"{kind}:" != PREFIX or not number.isdigit():
        return ()
    changed = select(ChangeRow.obligation_id).where(
        ChangeRow.decision_id == int(number), ChangeRow.field == Changed.DUE
    )
    moved = tuple(id_ for id_ in session.scalars(changed) if id_ is not None)
    if moved:
        return moved
    decision = session.get_one(DecisionRow, int(number))
    due = decision.after.get("due")
    was_moved = decision.obligation_id is not None and due and due != decision.before.get("due")
    return (decision.obligation_id,) if was_moved and decision.obligation_id is not None else ()


def _answer(session: Session, premises: Premises, book: Rulebook, decision: DecisionRow) -> Answer | None:
    if "intake" in decision.after:
        return answer_of(session, premises, book, int(decision.after["intake"]))
    if "submission" in decision.after:
        return answer_of_submission(session, premises, book, int(decision.after["submission"]))
    return None


def _lines(session: Session, book: Rulebook, decision: DecisionRow, *, to_old: bool) -> DecisionLines:
    request = session.scalar(select(RequestRow).where(RequestRow.decision_id == decision.id))
    obligation = session.get(ObligationRow, decision.obligation_id) if decision.obligation_id is not None else None
    contact = _contact(decision, request)
    said = decision.after.get("reasons") or [decision.grounds]
    headline, words = _words(session, decision)
    return DecisionLines(
        headline=headline,
        by_staff=decision.kind == RETURNED_BY_STAFF,
        title=_title(session, obligation),
        asked_text=_asked(request),
        reasons=tuple(str(reason) for reason in said),
        due_text=wording.due_text(_due(decision), book.zone) if _due(decision) is not None else "",
        contact=contact,
        was=_contact(decision, None, before=True) if contact is not None else None,
        unit=session.get_one(PartyRow, decision.party_id).name if decision.party_id is not None else "",
        to_old=to_old,
        about=str(decision.before.get("subject", decision.after.get("subject", ""))),
        said=str(decision.after.get("said", words)),
    )


def _words(session: Session, decision: DecisionRow) -> tuple[str, str]:
    """Return headline and sentence of a decision that its kind alone tells."""
    root, taken_back = root_of(session, decision)
    key = f"{UNDONE}:{root.kind}" if taken_back else root.kind
    return wording.DECIDED.get(key, ("", ""))


def _due(decision: DecisionRow) -> datetime | None:
    due = decision.after.get("due")
    return datetime.fromisoformat(due) if due else None


def _title(session: Session, obligation: ObligationRow | None) -> str:
    if obligation is None:
        return ""
    title = session.get_one(DeliverableRow, obligation.deliverable_id).title
    return titled(title, obligation.occurrence)


def _asked(request: RequestRow | None) -> str:
    """Return what the unit had asked for, in its words."""
    if request is None:
        return ""
    if "until" in request.wish:
        day = datetime.fromisoformat(request.wish["until"]).date()
        return wording.ASKED["extension"].format(day=f"{day.month}月{day.day}日")
    role = wording.ROLE.get(request.wish["role"], request.wish["role"])
    return wording.ASKED["contact"].format(role=role, name=request.wish["name"], address=request.wish["address"])


def _contact(decision: DecisionRow, request: RequestRow | None, *, before: bool = False) -> NamedContact | None:
    told = decision.before if before else decision.after
    if "address" not in told and request is not None and "address" in request.wish:
        told = request.wish
    if "address" not in told:
        return None
    return NamedContact(
        role_text=wording.ROLE.get(told["role"], told["role"]),
        name=told["name"],
        address=told["address"],
        phone=told["phone"],
    )
