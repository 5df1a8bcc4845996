"""The operator's door: plain sentences, exit codes, and no traceback."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from cli.showing import table
from mail.parsing import parse_mail
from office.samples import NOTICES
from rehearsal.clock import WorldClock
from rehearsal.post_office import PostOffice
from tests.cli.conftest import Door, Muster


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


def test_the_plan_of_the_month_names_its_steps(own_door: Door) -> None:
    status, said, complained = own_door("plan", "safety-month-2020")
    assert status == 0, complained
    assert "2020-05-29 Fri 09:00" in said  # the Sunday deadline's reminders, on Friday
    assert "活动计划表、负责人及联络员推荐表" in said.replace("\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "no-such-month"), "Known campaigns: safety-month-2020"),
        (("board", "safety-month-2020"), "has not been launched"),
        (("plan", "safety-month-2020", "--as-of", "tomorrow"), "is no moment; write 2020-05-29T09:00"),
        (("run", "dance", "safety-month-2020"), "no step 'dance'"),
        (("run", "remind", "safety-month-2020"), "`muster run launch safety-month-2020` launches it"),
        (("audit",), "name a unit's code"),
        (("hand-in", "safety-month-2020", "BH001", "--received", "2020-06-01T10:00", "--grounds", "x"), "at least one"),
        (("rehearse", "--units", "0"), "--units takes a number from 1"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_sentence(own_door: Door, words: tuple[str, ...], said: str) -> None:
    status, _, complained = own_door(*words)
    assert status == 1
    assert said in complained.replace("\n", " ")
    assert "Traceback" not in complained


def test_a_placeholder_secret_stops_the_start(muster: Muster) -> None:
    done = muster("run", "launch", "safety-month-2020", MUSTER_SIGNING_SECRET="change-me")
    assert done.returncode == 1
    assert "MUSTER_SIGNING_SECRET" in done.stderr


def test_a_bad_setting_names_its_variable(muster: Muster) -> None:
    done = muster("queue", MUSTER_SMTP_PORT="twenty-five")
    assert done.returncode == 1
    assert "MUSTER_SMTP_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_ledger_verifies(own_door: Door) -> None:
    status, said, complained = own_door("audit", "--verify")
    assert status == 0, complained
    assert "0 entries" in said


def test_a_ledger_that_cannot_be_opened_is_one_sentence(
    muster: Muster, own_door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql://muster:hush@127.0.0.1:1/muster"
    done = muster("run", "deliver", "safety-month-2020", MUSTER_LEDGER_URL=url)
    monkeypatch.setenv("MUSTER_LEDGER_URL", url)
    status, _, complained = own_door("lanes")
    assert (done.returncode, status) == (1, 1)
    for said in (done.stderr, complained):
        assert "the ledger cannot be opened" in said
        assert "see MUSTER_VAR_DIR and MUSTER_LEDGER_URL" in said
        assert "hush" not in said
        assert "Traceback" not in said


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


def test_serving_ends_in_order_when_it_is_told_to(house: Path, tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MUSTER_", "PREFECT_"))}
    own = {"MUSTER_VAR_DIR": str(tmp_path / "var"), "MUSTER_SIGNING_SECRET": "a secret for the tests only"}
    beat = tmp_path / "beat"
    serving = subprocess.Popen(
        [sys.executable, "-m", "cli", "serve", "--beat", str(beat)],
        cwd=house, env={**clean, **own, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    assert serving.stdout is not None
    looks = "looking for mail to send every 2 s, into muster@office.example every 20 s"
    assert serving.stdout.readline() == f"{looks}; times of Asia/Shanghai; Ctrl-C ends\n"
    deadline = time.monotonic() + 60
    while not beat.exists() and time.monotonic() < deadline:  # from then on it hears what it is told
        time.sleep(0.05)
    assert (tmp_path / "var" / "ledger.db").exists()
    serving.send_signal(signal.SIGTERM)
    assert serving.communicate(timeout=30)[0] == "ended\n"
    assert serving.returncode == 0


def test_serving_where_prefect_runs_the_steps_keeps_its_file_fresh_and_runs_none(house: Path, tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MUSTER_", "PREFECT_"))}
    own = {"MUSTER_VAR_DIR": str(tmp_path / "var"), "MUSTER_SIGNING_SECRET": "a secret for the tests only"}
    beat = tmp_path / "beat"
    serving = subprocess.Popen(
        [sys.executable, "-m", "cli", "serve", "--woken", "--beat", str(beat)],
        cwd=house, env={**clean, **own, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not beat.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    first = beat.stat().st_mtime
    while beat.stat().st_mtime == first and time.monotonic() < deadline:
        time.sleep(0.05)
    assert beat.stat().st_mtime > first
    serving.send_signal(signal.SIGTERM)
    looks = "telling Prefect what happens, looking into muster@office.example every 20 s"
    assert serving.communicate(timeout=30)[0] == f"{looks}; times of Asia/Shanghai; Ctrl-C ends\nended\n"


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
