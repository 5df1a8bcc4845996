"""Supervising, with small children that do what they are told: order, pauses, ends, and nothing left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from deployments.child import Child, beats, rotate, trim
from deployments.standing import MARK, AlreadyUp, Standing, end_leftovers, held_alone, leftovers, read_note
from deployments.supervisor import DidNotComeUp, Rhythm, Supervisor

QUICK = Rhythm(look=0.02, check=0.05, first_pause=0.05, longest_pause=0.2, recovered=60, patience=2, tries=2)
# A child that says when it begins and when it is told to end, and touches its file meanwhile.
LIVES = """
import pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def tell(what):
    with (folder / "story").open("a") as story:
        story.write(f"{name} {what}\\n")
def end(*_):
    tell("ends")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
tell("begins")
while not (folder / f"{name}.die").exists():
    if not (folder / f"{name}.hang").exists():
        (folder / f"{name}.beat").touch()
    time.sleep(0.02)
(folder / f"{name}.die").unlink()
sys.exit(3)
"""
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"


def living(name: str, folder: Path, *needs: str) -> Child:
    return Child(
        name=name,
        command=(sys.executable, "-c", LIVES, name, str(folder)),
        environment={MARK: str(folder.resolve())},
        needs=needs,
        check=beats(folder / f"{name}.beat", within_s=0.4),
        boot_s=20,
        stop_s=5,
    )


def story(folder: Path) -> list[str]:
    file = folder / "story"
    return file.read_text().splitlines() if file.exists() else []


class Watched:
    """A supervisor that runs in this process, with what it said."""

    def __init__(self, folder: Path, *children: Child, rhythm: Rhythm = QUICK) -> None:
        self.said: list[str] = []
        self.folder = folder
        (folder / "prefect").mkdir(exist_ok=True)
        self.supervisor = Supervisor(children, var_dir=folder, port=4200, say=self.said.append, rhythm=rhythm)
        self.ready: list[Standing] = []
        self.task = asyncio.create_task(self.supervisor.run(self.ready.append))

    async def until(self, holds: Callable[[], bool], within_s: float = 30) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, (story(self.folder), self.said, self.supervisor.standing)
            if self.task.done():
                self.task.result()
            await asyncio.sleep(0.02)

    def health(self, name: str) -> str:
        return next(one.state for one in self.supervisor.standing.children if one.name == name)

    async def stop(self) -> None:
        self.supervisor.told()
        await self.task


async def test_children_begin_after_those_they_need_and_end_in_reverse_order(tmp_path: Path) -> None:
    up = Watched(tmp_path, living("a", tmp_path), living("b", tmp_path, "a"), living("c", tmp_path, "a", "b"))
    await up.until(lambda: bool(up.ready))
    assert [(one.name, one.state, one.restarts) for one in up.ready[0].children] == [
        ("a", "well", 0),
        ("b", "well", 0),
        ("c", "well", 0),
    ]
    assert read_note(tmp_path) == up.supervisor.standing
    pids = [one.pid for one in up.ready[0].children]
    await up.stop()
    assert story(tmp_path) == ["a begins", "b begins", "c begins", "c ends", "b ends", "a ends"]
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert read_note(tmp_path) is None


async def test_what_dies_is_started_again_after_longer_and_longer_pauses(tmp_path: Path) -> None:
    up = Watched(tmp_path, living("a", tmp_path), living("b", tmp_path, "a"))
    await up.until(lambda: bool(up.ready))
    for times in (1, 2, 3, 4):
        (tmp_path / "b.die").touch()
        await up.until(lambda times=times: story(tmp_path).count("b begins") == times + 1)  # type: ignore[misc]
        await up.until(lambda: up.health("b") == "well")
    log = tmp_path / "logs" / "b.log"
    assert up.said == [
        f"b ended by itself (status 3); started again in {pause} s; see {log}"
        for pause in ("0.05", "0.1", "0.2", "0.2")
    ]
    assert [one.restarts for one in up.supervisor.standing.children] == [0, 4]
    await up.stop()


async def test_what_was_well_for_long_enough_is_started_again_after_the_first_pause(tmp_path: Path) -> None:
    quick = Rhythm(look=0.02, check=0.05, first_pause=0.05, longest_pause=0.4, recovered=0.3, patience=9)
    up = Watched(tmp_path, living("a", tmp_path), rhythm=quick)
    await up.until(lambda: bool(up.ready))
    for times in (1, 2):
        (tmp_path / "a.die").touch()
        await up.until(lambda times=times: len(up.said) == times)  # type: ignore[misc]
        await up.until(lambda: up.health("a") == "well")
        await asyncio.sleep(0.6)
    assert all("started again in 0.05 s" in said for said in up.said)
    await up.stop()


async def test_what_does_not_answer_several_times_is_started_again(tmp_path: Path) -> None:
    up = Watched(tmp_path, living("a", tmp_path))
    await up.until(lambda: bool(up.ready))
    (tmp_path / "a.hang").touch()
    await up.until(lambda: bool(up.said))
    assert up.said[0].startswith("a does not answer any more; started again in 0.05 s")
    (tmp_path / "a.hang").unlink()
    await up.until(lambda: up.health("a") == "well")
    await up.stop()


async def test_what_cannot_answer_as_the_one_it_needs_is_ill_is_left_alone(tmp_path: Path) -> None:
    patient = Rhythm(look=0.02, check=0.05, first_pause=0.05, longest_pause=0.2, patience=1000)
    up = Watched(tmp_path, living("a", tmp_path), living("b", tmp_path, "a"), rhythm=patient)
    await up.until(lambda: bool(up.ready))
    (tmp_path / "a.hang").touch()
    await up.until(lambda: up.health("a") == "ill")
    (tmp_path / "b.hang").touch()
    await asyncio.sleep(1)
    assert (up.health("a"), up.health("b")) == ("ill", "well")
    await up.stop()


async def test_a_step_is_done_once_and_what_needs_it_begins_then(tmp_path: Path) -> None:
    step = Child(name="step", command=(sys.executable, "-c", "print('deployed')"), once=True)
    up = Watched(tmp_path, step, living("a", tmp_path, "step"))
    await up.until(lambda: bool(up.ready))
    assert [(one.state, one.pid is None) for one in up.ready[0].children] == [("done", True), ("well", False)]
    assert (tmp_path / "logs" / "step.log").read_text() == "deployed\n"
    await up.stop()


async def test_a_step_that_fails_is_told_and_the_others_go_on_without_it(tmp_path: Path) -> None:
    step = Child(name="step", command=(sys.executable, "-c", "raise SystemExit('no such campaign')"), once=True)
    up = Watched(tmp_path, step, living("a", tmp_path, "step"))
    await up.until(lambda: bool(up.ready))
    assert [one.state for one in up.ready[0].children] == ["failed", "well"]
    assert "step did not come up in 2 tries" in up.said[-1]
    assert "no such campaign" in up.said[-1]
    await up.stop()


async def test_if_a_child_never_comes_up_the_others_are_ended_and_its_log_is_shown(tmp_path: Path) -> None:
    fails = (sys.executable, "-c", "raise SystemExit('no database')")
    bad = Child(name="bad", command=fails, needs=("a",), check=beats(tmp_path / "bad.beat", within_s=1))
    up = Watched(tmp_path, living("a", tmp_path), bad)
    with pytest.raises(DidNotComeUp, match=r"bad did not come up in 2 tries(.|\n)*no database"):
        await asyncio.wait_for(up.task, 30)
    assert story(tmp_path) == ["a begins", "a ends"]


async def test_a_second_signal_ends_at_once_what_does_not_heed_the_first(tmp_path: Path) -> None:
    stubborn = Child(name="stubborn", command=(sys.executable, "-c", STUBBORN), stop_s=60)
    up = Watched(tmp_path, stubborn)
    await up.until(lambda: bool(up.ready))
    await asyncio.sleep(0.3)
    up.supervisor.told()
    await asyncio.sleep(0.3)
    assert not up.task.done()
    up.supervisor.told()
    await asyncio.wait_for(up.task, 10)
    pid = up.ready[0].children[0].pid
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_what_a_child_has_started_ends_with_it(tmp_path: Path) -> None:
    nest = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {STUBBORN!r}], start_new_session=True)"
    child = Child(name="a", command=(sys.executable, "-c", nest), stop_s=1, environment={MARK: str(tmp_path)})
    up = Watched(tmp_path, child)
    await up.until(lambda: len(leftovers(tmp_path)) == 2)
    await up.until(lambda: bool(up.ready))
    await up.stop()
    assert leftovers(tmp_path) == []


SUPERVISING = """
import asyncio, sys
from pathlib import Path
from tests.deployments.test_supervisor import QUICK, living
from deployments.standing import held_alone
from deployments.supervisor import Supervisor
folder = Path(sys.argv[1])
children = [living("a", folder), living("b", folder, "a")]
with held_alone(folder):
    up = Supervisor(children, var_dir=folder, port=4200, say=print, rhythm=QUICK)
    asyncio.run(up.run(lambda _: (folder / "ready").touch()))
