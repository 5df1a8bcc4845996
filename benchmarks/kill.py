"""Kill a sender thirty times during a launch of 10,000, and account for every message.

``python -m benchmarks.kill [--quick] [--faults] [--database=sqlite|postgres] [--seed=N]``. A sender is a process of its
own, killed (SIGKILL) when the server has taken so many messages more, a number drawn from an exponential distribution
whose mean leaves room for all the kills, and up to 30 ms later; every tenth within the first 300 ms of its life. The
next sender judges what it left. In the end the ledger is compared with what the server wrote down.
"""

import asyncio
import os
import random
import select as wait
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text, update

from benchmarks.staging import ACT, KEY, campaign_of, is_quick, launched, premises_of
from benchmarks.unruly import Witness, unruly
from ledger.acts import Act
from ledger.audit import verify
from ledger.campaigns import written
from ledger.engine import Ledger
from ledger.outbox import HEAD, NewMessage, Place, plan_messages
from ledger.tables import AttemptRow, IntakeRow, MessageRow, PartyKind, PartyRow, SenderRow
from ledger.tables.messages import IS_CLAIMED, WAITS
from mail.relay import SmtpServer
from office.planning import plan_step
from rules.timetable import StepKind
from settings import HOUSE
from tasks.own_loop import OwnLoop
from tasks.sending import Sender
from tests.servers import postgres

CONNECTIONS = 20
ZONE = ZoneInfo("Asia/Shanghai")
OPENS, SHUTS = 9, 17  # hours between which the campaign's window is open for certain
ROUNDS = 60
TAKEN_WITH_FAULTS = 0.8
VANISHED = "its sender vanished"  # so begins the reason of what was judged after a kill
LAST_BREATH_S = 0.03
LAST_BREATH = 40  # messages that are sent in it, more or less
INFANCY_S = 0.3


def send(folder: str, url: str, port: str, as_of: str, shard: str) -> None:
    """Be a sender: send what may leave at a moment, then end."""
    house = premises_of(Path(folder), url, connections=CONNECTIONS)
    act = Act(actor="rule:benchmark", as_of=datetime.fromisoformat(as_of), wall=ACT.again().wall)
    relay = SmtpServer(
        host="127.0.0.1", port=int(port), tls="none", local_hostname="office.example", timeout_s=1, final_timeout_s=1.5
    )

    async def drain() -> None:
        async with OwnLoop() as loop:
            sender = Sender(house, relay, act.again)
            await loop.run(sender.sign_on())
            place: Place | None = HEAD
            while place is not None:
                place = (await loop.run(sender.send_shard(KEY, limit=int(shard), after=place))).reached
            await loop.run(sender.sign_off())

    print("ready", os.getpid(), flush=True)
    asyncio.run(drain())


