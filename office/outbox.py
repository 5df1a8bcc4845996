"""The outbox: choose what may leave, compose it, claim it; record what came of it; go on to the next contact."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ledger import outbox
from ledger.acts import Act
from ledger.campaigns import advance, contacts_of, mark_contact_bad
from ledger.facts import load_obligations
from ledger.outbox import NewMessage, Result
from ledger.tables import CampaignRow, CampaignState, ContactRow, ItemRow, MailClass, MessageRow, MessageState
from mail.smtp import Envelope, Outcome
from mail.tokens import sign
from office.composing import Composer
from office.premises import Premises
from office.rulebook import open_book
from rules.delivery import Contact, Unsent, choose_contact, in_window, is_allowed
from rules.notices import ItemDue
from rules.obligations import Obligation, is_owed

CHASES = frozenset({"reminder", "escalation", "escalation_digest"})


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Messages claimed together: ready to send, and those that do not leave, with the reason."""

    envelopes: tuple[Envelope, ...] = ()
    unsent: Mapping[int, Unsent] = field(default_factory=dict)  # these wait on
    ended: Mapping[int, Unsent] = field(default_factory=dict)  # these are over


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What a drain did, as counts by outcome and, for what did not leave, the reason of each message."""

    looked_at: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    unsent: Mapping[int, Unsent] = field(default_factory=dict)
    ended: Mapping[int, Unsent] = field(default_factory=dict)

    def __add__(self, other: "Delivered") -> "Delivered":
        """Add the drain of another shard."""
        return Delivered(
            looked_at=self.looked_at + other.looked_at,
            outcomes=Counter(self.outcomes) + Counter(other.outcomes),
            unsent={**self.unsent, **other.unsent},
            ended={**self.ended, **other.ended},
        )

    def unsent_by_reason(self) -> dict[str, int]:
        """Return how many messages did not leave, by reason."""
        return dict(Counter(str(reason) for reason in {**self.unsent, **self.ended}.values()))


def settle_abandoned(session: Session, act: Act, campaign: str) -> int:
    """Call ambiguous what a vanished sender had claimed; return how many."""
    row, _ = open_book(session, campaign)
    ids = outbox.abandoned(session, act, row.id)
    text = "the sender vanished after claiming it; it may have left"
    outbox.mark(session, act, [Result(message_id=i, state=MessageState.AMBIGUOUS, text=text) for i in ids])
    return len(ids)


def claim_shard(
    session: Session, premises: Premises, act: Act, campaign: str, *, passed_over: int, limit: int
) -> Shard:
    """Claim up to ``limit`` waiting messages: each is addressed, composed and dated from what is still live."""
    row, book = open_book(session, campaign)
    advance(act, row, rehearsal=premises.rehearsal)
    messages = outbox.waiting(session, row.id, act, after=passed_over, limit=limit)
    if not messages:
        return Shard()
    gate = _Gate(session, premises, act, row, book.zone, book.campaign.sending.window)
    items = outbox.items_of(session, [m.id for m in messages])
    obligations = _obligations(session, row.id, messages)
    composer = Composer(session, premises, act, row, book, obligations)
    sender = uuid4().hex
    envelopes: list[Envelope] = []
    unsent: dict[int, Unsent] = {}
    ended: dict[int, Unsent] = {}
    for message in messages:
        live = _live(message, items[message.id], obligations)
        verdict = gate.verdict(message, live, had_items=bool(items[message.id]), cap=book.campaign.sending.daily_cap)
        if isinstance(verdict, Unsent):
            if _end(session, act, message, verdict):
                ended[message.id] = verdict
            else:
                unsent[message.id] = verdict
            continue
        outbox.drop_items(item for item in items[message.id] if item not in live)
        _address(message, verdict, act)
        try:
            raw = composer.compose(message, live, verdict)
        except ValueError as error:  # a header that would break; this message must not hold up the others
            outbox.retire(session, act, message, MessageState.REFUSED, f"cannot be composed: {error}"[:300])
            ended[message.id] = Unsent.NOT_COMPOSED
            continue
        message.raw_sha256 = premises.files.put(raw)
        outbox.claim(act, message, sender)
        bounce_to = premises.tagged_address(sign("m", message.id, premises.secret))
        envelopes.append(Envelope(id=message.id, envelope_from=bounce_to, to=verdict.address, raw=raw))
    return Shard(envelopes=tuple(envelopes), unsent=unsent, ended=ended)


def _obligations(session: Session, campaign_id: int, messages: Sequence[MessageRow]) -> dict[int, Obligation]:
    """Return the obligations that messages may speak of: of one unit where only one is written to."""
    parties = {m.party_id for m in messages}
    digest = any(m.notice in ("escalation_digest", "summary") for m in messages)
    only = next(iter(parties)) if len(parties) == 1 and not digest else None
    return {ob.id: ob for ob in load_obligations(session, campaign_id, party_id=only)}


def _live(message: MessageRow, items: Sequence[ItemRow], obligations: Mapping[int, Obligation]) -> list[ItemRow]:
    """Return the items still worth saying: of a chase, those still owed under the due instant it was planned for."""
    if message.notice not in CHASES:
        return list(items)
    return [item for item in items if (ob := obligations[item.obligation_id]) and is_owed(ob) and ob.due == item.due_at]


class _Gate:
    """Whether a message may leave now, and to which contact. Counts what this shard itself sends."""

    def __init__(
        self,
        session: Session,
        premises: Premises,
        act: Act,
        campaign: CampaignRow,
        zone: ZoneInfo,
        window: tuple[time, time],
    ) -> None:
        self._session = session
        self._premises = premises
        self._act = act
        self._campaign = campaign
        self._open = in_window(act.as_of, window, zone)
        midnight = datetime.combine(act.as_of.astimezone(zone).date(), time(), tzinfo=zone)
        self._day = (midnight, midnight + timedelta(days=1))
        self._chased: dict[str, int] = {}
        self._contacts: dict[int, list[Contact]] = {}

    def verdict(self, message: MessageRow, live: Sequence[ItemRow], *, had_items: bool, cap: int) -> Contact | Unsent:
        """Return the contact to write to, or why the message does not leave."""
        over = self._over(message, live, had_items=had_items)
        if over is not None:
            return over
        contact = choose_contact(self._contacts_of(message.party_id), message.notice)
        if contact is None:
            return Unsent.NO_CONTACT
        return self._shut(message, contact, cap) or contact

    def _over(self, message: MessageRow, live: Sequence[ItemRow], *, had_items: bool) -> Unsent | None:
        """Return why a message will never leave."""
        if message.expires_at is not None and self._act.as_of >= message.expires_at:
            return Unsent.EXPIRED
        if had_items and not live:
            return Unsent.NOTHING_LEFT
        if message.mail_class == MailClass.CHASE and self._campaign.state == CampaignState.CLOSED:
            return Unsent.PAUSED
        return None

    def _shut(self, message: MessageRow, contact: Contact, cap: int) -> Unsent | None:
        """Return why a message has to wait: fence, window, cap."""
        allowed = self._campaign.live or self._premises.rehearsal
        if not allowed and not is_allowed(contact.address, self._premises.allow_list):
            return Unsent.FENCED
        if message.mail_class == MailClass.REPLY:
            return None
        if not self._open:
            return Unsent.OUTSIDE_WINDOW
        if message.mail_class == MailClass.CHASE:
            if self._chased_today(contact.address) >= cap:
                return Unsent.CAP_REACHED
            self._chased[contact.address] += 1
        return None

    def _contacts_of(self, party_id: int) -> list[Contact]:
        if party_id not in self._contacts:
            self._contacts[party_id] = [
                Contact(id=c.id, role=c.role, rank=c.rank, address=c.address, bad=c.bad_since is not None)
                for c in contacts_of(self._session, party_id)
            ]
        return self._contacts[party_id]

    def _chased_today(self, address: str) -> int:
        if address not in self._chased:
            counts = outbox.chased_between(self._session, [address], *self._day)
            self._chased[address] = counts.get(address, 0)
        return self._chased[address]


def _end(session: Session, act: Act, message: MessageRow, verdict: Unsent) -> bool:
    """End a message that will never leave; return False for one that only has to wait."""
    states = {
        Unsent.EXPIRED: MessageState.EXPIRED,
        Unsent.NOTHING_LEFT: MessageState.SUPERSEDED,
        Unsent.PAUSED: MessageState.SUPERSEDED,
        Unsent.NO_CONTACT: MessageState.REFUSED,
    }
    if verdict not in states:
        return False
    outbox.retire(session, act, message, states[verdict], str(verdict))
    return True


def _address(message: MessageRow, contact: Contact, act: Act) -> None:
    """Address and date a message at its first claim; a retry keeps both, and its Message-ID."""
    message.contact_id = contact.id
    message.address = contact.address
    message.dated_at = message.dated_at or act.as_of


def record_outcomes(session: Session, act: Act, shard: Shard, outcomes: Sequence[tuple[int, Outcome]]) -> Delivered:
    """Record what came of a shard; an address that the relay refuses is marked bad."""
    results = [
        Result(message_id=id_, state=MessageState(str(outcome.state)), code=outcome.code, text=outcome.text)
        for id_, outcome in outcomes
    ]
    outbox.mark(session, act, results)
    for result, (_, outcome) in zip(results, outcomes, strict=True):
        if result.state is MessageState.REFUSED and not outcome.policy:
            message = session.get_one(MessageRow, result.message_id)
            contact = session.get(ContactRow, message.contact_id)
            if contact is not None:
                mark_contact_bad(session, act, contact, f"refused: {outcome.code} {outcome.text}")
    return Delivered(
        looked_at=len(outcomes) + len(shard.unsent) + len(shard.ended),
        outcomes=Counter(str(result.state) for result in results),
        unsent=shard.unsent,
        ended=shard.ended,
    )


def repair(session: Session, premises: Premises, act: Act, campaign: str) -> int:
    """Plan the next generation of refused and bounced mails for parties that have a contact left; return how many."""
    row, _ = open_book(session, campaign)
    lost = outbox.without_successor(session, row.id)
    items = outbox.items_of(session, [m.id for m in lost])
    news = []
    for message in lost:
        contacts = contacts_of(session, message.party_id)
        at_fault = any(c.id == message.contact_id and c.bad_since is not None for c in contacts)
        if not at_fault or all(c.bad_since is not None for c in contacts):
            continue  # refused for what we are or sent, not for the address; or nobody is left to write to
        again = tuple(ItemDue(obligation_id=i.obligation_id, rung=i.rung, due=i.due_at) for i in items[message.id])
        news.append(
            NewMessage(
                party_id=message.party_id,
                notice=message.notice,
                occasion=message.occasion,
                items=again,
                expires=message.expires_at,
                detail=message.detail,
                generation=message.generation + 1,
                caused_by=message.id,
            )
        )
    outbox.plan_messages(session, act, row.id, premises.mail_domain, news)
    return len(news)
