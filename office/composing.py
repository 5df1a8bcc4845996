"""Composing: from a claimed message and the facts of the moment to the bytes that leave."""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from definition.models import Campaign, Deliverable
from documents.templates import FormTemplate
from ledger.acts import Act
from ledger.campaigns import contacts_of
from ledger.facts import party_names
from ledger.tables import CampaignRow, ContactRow, IntakeRow, ItemRow, MessageRow, PartyRow
from mail.calendar import Deadline, deadlines_ics
from mail.letter import Attachment, Letter, compose
from mail.tokens import sign
from office import wording
from office.answers import answer_of
from office.letters import (
    CampaignLines,
    ContactLines,
    DigestRow,
    ItemLine,
    LetterContext,
    PartyLines,
    TallyRow,
)
from office.premises import Premises
from office.rulebook import Rulebook
from rules.delivery import Contact
from rules.obligations import Obligation, is_owed, standing
from rules.rates import Totals, totals

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WHY = {
    "launch": "您收到本邮件，是因为贵单位在本次活动的报送单位名单中。",
    "reminder": "您收到本邮件，是因为贵单位还有材料没有报送。",
    "receipt": "您收到本邮件，是因为我们收到了以贵单位名义报送的材料；如非贵单位报送，请立即告知。",
    "returned": "您收到本邮件，是因为我们收到了以贵单位名义报送的材料；如非贵单位报送，请立即告知。",
    "escalation": "您收到本邮件，是因为贵单位逾期未报，且您登记为单位负责人或联系人。",
    "escalation_digest": "您收到本邮件，是因为名单中的单位由贵单位主管或归口联系。",
    "summary": "您收到本邮件，是因为贵办公室牵头本次活动。",
    "closing": "您收到本邮件，是因为贵单位在本次活动的报送单位名单中。",
}


