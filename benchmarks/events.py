"""From an event to the run it wakes, on a real Prefect server with a process worker; and a burst of 10,000 events.

``python -m benchmarks.events [--quick]``. The first figures are the seconds from the commit of an event until the run
it wakes is on the server's list (told by the teller, matched by the automation), and until it has started (picked up by
the worker, Python and Prefect imported): of 20 in turn. The last is how many collect runs 10,000 submission events make
that are written within seconds, with 1,000 mails fetched among them, until every event is struck off, every mail is
taken in and no run is left.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from benchmarks.staging import KEY, campaign_of, is_quick, median
from deployments.local_server import LocalServer, client_environment
from settings import HOUSE, settings

GOAL_LISTED_S, GOAL_MEDIAN_S, GOAL_WORST_S, GOAL_RUNS = 3.0, 10.0, 20.0, 10
PATIENCE_S = 900.0
UNITS = 50
FORMERLY = datetime(2020, 5, 27, 7, tzinfo=UTC)


def main() -> int:
    """Measure, print, and say whether the goals were met."""
    times, events, mails = (5, 1000, 100) if is_quick() else (20, 10_000, 1000)
    with tempfile.TemporaryDirectory(prefix="muster-events-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        campaign_of(folder / "campaigns" / KEY, UNITS)
        (folder / "campaigns" / "calendar").symlink_to(HOUSE / "campaigns" / "calendar")
        with LocalServer(folder / "prefect") as server:
            os.environ.update(client_environment(server.home, server.port), **_environment(folder))
            settings.cache_clear()
            return asyncio.run(_measure(folder, times, events, mails))


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "MUSTER_REHEARSAL": "true",
        "MUSTER_VAR_DIR": str(folder / "var"),
        "MUSTER_CAMPAIGNS_DIR": str(folder / "campaigns"),
        "MUSTER_SIGNING_SECRET": "a secret of the benchmarks only",
        "MUSTER_SMTP_HOST": "127.0.0.1",
        "MUSTER_SMTP_TLS": "none",
        "MUSTER_INTAKE_RECEIVED_BY": "mx.office.example",
    }


async def _measure(folder: Path, times: int, events: int, mails: int) -> int:
    from tests.mail.relay import Relay  # noqa: PLC0415

    async with Relay().running() as relay:
        os.environ["MUSTER_SMTP_PORT"] = str(relay.port)
        settings.cache_clear()
        _launch(folder)
        collect = await _deploy()
        async with _worker(folder), _telling():
            await asyncio.sleep(10)  # the worker imports Prefect
            waits = [await _event_to_start(collect) for _ in range(times)]
            listed, started = [list(figures) for figures in zip(*waits, strict=True)]
            runs, took = await _burst(collect, events, mails)
    print(f"event to run on the list, median of {times}: {median(listed):.1f} s (goal {GOAL_LISTED_S:.0f})")
    print(f"event to run on the list, worst of {times}: {max(listed):.1f} s")
    print(f"event to flow start, median of {times}: {median(started):.1f} s (goal {GOAL_MEDIAN_S:.0f})")
    print(f"event to flow start, worst of {times}: {max(started):.1f} s (goal {GOAL_WORST_S:.0f})")
    print(f"collect runs after {events} events and {mails} mails: {runs} (goal {GOAL_RUNS}), drained in {took:.0f} s")
    met = (
        median(listed) <= GOAL_LISTED_S
        and median(started) <= GOAL_MEDIAN_S
        and max(started) <= GOAL_WORST_S
        and runs <= GOAL_RUNS
    )
    print("met" if met else "MISSED")
    return 0 if met else 1


def _launch(folder: Path) -> None:
    from ledger.acts import Act  # noqa: PLC0415
    from office.launching import launch_campaign, load  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    house = premises()
    with house.ledger.writing() as session:
        launch_campaign(
            session, house, Act.now("rule:benchmark", FORMERLY), load(house, str(folder / "campaigns" / KEY))
        )


async def _deploy() -> UUID:
    """Deploy the campaign; return the deployment of its collections."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    from deployments.deploying import deploy_campaign  # noqa: PLC0415

    await deploy_campaign(KEY)
    async with get_client() as client:
        return (await client.read_deployment_by_name(f"collect/收件 · {KEY}")).id


