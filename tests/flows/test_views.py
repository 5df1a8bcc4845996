"""The pages of a campaign on a real Prefect server: one key each, a new version only where something changed."""

import asyncio
import time
from collections import Counter
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from settings import settings
from tests.flows.test_month import SetUp
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY

PAGES = ("board", "today", "timetable", "curve", "contacts", "consolidation")


def versions(server: str, campaign: str) -> Counter[str]:
    """Count the versions of a campaign's pages."""
    asked = {"artifacts": {"key": {"any_": [f"{page}-{campaign}" for page in PAGES]}}}
    return Counter(one["key"] for one in httpx.post(f"{server}/api/artifacts/filter", json=asked).json())


def clear(server: str, campaign: str) -> None:
    """Delete the pages of a campaign: other tests of this run have some under the same keys."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415  after the environment is set

    asked = {"artifacts": {"key": {"any_": [f"{page}-{campaign}" for page in PAGES]}}}
    there = httpx.post(f"{server}/api/artifacts/filter", json=asked).json()

    async def delete() -> None:
        async with get_client() as client:  # which asks again where the server is busy
            for one in there:
                await client.delete_artifact(UUID(one["id"]))

    asyncio.run(delete())


def latest(server: str, key: str) -> dict[str, str]:
    (page,) = httpx.post(f"{server}/api/artifacts/latest/filter", json={"artifacts": {"key": {"any_": [key]}}}).json()
    return dict(page)


def test_a_step_publishes_the_pages_and_its_own_and_a_second_one_no_version_more(stage: SetUp, prefect: str) -> None:
    from flows.running import run_step  # noqa: PLC0415  after the environment is set

    played = stage(KEY, units=3, seed=1)
    at = played.book.launch_at
    clear(prefect, played.key)
    asyncio.run(run_step("launch", played.key, at))
    first = versions(prefect, played.key)
    assert set(first) == {f"{page}-{played.key}" for page in PAGES}
    asyncio.run(run_step("remind", played.key, at + timedelta(minutes=5)))
    assert versions(prefect, played.key) == first
    asyncio.run(run_step("remind", played.key, at + timedelta(days=1)))
    more = versions(prefect, played.key) - first
    assert set(more) == {f"{page}-{played.key}" for page in ("today", "timetable", "curve")}  # it is another day
    board = latest(prefect, f"board-{played.key}")
    assert board["description"] == "报送情况：3家单位应报15项，已报0项（0.0%）"
    tally = latest(prefect, f"tally-{played.key}-launch")
    assert "- **启动通知3封**（已发出3）：" in tally["data"]
    assert f"[报送情况](/v2/artifacts/artifact/{board['latest_id']})" in tally["data"]


def test_pages_that_cannot_be_drawn_fail_no_step(
    stage: SetUp, prefect: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from flows.running import run_step  # noqa: PLC0415
    from tasks import views  # noqa: PLC0415

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    played = stage(KEY, units=2, seed=1)
    monkeypatch.setattr(views, "all_pages", broken)
    tally = asyncio.run(run_step("launch", played.key, played.book.launch_at))
    assert tally.outcomes == {"sent": 2}
    assert "were not published" in caplog.text


def test_a_launch_in_many_shards_is_few_task_runs(stage: SetUp, prefect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.running import run_step  # noqa: PLC0415

    played = stage(KEY, units=57, seed=1)
    monkeypatch.setenv("MUSTER_SHARD_SIZE", "1")
    settings.cache_clear()
    tally = asyncio.run(run_step("launch", played.key, played.book.launch_at))
    assert sum(tally.outcomes.values()) >= 56  # the one that joins later is not among them
    (run,) = httpx.post(
        f"{prefect}/api/flow_runs/filter",
        json={"flows": {"name": {"any_": ["launch"]}}, "sort": "START_TIME_DESC", "limit": 1},
    ).json()
    asked = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    for _ in range(50):  # the server writes task runs behind itself
        runs = httpx.post(f"{prefect}/api/task_runs/count", json=asked).json()
        if runs > 15:
            break
        time.sleep(0.2)
    assert 15 < runs <= 50
