"""Launch day: 10,000 notices from planning to all marked sent, against a bare loop that sends ready bytes.

``python -m benchmarks.launch [--quick] [--full] [--only=sqlite|postgres] [--size=10kB]``. Both send the same bytes over
20 connections into Postfix smtp-sink, in processes of their own, in turn; medians of five; a run that did not send
everything is no figure. ``--full``: durability FULL.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
from sqlalchemy import func, select

from benchmarks.staging import (
    ACT,
    KEY,
    RUNS,
    Copies,
    campaign_of,
    in_turn,
    is_quick,
    median,
    premises_of,
    prepared,
    spread,
)
from ledger.outbox import HEAD, Place
from ledger.tables import MessageRow
from mail.relay import SmtpServer
from office.outbox import claim_shard
from office.planning import plan_step
from rules.timetable import StepKind
from tasks.own_loop import OwnLoop
from tasks.sending import Sender
from tests.servers import postgres, smtp_sink

CONNECTIONS = 20
SHARD = 1000


def send_all(folder: str, url: str, port: int, durability: str, *, plan: bool = True) -> float:
    """Plan and send the whole launch in this process; return the seconds from planning to all committed."""
    house = premises_of(Path(folder), url, connections=CONNECTIONS, durability=durability)
    act = replace(ACT, wall=datetime.now(UTC))  # the launch's moment, made now: from here both go on together
    started = time.perf_counter()
    if plan:
        with house.ledger.writing() as session:
            plan_step(session, house, act, KEY, StepKind.LAUNCH)
    relay = SmtpServer(host="127.0.0.1", port=port, tls="none", local_hostname="office.example")

    async def drain() -> None:
        async with OwnLoop() as loop:
            sender = Sender(house, relay, act.again)
            await loop.run(sender.sign_on())
            place: Place | None = HEAD
            while place is not None:
                place = (await loop.run(sender.send_shard(KEY, limit=SHARD, after=place))).reached
            await loop.run(sender.sign_off())

    asyncio.run(drain())
    seconds = time.perf_counter() - started
    with house.ledger.reading() as session:
        left = session.scalar(select(func.count()).select_from(MessageRow).where(MessageRow.state != "sent"))
    if plan and left:
        raise SystemExit(f"{left} messages were not sent: there is nothing to compare")
    return seconds


def bare_loop(ready: str, port: int, count: int) -> float:
    """Send ready messages over reused connections by aiosmtplib's ``sendmail``, as a script would; return seconds."""
    messages = [(m["from"], m["to"], Path(m["file"]).read_bytes()) for m in json.loads(Path(ready).read_text())]
    todo = [messages[i % len(messages)] for i in range(count)]

    async def work() -> None:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
        await client.connect()
        while todo:
            sender, recipient, raw = todo.pop()
            await client.sendmail(sender, [recipient], raw)
        await client.quit()

    async def loop() -> None:
        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

    started = time.perf_counter()
    asyncio.run(loop())
    return time.perf_counter() - started


def ready_messages(copies: Copies, folder: Path) -> Path:
    """Compose some messages of the launch, as the sender would, and keep their bytes for the bare loop."""
    house = premises_of(folder, copies.fresh(), connections=CONNECTIONS)
    with house.ledger.writing() as session:
        plan_step(session, house, ACT, KEY, StepKind.LAUNCH)
        from ledger.senders import sign_on  # noqa: PLC0415

        sign_on(session, ACT, "ready", host="here", pid=1)
        shard = claim_shard(session, house, ACT, KEY, sender="ready", limit=200)
    found = []
    for envelope in shard.envelopes:
        path = folder / f"{envelope.id}.eml"
        path.write_bytes(b"".join(envelope.data))
        found.append({"from": envelope.envelope_from, "to": envelope.to, "file": str(path)})
    house.ledger.close()
    index = folder / "ready.json"
    index.write_text(json.dumps(found))
    size = sum(Path(m["file"]).stat().st_size for m in found) // len(found)
    print(f"a message has {size / 1000:.1f} kB", flush=True)
    return index


def in_process(*arguments: object) -> float:
    """Run one measure in a process of its own; return the seconds it reports."""
    command = [sys.executable, "-m", "benchmarks.launch", *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])  # noqa: S603


