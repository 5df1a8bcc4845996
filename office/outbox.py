"""The outbox: claim what may leave, addressed, composed and dated; commit what came of it; go on to the next contact.

Everything here is one transaction each. Between a claim and its commits the mails are with a sender, which holds a
lease; what becomes of them if it vanishes is :func:`judge_abandoned`'s to say.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from ledger import outbox, senders
from ledger.acts import Act
from ledger.campaigns import advance, contacts_of, mark_contact_bad
from ledger.engine import take_the_pen
from ledger.errors import TakenOver
from ledger.facts import Address
from ledger.outbox import HEAD, Claim, Item, Place, Result, Waiting
from ledger.tables import ContactRow, MessageState
from mail.relay import Envelope
from mail.smtp import Outcome
from mail.tokens import sign
from office.alerts import CONTACTS, alert_staff
from office.composing import Composer
from office.gate import Gate, LanePlan, scopes_of
from office.generations import next_generation
from office.mailboxes import give_up_mailbox
from office.premises import Premises
from office.rulebook import open_book
from office.skeletons import Composed, LostBytesError
from rules.delivery import Unsent, choose_contact, may_retry_ambiguous
from rules.lanes import slowed
from rules.replies import Blame, retry_delay


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Messages claimed together: ready to send, and those that do not leave, with the reason."""

    campaign: str
    campaign_id: int
    sender: str
    envelopes: tuple[Envelope, ...] = ()
    lanes: Mapping[str, LanePlan] = field(default_factory=dict)
    unsent: Mapping[int, Unsent] = field(default_factory=dict)  # these wait on
    ended: Mapping[int, Unsent] = field(default_factory=dict)  # these are over
    full_lanes: frozenset[str] = frozenset()  # of those that wait only for their lane's next free moment
    reached: Place | None = None  # the last place looked at; None: the queue has nothing beyond


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What a drain did, as counts by outcome and, for what did not leave, the reason of each message."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    unsent: Mapping[int, Unsent] = field(default_factory=dict)
    ended: Mapping[int, Unsent] = field(default_factory=dict)
    full_lanes: frozenset[str] = frozenset()
    reached: Place | None = None

    def __add__(self, other: "Delivered") -> "Delivered":
        """Add another shard of the same pass."""
        return Delivered(
            outcomes=Counter(self.outcomes) + Counter(other.outcomes),
            unsent={**self.unsent, **other.unsent},
            ended={**self.ended, **other.ended},
            full_lanes=self.full_lanes | other.full_lanes,
            reached=other.reached,
        )

    @property
    def handed_over(self) -> int:
        """How many attempts were made."""
        return sum(self.outcomes.values())

    def then(self, later: "Delivered") -> "Delivered":
        """Add a later pass through the whole queue, which says anew what still waits."""
        return replace(self + later, unsent=later.unsent)

    def without_full_lanes(self) -> "Delivered":
        """Return the same before lanes that were full are looked at again."""
        unsent = {id_: why for id_, why in self.unsent.items() if why is not Unsent.LANE_FULL}
        return replace(self, unsent=unsent, full_lanes=frozenset())

    @property
    def relay_is_down(self) -> bool:
        """Whether the relay did not answer: there is no point in going on."""
        return Unsent.RELAY_DOWN in self.unsent.values()

    @property
    def needs_another_look(self) -> bool:
        """Whether something was planned on the way: an alert about what was refused."""
        not_composed = Unsent.NOT_COMPOSED in self.ended.values()
        return not_composed or any(self.outcomes.get(state) for state in ("refused", "held"))

    def unsent_by_reason(self) -> dict[str, int]:
        """Return how many messages did not leave, by reason."""
        return dict(Counter(str(reason) for reason in {**self.unsent, **self.ended}.values()))


