"""Any decisions in any order: the rates stay whole, undo restores, and nothing waits for who owes nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.campaigns import find_party
from ledger.facts import load_obligations
from ledger.outbox import items_of
from ledger.submissions import NewSubmission, record_submission
from ledger.tables import CampaignRow, Changed, ChangeRow, DecisionRow, MailClass, MessageRow, ObligationRow, PartyRow
from mail.smtp import Outcome
from office.announcing import Announcement, announce
from office.correcting import Correction, correct
from office.exempting import exempt
from office.extending import extend
from office.leaving import change_superior, come_back, leave
from office.outbox import claim_shard, commit_group
from office.pausing import close, pause, reopen_campaign, resume
from office.refusals import NotPossible
from office.undoing import undo
from rules.obligations import SubmissionState
from rules.rates import totals
from rules.timetable import StepKind
from tests.office.test_ladder import SHIPPED, with_ladder
from tests.office.test_mailbook import CAST, launched
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, Desk, act, local

START, DAYS = local(5, 28), 40
UNITS, THINGS = sorted(CAST), ("plan", "scheme", "report")
ACTS = ("extend", "exempt", "leave", "come back", "superior", "pause", "resume", "close", "reopen", "correct", "tell")
COLUMNS = {
    Changed.DUE: (ObligationRow, "obligation_id"),
    Changed.EXEMPT: (ObligationRow, "obligation_id"),
    Changed.LEFT: (PartyRow, "party_id"),
    Changed.SUPERIOR: (PartyRow, "party_id"),
}
numbers = count(1)

HOURS = st.integers(1, 24 * DAYS - 1)
UNIT, THING = st.sampled_from(UNITS), st.sampled_from(THINGS)
DEEDS = st.one_of(
    st.tuples(HOURS, st.sampled_from(ACTS), UNIT, THING),
    st.tuples(HOURS, st.sampled_from(["undo the last", "undo one before", "decide and undo"]), UNIT, THING),
    st.tuples(HOURS, st.sampled_from(["run", "plan", "report"]), UNIT, THING),
)
MONTHS = st.lists(DEEDS, min_size=6, max_size=25).map(lambda deeds: sorted(deeds, key=lambda deed: deed[0]))


@dataclass
class Office:
    """An office that decides, and looks after each decision whether all still fits together."""

    desk: Desk
    owed_at_first: int = 0
    made: list[int] = field(default_factory=list)

    def do(self, now: datetime, what: str, who: str, thing: str) -> None:
        """Do one thing; what cannot be done now is refused, and changes nothing."""
        if what in ("run", "plan"):
            for kind in (StepKind.REMIND, StepKind.ESCALATE):
                self.desk.plan(kind, now)
            if what == "run":
                self.send(now)
            return
        before = self.stand()
        with suppress(NotPossible, ValueError), self.desk.house.ledger.writing() as session:
            if what == "report":
                self.report(session, now, who, thing)
            elif what == "decide and undo":
                number = self.decide(session, now, ACTS[len(self.made) % len(ACTS)], who, thing)
                undo(session, self.desk.house, replace(act(now), actor="staff:b"), number, "误办")
                session.flush()
                assert stand_in(session) == before
            elif what.startswith("undo"):
                self.undo(session, now, -1 if what == "undo the last" else -2)
            else:
                self.made.append(self.decide(session, now, what, who, thing))

    def decide(self, session: Session, now: datetime, what: str, who: str, thing: str) -> int:
        """Make one decision."""
        house, by, party = self.desk.house, replace(act(now), actor="staff:a"), find_party(session, 1, who)
        until = (now + timedelta(days=6)).date()
        told, moved = (
            Announcement(subject="通知", text="请知悉。"),
            Correction(said="更正。", deliverable=thing, until=until),
        )
        above = UNITS[(UNITS.index(who) + 1) % len(UNITS)]
        ways: dict[str, Callable[[], DecisionRow]] = {
            "extend": lambda: extend(session, house, by, KEY, thing, to=[who], until=until, grounds="情况属实"),
            "exempt": lambda: exempt(session, house, by, KEY, thing, to=[who], grounds="不涉及"),
            "leave": lambda: leave(session, house, by, party, "撤并"),
            "come back": lambda: come_back(session, house, by, party, "恢复"),
            "superior": lambda: change_superior(session, by, party, above, "划转"),
            "pause": lambda: pause(session, by, KEY, "暂停"),
            "resume": lambda: resume(session, by, KEY, "恢复"),
            "close": lambda: close(session, house, by, KEY, "提前办结"),
            "reopen": lambda: reopen_campaign(session, by, KEY, "补报"),
            "correct": lambda: correct(session, house, by, KEY, moved, to=["all"], grounds="市里改期"),
            "tell": lambda: announce(session, house, by, KEY, told, to=["all"], grounds="处务会"),
        }
        return ways[what]().id

    def undo(self, session: Session, now: datetime, place: int) -> None:
        """Take a decision back, and see that what it changed is as before."""
        if len(self.made) < -place:
            return
        number = self.made[place]
        undo(session, self.desk.house, replace(act(now), actor="staff:b"), number, "情况有变")
        self.made.remove(number)
        session.flush()
        for change in session.scalars(select(ChangeRow).where(ChangeRow.decision_id == number)):
            if change.field in COLUMNS:
                model, whose = COLUMNS[Changed(change.field)]
                value = getattr(session.get_one(model, getattr(change, whose)), change.field)
                assert (value.isoformat() if isinstance(value, datetime) else value and str(value)) == change.before
            elif change.field in (Changed.STATE, Changed.DEFINITION):
                assert getattr(session.get_one(CampaignRow, 1), change.field) == change.before

    def report(self, session: Session, now: datetime, who: str, thing: str) -> None:
        """Take in a report, which a campaign does whatever was decided."""
        party = find_party(session, 1, who)
        mine = load_obligations(session, 1, party_ids=[party.id])
        obligation = session.get_one(ObligationRow, next(o.id for o in mine if o.deliverable == thing))
        new = NewSubmission(
            obligation=obligation, channel="mail", received_at=now, state=SubmissionState.ACCEPTED, file=None
        )
        record_submission(session, act(now), new)

    def send(self, now: datetime) -> None:
        """Let leave what may; of a campaign at rest nothing is chased."""
        with self.desk.house.ledger.writing() as session:
            state = session.get_one(CampaignRow, 1).state
            shard = claim_shard(session, self.desk.house, act(now), KEY, sender="test", limit=1000)
            classes = {session.get_one(MessageRow, envelope.id).mail_class for envelope in shard.envelopes}
            assert MailClass.CHASE not in classes or state == "launched"
            assert state != "paused" or classes <= {MailClass.REPLY}
            taken = Outcome(state="sent", code=250, text="2.0.0 taken")
            results = [(envelope, taken) for envelope in shard.envelopes]
            commit_group(session, self.desk.house, act(now), shard, at_data=[], results=results)

    def stand(self) -> dict[str, Any]:
        """Return where everything stands that decisions change."""
        with self.desk.house.ledger.reading() as session:
            return stand_in(session)

    def look(self) -> None:
        """See that the rates are whole, and that nothing waits for what is not owed."""
        with self.desk.house.ledger.reading() as session:
            counted = totals(load_obligations(session, 1))
            assert counted.owed + counted.outside == self.owed_at_first
            outside = 0
            nothing_to_say = set()
            for ob, party in session.execute(
                select(ObligationRow, PartyRow).join(PartyRow, PartyRow.id == ObligationRow.party_id)
            ):
                left_before = party.left_at is not None and ob.due_at is not None and party.left_at < ob.due_at
                outside += ob.due_at is not None and (ob.exempt_at is not None or left_before)
                if ob.exempt_at is not None or party.left_at is not None:
                    nothing_to_say.add(ob.id)
            assert counted.outside == outside
            chases = session.scalars(
                select(MessageRow.id).where(
                    MessageRow.mail_class == MailClass.CHASE, MessageRow.state.in_(("planned", "deferred", "held"))
                )
            ).all()
            assert session.get_one(CampaignRow, 1).state == "launched" or not chases
            for items in items_of(session, chases).values():
                for item in items:
                    assert item.obligation_id not in nothing_to_say
                    assert item.due_at == session.get_one(ObligationRow, item.obligation_id).due_at


def stand_in(session: Session) -> dict[str, Any]:
    """Return the dues, standings, superiors and the state on record."""
    campaign = session.get_one(CampaignRow, 1)
    return {
        "owed": {o.id: (o.due, o.exempt, o.left_at, o.superior_id) for o in load_obligations(session, 1)},
        "campaign": (campaign.state, campaign.digest, campaign.definition),
    }


@pytest.fixture(scope="module")
def laddered(cast: LoadedCampaign) -> LoadedCampaign:
    """Return the campaign of the cast with a ladder."""
    return with_ladder(cast, *SHIPPED)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return folders, a fresh one whenever asked."""
    return iter(lambda: tmp_path_factory.mktemp("decisions"), None)


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(deeds=MONTHS)
def test_whatever_is_decided_the_rates_stay_whole_and_undo_restores(
    laddered: LoadedCampaign, folders: Iterator[Path], deeds: list[tuple[int, str, str, str]]
) -> None:
    folder = next(folders)
    with launched(laddered, folder, f"sqlite:///{folder / f'ledger{next(numbers)}.db'}") as desk:
        desk.send(local(5, 27, 15))
        office = Office(desk)
        with desk.house.ledger.reading() as session:
            office.owed_at_first = totals(load_obligations(session, 1)).owed
        for hour, what, who, thing in deeds:
            office.do(START + timedelta(hours=hour), what, who, thing)
            office.look()
        with desk.house.ledger.reading() as session:
            assert audit.verify(session).fault == ""
            assert all(row.grounds and row.actor for row in session.scalars(select(DecisionRow)))
