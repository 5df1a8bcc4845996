"""Nil return (零报告): a unit states that it has nothing to report. By mail, by page and by staff the same.

A nil return is a version without a file: it counts as reported, adds no figure to any total, and is shown as 零报告.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable
from ledger.acts import Act
from ledger.facts import load_obligations
from ledger.outbox import NewMessage, plan_messages
from ledger.submissions import NewSubmission, record_submission
from ledger.tables import (
    CampaignRow,
    DeliverableRow,
    FileRow,
    IntakeRow,
    ObligationRow,
    PartyRow,
    SubmissionRow,
)
from office import wording
from office.arrivals import note_arrival, settle_arrival
from office.courtesy import answer_mail
from office.destination import obligation_for
from office.handin import TakenIn, check_on_behalf, reviewed
from office.premises import Premises
from office.rulebook import rulebook_of
from office.units import find_deliverable, find_obligation
from office.workbooks import NotPlacedError
from rules.notices import ItemDue
from rules.obligations import Obligation, SubmissionState, is_owed
from rules.subjects import named_in

DAY = timedelta(days=1)


def hand_in_nil(  # noqa: PLR0913  a hand-in has that many sides
    session: Session,
    premises: Premises,
    act: Act,
    party: PartyRow,
    deliverables: Sequence[str],
    *,
    channel: str,
    received_at: datetime,
    entered_by: str = "",
    grounds: str = "",
    intake: IntakeRow | None = None,
    obligation_id: int | None = None,
    answerable: bool = True,
) -> TakenIn:
    """Record a nil return for the earliest open obligation of each deliverable, and plan one receipt for all.

    Where ``obligation_id`` names the occurrence, as on the page, it is for that one or for none.
    ``intake`` is the mail it came by; without one a row is made, as the receipt answers one. Handed in twice, it is
    recorded once.

    Raises:
        NotPlacedError: a deliverable takes no nil return, or the unit has none of it open; then none is recorded.

    """
    wanted = _wanted(session, party, deliverables, obligation_id, intake)
    if not wanted:
        return TakenIn()
    row = intake or note_arrival(
        session, act, party, mailbox=f"nil:{channel}", matched_by=channel, received_at=received_at
    )
    items = []
    for deliverable, target in wanted:
        obligation = obligation_for(session, act, party, deliverable, target)
        new = NewSubmission(
            obligation=obligation,
            channel=channel,
            received_at=received_at,
            state=reviewed(SubmissionState.ACCEPTED, deliverable),
            file=None,
            intake_id=row.id,
            entered_by=entered_by,
            grounds=grounds,
        )
        record_submission(session, act, new)
        items.append(ItemDue(obligation_id=obligation.id, rung=f"intake:{row.id}", due=obligation.due_at))
    receipt = NewMessage(party_id=party.id, notice="receipt", occasion=f"intake:{row.id}", items=tuple(items))
    silent = ""
    if channel == "mail":
        silent = answer_mail(session, premises, act, party, receipt, answerable=answerable)
    else:
        plan_messages(session, act, party.campaign_id, premises.mail_domain, [receipt])
    reasons = (silent,) if silent else ()
    taken = TakenIn(recorded=len(wanted), reasons=reasons, notice=None if silent else "receipt")
    if intake is None:
        settle_arrival(row, taken)
    return taken


def _wanted(
    session: Session, party: PartyRow, keys: Sequence[str], obligation_id: int | None, intake: IntakeRow | None
) -> list[tuple[Deliverable, int]]:
    """Return the deliverables that a nil return is for, each with its obligation; none that was said before."""
    campaign = rulebook_of(session.get_one(CampaignRow, party.campaign_id)).campaign
    named = [d for d in campaign.deliverables if d.key in keys]
    mine = load_obligations(session, party.campaign_id, party_ids=[party.id])
    targets = [
        (d, _target(session, party, d, [o for o in mine if o.deliverable == d.key], obligation_id)) for d in named
    ]
    by_mail = obligation_id is None and intake is not None
    return [
        (d, id_)
        for d, id_ in targets
        if id_ is not None and not (by_mail and intake is not None and _resent(session, party, d, intake))
    ]


def nil_on_behalf(  # noqa: PLR0913  as above
    session: Session,
    premises: Premises,
    act: Act,
    party: PartyRow,
    deliverable: str,
    *,
    channel: str,
    received_at: datetime,
    grounds: str,
    occurrence: str | None = None,
) -> TakenIn:
    """Record that a unit told staff it has nothing to report, at the true time that they state.

    ``deliverable`` is its key, title or label. Of a series it is the earliest still owed, unless ``occurrence`` names
    another.

    Raises:
        NotPlacedError: it takes no nil return, or the unit has none of it open.
        ValueError: no grounds, a time that has not come yet, no such deliverable or occurrence.

    """
    check_on_behalf(act, grounds, received_at)
    key = find_deliverable(session, party, deliverable).key
    named = find_obligation(session, party, key, occurrence).id if occurrence is not None else None
    return hand_in_nil(
        session,
        premises,
        act,
        party,
        [key],
        channel=channel,
        received_at=received_at,
        entered_by=act.actor,
        grounds=grounds,
        obligation_id=named,
    )


def _target(
    session: Session,
    party: PartyRow,
    deliverable: Deliverable,
    mine: Sequence[Obligation],
    named: int | None,
) -> int | None:
    """Return the obligation for which a nil return is to be recorded; None if that was done before.

    Raises:
        NotPlacedError: the deliverable takes none, or the unit has none of it open.

    """
    name = f"《{deliverable.title}》"
    if not deliverable.nil_return:
        problem = wording.PROBLEM["nil_not_allowed"].format(names=name)
        raise NotPlacedError(problem, f"{deliverable.key} takes no nil return")
    meant = [o for o in mine if named is None or o.id == named]
    owed = min((o for o in meant if is_owed(o)), key=lambda o: (o.due is None, o.due), default=None)
    if owed is not None:
        return owed.id
    if _stands_as_nil(session, named) if named is not None else was_nil(session, party, deliverable.key):
        return None
    raise NotPlacedError(wording.PROBLEM["nil_not_open"].format(names=name), f"{deliverable.key} is not open")


def _stands_as_nil(session: Session, obligation_id: int) -> bool:
    """Whether the latest version of an obligation is a nil return."""
    query = (
        select(_without_file())
        .select_from(SubmissionRow)
        .where(SubmissionRow.obligation_id == obligation_id)
        .order_by(SubmissionRow.version.desc())
        .limit(1)
    )
    return bool(session.scalar(query))


def _resent(session: Session, party: PartyRow, deliverable: Deliverable, mail: IntakeRow) -> bool:
    """Whether a mail says again what one with the same subject said within the day, and nobody returned."""
    query = (
        select(SubmissionRow.id)
        .join(IntakeRow, IntakeRow.id == SubmissionRow.intake_id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(
            ObligationRow.party_id == party.id,
            DeliverableRow.key == deliverable.key,
            SubmissionRow.state != SubmissionState.RETURNED,
            _without_file(),
            IntakeRow.id != mail.id,
            IntakeRow.subject == mail.subject,
            IntakeRow.received_at > mail.received_at - DAY,
        )
        .limit(1)
    )
    return session.scalar(query) is not None


def nil_open(session: Session, campaign: Campaign, party: PartyRow) -> list[Deliverable]:
    """Return the deliverables for which a unit may hand in a nil return now."""
    owed = {o.deliverable for o in load_obligations(session, party.campaign_id, party_ids=[party.id]) if is_owed(o)}
    return [d for d in campaign.deliverables if d.nil_return and d.key in owed]


def which_nil(session: Session, party: PartyRow, words: str) -> Sequence[str]:
    """Return the deliverables that a nil return by mail is for, by the new words of its subject.

    Raises:
        NotPlacedError: it names none and several are open, or nothing of what it may be for is.

    """
    campaign = rulebook_of(session.get_one(CampaignRow, party.campaign_id)).campaign
    named = named_in(words, [(d.key, (d.title, d.label)) for d in campaign.deliverables])
    if named:
        return named
    candidates = nil_open(session, campaign, party)
    if len(candidates) == 1:
        return (candidates[0].key,)
    if candidates:
        names = "、".join(f"《{d.title}》" for d in candidates)
        raise NotPlacedError(wording.PROBLEM["which_nil"].format(names=names), "the nil return names none of several")
    allowed = [d for d in campaign.deliverables if d.nil_return]
    done = [d.key for d in allowed if was_nil(session, party, d.key)]
    if len(done) == 1:
        return (done[0],)
    raise NotPlacedError(wording.PROBLEM["nil_nothing_open"], "nothing that takes a nil return is open")


def was_nil(session: Session, party: PartyRow, deliverable: str) -> bool:
    """Whether a unit has handed in a nil return for a deliverable."""
    query = (
        select(SubmissionRow.id)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(ObligationRow.party_id == party.id, DeliverableRow.key == deliverable, _without_file())
        .limit(1)
    )
    return session.scalar(query) is not None


def nil_versions(session: Session, campaign_id: int) -> frozenset[tuple[int, int]]:
    """Return the (obligation id, version) pairs of a campaign that are nil returns."""
    query = (
        select(SubmissionRow.obligation_id, SubmissionRow.version)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .where(ObligationRow.campaign_id == campaign_id, _without_file())
    )
    return frozenset((obligation, version) for obligation, version in session.execute(query))


def _without_file() -> ColumnElement[bool]:
    return ~exists().where(FileRow.submission_id == SubmissionRow.id)
