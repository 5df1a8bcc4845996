"""What a campaign may not say, beyond what its types forbid: each check yields faults with their lines."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from definition.dues import Phrasing, phrasing_of
from definition.faults import Fault, Gravity
from definition.models import Audience, Campaign, Deliverable, DeliverableKind, Reminders
from definition.occurrences import occurrences_of, time_of
from definition.roster import OFFICE, Unit
from definition.yaml_source import Source
from rules.addresses import ADDRESS
from rules.deadlines import NamedTime

NOTICES = (  # that may be needed in any campaign; which the ladder's rungs need, they name
    "launch",
    "reminder",
    "reminder_responsible",
    "receipt",
    "returned",
    "acknowledged",
    "granted",
    "refused",
    "decided",
    "correction",
    "announcement",
    "contact_changed",
    "answer",
    "supervision_order",
    "circulation",
    "alert",
    "digest",
    "summary",
    "closing",
)
SLACK_DAYS = 14  # by so much may holidays bring a reminder and its deadline forward
PARTS = ("subject.txt", "body.txt", "body.html")


def check_units(campaign: Campaign, units: Sequence[Unit], file: str) -> Iterator[Fault]:
    """Yield unknown categories, codes given twice, superiors that do not exist, and cycles of superiors."""

    def fault(unit: Unit, problem: str, remedy: str) -> Fault:
        return Fault(file=file, line=unit.line, problem=problem, remedy=remedy)

    by_code: dict[str, Unit] = {}
    for unit in units:
        if unit.category not in campaign.categories:
            known = "、".join(campaign.categories)
            yield fault(unit, f"{unit.code}: unknown category {unit.category!r}", f"use one of {known}")
        if unit.code in by_code:
            other = by_code[unit.code].line
            yield fault(unit, f"code {unit.code} stands on line {other} already", "give each unit a code of its own")
        by_code.setdefault(unit.code, unit)
    for unit in units:
        if unit.superior != OFFICE and unit.superior not in by_code:
            yield fault(
                unit, f"{unit.code}: superior {unit.superior!r} does not exist", f"give a unit's code or {OFFICE}"
            )
        elif _circles(unit, by_code):
            yield fault(unit, f"{unit.code}: its superiors go round in a circle", f"let one of them end at {OFFICE}")
    yield from _departments(campaign, units, by_code, file)


def _departments(campaign: Campaign, units: Sequence[Unit], by_code: Mapping[str, Unit], file: str) -> Iterator[Fault]:
    """Yield departments that do not exist, and units without one where a rung of the ladder is for them."""
    for category, code in campaign.departments.items():
        if category not in campaign.categories or (code != OFFICE and code not in by_code):
            yield Fault(
                file="campaign.yaml",
                line=None,
                problem=f"departments: {category} → {code}: there is no such category or unit",
                remedy=f"name a category of the campaign, and a unit's code or {OFFICE}",
            )
    asked = any(rung.audience is Audience.DEPARTMENT for rung in campaign.timetable.escalation)
    for unit in units:
        if unit.industry and unit.industry != OFFICE and unit.industry not in by_code:
            yield Fault(
                file=file,
                line=unit.line,
                problem=f"{unit.code}: industry department {unit.industry!r} does not exist",
                remedy=f"give a unit's code or {OFFICE}",
            )
        elif asked and not unit.industry and unit.category not in campaign.departments:
            yield Fault(
                file=file,
                line=unit.line,
                problem=f"{unit.code} {unit.name} has no industry department: the ladder passes that rung over for it",
                remedy="fill in the column industry, or name one for its category under `departments:`",
                gravity=Gravity.WARNING,
            )


def _circles(unit: Unit, by_code: Mapping[str, Unit]) -> bool:
    seen, code = set(), unit.code
    while code in by_code:
        if code in seen:
            return unit.code in seen and code == unit.code
        seen.add(code)
        code = by_code[code].superior
    return False


def check_campaign_values(campaign: Campaign, source: Source, notices: Path) -> Iterator[Fault]:
    """Yield every fault of campaign.yaml that its types let pass; the campaign knows its calendar."""
    yield from _dates(campaign, source)
    yield from _office_hours(campaign, source)
    for number, deliverable in enumerate(campaign.deliverables):
        yield from _deliverable(campaign, source, number, deliverable)
    yield from _twice(campaign, source)
    yield from _ladder(campaign, source)
    yield from _addresses(campaign, source)
    yield from _templates(campaign, source, notices)


def _at(source: Source, *path: object) -> Callable[[str, str], Fault]:
    line = source.line(*path)
    return lambda problem, remedy: Fault(file=source.name, line=line, problem=problem, remedy=remedy)


def _dates(campaign: Campaign, source: Source) -> Iterator[Fault]:
    try:
        ZoneInfo(campaign.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield _at(source, "zone")(f"unknown zone {campaign.zone!r}", "give an IANA name, as Asia/Shanghai")
    if campaign.closes_on < campaign.issued_on:
        yield _at(source, "closes_on")("the campaign closes before the circular's date", "mend one of the dates")
    table = campaign.timetable
    if table.launch.date() < campaign.issued_on:
        yield _at(source, "timetable", "launch")("launch is before the circular's date", "launch on or after it")
    if table.close.date() > campaign.closes_on:
        yield _at(source, "timetable", "close")(f"close is after closes_on {campaign.closes_on}", "mend one of them")
    if table.close <= table.launch:
        yield _at(source, "timetable", "close")("close is not after launch", "mend one of them")
    if campaign.sending.window[0] >= campaign.sending.window[1]:
        yield _at(source, "sending", "window")("the sending window is empty", "give an earlier and a later time")
    elif not campaign.sending.window[0] <= table.send_at < campaign.sending.window[1]:
        yield _at(source, "timetable", "send_at")("send_at lies outside the sending window", "move one into the other")


def _office_hours(campaign: Campaign, source: Source) -> Iterator[Fault]:
    seasons = campaign.office_hours.seasons if campaign.office_hours is not None else ()
    for number, season in enumerate(seasons):
        if season.from_ > season.until:
            yield _at(source, "office_hours", "seasons", number)(
                f"the season ends on {season.until}, before it begins", "give its first day as `from`"
            )


def _deliverable(campaign: Campaign, source: Source, number: int, item: Deliverable) -> Iterator[Fault]:
    def fault(key: str, problem: str, remedy: str) -> Fault:
        return _at(source, "deliverables", number, key)(f"{item.key}: {problem}", remedy)

    if item.kind is DeliverableKind.FORM and item.form is None:
        yield fault("kind", "a form without `form:`", "name the form's file")
    if item.kind is DeliverableKind.FREE and (item.due or item.recurrence):
        yield fault("due", "free materials have no deadline", "remove it, or make it a document")
    if item.kind is not DeliverableKind.FREE and (item.due is None) == (item.recurrence is None):
        yield fault("due", "needs a deadline: either due or recurrence", "give exactly one of them")
    if item.original and item.kind is DeliverableKind.FREE:
        yield fault("original", "free materials owe no sealed original", "remove it, or make it a document")
    if item.sealed_scan and item.kind is not DeliverableKind.DOCUMENT:
        yield fault("sealed_scan", "only a document is sealed and scanned", "remove it, or make it a document")
    for category in item.owed_by.categories:
        if category not in campaign.categories:
            yield fault("owed_by", f"unknown category {category!r}", f"use one of {'、'.join(campaign.categories)}")
    yield from _series_keys(fault, item)
    days, problem = _due_days(campaign, item)
    if problem:
        key = "due" if item.recurrence is None else "recurrence"
        yield fault(key, problem, _remedy_of(campaign, item))
    yield from _days(campaign, fault, item, days)
    yield from _reminders(campaign, source, number, item, days)


FaultAt = Callable[[str, str, str], Fault]


def _series_keys(fault: FaultAt, item: Deliverable) -> Iterator[Fault]:
    """Yield keys that belong to a series where there is none, and a series without its ends."""
    if item.recurrence is None:
        for key, value in (("from", item.from_), ("until", item.until), ("due_time", item.due_time)):
            if value is not None:
                yield fault(key, f"{key} belongs to a recurrence", "remove it; a time of day goes into `due`")
    elif item.from_ is None or item.until is None:
        yield fault("recurrence", "gives no date", "give `from`, `until` and an RFC 5545 rule, as FREQ=WEEKLY;BYDAY=FR")


def _remedy_of(campaign: Campaign, item: Deliverable) -> str:
    if time_of(item) is NamedTime.KNOCKING_OFF and campaign.office_hours is None:
        return 'add `office_hours: {knocking_off: "17:30"}` to the campaign'
    if item.recurrence is not None:
        return "write it like FREQ=WEEKLY;BYDAY=FR, FREQ=MONTHLY;BYMONTHDAY=5,15,25 or FREQ=MONTHLY;BYMONTHDAY=-1"
    return "add ends_on, or count from another day"


def _days(campaign: Campaign, fault: FaultAt, item: Deliverable, days: Sequence[date]) -> Iterator[Fault]:
    if item.from_ is not None and item.until is not None and item.recurrence is not None:
        if item.from_ > item.until:
            yield fault("until", f"the series ends on {item.until}, before it begins", "mend `from` or `until`")
        elif not days:
            yield fault("recurrence", f"gives no date from {item.from_} to {item.until}", "mend the rule or the dates")
    phrasing: Phrasing | None = phrasing_of(item.due) if item.due is not None else None
    if phrasing is not None and phrasing.opens is not None and phrasing.opens < campaign.issued_on:
        yield fault("due", f"the span begins before the circular's date {campaign.issued_on}", "mend it")
    for day in days:
        if day < campaign.issued_on:
            yield fault("due", f"deadline {day} is before the circular's date {campaign.issued_on}", "mend it")
        if day > campaign.closes_on:
            yield fault("due", f"deadline {day} is after the close {campaign.closes_on}", "mend it, or close later")


def _due_days(campaign: Campaign, item: Deliverable) -> tuple[list[date], str]:
    """Return the days on which a deliverable falls due, adjusted; or none, and what is wrong."""
    try:
        found = occurrences_of(campaign, item)
    except ValueError as error:
        return [], str(error)
    return [o.deadline.day for o in found if o.deadline is not None], ""


def _reminders(
    campaign: Campaign, source: Source, number: int, item: Deliverable, days: Sequence[date]
) -> Iterator[Fault]:
    own = item.reminders is not None
    policy: Reminders = item.reminders or campaign.timetable.reminders
    path: tuple[object, ...] = ("deliverables", number, "reminders") if own else ("timetable", "reminders")
    said_of_another = not own and number > 0  # a fault of the common policy is said once
    for offset in policy.before:
        if offset < 1 and not said_of_another:
            yield _at(source, *path)(
                f"{item.key}: a “before” reminder of {offset} days falls on or after its deadline",
                "give days before it, from 1; use on_due_day for the day itself",
            )
        elif (
            offset > 0
            and item.recurrence is None
            and any(day - timedelta(days=offset) < campaign.issued_on for day in days)
        ):
            yield Fault(
                file=source.name,
                line=source.line(*path),
                problem=f"{item.key}: a reminder {offset} days before its deadline falls before the circular's date",
                remedy="it is left out; remind later, or give the deliverable `reminders` of its own",
                gravity=Gravity.WARNING,
            )
    for offset in policy.before_working:
        if offset < 1 and not said_of_another:
            yield _at(source, *path)(
                f"{item.key}: a “before_working” reminder of {offset} days", "count working days from 1"
            )
    if (
        policy.responsible is not None
        and not said_of_another
        and policy.responsible.from_ not in _reminder_keys(policy)
    ):
        yield _at(source, *path)(
            f"{item.key}: the responsible person is to hear from {policy.responsible.from_!r} on, which is no reminder",
            f"name one of {'、'.join(_reminder_keys(policy)) or 'the reminders'}",
        )
    furthest = max((*policy.before, *(2 * n for n in policy.before_working)), default=0) + SLACK_DAYS
    if item.recurrence is not None and campaign.horizon_days < furthest:
        yield _at(source, "horizon_days")(
            f"{item.key}: its reminders would come before it is made, {campaign.horizon_days} days ahead",
            f"give horizon_days of at least {furthest}",
        )
    for offset in policy.after:
        if offset < 1 and not said_of_another:
            yield _at(source, *path)(f"{item.key}: an “after” reminder of {offset} days", "count working days from 1")


def _reminder_keys(policy: Reminders) -> list[str]:
    """Return the reminders of a policy by the names that they bear in the ledger."""
    keys = [f"{name}:{n}" for name in ("before", "before_working", "after") for n in getattr(policy, name)]
    return [*keys, *(["on"] if policy.on_due_day else [])]


def _twice(campaign: Campaign, source: Source) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, item in enumerate(campaign.deliverables):
        if item.key in seen:
            yield _at(source, "deliverables", number, "key")(f"deliverable {item.key!r} twice", "rename one")
        seen.add(item.key)


# Who may be told by which notice; the order is how far up an audience stands.
TOLD_BY = {
    Audience.UNIT: (0, "escalation"),
    Audience.SUPERIOR: (1, "escalation_digest"),
    Audience.DEPARTMENT: (1, "escalation_digest"),
    Audience.OFFICE: (2, "escalation_digest"),
    Audience.CAMPAIGN: (3, "escalation_bulletin"),
}
ALWAYS_THERE = frozenset({Audience.OFFICE, Audience.CAMPAIGN})


def _ladder(campaign: Campaign, source: Source) -> Iterator[Fault]:
    ladder = campaign.timetable.escalation
    last, height = 0, 0
    for number, rung in enumerate(ladder):
        at = _at(source, "timetable", "escalation", number)
        standing, notice = TOLD_BY[rung.audience]
        if rung.after <= last:
            yield at(
                f"rung {number + 1} comes {rung.after} working days after due, not later than the rung before",
                "let each rung come later than the one before",
            )
        if standing < height:
            yield at(
                f"rung {number + 1} goes back down to {rung.audience}",
                "let the ladder rise: unit, superior or department, office, campaign",
            )
        if rung.notice != notice:
            yield at(
                f"rung {number + 1}: the notice {rung.notice!r} does not speak to {rung.audience}",
                f"let it be {notice}",
            )
        if rung.acknowledge and rung.audience in ALWAYS_THERE:
            yield at(
                f"rung {number + 1}: nobody of {rung.audience} has anything to promise",
                "ask for an acknowledgement of unit, superior or department only",
            )
        last, height = rung.after, max(height, standing)
    if not ladder or ladder[-1].audience not in ALWAYS_THERE:
        yield _at(source, "timetable", "escalation")(
            "the ladder ends at nobody of the office: a silent unit would be forgotten",
            "let its last rung have audience: office or campaign, which always exist",
        )


def _addresses(campaign: Campaign, source: Source) -> Iterator[Fault]:
    for role in ("lead", "reviewers", "approvers", "ops"):
        for number, person in enumerate(getattr(campaign.office, role)):
            if not ADDRESS.fullmatch(person.email):
                yield _at(source, "office", role, number)(
                    f"{person.email!r} is no e-mail address", "give one; the ladder ends there"
                )
    if not ADDRESS.fullmatch(campaign.contact.email):
        yield _at(source, "contact", "email")(f"{campaign.contact.email!r} is no e-mail address", "give one")


def _templates(campaign: Campaign, source: Source, notices: Path) -> Iterator[Fault]:
    wanted: list[tuple[str, tuple[object, ...]]] = [(name, ("key",)) for name in NOTICES]
    ladder = campaign.timetable.escalation
    wanted += [(rung.notice, ("timetable", "escalation", n)) for n, rung in enumerate(ladder)]
    for name, path in wanted:
        missing = [part for part in PARTS if not (notices / name / part).is_file()]
        if missing:
            yield _at(source, *path)(
                f"notice {name!r} has no {', '.join(missing)}", f"add templates/email/{name}/ or mend the name"
            )
