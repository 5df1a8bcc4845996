"""Decisions: extension, exemption, leaving, superiors, pause and close; each with grounds, each taken back."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.acts import Act
from ledger.campaigns import find_party
from ledger.facts import load_obligations
from ledger.tables import CampaignRow, ChangeRow, DecisionRow, MessageRow, ObligationRow, PartyRow, RequestRow
from office.consolidation import consolidate_campaign
from office.contact_changes import change_contact, read_named
from office.decision_list import decisions
from office.exempting import exempt
from office.extending import extend
from office.leaving import change_superior, come_back, leave
from office.outbox import claim_shard
from office.paper import record_original
from office.pausing import close, pause, reopen_campaign, resume
from office.planning import decide
from office.refusals import NotPossible
from office.requests import ask_extension, grant, refuse
from office.review import accept, return_to_unit
from office.rulebook import open_book
from office.undoing import undo
from rules.obligations import Obligation, Standing, is_owed, standing
from rules.rates import Totals, totals
from rules.timetable import StepKind
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local
from tests.office.test_review import last_mail

UNIT, OTHER = "BH001", "BH036"


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """Return an office after its launch, on each kind of database in turn."""
    with launched(cast, tmp_path, ledger_url) as opened:
        opened.send(local(5, 27, 15))
        yield opened


def staff(at: datetime) -> Act:
    return replace(act(at), actor="staff:chen")


def of(desk: Desk, code: str, deliverable: str, known_at: datetime | None = None) -> Obligation:
    with desk.house.ledger.reading() as session:
        mine = load_obligations(session, 1, party_ids=[find_party(session, 1, code).id], known_at=known_at)
        return next(o for o in mine if o.deliverable == deliverable)


def rates(desk: Desk, known_at: datetime | None = None) -> Totals:
    with desk.house.ledger.reading() as session:
        return totals(load_obligations(session, 1, known_at=known_at))


def waiting(session: Session, notice: str) -> list[MessageRow]:
    return list(session.scalars(select(MessageRow).where(MessageRow.notice == notice, MessageRow.state == "planned")))


def extended(desk: Desk, at: datetime, *to: str, until: date = date(2020, 6, 4)) -> int:
    with desk.house.ledger.writing() as session:
        return extend(
            session, desk.house, staff(at), KEY, "plan", to=to or (UNIT,), until=until, grounds="市里推迟汇总"
        ).id


def undone(desk: Desk, number: int, at: datetime) -> int:
    with desk.house.ledger.writing() as session:
        return undo(session, desk.house, staff(at), number, "情况有变").id


def verified(desk: Desk) -> bool:
    with desk.house.ledger.reading() as session:
        return not audit.verify(session).fault


def test_an_extension_for_everybody_moves_all_dates_and_tells_who_still_owes(desk: Desk) -> None:
    desk.receive(local(5, 28), OTHER, "表.xlsx", desk.form_of(OTHER, "plan"))
    desk.send(local(5, 28))
    number = extended(desk, local(5, 29), "all")
    assert {of(desk, code, "plan").due for code in (UNIT, OTHER, "BH025")} == {local(6, 5, 0)}
    assert desk.send(local(5, 29, 10)).outcomes["sent"] == 2
    row, text = last_mail(desk, "decided")
    assert row.occasion == f"decision:{number}"
    assert "6月4日（星期四）24时前" in text
    assert verified(desk)


def test_an_extension_taken_back_repeats_nothing_that_was_said(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29))
    desk.send(local(5, 29))
    number = extended(desk, local(5, 29, 10))
    desk.send(local(5, 29, 10))
    undone(desk, number, local(5, 29, 11))
    assert of(desk, UNIT, "plan").due == local(6, 1, 0)
    desk.send(local(5, 29, 11))
    assert "此前给予的延期已收回" in last_mail(desk, "decided")[1]
    assert desk.plan(StepKind.REMIND, local(5, 29, 12)) == {}
    assert of(desk, UNIT, "plan", known_at=local(5, 29, 10)).due == local(6, 5, 0)
    assert of(desk, UNIT, "plan", known_at=local(5, 29, 9)).due == local(6, 1, 0)
    assert verified(desk)


def test_an_extension_that_was_never_told_is_taken_back_without_a_word(desk: Desk) -> None:
    undone(desk, extended(desk, local(5, 29)), local(5, 29, 10))
    assert not desk.send(local(5, 29, 11)).outcomes


def test_an_extension_meets_the_request_that_waits(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        obligation = of(desk, UNIT, "plan").id
        ask_extension(session, desk.house, act(local(5, 28)), party, obligation, until=date(2020, 6, 3), reason="出差")
    number = extended(desk, local(5, 29))
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(RequestRow)).one().decision_id == number


def test_a_granted_request_is_taken_back_too_and_a_refused_one_waits_again(desk: Desk) -> None:
    def ask(day: int) -> int:
        with desk.house.ledger.writing() as session:
            party, mine = find_party(session, 1, UNIT), of(desk, UNIT, "plan").id
            wish = {"until": date(2020, 6, 4), "reason": "出差"}
            return ask_extension(session, desk.house, act(local(5, day)), party, mine, **wish).id  # type: ignore[arg-type]

    with desk.house.ledger.writing() as session:
        asked = ask(28)
        given = grant(session, desk.house, staff(local(5, 28)), asked, grounds="同意").id
    undone(desk, given, local(5, 28, 10))
    assert of(desk, UNIT, "plan").due == local(6, 1, 0)
    with desk.house.ledger.writing() as session:
        second = refuse(session, desk.house, staff(local(5, 29)), asked, grounds="不行").id
    undone(desk, second, local(5, 29, 10))
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(RequestRow).order_by(RequestRow.id.desc())).first().decision_id is None  # type: ignore[union-attr]


def test_an_exemption_withdraws_the_reminder_leaves_the_rates_and_is_told(desk: Desk) -> None:
    before = rates(desk)
    desk.plan(StepKind.REMIND, local(5, 29, 19))
    with desk.house.ledger.writing() as session:
        number = exempt(session, desk.house, staff(local(5, 29, 20)), KEY, "plan", to=["all"], grounds="并入综合表").id
        exempt(session, desk.house, staff(local(5, 29, 20)), KEY, "liaison", to=[UNIT], grounds="已有登记")
        assert len(waiting(session, "reminder")) == 2  # of 附件3; the third has nothing left to say
    assert rates(desk).owed == before.owed - 4
    assert standing(of(desk, UNIT, "plan")) is Standing.EXEMPT
    desk.send(local(5, 30))
    assert "免予报送" in last_mail(desk, "decided")[0].subject  # type: ignore[operator]
    undone(desk, number, local(5, 30, 10))
    assert rates(desk).owed == before.owed - 1
    assert rates(desk, local(5, 29, 21)).owed == before.owed - 4
    assert is_owed(of(desk, UNIT, "plan"))


def test_a_unit_that_leaves_is_out_of_what_is_to_come_and_stays_in_what_was_due(desk: Desk) -> None:
    before = rates(desk)
    mine = len([o for o in _all(desk) if o.party_id == desk.party(UNIT) and o.due is not None])
    with desk.house.ledger.writing() as session:
        number = leave(session, desk.house, staff(local(6, 3)), find_party(session, 1, UNIT), "撤销").id
    assert rates(desk).outside == mine - 2  # 附件2 and 附件3 were due on 05-31
    assert rates(desk).owed == before.owed - mine + 2
    assert desk.plan(StepKind.ESCALATE, local(6, 3))  # for the two that stay
    assert not any(is_owed(o) for o in _all(desk) if o.party_id == desk.party(UNIT))
    undone(desk, number, local(6, 4))
    assert rates(desk) == before
    assert rates(desk, local(6, 3, 10)).outside == mine - 2
    assert verified(desk)


def test_a_unit_that_comes_back_owes_what_it_missed_by_the_joiners_day(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        leave(session, desk.house, staff(local(5, 29)), find_party(session, 1, UNIT), "借调")
    with desk.house.ledger.writing() as session:
        come_back(session, desk.house, staff(local(6, 3)), find_party(session, 1, UNIT), "回来了")
    assert of(desk, UNIT, "plan").due == local(6, 9, 0)  # three working days: Thursday, Friday, Monday
    assert is_owed(of(desk, UNIT, "plan"))
    assert of(desk, UNIT, "plan", known_at=local(6, 1)).left_at == local(5, 29)


def test_a_wrongly_joined_unit_is_taken_back_by_leaving(desk: Desk, cast: LoadedCampaign) -> None:
    from office.launching import join_unit  # noqa: PLC0415

    with desk.house.ledger.writing() as session:
        join_unit(session, staff(local(5, 28)), KEY, replace(cast.units[0], code="NEW"), "新设")
        number = session.scalars(select(DecisionRow.id).where(DecisionRow.kind == "unit_joined")).one()
    undone(desk, number, local(5, 29))
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(PartyRow).where(PartyRow.code == "NEW")).one().left_at is not None
    with pytest.raises(NotPossible, match="taken back before"):
        undone(desk, number, local(5, 30))


def test_a_list_that_waits_for_the_old_superior_goes_to_the_new_one(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        session.execute(update(CampaignRow).values(live=True))
        change_superior(session, staff(local(5, 28)), find_party(session, 1, UNIT), OTHER, "划转")
    for day in (3, 4, 5):
        desk.plan(StepKind.ESCALATE, local(6, day))
        if day < 5:
            desk.send(local(6, day))
    with desk.house.ledger.writing() as session:
        digests = [m for m in waiting(session, "escalation_digest") if m.party_id == desk.party(OTHER)]
        number = change_superior(session, staff(local(6, 5)), find_party(session, 1, UNIT), "BH025", "再划转").id
        after = [m for m in waiting(session, "escalation_digest") if m.party_id == desk.party(OTHER)]
        assert len(after) == 0
    if digests:
        desk.plan(StepKind.ESCALATE, local(6, 5, 10))
    assert of(desk, UNIT, "plan").superior_id == desk.party("BH025")
    assert of(desk, UNIT, "plan", known_at=local(6, 4)).superior_id == desk.party(OTHER)
    undone(desk, number, local(6, 6))
    assert of(desk, UNIT, "plan").superior_id == desk.party(OTHER)


def test_nobody_stands_above_itself(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        change_superior(session, staff(local(5, 28)), find_party(session, 1, UNIT), OTHER, "划转")
        with pytest.raises(NotPossible, match="stands below"):
            change_superior(session, staff(local(5, 28)), find_party(session, 1, OTHER), UNIT, "划转")


def test_a_paused_campaign_chases_nobody_and_resumed_sends_only_the_latest_reminder(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29, 19))
    with desk.house.ledger.writing() as session:
        pause(session, staff(local(5, 29, 20)), KEY, "疫情")
        assert waiting(session, "reminder") == []
    for day in (30, 31):
        assert desk.plan(StepKind.REMIND, local(5, day)) == {}
    with desk.house.ledger.reading() as session:
        row, book = open_book(session, KEY)
        assert set(decide(session, row, book, StepKind.REMIND, act(local(5, 31)), replay=False).skips) == {
            "campaign_paused"
        }
    done = desk.receive(local(5, 31), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    assert dict(done.answers) == {"receipt": 1}
    assert desk.send(local(5, 31, 10)).outcomes["sent"] == 1
    with desk.house.ledger.writing() as session:
        resume(session, staff(local(6, 2)), KEY, "恢复")
    planned = desk.plan(StepKind.REMIND, local(6, 2))
    assert planned == {"reminder": 3}
    with desk.house.ledger.reading() as session:
        row, book = open_book(session, KEY)
        then = decide(session, row, book, StepKind.REMIND, act(local(5, 31)), replay=True)
        assert set(then.skips) == {"campaign_paused"}
    assert verified(desk)


def test_what_goes_in_bulk_waits_while_paused_and_leaves_then(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        close(session, desk.house, staff(local(6, 10)), KEY, "提前办结")
        reopen_campaign(session, staff(local(6, 10)), KEY, "还没完")
        number = pause(session, staff(local(6, 10)), KEY, "等通知").id
        shard = claim_shard(session, desk.house, act(local(6, 10)), KEY, sender="test", limit=10)
        assert {str(why) for why in shard.unsent.values()} == {"campaign_paused"}
    undone(desk, number, local(6, 10, 10))
    assert desk.send(local(6, 10, 11)).outcomes["sent"] == 3


def test_a_campaign_closed_early_tells_each_unit_once_and_takes_corrections(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        number = close(session, desk.house, staff(local(6, 10)), KEY, "提前办结").id
    assert desk.send(local(6, 10)).outcomes["sent"] == 3
    assert desk.plan(StepKind.REMIND, local(6, 11)) == {}
    desk.receive(local(6, 12), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    assert desk.standings(UNIT)["plan"] is Standing.ACCEPTED
    desk.send(local(6, 12))
    assert "（活动结束后报送）" in last_mail(desk, "receipt")[1]
    with desk.house.ledger.writing() as session:
        planned = consolidate_campaign(session, desk.house, act(local(7, 10, 17)), KEY).planned
        assert "closing" not in planned
    undone(desk, number, local(7, 10, 17))
    with desk.house.ledger.reading() as session:
        assert open_book(session, KEY)[0].state == "launched"


def test_a_reopened_campaign_goes_on_till_another_day(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        consolidate_campaign(session, desk.house, act(local(7, 10, 17)), KEY)
        assert open_book(session, KEY)[0].state == "closed"
        with pytest.raises(NotPossible, match="has passed"):
            reopen_campaign(session, staff(local(7, 11)), KEY, "补报")
        number = reopen_campaign(session, staff(local(7, 11)), KEY, "补报", until=date(2020, 7, 20)).id
        row, book = open_book(session, KEY)
        assert (row.state, book.campaign.closes_on) == ("launched", date(2020, 7, 20))
    undone(desk, number, local(7, 12))
    with desk.house.ledger.reading() as session:
        row, book = open_book(session, KEY)
        assert (row.state, book.campaign.closes_on) == ("closed", date(2020, 7, 10))
    assert verified(desk)


def test_a_decision_overtaken_by_a_later_one_is_not_taken_back_before_that(desk: Desk) -> None:
    first = extended(desk, local(5, 28))
    second = extended(desk, local(5, 28, 10), until=date(2020, 6, 8))
    with pytest.raises(NotPossible, match=f"overtaken by decision {second}"):
        undone(desk, first, local(5, 29))
    third = undone(desk, second, local(5, 29))
    undone(desk, first, local(5, 29))
    assert of(desk, UNIT, "plan").due == local(6, 1, 0)
    with pytest.raises(NotPossible, match="taken back before"):
        undone(desk, first, local(5, 29))
    with pytest.raises(NotPossible, match="changed again since"):
        undone(desk, third, local(5, 30))


def test_taking_back_may_be_taken_back(desk: Desk) -> None:
    first = extended(desk, local(5, 28))
    undone(desk, undone(desk, first, local(5, 28, 10)), local(5, 28, 11))
    assert of(desk, UNIT, "plan").due == local(6, 5, 0)
    undone(desk, first, local(5, 28, 12))
    assert of(desk, UNIT, "plan").due == local(6, 1, 0)


def test_judgements_contacts_and_originals_are_taken_back_by_the_same_verb(desk: Desk) -> None:
    desk.receive(local(5, 28), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    version = 1
    with desk.house.ledger.writing() as session:
        sent_back = return_to_unit(session, desk.house, staff(local(5, 28, 10)), version, reasons=["盖章"]).id
    undone(desk, sent_back, local(5, 28, 11))
    with desk.house.ledger.writing() as session:
        judged = accept(session, desk.house, staff(local(5, 28, 12)), version, "无误").id
    undone(desk, judged, local(5, 28, 13))
    assert desk.standings(UNIT)["plan"] is Standing.SUBMITTED
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        named = read_named("duty", "王", "wang@bureau.example")
        changed = change_contact(session, desk.house, staff(local(5, 28, 14)), party, named, "来电")
        assert changed is not None
        number = changed.id
    undone(desk, number, local(5, 28, 15))
    with desk.house.ledger.reading() as session:
        last = session.scalars(select(DecisionRow).order_by(DecisionRow.id.desc())).first()
        assert last is not None
        assert (last.after["address"], last.reverses) == ("duty@bureau.example", number)


def test_an_original_is_a_decision_that_is_taken_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from definition.models import Deliverable  # noqa: PLC0415

    monkeypatch.setattr(Deliverable, "original", property(lambda _: True), raising=False)
    with desk.house.ledger.writing() as session:
        obligation = session.get_one(ObligationRow, of(desk, UNIT, "report").id)
        number = record_original(session, staff(local(6, 2)), obligation, local(6, 1), "专人送来").id
        assert obligation.original_at == local(6, 1)
    undone(desk, number, local(6, 3))
    with desk.house.ledger.reading() as session:
        assert session.get_one(ObligationRow, of(desk, UNIT, "report").id).original_at is None


def test_decisions_are_listed_with_whether_they_hold(desk: Desk) -> None:
    undone(desk, extended(desk, local(5, 28)), local(5, 28, 10))
    with desk.house.ledger.reading() as session:
        rows = decisions(session, ZoneInfo("Asia/Shanghai"), 1, find_party(session, 1, UNIT))
        assert decisions(session, ZoneInfo("Asia/Shanghai"), 1, find_party(session, 1, OTHER)) == []
    assert [(what, why, holds) for _, _, what, _, _, why, holds in rows] == [
        ("延期", "市里推迟汇总", "undone by 2"),
        ("收回决定 1（延期）", "情况有变", ""),
    ]


def test_what_a_decision_changed_cannot_be_rewritten_unnoticed(desk: Desk) -> None:
    extended(desk, local(5, 28))
    with desk.house.ledger.engine.begin() as connection:
        for trigger in ("changes_no_update", "changes_append_only ON changes"):
            dialect = connection.dialect.name
            if (" ON " in trigger) == (dialect == "postgresql"):
                connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
        connection.execute(update(ChangeRow).values(after="2020-07-01T00:00:00+00:00"))
    assert not verified(desk)


def _all(desk: Desk) -> list[Obligation]:
    with desk.house.ledger.reading() as session:
        return load_obligations(session, 1)
