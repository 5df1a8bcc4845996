"""Composing: from a claimed message and the facts of the moment to the bytes that leave."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable
from ledger.acts import Act
from ledger.facts import DEAD, Address, Party, contacts_by_party, load_obligations, look_alike, party_names
from ledger.outbox import Item, Waiting, items_of
from ledger.tables import CampaignRow, IntakeRow
from mail.encoding import MESSAGE_ID
from mail.skeleton import Enclosure, Fields, mark
from mail.tokens import sign
from office import wording
from office.alerts import alert_lines
from office.decided import told_of
from office.digest import waiting_list
from office.enclosures import Enclosures
from office.ladder import LIST_OF
from office.letters import (
    CampaignLines,
    ContactLines,
    DigestRow,
    ItemLine,
    LetterContext,
    PartyLines,
    TallyRow,
    WaitingList,
)
from office.links import has_page, portal_link
from office.orders import orders_given
from office.premises import Premises
from office.rulebook import rulebook_of
from office.skeletons import Composed, Kept
from office.spoken import last_reached, notes_of, pages_to_acknowledge
from office.staff_links import queue_url
from rules.delivery import BULLETIN
from rules.obligations import Obligation, is_owed, standing, titled
from rules.rates import Totals, totals
from rules.timetable import Audience

CHASES = frozenset(
    {"reminder", "reminder_responsible", "escalation", "escalation_digest", "supervision_order", BULLETIN}
)
SAME_FOR_MANY = frozenset({"launch", "reminder", "reminder_responsible", "escalation", "closing"})
OF_STAFF = frozenset({"digest", "alert"})  # told to staff, who do it on their pages
SPEAK_OF_OTHERS = frozenset(
    {"escalation_digest", BULLETIN}
)  # notices that name obligations of parties they do not go to


def worth_saying(notice: str, items: Sequence[Item], obligations: Mapping[int, Obligation]) -> Sequence[Item]:
    """Return the items still worth saying: of a chase, those owed by the instant it was planned for."""
    if notice not in CHASES:
        return items
    return [item for item in items if is_owed(ob := obligations[item.obligation_id]) and ob.due == item.due_at]


class Composer:
    """Composes the messages of one shard; what they share is looked up once."""

    def __init__(
        self, session: Session, premises: Premises, act: Act, campaign: CampaignRow, messages: Sequence[Waiting]
    ) -> None:
        """Take the facts of the moment for the parties written to and the obligations spoken of.

        Of messages that say the same but for names, one is looked at closely.
        """
        self._session = session
        self._premises = premises
        self._act = act
        self._row = campaign
        self._book = rulebook_of(campaign)
        several = sum(rung.notice == "escalation" for rung in self._book.ladder) > 1  # each has a page of its own
        same = SAME_FOR_MANY - {"escalation"} if several else SAME_FOR_MANY
        alike = [m.id for m in messages if m.notice in same and not m.detail]
        keys = look_alike(session, alike) if alike else {}
        self._alike = {m.id: (m.notice, keys[m.id]) for m in messages if DEAD not in keys.get(m.id, DEAD)}
        self._items: dict[int, list[Item]] = {}
        self.obligations: dict[int, Obligation] = {}
        self._of_party: dict[int, list[Obligation]] = {}
        self._parties = party_names(session, campaign.id, {m.party_id for m in messages})
        self._notes: dict[int, str] = {}
        self._files = Enclosures(session, premises, act, campaign)
        self._made: dict[tuple[str, str], tuple[Kept, Sequence[Deliverable]]] = {}
        first = {key: id_ for id_, key in reversed(self._alike.items())}
        self._look_closely([m for m in messages if m.id not in self._alike or first[self._alike[m.id]] == m.id])

    def _look_closely(self, messages: Sequence[Waiting]) -> None:
        """Read what some messages name, what their parties owe, and what else they speak of."""
        lists = {m.id: int(m.detail.get(LIST_OF, m.id)) for m in messages}
        of_others = {list_ for id_, list_ in lists.items() if list_ != id_}  # one that ended still says what it was of
        found_items = items_of(self._session, [m.id for m in messages])
        found_lists = items_of(self._session, sorted(of_others), dropped_too=True) if of_others else {}
        self._items |= {id_: found_items[id_] if id_ == list_ else found_lists[list_] for id_, list_ in lists.items()}
        written_to = {m.party_id for m in messages}
        named_in = sorted({lists[m.id] for m in messages if m.notice in SPEAK_OF_OTHERS})
        everybody = any(m.notice == "summary" for m in messages)
        found = load_obligations(
            self._session, self._row.id, party_ids=None if everybody else written_to, named_in=named_in
        )
        fresh = [ob for ob in found if ob.id not in self.obligations]
        self.obligations |= {ob.id: ob for ob in fresh}
        for ob in fresh:
            self._of_party.setdefault(ob.party_id, []).append(ob)
        self._notes |= notes_of(self._session, [ob for ob in fresh if is_owed(ob)])
        unknown = self._of_party.keys() - self._parties.keys()
        self._parties |= party_names(self._session, self._row.id, unknown) if unknown else {}

    def items(self, message: Waiting) -> tuple[Sequence[Item], Sequence[Item]]:
        """Return the items of a message, and those of them still worth saying.

        A message like one looked at before has none to drop, and gives none.
        """
        named = self._items.get(message.id, [])
        return named, worth_saying(message.notice, named, self.obligations)

    def compose(self, message: Waiting, live: Sequence[Item], to: Address, dated_at: datetime) -> Composed:
        """Return a message composed for a contact.

        Raises:
            ValueError: something would break a header; the message names the field.

        """
        party = self._parties[message.party_id]
        token = sign("p", party.id, self._premises.secret)
        reply_to = self._premises.tagged_address(token)
        kept, own = self._skeleton(message, live, party)
        answered = self._answered(message)
        fields = Fields(
            to_name=to.name or party.name,
            to_address=to.address,
            reply_to=reply_to,
            message_id=message.message_id,
            date=dated_at.astimezone(self._book.zone),
            in_reply_to=answered,
            # Not every provider keeps plus-addresses and subjects; a reply's References come back as they are.
            references=(*([answered] if answered else []), f"<{token}@{self._premises.mail_domain}>"),
            values={"party": party.name, "code": party.code, "token": token.upper(), "reply": reply_to}
            | self._link(party),
            own=own,
        )
        return self._premises.skeletons.compose(kept, fields)

    def _link(self, party: Party) -> dict[str, str]:
        """Return the value of the mark for the party's page, if there is a portal."""
        if not has_page(party):
            return {}
        link = portal_link(self._premises, self._book, party.id, party.link_epoch)
        return {"link": link} if link else {}

    def _skeleton(self, message: Waiting, live: Sequence[Item], party: Party) -> tuple[Kept, tuple[bytes, ...]]:
        """Return the skeleton of a message, and the contents that only this recipient gets.

        Units that owe the same things with the same states are told the same; that is asked before anything is made.
        """
        key = self._alike.get(message.id)
        known = self._made.get(key) if key is not None else None
        if known is not None:
            return known[0], self._files.own(known[1], party)
        if message.id not in self._items:  # the one that was to be looked at for all of its like did not leave
            self._look_closely([message])
            live = self._items[message.id]
        mine = self._of_party.get(party.id, [])
        enclosures = self._files.of(message, mine)
        kept = self._premises.skeletons.of(
            self._context(message, live, party, enclosures),
            enclosures,
            sender_name=self._premises.sender_name or self._book.campaign.office.name,
            sender_address=self._premises.intake_address,
        )
        forms = self._files.forms_owed(mine) if message.notice == "launch" else ()
        if key is not None:
            self._made[key] = kept, forms
        return kept, self._files.own(forms, party)

    def _context(
        self, message: Waiting, live: Sequence[Item], party: Party, enclosures: Sequence[Enclosure]
    ) -> LetterContext:
        """Return what a message says, marks standing for what differs per recipient."""
        campaign = self._book.campaign
        link = mark("link") if self._premises.portal_url and has_page(party) else ""
        told = told_of(self._session, self._premises, self._book, message.occasion)
        return LetterContext(
            notice=message.notice,
            campaign=campaign_lines(campaign),
            contact=contact_lines(campaign),
            party=PartyLines(name=mark("party"), code=mark("code")),
            token_shown=mark("token"),
            reply_address=mark("reply"),
            why=wording.WHY[message.notice],
            date_text=wording.moment_text(self._act.as_of, self._book.zone),
            link=link,
            desk=queue_url(self._premises, self._row.key) if message.notice in OF_STAFF else "",
            acknowledge=pages_to_acknowledge(message.notice, live, self._book.ladder, link),
            items=self._item_lines(party.id, {item.obligation_id for item in live}),
            attachments=tuple(e.file_name for e in enclosures),
            answer=told.answer,
            decision=told.decision,
            digest=self._digest(live) if message.notice in SPEAK_OF_OTHERS else (),
            tally=self._tally() if message.notice == "summary" else (),
            alert=alert_lines(self._session, self._row, message.detail) if message.notice == "alert" else None,
            waiting=waiting_list(self._session, self._row, self._act.as_of)
            if message.notice == "digest"
            else WaitingList(),
            rung_text=self._relation(party, live),
            final=bool(message.detail.get("final", False)),
        )

    def _relation(self, party: Party, live: Sequence[Item]) -> str:
        """Return what a party is to the units that a digest names."""
        if party.kind == "office":
            return "牵头督促"
        audiences = {rung.audience for item in live for rung in self._book.ladder if rung.key == item.rung}
        return "行业主管" if audiences == {Audience.DEPARTMENT} else "主管"

    def _item_lines(self, party_id: int, asked: set[int]) -> tuple[ItemLine, ...]:
        """Return everything the party owes with its state, most urgent first; of voluntary things one line a kind."""
        mine = self._of_party.get(party_id, [])
        dated = sorted((ob.due, ob.id, ob) for ob in mine if ob.due is not None)
        lines = [self._line(ob, asked=ob.id in asked) for _, _, ob in dated]
        if mine:
            lines += [
                ItemLine(title=d.title, label=d.label, due_text="随时报送", state_text="自愿", voluntary=True)
                for d in self._book.campaign.deliverables
                if d.kind == "free"
            ]
        return tuple(lines)

    def _line(self, ob: Obligation, *, asked: bool) -> ItemLine:
        deliverable = self._book.campaign.deliverable(ob.deliverable)
        scan = wording.SCAN_WELCOME if deliverable.sealed_scan else ""
        return ItemLine(
            title=titled(deliverable.title, ob.occurrence),
            label=deliverable.label,
            due_text=wording.due_text(ob.due, self._book.zone),
            state_text=wording.STANDING[standing(ob)],
            overdue_text=wording.overdue_text(ob.due, self._act.as_of, self._book.zone) if is_owed(ob) else "",
            note="；".join(part for part in (self._notes.get(ob.id, ""), scan) if part),
            open=is_owed(ob),
            asked=asked,
        )

    def _digest(self, live: Sequence[Item]) -> tuple[DigestRow, ...]:
        rows = []
        silent = {self._obligations_of(i).party_id for i in live}
        contacts = contacts_by_party(self._session, silent)
        ordered = orders_given(self._session, self._row.id)
        reached = last_reached(self._session, silent, self._book.zone)
        for ob in sorted((self._obligations_of(i) for i in live), key=lambda o: (o.party_id, o.id)):
            unit = self._parties[ob.party_id]
            deliverable = self._book.campaign.deliverable(ob.deliverable)
            rows.append(
                DigestRow(
                    unit_name=unit.name,
                    unit_code=unit.code,
                    category=unit.category,
                    title=titled(deliverable.title, ob.occurrence),
                    due_text=wording.due_text(ob.due, self._book.zone),
                    overdue_text=wording.overdue_text(ob.due, self._act.as_of, self._book.zone),
                    contact_text=contact_text(contacts[unit.id]),
                    reached_text=reached.get(unit.id, ""),
                    order_text=ordered.get(ob.id, ""),
                )
            )
        return tuple(rows)

    def _obligations_of(self, item: Item) -> Obligation:
        return self.obligations[item.obligation_id]

    def _tally(self) -> tuple[TallyRow, ...]:
        by_category = [
            (category, totals(o for o in self.obligations.values() if o.category == category))
            for category in self._book.campaign.categories
        ]
        overall = sum((t for _, t in by_category), Totals())
        return tuple(tally_row(name, t) for name, t in (*by_category, ("合计", overall)))

    def _answered(self, message: Waiting) -> str:
        """Return the Message-ID of the mail that a message answers, if it answers one."""
        number = message.detail.get("answers", message.occasion.removeprefix("intake:"))
        if not str(number).isdigit():
            return ""
        intake = self._session.get(IntakeRow, int(number))
        found = intake.message_id if intake is not None else ""
        return found if MESSAGE_ID.fullmatch(found) else ""


