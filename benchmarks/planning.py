"""Plan reminders for 100,000 units, four deliverables each, half of everything reported; then send them.

``python -m benchmarks.planning [--quick] [--only=sqlite|postgres] [--no-drain] [--shard=N]``. Planning by the set, at
10,000 units and at 100,000, against the rule applied object by object in the same run; medians. Then the peak memory of
a sender, in a process of its own, that drains what was planned into Postfix smtp-sink.
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from benchmarks.staging import ACT, KEY, Copies, campaign_of, is_quick, launched, median, premises_of
from ledger.acts import Act
from ledger.engine import Ledger
from ledger.outbox import HEAD, Place
from mail.smtp import SmtpServer
from office.ladder import send_rungs
from office.planning import decide, plan_step
from office.rulebook import open_book
from rules.timetable import StepKind
from settings import HOUSE
from tasks.own_loop import OwnLoop
from tasks.sending import Sender
from tests.servers import Postgres, postgres, smtp_sink

RUNS = 3
GOAL_S, GOAL_GROWTH, GOAL_MB = 5, 12, 250
AFTERWARDS = datetime(2020, 7, 1, 1, 30, tzinfo=UTC)  # 09:30 in Shanghai: the day after the last due day
REMIND = Act(actor="rule:benchmark", as_of=AFTERWARDS, wall=AFTERWARDS)
# The first unit is launched by the office; the others are copied from it.
GROW = (
    """
    INSERT INTO parties (campaign_id, code, name, kind, category, superior_id, joined_at, as_of, recorded_at)
    WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < :units)
    SELECT campaign_id, 'U' || (1000000 + i), '第' || i || '街道办事处', kind, category, superior_id,
        joined_at, as_of, recorded_at
    FROM parties CROSS JOIN n WHERE code = 'U000001'
    """,
    """
    INSERT INTO contacts (party_id, role, rank, name, address, phone, bad_reason, as_of, recorded_at)
    SELECT p.id, c.role, c.rank, c.name, lower(p.code) || '@unit.example', '', '', c.as_of, c.recorded_at
    FROM parties p, contacts c
    WHERE p.code LIKE 'U1%' AND c.party_id = (SELECT id FROM parties WHERE code = 'U000001')
    """,
    """
    INSERT INTO obligations
        (campaign_id, party_id, deliverable_id, occurrence, due_at, chase_from, as_of, recorded_at)
    SELECT o.campaign_id, p.id, o.deliverable_id, o.occurrence, o.due_at, o.chase_from, o.as_of, o.recorded_at
    FROM parties p, obligations o
    WHERE p.code LIKE 'U1%' AND o.party_id = (SELECT id FROM parties WHERE code = 'U000001')
    ORDER BY p.id, o.id
    """,
    """
    INSERT INTO submissions
        (obligation_id, version, channel, received_at, state, entered_by, grounds, as_of, recorded_at)
    SELECT id, 1, 'mail', as_of, 'accepted', '', '', as_of, recorded_at
    FROM obligations WHERE (party_id + deliverable_id) % 2 = 0
    """,
)


def grown(folder: Path, units: int, server: Postgres | None) -> Copies:
    """Return a ledger of so many units, told of the launch, half of everything reported."""
    folder.mkdir()
    url = server() if server is not None else f"sqlite:///{folder / 'ledger.db'}"
    house = launched(folder, url, campaign_of(folder / "campaign", 1))
    with house.ledger.writing() as session:
        for statement in GROW:
            session.execute(text(statement), {"units": units} if ":units" in statement else {})
    if server is not None:
        vacuum(house.ledger)
    started = time.perf_counter()
    with house.ledger.writing() as session:
        done = plan_step(session, house, ACT, KEY, StepKind.LAUNCH)
        seconds = time.perf_counter() - started
    print(f"  planned {done.planned} in {seconds:.1f} s", flush=True)
    with house.ledger.writing() as session:
        session.execute(text("UPDATE messages SET state = 'sent', sent_as_of = as_of, tries = 1"))
    if server is not None:
        vacuum(house.ledger)
    else:
        with house.ledger.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    house.ledger.close()
    return Copies(folder=folder, url=url, server=server)


def vacuum(ledger: Ledger) -> None:
    """Do what PostgreSQL's autovacuum has done to a ledger that is a few minutes old."""
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def by_the_set(copies: Copies) -> float:
    """Plan reminders as the office does; return seconds, commit included."""
    house = premises_of(copies.folder, copies.fresh())
    started = time.perf_counter()
    with house.ledger.writing() as session:
        done = plan_step(session, house, REMIND, KEY, StepKind.REMIND)
    seconds = time.perf_counter() - started
    house.ledger.close()
    print(f"    {done.planned}, passed over {done.skips}: {seconds:.2f} s", flush=True)
    return seconds


