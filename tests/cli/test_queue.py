"""What waits for staff: mails that came in and could not be placed, units to telephone, the audit trail."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger.campaigns import mark_contact_bad
from ledger.tables import ContactRow, IntakeRow
from mail.parsing import parse_mail
from tests.cli.conftest import Door
from tests.office.test_mailbook import LOST, answered, launched
from tests.office.test_office import KEY, LAUNCH, Desk, act, local


@pytest.fixture(scope="module")
def desk(cast: LoadedCampaign, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Return an office after its launch, to which a stranger has written; BH001's mail may have left, or not."""
    folder = tmp_path_factory.mktemp("office")
    with launched(cast, folder, f"sqlite:///{folder / 'ledger.db'}") as opened:
        answered(opened, LAUNCH, {"BH001": LOST})
        opened.receive(
            local(5, 28, 16), "BH025", "表.xlsx", b"no workbook", sender="who@else.example", to="muster@office.example"
        )
        with opened.house.ledger.writing() as session:
            contact = session.scalars(select(ContactRow).where(ContactRow.party_id == opened.party("BH036"))).one()
            mark_contact_bad(session, act(LAUNCH), contact, "refused: 550 5.1.1 no such user")
        yield opened


def test_mails_that_came_in_are_numbered_apart_and_every_kind_of_row_has_its_remedy(door: Door) -> None:
    listed = door("queue")[1]
    assert "in-1 " in listed
    assert "times of Asia/Shanghai" in listed
    assert "UTC" not in listed
    assert "2020-05-28 16:00" in listed
    assert "`muster mail in-ID` shows one" in listed
    for verb in ("assign in-ID UNIT", 'answer in-ID "…"', "dismiss in-ID --grounds …"):
        assert f"`muster {verb}" in listed, verb
    assert "`muster settle ID --as sent|again --grounds …`" in listed


def test_every_row_says_in_plain_words_why_it_waits_and_ends_with_its_verb(door: Door) -> None:
    lines = door("queue", width=300)[1].splitlines()
    came = next(line for line in lines if "in-1 " in line)
    assert "无法对应单位" in came
    assert "没有编号，发件人也未登记，无法对应单位" in came
    assert "muster mail in-1, assign, answer or dismiss" in came
    lost = next(line for line in lines if "the relay closed the connection" in line)
    assert "muster settle " in lost


def test_a_mail_that_came_in_is_shown_and_saved_as_it_came(door: Door, tmp_path: Path) -> None:
    shown = door("mail", "in-1")[1]
    for needed in ("who@else.example", "回复：通知", "2020-05-28 16:00", "no token and no known sender", "请查收"):
        assert needed in shown, needed
    assert "enclosed: 表.xlsx" in shown
    assert door("mail", "in-1", "--eml", str(tmp_path))[0] == 0
    assert parse_mail((tmp_path / "mail-in-1.eml").read_bytes()).from_address == "who@else.example"
    assert "there is no incoming mail in-55; `muster queue` lists" in door("mail", "in-55")[2]
    assert "there is no incoming mail in-x" in door("mail", "in-x")[2]


def test_why_an_address_fails_is_told_in_chinese(door: Door) -> None:
    said = "".join(door("contacts", KEY, width=300)[1].split())
    assert "12345678@qq.example：对方邮件服务器拒收，答复：“5505.1.1nosuchuser”" in said


def test_the_audit_trail_is_in_the_campaign_s_local_time(door: Door) -> None:
    shown = " ".join(door("audit", "BH036")[1].split())
    assert "audit trail of BH036, times of Asia/Shanghai" in shown
    assert "2020-05-27 15:00" in shown
    assert "UTC" not in shown


def test_what_a_stranger_wrote_is_shown_to_the_letter(door: Door, desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        row = IntakeRow(
            mailbox="m", uid="1", raw_sha256="", size=0, received_at=LAUNCH, as_of=LAUNCH, recorded_at=LAUNCH
        )
        row.state, row.subject, row.problems = "queued", "[/x] [red]回复[0]", []
        session.add(row)
    status, said, _ = door("queue")
    assert status == 0
    assert "[/x] [red]回复[0]" in said
