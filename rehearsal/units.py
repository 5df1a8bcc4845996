"""A simulated unit: reads the mails it really received, and acts by its temperament."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar

from mail.parsing import IncomingMail, new_part
from rehearsal.clerk import Manner
from rehearsal.temperaments import Temperament

DEADLINE = "报送截止："
DAY = timedelta(days=1)
FLAWED_FIRST = {
    Temperament.WRONG_THEN_RIGHT: Manner.WRONG,
    Temperament.EMPTY_FIRST: Manner.EMPTY,
    Temperament.APPROXIMATE: Manner.ABOUT,
}
REACTS = (Temperament.AFTER_REMINDER, Temperament.AFTER_ESCALATION, Temperament.SILENT)


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something a unit will do: hand in one material, send a picture, answer by machine."""

    at: datetime
    kind: str  # hand_in, wrong_file, picture, auto_reply
    title: str = ""
    manner: Manner = Manner.RIGHT


@dataclass
class SimulatedUnit:
    """One unit. What it knows it learned from mails: its forms, its deadlines, where to reply."""

    code: str
    name: str
    addresses: tuple[str, ...]
    temperament: Temperament
    rng: random.Random
    zone: ZoneInfo
    forms: dict[str, bytes] = field(default_factory=dict)
    deadlines: dict[str, datetime] = field(default_factory=dict)
    handed_in: set[str] = field(default_factory=set)
    reply_to: str = ""
    reply_id: str = ""
    subject: str = ""
    answered_by_machine: bool = False

    def read(self, mail: IncomingMail, at: datetime) -> Iterator[Act]:
        """Read a mail that arrived at a moment; yield what the unit will do about it."""
        self.reply_to, self.reply_id, self.subject = mail.reply_to, mail.message_id, new_part(mail.subject)
        if self.temperament is Temperament.AUTO_REPLY and not self.answered_by_machine:
            self.answered_by_machine = True
            yield Act(at=at + timedelta(minutes=1), kind="auto_reply")
        if any(a.file_name.endswith(".ics") for a in mail.attachments):
            yield from self._launched(mail, at)
        elif self.subject.startswith(("请更正", "请核实")):
            yield from self._corrections(mail, at)
        elif self.subject.startswith(("提醒", "催报")) and self.temperament is Temperament.AFTER_REMINDER:
            yield from self._react(mail, at, hours=(3, 7))
        elif self.subject.startswith("催办") and self.temperament is Temperament.AFTER_ESCALATION:
            yield from self._react(mail, at, hours=(20, 26))

    def _launched(self, mail: IncomingMail, at: datetime) -> Iterator[Act]:
        for attachment in mail.attachments:
            if attachment.file_name.endswith(".xlsx"):
                self.forms[attachment.file_name] = attachment.content
            elif attachment.file_name.endswith(".ics"):
                self._note_deadlines(attachment.content)
        if self.temperament is Temperament.MATERIALS:
            yield Act(at=at + timedelta(days=19, hours=self.rng.randint(1, 5)), kind="picture")
        if self.temperament in REACTS:
            return
        for number, (title, due) in enumerate(self.deadlines.items()):
            moment = max(self._moment(due), at + timedelta(minutes=self.rng.randint(40, 200)))
            if self.temperament is Temperament.WRONG_ATTACHMENT and number == 0:
                yield Act(at=moment - timedelta(minutes=30), kind="wrong_file", title=title)
                continue
            yield Act(at=moment, kind="hand_in", title=title, manner=self._first_manner(title))

    def _note_deadlines(self, ics: bytes) -> None:
        for event in Calendar.from_ical(ics).walk("VEVENT"):
            self.deadlines[str(event["summary"]).removeprefix(DEADLINE)] = event.decoded("dtend")

    def _first_manner(self, title: str) -> Manner:
        return FLAWED_FIRST.get(self.temperament, Manner.RIGHT) if self.form_of(title) else Manner.RIGHT

    def _corrections(self, mail: IncomingMail, at: datetime) -> Iterator[Act]:
        """Hand in anew what the mail says is wrong; a file that was not recognised, under its right name."""
        wrong = [title for title in self.deadlines if f"{title}（第" in mail.text]
        if not wrong and self.temperament is Temperament.WRONG_ATTACHMENT:
            wrong = [next(iter(self.deadlines))]
        for title in wrong:
            moment = at + timedelta(hours=self.rng.randint(2, 9), minutes=self.rng.randint(0, 59))
            yield Act(at=moment, kind="hand_in", title=title)

    def _react(self, mail: IncomingMail, at: datetime, hours: tuple[int, int]) -> Iterator[Act]:
        for title in self.deadlines:
            if title in mail.text and title not in self.handed_in and self.deadlines[title] <= at + 3 * DAY:
                self.handed_in.add(title)  # it will; a second mail must not make it do so twice
                minutes = self.rng.randint(hours[0] * 60, hours[1] * 60)
                yield Act(at=at + timedelta(minutes=minutes), kind="hand_in", title=title)

    def _moment(self, due: datetime) -> datetime:
        """Return when the unit hands in something due at an instant."""
        last_day = (due - timedelta(minutes=1)).astimezone(self.zone).date()
        match self.temperament:
            case Temperament.EARLY:
                return self._office_hour(last_day - self.rng.randint(2, 5) * DAY)
            case Temperament.LAST_AFTERNOON:
                return self._local(last_day, self.rng.randint(15 * 60, 23 * 60 + 50))
            case Temperament.LATE:
                return self._office_hour(last_day + self.rng.randint(1, 2) * DAY)
            case _:
                return self._office_hour(last_day - self.rng.randint(0, 2) * DAY)

    def _office_hour(self, day: date) -> datetime:
        return self._local(day, self.rng.randint(8 * 60 + 40, 17 * 60))

    def _local(self, day: date, minutes: int) -> datetime:
        return datetime.combine(day, time(), tzinfo=self.zone) + timedelta(minutes=minutes)

    def form_of(self, title: str) -> tuple[str, bytes] | None:
        """Return the file name and bytes of the empty form of a material, if it is a form."""
        return next(((name, content) for name, content in self.forms.items() if title in name), None)