def together(*commands: tuple[object, ...]) -> float:
    """Run several measures at once; return the seconds of the slowest, as each reports its own."""
    running = [
        subprocess.Popen([sys.executable, "-m", "benchmarks.launch", *map(str, c)], stdout=subprocess.PIPE, text=True)  # noqa: S603
        for c in commands
    ]
    return max(float(process.communicate()[0].split()[-1]) for process in running)


def source_rate(port: int, count: int, size: int) -> float:
    """Return smtp-source's rate, the limit of what a C program does over so many sessions."""
    started = time.perf_counter()
    subprocess.run(  # noqa: S603
        ["/usr/sbin/smtp-source", "-d", "-s", str(CONNECTIONS), "-m", str(count), "-l", str(size), "-f", "a@x.example",
         "-t", "b@x.example", f"127.0.0.1:{port}"],
        check=True,
    )  # fmt: skip
    return count / (time.perf_counter() - started)


def compare(name: str, folder: Path, copies: Copies, port: int, count: int, runs: int, goal: float) -> None:
    """Measure one database against the bare loop and print the ratio."""
    durability = "FULL" if "--full" in sys.argv else "NORMAL"
    ready = ready_messages(copies, folder)
    ours, bare = in_turn(
        runs,
        lambda: count / in_process("send", folder, copies.fresh(), port, durability),
        lambda: count / in_process("bare", ready, port, count),
    )
    print(f"  muster {median(ours):.0f}/s ({spread(ours)}), bare loop {median(bare):.0f}/s ({spread(bare)})")
    print(f"{name}_{durability}_ratio: {median(ours) / median(bare):.2f} (goal ≥ {goal})", flush=True)


def compare_two(folder: Path, copies: Copies, port: int, count: int, runs: int) -> None:
    """Measure two senders on one Postgres ledger against two bare loops."""
    durability = "FULL" if "--full" in sys.argv else "NORMAL"
    ready = ready_messages(copies, folder)

    def ours() -> float:
        url = copies.fresh()
        house = premises_of(folder, url)
        with house.ledger.writing() as session:
            plan_step(session, house, ACT, KEY, StepKind.LAUNCH)
        house.ledger.close()
        rate = count / together(*([("drain", folder, url, port, durability)] * 2))
        house = premises_of(folder, url)
        with house.ledger.reading() as session:
            left = session.scalar(select(func.count()).select_from(MessageRow).where(MessageRow.state != "sent"))
        house.ledger.close()
        if left:
            raise SystemExit(f"{left} messages were not sent by either: there is nothing to compare")
        return rate

    def bare() -> float:
        return count / together(*([("bare", ready, port, count // 2)] * 2))

    two, loops = in_turn(runs, ours, bare)
    print(f"  two senders {median(two):.0f}/s ({spread(two)}), two loops {median(loops):.0f}/s ({spread(loops)})")
    print(f"two_senders_postgres_{durability}_ratio: {median(two) / median(loops):.2f} (goal ≥ 0.9)", flush=True)


def main() -> int:
    """Measure all and print the figures."""
    count, runs = (2_000, 3) if is_quick() else (10_000, RUNS)
    wanted = next((a.removeprefix("--only=") for a in sys.argv if a.startswith("--only=")), "")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muster-bench-")))
        port = stack.enter_context(smtp_sink())
        server = stack.enter_context(postgres()) if wanted != "sqlite" else None
        for label, octets in (("10kB", 0), ("60kB_attachment", 60_000)):
            if f"--size={label}" not in sys.argv and any(a.startswith("--size=") for a in sys.argv):
                continue
            loaded = campaign_of(folder / label, count, attachment=octets)
            for database, where, goal in (("sqlite", None, 1.0), ("postgres", server, 0.9)):
                if wanted not in ("", database):
                    continue
                place = folder / f"{label}-{database}"
                place.mkdir()
                copies = stack.enter_context(prepared(place, loaded, where))
                compare(f"launch_{label}_{database}", place, copies, port, count, runs, goal)
                if database == "postgres" and not octets:
                    compare_two(place, copies, port, count, runs)
            size = 10_000 if not octets else 90_000
            print(f"smtp_source_{label}: {source_rate(port, count, size):.0f}/s (the limit)", flush=True)
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["send", folder, url, port, durability]:
            print(send_all(folder, url, int(port), durability))
        case ["drain", folder, url, port, durability]:
            print(send_all(folder, url, int(port), durability, plan=False))
        case ["bare", ready, port, count]:
            print(bare_loop(ready, int(port), int(count)))
        case _:
            raise SystemExit(main())
