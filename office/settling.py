"""Settling: what staff decide over single mails: whether an ambiguous one arrived, whether one is written anew."""

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import contacts_of, record_decision
from ledger.facts import load_obligations
from ledger.outbox import Result, find_message, items_of, plan_messages, record, record_arrival
from ledger.tables import GONE, CampaignRow, DecisionRow, MessageRow, MessageState, PartyRow
from office.composing import worth_saying
from office.gate import GIVES_UP_AFTER
from office.generations import next_generation
from office.premises import Premises
from office.refusal_wording import MAIL_WAY
from office.refusals import Mistaken
from rules.delivery import choose_contact

SETTLED = "mail_settled"
RESENT = "mail_resent"
MAY_BE_RESENT = (MessageState.SENT, MessageState.BOUNCED, MessageState.REFUSED)
LONGEST = 1000  # of grounds
WAY_OUT = {
    MessageState.PLANNED: "it has not left yet; `muster run deliver {campaign}` sends what may leave",
    MessageState.DEFERRED: "it will be tried again by itself",
    MessageState.CLAIMED: "a sender has it; look again in a few minutes",
    MessageState.AMBIGUOUS: "say first what became of it: `muster settle {id} --as sent` or `--as again`",
    MessageState.HELD: "its lane is on hold; `muster release --lane {lane}` lets it go on",
    MessageState.SUPERSEDED: "there was nothing left to say",
    MessageState.EXPIRED: "what it says is out of date",
    MessageState.SENT: "it is known to have left; `muster resend {id}` writes it anew",
    MessageState.REFUSED: "it is known not to have been taken; `muster resend {id}` writes it anew",
    MessageState.BOUNCED: "it is known to have come back; `muster resend {id}` writes it anew",
}


class Verdict(StrEnum):
    """What became of an ambiguous mail, by the word of staff."""

    SENT = "sent"  # it arrived
    AGAIN = "again"  # it did not, or nobody knows and twice is better than never


def settle_ambiguous(session: Session, act: Act, message_id: int, verdict: str, grounds: str) -> MessageRow:
    """Settle what became of an ambiguous mail; a decision, with its attempt on record.

    ``again`` tries the same mail once more, under the same Message-ID.

    Raises:
        UnknownMessage: there is none of that number.
        ValueError: it is not ambiguous, the verdict is none, or there are no grounds.

    """
    if verdict not in list(Verdict):
        raise ValueError(f"a mail is not settled as {verdict!r}; say --as sent (it arrived) or --as again (send it)")
    grounds = _grounds(grounds, "it is settled")
    message = find_message(session, message_id)
    if message.state != MessageState.AMBIGUOUS:
        raise ValueError(_refusal(session, message, "only an ambiguous mail can be settled"))
    if verdict == Verdict.SENT:
        record_arrival(session, act, message, f"it arrived: {grounds}")
        after = MessageState.SENT
    else:
        record(session, act, message.campaign_id, [_again(act, message, grounds)])
        after = MessageState.DEFERRED
    _decide(session, act, message, SETTLED, grounds, after={"message": message.id, "state": str(after)})
    session.refresh(message)
    return message


def _again(act: Act, message: MessageRow, grounds: str) -> Result:
    return Result(
        message_id=message.id,
        state=MessageState.DEFERRED,
        text=f"to be tried again: {grounds}",
        address=message.address,
        lane=message.lane,
        again_at=act.as_of,
    )


def is_given_up(message: MessageRow) -> bool:
    """Whether a mail to be tried again was tried so often that it will be given up instead."""
    return message.tries >= GIVES_UP_AFTER


def resend(session: Session, premises: Premises, act: Act, message_id: int, grounds: str) -> MessageRow:
    """Plan a mail anew: same occasion and items, the next generation, a Message-ID of its own.

    It is composed from the facts of the moment at which it leaves, to the contact that then comes first.

    Raises:
        UnknownMessage: there is none of that number.
        ValueError: it is in no state for that, was written anew before, says what is out of date, or has nobody to
            go to; or there are no grounds.

    """
    grounds = _grounds(grounds, "it is written anew")
    message = find_message(session, message_id)
    if message.state not in MAY_BE_RESENT:
        raise Mistaken(
            "mail_waits",
            _refusal(session, message, "only a mail that was sent, bounced or refused is written anew"),
            mail=str(message.id),
            way=MAIL_WAY.get(message.state, ""),
        )
    later = _successor(session, message)
    if later is not None:
        raise Mistaken(
            "resent_before",
            f"mail {message.id} was written anew before: see mail {later.id}, which is {later.state}",
            mail=str(message.id),
            later=str(later.id),
        )
    if message.expires_at is not None and act.as_of >= message.expires_at:
        raise Mistaken(
            "resend_expired",
            f"mail {message.id} would not leave: what it says is out of date",
            mail=str(message.id),
        )
    if choose_contact(contacts_of(session, message.party_id), message.notice) is None:
        party = session.get_one(PartyRow, message.party_id)
        campaign = session.get_one(CampaignRow, message.campaign_id).key
        raise Mistaken(
            "resend_nobody",
            f"mail {message.id} would not leave: no contact of {party.code} {party.name} works; "
            f"`muster contacts {campaign}` has the telephone",
            unit=party.name,
        )
    again = next_generation(message, items_of(session, [message.id])[message.id])
    planned = plan_messages(session, act, message.campaign_id, premises.mail_domain, [again])[0]
    after = {"message": planned.id, "generation": planned.generation}
    _decide(session, act, message, RESENT, grounds, after=after)
    return planned


def resent_mails(session: Session, campaign_id: int) -> frozenset[int]:
    """Return the mails of a campaign that staff had written anew."""
    query = select(DecisionRow.after).where(DecisionRow.campaign_id == campaign_id, DecisionRow.kind == RESENT)
    return frozenset(after["message"] for after in session.scalars(query))


def will_be_superseded(session: Session, message: MessageRow) -> bool:
    """Whether a waiting mail will not leave, as nothing that it asks for is owed any more."""
    items = items_of(session, [message.id])[message.id]
    obligations = {
        ob.id: ob for ob in load_obligations(session, message.campaign_id, party_ids=[], named_in=[message.id])
    }
    return bool(items) and not worth_saying(message.notice, items, obligations)


def _successor(session: Session, message: MessageRow) -> MessageRow | None:
    query = select(MessageRow).where(MessageRow.caused_by == message.id, MessageRow.state.not_in(GONE))
    return session.scalars(query.limit(1)).first()


def _grounds(given: str, what: str) -> str:
    if not given.strip():
        raise ValueError(f"say on what grounds {what}: who found out what, and how; kept in the audit trail")
    return given.strip()[:LONGEST]


def _refusal(session: Session, message: MessageRow, rule: str) -> str:
    campaign = session.get_one(CampaignRow, message.campaign_id).key
    way_out = WAY_OUT[MessageState(message.state)].format(id=message.id, campaign=campaign, lane=message.lane)
    return f"mail {message.id} is {message.state}: {way_out}; {rule}"


def _decide(
    session: Session, act: Act, message: MessageRow, kind: str, grounds: str, *, after: Mapping[str, object]
) -> None:
    before = {"message": message.id, "state": str(message.state)}
    record_decision(
        session, act, message.campaign_id, kind, grounds, party_id=message.party_id, before=before, after=after
    )