def nurse() -> None:
    """Bear senders, one after the other: what a process has to import before it can be one is imported once."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            send(*line.split("\t"))
            os._exit(0)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


@dataclass(frozen=True, kw_only=True)
class Account:
    """Ledger and server compared. Messages unless said otherwise."""

    planned: int
    states: Mapping[str, int]
    kills: int
    lost: int  # not taken, and the ledger neither says refused nor lists it as ambiguous
    sent_twice: int  # though not listed ambiguous; receipts that were tried once more left out
    sent_twice_ambiguous: int  # though listed ambiguous, where nothing may be tried again unasked
    receipts_twice: int  # allowed: a receipt is tried once more
    receipts_more: int
    sent_not_taken: int
    taken_not_told: int  # taken, and the ledger says neither sent nor ambiguous; receipts left out
    receipts_refused_later: int  # taken by a connection that was lost, tried once more, and refused then
    unknown: int  # taken, and not in the ledger
    left_claimed: int
    ambiguous_by_kill: tuple[int, ...]  # attempts, by judgement
    ambiguous_by_loss: int  # attempts that a living sender found ambiguous
    losses: int  # that the server injected once it had said 354
    losses_at_354: int  # of these, right after it: the sender may not have begun the message yet
    ambiguous_taken: int  # of the messages listed as ambiguous in the end, those the server did take
    ambiguous_listed: int
    audit_fault: str
    audit_entries: int

    @property
    def good(self) -> bool:
        """Whether every goal is met."""
        wrong = (
            self.lost,
            self.sent_twice,
            self.sent_twice_ambiguous,
            self.receipts_more,
            self.sent_not_taken,
            self.taken_not_told,
            self.unknown,
            self.left_claimed,
        )
        explained = self.most_by_one_kill <= CONNECTIONS and self.ambiguous_by_loss <= self.losses
        return not any(wrong) and explained and not self.audit_fault

    @property
    def most_by_one_kill(self) -> int:
        """The most messages that one killed sender left ambiguous."""
        return max(self.ambiguous_by_kill, default=0)


class Rampage:
    """Starts senders on one ledger, kills them, and goes on until nothing waits."""

    def __init__(self, folder: Path, url: str, witness: Witness, *, seed: int, shard: int, taken: float) -> None:
        """Prepare; ``taken`` is the share of what is sent that the server takes."""
        self._folder = folder
        self._url = url
        self._witness = witness
        self._shard = shard
        self._taken = taken
        self._dice = random.Random(seed)
        self._ledger = Ledger(url)
        self._as_of = ACT.as_of
        self.kills = 0
        command = [sys.executable, "-m", "benchmarks.kill", "nurse"]
        self._nurse = subprocess.Popen(  # noqa: S603  our own command
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd=HOUSE
        )

    def run(self, kills: int) -> None:
        """Kill so many senders while there is something to send, then let one finish."""
        total = self._count(text(WAITS))
        for _ in range(ROUNDS + kills):
            if not self._count(text(WAITS), text("1 = 1")) and not self._count(text(IS_CLAIMED)):
                break
            if self.kills < kills:
                to_come = kills - self.kills
                left = max(1, total - self._lines() - to_come * LAST_BREATH)
                after = min(self._dice.expovariate((to_come + 1) / left), 0.8 * left)
                infant = (self.kills + 1) % 10 == 0
                if self._kill_one(None if infant else after):
                    self.kills += 1
                    continue
            else:
                self._kill_one(float("inf"))
            self._go_on()

    def close(self) -> None:
        """End the nurse."""
        self._nurse.communicate()
        self._ledger.close()

    def _kill_one(self, after: float | None) -> bool:
        """Start a sender and kill it after so many messages (None: in its infancy); return whether it was killed."""
        before = self._lines()
        given = (str(self._folder), self._url, str(self._witness.port), self._as_of.isoformat(), str(self._shard))
        assert self._nurse.stdin is not None  # noqa: S101  for the type checker
        self._nurse.stdin.write("\t".join(given).encode() + b"\n")
        said, pid = self._heard()
        if said != "ready":
            raise SystemExit(f"a sender failed with status {pid}")
        if after is None:
            time.sleep(self._dice.random() * INFANCY_S)
        else:
            while not self._is_over() and self._lines() - before < after:
                time.sleep(0.002)
            time.sleep(self._dice.random() * LAST_BREATH_S)
        killed = not self._is_over()
        if killed:
            os.kill(pid, signal.SIGKILL)
        status = self._heard()[1]
        if status not in (0, -signal.SIGKILL):
            raise SystemExit(f"a sender failed with status {status}")
        if killed:
            self._expire(pid)
        return status != 0

    def _is_over(self) -> bool:
        """Whether the sender has ended by itself."""
        assert self._nurse.stdout is not None  # noqa: S101  for the type checker
        return bool(wait.select([self._nurse.stdout], [], [], 0)[0])

    def _heard(self) -> tuple[str, int]:
        assert self._nurse.stdout is not None  # noqa: S101  for the type checker
        words = self._nurse.stdout.readline().split()
        return words[0].decode(), int(words[1])

    def _expire(self, pid: int) -> None:
        """Let the lease of a dead sender run out now.

        So that nobody waits two minutes for it. A clock moved on for the next sender would do too, but would also move
        the times of lanes and marks, which are the wall's. That a lease runs out by itself is tested elsewhere.
        """
        with self._ledger.writing() as session:
            session.execute(update(SenderRow).where(SenderRow.pid == pid).values(lease_until=SenderRow.started_at))

    def _lines(self) -> int:
        return self._witness.log.read_bytes().count(b"\n") if self._witness.log.exists() else 0

    def _count(self, *conditions: object) -> int:
        with self._ledger.reading() as session:
            query = select(func.count()).select_from(MessageRow).where(*conditions)  # type: ignore[arg-type]
            return session.scalars(query).one()

    def _go_on(self) -> None:
        """Move the campaign's moment to where everything that was deferred may be tried again."""
        with self._ledger.reading() as session:
            latest = session.scalar(select(func.max(MessageRow.not_before)).where(text(WAITS)))
        moment = max(self._as_of, latest or self._as_of).astimezone(ZONE)
        if not OPENS <= moment.hour < SHUTS:
            moment += timedelta(days=moment.hour >= OPENS)
            moment = moment.replace(hour=OPENS, minute=0)
        self._as_of = max(moment, self._as_of)


