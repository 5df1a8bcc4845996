"""Runs that wait for their turn: one does the work of all, and none is lost that would do more."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.deployments.month import Month, ask, local

HOUR = timedelta(hours=1)
WITHOUT_FETCHING: dict[str, Any] = {"fetch": False}


class Queue:
    """Runs of a campaign's collection that are asked for, as the timetable, an event or a person does."""

    def __init__(self, client: Any, deployment: Any) -> None:
        self.client, self.deployment = client, deployment

    async def plan(self, name: str, *, ago: timedelta = HOUR, by_hand: bool = False, **parameters: Any) -> Any:
        from prefect.states import Scheduled  # noqa: PLC0415  after the environment is set

        return await self.client.create_flow_run_from_deployment(
            self.deployment,
            name=name,
            parameters=parameters,
            idempotency_key=None if by_hand else name,
            state=Scheduled(scheduled_time=datetime.now(UTC) - ago),
        )

    async def claim(self, run: Any) -> Any:
        """Ask for a run's turn, as the worker does; return it as it is then."""
        from prefect.states import Pending  # noqa: PLC0415

        await self.client.set_flow_run_state(run.id, Pending())
        return await self.client.read_flow_run(run.id)

    async def wait(self, name: str, **how: Any) -> None:
        """Let a run wait for its turn."""
        assert (await self.claim(await self.plan(name, **how))).state_name == "AwaitingConcurrencySlot"

    async def plan_tried_before(self, name: str) -> Any:
        """Return a run that failed, and that a person asked to be tried again."""
        from prefect.states import AwaitingRetry, Running  # noqa: PLC0415

        run = await self.plan(name)
        await self.client.set_flow_run_state(run.id, Running(), force=True)
        await self.client.set_flow_run_state(run.id, AwaitingRetry(), force=True)
        return run


async def what_is_left(month: Month, client: Any) -> tuple[set[str], set[str]]:
    """Let runs wait while one is under way; return which are left after a light one, and after a whole one."""
    from prefect.flow_engine import run_flow_async  # noqa: PLC0415  after the environment is set

    from flows.collect import collect  # noqa: PLC0415
    from tasks.places import deployments_with, kind_of  # noqa: PLC0415

    all_of_them = [one for one in await deployments_with(client) if kind_of(one) == "collect"]
    mine, others = sorted(all_of_them, key=lambda one: f"campaign:{month.key}" not in one.tags)
    queue, elsewhere = Queue(client, mine.id), Queue(client, others.id)
    tried_before = await queue.plan_tried_before("tried before")
    left = []
    for name, parameters in (("light", WITHOUT_FETCHING), ("whole", {})):
        run = await queue.claim(await queue.plan(name, **parameters))
        if name == "light":
            await queue.wait("second")
            await queue.wait("woken", **WITHOUT_FETCHING)
            await queue.wait("of a moment", as_of="2020-05-28T09:00:00+08:00")
            await queue.wait("by hand", by_hand=True)
            await queue.claim(tried_before)
            await queue.plan("late")
            await queue.plan("to come", ago=-HOUR)
            await elsewhere.claim(await elsewhere.plan("another's"))
            await elsewhere.wait("another's second")
        await run_flow_async(collect, flow_run=run, parameters=run.parameters)
        left.append({run.name for run in await _waiting(client, mine.id, others.id)})
    return left[0], left[1]


async def _waiting(client: Any, *deployments: Any) -> list[Any]:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId  # noqa: PLC0415

    from tasks.many_runs import read_all  # noqa: PLC0415

    of_these = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=list(deployments)))
    found = await read_all(client, of_these)
    return [run for run in found if run.state_name in ("Scheduled", "Late", "AwaitingConcurrencySlot")]


def test_one_run_does_the_work_of_those_that_wait_for_their_turn_and_of_no_other(month: Month) -> None:
    month.deploy()
    month.deploy(month.copy("another-month"))
    month.at(local(5, 27, 15, 10))
    month.step("launch")
    asked = {"second", "woken", "of a moment", "by hand", "tried before", "late", "to come", "another's second"}
    after_a_light_one, after_a_whole_one = ask(lambda client: what_is_left(month, client))
    assert asked - after_a_light_one == {"woken"}  # one that fetches no mail leaves its turn to one that does
    assert asked - after_a_whole_one == {"woken", "second"}
