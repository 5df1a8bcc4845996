"""What is enclosed in a mail: the launch's forms and files, what staff add, and deadlines as a calendar."""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from definition.models import Deliverable
from documents.templates import FormTemplate
from ledger.acts import Act
from ledger.facts import Party, times_moved
from ledger.outbox import Waiting
from ledger.tables import CampaignRow
from mail.calendar import Deadline, deadlines_ics
from mail.skeleton import Enclosure, mark
from mail.tokens import sign
from office import wording
from office.decided import moved_by
from office.premises import Premises
from office.rulebook import Rulebook, rulebook_of
from rules.obligations import Obligation, titled

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOVES = frozenset({"granted", "returned", "decided", "correction"})  # notices that may tell of another deadline

_TEMPLATES: dict[tuple[str, str], FormTemplate] = {}


def empty_form(digest: str, key: str, book: Rulebook) -> FormTemplate:
    """Return the empty form of a deliverable, the same for launch and page; built once a process.

    Raises:
        ValueError: the deliverable has no form.

    """
    if (digest, key) not in _TEMPLATES:
        form = book.campaign.form_of(book.campaign.deliverable(key))
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


class Enclosures:
    """What the mails of a shard enclose; contents are read and made once."""

    def __init__(self, session: Session, premises: Premises, act: Act, campaign: CampaignRow) -> None:
        """Read nothing yet."""
        self._session = session
        self._premises = premises
        self._act = act
        self._row = campaign
        self._book = rulebook_of(campaign)
        self._contents: dict[str, bytes] = {}

    def of(self, message: Waiting, mine: Sequence[Obligation]) -> tuple[Enclosure, ...]:
        """Return what a message encloses, to a party with some obligations; forms have each recipient's own content."""
        if message.notice == "launch":
            forms = [
                Enclosure(file_name=f"{d.label}{d.title}.xlsx", media_type=XLSX, content=None)
                for d in self.forms_owed(mine)
            ]
            files = [self._file(a.file_name, a.media_type, a.sha256) for a in self._book.campaign.attachments]
            return (*forms, *files, self._calendar([ob for ob in mine if ob.due is not None]))
        added = message.detail.get("attachments", [])
        files = [self._file(str(a["name"]), str(a["media_type"]), str(a["sha256"])) for a in added]
        moved = moved_by(self._session, message.occasion) if message.notice in MOVES else ()
        told = [ob for ob in mine if ob.id in moved]
        return (*files, self._calendar(told)) if told else tuple(files)

    def forms_owed(self, mine: Sequence[Obligation]) -> list[Deliverable]:
        """Return the deliverables with a form among some obligations."""
        owed = {ob.deliverable for ob in mine}
        return [d for d in self._book.campaign.deliverables if d.form is not None and d.key in owed]

    def own(self, forms: Sequence[Deliverable], party: Party) -> tuple[bytes, ...]:
        """Return the empty forms of what a unit owes, its name and token filled in."""
        if not forms:
            return ()
        token = sign("p", party.id, self._premises.secret)
        return tuple(
            empty_form(self._row.digest, d.key, self._book).fill(unit_name=party.name, token=token) for d in forms
        )

    def _file(self, name: str, media_type: str, sha256: str) -> Enclosure:
        if sha256 not in self._contents:
            self._contents[sha256] = self._premises.files.get(sha256)
        return Enclosure(file_name=name, media_type=media_type, content=self._contents[sha256])

    def _calendar(self, obligations: Sequence[Obligation]) -> Enclosure:
        """Return deadlines as a calendar; the unit's code in the entries' UIDs is a mark.

        An entry whose deadline was moved keeps its UID and has a higher SEQUENCE, so that it moves in the reader's
        calendar too (RFC 5546, 2.1.5).
        """
        moved = times_moved(self._session, [ob.id for ob in obligations])
        key = f"ics:{[(ob.deliverable, ob.occurrence, ob.due, moved.get(ob.id, 0)) for ob in obligations]}"
        if key not in self._contents:
            self._contents[key] = self._deadlines(obligations, moved)
        return Enclosure(file_name="报送截止时间.ics", media_type="text/calendar", content=self._contents[key])

    def _deadlines(self, obligations: Sequence[Obligation], moved: Mapping[int, int]) -> bytes:
        campaign, domain = self._book.campaign, self._premises.mail_domain
        deadlines = [
            Deadline(
                uid=f"{campaign.key}-{mark('code')}-{ob.deliverable}-{ob.occurrence}@{domain}",
                due=ob.due,
                summary=f"报送截止：{titled(campaign.deliverable(ob.deliverable).title, ob.occurrence)}",
                description=f"{campaign.title}，{wording.due_text(ob.due, self._book.zone)}报送。",
                sequence=moved.get(ob.id, 0),
            )
            for ob in obligations
            if ob.due is not None
        ]
        return deadlines_ics(deadlines, name=campaign.title, stamp=self._act.as_of)
