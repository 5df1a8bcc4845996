"""The operator's door: plain sentences, exit codes, and no traceback."""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from sqlalchemy import update

from cli.app import main
from cli.showing import table
from definition.loading import LoadedCampaign
from ledger.tables import ContactRow, IntakeRow, MessageRow
from mail.parsing import parse_mail
from office.samples import NOTICES
from rehearsal.clock import WorldClock
from rehearsal.post_office import PostOffice
from rules.timetable import StepKind
from tests.office.test_mailbook import LAUNCH, LOST, answered, launched, mail_of
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, Desk, local

Muster = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def muster(house: Path, tmp_path: Path) -> Muster:
    """Return a function that runs the command in an installation of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MUSTER_", "PREFECT_"))}
    own = {"MUSTER_VAR_DIR": str(tmp_path / "var"), "MUSTER_SIGNING_SECRET": "a secret for the tests only"}

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=house, env={**clean, **own, **settings}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def test_check_passes_the_shipped_campaign(muster: Muster) -> None:
    done = muster("check", "safety-month-2020")
    assert done.returncode == 0, done.stderr
    assert "57 units, 6 deliverables, no error" in done.stdout


def test_check_lists_faults_and_fails(muster: Muster, house: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(house / "campaigns" / "safety-month-2020", tmp_path / "mine")
    roster = folder / "units.csv"
    roster.write_text(roster.read_text(encoding="utf-8").replace("BH003,", "BH002,", 1), encoding="utf-8")
    done = muster("check", str(folder))
    assert done.returncode == 1
    assert "units.csv:4: code BH002 stands on line 3 already" in done.stdout


def test_the_plan_of_the_month_names_its_steps(muster: Muster) -> None:
    done = muster("plan", "safety-month-2020")
    assert done.returncode == 0, done.stderr
    assert "2020-05-29 Fri 09:00" in done.stdout  # the Sunday deadline's reminders, on Friday
    assert "活动计划表、负责人及联络员推荐表" in done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "no-such-month"), "Known campaigns: safety-month-2020"),
        (("board", "safety-month-2020"), "has not been launched"),
        (("plan", "safety-month-2020", "--as-of", "tomorrow"), "is no moment; write 2020-05-29T09:00"),
        (("run", "dance", "safety-month-2020"), "no step 'dance'"),
        (("audit",), "name a unit's code"),
        (("hand-in", "safety-month-2020", "BH001", "--received", "2020-06-01T10:00", "--grounds", "x"), "at least one"),
        (("rehearse", "--units", "0"), "--units takes a number from 1"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_sentence(muster: Muster, words: tuple[str, ...], said: str) -> None:
    done = muster(*words)
    assert done.returncode == 1
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_placeholder_secret_stops_the_start(muster: Muster) -> None:
    done = muster("run", "launch", "safety-month-2020", MUSTER_SIGNING_SECRET="change-me")
    assert done.returncode == 1
    assert "MUSTER_SIGNING_SECRET" in done.stderr


def test_a_bad_setting_names_its_variable(muster: Muster) -> None:
    done = muster("queue", MUSTER_SMTP_PORT="twenty-five")
    assert done.returncode == 1
    assert "MUSTER_SMTP_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_ledger_verifies(muster: Muster) -> None:
    done = muster("audit", "--verify")
    assert done.returncode == 0, done.stderr
    assert "0 entries" in done.stdout


def test_a_ledger_that_cannot_be_opened_is_one_sentence(muster: Muster) -> None:
    for words in (("lanes",), ("run", "deliver", "safety-month-2020")):
        done = muster(*words, MUSTER_LEDGER_URL="postgresql://muster:hush@127.0.0.1:1/muster")
        assert done.returncode == 1
        assert "the ledger cannot be opened" in done.stderr
        assert "see MUSTER_VAR_DIR and MUSTER_LEDGER_URL" in done.stderr
        assert "hush" not in done.stderr
        assert "Traceback" not in done.stderr


Door = Callable[..., tuple[int, str, str]]


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    """Return an office after its launch: BH001's mail may have left, or not."""
    with launched(cast, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        answered(opened, LAUNCH, {"BH001": LOST})
        yield opened


@pytest.fixture
def door(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Return a function that runs the command in this process, at that office: exit status, output, errors."""

    def run(*words: str, width: int = 150) -> tuple[int, str, str]:
        said, complained = io.StringIO(), io.StringIO()
        monkeypatch.setattr("cli.showing.out", Console(file=said, width=width, highlight=False))
        monkeypatch.setattr("cli.showing.err", Console(file=complained, soft_wrap=True, highlight=False))
        monkeypatch.setattr("tasks.desk.premises", lambda: desk.house)
        with pytest.raises(SystemExit) as ended:
            main(words)
        return int(ended.value.code or 0), said.getvalue(), complained.getvalue()

    return run


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


def test_a_table_that_does_not_fit_the_terminal_is_written_as_paragraphs_that_lose_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = ["id", "unit", "subject", *(f"column {n}" for n in range(5))]
    row = ["17", "BH001 天津经济技术开发区安委会", "关于报送有关材料的通知" * 3, *(f"value-{n}" for n in range(5))]
    for width in (40, 80, 120, 139):
        shown = io.StringIO()
        monkeypatch.setattr("cli.showing.out", Console(file=shown, width=width))
        table(columns, [row])
        text = "".join(shown.getvalue().split())
        assert all("".join(cell.split()) in text for cell in row), width
        assert all(cell_len(line) <= width for line in shown.getvalue().splitlines())


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


def test_serving_ends_in_order_when_it_is_told_to(house: Path, tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MUSTER_", "PREFECT_"))}
    own = {"MUSTER_VAR_DIR": str(tmp_path / "var"), "MUSTER_SIGNING_SECRET": "a secret for the tests only"}
    serving = subprocess.Popen(
        [sys.executable, "-m", "cli", "serve"],
        cwd=house, env={**clean, **own, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    assert serving.stdout is not None
    assert "looking for mail to send every 2 s" in serving.stdout.readline()
    deadline = time.monotonic() + 30
    while not (tmp_path / "var" / "ledger.db").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    serving.send_signal(signal.SIGTERM)
    assert serving.communicate(timeout=30)[0] == "ended\n"
    assert serving.returncode == 0


def test_samples_of_every_notice_reach_the_operator_and_nobody_else(muster: Muster, tmp_path: Path) -> None:
    office = PostOffice(
        WorldClock(now=datetime(2020, 5, 27, tzinfo=UTC)),
        mails=tmp_path / "mails",
        intake=tmp_path / "intake",
        intake_address="muster@office.example",
        hostname="mx.office.example",
    )
    office.start()
    try:
        relay = {"MUSTER_SMTP_PORT": str(office.port), "MUSTER_SMTP_TLS": "none"}
        done = muster("mail", "safety-month-2020", "--to-me", "me@gov.example", **relay)
    finally:
        office.stop()
    assert done.returncode == 0, done.stderr
    assert [folder.name for folder in (tmp_path / "mails").iterdir()] == ["me@gov.example"]
    subjects = [parse_mail(p.read_bytes()).subject for p in (tmp_path / "mails" / "me@gov.example").iterdir()]
    assert len(subjects) == len(NOTICES)
    assert all(subject.startswith("【样张】") for subject in subjects)
