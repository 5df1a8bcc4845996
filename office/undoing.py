"""Taking a decision back: by a later decision, which restores what it changed and tells whom it had told."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.models import Campaign
from ledger.acts import Act
from ledger.campaigns import Change
from ledger.decisions import (
    changes_of,
    decide,
    definition_kept,
    find_decision,
    overtaken_by,
    root_of,
    still_stands,
    swapped,
    undone_numbers,
    withdraw_occasion,
)
from ledger.replay import EXTENDED, RETURNED_BY_STAFF, UNDONE
from ledger.requests import REFUSED
from ledger.tables import CampaignRow, Changed, DecisionRow, ObligationRow, PartyRow, RequestRow
from office import wording
from office.amending import lost
from office.contact_changes import CHANGED, Named, change_contact
from office.correcting import CORRECTED
from office.exempting import EXEMPTED
from office.leaving import BACK, LEFT, leave
from office.premises import Premises
from office.refusals import NotPossible
from office.review import ACCEPTED, SUBMITTED, grounds_of, reopen
from office.rulebook import Rulebook, rulebook_of
from office.telling import occasion_of, tell, told_by

TELLS = {EXTENDED: "decided", EXEMPTED: "decided", LEFT: "decided", BACK: "decided", CORRECTED: "correction"}
OTHERWISE = {
    "go_live": "stop the campaign's mail with `muster hold --campaign`",
    "links_revoked": "a link given out anew with `muster link` holds",
    "reopened": "judge the version again",
    "contact_kept": "nothing was changed by it",
}


def undo(session: Session, premises: Premises, act: Act, number: int, grounds: str) -> DecisionRow:
    """Take a decision back, and whoever was told of it is told.

    An extension taken back repeats nothing: what was said for the earlier due instant stays said.

    Raises:
        UnknownDecision: there is none of that number.
        NotPossible: it was taken back before, a later one over the same thing holds, or it is undone otherwise.
        ValueError: there are no grounds.

    """
    decision = find_decision(session, number)
    said = grounds_of(grounds, "it is taken back")
    undone = undone_numbers(session, decision.campaign_id).get(number)
    if undone is not None:
        raise NotPossible(
            "standing",
            f"decision {number} was taken back before, by decision {undone}",
            staff="undone_before",
            by=str(undone),
        )
    special = _SPECIAL.get(decision.kind)
    if special is not None:
        return special(session, premises, act, decision, said)
    changes = changes_of(session, number)
    if not changes:
        way = OTHERWISE.get(decision.kind, "decide anew")
        raise NotPossible(
            "standing",
            f"decision {number} ({decision.kind}) is not taken back like this: {way}",
            staff="not_undone",
            kind=wording.DECISION.get(decision.kind, decision.kind),
        )
    _refuse_overtaken(session, decision, changes)
    _refuse_loss(session, decision, changes)
    return _swap(session, premises, act, decision, changes, said)


def _refuse_overtaken(session: Session, decision: DecisionRow, changes: list[Change]) -> None:
    later = overtaken_by(session, decision)
    if later is not None:
        raise NotPossible(
            "standing",
            f"decision {decision.id} was overtaken by decision {later}; take that back first",
            staff="overtaken",
            later=str(later),
        )
    if not still_stands(session, decision.campaign_id, changes):
        raise NotPossible(
            "standing",
            f"what decision {decision.id} changed was changed again since; take the later act back first",
            staff="changed_since",
        )
    if decision.after.get("added"):
        raise NotPossible(
            "standing",
            f"decision {decision.id} added obligations, which stay on record; "
            "amend again, or exempt the units with `muster exempt`",
            staff="added",
        )


def _refuse_loss(session: Session, decision: DecisionRow, changes: list[Change]) -> None:
    """Refuse to put a definition back in force that does not ask for what was made under the later one."""
    row = session.get_one(CampaignRow, decision.campaign_id)
    for change in changes:
        kept = definition_kept(session, change.before or "") if change.field is Changed.DEFINITION else None
        if kept is not None:
            why = "; ".join(lost(session, row, rulebook_of(row), Rulebook(Campaign.model_validate(kept))))
            if why:
                raise NotPossible("standing", f"decision {decision.id} cannot be taken back: {why}")


def _swap(
    session: Session, premises: Premises, act: Act, decision: DecisionRow, changes: list[Change], grounds: str
) -> DecisionRow:
    campaign_id = decision.campaign_id
    withdraw_occasion(session, act, campaign_id, occasion_of(decision))
    told = told_by(session, decision)
    root, _ = root_of(session, decision)
    taken_back = decide(
        session,
        act,
        campaign_id,
        UNDONE,
        grounds,
        party_id=decision.party_id,
        obligation_id=decision.obligation_id,
        after={"of": decision.kind, "due": _due_again(changes)},
        reverses=decision.id,
        changes=swapped(session, act, changes),
    )
    for request in session.scalars(select(RequestRow).where(RequestRow.decision_id == decision.id)):
        request.decision_id = None  # what it granted is asked for again
    notice = TELLS.get(root.kind)
    if notice is not None and told:
        ids = {c.obligation_id for c in changes if c.field in (Changed.DUE, Changed.EXEMPT)}
        mine = [o for o in map(session.get_one, [ObligationRow] * len(ids), ids) if o.party_id in told]
        tell(session, premises, act, notice, taken_back, sorted(mine, key=lambda o: o.id), parties=sorted(told))
    return taken_back


def _due_again(changes: list[Change]) -> str | None:
    """Return the deadline that holds again, if it is the same for all."""
    dues = {change.before for change in changes if change.field is Changed.DUE}
    return dues.pop() if len(dues) == 1 else None


def _reopen(session: Session, premises: Premises, act: Act, decision: DecisionRow, grounds: str) -> DecisionRow:
    """Take a judgement back, if no later one over the same obligation holds."""
    query = select(DecisionRow.id).where(
        DecisionRow.obligation_id == decision.obligation_id,
        DecisionRow.id > decision.id,
        DecisionRow.kind.in_((ACCEPTED, SUBMITTED, RETURNED_BY_STAFF)),
    )
    undone = undone_numbers(session, decision.campaign_id)
    later = next((id_ for id_ in session.scalars(query) if id_ not in undone), None)
    if later is not None:
        raise NotPossible(
            "standing",
            f"decision {decision.id} was overtaken by decision {later}; take that back first",
            staff="overtaken",
            later=str(later),
        )
    return reopen(session, premises, act, int(decision.after["submission"]), grounds)


def _contact_back(session: Session, premises: Premises, act: Act, decision: DecisionRow, grounds: str) -> DecisionRow:
    was = decision.before
    if "address" not in was:
        raise NotPossible(
            "standing",
            f"before decision {decision.id} there was no contact; name one: `muster contact`",
            staff="no_contact_before",
        )
    later = select(DecisionRow.id).where(
        DecisionRow.party_id == decision.party_id, DecisionRow.kind == CHANGED, DecisionRow.id > decision.id
    )
    undone = undone_numbers(session, decision.campaign_id)
    for id_ in session.scalars(later):
        if id_ not in undone and session.get_one(DecisionRow, id_).reverses is None:
            raise NotPossible(
                "standing",
                f"decision {decision.id} was overtaken by decision {id_}; take that back first",
                staff="overtaken",
                later=str(id_),
            )
    party = session.get_one(PartyRow, decision.party_id)
    named = Named(role=was["role"], name=was["name"], address=was["address"], phone=was["phone"])  # kept as it was
    back = change_contact(session, premises, act, party, named, grounds)
    if back is None:
        raise NotPossible("standing", f"{named.address} is the first {named.role} of {party.code} already")
    back.reverses = decision.id
    session.flush()
    return back


def _wait_again(session: Session, premises: Premises, act: Act, decision: DecisionRow, grounds: str) -> DecisionRow:  # noqa: ARG001
    """Take a refusal back: the request waits for staff again."""
    withdraw_occasion(session, act, decision.campaign_id, occasion_of(decision))
    for request in session.scalars(select(RequestRow).where(RequestRow.decision_id == decision.id)):
        request.decision_id = None
    return decide(
        session,
        act,
        decision.campaign_id,
        UNDONE,
        grounds,
        party_id=decision.party_id,
        obligation_id=decision.obligation_id,
        after={"of": decision.kind, "request": decision.after.get("request")},
        reverses=decision.id,
        changes=(),
    )


def _leave_again(session: Session, premises: Premises, act: Act, decision: DecisionRow, grounds: str) -> DecisionRow:
    return leave(session, premises, act, session.get_one(PartyRow, decision.party_id), grounds, reverses=decision.id)


def _withdraw(session: Session, premises: Premises, act: Act, decision: DecisionRow, grounds: str) -> DecisionRow:  # noqa: ARG001
    """Withdraw an announcement as far as it waits; what has left has left."""
    withdrawn = withdraw_occasion(session, act, decision.campaign_id, occasion_of(decision))
    if not withdrawn:
        raise NotPossible(
            "standing",
            f"the announcement of decision {decision.id} has left; announce a correction",
            staff="announced_and_gone",
        )
    after = {"of": decision.kind, "withdrawn": withdrawn}
    return decide(session, act, decision.campaign_id, UNDONE, grounds, after=after, reverses=decision.id, changes=())


_SPECIAL: dict[str, Callable[[Session, Premises, Act, DecisionRow, str], DecisionRow]] = {
    ACCEPTED: _reopen,
    SUBMITTED: _reopen,
    RETURNED_BY_STAFF: _reopen,
    CHANGED: _contact_back,
    REFUSED: _wait_again,
    "unit_joined": _leave_again,
    "announced": _withdraw,
}
