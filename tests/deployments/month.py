"""A house with deployed campaigns on the real Prefect server, a clock to set, and a worker that is the test itself."""

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from deployments.stage import Stage
from settings import settings

ZONE = ZoneInfo("Asia/Shanghai")


def local(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of 2020 in Shanghai."""
    return datetime(2020, month, day, hour, minute, tzinfo=ZONE)


@dataclass(frozen=True)
class Month:
    """A stage whose campaigns are deployed."""

    stage: Stage

    @property
    def key(self) -> str:
        """The campaign's key."""
        return self.stage.key

    def at(self, moment: datetime) -> None:
        """Set the campaigns' clock."""
        clock = {"shows": moment.isoformat(), "at": datetime.now(UTC).isoformat(), "speed": 1}
        os.environ["MUSTER_CLOCK"] = json.dumps(clock)
        settings.cache_clear()

    def copy(self, key: str) -> str:
        """Put a copy of the campaign beside it, under another key."""
        folder: Path = shutil.copytree(settings().campaigns_dir / self.key, settings().campaigns_dir / key)
        text = (folder / "campaign.yaml").read_text(encoding="utf-8")
        (folder / "campaign.yaml").write_text(text.replace(f"key: {self.key}", f"key: {key}"), encoding="utf-8")
        return key

    def deploy(self, campaign: str | None = None) -> Any:
        """Deploy a campaign; return what changed."""
        from deployments.deploying import deploy_campaign  # noqa: PLC0415  after the environment is set

        return asyncio.run(deploy_campaign(campaign or self.key))

    def undeploy(self, campaign: str | None = None) -> Any:
        """Undeploy it."""
        from deployments.deploying import undeploy_campaign  # noqa: PLC0415

        return asyncio.run(undeploy_campaign(campaign or self.key))

    def reconcile(self) -> Mapping[str, list[str]]:
        """Run the flow; return what it found and did."""
        from flows.reconcile import reconcile  # noqa: PLC0415

        found: Mapping[str, list[str]] = asyncio.run(reconcile())
        return found

    def step(self, kind: str, campaign: str | None = None) -> Any:
        """Run a step at the clock's moment."""
        from flows.running import run_step  # noqa: PLC0415

        return asyncio.run(run_step(kind, campaign or self.key))

    def runs(self, campaign: str | None = None, *, state: str = "SCHEDULED") -> list[Any]:
        """Return the flow runs of a campaign in a state, in the order of their time."""
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags  # noqa: PLC0415

        from tasks.many_runs import read_all  # noqa: PLC0415

        tags = FlowRunFilterTags(all_=[f"campaign:{campaign or self.key}"])
        found = ask(lambda client: read_all(client, FlowRunFilter(tags=tags)))
        return sorted((r for r in found if r.state_type.value == state), key=lambda r: r.expected_start_time)

    def work(self) -> list[str]:
        """Carry out, as a worker would, every run whose time has come, in the order of their time; return the names."""
        done = []
        while due := [run for key in self.deployed() for run in self.runs(key) if _is_due(run)]:
            run = min(due, key=lambda r: r.expected_start_time)
            asyncio.run(_execute(run))
            done.append(run.name)
        return done

    def deployed(self) -> list[str]:
        """Return the keys of the campaigns that are deployed."""
        from tasks.places import deployments_with, places_in  # noqa: PLC0415

        return [place.campaign for place in places_in(ask(deployments_with))]

    def take_down(self) -> None:
        """Remove all that was deployed, and every run, for the next test."""
        for campaign in self.deployed():
            self.undeploy(campaign)
        ask(_delete_runs)


def ask(question: Callable[[Any], Awaitable[Any]]) -> Any:
    """Ask the server."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    async def asking() -> Any:
        async with get_client() as client:
            return await question(client)

    return asyncio.run(asking())


async def _delete_runs(client: Any) -> None:
    from tasks.many_runs import DELETE  # noqa: PLC0415

    while (await client.request("POST", DELETE, json={})).json()["deleted"]:
        pass


def _is_due(run: Any) -> bool:
    at = run.next_scheduled_start_time
    return at is not None and at <= datetime.now(UTC) + timedelta(seconds=1)


async def _execute(run: Any) -> None:
    """Run a planned run as the worker's child would: claimed as pending, which takes the slot, then executed."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.flow_engine import run_flow_async  # noqa: PLC0415
    from prefect.states import Pending  # noqa: PLC0415

    from flows.running import FLOWS  # noqa: PLC0415

    kind = next(tag for tag in run.tags if tag in FLOWS)
    async with get_client() as client:
        await client.set_flow_run_state(run.id, Pending())
        claimed = await client.read_flow_run(run.id)
    flow: Any = FLOWS[kind]
    await run_flow_async(flow, flow_run=claimed, parameters=claimed.parameters)