def campaign_lines(campaign: Campaign) -> CampaignLines:
    """Return the campaign as mails name it."""
    first, last = campaign.opens_on, campaign.ends_on or campaign.closes_on
    return CampaignLines(
        title=campaign.title,
        theme=campaign.theme,
        issuer=campaign.issuer,
        period_text=f"{first.month}月{first.day}日至{last.month}月{last.day}日",
    )


def contact_lines(campaign: Campaign) -> ContactLines:
    """Return whom units ask."""
    contact = campaign.contact
    return ContactLines(name=contact.name, phone=contact.phone, email=contact.email, hours=contact.hours)


def contact_text(contacts: Sequence[Address]) -> str:
    """Return how a person reaches a unit: telephones first."""
    phones = list(dict.fromkeys(c.phone for c in contacts if c.phone))
    addresses = [c.address for c in contacts if c.bad_since is None and c.address]
    return "，".join([*phones, *addresses[:1]]) or "未登记"


def tally_row(name: str, t: Totals) -> TallyRow:
    """Return a line of the rates as mails print it."""
    return TallyRow(
        category=name,
        owed=t.owed,
        reported=t.reported,
        on_time=t.on_time,
        late=t.late,
        returned=t.returned,
        missing=t.missing,
        report_rate_text=wording.rate_text(t.report_rate),
        on_time_rate_text=wording.rate_text(t.on_time_rate),
    )
