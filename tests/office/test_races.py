"""Two at once, on either database: one of two decisions holds, a step is run once and nobody is written to twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import find_party
from ledger.facts import load_obligations
from ledger.requests import open_requests
from ledger.senders import sign_on
from ledger.tables import AuditRow, DecisionRow, ItemRow, MessageRow, StepRunRow, SubmissionRow
from mail.smtp import Outcome
from office.agenda import record_step
from office.contact_changes import change_contact, read_named
from office.exempting import exempt
from office.extending import extend
from office.outbox import claim_shard, commit_group
from office.planning import plan_step
from office.refusals import in_chinese
from office.requests import ask_extension, grant, refuse
from office.review import accept, return_to_unit
from office.units import find_obligation, find_unit
from rules.timetable import StepKind
from tests.office.test_mailbook import answered, launched
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, LAUNCH, Desk, act, local

UNIT = "BH001"
NOON = local(5, 28, 12)
MORNING = local(5, 29, 9)
Verb = Callable[[Session, Act], object]


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        answered(opened, LAUNCH, {})
        yield opened
        with opened.house.ledger.reading() as session:
            assert not audit.verify(session).fault


def at_once(works: Sequence[Callable[[], object]]) -> list[object]:
    """Do several things at the same time; return what came of each, or what refused it."""
    start = Barrier(len(works))

    def begun(work: Callable[[], object]) -> object:
        start.wait()
        try:
            return work()
        except Exception as error:  # noqa: BLE001  told by the test
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begun, works))


def decide_at_once(desk: Desk, *verbs: Verb) -> str:
    """Let as many members of staff as there are verbs send a form at once; return why all but one were refused."""
    asked = datetime.now(UTC)

    def form(number: int, verb: Verb) -> Callable[[], object]:
        def sent() -> object:
            with desk.house.ledger.writing() as session:
                find_unit(session, UNIT)  # here it waits for its turn
                who = Act(actor=f"staff:{'甲乙丙'[number]}", as_of=NOON, wall=datetime.now(UTC), asked=asked)
                return verb(session, who)

        return sent

    came = at_once([form(number, verb) for number, verb in enumerate(verbs)])
    [refusal] = [one for one in came if isinstance(one, Exception)]
    said = in_chinese(refusal, {"request": "1"})
    assert said.startswith("没有办理：")
    assert said.count("。") == 1
    assert "系统答复" not in said
    return said


def decisions(desk: Desk) -> int:
    with desk.house.ledger.reading() as session:
        return len(session.scalars(select(DecisionRow.id)).all())


def told(desk: Desk) -> list[str]:
    """Return what the unit is told of decisions."""
    with desk.house.ledger.reading() as session:
        query = select(MessageRow.notice).where(MessageRow.occasion.startswith("decision:"))
        return list(session.scalars(query))


@pytest.fixture
def version(desk: Desk) -> int:
    desk.receive(local(5, 28, 10), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    with desk.house.ledger.writing() as session:
        row = session.scalars(select(SubmissionRow)).one()
        row.state = "submitted"
        return row.id


def test_of_two_who_judge_a_version_at_once_one_does(desk: Desk, version: int) -> None:
    house, before = desk.house, decisions(desk)

    def accepted(session: Session, who: Act) -> object:
        return accept(session, house, who, version, "已核对")

    def returned(session: Session, who: Act) -> object:
        return return_to_unit(session, house, who, version, reasons=["缺少盖章"])

    said = decide_at_once(desk, accepted, returned)
    assert "已就同一事项作了决定" in said
    assert decisions(desk) == before + 1
    assert len(told(desk)) == 1


def test_of_two_who_accept_at_once_one_does_and_one_receipt_goes(desk: Desk, version: int) -> None:
    def accepted(session: Session, who: Act) -> object:
        return accept(session, desk.house, who, version, "已核对")

    assert "已经接收" in decide_at_once(desk, accepted, accepted)
    assert told(desk) == ["receipt"]


def test_of_two_who_extend_at_once_one_does(desk: Desk) -> None:
    def until(day: date) -> Verb:
        return lambda session, who: extend(
            session, desk.house, who, KEY, "scheme", to=[UNIT], until=day, grounds="来函"
        )

    decide_at_once(desk, until(date(2020, 6, 17)), until(date(2020, 6, 18)))
    assert (decisions(desk), told(desk)) == (1, ["decided"])


def test_two_who_extend_for_different_units_at_once_both_do(desk: Desk) -> None:
    asked = datetime.now(UTC) - timedelta(minutes=1)
    for who, unit in (("甲", UNIT), ("乙", "BH036")):
        with desk.house.ledger.writing() as session:
            by = Act(actor=f"staff:{who}", as_of=NOON, wall=datetime.now(UTC), asked=asked)
            extend(session, desk.house, by, KEY, "scheme", to=[unit], until=date(2020, 6, 17), grounds="来函")
    assert decisions(desk) == 2


def test_a_request_is_granted_or_refused_and_never_both(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        owed = find_obligation(session, party, "scheme")
        ask_extension(
            session, desk.house, replace(act(NOON), actor=f"unit:{UNIT}"), party, obligation_id=owed.id,
            until=date(2020, 6, 12), reason="汛期",
        )  # fmt: skip
        [request] = [r.id for r in open_requests(session)]
    decide_at_once(
        desk,
        lambda session, who: grant(session, desk.house, who, request, grounds="同意"),
        lambda session, who: refuse(session, desk.house, who, request, grounds="时间已足"),
    )
    assert len(told(desk)) == 1


def test_of_two_who_change_a_contact_at_once_one_does(desk: Desk) -> None:
    def to(address: str) -> Verb:
        named = read_named("liaison", "新人", address, "")
        return lambda session, who: change_contact(
            session, desk.house, who, find_party(session, 1, UNIT), named, "来电"
        )

    assert "已就同一事项作了决定" in decide_at_once(desk, to("a@new.example"), to("b@new.example"))


def remind(desk: Desk, sender: str) -> Callable[[], object]:
    """Return the step as a run does it: planned, sent, put on record."""

    def run() -> object:
        house = desk.house
        with house.ledger.writing() as session:
            plan_step(session, house, act(MORNING), KEY, StepKind.REMIND)
        with house.ledger.writing() as session:
            sign_on(session, act(MORNING), sender, host="here", pid=1)
        with house.ledger.thinking_first() as session:
            shard = claim_shard(session, house, act(MORNING), KEY, sender=sender, limit=1000)
        with house.ledger.writing() as session:
            results = [(envelope, Outcome(state="sent", code=250, text="taken")) for envelope in shard.envelopes]
            commit_group(session, house, act(MORNING), shard, at_data=[], results=results)
        with house.ledger.writing() as session:
            return record_step(session, act(MORNING), KEY, StepKind.REMIND)

    return run


def reminded(desk: Desk) -> Counter[tuple[int, str]]:
    with desk.house.ledger.reading() as session:
        query = select(ItemRow.obligation_id, ItemRow.rung).where(~ItemRow.gone, ItemRow.rung != "launch")
        return Counter((id_, rung) for id_, rung in session.execute(query))


def test_a_step_started_by_several_at_once_is_run_once(desk: Desk) -> None:
    came = at_once([remind(desk, f"run-{number}") for number in range(3)])
    assert [one for one in came if isinstance(one, Exception)] == []
    assert set(reminded(desk).values()) == {1}
    with desk.house.ledger.reading() as session:
        mails = session.scalars(select(MessageRow).where(MessageRow.notice == "reminder")).all()
        assert Counter(m.party_id for m in mails).most_common(1)[0][1] == 1
        assert {(m.state, m.tries) for m in mails} == {("sent", 1)}
        rows = session.scalars(select(StepRunRow).where(StepRunRow.kind == "remind")).all()
        assert (
            sum(bool(row.superseded) for row in rows)
            == len(session.scalars(select(AuditRow.seq).where(AuditRow.verb == "steps.superseded")).all())
            <= 1
        )


def test_a_decision_while_a_step_runs_comes_before_a_mail_or_after_it(desk: Desk) -> None:
    def spared() -> object:
        with desk.house.ledger.writing() as session:
            return exempt(session, desk.house, act(MORNING), KEY, "plan", to=[UNIT], grounds="合并办理")

    came = at_once([remind(desk, "run-1"), spared, remind(desk, "run-2")])
    assert [one for one in came if isinstance(one, Exception)] == []
    assert set(reminded(desk).values()) == {1}
    with desk.house.ledger.reading() as session:
        mine = {o.id for o in load_obligations(session, 1) if o.exempt}
        assert len(mine) == 1
        query = select(MessageRow.state).join(ItemRow, ItemRow.message_id == MessageRow.id)
        query = query.where(ItemRow.obligation_id.in_(mine), ~ItemRow.gone, MessageRow.notice == "reminder")
        assert set(session.scalars(query)) <= {"sent"}  # before the decision; none waits that says it
