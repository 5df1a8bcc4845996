"""Review: queries answered, versions accepted or returned by staff, and a judgement taken back.

Whoever answers or judges, the unit is told: a receipt or a return, on the occasion of the decision.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import Review
from ledger import review as ledger
from ledger.acts import Act
from ledger.campaigns import record_decision
from ledger.outbox import NewMessage, plan_messages
from ledger.replay import REOPENED, RETURNED_BY_STAFF
from ledger.tables import (
    AnswerRow,
    CampaignRow,
    DecisionRow,
    DeliverableRow,
    FindingRow,
    ObligationRow,
    PartyRow,
    SubmissionRow,
)
from office.acting import act_on_accepted
from office.alerts import DESK, alert_staff
from office.confirming import number_for
from office.dues import due_after_return, new_due
from office.premises import Premises
from office.refusals import Mistaken, NotPossible
from office.rulebook import Rulebook, rulebook_of
from rules.forms import Severity
from rules.notices import ItemDue
from rules.obligations import RANK, SubmissionState

ACCEPTED, SUBMITTED = "accepted", "submitted"
LONGEST = 1000  # of grounds


def confirm_finding(
    session: Session,
    premises: Premises,
    act: Act,
    finding_id: int,
    *,
    number: float | None = None,
    text: str = "",
) -> AnswerRow:
    """Answer a query: with its proposed value if nothing is given, another value, or an explanation.

    With the last one answered the version is accepted, or waits for staff where they review it, and a receipt goes
    out.

    Raises:
        UnknownFinding: there is none of that number.
        NotPossible: it is answered, not the unit's own, of a version that is not the latest, or the value is none.

    """
    finding = ledger.find_finding(session, finding_id)
    submission, obligation = ledger.find_submission(session, finding.submission_id)
    _refuse_foreign(session, act, obligation)
    _refuse_unasked(session, finding, submission)
    given = number_for(session, premises, obligation, finding, number=number, text=text.strip())
    answer = ledger.record_answer(session, act, finding, obligation, number=given, said=text.strip())
    if not ledger.open_queries(session, submission.id):
        _queries_done(session, premises, act, submission, obligation)
    return answer


def _refuse_foreign(session: Session, act: Act, obligation: ObligationRow) -> None:
    """Let a unit touch only its own."""
    code = act.actor.removeprefix("unit:")
    if code == act.actor:
        return
    if session.get_one(PartyRow, obligation.party_id).code != code:
        raise NotPossible("foreign", f"{act.actor} may not touch what another unit handed in")


def _refuse_unasked(session: Session, finding: FindingRow, submission: SubmissionRow) -> None:
    if finding.severity != Severity.QUERY:
        raise NotPossible("not_a_query", f"finding {finding.id} is {finding.severity}: only queries are answered")
    if ledger.answer_to(session, finding.id) is not None:
        raise NotPossible("answered", f"finding {finding.id} was answered before")
    if not ledger.is_latest(session, submission):
        raise NotPossible("not_latest", f"finding {finding.id} is of a version that a later one has replaced")
    if submission.state != SubmissionState.QUERIED:
        raise NotPossible("not_queried", f"submission {submission.id} is {submission.state}: nothing is asked of it")


def _queries_done(
    session: Session, premises: Premises, act: Act, submission: SubmissionRow, obligation: ObligationRow
) -> None:
    by_staff = _review_of(session, obligation) is Review.STAFF and not act.actor.startswith("staff:")
    state = SubmissionState.SUBMITTED if by_staff else SubmissionState.ACCEPTED
    _conclude(session, premises, act, submission, obligation, state, "all queries were answered")


def _review_of(session: Session, obligation: ObligationRow) -> Review:
    key = session.get_one(DeliverableRow, obligation.deliverable_id).key
    return _book(session, obligation).campaign.deliverable(key).review


def _book(session: Session, obligation: ObligationRow) -> Rulebook:
    return rulebook_of(session.get_one(CampaignRow, obligation.campaign_id))


def accept(session: Session, premises: Premises, act: Act, submission_id: int, grounds: str) -> DecisionRow:
    """Accept a version by the word of staff, whatever was found in it; a receipt goes out.

    Raises:
        UnknownSubmission: there is none of that number.
        NotPossible: it is accepted already.
        ValueError: there are no grounds.

    """
    submission, obligation = ledger.find_submission(session, submission_id)
    if submission.state == SubmissionState.ACCEPTED:
        raise NotPossible("judged", f"submission {submission_id} is accepted already", staff="accepted_already")
    return _conclude(
        session, premises, act, submission, obligation, SubmissionState.ACCEPTED, grounds_of(grounds, "it is accepted")
    )


def _conclude(
    session: Session,
    premises: Premises,
    act: Act,
    submission: SubmissionRow,
    obligation: ObligationRow,
    state: SubmissionState,
    grounds: str,
) -> DecisionRow:
    """Put a favourable judgement on record, let an acting form act, and plan the receipt."""
    decision = _decide(session, act, submission, obligation, state.value, grounds)
    ledger.judge(session, act, submission, obligation, state)
    if state is SubmissionState.SUBMITTED:
        alert_staff(session, premises, act, session.get_one(CampaignRow, obligation.campaign_id).key, DESK)
    if state is SubmissionState.ACCEPTED:
        act_on_accepted(session, premises, act, submission, obligation)
    _tell(session, premises, act, "receipt", decision, obligation)
    return decision


def return_to_unit(
    session: Session,
    premises: Premises,
    act: Act,
    submission_id: int,
    *,
    reasons: Sequence[str],
    due: date | datetime | None = None,
) -> DecisionRow:
    """Return a version with reasons: a mail that names them and the new due date, which is chased like the first.

    Earlier versions fall with the one that counts, so that the unit owes again; a later one that does not count
    falls alone, and starts no chase.

    Raises:
        UnknownSubmission: there is none of that number.
        NotPossible: it is returned already, or the new date has passed or lies after the close.
        ValueError: there is no reason.

    """
    submission, obligation = ledger.find_submission(session, submission_id)
    said = tuple(reason.strip() for reason in reasons if reason.strip())
    grounds = grounds_of("；".join(said), "it is returned; the unit reads them in its mail")
    if submission.state == SubmissionState.RETURNED:
        raise NotPossible("judged", f"submission {submission_id} is returned already", staff="returned_already")
    fallen = _fall(session, submission, obligation)
    owed_again = all(v.id in fallen for v in _not_returned(session, obligation))
    book = _book(session, obligation)
    until = obligation.due_at
    if owed_again and obligation.due_at is not None:
        until = new_due(book, act, due) if due is not None else due_after_return(book, act, obligation)
    after = {"reasons": list(said), "fallen": sorted(fallen), "due": _iso(until)}
    falling = [v for v in _not_returned(session, obligation) if v.id in fallen]
    states = {str(v.id): v.state for v in falling}
    decision = _decide(session, act, submission, obligation, RETURNED_BY_STAFF, grounds, states=states, after=after)
    for version in falling:
        ledger.judge(session, act, version, obligation, SubmissionState.RETURNED)
    if owed_again:
        ledger.move_due(session, act, obligation, until)
    _tell(session, premises, act, "returned", decision, obligation)
    return decision


def _not_returned(session: Session, obligation: ObligationRow) -> list[SubmissionRow]:
    return [v for v in ledger.versions_of(session, obligation.id) if v.state != SubmissionState.RETURNED]


def _fall(session: Session, submission: SubmissionRow, obligation: ObligationRow) -> set[int]:
    """Return the versions that are returned together: the one named, and if it counts those before it."""
    standing = _not_returned(session, obligation)
    counting = max(standing, key=lambda v: (RANK[SubmissionState(v.state)], v.version))
    if counting.id != submission.id:
        return {submission.id}
    return {v.id for v in standing if v.version <= submission.version}


def reopen(session: Session, premises: Premises, act: Act, submission_id: int, grounds: str) -> DecisionRow:  # noqa: ARG001
    """Take a judgement back: the version waits for staff again, and a due instant that its return moved is as before.

    The mail that tells of the judgement is withdrawn if it has not left.

    Raises:
        UnknownSubmission: there is none of that number.
        NotPossible: it is not judged.
        ValueError: there are no grounds.

    """
    submission, obligation = ledger.find_submission(session, submission_id)
    if submission.state not in (SubmissionState.ACCEPTED, SubmissionState.RETURNED):
        raise NotPossible("judged", f"submission {submission_id} is {submission.state}: there is nothing to reopen")
    last = _last_decision(session, submission, obligation)
    due = obligation.due_at
    if last is not None and last.kind == RETURNED_BY_STAFF and last.after.get("due") == _iso(obligation.due_at):
        due = datetime.fromisoformat(last.before["due"]) if last.before["due"] else None
    decision = _decide(
        session, act, submission, obligation, REOPENED, grounds_of(grounds, "it is reopened"), after={"due": _iso(due)}
    )
    decision.reverses = last.id if last is not None else None
    ledger.judge(session, act, submission, obligation, SubmissionState.SUBMITTED)
    ledger.move_due(session, act, obligation, due)
    if last is not None:
        ledger.withdraw_told(session, act, obligation, _occasion(last))
    return decision


def _last_decision(session: Session, submission: SubmissionRow, obligation: ObligationRow) -> DecisionRow | None:
    query = (
        select(DecisionRow)
        .where(DecisionRow.obligation_id == obligation.id, DecisionRow.kind.in_((ACCEPTED, RETURNED_BY_STAFF)))
        .order_by(DecisionRow.id.desc())
    )
    return next((d for d in session.scalars(query) if d.before.get("submission") == submission.id), None)


def revoke_links(session: Session, act: Act, party: PartyRow, grounds: str) -> DecisionRow:
    """Make every link given out to a party so far invalid: links carry the epoch, and it is raised.

    Raises:
        ValueError: there are no grounds.

    """
    said = grounds_of(grounds, "its links are revoked")
    before = party.link_epoch
    party.link_epoch = before + 1
    session.flush()
    return record_decision(
        session,
        act,
        party.campaign_id,
        "links_revoked",
        said,
        party_id=party.id,
        before={"epoch": before},
        after={"epoch": party.link_epoch},
    )


def grounds_of(given: str, what: str) -> str:
    """Return grounds as they are kept.

    Raises:
        ValueError: there are none.

    """
    if not given.strip():
        raise Mistaken("no_grounds", f"say on what grounds {what}; kept in the audit trail")
    return given.strip()[:LONGEST]


def _decide(
    session: Session,
    act: Act,
    submission: SubmissionRow,
    obligation: ObligationRow,
    kind: str,
    grounds: str,
    *,
    states: dict[str, str] | None = None,
    after: dict[str, object] | None = None,
) -> DecisionRow:
    states = states or {str(submission.id): submission.state}
    before = {"submission": submission.id, "states": states, "due": _iso(obligation.due_at)}
    return record_decision(
        session,
        act,
        obligation.campaign_id,
        kind,
        grounds,
        party_id=obligation.party_id,
        obligation_id=obligation.id,
        before={**before, "chase_from": obligation.chase_from.isoformat()},
        after={"submission": submission.id, **(after or {})},
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _occasion(decision: DecisionRow) -> str:
    return f"decision:{decision.id}"


def _tell(
    session: Session, premises: Premises, act: Act, notice: str, decision: DecisionRow, obligation: ObligationRow
) -> None:
    occasion = _occasion(decision)
    item = ItemDue(obligation_id=obligation.id, rung=occasion, due=obligation.due_at)
    new = NewMessage(party_id=obligation.party_id, notice=notice, occasion=occasion, items=(item,))
    plan_messages(session, act, obligation.campaign_id, premises.mail_domain, [new])
