"""Any month on a real ledger: whatever units and staff do, whichever runs are lost, late or doubled."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import find_party
from ledger.facts import load_obligations
from ledger.ladder import open_approvals
from ledger.outbox import items_of
from ledger.submissions import NewSubmission, record_submission
from ledger.tables import ItemRow, MailClass, MessageRow, MessageState, ObligationRow, SubmissionRow
from mail.smtp import Outcome
from office.acknowledging import acknowledge
from office.approvals import approve, decline
from office.outbox import claim_shard, commit_group
from office.refusals import NotPossible
from office.requests import ask_extension, grant, open_requests, refuse
from office.review import return_to_unit
from office.unit_own import NotYoursError
from rules.obligations import SubmissionState, is_owed
from rules.timetable import StepKind
from tests.office.test_ladder import SHIPPED, with_ladder
from tests.office.test_mailbook import CAST, launched
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, Desk, act, local

SHANGHAI = ZoneInfo("Asia/Shanghai")
START = local(5, 27, 16)
DAYS = 50
UNITS, THINGS = sorted(CAST), ("plan", "scheme", "report")
LADDER = {"escalate:1", "escalate:2", "escalate:3", "escalate:4"}
numbers = count(1)

HOURS = st.integers(1, 24 * DAYS - 1)
UNIT, THING = st.sampled_from(UNITS), st.sampled_from(THINGS)
DEEDS = st.one_of(
    st.tuples(HOURS, st.just("run"), st.sampled_from(["once", "twice", "planned and not sent"]), st.just("")),
    st.tuples(HOURS, st.sampled_from(["report", "flaw", "return", "ask", "ask and grant"]), UNIT, THING),
    st.tuples(HOURS, st.sampled_from(["promise", "approve", "decline", "refuse"]), UNIT, st.just("")),
)
MONTHS = st.lists(DEEDS, min_size=5, max_size=30).map(lambda deeds: sorted(deeds, key=lambda deed: deed[0]))


@dataclass
class Month:
    """A month at an office that checks every mail as it leaves."""

    desk: Desk
    sent: Counter[tuple[str, date]] = field(default_factory=Counter)  # chase mails by address and local day

    def do(self, now: datetime, what: str, who: str, thing: str) -> None:
        """Do one thing; what cannot be done now is refused, and changes nothing."""
        if what == "run":
            self.run(now, who)
            return
        with suppress(NotPossible, NotYoursError, ValueError), self.desk.house.ledger.writing() as session:
            by = replace(act(now), actor="staff:test")
            party = find_party(session, 1, who)
            if what in ("approve", "decline"):
                for one in open_approvals(session, 1):
                    if what == "approve":
                        approve(session, self.desk.house, by, one.occasion, grounds="同意")
                    else:
                        decline(session, by, one.occasion, grounds="暂缓")
            elif what == "promise":
                day = (now.astimezone(SHANGHAI) + timedelta(days=3)).date()
                acknowledge(session, replace(by, actor=f"unit:{who}"), party, 1, day)
            elif what == "refuse":
                for request in open_requests(session, 1):
                    refuse(session, self.desk.house, by, request.id, grounds="时间已定")
            else:
                self._of_unit(session, by, what, who, thing)

    def _of_unit(self, session: Session, by: Act, what: str, who: str, thing: str) -> None:
        now, party = by.as_of, find_party(session, 1, who)
        mine = load_obligations(session, 1, party_ids=[party.id])
        obligation = session.get_one(ObligationRow, next(o.id for o in mine if o.deliverable == thing))
        if what in ("report", "flaw"):
            state = SubmissionState.ACCEPTED if what == "report" else SubmissionState.RETURNED
            record_submission(
                session,
                by,
                NewSubmission(obligation=obligation, channel="mail", received_at=now, state=state, file=None),
            )
        elif what == "return":
            standing = select(SubmissionRow.id).where(
                SubmissionRow.obligation_id == obligation.id, SubmissionRow.state != SubmissionState.RETURNED
            )
            for id_ in session.scalars(standing.order_by(SubmissionRow.version.desc()).limit(1)):
                return_to_unit(session, self.desk.house, by, id_, reasons=["内容不全"])
        else:
            day = (now.astimezone(SHANGHAI) + timedelta(days=4)).date()
            asking = replace(by, actor=f"unit:{who}")
            request = ask_extension(
                session, self.desk.house, asking, party, obligation.id, until=day, reason="负责同志出差"
            )
            if what == "ask and grant":
                grant(session, self.desk.house, by, request.id, grounds="同意")

    def run(self, now: datetime, how: str) -> None:
        """Plan what is due, and send it unless the run dies before."""
        for _ in range(2 if how == "twice" else 1):
            for kind in (StepKind.REMIND, StepKind.ESCALATE):
                self.desk.plan(kind, now)
            if how != "planned and not sent":
                self.send(now)

    def send(self, now: datetime) -> None:
        """Let leave what may, and look at each mail that does."""
        with self.desk.house.ledger.writing() as session:
            shard = claim_shard(session, self.desk.house, act(now), KEY, sender="test", limit=1000)
            facts = {o.id: o for o in load_obligations(session, 1)}
            claimed = {m.id: m for m in session.scalars(select(MessageRow)) if m.state == MessageState.CLAIMED}
            items = items_of(session, claimed)
            local_now = now.astimezone(SHANGHAI)
            for envelope in shard.envelopes:
                message = claimed[envelope.id]
                if message.mail_class == MailClass.REPLY:
                    continue
                assert (8, 30) <= (local_now.hour, local_now.minute) < (18, 0)
                if message.mail_class == MailClass.CHASE:
                    self.sent[envelope.to, local_now.date()] += 1
                    live = [i for i in items[message.id] if is_owed(facts[i.obligation_id])]
                    assert live
                    assert all(facts[i.obligation_id].due == i.due_at for i in live)
            taken = Outcome(state="sent", code=250, text="2.0.0 taken")
            results = [(envelope, taken) for envelope in shard.envelopes]
            commit_group(session, self.desk.house, act(now), shard, at_data=[], results=results)


def told_of(session: Session) -> list[tuple[int, int, str, datetime | None]]:
    """Return what mails have said by the timetable: of whom, of what, on which rung, under which due instant."""
    said = select(ItemRow.party_id, ItemRow.obligation_id, ItemRow.rung, ItemRow.due_at).where(~ItemRow.gone)
    return [
        (party, obligation, rung, due)
        for party, obligation, rung, due in session.execute(said)
        if not rung.startswith(("intake", "decision"))
    ]


def still_to_climb(session: Session) -> list[int]:
    """Return what is owed and was not told of on every level of the ladder."""
    told = told_of(session)
    climbed = {
        ob.id: {rung for _, id_, rung, due in told if id_ == ob.id and due == ob.due}
        for ob in load_obligations(session, 1)
        if is_owed(ob)
    }
    return [id_ for id_, rungs in climbed.items() if not rungs >= LADDER]


@pytest.fixture(scope="module")
def laddered(cast: LoadedCampaign) -> LoadedCampaign:
    """Return the campaign of the cast with a ladder that asks for promises and consent."""
    return with_ladder(cast, *SHIPPED)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return folders, a fresh one whenever asked."""
    return iter(lambda: tmp_path_factory.mktemp("month"), None)


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(deeds=MONTHS)
def test_whatever_happens_in_a_month_its_mails_keep_the_rules(
    laddered: LoadedCampaign, folders: Iterator[Path], deeds: list[tuple[int, str, str, str]]
) -> None:
    folder = next(folders)
    with launched(laddered, folder, f"sqlite:///{folder / f'ledger{next(numbers)}.db'}") as desk:
        desk.house = replace(desk.house, portal_url="https://report.office.example")
        desk.send(local(5, 27, 15))
        with desk.house.ledger.reading() as session:
            before = session.scalar(select(func.count()).select_from(ObligationRow))
        month = Month(desk)
        for hour, what, who, thing in deeds:
            month.do(START + timedelta(hours=hour), what, who, thing)
        # Staff agree to what waits, daily runs go on: every ladder comes to its end, and the last days add nothing.
        climbing = True
        for day in range(DAYS, DAYS + 30):
            if not climbing and day < DAYS + 27:
                continue
            now = datetime.combine(date(2020, 5, 27) + timedelta(days=day), local(5, 27, 10).timetz(), tzinfo=UTC)
            month.do(now, "approve", UNITS[0], "")
            month.run(now, "once")
            with desk.house.ledger.reading() as session:
                climbing = bool(still_to_climb(session))
        assert all(number <= 2 for number in month.sent.values())  # the campaign's daily cap
        with desk.house.ledger.reading() as session:
            assert session.scalar(select(func.count()).select_from(ObligationRow)) == before
            told = told_of(session)
            assert len(told) == len(set(told))
            assert still_to_climb(session) == []
            assert audit.verify(session).fault == ""
        planned = [desk.plan(kind, now + timedelta(days=1)) for kind in (StepKind.REMIND, StepKind.ESCALATE)]
        assert planned == [{}, {}]
