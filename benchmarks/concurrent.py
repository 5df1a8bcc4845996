"""Four senders at once on one ledger: no message may be taken twice, and none be left.

``python -m benchmarks.concurrent [--quick] [--only=sqlite|postgres]``. A launch of 10,000, sent by one process and by
four at once, in turn, into a server that writes down what it takes (``benchmarks.unruly`` without faults); medians of
three. The senders start together once all of them are ready.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.staging import (
    ACT,
    KEY,
    Copies,
    campaign_of,
    in_turn,
    is_quick,
    median,
    premises_of,
    prepared,
    spread,
)
from benchmarks.unruly import Witness, unruly
from ledger.audit import verify
from ledger.outbox import HEAD, Place
from ledger.tables import MessageRow
from mail.relay import SmtpServer
from office.planning import plan_step
from rules.timetable import StepKind
from settings import HOUSE
from tasks.own_loop import OwnLoop
from tasks.sending import Sender
from tests.servers import postgres

SENDERS = 4
CONNECTIONS = 20
SHARD = 500
RUNS = 3


def send(folder: str, url: str, port: str) -> float:
    """Be one of several senders; begin when told to, and return the seconds from then on."""
    house = premises_of(Path(folder), url, connections=CONNECTIONS)
    relay = SmtpServer(host="127.0.0.1", port=int(port), tls="none", local_hostname="office.example")
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    act = replace(ACT, wall=datetime.now(UTC))  # the launch's moment, made now: from here both go on together

    async def drain() -> None:
        async with OwnLoop() as loop:
            sender = Sender(house, relay, act.again)
            await loop.run(sender.sign_on())
            place: Place | None = HEAD
            while place is not None:
                place = (await loop.run(sender.send_shard(KEY, limit=SHARD, after=place))).reached
            await loop.run(sender.sign_off())

    asyncio.run(drain())
    return time.perf_counter() - started


class Race:
    """Runs senders at once on fresh copies of a ledger, and keeps what went wrong."""

    def __init__(self, folder: Path, copies: Copies, witness: Witness, count: int) -> None:
        """Prepare."""
        self._folder = folder
        self._copies = copies
        self._witness = witness
        self._count = count
        self.duplicates = 0
        self.unsent = 0
        self.faults: list[str] = []

    def rate(self, senders: int) -> float:
        """Let so many senders send everything; return messages a second, by the slowest sender's clock."""
        url = self._copies.fresh()
        house = premises_of(self._folder, url)
        with house.ledger.writing() as session:
            plan_step(session, house, ACT, KEY, StepKind.LAUNCH)
        before = len(self._witness.taken())
        command = [sys.executable, "-m", "benchmarks.concurrent", "send", str(self._folder), url]
        running = [
            subprocess.Popen(  # noqa: S603  our own command
                [*command, str(self._witness.port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=HOUSE,
            )
            for _ in range(senders)
        ]
        for process in running:
            assert process.stdout is not None  # noqa: S101  for the type checker
            process.stdout.readline()
        for process in running:
            assert process.stdin is not None  # noqa: S101  for the type checker
            process.stdin.write("go\n")
            process.stdin.flush()
        seconds = max(float(process.communicate()[0].split()[-1]) for process in running)
        taken = Counter(message_id for message_id, _ in self._witness.taken()[before:])
        self.duplicates += sum(times - 1 for times in taken.values())
        with house.ledger.reading() as session:
            sent = select(func.count()).select_from(MessageRow).where(MessageRow.state == "sent")
            self.unsent += self._count - session.scalars(sent).one()
            self.faults.append(verify(session).fault)
        house.ledger.close()
        return self._count / seconds


def main() -> int:
    """Run on both databases; return 1 if a message was taken twice or left."""
    count = 2_000 if is_quick() else 10_000
    wanted = next((a.removeprefix("--only=") for a in sys.argv if a.startswith("--only=")), "")
    good = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muster-concurrent-")))
        loaded = campaign_of(folder / "campaign", count)
        witness = stack.enter_context(unruly(folder))
        for database in ("sqlite", "postgres"):
            if wanted not in ("", database):
                continue
            place = folder / database
            place.mkdir()
            server = stack.enter_context(postgres()) if database == "postgres" else None
            race = Race(place, stack.enter_context(prepared(place, loaded, server)), witness, count)
            one, four = in_turn(RUNS, lambda race=race: race.rate(1), lambda race=race: race.rate(SENDERS))  # type: ignore[misc]
            good = good and not (race.duplicates or race.unsent or any(race.faults))
            print(f"duplicates_{database}: {race.duplicates} (goal 0)")
            print(f"unsent_{database}: {race.unsent} (goal 0)")
            print(f"audit_{database}: {next(filter(None, race.faults), 'verifies')}")
            print(f"rate_{database}_one_sender: {median(one):.0f}/s ({spread(one)})")
            print(f"rate_{database}_{SENDERS}_senders: {median(four):.0f}/s ({spread(four)})", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["send", *given]:
            print(send(*given))
        case _:
            raise SystemExit(main())