def claim_shard(
    session: Session,
    premises: Premises,
    act: Act,
    campaign: str,
    *,
    sender: str,
    limit: int,
    after: Place = HEAD,
    only_lanes: Collection[str] = (),
) -> Shard:
    """Claim up to ``limit`` waiting messages: each is addressed, composed and dated from what is still live.

    First everything is decided and composed, then written: the session may be one that thinks first.

    Raises:
        TakenOver: the sender was struck off meanwhile; nothing is claimed.

    """
    senders.one_claim_at_a_time(session)
    row, book = open_book(session, campaign)
    messages = outbox.waiting(session, row.id, act, after=after, limit=limit, only_lanes=only_lanes)
    if not messages:
        return Shard(campaign=campaign, campaign_id=row.id, sender=sender)
    gate = Gate(session, premises, act, row, book, sender)
    gate.look_at(messages)
    composer = Composer(session, premises, act, row, messages)
    draft = _Draft()
    for message in messages:
        _consider(premises, act, gate, composer, message, draft)
    if take_the_pen(session):
        if not senders.stands(session, sender):
            raise TakenOver("this sender was struck off while it was claiming; sign on anew")
        session.refresh(row)
        draft.keep(outbox.still_waiting(session, [m.id for m in messages]))
    advance(act, row, rehearsal=premises.rehearsal)
    draft.write(session, act, row.id, sender)
    for contact_id, fault in draft.unwritable.values():
        mark_contact_bad(session, act, session.get_one(ContactRow, contact_id), f"cannot be written to: {fault}")
    if draft.unwritable:
        alert_staff(session, premises, act, campaign, CONTACTS)
    return Shard(
        campaign=campaign,
        campaign_id=row.id,
        sender=sender,
        envelopes=tuple(draft.envelopes.values()),
        lanes=gate.lane_plans(),
        unsent=draft.unsent,
        ended={id_: why for id_, (why, _) in draft.ended.items()},
        full_lanes=frozenset(draft.full.values()),
        reached=messages[-1].place if len(messages) == limit else None,
    )


IN_DOUBT = "an attempt before may have left"
_ENDS = {
    Unsent.EXPIRED: MessageState.EXPIRED,
    Unsent.NOTHING_LEFT: MessageState.SUPERSEDED,
    Unsent.PAUSED: MessageState.SUPERSEDED,
    Unsent.NO_CONTACT: MessageState.REFUSED,
    Unsent.GIVEN_UP: MessageState.REFUSED,
    Unsent.NOT_COMPOSED: MessageState.REFUSED,
}


@dataclass
class _Draft:
    """What is to become of the messages of a shard, before any of it is written."""

    claims: dict[int, Claim] = field(default_factory=dict)
    envelopes: dict[int, Envelope] = field(default_factory=dict)
    unsent: dict[int, Unsent] = field(default_factory=dict)
    ended: dict[int, tuple[Unsent, str]] = field(default_factory=dict)  # why, and in words for the record
    dead: dict[int, list[Item]] = field(default_factory=dict)  # items to be dropped from a message
    full: dict[int, str] = field(default_factory=dict)  # the lane that a message waits for
    unwritable: dict[int, tuple[int, str]] = field(default_factory=dict)  # the contact to whom it cannot be written

    def keep(self, waiting: Collection[int]) -> None:
        """Forget the messages that others have touched meanwhile."""
        for part in (self.claims, self.envelopes, self.unsent, self.ended, self.dead, self.full, self.unwritable):
            for id_ in set(part) - set(waiting):
                del part[id_]

    def write(self, session: Session, act: Act, campaign_id: int, sender: str) -> None:
        """Put everything on record."""
        outbox.drop_items(session, [item for items in self.dead.values() for item in items])
        outbox.note_lane(session, self.full)
        doubtful = outbox.in_doubt(session, list(self.ended)) if self.ended else frozenset()
        ends = {
            id_: (MessageState.AMBIGUOUS, f"{IN_DOUBT}; it is not tried again: {words}"[:300])
            if id_ in doubtful
            else (_ENDS[why], words[:300])
            for id_, (why, words) in self.ended.items()
        }
        outbox.retire(session, act, campaign_id, ends)
        outbox.claim(session, act, campaign_id, sender, list(self.claims.values()))


