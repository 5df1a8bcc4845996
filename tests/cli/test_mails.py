"""What staff see of mails, and do about them."""

import hashlib
import re
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from ledger.tables import ContactRow, MessageRow
from rules.timetable import StepKind
from tests.cli.conftest import Door
from tests.office.test_mailbook import answered, mail_of
from tests.office.test_office import KEY, LAUNCH, Desk, act, local


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mail", "4711"), "there is no mail 4711; `muster mails` lists them"),
        (("mail", "99999999999999999999"), "there is no mail 99999999999999999999"),
        (("mail", "safety-month-2020"), "`muster mail safety-month-2020 --to-me ADDRESS` sends samples"),
        (("mail", "1", "--to-me", "me@gov.example", "--eml", "-"), "use one of them"),
        (("mails", "--state", "lost"), "there are planned, claimed, sent"),
        (("contacts", "no-such-month"), "Known campaigns: safety-month-2020"),
        (("hold", "--lane", "nowhere", "--grounds", "x"), "no lane 'nowhere'; there are tencent, default"),
        (("hold", "--campaign", "no-such-month", "--grounds", "x"), "there are safety-month-2020"),
        (("release", "--grounds", "x"), "on hold: nothing"),
        (("settle", "4711", "--as", "sent", "--grounds", "x"), "there is no mail 4711"),
        (("resend", "4711", "--grounds", " "), "say on what grounds"),
    ],
)
def test_what_cannot_be_done_about_mail_is_one_sentence(door: Door, words: tuple[str, ...], said: str) -> None:
    status, _, complained = door(*words)
    assert status == 1
    assert said in complained


def test_units_that_no_mail_reaches_are_listed_and_counted(door: Door, desk: Desk) -> None:
    assert "0 to be looked at" in door("contacts", KEY)[1]
    with desk.house.ledger.writing() as session:
        session.execute(update(ContactRow).where(ContactRow.party_id == desk.party("BH036")).values(bad_since=LAUNCH))
    status, said, _ = door("contacts", KEY)
    assert status == 0
    assert "没有可用的邮箱，请电话联系" in said
    assert "1 to be looked at; 没有可用的邮箱，请电话联系 1" in said


def test_holds_are_shown_with_the_lanes_until_they_are_released(door: Door) -> None:
    assert "nothing is on hold" in door("lanes")[1]
    assert "on hold: lane:tencent" in door("hold", "--lane", "tencent", "--grounds", "退信太多")[1]
    assert "nothing was changed" in door("hold", "--lane", "tencent", "--grounds", "再停")[1]
    shown = door("lanes")[1]
    assert "退信太多" in shown
    assert "再停" not in shown
    assert "tencent (on hold)" in shown
    assert "nothing is on hold" in door("release", "--lane", "tencent", "--grounds", "已查明")[1]


def test_a_mail_is_found_shown_and_written_out_to_the_byte(
    door: Door, desk: Desk, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    mail = mail_of(desk, "BH036")
    number = str(mail.id)
    assert "1 of 1 mails" in door("mails", KEY, "--unit", "BH036")[1]
    shown = door("mail", number)[1]
    for needed in (mail.message_id, "12345678@qq.example", "250 2.0.0 taken", "5月31日（星期日）24时前", "附件2"):
        assert needed in shown, needed
    assert f"`muster mail {number} --eml mail-{number}.eml` writes them" in shown
    path = tmp_path / f"mail-{number}.eml"
    assert str(path) in door("mail", number, "--eml", str(tmp_path))[1]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == mail.raw_sha256
    assert "exists already" in door("mail", number, "--eml", str(tmp_path))[2]
    assert "cannot be written" in door("mail", number, "--eml", str(tmp_path / "no" / "such.eml"))[2]
    capfdbinary.readouterr()
    assert door("mail", number, "--eml", "-") == (0, "", "")
    assert capfdbinary.readouterr().out == path.read_bytes()


def test_a_mail_whose_bytes_are_lost_is_one_sentence(door: Door, desk: Desk) -> None:
    mail = mail_of(desk, "BH036")
    assert mail.skeleton_sha256 is not None
    desk.house.files.path(mail.skeleton_sha256).unlink()
    desk.house.skeletons._by_hash.clear()
    status, said, complained = door("mail", str(mail.id))
    assert status == 1
    assert mail.message_id in said
    assert complained.startswith(f"the bytes of mail {mail.id} cannot be shown: a file of this mail is no longer")


def test_a_mail_that_has_not_left_yet_says_so(door: Door, desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29))
    number = str(mail_of(desk, "BH001", "reminder").id)
    assert "not composed yet" in door("mail", number)[1]
    status, _, complained = door("mail", number, "--eml", "-")
    assert (status, "has no bytes: not composed yet" in complained) == (1, True)


