"""What staff decide over single mails: an ambiguous one is settled, another is written anew."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.acts import Act
from ledger.errors import UnknownMessage
from ledger.outbox import attempts_of, items_of, plan_messages
from ledger.tables import AuditRow, DecisionRow, MessageRow
from office.accounts import accounts_of
from office.generations import next_generation
from office.outbox import repair
from office.settling import is_given_up, resend, settle_ambiguous
from rules.timetable import StepKind
from tests.office.test_mailbook import LATER, LOST, NO_USER, UNWELCOME, answered, launched, mail_of
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, LAUNCH, Desk, act, local

EVENING = local(5, 27, 17)


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        yield opened


def staff(at: datetime) -> Act:
    return Act(actor="staff:night", as_of=at, wall=datetime.now(UTC))


def settled(desk: Desk, mail: MessageRow, verdict: str, grounds: str = "张三来电") -> MessageRow:
    with desk.house.ledger.writing() as session:
        return settle_ambiguous(session, staff(EVENING), mail.id, verdict, grounds)


def resent(desk: Desk, mail: MessageRow, at: datetime = EVENING, grounds: str = "单位要求重发") -> MessageRow:
    with desk.house.ledger.writing() as session:
        return resend(session, desk.house, staff(at), mail.id, grounds)


def decisions(desk: Desk) -> list[DecisionRow]:
    with desk.house.ledger.reading() as session:
        assert audit.verify(session).fault == ""
        return list(session.scalars(select(DecisionRow).order_by(DecisionRow.id)))


def test_a_mail_that_arrived_counts_as_sent_when_it_was_tried(desk: Desk) -> None:
    answered(desk, LAUNCH, {"BH001": LOST})
    mail = settled(desk, mail_of(desk, "BH001"), "sent")
    assert (mail.state, mail.sent_as_of, mail.reason) == ("sent", LAUNCH, "")
    with desk.house.ledger.reading() as session:
        last = attempts_of(session, mail.id)[-1]
        assert (last.state, last.smtp_text, last.as_of) == ("sent", "it arrived: 张三来电", EVENING)
    assert answered(desk, EVENING, {}).envelopes == ()


def test_a_mail_tried_again_is_the_same_mail(desk: Desk) -> None:
    first = answered(desk, LAUNCH, {"BH001": LOST})
    before = mail_of(desk, "BH001")
    mail = settled(desk, before, "again")
    assert (mail.state, mail.not_before, mail.generation) == ("deferred", EVENING, 0)
    [envelope] = answered(desk, EVENING, {}).envelopes
    assert (envelope.id, mail.message_id) == (before.id, before.message_id)
    assert envelope.data == next(e.data for e in first.envelopes if e.id == before.id)
    assert mail_of(desk, "BH001").state == "sent"


@pytest.mark.parametrize("verdict", ["sent", "again"])
def test_a_settlement_is_a_decision_of_its_unit_in_the_trail(desk: Desk, verdict: str) -> None:
    answered(desk, LAUNCH, {"BH001": LOST})
    mail = settled(desk, mail_of(desk, "BH001"), verdict, "  张三来电  ")
    [decision] = decisions(desk)
    assert (decision.kind, decision.actor, decision.grounds) == ("mail_settled", "staff:night", "张三来电")
    assert (decision.party_id, decision.before) == (mail.party_id, {"message": mail.id, "state": "ambiguous"})
    assert decision.after == {"message": mail.id, "state": mail.state}
    with desk.house.ledger.reading() as session:
        entry = session.scalars(select(AuditRow).where(AuditRow.verb == "decision.mail_settled")).one()
        assert entry.party_id == mail.party_id


@pytest.mark.parametrize(
    ("verdict", "grounds", "said"), [("lost", "x", "--as sent"), ("sent", " ", "grounds"), ("again", "", "grounds")]
)
def test_nothing_is_settled_without_verdict_and_grounds(desk: Desk, verdict: str, grounds: str, said: str) -> None:
    answered(desk, LAUNCH, {"BH001": LOST})
    with pytest.raises(ValueError, match=said):
        settled(desk, mail_of(desk, "BH001"), verdict, grounds)
    assert mail_of(desk, "BH001").state == "ambiguous"


def test_only_an_ambiguous_mail_can_be_settled_and_the_others_are_shown_their_way(desk: Desk) -> None:
    assert "muster run deliver" in _refusal(desk, "BH001")
    answered(desk, LAUNCH, {"BH001": NO_USER, "BH025": LATER, "BH036": UNWELCOME})
    assert "muster resend" in _refusal(desk, "BH001")
    assert "tried again by itself" in _refusal(desk, "BH025")
    assert "muster release --lane tencent" in _refusal(desk, "BH036")
    with pytest.raises(UnknownMessage, match="muster mails"):
        settled(desk, MessageRow(id=4711), "sent")


def _refusal(desk: Desk, code: str) -> str:
    with pytest.raises(ValueError, match="only an ambiguous mail") as refused:
        settled(desk, mail_of(desk, code), "again")
    return str(refused.value)


def test_a_mail_is_written_anew_on_the_same_occasion(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    old = mail_of(desk, "BH001")
    new = resent(desk, old)
    assert (new.occasion, new.generation, new.caused_by, new.state) == ("launch", 1, old.id, "planned")
    assert new.message_id != old.message_id
    with desk.house.ledger.reading() as session:
        items = items_of(session, [old.id, new.id])
        assert [i[2:] for i in items[new.id]] == [i[2:] for i in items[old.id]]
        assert items[new.id]
    [decision] = decisions(desk)
    assert (decision.kind, decision.party_id) == ("mail_resent", old.party_id)
    assert decision.after == {"message": new.id, "generation": 1}
    assert [e.id for e in answered(desk, EVENING, {}).envelopes] == [new.id]


def test_a_mail_is_not_written_anew_twice_but_its_successor_may_be(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    old = mail_of(desk, "BH001")
    new = resent(desk, old)
    with pytest.raises(ValueError, match=f"see mail {new.id}, which is planned"):
        resent(desk, old)
    answered(desk, EVENING, {})
    assert resent(desk, new).generation == 2


def test_a_mail_written_anew_is_no_notice_said_twice(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    resent(desk, mail_of(desk, "BH001"))
    answered(desk, EVENING, {})
    with desk.house.ledger.writing() as session:
        assert accounts_of(session, KEY).said_twice == 0
        twin = next_generation(mail_of(desk, "BH025"), [])
        plan_messages(session, act(EVENING), 1, "office.example", [twin])
    answered(desk, EVENING, {})
    with desk.house.ledger.reading() as session:
        assert accounts_of(session, KEY).said_twice == 1  # nobody had wished it


def test_after_a_refusal_staff_and_repair_do_not_both_write(desk: Desk) -> None:
    answered(desk, LAUNCH, {"BH001": NO_USER})
    new = resent(desk, mail_of(desk, "BH001"))
    with desk.house.ledger.writing() as session:
        assert repair(session, desk.house, act(EVENING), KEY) == 0
    answered(desk, EVENING, {})
    assert mail_of(desk, "BH001").id == new.id
    assert mail_of(desk, "BH001").address == "lead@bureau.example"


def test_only_what_was_sent_bounced_or_refused_is_written_anew(desk: Desk) -> None:
    with pytest.raises(ValueError, match="muster run deliver"):
        resent(desk, mail_of(desk, "BH001"))
    answered(desk, LAUNCH, {"BH001": LOST, "BH025": LATER, "BH036": UNWELCOME})
    for code, way_out in (("BH001", "muster settle"), ("BH025", "by itself"), ("BH036", "muster release")):
        with pytest.raises(ValueError, match=way_out):
            resent(desk, mail_of(desk, code))
    with pytest.raises(ValueError, match="grounds"):
        resent(desk, mail_of(desk, "BH001"), grounds=" ")


def test_nothing_is_written_anew_to_a_unit_that_nobody_reaches(desk: Desk) -> None:
    answered(desk, LAUNCH, {"BH036": NO_USER})
    with pytest.raises(ValueError, match=f"no contact of BH036 .* works; `muster contacts {KEY}`"):
        resent(desk, mail_of(desk, "BH036"))


def test_what_is_out_of_date_is_not_written_anew(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    desk.plan(StepKind.REMIND, local(5, 29))
    answered(desk, local(5, 29), {})
    reminder = mail_of(desk, "BH001", "reminder")
    assert reminder.expires_at is not None
    with pytest.raises(ValueError, match="out of date"):
        resent(desk, reminder, at=reminder.expires_at)
    assert resent(desk, reminder, at=reminder.expires_at - timedelta(seconds=1)).expires_at == reminder.expires_at


@pytest.mark.parametrize(("tries", "given_up"), [(33, False), (34, True)])
def test_staff_are_told_that_a_mail_was_tried_too_often_to_be_tried_again(
    desk: Desk, tries: int, given_up: bool
) -> None:
    answered(desk, LAUNCH, {"BH001": LATER})
    answered(desk, local(5, 27, 16), {"BH001": LOST})
    at = LAUNCH + timedelta(days=6)
    with desk.house.ledger.writing() as session:
        session.get_one(MessageRow, mail_of(desk, "BH001").id).tries = tries
    assert is_given_up(mail_of(desk, "BH001")) is given_up
    with desk.house.ledger.writing() as session:
        settle_ambiguous(session, staff(at), mail_of(desk, "BH001").id, "again", "x")
    shard = answered(desk, at, {})
    assert list(shard.ended.values()) == (["given_up"] if given_up else [])
    assert mail_of(desk, "BH001").state == ("refused" if given_up else "sent")