def _consider(premises: Premises, act: Act, gate: Gate, composer: Composer, message: Waiting, draft: _Draft) -> None:
    """Decide over one message, and compose it if it may leave."""
    named, live = composer.items(message)
    verdict = gate.over(message, named=len(named), live=len(live)) or gate.verdict(message)
    if isinstance(verdict, Unsent):
        if verdict in _ENDS:
            draft.ended[message.id] = verdict, str(verdict)
        else:
            draft.unsent[message.id] = verdict
        if verdict is Unsent.LANE_FULL:
            draft.full[message.id] = gate.lane_of(message)
        return
    to, lane = verdict
    dated_at = message.dated_at or act.as_of
    try:
        composed = _again(premises, message, named, live, to) or composer.compose(message, live, to, dated_at)
    except (ValueError, FileNotFoundError) as error:  # this message must not hold up the others
        draft.ended[message.id] = Unsent.NOT_COMPOSED, f"cannot be composed: {error}"
        draft.unwritable[message.id] = to.id, str(error)
        return
    if len(live) < len(named):
        draft.dead[message.id] = [item for item in named if item not in live]
    draft.claims[message.id] = Claim(
        message.id,
        to.id,
        to.address,
        lane.name,
        composed.subject,
        dated_at,
        composed.raw_sha256,
        composed.skeleton_sha256,
        composed.fields,
    )
    bounce_to = premises.tagged_address(sign("m", message.id, premises.secret))
    draft.envelopes[message.id] = Envelope(
        id=message.id, envelope_from=bounce_to, to=to.address, data=composed.data, lane=lane.name
    )


def _again(
    premises: Premises, message: Waiting, named: Sequence[Item], live: Sequence[Item], to: Address
) -> Composed | None:
    """Return a message as it was composed for an earlier attempt, if it still says the truth to the same address."""
    if message.skeleton_sha256 is None or message.fields is None or message.raw_sha256 is None:
        return None
    if message.address != to.address or len(named) != len(live):
        return None
    try:
        data = premises.skeletons.again(message.skeleton_sha256, message.fields, message.raw_sha256)
    except LostBytesError:
        return None  # it has not left: it is composed anew
    return Composed(
        subject=message.subject or "",
        data=data,
        raw_sha256=message.raw_sha256,
        skeleton_sha256=message.skeleton_sha256,
        fields=message.fields,
    )


def commit_group(
    session: Session,
    premises: Premises,
    act: Act,
    shard: Shard,
    *,
    at_data: Collection[int],
    results: Sequence[tuple[Envelope, Outcome]],
) -> bool:
    """Commit a group: which messages are at DATA from now on, and the results of others.

    Return False if the sender was struck off: nothing more of the shard may be sent.

    Raises:
        TakenOver: some results are of messages that the sender no longer has, as its lease ran out.
            Nothing may be committed; :func:`still_ours` tells which are left.

    """
    known = _results(session, act, results)
    stands = outbox.commit_group(session, act, shard.campaign_id, shard.sender, at_data=at_data, results=known)
    odd = [(envelope, outcome) for envelope, outcome in results if outcome.state != "sent"]
    if odd:
        retry_ambiguous(session, act, [envelope.id for envelope, outcome in odd if outcome.state == "ambiguous"])
        for envelope, outcome in odd:
            _draw_consequences(session, premises, act, shard.campaign, envelope, outcome)
    return stands


def still_ours(
    session: Session, sender: str, results: Sequence[tuple[Envelope, Outcome]]
) -> list[tuple[Envelope, Outcome]]:
    """Return the results of messages that a sender still has; whoever has the others accounts for them."""
    ours = outbox.still_with(session, sender, [envelope.id for envelope, _ in results])
    return [(envelope, outcome) for envelope, outcome in results if envelope.id in ours]


def stops_in_force(session: Session, premises: Premises, campaign: str) -> frozenset[str]:
    """Return the holds that concern a sender."""
    return senders.scopes_held(session) & scopes_of(campaign, [lane.name for lane in premises.lanes])


def _results(session: Session, act: Act, known: Sequence[tuple[Envelope, Outcome]]) -> list[Result]:
    """Return what is put on record of outcomes; a policy refusal holds the message until its lane is released."""
    deferred = [envelope.id for envelope, outcome in known if outcome.state == "deferred"]
    tries = outbox.tries_of(session, deferred) if deferred else {}
    refused = [envelope.id for envelope, outcome in known if outcome.state == "refused"]
    doubtful = outbox.in_doubt(session, refused) if refused else frozenset()
    return [
        Result(
            envelope.id,
            MessageState.AMBIGUOUS if envelope.id in doubtful else _state(outcome),
            outcome.code,
            f"{IN_DOUBT}; this one was refused: {outcome.text}" if envelope.id in doubtful else outcome.text,
            envelope.to,
            envelope.lane,
            act.as_of + retry_delay(tries.get(envelope.id, 0) + 1, outcome.retry_after)
            if outcome.state == "deferred"
            else None,
            outcome.state == "ambiguous" or outcome.blame not in (Blame.AUTH, Blame.RELAY),
        )
        for envelope, outcome in known
    ]


