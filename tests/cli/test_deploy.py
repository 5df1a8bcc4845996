"""`muster deploy`: a plan of what changed, and a sentence where no server answers."""

import pytest

from deployments.automations import WAKES
from office import wording
from tests.cli.conftest import Muster
from tests.servers import free_port

KEY = "safety-month-2020"


def test_without_a_server_deploying_says_how_to_start_one(muster: Muster) -> None:
    where = f"http://127.0.0.1:{free_port()}/api"
    for words in (("deploy", KEY), ("undeploy", KEY)):
        done = muster(*words, PREFECT_API_URL=where)
        assert done.returncode == 1
        assert done.stderr.strip() == f"no Prefect server answers at {where}/; start one with `muster up`"


def test_a_campaign_or_the_house_has_to_be_named(muster: Muster) -> None:
    done = muster("deploy")
    assert done.returncode == 1
    assert done.stderr.startswith("name a campaign to deploy, or --house")


def test_the_plan_is_shown_and_a_campaign_of_the_past_says_that_it_has_no_step_to_come(
    muster: Muster, prefect: str
) -> None:
    server = f"{prefect}/api"
    try:
        done = muster("deploy", KEY, PREFECT_API_URL=server)
        assert done.returncode == 0, done.stderr
        assert "+ 6 deployments launch, collect, remind, escalate, consolidate, deliver\n" in done.stdout
        assert "+ 6 automations planned, opened, " in done.stdout
        assert "was to be launched on 2020-05-27 15:00 and has closed since: it has no step to come" in done.stdout
        again = muster("deploy", KEY, PREFECT_API_URL=server)
        assert [line for line in again.stdout.splitlines() if line[0] in "+~-"] == []
        assert "= 15 unchanged" in again.stdout  # pool, deployments, automations
    finally:
        gone = muster("undeploy", KEY, "--all", PREFECT_API_URL=server)
    assert sorted(gone.stdout.splitlines()) == sorted(
        [
            *(
                f"- deployment {kind}/{wording.STEP[kind]} · {KEY}"
                for kind in ("launch", "collect", "remind", "escalate", "consolidate", "deliver")
            ),
            *(f"- automation {wake.key} {KEY}" for wake in WAKES if wake.key != "complete"),
            "= 2 unchanged",  # the alarms are there for all campaigns
        ]
    )


@pytest.mark.parametrize("campaign", ["no-such-month"])
def test_an_unknown_campaign_is_refused_with_those_there_are(muster: Muster, prefect: str, campaign: str) -> None:
    done = muster("deploy", campaign, PREFECT_API_URL=f"{prefect}/api")
    assert done.returncode == 1
    assert "Known campaigns: safety-month-2020" in done.stderr
    assert "Traceback" not in done.stderr
