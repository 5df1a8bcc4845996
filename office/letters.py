"""What the templates of mails are told, and the renderer. Templates decide nothing; they only say it."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


@dataclass(frozen=True, kw_only=True)
class CampaignLines:
    """The campaign as units know it."""

    title: str
    theme: str
    issuer: str
    period_text: str


@dataclass(frozen=True, kw_only=True)
class ContactLines:
    """Whom units ask."""

    name: str
    phone: str
    email: str
    hours: str


@dataclass(frozen=True, kw_only=True)
class PartyLines:
    """To whom the mail goes."""

    name: str
    code: str


@dataclass(frozen=True, kw_only=True)
class ItemLine:
    """One thing the unit owes, with its state. ``asked`` marks what this mail is about."""

    title: str
    label: str
    due_text: str
    state_text: str
    overdue_text: str = ""
    note: str = ""
    open: bool = True
    asked: bool = False
    voluntary: bool = False


@dataclass(frozen=True, kw_only=True)
class FindingLine:
    """One finding, in sentences."""

    severity_text: str
    place: str
    field: str
    problem: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class AnswerLine:
    """What became of one file handed in."""

    title: str
    version: int
    state: str  # accepted, submitted, queried, returned
    state_text: str
    received_text: str
    timely_text: str
    file_name: str
    findings: tuple[FindingLine, ...] = ()
    more_findings: int = 0
    note: str = ""  # what counts instead, where this one was not taken
    scan_text: str = ""  # whether the scan with the seal came, where it is welcome


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a hand-in: the files recorded, and the sentences about those that could not be."""

    lines: tuple[AnswerLine, ...] = ()
    problems: tuple[str, ...] = ()
    by_page: bool = False  # it came in through the unit's page, so that there is no mail that was answered

    @property
    def again(self) -> str:
        """How a correction is handed in, as it was done the first time; followed by the reply address."""
        return "打开报送页面重新报送，或直接回复本邮件" if self.by_page else "再次回复本邮件"


@dataclass(frozen=True, kw_only=True)
class DigestRow:
    """One silent unit and one thing it owes."""

    unit_name: str
    unit_code: str
    category: str
    title: str
    due_text: str
    overdue_text: str
    contact_text: str
    reached_text: str = ""  # when it was last written to or telephoned with
    order_text: str = ""  # the supervision order it was given for this: number and colour


@dataclass(frozen=True, kw_only=True)
class TallyRow:
    """A line of the rates."""

    category: str
    owed: int
    reported: int
    on_time: int
    late: int
    returned: int
    missing: int
    report_rate_text: str
    on_time_rate_text: str


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What the operators are told: one headline, what happened, what to do."""

    headline: str
    lines: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, kw_only=True)
class WaitingLine:
    """One thing that waits for the office: since when, how bad that is, and the command that does it."""

    kind_text: str
    what: str
    since_text: str
    age: str  # fresh, aged, old
    age_text: str
    command: str


@dataclass(frozen=True, kw_only=True)
class WaitingList:
    """What waits for the office, the oldest first; ``more`` are not shown, ``old`` of all have waited too long."""

    lines: tuple[WaitingLine, ...] = ()
    more: int = 0
    old: int = 0

    @property
    def count(self) -> int:
        """How many things wait."""
        return len(self.lines) + self.more


@dataclass(frozen=True, kw_only=True)
class NamedContact:
    """A contact as a mail names it."""

    role_text: str
    name: str
    address: str
    phone: str


@dataclass(frozen=True, kw_only=True)
class DecisionLines:
    """What was decided: over a version handed in, a request, a contact, a letter to the office."""

    by_staff: bool = False  # returned by a person, not by the checks
    title: str = ""  # of the material
    asked_text: str = ""  # what the unit had asked for
    reasons: tuple[str, ...] = ()
    due_text: str = ""  # the deadline that holds from now on
    contact: NamedContact | None = None
    was: NamedContact | None = None
    unit: str = ""
    to_old: bool = False  # the mail goes to the contact written to before
    about: str = ""  # the subject of the letter that is answered
    said: str = ""
    headline: str = ""  # of a decision that its kind alone tells


@dataclass(frozen=True, kw_only=True)
class LetterContext:
    """Everything a template may say.

    What differs per recipient of a step may be a mark that is filled in later (the party's name and code, the token,
    the reply address, the link to its page): templates only print these, and never test, cut or compare them.
    Whether there is a link at all is the same for everybody, and may be tested.
    """

    notice: str
    campaign: CampaignLines
    contact: ContactLines
    party: PartyLines
    token_shown: str
    reply_address: str
    why: str
    date_text: str
    link: str = ""
    desk: str = ""  # of what staff are told: the staff page on which it is done
    acknowledge: tuple[str, ...] = ()  # pages on which to promise a date
    items: tuple[ItemLine, ...] = ()
    attachments: tuple[str, ...] = ()
    answer: Answer | None = None
    digest: tuple[DigestRow, ...] = ()
    tally: tuple[TallyRow, ...] = ()
    alert: Alert | None = None
    decision: DecisionLines | None = None
    waiting: WaitingList = WaitingList()
    rung_text: str = ""
    final: bool = False
    sample: bool = False

    @property
    def asked(self) -> tuple[ItemLine, ...]:
        """The items this mail is about."""
        return tuple(item for item in self.items if item.asked)

    @property
    def others_open(self) -> tuple[ItemLine, ...]:
        """What else the unit still owes."""
        return tuple(item for item in self.items if item.open and not item.asked and not item.voluntary)


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A mail's three texts."""

    subject: str
    text: str
    html: str


@lru_cache(maxsize=4)
def _environment(folder: Path) -> Environment:
    """Return the templates of a folder, compiled once a process and again when a file changes."""
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


class Renderer:
    """The mail templates of a folder: ``<notice>/{subject.txt,body.txt,body.html}``."""

    def __init__(self, folder: Path) -> None:
        """Read templates from a folder; an undefined name is an error, HTML is escaped."""
        self._templates = _environment(folder)

    def render(self, context: LetterContext) -> Rendered:
        """Return the texts of a mail.

        Raises:
            ValueError: the subject came out on more than one line.

        """
        subject, text, html = (
            self._templates.get_template(f"{context.notice}/{part}").render(m=context)
            for part in ("subject.txt", "body.txt", "body.html")
        )
        subject = subject.strip()
        if "\n" in subject or "\r" in subject:
            raise ValueError(f"the subject of {context.notice} came out on more than one line")
        return Rendered(subject=("【样张】" if context.sample else "") + subject, text=text, html=html)
