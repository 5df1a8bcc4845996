"""The step of `muster up` between server and worker: what is once for all campaigns is deployed, and what changed said.

Run as ``python -m deployments.moving_in`` in an environment that names the server, which need not answer yet.
"""

import asyncio
import os

from deployments.child import answers
from deployments.house import POOL

LOOK_S = 0.2


async def _when_it_answers() -> None:
    check = answers(f"{os.environ['PREFECT_API_URL']}/health")
    while not await check():  # noqa: ASYNC110  another process does it, which can set no event
        await asyncio.sleep(LOOK_S)


def main() -> None:
    """Take back what was cut short and deploy what belongs to the house, as soon as the server answers."""
    from deployments.deploying import deploy_house  # noqa: PLC0415  Prefect reads its environment when imported
    from deployments.taking_back import take_back  # noqa: PLC0415

    async def move_in() -> None:
        await _when_it_answers()
        print(await take_back(POOL))  # noqa: T201  into the step's log
        print(*(await deploy_house()).lines(), sep="\n")  # noqa: T201

    asyncio.run(move_in())


if __name__ == "__main__":
    main()
