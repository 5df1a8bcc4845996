"""What Prefect costs a step: the same month on a running server and by calling the same code without it.

``python -m benchmarks.steps [--quick]``. Both walk the rehearsal of 57 units with the same seed, over ledgers of their
own; without Prefect every task is its plain function, and no page is handed to a server. The time is a step's own: that
a worker starts a process for it comes on top. ``--quick``: the first two weeks.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.staging import is_quick, median
from deployments.local_server import LocalServer, client_environment
from deployments.stage import set_stage
from rules.timetable import Step
from settings import settings

CAMPAIGN, SEED = "safety-month-2020", 1
QUICK_UNTIL = datetime(2020, 6, 9, tzinfo=UTC)
GOAL_S = 1.0
MOST_TASK_RUNS = 50
LARGEST = 100_000


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A step of the month and how long it took."""

    kind: str
    seconds: float


def main() -> int:
    """Measure, print, and say whether the goal was met."""
    with tempfile.TemporaryDirectory(prefix="muster-steps-") as name, LocalServer(Path(name) / "prefect") as server:
        os.environ.update(client_environment(server.home, server.port))
        with_prefect = _walk(Path(name) / "with", bare=False)
        without = _walk(Path(name) / "without", bare=True)
    costs: dict[str, list[float]] = {}
    for one, other in zip(with_prefect, without, strict=True):
        costs.setdefault(one.kind, []).append(one.seconds - other.seconds)
    for kind, seconds in costs.items():
        plain = median([one.seconds for one in without if one.kind == kind])
        print(
            f"overhead_{kind}_s: {median(seconds):.2f} (goal ≤ {GOAL_S}; worst of {len(seconds)}: {max(seconds):.2f}; "
            f"without Prefect {plain:.2f})"
        )
    whole = [second for seconds in costs.values() for second in seconds]
    print(f"overhead_a_step_s: {median(whole):.2f} (goal ≤ {GOAL_S})")
    print(f"task_runs_of_a_launch_of_{LARGEST}: {_task_runs(LARGEST)} (goal ≤ {MOST_TASK_RUNS})")
    return 0 if median(whole) <= GOAL_S and _task_runs(LARGEST) <= MOST_TASK_RUNS else 1


def _walk(out: Path, *, bare: bool) -> Sequence[Timed]:
    """Walk the month, or its first weeks; return the steps with their times."""
    out.mkdir(parents=True)
    from flows import rehearse  # noqa: PLC0415  Prefect reads its environment when imported
    from flows.running import run_step  # noqa: PLC0415

    timed: list[Timed] = []

    async def measured(kind: str, campaign: str, as_of: datetime) -> object:
        started = time.perf_counter()
        done = await (_run_bare if bare else run_step)(kind, campaign, as_of)
        timed.append(Timed(kind=str(kind), seconds=time.perf_counter() - started))
        return done

    def missed(step: Step) -> bool:
        return is_quick() and step.moment > QUICK_UNTIL

    with ExitStack() as stack:
        stage = set_stage(CAMPAIGN, units=None, seed=SEED, out=out)
        stack.callback(stage.world.stop)
        stack.enter_context(patch.object(rehearse, "run_step", measured))
        if bare:
            stack.enter_context(_without_prefect())
        asyncio.run(rehearse.rehearse(stage, lambda *_: None, missed=missed))
    settings.cache_clear()
    return timed


async def _run_bare(kind: str, campaign: str, as_of: datetime) -> object:
    from flows.running import FLOWS  # noqa: PLC0415

    flow: Any = FLOWS[kind]
    return await flow.fn(campaign, as_of)


@contextmanager
def _without_prefect() -> Iterator[None]:
    """Put the plain function in the place of every task that flows call, and hand nothing to a server."""
    from prefect import Task  # noqa: PLC0415

    import tasks.delivery  # noqa: PLC0415
    import tasks.tally  # noqa: PLC0415
    import tasks.views  # noqa: PLC0415

    async def nothing(*_: object, **__: object) -> dict[str, str]:
        return {}

    flows = [module for name, module in sys.modules.items() if name.startswith("flows.")]
    with ExitStack() as stack:
        for module in flows:
            for name, value in list(vars(module).items()):
                if isinstance(value, Task):
                    stack.enter_context(patch.object(module, name, value.fn))
                elif name == "tell_events":
                    stack.enter_context(patch.object(module, name, nothing))
        stack.enter_context(patch.object(tasks.delivery, "WORTH_SHOWING", sys.maxsize))
        stack.enter_context(patch.object(tasks.views, "_publish", nothing))
        stack.enter_context(patch.object(tasks.tally, "acreate_markdown_artifact", nothing))
        stack.enter_context(patch.object(tasks.tally, "say", lambda _: None))
        yield


def _task_runs(waiting: int) -> int:
    """Return the task runs of a launch with so many mails, nothing of which is refused: frozen, planned, sent."""
    from tasks.delivery import Progress  # noqa: PLC0415

    progress = Progress(waiting)
    shards = -(-waiting // progress.shard_size)
    return 3 + -(-shards // progress.shards_at_once)


if __name__ == "__main__":
    raise SystemExit(main())