def _state(outcome: Outcome) -> MessageState:
    policy = outcome.state == "refused" and outcome.blame is Blame.POLICY
    return MessageState.HELD if policy else MessageState(outcome.state)


def _draw_consequences(
    session: Session, premises: Premises, act: Act, campaign: str, envelope: Envelope, outcome: Outcome
) -> None:
    """Mark a bad address, slow a lane, stop a lane or everything, as the reply demands; tell staff."""
    said = f"{outcome.code or ''} {outcome.text}".strip()
    if outcome.blame is Blame.ADDRESS and outcome.state == "refused":
        give_up_mailbox(session, premises, act, envelope.to, f"refused: {said}")
    elif outcome.blame is Blame.THROTTLE:
        stand = senders.lane_stands(session).get(envelope.lane) or senders.LaneStand()
        senders.slow_lane(session, envelope.lane, slowed(stand.pace, act.wall, outcome.retry_after), said)
    elif outcome.blame is Blame.POLICY:
        grounds = f"the relay refuses us in this lane: {said}"
        if senders.place_hold(session, act, senders.scope_of_lane(envelope.lane), grounds):
            alert_staff(session, premises, act, campaign, f"lane:{envelope.lane}", said=said)
    elif outcome.blame is Blame.AUTH:
        senders.place_hold(session, act, senders.EVERYTHING, f"the relay does not accept our login: {said}")


def take_back(session: Session, act: Act, campaign: str, sender: str, message_ids: Collection[int], why: str) -> int:
    """Return claimed messages that a sender will not send after all to the queue."""
    row, _ = open_book(session, campaign)
    return outbox.give_back(session, act, row.id, sender, message_ids, why)


def judge_abandoned(session: Session, act: Act, *, leaving: str = "") -> dict[str, int]:
    """Judge what vanished senders had claimed, and one that is ``leaving``, and strike them off; return how many.

    Where DATA had begun the message may have left: a receipt is tried once more, the others wait for a person.
    """
    gone = {*senders.vanished(session, act.wall), leaving}
    live = set(senders.live(session, act.wall)) - gone
    judged = outbox.judge_abandoned(session, act, live)
    senders.sign_off(session, gone)
    again = [id_ for id_, (state, _) in judged.items() if state == MessageState.AMBIGUOUS]
    retry_ambiguous(session, act, again)
    return dict(Counter(state for state, _ in judged.values()))


def retry_ambiguous(session: Session, act: Act, message_ids: Collection[int]) -> int:
    """Let ambiguous messages be tried once more where their notice allows it without asking; return how many."""
    by_campaign: dict[int, list[Result]] = {}
    for message in outbox.messages_in(session, message_ids, MessageState.AMBIGUOUS):
        if may_retry_ambiguous(message.notice, message.tries):
            result = Result(
                message_id=message.id,
                state=MessageState.DEFERRED,
                text=outbox.ONCE_MORE,
                address=message.address,
                lane=message.lane,
                again_at=act.as_of + retry_delay(message.tries, None),
            )
            by_campaign.setdefault(message.campaign_id, []).append(result)
    for campaign_id, results in by_campaign.items():
        outbox.record(session, act, campaign_id, results)
    return sum(map(len, by_campaign.values()))


def repair(session: Session, premises: Premises, act: Act, campaign: str) -> int:
    """Plan the next generation of refused and bounced mails for parties that have a contact left; return how many."""
    row, _ = open_book(session, campaign)
    lost = outbox.without_successor(session, row.id)
    items = outbox.items_of(session, [m.id for m in lost])
    news = []
    for message in lost:
        contacts = contacts_of(session, message.party_id)
        nobody = message.address is None  # there was nobody to write to, or nobody to whom it could be written
        at_fault = any(c.id == message.contact_id and c.bad_since is not None for c in contacts)
        if not (nobody or at_fault) or choose_contact(contacts, message.notice) is None:
            continue  # refused for what we are or sent, not for the address; or nobody is left to write to
        news.append(next_generation(message, items[message.id]))
    outbox.plan_messages(session, act, row.id, premises.mail_domain, news)
    return len(news)