def account(url: str, witness: Witness, kills: int) -> Account:
    """Compare ledger and server."""
    ledger = Ledger(url)
    taken = Counter(message_id for message_id, _ in witness.taken())
    with ledger.reading() as session:
        columns = (MessageRow.message_id, MessageRow.state, MessageRow.notice)
        rows = [(id_, str(state), notice) for id_, state, notice in session.execute(select(*columns))]
        by_kill = session.scalars(
            select(func.count())
            .where(AttemptRow.state == "ambiguous", AttemptRow.smtp_text.startswith(VANISHED))
            .group_by(AttemptRow.batch)
        ).all()
        by_loss = session.scalars(
            select(func.count()).where(AttemptRow.state == "ambiguous", ~AttemptRow.smtp_text.startswith(VANISHED))
        ).one()
        verdict = verify(session)
    ledger.close()
    begun = ("DROP_AFTER_354", "DROP_IN_BODY", "DROP_UNTAKEN", "DROP_TAKEN", "HANG_UNTAKEN", "HANG_TAKEN")
    chased = [(taken[id_], state) for id_, state, notice in rows if notice != "receipt"]
    receipts = [taken[id_] for id_, _, notice in rows if notice == "receipt"]
    return Account(
        planned=len(rows),
        states=Counter(state for _, state, _ in rows),
        kills=kills,
        lost=sum(not taken[id_] and state not in ("refused", "ambiguous") for id_, state, _ in rows),
        sent_twice=sum(times > 1 and state != "ambiguous" for times, state in chased),
        sent_twice_ambiguous=sum(times > 1 and state == "ambiguous" for times, state in chased),
        receipts_twice=sum(times == 2 for times in receipts),  # noqa: PLR2004
        receipts_more=sum(times > 2 for times in receipts),  # noqa: PLR2004
        sent_not_taken=sum(state == "sent" and not taken[id_] for id_, state, _ in rows),
        taken_not_told=sum(state not in ("sent", "ambiguous") and times > 0 for times, state in chased),
        receipts_refused_later=sum(
            notice == "receipt" and state not in ("sent", "ambiguous") and taken[id_] > 0 for id_, state, notice in rows
        ),
        unknown=len(set(taken) - {id_ for id_, _, _ in rows}),
        left_claimed=sum(state == "claimed" for _, state, _ in rows),
        ambiguous_by_kill=tuple(by_kill),
        ambiguous_by_loss=by_loss,
        losses=sum(fault in begun for fault, _ in witness.faults()),
        losses_at_354=sum(fault == "DROP_AFTER_354" for fault, _ in witness.faults()),
        ambiguous_taken=sum(state == "ambiguous" and taken[id_] > 0 for id_, state, _ in rows),
        ambiguous_listed=sum(state == "ambiguous" for _, state, _ in rows),
        audit_fault=verdict.fault,
        audit_entries=verdict.entries,
    )


