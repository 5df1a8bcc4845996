"""Laws of decisions, whatever is decided in whatever order: they add up, are taken back whole, and replay."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import find_party, latest_campaign
from ledger.decisions import value_at
from ledger.engine import Ledger
from ledger.errors import LedgerError
from ledger.facts import load_obligations
from ledger.submissions import NewSubmission, record_submission
from ledger.tables import Changed, DecisionRow, ItemRow, MessageRow, ObligationRow, SubmissionRow
from office.correcting import Correction, correct
from office.exempting import exempt
from office.extending import extend
from office.leaving import change_superior, come_back, leave
from office.outbox import claim_shard
from office.pausing import close, pause, reopen_campaign, resume
from office.planning import plan_step
from office.premises import Premises
from office.review import return_to_unit
from office.undoing import undo
from rules.obligations import Obligation, SubmissionState, is_owed
from rules.rates import totals
from rules.timetable import StepKind
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, act, local

CODES = ("BH001", "BH025", "BH036")
WHY = "处务会议定"
UNDO = "undo"


@dataclass
class Play:
    """A campaign in which somebody decides; what was known after each act is remembered."""

    house: Premises
    now: datetime
    known: dict[datetime, object] = field(default_factory=dict)

    @property
    def act(self) -> Act:
        return replace(act(self.now), actor="staff:chen")


def _extend(session: Session, play: Play, code: str, day: date) -> None:
    extend(session, play.house, play.act, KEY, "plan", to=[code], until=day, grounds=WHY)


def _exempt(session: Session, play: Play, code: str, day: date) -> None:
    exempt(session, play.house, play.act, KEY, "plan" if day.day % 2 else "report", to=[code], grounds=WHY)


def _leave(session: Session, play: Play, code: str, day: date) -> None:
    leave(session, play.house, play.act, find_party(session, 1, code), WHY)


def _back(session: Session, play: Play, code: str, day: date) -> None:
    come_back(session, play.house, play.act, find_party(session, 1, code), WHY)


def _superior(session: Session, play: Play, code: str, day: date) -> None:
    change_superior(session, play.act, find_party(session, 1, code), CODES[day.day % 3], WHY)


def _pause(session: Session, play: Play, code: str, day: date) -> None:
    pause(session, play.act, KEY, WHY)


def _resume(session: Session, play: Play, code: str, day: date) -> None:
    resume(session, play.act, KEY, WHY)


def _close(session: Session, play: Play, code: str, day: date) -> None:
    close(session, play.house, play.act, KEY, WHY)


def _reopen(session: Session, play: Play, code: str, day: date) -> None:
    reopen_campaign(session, play.act, KEY, WHY, until=day + timedelta(days=30))


def _correct(session: Session, play: Play, code: str, day: date) -> None:
    to = ["all"] if day.day % 2 else [code]
    correct(
        session, play.house, play.act, KEY, Correction(said="改期", deliverable="plan", until=day), to=to, grounds=WHY
    )


def _hand_in(session: Session, play: Play, code: str, day: date) -> None:
    party = find_party(session, 1, code).id
    obligation = session.scalars(select(ObligationRow).where(ObligationRow.party_id == party)).first()
    assert obligation is not None
    new = NewSubmission(
        obligation=obligation, channel="portal", received_at=play.now, state=SubmissionState.ACCEPTED, file=None,
        intake_id=None,
    )  # fmt: skip
    record_submission(session, play.act, new)


def _return(session: Session, play: Play, code: str, day: date) -> None:
    query = select(SubmissionRow.id).order_by(SubmissionRow.id.desc())
    last = session.scalars(query).first()
    if last is not None:
        return_to_unit(session, play.house, play.act, last, reasons=[code], due=day)


def _remind(session: Session, play: Play, code: str, day: date) -> None:
    plan_step(session, play.house, play.act, KEY, StepKind.REMIND)


def _escalate(session: Session, play: Play, code: str, day: date) -> None:
    plan_step(session, play.house, play.act, KEY, StepKind.ESCALATE)


def _send(session: Session, play: Play, code: str, day: date) -> None:
    claim_shard(session, play.house, play.act, KEY, sender="test", limit=2)


def _undo(session: Session, play: Play, code: str, day: date) -> None:
    made = session.scalars(select(DecisionRow.id).order_by(DecisionRow.id.desc())).all()
    if made:
        undo(session, play.house, play.act, made[(day.day + CODES.index(code)) % min(4, len(made))], WHY)


DECIDING = (_extend, _exempt, _leave, _back, _superior, _pause, _resume, _close, _reopen, _correct)
OTHERS = (_hand_in, _return, _remind, _escalate, _send, _undo)
Deed = Callable[[Session, Play, str, date], None]
DEEDS = st.tuples(
    st.sampled_from((*DECIDING, *OTHERS, _undo, _remind)),
    st.sampled_from(CODES),
    st.integers(min_value=1, max_value=30).map(lambda day: date(2020, 6, day)),
    st.integers(min_value=1, max_value=40),
)


@pytest.fixture(scope="module")
def stage(cast: LoadedCampaign, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Premises]:
    """Return a ledger just after its launch, to be copied, and the premises it belongs to."""
    folder = tmp_path_factory.mktemp("law")
    with launched(cast, folder, f"sqlite:///{folder / 'first.db'}") as opened:
        opened.send(local(5, 27, 15))
        premises = opened.house
    return folder, premises


def values(session: Session) -> object:
    """Return what decisions can change, as it is now."""
    row = latest_campaign(session)
    obligations = [(o.id, o.due, o.exempt, o.left_at, o.superior_id) for o in load_obligations(session, row.id)]
    return row.state, row.digest, obligations


def known(session: Session, at: datetime | None) -> object:
    """Return all that is known of the campaign, now or as it was known at a moment."""
    row = latest_campaign(session)
    moment = at or datetime.max.replace(tzinfo=local(5, 27).tzinfo)
    campaign = [value_at(session, row, field, moment) for field in (Changed.STATE, Changed.DEFINITION)]
    return campaign, [o._replace(first_due=None) for o in load_obligations(session, row.id, known_at=at)]


def check(session: Session) -> None:
    """Check that the rates add up, and that nothing waits to be said that is not so."""
    obligations = {o.id: o for o in load_obligations(session, 1)}
    counted = totals(obligations.values())
    assert counted.owed + counted.outside == sum(not o.voluntary for o in obligations.values())
    assert counted.reported + counted.returned + counted.missing == counted.owed
    for party_id, obligation_id, due in _waiting(session):
        assert latest_campaign(session).state == "launched"
        about: Obligation = obligations[obligation_id]
        assert is_owed(about), about
        assert about.due == due
        assert party_id == about.party_id or about.superior_id is not None


def _waiting(session: Session) -> list[tuple[int, int, datetime | None]]:
    query = (
        select(MessageRow.party_id, ItemRow.obligation_id, ItemRow.due_at)
        .join(ItemRow, ItemRow.message_id == MessageRow.id)
        .where(MessageRow.mail_class == "chase", MessageRow.state.in_(("planned", "deferred", "held")), ~ItemRow.gone)
    )
    handed_in = select(SubmissionRow.obligation_id).where(SubmissionRow.state != "returned")
    rows = session.execute(query.where(ItemRow.obligation_id.not_in(handed_in)))
    return [(party, obligation, due) for party, obligation, due in rows]


def do(play: Play, deed: Deed, code: str, day: date) -> None:
    """Do something; what is refused must have changed nothing."""
    with play.house.ledger.reading() as session:
        before = values(session)
    try:
        with play.house.ledger.writing() as session:
            deed(session, play, code, day)
    except (ValueError, LedgerError):
        with play.house.ledger.reading() as session:
            assert values(session) == before
        return
    if deed in DECIDING:
        undo_and_redo(play, before)


def undo_and_redo(play: Play, before: object) -> None:
    """Check that taking the last decision back restores everything, and taking that back too."""
    with play.house.ledger.writing() as session:
        after = values(session)
        number = session.scalars(select(DecisionRow.id).order_by(DecisionRow.id.desc())).first()
        assert number is not None
        back = undo(session, play.house, play.act, number, WHY).id
        assert values(session) == before
        check(session)
        undo(session, play.house, play.act, back, WHY)
        assert values(session) == after


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=st.lists(DEEDS, min_size=4, max_size=14))
def test_decisions_add_up_are_taken_back_whole_and_are_replayed(
    stage: tuple[Path, Premises], deeds: list[tuple[Deed, str, date, int]]
) -> None:
    folder, first = stage
    shutil.copy(folder / "first.db", folder / "now.db")
    ledger = Ledger(f"sqlite:///{folder / 'now.db'}")
    play = Play(house=replace(first, ledger=ledger), now=local(5, 28))
    try:
        for deed, code, day, hours in deeds:
            play.now += timedelta(hours=hours)
            do(play, deed, code, day)
            with ledger.reading() as session:
                check(session)
                play.known[play.now] = known(session, None)
        with ledger.reading() as session:
            assert not audit.verify(session).fault
            for moment, then in play.known.items():
                assert known(session, moment) == then
    finally:
        ledger.close()
