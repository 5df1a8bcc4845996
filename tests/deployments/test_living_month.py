"""A month that passes by itself: a real server, worker and service under `muster up`, killed in the middle."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import IO

import psutil
import pytest
from sqlalchemy import func, select

from deployments.stage import Stage
from deployments.standing import leftovers
from ledger.facts import load_obligations, load_said
from ledger.steps import last_runs
from ledger.tables import AttemptRow, CampaignRow, IntakeRow, ItemRow, MessageRow, PartyRow, StepRunRow, SubmissionRow
from office.accounts import Accounts, accounts_of
from rehearsal.temperaments import Temperament
from rules.foresight import unwritten
from rules.notices import said_index
from rules.obligations import REPORTED, Standing, is_on_time, standing
from rules.rates import Totals, totals
from settings import HOUSE, settings
from tests.flows.test_month import SetUp, walk
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too
from tests.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.minutes]

UNITS, SEED = 12, 84  # among them silent ones, late ones, and such as move only when reminded or when it gets serious
MONTH_S = 200.0  # from launch to close
# A second is six hours here, and a run begins seconds after its time: mail of three in the afternoon would miss the
# sending window, which is open for a second and a half, and leave days later. So the circular of this month comes
# early enough for its first deadlines, and the window is shut by night only.
WINDOW = time_of_day(3), time_of_day(23)
ALTERED = {
    "issued_on: 2020-05-27": "issued_on: 2020-05-18",
    "launch: 2020-05-27 15:00": "launch: 2020-05-18 09:00",
    'window: ["08:30", "18:00"]': 'window: ["03:00", "23:00"]',
}
UNDER_WAY = timedelta(seconds=2)  # so long a mail may have been leaving when the report it asks for was recorded
BEFORE_LAUNCH_S = 75.0  # for the first start, which writes Prefect's database, and for deploying
AFTER_CLOSE_S = 120.0
LEAST_CHILDREN = 3  # server, worker, service, and whatever run there was
LOOK_S = 0.25
CHASE = ("before:", "on", "after:", "escalate:")
# What a unit does in answer to a mail it does later if the mail comes later: a run begins seconds after its time, and
# a second is six hours here. Whoever goes by the deadline alone is as punctual as in the rehearsal.
ANSWERING = {Temperament.AFTER_REMINDER, Temperament.AFTER_ESCALATION, Temperament.WRONG_THEN_RIGHT}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a month came to; obligations by unit and deliverable."""

    standings: Mapping[tuple[str, str], Standing]
    on_time: Mapping[tuple[str, str], bool | None]
    totals: Totals
    rungs: frozenset[tuple[str, str, str]]  # unit, deliverable, and the rung of a reminder or of the ladder
    accounts: Accounts


