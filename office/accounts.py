"""The accounts of a campaign: what was said to whom, so that a month can be proved and not only believed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import audit
from ledger.facts import load_obligations, party_names, told_of_launch
from ledger.tables import AttemptRow, IntakeRow, ItemRow, MessageRow, ObligationRow, PartyKind, SubmissionRow
from office.rulebook import open_book
from office.settling import resent_mails
from rules.rates import Totals, totals


@dataclass(frozen=True, kw_only=True)
class CategoryLine:
    """One category of units, or all of them."""

    category: str
    units: int
    mails: int
    escalated: int  # units that a rung of the ladder named
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """What the ledger says of a campaign's mail and reports."""

    lines: tuple[CategoryLine, ...]
    messages: Mapping[str, int]  # by state
    taken_by_relay: int  # attempts that the relay answered with 250
    said_twice: int  # notices sent twice to one address on one occasion, though nobody wished it
    untold: tuple[str, ...]  # units that were not told of the launch
    chased_after_report: int
    intake: Mapping[str, int]
    audit: audit.Verdict


def accounts_of(session: Session, campaign: str) -> Accounts:
    """Return the accounts of a campaign."""
    row, book = open_book(session, campaign)
    parties = {id_: p for id_, p in party_names(session, row.id).items() if p.kind == PartyKind.UNIT}
    obligations = load_obligations(session, row.id)
    sent = select(MessageRow.party_id, func.count()).where(
        MessageRow.campaign_id == row.id, MessageRow.state.in_(("sent", "ambiguous", "bounced"))
    )
    mails = {party: count for party, count in session.execute(sent.group_by(MessageRow.party_id))}  # noqa: C416
    named = select(ObligationRow.party_id).join(ItemRow, ItemRow.obligation_id == ObligationRow.id)
    escalated = set(
        session.scalars(
            named.where(ObligationRow.campaign_id == row.id, ItemRow.rung.like("escalate:%"), ~ItemRow.gone)
        )
    )
    lines = [
        CategoryLine(
            category=category,
            units=len(ids := {i for i, p in parties.items() if p.category == category}),
            mails=sum(mails.get(i, 0) for i in ids),
            escalated=len(ids & escalated),
            totals=totals(o for o in obligations if o.category == category),
        )
        for category in book.campaign.categories
    ]
    told = told_of_launch(session, row.id)
    return Accounts(
        lines=tuple(lines),
        messages=_messages(session, row.id),
        taken_by_relay=_taken(session, row.id),
        said_twice=_said_twice(session, row.id),
        untold=tuple(p.code for i, p in parties.items() if i not in told),
        chased_after_report=_chased_after_report(session, row.id),
        intake=_intake(session, row.id),
        audit=audit.verify(session),
    )


def _messages(session: Session, campaign_id: int) -> dict[str, int]:
    return dict(Counter(session.scalars(select(MessageRow.state).where(MessageRow.campaign_id == campaign_id))))


def _taken(session: Session, campaign_id: int) -> int:
    query = select(func.count()).select_from(AttemptRow).join(MessageRow, MessageRow.id == AttemptRow.message_id)
    return session.scalars(query.where(MessageRow.campaign_id == campaign_id, AttemptRow.state == "sent")).one()


def _said_twice(session: Session, campaign_id: int) -> int:
    """Count what was sent twice by mistake; what staff had written anew was meant to be."""
    keys = (MessageRow.party_id, MessageRow.notice, MessageRow.occasion, MessageRow.address)
    query = (
        select(func.count())
        .where(
            MessageRow.campaign_id == campaign_id,
            MessageRow.state.in_(("sent", "ambiguous", "bounced")),
            MessageRow.id.not_in(resent_mails(session, campaign_id)),
        )
        .group_by(*keys)
        .having(func.count() > 1)
    )
    return len(session.scalars(query).all())


def _chased_after_report(session: Session, campaign_id: int) -> int:
    """Count chase items sent although a version that counts had been taken in before."""
    query = (
        select(func.count(ItemRow.id.distinct()))
        .select_from(ItemRow)
        .join(MessageRow, MessageRow.id == ItemRow.message_id)
        .join(SubmissionRow, SubmissionRow.obligation_id == ItemRow.obligation_id)
        .where(
            MessageRow.campaign_id == campaign_id,
            MessageRow.mail_class == "chase",
            MessageRow.state.in_(("sent", "ambiguous", "bounced")),
            ~ItemRow.gone,
            SubmissionRow.state != "returned",
            SubmissionRow.as_of <= MessageRow.sent_as_of,
        )
    )
    return session.scalars(query).one()


def _intake(session: Session, campaign_id: int) -> dict[str, int]:
    return dict(Counter(session.scalars(select(IntakeRow.kind).where(IntakeRow.campaign_id == campaign_id))))
