"""The staff's digest: what waits for them, the oldest first, once a working day, and not at all if nothing does."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from definition.models import Review
from ledger.campaigns import contacts_of, find_campaign, find_party, mark_contact_bad
from ledger.tables import MessageRow
from office.digest import plan_digest, waiting_list
from office.papers import draft_orders
from office.requests import ask_extension, refuse
from rehearsal.clerk import Manner
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local
from tests.office.test_requests import ask, plan_of
from tests.office.test_review import last_mail

UNIT = "BH001"


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    """Return an office after its launch; 附件2 is reviewed by staff."""
    deliverables = tuple(
        d.model_copy(update={"review": Review.STAFF}) if d.key == "plan" else d for d in cast.campaign.deliverables
    )
    reviewed = replace(cast, campaign=cast.campaign.model_copy(update={"deliverables": deliverables}))
    with launched(reviewed, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        opened.send(local(5, 27, 15))
        yield opened


def digest(desk: Desk, at: datetime) -> int:
    with desk.house.ledger.writing() as session:
        return plan_digest(session, desk.house, act(at), KEY)


def digests(desk: Desk) -> list[str]:
    with desk.house.ledger.reading() as session:
        return list(session.scalars(select(MessageRow.occasion).where(MessageRow.notice == "digest")))


def test_nothing_waiting_means_no_mail(desk: Desk) -> None:
    assert digest(desk, local(5, 28)) == 0
    assert digests(desk) == []


def test_everything_that_waits_is_listed_the_oldest_first_with_its_age_and_command(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        contact = contacts_of(session, desk.party("BH036"))[0]
        mark_contact_bad(session, act(local(5, 28)), contact, "refused: 550")
    desk.receive(local(5, 29), UNIT, "表.xlsx", desk.form_of(UNIT, "plan"))
    desk.receive(local(6, 2), UNIT, "表4.xlsx", desk.form_of(UNIT, "progress", Manner.ABOUT))
    desk.receive(
        local(6, 3), UNIT, "猜.xlsx", b"not a workbook", sender="stranger@else.example", to="muster@office.example"
    )
    with desk.house.ledger.writing() as session:
        draft_orders(session, desk.house, act(local(6, 3, 10)), KEY)
        found = waiting_list(session, find_campaign(session, KEY), local(6, 3, 11))
    kinds = [line.kind_text for line in found.lines]
    assert kinds[:4] == ["联系方式", "待审核", "待核实", "来信未处理"]
    assert set(kinds[4:]) == {"待批准"}
    assert [line.age for line in found.lines[:4]] == ["old", "aged", "fresh", "fresh"]
    assert found.lines[0].age_text == "◆◆已等4个工作日（超过3个）"  # Thursday to Wednesday
    assert found.lines[1].age_text == "◆已等3个工作日"  # Friday to Wednesday
    assert found.old == 1
    commands = " ".join(line.command for line in found.lines)
    for command in ("muster call BH036", "muster accept 1", "muster confirm", "muster assign", "muster approve-paper"):
        assert command in commands, command


def test_a_digest_goes_once_a_working_day_to_reviewers_and_approvers(desk: Desk) -> None:
    ask(desk)  # Friday 05-29 09:00, and is told at once
    assert digests(desk) == ["digest:2020-05-29", "digest:2020-05-29:1"]
    assert digest(desk, local(5, 29, 10)) == 0
    assert digest(desk, local(5, 30)) == 0  # Saturday
    assert digest(desk, local(6, 1, 8)) == 0  # Monday, before the window opens
    assert digest(desk, local(6, 1, 8, 30)) == 2
    assert digest(desk, local(6, 1, 9)) == 0
    desk.send(local(6, 1, 9))
    row, text = last_mail(desk, "digest")
    assert row.address == "approve@office.example"
    assert "muster grant 1 或 muster refuse 1" in text
    with desk.house.ledger.writing() as session:
        refuse(session, desk.house, act(local(6, 1, 10)), 1, grounds="市里催得急")
    assert digest(desk, local(6, 2)) == 0


def test_a_second_run_of_a_step_tells_nothing_that_came_up_with_the_first(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        contact = contacts_of(session, desk.party("BH036"))[0]
        mark_contact_bad(session, act(local(5, 28)), contact, "refused: 550")
    assert digest(desk, local(5, 28)) == 0  # at the very moment
    assert digest(desk, local(5, 28, 9, 1)) == 2


def test_a_request_on_a_day_off_waits_for_the_next_working_morning(desk: Desk) -> None:
    saturday = replace(act(local(5, 30)), actor=f"unit:{UNIT}")
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, UNIT)
        ask_extension(session, desk.house, saturday, party, plan_of(desk), until=date(2020, 6, 4), reason="出差")
    assert digests(desk) == []
    assert digest(desk, local(6, 1)) == 2
