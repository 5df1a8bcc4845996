"""A campaign as its YAML says it. Unknown keys are refused; instances are frozen and dump to plain JSON."""

import hashlib
import json
from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from definition.dues import Due, StatedTime
from definition.parts import Part
from rules.calendar import WorkCalendar
from rules.deadlines import Adjustment
from rules.forms import Form


def _local(value: object) -> object:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"{value!r} is no local date and time; write “2020-05-27 15:00”") from None
    return value


def _on(value: object) -> object:
    """Read the name of the reminder on the day itself: to YAML, on is a word for true."""
    return "on" if value is True else value


LocalMoment = Annotated[datetime, BeforeValidator(_local)]


class Person(Part):
    """Somebody of the office."""

    name: str
    email: str
    phone: str = ""


class ContactPoint(Part):
    """Whom units ask; printed in every mail."""

    name: str
    phone: str
    email: str
    fax: str = ""
    hours: str = ""


class Office(Part):
    """The office that runs the campaign."""

    name: str
    lead: tuple[Person, ...] = Field(min_length=1)
    reviewers: tuple[Person, ...] = ()
    approvers: tuple[Person, ...] = ()
    ops: tuple[Person, ...] = ()


class DeliverableKind(StrEnum):
    """What is handed in."""

    FORM = "form"
    DOCUMENT = "document"
    FREE = "free"  # voluntary: pictures, video, text; any time, any number


class Review(StrEnum):
    """Who accepts what is handed in without a fault."""

    AUTO = "auto"  # at once, by the checks alone
    STAFF = "staff"  # a person, with `muster accept`


class OwedBy(Part):
    """Who owes a deliverable: everyone, or the units of some categories and some more."""

    everyone: bool = False
    categories: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _all(cls, value: object) -> object:
        return {"everyone": True} if value == "all" else value


class ToResponsible(Part):
    """From which reminder on the responsible person is written to: besides the liaison, or instead of it."""

    from_: Annotated[str, BeforeValidator(_on)] = Field(
        alias="from", pattern=r"^(on|(before|before_working|after):[1-9][0-9]*)$"
    )
    instead: bool = False


class Reminders(Part):
    """When units are reminded: days or working days before, on the day, working days after; not soon after a return."""

    before: tuple[int, ...] = ()
    before_working: tuple[int, ...] = ()
    responsible: ToResponsible | None = None
    on_due_day: bool = False
    after: tuple[int, ...] = ()
    after_return_hours: int = Field(default=24, ge=0, le=240)


class Deliverable(Part):
    """A kind of report: due once, or recurring by an RFC 5545 rule, or (free) at any time.

    ``adjust`` says what becomes of a date that is a day off; ``due_time`` is the time of day of a series.
    """

    key: str = Field(pattern=r"[a-z][a-z0-9_-]*")
    title: str
    label: str = ""
    kind: DeliverableKind
    form: str | None = None
    due: Due | None = None
    recurrence: str | None = None
    from_: date | None = Field(default=None, alias="from")
    until: date | None = None
    due_time: StatedTime | None = None
    adjust: Adjustment = Adjustment.NONE
    owed_by: OwedBy
    reminders: Reminders | None = None
    nil_return: bool = False
    review: Review = Review.AUTO
    original: bool = False  # the sealed paper original is asked for besides
    sealed_scan: bool = False  # of a document, a scan of it with the seal is welcome besides


class Audience(StrEnum):
    """Who hears of a silent unit."""

    UNIT = "unit"  # its responsible person
    SUPERIOR = "superior"  # 主管单位
    DEPARTMENT = "department"  # 行业主管部门
    OFFICE = "office"  # the office's lead
    CAMPAIGN = "campaign"  # everybody: 通报


class Rung(Part):
    """A level of the escalation ladder: working days after due, audience, notice.

    ``acknowledge``: the mail asks for a date by which the material will come, and the rungs above wait for it.
    ``approval``: it goes out only when staff agree.
    """

    name: str = Field(default="", max_length=20)
    after: int = Field(ge=1)
    audience: Audience
    notice: str
    acknowledge: bool = False
    approval: bool = False


class Timetable(Part):
    """The dated steps and the policies from which the others are computed. All times are local."""

    send_at: time
    launch: LocalMoment
    collect_at: tuple[time, ...] = (time(8, 30),)
    reminders: Reminders = Reminders()
    escalation: tuple[Rung, ...] = ()
    consolidate: tuple[LocalMoment, ...] = ()
    close: LocalMoment


class Sending(Part):
    """When mail may leave, and how many chase mails an address gets a day over all campaigns."""

    window: tuple[time, time] = (time(8, 30), time(18, 0))
    daily_cap: int = Field(default=2, ge=1)