@asynccontextmanager
async def _worker(folder: Path) -> AsyncIterator[None]:
    """Run a process worker while the block lasts."""
    from deployments.house import POOL  # noqa: PLC0415

    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    with (folder / "worker.log").open("wb") as log:
        worker = await asyncio.create_subprocess_exec(*command, cwd=HOUSE, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        worker.terminate()
        await worker.wait()


@asynccontextmanager
async def _telling() -> AsyncIterator[None]:
    """Tell Prefect what happens while the block lasts, as `muster serve` does."""
    from tasks.events import keep_telling  # noqa: PLC0415

    stop = asyncio.Event()
    telling = asyncio.create_task(keep_telling(stop))
    try:
        yield
    finally:
        stop.set()
        await telling


async def _event_to_start(collect: UUID) -> tuple[float, float]:
    """Write one event; return the seconds until the run it woke was on the list, and had started; wait for its end."""
    before = len(await _runs(collect))
    began = datetime.now(UTC)
    await asyncio.to_thread(_note, 1)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        new = (await _runs(collect))[before:]
        if new and all(run.ended for run in new) and await asyncio.to_thread(_is_all_told):
            return (new[0].listed - began).total_seconds(), (new[0].started - began).total_seconds()
        await asyncio.sleep(0.3)
    raise SystemExit("an event woke no run")


async def _burst(collect: UUID, events: int, mails: int) -> tuple[int, float]:
    """Write many events while mails are fetched; return how many runs they made, and the seconds until all is done."""
    before = len(await _runs(collect))
    await asyncio.to_thread(_put_mails, mails)
    began = time.monotonic()
    fetching = asyncio.create_task(asyncio.to_thread(_fetch))
    for _ in range(events // 50):
        await asyncio.to_thread(_note, 50)
    if await fetching != mails:
        raise SystemExit("not all mails were fetched")
    while time.monotonic() < began + PATIENCE_S:
        runs = (await _runs(collect))[before:]
        if all(run.ended for run in runs) and await asyncio.to_thread(_is_drained):
            return len(runs), time.monotonic() - began
        await asyncio.sleep(1)
    raise SystemExit("the burst was not drained")


@dataclass(frozen=True, kw_only=True)
class _Run:
    listed: datetime
    started: datetime
    ended: bool


async def _runs(deployment: UUID) -> list[_Run]:
    """Return the runs of a deployment, the first one first."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId  # noqa: PLC0415

    which = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    async with get_client() as client:
        found = await client.read_flow_runs(flow_run_filter=which, limit=200)
    broken = [run.name for run in found if run.state is not None and (run.state.is_failed() or run.state.is_crashed())]
    if broken:
        raise SystemExit(f"runs broke: {broken}")
    runs = [
        _Run(
            listed=run.created or FORMERLY,
            started=run.start_time or FORMERLY,
            ended=run.state is not None and run.state.is_final(),
        )
        for run in found
    ]
    return sorted(runs, key=lambda run: run.listed)


def _note(count: int) -> None:
    from ledger.acts import Act  # noqa: PLC0415
    from ledger.event_kinds import EventKind  # noqa: PLC0415
    from ledger.events import note  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    said = {"submission": 1, "obligation": 1, "version": 1, "channel": "portal"}
    with premises().ledger.writing() as session:
        for _ in range(count):
            note(session, Act.now("rule:benchmark"), EventKind.RECEIVED, said, 1)


def _put_mails(count: int) -> None:
    """Lay letters of all units in turn into the Maildir."""
    from ledger.campaigns import find_party  # noqa: PLC0415
    from mail.maildir import deliver  # noqa: PLC0415
    from mail.tokens import sign  # noqa: PLC0415
    from rehearsal.envelopes import Outgoing, build  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    house = premises()
    codes = [f"U{number:06d}" for number in range(1, UNITS + 1)]
    with house.ledger.reading() as session:
        tokens = {code: sign("p", find_party(session, 1, code).id, house.signing()) for code in codes}
    now = datetime.now(UTC)
    for number in range(count):
        code = codes[number % UNITS]
        mail = Outgoing(
            sender=f"{code.lower()}@unit.example",
            to=f"muster+{tokens[code]}@office.example",
            subject="请问",
            text="材料何时截止？",
            message_id=f"<{number}@unit.example>",
            date=now,
        )
        deliver(house.maildir, build(mail), now + timedelta(milliseconds=number))


def _fetch() -> int:
    from ledger.acts import Act  # noqa: PLC0415
    from office.intake import fetch_mail  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    return fetch_mail(premises(), Act.now("rule:collect"))


def _is_all_told() -> bool:
    from ledger.events import anything_untold  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        return not anything_untold(session)


def _is_drained() -> bool:
    from office.wakes import intake_marks  # noqa: PLC0415
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        return _is_all_told() and not intake_marks(session)


if __name__ == "__main__":
    sys.exit(main())