def plan(folder: Path, url: str, units: int, receipts: int) -> None:
    """Launch a campaign and plan its launch once, and some receipts, which alone may be tried again unasked."""
    house = launched(folder, url, campaign_of(folder / "campaign", units))
    with house.ledger.writing() as session:
        plan_step(session, house, ACT, KEY, StepKind.LAUNCH)
        parties = session.scalars(
            select(PartyRow.id).where(PartyRow.kind == PartyKind.UNIT).order_by(PartyRow.id).limit(receipts)
        ).all()
        mails = [
            IntakeRow(
                mailbox="benchmark", uid=str(n), raw_sha256=f"{n:064}", size=1, received_at=ACT.as_of, campaign_id=1,
                party_id=party, problems=[], **written(ACT),
            )
            for n, party in enumerate(parties)
        ]  # fmt: skip
        session.add_all(mails)
        session.flush()
        news = [
            NewMessage(party_id=party, notice="receipt", occasion=f"intake:{mail.id}")
            for party, mail in zip(parties, mails, strict=True)
        ]
        plan_messages(session, ACT, 1, house.mail_domain, news)
    house.ledger.close()


def rampage(
    folder: Path, url: str, *, units: int, kills: int, faults: bool = False, seed: int = 1, shard: int = 500
) -> Account:
    """Plan a launch of so many units, kill so many senders while it is sent, and account for every message."""
    plan(folder, url, units, units // 10)
    with unruly(folder, seed=seed, faults=faults) as witness:
        taken = TAKEN_WITH_FAULTS if faults else 1.0
        with closing(Rampage(folder, url, witness, seed=seed, shard=shard, taken=taken)) as running:
            running.run(kills)
        return account(url, witness, running.kills)


def report(name: str, found: Account) -> Iterator[str]:
    """Yield the lines of one account."""
    by_kill = sum(found.ambiguous_by_kill)
    states = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
    yield f"{name}: {found.planned} planned, {found.kills} kills; {states}"
    yield f"{name}_lost: {found.lost} (goal 0)"
    yield f"{name}_sent_twice: {found.sent_twice} (goal 0; of messages not listed ambiguous)"
    yield f"{name}_sent_twice_and_listed_ambiguous: {found.sent_twice_ambiguous} (goal 0)"
    yield f"{name}_receipts_taken_twice: {found.receipts_twice} (allowed), more often: {found.receipts_more} (goal 0)"
    yield f"{name}_marked_sent_but_not_taken: {found.sent_not_taken} (goal 0)"
    yield f"{name}_taken_but_neither_sent_nor_ambiguous: {found.taken_not_told} (goal 0)"
    if found.receipts_refused_later:
        yield f"  {found.receipts_refused_later} receipts were taken unnoticed, and refused when tried once more"
    yield f"{name}_taken_but_unknown: {found.unknown} (goal 0)"
    yield f"{name}_left_claimed: {found.left_claimed} (goal 0)"
    yield f"{name}_ambiguous_by_kill: {by_kill} over {found.kills} kills (goal ≤ {CONNECTIONS} per kill)"
    yield f"{name}_ambiguous_by_one_kill_at_most: {found.most_by_one_kill} (goal ≤ {CONNECTIONS})"
    yield (
        f"{name}_ambiguous_by_loss: {found.ambiguous_by_loss} (goal ≤ {found.losses}, the losses injected after 354; "
        f"{found.losses_at_354} of these may have come before the message was begun)"
    )
    yield f"{name}_ambiguous_in_the_end: {found.ambiguous_listed}, of which the server took {found.ambiguous_taken}"
    yield f"{name}_audit: {found.audit_fault or 'verifies'}, {found.audit_entries} entries"


def main() -> int:
    """Run on the databases asked for; return 1 if a goal is missed."""
    units, kills = (2_000, 8) if is_quick() else (10_000, 30)
    faults = "--faults" in sys.argv
    wanted = next((a.removeprefix("--database=") for a in sys.argv if a.startswith("--database=")), "")
    seed = int(next((a.removeprefix("--seed=") for a in sys.argv if a.startswith("--seed=")), "1"))
    good = True
    for database in ("sqlite", "postgres"):
        if wanted not in ("", database):
            continue
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muster-kill-")))
            url = f"sqlite:///{folder / 'ledger.db'}"
            if database == "postgres":
                url = stack.enter_context(postgres())()
            started = time.perf_counter()
            found = rampage(folder, url, units=units, kills=kills, faults=faults, seed=seed)
            print(*report(f"{database}{'_faults' if faults else ''}", found), sep="\n")
            print(f"  in {time.perf_counter() - started:.0f} s", flush=True)
            good = good and found.good
    return 0 if good else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["nurse"]:
            nurse()
        case _:
            raise SystemExit(main())
