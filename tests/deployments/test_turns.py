"""Runs that wait for their turn: one does the work of all, and none is lost that would do more."""

from datetime import UTC, datetime, timedelta

from tests.deployments.month import Month, ask, local

HOUR = timedelta(hours=1)


def wait_for_their_turn(month: Month, *asked: tuple[str, str, bool, timedelta]) -> None:
    """Ask for runs by name: of which kind, whether it fetches mail, and how long ago it was due."""

    async def ask_for_all(client: object) -> None:
        from prefect.states import Scheduled  # noqa: PLC0415  after the environment is set

        from tasks.places import deployments_with, kind_of  # noqa: PLC0415

        of_kind = {kind_of(one): one.id for one in await deployments_with(client, [f"campaign:{month.key}"])}  # type: ignore[arg-type]
        for name, kind, fetches, ago in asked:
            await client.create_flow_run_from_deployment(  # type: ignore[attr-defined]
                of_kind[kind],
                name=name,
                parameters={} if fetches else {"fetch": False},
                idempotency_key=None if name == "by hand" else name,
                state=Scheduled(scheduled_time=datetime.now(UTC) - ago),
            )

    ask(ask_for_all)


def test_of_the_runs_that_wait_for_their_turn_the_first_does_the_work_of_all(month: Month) -> None:
    month.deploy()
    month.at(local(5, 27, 15, 10))
    month.reconcile()
    month.work()
    wait_for_their_turn(
        month,
        ("first", "collect", True, 4 * HOUR),
        ("woken", "collect", False, 3 * HOUR),
        ("second", "collect", True, 2 * HOUR),
        ("by hand", "collect", True, HOUR),
        ("to come", "collect", True, -HOUR),
        ("another kind", "deliver", True, HOUR / 2),
    )
    assert month.work() == ["first", "by hand", "another kind"]
    assert "to come" in [run.name for run in month.runs()]

    # One that fetches no mail leaves its turn to one that does.
    wait_for_their_turn(month, ("woken only", "collect", False, 2 * HOUR), ("fetches", "collect", True, HOUR))
    assert month.work() == ["woken only", "fetches"]
