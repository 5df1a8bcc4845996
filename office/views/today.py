"""Today's digest: what went out, what came in, what needs a person, and what comes next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select

from ledger.outbox import count_waiting
from ledger.tables import (
    DeliverableRow,
    IntakeRow,
    MessageRow,
    MessageState,
    ObligationRow,
    PartyRow,
    SubmissionRow,
)
from office import wording
from office.contacts import contact_troubles
from office.digest import Waiting, what_waits
from office.fence import held_by_campaign
from office.staff_links import queue_url, submission_url
from office.stops import stops_in_words
from office.views.pages import Markdown, Page, linked, render
from office.views.scene import Scene
from rules.ageing import age_of, waited
from rules.deadlines import MIDNIGHT, local_instant
from rules.obligations import SubmissionState
from rules.timetable import DAILY, StepKind

SHOWN = 20  # of what waits, and of what came in
AHEAD = 3  # days of the timetable that are shown
LEFT = (MessageState.SENT, MessageState.BOUNCED, MessageState.AMBIGUOUS)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A version that came in today."""

    at: str
    unit: str
    what: Markdown
    state: str


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that waits for a person."""

    kind: str
    what: str
    age: str
    command: str


def today_page(scene: Scene) -> Page:
    """Return what a campaign's local day has seen up to a moment."""
    start = local_instant(scene.today, MIDNIGHT, scene.zone)
    day = (start, start + timedelta(days=1))
    sent = _sent(scene, day)
    arrivals, by_title = _arrivals(scene, day)
    waits = sorted(what_waits(scene.session, scene.row, scene.moment, contacts=False), key=lambda w: w.since)
    contacts = len(contact_troubles(scene.session, scene.row.id))
    markdown = render(
        scene.house.templates,
        "today.md",
        day=wording.day_text(scene.today),
        sent=_named(sent, wording.NOTICE),
        astray=_named(_astray(scene, day), wording.LETTER),
        waiting=count_waiting(scene.session, scene.row.id),
        fenced=held_by_campaign(scene.session, scene.house, scene.key)[scene.key],
        stops=stops_in_words(scene.session, scene.house, scene.key),
        mails=_named(_mails(scene, day), wording.MAIL_KIND),
        arrived=sorted(by_title.items(), key=lambda pair: -pair[1]),
        arrivals=arrivals[:SHOWN],
        more_arrivals=len(arrivals) - SHOWN,
        needs=[_need(scene, one) for one in waits[:SHOWN]],
        more_needs=len(waits) - SHOWN,
        contacts=contacts,
        coming=_coming(scene),
        queue=queue_url(scene.house, scene.key),
    )
    counts = (sum(sent.values()), len(arrivals), len(waits) + contacts)
    headline = "{}：发出{}封，收到材料{}份，等待处理{}件".format(wording.day_text(scene.today), *counts)
    return Page(key=f"today-{scene.key}", title="今日情况", headline=headline, markdown=markdown)


def _sent(scene: Scene, day: tuple[datetime, datetime]) -> Counter[str]:
    """Count the mails that left on a day, by notice."""
    query = select(MessageRow.notice, func.count()).where(
        MessageRow.campaign_id == scene.row.id,
        MessageRow.state.in_(LEFT),
        MessageRow.sent_as_of >= day[0],
        MessageRow.sent_as_of < day[1],
    )
    return _counts(scene, query.group_by(MessageRow.notice))


def _astray(scene: Scene, day: tuple[datetime, datetime]) -> Counter[str]:
    """Count the mails planned on a day that did not arrive, by what became of them."""
    astray = (MessageState.REFUSED, MessageState.BOUNCED, MessageState.AMBIGUOUS, MessageState.HELD)
    query = select(MessageRow.state, func.count()).where(
        MessageRow.campaign_id == scene.row.id,
        MessageRow.state.in_(astray),
        MessageRow.as_of >= day[0],
        MessageRow.as_of < day[1],
    )
    return _counts(scene, query.group_by(MessageRow.state))


def _mails(scene: Scene, day: tuple[datetime, datetime]) -> Counter[str]:
    """Count the mails that were taken in on a day, by what they turned out to be."""
    query = select(IntakeRow.kind, func.count()).where(
        IntakeRow.campaign_id == scene.row.id,
        IntakeRow.kind != "",
        IntakeRow.as_of >= day[0],
        IntakeRow.as_of < day[1],
    )
    return _counts(scene, query.group_by(IntakeRow.kind))


def _counts(scene: Scene, query: Select[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for key, count in scene.session.execute(query):
        found[key] += count
    return found


def _arrivals(scene: Scene, day: tuple[datetime, datetime]) -> tuple[list[Arrival], Counter[str]]:
    """Return the versions that were taken in on a day, the last one first, and how many there are of each."""
    query = (
        select(SubmissionRow, PartyRow.code, PartyRow.name, DeliverableRow.title)
        .join(ObligationRow, ObligationRow.id == SubmissionRow.obligation_id)
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(ObligationRow.campaign_id == scene.row.id, SubmissionRow.as_of >= day[0], SubmissionRow.as_of < day[1])
        .order_by(SubmissionRow.received_at.desc(), SubmissionRow.id.desc())
    )
    rows = scene.session.execute(query).all()
    arrivals = [
        Arrival(
            at=wording.moment_text(version.received_at, scene.zone),
            unit=f"{code} {name}",
            what=linked(f"{title}（第{version.version}次）", submission_url(scene.house, version.id)),
            state=wording.VERSION[SubmissionState(version.state)],
        )
        for version, code, name, title in rows
    ]
    return arrivals, Counter(title for _, _, _, title in rows)


def _need(scene: Scene, waiting: Waiting) -> Need:
    days = waited(waiting.since, scene.moment, scene.book.hours)
    return Need(
        kind=wording.WAITS[waiting.kind],
        what=waiting.what,
        age=wording.AGED[age_of(days)].format(days=days) if days else wording.TODAY,
        command=waiting.command,
    )


def _coming(scene: Scene) -> list[tuple[str, str]]:
    """Return the steps and due instants of today and the next days, in order."""
    last = scene.today + timedelta(days=AHEAD)
    steps = [
        (step.moment, f"{wording.STEP[step.kind]} · {step.subject}")
        for step in scene.book.steps
        if step.kind is not StepKind.COLLECT and step.subject != DAILY
    ]
    dues = {(one.due, f"截止 · {one.title}") for one in scene.book.dated}
    found = sorted((moment, said) for moment, said in [*steps, *dues] if moment > scene.moment)
    return [
        (wording.due_text(moment, scene.zone) if said.startswith("截止") else _at(scene, moment), said)
        for moment, said in found
        if scene.day(moment - timedelta(microseconds=1)) <= last
    ]


def _at(scene: Scene, moment: datetime) -> str:
    local = moment.astimezone(scene.zone)
    return f"{wording.day_text(local.date())} {local:%H:%M}"


def _named(counts: Mapping[str, int], words: Mapping[str, str]) -> Sequence[tuple[str, int]]:
    return [(words.get(key, key), count) for key, count in sorted(counts.items(), key=lambda pair: -pair[1]) if count]