class Joiners(Part):
    """A unit that joins owes what fell due before within so many working days."""

    working_days: int = Field(default=3, ge=1)


class Returns(Part):
    """What staff return after its deadline without naming a day is owed again within so many working days."""

    working_days: int = Field(default=3, ge=1)


class Papers(Part):
    """How the office numbers its papers, and how soon an order demands what is late: working days by colour."""

    order_number: str = "督办〔{year}〕第{number}号"
    circulation_number: str = "通报〔{year}〕第{number}号"
    yellow_within: int = Field(default=2, ge=1)
    red_within: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _numbered(self) -> "Papers":
        for name in ("order_number", "circulation_number"):
            form: str = getattr(self, name)
            try:
                told = {form.format(year=year, number=number) for year, number in ((1, 2), (1, 3), (4, 2))}
            except (KeyError, IndexError, ValueError):
                told = set()
            if len(told) < 3:  # noqa: PLR2004  another year or number gives another text
                raise ValueError(
                    f"{name}: {form!r} must hold {{year}} and {{number}}, as 督办〔{{year}}〕第{{number}}号"
                )
        return self


class Attachment(Part):
    """A file sent with the launch notice; its hash is taken when the campaign is loaded."""

    file: str
    title: str
    sha256: str = ""
    file_name: str = ""
    media_type: str = ""


class LocalDay(Part):
    """A day that departs from the State Council's list: a holiday or a working day of this place, with grounds."""

    day: date
    works: bool
    grounds: str


class CalendarDays(Part):
    """The days of the working calendar that the campaign was launched with, local ones worked in."""

    holidays: tuple[date, ...] = ()
    makeup_days: tuple[date, ...] = ()
    years: tuple[int, ...] = ()
    names: dict[date, str] = Field(default_factory=dict)  # the festival that a day off or a make-up day belongs to
    local: tuple[LocalDay, ...] = ()

    def work_calendar(self) -> WorkCalendar:
        """Return the days as rules take them."""
        return WorkCalendar(
            holidays=frozenset(self.holidays), makeup_days=frozenset(self.makeup_days), years=frozenset(self.years)
        )


class SeasonHours(Part):
    """Days, both ends included, with a closing hour of their own."""

    from_: date = Field(alias="from")
    until: date
    knocking_off: time


class WorkingHours(Part):
    """When the office closes (下班); the first season that has the day goes before the usual hour."""

    knocking_off: time
    seasons: tuple[SeasonHours, ...] = ()


class Campaign(Part):
    """A whole campaign."""

    key: str = Field(pattern=r"[a-z0-9][a-z0-9-]*")
    title: str
    theme: str = ""
    issuer: str
    issued_on: date
    opens_on: date
    ends_on: date | None = None  # of the activities themselves; the campaign closes later
    closes_on: date
    zone: str
    calendar: str = "cn"
    office_hours: WorkingHours | None = None
    consolidate_when_complete: bool = False  # the final consolidation as soon as everything owed is in
    horizon_days: int = Field(default=35, ge=1, le=400)  # so far ahead are the occurrences of a series made
    contact: ContactPoint
    categories: tuple[str, ...] = Field(min_length=1)
    roster: str
    departments: dict[str, str] = Field(default_factory=dict)  # by category, the code of the unit that answers for it
    office: Office
    deliverables: tuple[Deliverable, ...] = Field(min_length=1)
    timetable: Timetable
    sending: Sending = Sending()
    joiners: Joiners = Joiners()
    returns: Returns = Returns()
    papers: Papers = Papers()
    attachments: tuple[Attachment, ...] = ()
    forms: dict[str, Form] = Field(default_factory=dict)  # filled by the loader, by the path written in `form:`
    calendar_days: CalendarDays = CalendarDays()  # filled by the loader

    def dump(self) -> dict[str, Any]:
        """Return the campaign as plain JSON; :meth:`model_validate` of it gives an equal campaign."""
        return self.model_dump(mode="json", by_alias=True)

    def digest(self) -> str:
        """Return the sha256 of the canonical JSON."""
        canonical = json.dumps(self.dump(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def work_calendar(self) -> WorkCalendar:
        """Return the working calendar."""
        return self.calendar_days.work_calendar()

    def deliverable(self, key: str) -> Deliverable:
        """Return a deliverable by its key."""
        return next(d for d in self.deliverables if d.key == key)

    def form_of(self, deliverable: Deliverable) -> Form | None:
        """Return the form of a deliverable, if it has one."""
        return self.forms.get(deliverable.form) if deliverable.form else None
