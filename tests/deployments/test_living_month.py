"""A month that passes by itself: a real server, worker and service under `muster up`, killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import psutil
import pytest
from sqlalchemy import func, select

from deployments.stage import Stage
from deployments.standing import leftovers
from ledger import audit
from ledger.facts import load_obligations
from ledger.steps import last_runs
from ledger.tables import CampaignRow, IntakeRow, ItemRow, MessageRow, PartyRow, StepRunRow
from office.accounts import Accounts, accounts_of
from rehearsal.temperaments import Temperament
from rules.obligations import Obligation, Standing, is_on_time, standing
from rules.rates import Totals, totals
from settings import HOUSE, settings
from tests.flows.test_month import SetUp, walk
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too
from tests.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.minutes]

UNITS, SEED = 12, 4
MONTH_S = 150.0  # from launch to close
BEFORE_LAUNCH_S = 75.0  # for the first start, which writes Prefect's database, and for deploying
AFTER_CLOSE_S = 120.0
LOOK_S = 0.25
# What a unit does in answer to a mail it does later if the mail comes later: a run begins seconds after its time, and
# a second is hours here.
ANSWERING = {
    Temperament.AFTER_REMINDER,
    Temperament.AFTER_ESCALATION,
    Temperament.WRONG_THEN_RIGHT,
    Temperament.EMPTY_FIRST,
    Temperament.WRONG_ATTACHMENT,
    Temperament.BY_TELEPHONE,
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a month came to."""

    standings: Mapping[tuple[str, str], Standing]
    on_time: Mapping[tuple[str, str], bool | None]
    totals: Totals
    rungs: frozenset[tuple[str, str, str]]  # unit, deliverable, rung that was said
    accounts: Accounts


def outcome_of(key: str) -> Outcome:
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        assert not audit.verify(session).fault
        found = load_obligations(session, 1)
        names = {id_: code for id_, code in session.execute(select(PartyRow.id, PartyRow.code))}  # noqa: C416
        named: dict[int, Obligation] = {ob.id: ob for ob in found if not ob.voluntary}

        def name(ob: Obligation) -> tuple[str, str]:
            return names[ob.party_id], ob.deliverable

        said = session.execute(
            select(ItemRow.obligation_id, ItemRow.rung)
            .join(MessageRow, MessageRow.id == ItemRow.message_id)
            .where(~ItemRow.gone, MessageRow.state.in_(("sent", "bounced", "ambiguous")))
        )
        return Outcome(
            standings={name(ob): standing(ob) for ob in named.values()},
            on_time={name(ob): is_on_time(ob) for ob in named.values()},
            totals=totals(named.values()),
            rungs=frozenset((*name(named[id_]), rung) for id_, rung in said if id_ in named),
            accounts=accounts_of(session, key),
        )


def without_prefect() -> dict[str, str]:
    """Return our environment without what names the tests' own server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


class House:
    """`muster up` as a process of its own, and what goes on around it."""

    def __init__(self, stage: Stage, out: Path) -> None:
        self.stage, self.out = stage, out
        self._log: IO[bytes] = (out / "up.log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None
        self._enrolled = stage.newcomer is None

    def start(self) -> None:
        command = [sys.executable, "-m", "cli", "up"]
        self._process = subprocess.Popen(
            command,
            cwd=HOUSE,
            env=without_prefect(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        note = self.out / "var" / "prefect" / "up.json"
        with suppress(OSError, ValueError):
            found = json.loads(note.read_text(encoding="utf-8"))
            return bool(found["ready"]) and found["pid"] == self._process.pid
        return False

    def kill(self) -> int:
        """Kill it and all below it at once, as a machine that is switched off; return how many processes that were."""
        assert self._process is not None
        below = leftovers(self.out / "var")
        self._process.kill()
        for process in below:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(below, timeout=10)
        return len(below)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
        self._log.close()

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=HOUSE,
            env=without_prefect(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def said(self) -> str:
        return (self.out / "up.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def live(self) -> datetime:
        """Let the world outside, and the staff, do what they have to until now; return the campaign's moment."""
        from flows.rehearse import enrol_newcomer, joins_at, staff_act  # noqa: PLC0415
        from tasks.desk import now  # noqa: PLC0415

        moment = now()
        self.stage.world.advance_to(moment)
        if moment >= self.stage.book.launch_at + timedelta(days=1):
            staff_act(self.stage, moment)
            if not self._enrolled and is_launched() and moment >= joins_at(self.stage):
                enrol_newcomer(self.stage, moment)
                self._enrolled = True
        time.sleep(LOOK_S)
        return moment