def outcome_of(key: str) -> Outcome:
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        names = {id_: code for id_, code in session.execute(select(PartyRow.id, PartyRow.code))}  # noqa: C416
        owed = {ob.id: ob for ob in load_obligations(session, 1) if not ob.voluntary}
        name = {ob.id: (names[ob.party_id], ob.deliverable) for ob in owed.values()}
        said = session.execute(
            select(ItemRow.obligation_id, ItemRow.rung)
            .join(MessageRow, MessageRow.id == ItemRow.message_id)
            .where(~ItemRow.gone, MessageRow.state.in_(("sent", "bounced", "ambiguous")))
        )
        return Outcome(
            standings={name[ob.id]: standing(ob) for ob in owed.values()},
            on_time={name[ob.id]: is_on_time(ob) for ob in owed.values()},
            totals=totals(owed.values()),
            rungs=frozenset((*name[id_], rung) for id_, rung in said if id_ in name and rung.startswith(CHASE)),
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
def campaigns(tmp_path: Path) -> Iterator[None]:
    """Let the campaigns' folder be a copy in which the month is altered so that it can pass in minutes."""
    before = dict(os.environ)
    copy: Path = shutil.copytree(settings().campaigns_dir, tmp_path / "campaigns")
    path = copy / "safety-month-2020" / "campaign.yaml"
    text = path.read_text(encoding="utf-8")
    for there, altered in ALTERED.items():
        assert text.count(there) == 1
        text = text.replace(there, altered)
    path.write_text(text, encoding="utf-8")
    os.environ["MUSTER_CAMPAIGNS_DIR"] = str(copy)
    settings.cache_clear()
    yield
    os.environ.clear()
    os.environ.update(before)
    settings.cache_clear()


@pytest.fixture
def played(campaigns: None, stage: SetUp, prefect: str) -> Outcome:
    """Return what the rehearsal of the same seed comes to."""
    before = dict(os.environ)
    one = stage("safety-month-2020", units=UNITS, seed=SEED)
    walk(one)
    found = outcome_of(one.key)
    for name in [name for name in os.environ if name.startswith("MUSTER_")]:
        del os.environ[name]
    os.environ.update(before)
    settings.cache_clear()
    return found


@pytest.fixture
def living(stage: SetUp, played: Outcome) -> Iterator[House]:
    """Return a house over a stage of the same seed; nothing runs yet."""
    one = stage("safety-month-2020", units=UNITS, seed=SEED)
    os.environ |= {"MUSTER_RECONCILE_S": "20", "MUSTER_PREFECT_PORT": str(free_port())}
    settings.cache_clear()
    house = House(one, one.out)
    yield house
    house.end()


def is_launched() -> bool:
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        return bool(session.scalar(select(func.count()).select_from(CampaignRow)))


def is_over(house: House) -> bool:
    """Whether every step ran or was passed over, the closing came, and nothing waits."""
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        waiting = select(func.count()).where(MessageRow.state.in_(("planned", "claimed", "deferred")))
        unread = select(func.count()).where(IntakeRow.state == "waiting")
        done = last_runs(session, 1).get("consolidate")
        is_closed = done is not None and done >= house.stage.book.close_at
        waits = session.scalar(waiting) or session.scalar(unread)
    return is_closed and not waits and not steps_left(house)[0]


def steps_left(house: House) -> tuple[set[str], set[str]]:
    """Return the steps before the close that neither ran nor are on record as superseded, and those that are."""
    from tasks.desk import premises  # noqa: PLC0415

    book = house.stage.book

    def name(kind: str, moment: datetime) -> str:
        return f"{kind}:{moment.astimezone(book.zone):%Y-%m-%dT%H:%M}"

    with premises().ledger.reading() as session:
        rows = session.scalars(select(StepRunRow)).all()
        carried_out = {name(row.kind, row.step_at) for row in rows if row.step_at}
        superseded = {one["step"] for row in rows for one in row.superseded}
    wanted = {name(step.kind, step.moment) for step in book.steps if step.moment < book.close_at}
    return wanted - carried_out - superseded, superseded


def pass_the_month(house: House) -> None:
    """Deploy before the launch, kill everything half-way, start again, and wait until all is done after the close."""
    book, key = house.stage.book, house.stage.key
    set_clock(house.stage, BEFORE_LAUNCH_S)
    house.start()
    while not house.is_ready():
        assert house.live() < book.launch_at, "the first start took too long: " + house.said()
    assert "+ 6 deployments launch, collect, remind" in house.run("deploy", key)
    middle = book.launch_at + (book.close_at - book.launch_at) / 2
    while house.live() < middle:
        pass
    assert house.kill() >= LEAST_CHILDREN
    house.start()
    while house.live() < book.close_at or not house.is_ready():
        pass
    gives_up = time.monotonic() + AFTER_CLOSE_S
    while not is_over(house) and time.monotonic() < gives_up:
        house.live()
    is_done = is_over(house)
    house.end()
    assert is_done, "something still waits: " + house.said()


def test_a_month_passes_by_itself_though_everything_is_killed_in_the_middle(played: Outcome, living: House) -> None:
    pass_the_month(living)
    real = outcome_of(living.stage.key)
    assert real.standings == played.standings
    differing = {name for name, on_time in played.on_time.items() if real.on_time[name] != on_time}
    units = {unit for unit, _ in differing}
    temperaments, newcomer = living.stage.world.temperaments, living.stage.newcomer
    assert all(temperaments[u] in ANSWERING or (newcomer is not None and u == newcomer.code) for u in units), differing
    exact = dict.fromkeys(("on_time", "late", "corrected_late"), 0)  # those differ as explained
    assert replace(real.totals, **exact) == replace(played.totals, **exact)
    _nothing_was_said_twice_or_too_late(living, real)
    assert failed_runs(living) == []
    _every_step_was_carried_out_or_is_on_record_as_superseded(living)
    _every_rung_was_said_or_it_is_known_why_not(living, played.rungs - real.rungs)


def failed_runs(house: House) -> list[tuple[str, str]]:
    """Return the runs that failed, and why: one that was killed has crashed, and none fails."""
    query = (
        "SELECT r.name, s.message FROM flow_run r JOIN flow_run_state s ON s.id = r.state_id WHERE s.type = 'FAILED'"
    )
    with closing(sqlite3.connect(house.out / "var" / "prefect" / "prefect.db")) as database:
        return database.execute(query).fetchall()


def _nothing_was_said_twice_or_too_late(living: House, real: Outcome) -> None:
    from tasks.desk import premises  # noqa: PLC0415

    accounts = real.accounts
    assert (accounts.said_twice, _chased_after_report(), accounts.untold) == (0, 0, ())
    assert not accounts.audit.fault
    counts = living.stage.world.post_office.counts
    assert counts["from_office"] == accounts.taken_by_relay + accounts.messages.get("ambiguous", 0)
    book = living.stage.book
    with premises().ledger.reading() as session:
        sent = select(MessageRow.sent_as_of).where(MessageRow.mail_class != "reply", MessageRow.sent_as_of.is_not(None))
        left = [at.astimezone(book.zone).time() for at in session.scalars(sent) if at is not None]
    assert left
    assert all(WINDOW[0] <= at < WINDOW[1] for at in left)


def _chased_after_report() -> int:
    """Count what was said of reports that were in the ledger by then, by the wall's clock.

    By the campaign's the order is not known to the hour: a run takes its moment as it begins, and lasts half a week.
    """
    from tasks.desk import premises  # noqa: PLC0415

    query = (
        select(ItemRow.id, SubmissionRow.recorded_at, AttemptRow.recorded_at)
        .select_from(ItemRow)
        .join(MessageRow, MessageRow.id == ItemRow.message_id)
        .join(AttemptRow, AttemptRow.message_id == MessageRow.id)
        .join(SubmissionRow, SubmissionRow.obligation_id == ItemRow.obligation_id)
        .where(MessageRow.mail_class == "chase", AttemptRow.state == "sent", ~ItemRow.gone)
        .where(SubmissionRow.state != "returned")
    )
    with premises().ledger.reading() as session:
        return len({item for item, reported, said in session.execute(query) if reported < said - UNDER_WAY})


def _every_step_was_carried_out_or_is_on_record_as_superseded(living: House) -> None:
    left, superseded = steps_left(living)
    assert not left
    assert superseded, "nothing was killed, or a run of a later step said nothing of the earlier ones"


def _every_rung_was_said_or_it_is_known_why_not(living: House, missing: Collection[tuple[str, str, str]]) -> None:
    """Check that of each reminder the rehearsal sent and this month did not, the ledger knows what took its place."""
    from tasks.desk import now, premises  # noqa: PLC0415

    book = living.stage.book
    with premises().ledger.reading() as session:
        names = {id_: code for id_, code in session.execute(select(PartyRow.id, PartyRow.code))}  # noqa: C416
        said = said_index(load_said(session, 1))
        known = {
            (names[ob.party_id], ob.deliverable, one.rung)
            for ob in load_obligations(session, 1)
            for one in unwritten(ob, said, now(), policy=book.policy_of(ob.deliverable), hours=book.hours)
            if one.why is not None or one.replaced_by
        }
        reported = {
            (names[ob.party_id], ob.deliverable) for ob in load_obligations(session, 1) if standing(ob) in REPORTED
        }
    unexplained = {rung for rung in missing if rung not in known}
    assert all(rung.startswith("escalate:") and (unit, what) in reported for unit, what, rung in unexplained), (
        unexplained
    )
