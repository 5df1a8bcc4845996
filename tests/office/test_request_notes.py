"""Approvers hear at once of an extension that was asked for after the day's digest, and not twice of any."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger.campaigns import find_party
from ledger.event_kinds import EventKind
from ledger.tables import EventRow, MessageRow, ObligationRow
from office.digest import plan_digest
from office.request_notes import note_requests
from office.requests import ask_extension, refuse
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local
from tests.office.test_review import last_mail

MORNING, NOON = local(5, 28, 9), local(5, 28, 12)


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        opened.send(local(5, 27, 15))
        yield opened


def ask(desk: Desk, code: str, at: datetime, nth: int = 0) -> int:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, code)
        query = select(ObligationRow.id).where(ObligationRow.party_id == party.id, ObligationRow.due_at.is_not(None))
        obligation = session.scalars(query.order_by(ObligationRow.id)).all()[nth]
        until = local(7, 8).date()
        request = ask_extension(session, desk.house, act(at), party, obligation, until=until, reason="汇总时间紧")
        return request.id


def note(desk: Desk, at: datetime) -> bool:
    with desk.house.ledger.writing() as session:
        return note_requests(session, desk.house, act(at), KEY)


def digest(desk: Desk, at: datetime) -> None:
    """Let the day's digest go out."""
    ask(desk, "BH025", at - timedelta(minutes=5))
    with desk.house.ledger.writing() as session:
        plan_digest(session, desk.house, act(at), KEY)
    desk.send(at)


def test_before_the_days_digest_nobody_is_told_twice(desk: Desk) -> None:
    ask(desk, "BH001", MORNING)  # plans the digest that lists it
    assert not note(desk, MORNING)


def test_an_extension_asked_for_after_the_digest_is_told_with_how_to_decide(desk: Desk) -> None:
    digest(desk, MORNING)
    number = ask(desk, "BH001", NOON)
    assert note(desk, NOON)
    desk.send(NOON)
    text = last_mail(desk, "alert")[1]
    assert "有 1 份延期申请等待处理" in text
    assert f"第 {number} 号" in text
    assert "汇总时间紧" in text
    assert "muster grant" in text


def test_told_once_it_is_not_told_again(desk: Desk) -> None:
    digest(desk, MORNING)
    ask(desk, "BH001", NOON)
    assert note(desk, NOON)
    assert not note(desk, NOON)
    desk.send(NOON)
    assert not note(desk, NOON + timedelta(minutes=30))


def test_others_within_the_hour_are_told_together_at_its_end(desk: Desk) -> None:
    digest(desk, MORNING)
    ask(desk, "BH001", NOON)
    note(desk, NOON)
    desk.send(NOON)
    ask(desk, "BH036", NOON + timedelta(minutes=10))
    assert note(desk, NOON + timedelta(minutes=10))
    ask(desk, "BH001", NOON + timedelta(minutes=20), nth=1)
    assert not note(desk, NOON + timedelta(minutes=20))
    with desk.house.ledger.reading() as session:
        moments = session.scalars(select(MessageRow.not_before).where(MessageRow.occasion.like("alert:requests:%")))
        assert list(moments) == [None, NOON + timedelta(hours=1)]
    desk.send(NOON + timedelta(hours=1))
    assert "有 3 份延期申请等待处理" in last_mail(desk, "alert")[1]


def test_what_was_decided_meanwhile_is_not_told(desk: Desk) -> None:
    digest(desk, MORNING)
    number = ask(desk, "BH001", NOON)
    with desk.house.ledger.writing() as session:
        refuse(session, desk.house, act(NOON), number, grounds="按原定时间")
    assert not note(desk, NOON)


def test_that_an_extension_was_asked_for_is_an_event(desk: Desk) -> None:
    number = ask(desk, "BH001", NOON)
    with desk.house.ledger.reading() as session:
        [told] = session.scalars(select(EventRow.payload).where(EventRow.name == EventKind.EXTENSION.value))
    assert (told["request"], told["until"]) == (number, "2020-07-08")