class Composer:
    """Composes the messages of one shard; what they share is looked up once."""

    def __init__(
        self,
        session: Session,
        premises: Premises,
        act: Act,
        campaign: CampaignRow,
        book: Rulebook,
        obligations: Mapping[int, Obligation],
    ) -> None:
        """Take the facts of the moment."""
        self._session = session
        self._premises = premises
        self._act = act
        self._row = campaign
        self._book = book
        self._obligations = obligations
        self._parties = party_names(session, campaign.id)
        self._of_party: dict[int, list[Obligation]] = {}
        for ob in obligations.values():
            self._of_party.setdefault(ob.party_id, []).append(ob)

    def compose(self, message: MessageRow, live: Sequence[ItemRow], contact: Contact) -> bytes:
        """Return the bytes of a message, and set its subject."""
        party = self._parties[message.party_id]
        to = self._session.get_one(ContactRow, contact.id)
        attachments = self._attachments(message, party)
        context = self._context(message, live, party, to, attachments)
        rendered = self._premises.renderer.render(context)
        message.subject = rendered.subject[:500]
        return compose(
            Letter(
                sender_name=self._premises.sender_name or self._book.campaign.office.name,
                sender_address=self._premises.intake_address,
                to_name=to.name or party.name,
                to_address=contact.address,
                reply_to=context.reply_address,
                message_id=message.message_id,
                date=(message.dated_at or self._act.as_of).astimezone(self._book.zone),
                subject=rendered.subject,
                text=rendered.text,
                html=rendered.html,
                attachments=tuple(attachments),
                in_reply_to=self._answered(message),
            )
        )

    def _context(
        self,
        message: MessageRow,
        live: Sequence[ItemRow],
        party: PartyRow,
        to: ContactRow,
        attachments: Sequence[Attachment],
    ) -> LetterContext:
        campaign = self._book.campaign
        token = sign("p", party.id, self._premises.secret)
        intake = message.occasion.removeprefix("intake:")
        return LetterContext(
            notice=message.notice,
            campaign=campaign_lines(campaign),
            contact=contact_lines(campaign),
            party=PartyLines(name=party.name, code=party.code),
            to_name=to.name,
            token_shown=token.upper(),
            reply_address=self._premises.tagged_address(token),
            why=WHY[message.notice],
            date_text=wording.moment_text(self._act.as_of, self._book.zone),
            items=self._items(party.id, {item.obligation_id for item in live}),
            attachments=tuple(a.file_name for a in attachments),
            answer=answer_of(self._session, self._premises, self._book, int(intake)) if intake.isdigit() else None,
            digest=self._digest(live) if message.notice == "escalation_digest" else (),
            tally=self._tally() if message.notice == "summary" else (),
            rung_text="牵头督促" if party.kind == "office" else "主管",
            final=bool(message.detail.get("final", False)),
        )

    def _items(self, party_id: int, asked: set[int]) -> tuple[ItemLine, ...]:
        """Return everything the party owes with its state, most urgent first; of voluntary things one line a kind."""
        lines: list[ItemLine] = []
        mine = self._of_party.get(party_id, [])
        for ob in sorted((o for o in mine if o.due is not None), key=lambda o: (o.due is None, o.due, o.id)):
            deliverable = self._book.campaign.deliverable(ob.deliverable)
            lines.append(
                ItemLine(
                    title=self._title(ob, deliverable),
                    label=deliverable.label,
                    due_text=wording.due_text(ob.due, self._book.zone),
                    state_text=wording.STANDING[standing(ob)],
                    overdue_text=wording.overdue_text(ob.due, self._act.as_of, self._book.zone) if is_owed(ob) else "",
                    open=is_owed(ob),
                    asked=ob.id in asked,
                )
            )
        if mine:
            lines += [
                ItemLine(title=d.title, label=d.label, due_text="随时报送", state_text="自愿", voluntary=True)
                for d in self._book.campaign.deliverables
                if d.kind == "free"
            ]
        return tuple(lines)

    def _title(self, ob: Obligation, deliverable: Deliverable) -> str:
        return deliverable.title if ob.occurrence == "once" else f"{deliverable.title}（{ob.occurrence}）"

    def _digest(self, live: Sequence[ItemRow]) -> tuple[DigestRow, ...]:
        rows = []
        for ob in sorted((self._obligations[i.obligation_id] for i in live), key=lambda o: (o.party_id, o.id)):
            unit = self._parties[ob.party_id]
            deliverable = self._book.campaign.deliverable(ob.deliverable)
            rows.append(
                DigestRow(
                    unit_name=unit.name,
                    unit_code=unit.code,
                    category=unit.category,
                    title=self._title(ob, deliverable),
                    due_text=wording.due_text(ob.due, self._book.zone),
                    overdue_text=wording.overdue_text(ob.due, self._act.as_of, self._book.zone),
                    contact_text=contact_text(contacts_of(self._session, unit.id)),
                )
            )
        return tuple(rows)

    def _tally(self) -> tuple[TallyRow, ...]:
        by_category = [
            (category, totals(o for o in self._obligations.values() if o.category == category))
            for category in self._book.campaign.categories
        ]
        overall = sum((t for _, t in by_category), Totals())
        return tuple(tally_row(name, t) for name, t in (*by_category, ("合计", overall)))

    def _attachments(self, message: MessageRow, party: PartyRow) -> list[Attachment]:
        if message.notice == "launch":
            return [*self._forms(party), *self._campaign_files(), self._calendar(party)]
        return [
            Attachment(
                file_name=str(a["name"]),
                media_type=str(a["media_type"]),
                content=self._premises.files.get(str(a["sha256"])),
            )
            for a in message.detail.get("attachments", [])
        ]

    def _forms(self, party: PartyRow) -> list[Attachment]:
        """Return the empty forms of what the unit owes, its name and token filled in."""
        owed = {ob.deliverable for ob in self._of_party.get(party.id, [])}
        token = sign("p", party.id, self._premises.secret)
        found = []
        for deliverable in self._book.campaign.deliverables:
            if deliverable.form is not None and deliverable.key in owed:
                template = _template(self._row.digest, deliverable.key, self._book)
                found.append(
                    Attachment(
                        file_name=f"{deliverable.label}{deliverable.title}.xlsx",
                        media_type=XLSX,
                        content=template.fill(unit_name=party.name, token=token),
                    )
                )
        return found

    def _campaign_files(self) -> list[Attachment]:
        return [
            Attachment(file_name=a.file_name, media_type=a.media_type, content=self._premises.files.get(a.sha256))
            for a in self._book.campaign.attachments
        ]

    def _calendar(self, party: PartyRow) -> Attachment:
        campaign = self._book.campaign
        deadlines = [
            Deadline(
                uid=f"{campaign.key}-{party.code}-{ob.deliverable}-{ob.occurrence}@{self._premises.mail_domain}",
                due=ob.due,
                summary=f"报送截止：{self._title(ob, campaign.deliverable(ob.deliverable))}",
                description=f"{campaign.title}，{wording.due_text(ob.due, self._book.zone)}报送。",
            )
            for ob in self._of_party.get(party.id, [])
            if ob.due is not None
        ]
        content = deadlines_ics(deadlines, name=campaign.title, stamp=self._act.as_of)
        return Attachment(file_name="报送截止时间.ics", media_type="text/calendar", content=content)

    def _answered(self, message: MessageRow) -> str:
        """Return the Message-ID of the mail that a message answers, if it answers one."""
        if not message.occasion.startswith("intake:"):
            return ""
        intake = self._session.get(IntakeRow, int(message.occasion.removeprefix("intake:")))
        found = intake.message_id if intake is not None else ""
        return found if found.isascii() and found.isprintable() and " " not in found else ""


_TEMPLATES: dict[tuple[str, str], FormTemplate] = {}


def _template(digest: str, key: str, book: Rulebook) -> FormTemplate:
    """Return the empty form of a deliverable, built once a process."""
    if (digest, key) not in _TEMPLATES:
        deliverable = book.campaign.deliverable(key)
        form = book.campaign.form_of(deliverable)
        if form is None:
            raise ValueError(f"deliverable {key} has no form")
        due = [book.due(o) for o in book.occurrences[key]]
        _TEMPLATES[digest, key] = FormTemplate(
            form,
            campaign_title=book.campaign.title,
            campaign_key=book.campaign.key,
            deadline_text=wording.due_text(due[0], book.zone) if len(due) == 1 else "",
        )
    return _TEMPLATES[digest, key]


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


def contact_text(contacts: Sequence[ContactRow]) -> str:
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
