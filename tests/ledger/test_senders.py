"""What senders share: leases, connections, the pace of lanes, holds; and what a lease that ran out means for mails."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import audit, outbox, senders
from ledger.acts import Act
from ledger.campaigns import NewContact, NewParty, record_campaign, record_parties
from ledger.engine import Ledger
from ledger.errors import TakenOver, UnknownHold, UnknownMessage
from ledger.outbox import Claim, NewMessage, Result
from ledger.senders import LEASE
from ledger.tables import AuditRow, CampaignRow, ContactRow, HoldRow, MessageRow, MessageState
from rules.lanes import LanePace

NOON = datetime(2020, 5, 27, 4, tzinfo=UTC)
ACT = Act(actor="rule:test", as_of=NOON, wall=NOON, flow_run_id="run-1")
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Open one ledger of each kind for all tests; what a test writes is rolled back."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"
    opened = Ledger(request.getfixturevalue("postgres_server")() if request.param == "postgres" else url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def session(ledger: Ledger) -> Iterator[Session]:
    with Session(ledger.engine.execution_options(writes="at once"), expire_on_commit=False) as opened:
        opened.begin()
        yield opened
        opened.rollback()


def after(span: timedelta) -> Act:
    return Act(actor="rule:test", as_of=NOON, wall=NOON + span)


def sign_on(session: Session, name: str, act: Act = ACT) -> None:
    senders.sign_on(session, act, name, host="here", pid=1)


# Leases


def test_a_lease_runs_two_minutes_from_the_last_sign_of_life(session: Session) -> None:
    sign_on(session, "a")
    assert senders.live(session, NOON + LEASE) == ["a"]
    assert senders.vanished(session, NOON + LEASE) == []
    assert senders.live(session, NOON + LEASE + TICK) == []
    assert senders.vanished(session, NOON + LEASE + TICK) == ["a"]
    assert senders.renew_lease(session, "a", NOON + LEASE)
    assert senders.live(session, NOON + 2 * LEASE) == ["a"]


def test_who_was_struck_off_learns_it(session: Session) -> None:
    sign_on(session, "a")
    senders.sign_off(session, ["a"])
    assert not senders.renew_lease(session, "a", NOON)
    assert (senders.live(session, NOON), senders.vanished(session, NOON + HOUR)) == ([], [])


# Mails of senders that vanish


def claimed(session: Session) -> list[int]:
    """Return the ids of three mails claimed by a sender named late: one tried before, one at DATA, one neither."""
    row = record_campaign(session, ACT, key="month", title="月", definition={}, digest="d")
    unit = NewParty(code="U1", name="一", contacts=(NewContact(role="duty", address="u1@x.example"),))
    party = record_parties(session, ACT, row.id, [unit])["U1"]
    news = [NewMessage(party_id=party.id, notice="launch", occasion=f"decision:{n}") for n in range(3)]
    ids = [m.id for m in outbox.plan_messages(session, ACT, row.id, "x.example", news)]
    outbox.record(session, ACT, row.id, [Result(message_id=ids[0], state=MessageState.DEFERRED, tried=True)])
    sign_on(session, "late")
    contact = session.scalars(select(ContactRow.id)).one()
    outbox.claim(session, ACT, row.id, "late", [claim(id_, contact) for id_ in ids])
    assert marked(session, "late", [ids[1]])
    return ids


@pytest.fixture
def mails(session: Session) -> list[int]:
    return claimed(session)


def marked(session: Session, sender: str, ids: list[int]) -> bool:
    return outbox.commit_group(session, ACT, campaign(session), sender, at_data=ids, results=[])


def claim(id_: int, contact: int) -> Claim:
    return Claim(
        message_id=id_, contact_id=contact, address="u1@x.example", lane="default", subject="s", dated_at=NOON,
        raw_sha256="r", skeleton_sha256="k", fields={},
    )  # fmt: skip


def campaign(session: Session) -> int:
    return session.scalars(select(CampaignRow.id)).one()


def states(session: Session, ids: list[int]) -> list[str]:
    session.expire_all()
    return [session.get_one(MessageRow, id_).state for id_ in ids]


def judged(session: Session, act: Act) -> dict[int, tuple[str, str]]:
    return outbox.judge_abandoned(session, act, senders.live(session, act.wall))


def test_nobody_judges_a_sender_while_its_lease_runs(session: Session, mails: list[int]) -> None:
    assert judged(session, after(LEASE)) == {}
    assert states(session, mails) == ["claimed"] * 3


def test_what_had_not_reached_data_goes_back_and_what_had_is_ambiguous(session: Session, mails: list[int]) -> None:
    found = judged(session, after(LEASE + TICK))
    assert {id_: state for id_, (state, _) in found.items()} == dict(
        zip(mails, ["deferred", "ambiguous", "planned"], strict=True)
    )
    assert states(session, mails) == ["deferred", "ambiguous", "planned"]
    said = [a.smtp_text for id_ in mails for a in outbox.attempts_of(session, id_)[-1:]]
    assert ["before DATA" in s for s in said] == [True, False, True]
    assert "may have left" in said[1]
    assert judged(session, after(HOUR)) == {}
    assert audit.verify(session).fault == ""


def test_a_late_sender_may_send_nothing_more_until_it_signs_on_anew(session: Session, mails: list[int]) -> None:
    judged(session, after(HOUR))
    senders.sign_off(session, ["late"])
    assert not marked(session, "late", mails)
    assert senders.at_data(session) == {}


def test_what_is_at_data_is_what_was_named_last(session: Session, mails: list[int]) -> None:
    assert senders.at_data(session) == {"late": {mails[1]}}
    assert marked(session, "late", mails[1:])
    assert marked(session, "late", mails[:1])
    assert senders.at_data(session) == {"late": {mails[0]}}
    assert {id_: state for id_, (state, _) in judged(session, after(HOUR)).items()} == dict(
        zip(mails, ["ambiguous", "planned", "planned"], strict=True)
    )


def test_what_a_sender_had_of_whom_nothing_is_on_record_may_have_left(session: Session, mails: list[int]) -> None:
    senders.sign_off(session, ["late"])
    assert {state for state, _ in judged(session, ACT).values()} == {"ambiguous"}


def test_a_mark_lets_the_lease_run_on(session: Session, mails: list[int]) -> None:
    assert outbox.commit_group(session, after(LEASE), campaign(session), "late", at_data=mails, results=[])
    assert judged(session, after(2 * LEASE)) == {}


def test_of_late_results_only_those_of_ambiguous_mails_are_accepted(session: Session, mails: list[int]) -> None:
    judged(session, after(HOUR))
    sent = [Result(message_id=id_, state=MessageState.SENT, code=250, tried=True) for id_ in mails]
    with pytest.raises(TakenOver), session.begin_nested():
        outbox.commit_group(session, ACT, campaign(session), "late", at_data=[], results=sent)
    assert states(session, mails) == ["deferred", "ambiguous", "planned"]
    assert outbox.still_with(session, "late", mails) == {mails[1]}
    assert outbox.still_with(session, "other", mails) == frozenset()
    outbox.commit_group(session, ACT, campaign(session), "late", at_data=[], results=[sent[1]])
    assert states(session, mails) == ["deferred", "sent", "planned"]
    assert audit.verify(session).fault == ""


def test_only_what_has_not_reached_data_is_given_back(session: Session, mails: list[int]) -> None:
    assert outbox.give_back(session, ACT, campaign(session), "other", mails, "not sent") == 0
    assert outbox.give_back(session, ACT, campaign(session), "late", mails, "not sent") == 2
    assert states(session, mails) == ["deferred", "claimed", "planned"]


def test_what_is_claimed_cannot_be_claimed(session: Session, mails: list[int]) -> None:
    with pytest.raises(UnknownMessage, match="claim again"):
        outbox.claim(session, ACT, campaign(session), "other", [claim(mails[0], 1)])


# Connections


def test_connections_that_live_senders_hold_are_not_free(session: Session) -> None:
    for name, count in (("a", 3), ("b", 2)):
        sign_on(session, name)
        senders.hold_slots(session, name, "qq", count)
    assert senders.free_slots(session, "c", "qq", 6, NOON) == 1
    assert senders.free_slots(session, "a", "qq", 6, NOON) == 4  # its own do not count against it
    assert senders.free_slots(session, "c", "netease", 6, NOON) == 6
    assert senders.free_slots(session, "c", "qq", 4, NOON) == 0
    assert senders.renew_lease(session, "b", NOON + HOUR)
    assert senders.free_slots(session, "c", "qq", 6, NOON + HOUR) == 4  # a's lease has run out
    senders.sign_off(session, ["b"])
    assert senders.free_slots(session, "c", "qq", 6, NOON + HOUR) == 6


def test_a_sender_s_connections_are_what_it_has_opened_at_most(session: Session) -> None:
    sign_on(session, "a")
    for count in (1, 4, 2):
        senders.hold_slots(session, "a", "qq", count)
    assert senders.free_slots(session, "b", "qq", 10, NOON) == 6


# Lanes


def test_a_lane_s_pace_and_next_free_moment_stand_beside_each_other(session: Session) -> None:
    assert senders.lane_stands(session) == {}
    senders.reserve(session, "qq", NOON + HOUR)
    pace = LanePace(pace=0.25, slowed_at=NOON, closed_until=NOON + HOUR)
    senders.slow_lane(session, "qq", pace, "421 too many " + "x" * 400)
    senders.slow_lane(session, "netease", LanePace(pace=0.5, slowed_at=NOON), "451 slow down")
    session.flush()
    session.expire_all()
    stands = senders.lane_stands(session)
    assert (stands["qq"].pace, stands["qq"].next_at) == (pace, NOON + HOUR)
    assert len(stands["qq"].reason) == 300
    assert (stands["netease"].pace.pace, stands["netease"].next_at) == (0.5, None)
    senders.reserve(session, "qq", NOON)
    assert senders.lane_stands(session)["qq"].pace == pace


# Holds


def test_a_hold_is_placed_once_and_lifted_with_grounds(session: Session) -> None:
    scope = senders.scope_of_lane("qq")
    assert senders.place_hold(session, ACT, scope, "they refuse us")
    assert not senders.place_hold(session, ACT, scope, "again")
    assert [(h.scope, h.actor, h.grounds) for h in senders.holds_in_force(session)] == [
        ("lane:qq", "rule:test", "they refuse us")
    ]
    senders.lift_hold(session, after(HOUR), scope, "they take us again")
    assert senders.scopes_held(session) == frozenset()
    row = session.scalars(select(HoldRow)).one()
    assert (row.lifted_at, row.lifted_by, row.lifted_grounds) == (NOON + HOUR, "rule:test", "they take us again")
    verbs = session.scalars(select(AuditRow.verb).order_by(AuditRow.seq)).all()
    assert verbs == ["mail.held", "mail.released"]
    assert senders.place_hold(session, ACT, scope, "once more")


@pytest.mark.parametrize("grounds", ["", "  "])
def test_holds_need_grounds(session: Session, grounds: str) -> None:
    with pytest.raises(ValueError, match="grounds"):
        senders.place_hold(session, ACT, senders.EVERYTHING, grounds)
    senders.place_hold(session, ACT, senders.EVERYTHING, "x")
    with pytest.raises(ValueError, match="grounds"):
        senders.lift_hold(session, ACT, senders.EVERYTHING, grounds)


def test_who_lifts_what_is_not_held_is_told_what_is(session: Session) -> None:
    with pytest.raises(UnknownHold, match="on hold: nothing"):
        senders.lift_hold(session, ACT, "lane:qq", "x")
    senders.place_hold(session, ACT, "lane:netease", "x")
    with pytest.raises(UnknownHold, match="on hold: lane:netease"):
        senders.lift_hold(session, ACT, "lane:qq", "x")


@pytest.mark.parametrize(
    ("scopes", "held"),
    [([], False), (["all"], True), (["campaign:month"], True), (["campaign:other"], False), (["lane:qq"], False)],
)
def test_which_holds_stop_a_campaign(scopes: list[str], held: bool) -> None:
    assert senders.is_held(scopes, "month") is held