def object_by_object(copies: Copies) -> tuple[float, float]:
    """Apply the rule to each obligation, then write; return the seconds of deciding, and of both."""
    house = premises_of(copies.folder, copies.fresh())
    started = time.perf_counter()
    with house.ledger.writing() as session:
        row, book = open_book(session, KEY)
        found = decide(session, row, book, StepKind.REMIND, REMIND, replay=False)
        decided = time.perf_counter() - started
        send_rungs(session, house, REMIND, row, found.notices)
    seconds = time.perf_counter() - started
    house.ledger.close()
    return decided, seconds


def drain(folder: str, url: str, port: str, limit: str) -> float:
    """Send everything that waits; return this process's peak memory in MB."""
    imported = peak_of_this_process()
    house = premises_of(Path(folder), url, connections=20)
    act = replace(REMIND, wall=REMIND.again().wall)
    relay = SmtpServer(host="127.0.0.1", port=int(port), tls="none", local_hostname="office.example")

    async def send() -> int:
        sent = 0
        async with OwnLoop() as loop:
            sender = Sender(house, relay, act.again)
            await loop.run(sender.sign_on())
            place: Place | None = HEAD
            while place is not None:
                done = await loop.run(sender.send_shard(KEY, limit=int(limit), after=place))
                sent, place = sent + done.outcomes.get("sent", 0), done.reached
            await loop.run(sender.sign_off())
        return sent

    started = time.perf_counter()
    sent = asyncio.run(send())
    print(f"{sent} sent in {time.perf_counter() - started:.0f} s, from {imported:.0f} MB of imports to", end=" ")
    return peak_of_this_process()


def peak_of_this_process() -> float:
    """Return the peak of resident memory in MB.

    ``getrusage`` counts what the parent had when it started us, and that one has planned object by object.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    kilobytes = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / 1e6


def peak(copies: Copies, units: int, port: int, *, prefect: bool) -> float:
    """Plan, then drain in a process of its own, with Prefect imported or not; return its peak memory in MB."""
    url = copies.fresh()
    house = premises_of(copies.folder, url)
    with house.ledger.writing() as session:
        plan_step(session, house, REMIND, KEY, StepKind.REMIND)
    house.ledger.close()
    asked = next((a.removeprefix("--shard=") for a in sys.argv if a.startswith("--shard=")), "")
    limit = int(asked) if asked else max(500, units // 40)  # as tasks.delivery.Progress has it
    command = ["drain-with-prefect" if prefect else "drain", str(copies.folder), url, str(port), str(limit)]
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "benchmarks.planning", *command], check=True, capture_output=True, text=True, cwd=HOUSE
    )
    print(f"    {done.stdout.strip()} MB in shards of {limit}", flush=True)
    return float(done.stdout.split()[-1])


def measured(runs: int, measure: Callable[[], float]) -> float:
    """Return the median of several runs."""
    return median([measure() for _ in range(runs)])


def compare(name: str, folder: Path, server: Postgres | None, few: int, many: int) -> None:
    """Measure planning on one database, and what a sender needs in memory."""
    small, large = grown(folder / "few", few, server), grown(folder / "many", many, server)
    baseline = [object_by_object(small) for _ in range(RUNS)]
    at_few = measured(RUNS, lambda: by_the_set(small))
    at_many = measured(RUNS, lambda: by_the_set(large))
    decided, written = median([d for d, _ in baseline]), median([w for _, w in baseline])
    print(f"{name}_object_by_object_{few}: decided in {decided:.2f} s, with writing {written:.2f} s (baseline)")
    print(f"{name}_by_the_set_{few}: {at_few:.2f} s, {written / at_few:.0f} times as fast")
    print(f"{name}_by_the_set_{many}: {at_many:.2f} s (goal ≤ {GOAL_S} s)")
    print(f"{name}_growth: {at_many / at_few:.1f} times for {many // few} times the units (goal ≤ {GOAL_GROWTH})")
    if "--no-drain" in sys.argv:
        return
    with smtp_sink() as port:
        plain = peak(large, many, port, prefect=False)
        print(f"{name}_peak_memory: {plain:.0f} MB (goal ≤ {GOAL_MB})")
        print(f"{name}_peak_memory_with_prefect: {peak(large, many, port, prefect=True):.0f} MB", flush=True)


def main() -> int:
    """Measure all and print the figures."""
    few, many = (1_000, 10_000) if is_quick() else (10_000, 100_000)
    wanted = next((a.removeprefix("--only=") for a in sys.argv if a.startswith("--only=")), "")
    for database in ("sqlite", "postgres"):
        if wanted not in ("", database):
            continue
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muster-planning-")))
            server = stack.enter_context(postgres()) if database == "postgres" else None
            compare(database, folder, server, few, many)
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["drain", *given]:
            print(f"{drain(*given):.0f}")
        case ["drain-with-prefect", *given]:
            import tasks.delivery  # noqa: F401

            print(f"{drain(*given):.0f}")
        case _:
            raise SystemExit(main())