def test_an_ambiguous_mail_is_listed_settled_and_written_anew(door: Door, desk: Desk) -> None:
    number = str(mail_of(desk, "BH001").id)
    listed = door("queue")[1]
    assert "the relay closed the connection" in listed
    assert "1 to be settled" in listed
    assert f"`muster settle {number} --as sent`" in door("resend", number, "--grounds", "x")[2]
    settled = door("settle", number, "--as", "sent", "--grounds", "张三来电：已收到")
    assert (settled[0], settled[1]) == (0, f"mail {number} is settled: it arrived\n")
    assert "to be settled" not in door("queue")[1]
    anew = door("resend", number, "--grounds", "单位误删，要求重发")
    assert f"it leaves with `muster run deliver {KEY}`" in anew[1]
    assert "1 of 1 mails" in door("mails", "--state", "planned")[1]
    assert "单位误删" in door("audit", "BH001")[1]


@pytest.mark.parametrize(
    ("tries", "said"),
    [
        (1, "waits to be sent once more; it leaves with `muster run deliver safety-month-2020`"),
        (34, "was tried too often to be tried again"),
    ],
)
def test_a_mail_to_be_tried_again_waits_for_the_next_run(door: Door, desk: Desk, tries: int, said: str) -> None:
    mail = mail_of(desk, "BH001")
    with desk.house.ledger.writing() as session:
        session.execute(update(MessageRow).where(MessageRow.id == mail.id).values(tries=tries))
    assert f"mail {mail.id} {said}" in door("settle", str(mail.id), "--as", "again", "--grounds", "没有收到")[1]


def test_a_reminder_of_which_nothing_is_left_to_ask_is_said_not_to_leave(door: Door, desk: Desk) -> None:
    monday = local(6, 1, 11)
    desk.plan(StepKind.REMIND, monday)
    answered(desk, monday, {})
    asked, told = (str(mail_of(desk, code, "reminder").id) for code in ("BH036", "BH025"))
    assert "it leaves with" in door("resend", asked, "--grounds", "单位误删")[1]
    for form in ("plan", "liaison"):
        desk.receive(monday, "BH025", "表.xlsx", desk.form_of("BH025", form))
    said = door("resend", told, "--grounds", "单位误删")[1]
    assert "but it will not leave: all that it asks for was reported meanwhile" in said
    assert "it leaves with" not in said
    answered(desk, monday, {})
    assert "superseded: nothing_left" in door("mail", re.findall(r"mail (\d+) is planned", said)[0])[1]


def test_a_mail_that_waits_says_why_and_when_it_can_go(door: Door, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.plan(StepKind.REMIND, local(5, 29))
    number = mail_of(desk, "BH036", "reminder").id

    def said_at(at: datetime) -> str:
        monkeypatch.setattr("cli.mails.act", lambda: act(at))
        listed = door("mails", "--unit", "BH036", "--notice", "reminder", width=400)[1]
        shown = next(line for line in door("mail", str(number))[1].splitlines() if line.startswith("waits: "))
        assert shown.removeprefix("waits: ") in listed
        return shown

    assert "ready: leaves with the next run" in said_at(local(5, 29))
    early, late = said_at(local(5, 29, 5)), said_at(local(5, 29, 23))
    assert "outside the sending window (08:30–18:00); goes from 2020-05-29 08:30" in early
    assert "goes from 2020-05-30 08:30" in late
    door("hold", "--campaign", KEY, "--grounds", "先停")
    assert f"on hold (campaign:{KEY}: 先停); goes after `muster release --campaign {KEY}`" in said_at(local(5, 29))
    door("release", "--campaign", KEY, "--grounds", "已查明")
    with desk.house.ledger.writing() as session:
        told = update(MessageRow).where(MessageRow.notice == "launch")  # as if they had been reminders of that morning
        address = {"mail_class": "chase", "address": mail_of(desk, "BH036").address, "sent_as_of": local(5, 29, 10)}
        session.execute(told.values(state="sent", **address))
        session.execute(update(MessageRow).where(MessageRow.id == number).values(not_before=local(5, 29, 15)))
    assert "goes from 2020-05-29 15:00" in said_at(local(5, 29, 14))
    assert "reminders of the day; goes from 2020-05-30 08:30" in said_at(local(5, 29, 16))
    with desk.house.ledger.writing() as session:
        session.execute(update(ContactRow).where(ContactRow.party_id == desk.party("BH036")).values(bad_since=LAUNCH))
    assert "no contact works; goes once `muster contact` names one" in said_at(local(5, 29, 16))