def set_clock(stage: Stage, launch_in_s: float) -> None:
    """Let the launch come in so many seconds, and the close MONTH_S later."""
    speed = (stage.book.close_at - stage.book.launch_at).total_seconds() / MONTH_S
    shows = stage.book.launch_at - timedelta(seconds=launch_in_s * speed)
    clock = {"shows": shows.isoformat(), "at": datetime.now(UTC).isoformat(), "speed": speed}
    os.environ["MUSTER_CLOCK"] = json.dumps(clock)
    settings.cache_clear()


@pytest.fixture
def living(stage: SetUp, tmp_path: Path) -> Iterator[House]:
    """Return a house over a stage; nothing runs yet."""
    played = stage("safety-month-2020", units=UNITS, seed=SEED)
    os.environ |= {"MUSTER_RECONCILE_S": "20", "MUSTER_PREFECT_PORT": str(free_port())}
    settings.cache_clear()
    house = House(played, played.out)
    yield house
    house.end()


def is_launched() -> bool:
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        return bool(session.scalar(select(func.count()).select_from(CampaignRow)))


def is_over(key: str) -> bool:
    """Whether the campaign closed, its last step ran, and nothing waits."""
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        waiting = select(func.count()).where(MessageRow.state.in_(("planned", "claimed", "deferred")))
        unread = select(func.count()).where(IntakeRow.state == "waiting")
        done = last_runs(session, 1).get("consolidate")
        return not session.scalar(waiting) and not session.scalar(unread) and done is not None


def test_a_month_passes_by_itself_though_everything_is_killed_in_the_middle(
    living: House, stage: SetUp, prefect: str
) -> None:
    book, key = living.stage.book, living.stage.key
    set_clock(living.stage, BEFORE_LAUNCH_S)
    living.start()
    while not living.is_ready():
        assert living.live() < book.launch_at, "the first start took too long: " + living.said()
    planned = living.run("deploy", key)
    assert f"+ deployment remind/{key}" in planned
    middle = book.launch_at + (book.close_at - book.launch_at) / 2
    while living.live() < middle:
        pass
    killed = living.kill()
    died_at = living.live()
    living.start()
    while not living.is_ready():
        living.live()
    back_at = living.live()
    while (moment := living.live()) < book.close_at:
        pass
    gives_up = time.monotonic() + AFTER_CLOSE_S
    while not is_over(key) and time.monotonic() < gives_up:
        moment = living.live()
    print(f"killed {killed} processes at {died_at}, back at {back_at}, over at {moment}")
    living.end()
    real = outcome_of(key)
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        superseded = [one["step"] for row in session.scalars(select(StepRunRow)) for one in row.superseded]
        steps = Counter(session.scalars(select(StepRunRow.kind)))
    del os.environ["MUSTER_CLOCK"]
    other = stage("safety-month-2020", units=UNITS, seed=SEED)
    walk(other)
    played = outcome_of(key)
    print("steps", steps, "superseded", superseded)
    print(
        "standing differs",
        {k: (v, real.standings.get(k)) for k, v in played.standings.items() if real.standings.get(k) != v},
    )
    print(
        "on time differs", {k: (v, real.on_time.get(k)) for k, v in played.on_time.items() if real.on_time.get(k) != v}
    )
    print("totals", real.totals, played.totals)
    print("rungs only in rehearsal", sorted(played.rungs - real.rungs))
    print("rungs only living", sorted(real.rungs - played.rungs))
    print(
        "messages",
        real.accounts.messages,
        played.accounts.messages,
        real.accounts.said_twice,
        real.accounts.chased_after_report,
        real.accounts.untold,
    )
    assert 0
