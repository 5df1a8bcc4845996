"""The report of a run: to whom it wrote, whom it passed over and why, in names as far as a page can hold them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.facts import party_names
from ledger.tables import AttemptRow, DeliverableRow, MessageRow, ObligationRow, PartyRow
from office import wording
from office.board import overall
from office.contacts import Trouble, contact_troubles
from office.fence import held_by_campaign
from office.premises import Premises
from office.queue import unmatched_waiting
from office.rulebook import open_book
from office.staff_links import campaign_url, mail_url, unit_url
from office.stops import stops_in_words
from office.views.consolidation import newest_reports
from rules.obligations import titled
from rules.rates import Totals
from rules.timetable import StepKind

NAMED = 20  # of each notice and each reason


@dataclass(frozen=True, kw_only=True)
class Named:
    """A unit and what is said of it, with the address of the staff page if there is one."""

    name: str
    said: str
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class Letters:
    """The mails of one notice in a run: how many, what became of them, the first ones by name."""

    notice: str
    count: int
    fates: tuple[tuple[str, int], ...]
    first: tuple[Named, ...]

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.count - len(self.first)


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What was passed over for one reason: how many, and if they are few, which."""

    reason: str
    count: int
    first: tuple[Named, ...] = ()

    @property
    def more(self) -> int:
        """How many are not named, where some are."""
        return self.count - len(self.first) if self.first else 0


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What needs a person beside a run's own counts."""

    unreached: tuple[Named, ...] = ()
    unmatched: int = 0  # mails of which nobody can tell whose they are, of whichever campaign
    stops: tuple[str, ...] = ()
    fenced: int = 0  # mails that wait behind the fence
    years_to_renew: tuple[int, ...] = ()  # announced, and not in the calendar the campaign runs by


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run as staff read of it."""

    campaign: str
    step: str  # in words
    title: str
    moment: str
    letters: tuple[Letters, ...]
    passed: tuple[Passed, ...]
    mails: tuple[tuple[str, int], ...]  # that came in
    outcomes: tuple[tuple[str, int], ...]  # of attempts to send
    unsent: tuple[tuple[str, int], ...]
    needs: Needs
    totals: Totals
    reports: tuple[str, ...]  # paths of the workbook and summary that the run wrote
    views: Mapping[str, str]  # the campaign's pages by title
    staff_page: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a step as it knows itself: its number, its counts, whom it passed over, the pages it published."""

    campaign: str
    step: str
    moment: datetime
    id: str  # of the flow run; empty outside of one
    counts: Mapping[str, Mapping[str, int]]
    whom: Mapping[str, Sequence[int]]
    views: Mapping[str, str]


def report_of_run(session: Session, house: Premises, run: Run) -> Report:
    """Return what is to be told of a flow run, from its counts and from what it left in the ledger."""
    title, zone, whole = overall(session, run.campaign)
    return Report(
        campaign=run.campaign,
        step=wording.STEP[run.step],
        title=title,
        moment=wording.moment_text(run.moment, zone),
        letters=letters_of_run(session, house, run.campaign, run.id) if run.id else (),
        passed=passed_over(session, house, run),
        mails=_words(run.counts["mails"], wording.MAIL_KIND),
        outcomes=_words(run.counts["outcomes"], wording.OUTCOME),
        unsent=_words(run.counts["unsent"], wording.UNSENT),
        needs=needs_a_person(session, house, run.campaign, run.moment),
        totals=whole,
        reports=newest_reports(house, run.campaign) if run.step == StepKind.CONSOLIDATE else (),
        views=run.views,
        staff_page=campaign_url(house, run.campaign),
    )


def letters_of_run(session: Session, house: Premises, campaign: str, run: str) -> tuple[Letters, ...]:
    """Return the mails that a flow run planned or tried to send, by notice, the first of each by name."""
    row, _ = open_book(session, campaign)
    tried = select(AttemptRow.message_id).where(AttemptRow.flow_run_id == run)
    mine = select(MessageRow.id).where(MessageRow.flow_run_id == run).union(tried)
    query = (
        select(MessageRow.id, MessageRow.party_id, MessageRow.notice, MessageRow.state)
        .where(MessageRow.campaign_id == row.id, MessageRow.id.in_(mine))
        .order_by(MessageRow.id)
    )
    found: dict[str, list[tuple[int, int, str]]] = {}
    for id_, party_id, notice, state in session.execute(query):
        found.setdefault(notice, []).append((id_, party_id, state))
    ids = {party_id for mails in found.values() for _, party_id, _ in mails[:NAMED]}
    parties = party_names(session, row.id, ids)
    return tuple(
        Letters(
            notice=wording.NOTICE.get(notice, notice),
            count=len(mails),
            fates=_words(Counter(state for _, _, state in mails), wording.LETTER),
            first=tuple(
                Named(name=parties[party].name, said=str(id_), address=mail_url(house, id_))
                for id_, party, _ in mails[:NAMED]
            ),
        )
        for notice, mails in found.items()
    )


def passed_over(session: Session, house: Premises, run: Run) -> tuple[Passed, ...]:
    """Return what a run passed over by reason, most first; with names where the reason is not a common one."""
    named = _obligations(session, house, run.campaign, {id_ for ids in run.whom.values() for id_ in ids[:NAMED]})
    return tuple(
        Passed(
            reason=wording.SKIP.get(reason, reason),
            count=count,
            first=tuple(named[id_] for id_ in run.whom.get(reason, ())[:NAMED] if id_ in named),
        )
        for reason, count in sorted(run.counts["skips"].items(), key=lambda pair: -pair[1])
        if count
    )


def needs_a_person(session: Session, house: Premises, campaign: str, moment: datetime) -> Needs:
    """Return what needs a person at the end of a run."""
    row, book = open_book(session, campaign)
    unreached = [t for t in contact_troubles(session, row.id) if t.trouble is Trouble.UNREACHED]
    return Needs(
        unreached=tuple(
            Named(name=t.name, said="、".join(t.phones), address=unit_url(house, campaign, t.code)) for t in unreached
        ),
        unmatched=unmatched_waiting(session),
        stops=stops_in_words(session, house, campaign),
        fenced=held_by_campaign(session, house, campaign)[campaign],
        years_to_renew=book.years_to_renew(moment),
    )


def _obligations(session: Session, house: Premises, campaign: str, ids: Iterable[int]) -> dict[int, Named]:
    query = (
        select(ObligationRow.id, PartyRow.code, PartyRow.name, DeliverableRow.title, ObligationRow.occurrence)
        .join(PartyRow, PartyRow.id == ObligationRow.party_id)
        .join(DeliverableRow, DeliverableRow.id == ObligationRow.deliverable_id)
        .where(ObligationRow.id.in_(list(ids)))
    )
    return {
        id_: Named(
            name=name,
            said=titled(title, occurrence),
            address=unit_url(house, campaign, code),
        )
        for id_, code, name, title, occurrence in session.execute(query)
    }


def _words(counts: Mapping[str, int], words: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    return tuple((words.get(key, key), count) for key, count in counts.items() if count)