"""


def started(house: Path, folder: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", SUPERVISING, str(folder)], cwd=house, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not (folder / "ready").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_a_supervisor_told_by_sigterm_ends_all_its_children(house: Path, tmp_path: Path) -> None:
    process = started(house, tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert story(tmp_path) == ["a begins", "b begins", "b ends", "a ends"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what is left")
def test_if_the_supervisor_is_killed_its_children_end(house: Path, tmp_path: Path) -> None:
    process = started(house, tmp_path)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while leftovers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert leftovers(tmp_path) == []
    assert read_note(tmp_path) is None  # the note is there, and its process is not


def test_a_second_supervisor_over_the_same_folder_is_refused_as_long_as_the_first_stands(tmp_path: Path) -> None:
    with held_alone(tmp_path), pytest.raises(AlreadyUp), held_alone(tmp_path):
        pass
    with held_alone(tmp_path):
        pass


def test_what_was_left_behind_is_ended_even_if_it_does_not_heed(tmp_path: Path) -> None:
    left = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], env={**os.environ, MARK: str(tmp_path.resolve())}, start_new_session=True
    )
    other = subprocess.Popen([sys.executable, "-c", STUBBORN], env={**os.environ, MARK: "/another/folder"})
    try:
        time.sleep(0.3)
        assert end_leftovers(tmp_path) == 1
        assert left.poll() is not None
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_note_of_a_process_whose_number_another_has_now_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "prefect").mkdir()
    note = {"pid": os.getpid(), "born": 1.0, "since": "", "port": 1, "home": "", "children": [], "ready": True}
    (tmp_path / "prefect" / "up.json").write_text(json.dumps(note))
    assert read_note(tmp_path) is None
    note["born"] = psutil.Process().create_time()
    (tmp_path / "prefect" / "up.json").write_text(json.dumps(note))
    assert read_note(tmp_path) is not None


def test_logs_are_put_aside_at_each_start_and_five_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    for number in range(8):
        log.write_text(str(number))
        rotate(log)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "server.log.1": "7",
        "server.log.2": "6",
        "server.log.3": "5",
        "server.log.4": "4",
        "server.log.5": "3",
    }


def test_a_log_that_has_grown_too_large_is_put_aside_and_its_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.child.LOG_LIMIT", 9)
    log = tmp_path / "server.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(7):
            writer.write(f"line {number}\n".encode())
            trim(log)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "server.log": "line 6\n",
        "server.log.1": "line 4\nline 5\n",
        "server.log.2": "line 2\nline 3\n",
        "server.log.3": "line 0\nline 1\n",
    }


async def test_logs_are_trimmed_while_the_house_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.child.LOG_LIMIT", 2000)
    says = "import time\nwhile True: print('word' * 10, flush=True); time.sleep(0.005)"
    watched = Watched(tmp_path, Child(name="talker", command=(sys.executable, "-c", says)))
    await watched.until((tmp_path / "logs" / "talker.log.2").exists)
    assert (tmp_path / "logs" / "talker.log").stat().st_size < (tmp_path / "logs" / "talker.log.2").stat().st_size
    await watched.stop()
