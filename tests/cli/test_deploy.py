"""`muster deploy`: a plan of what changed, and a sentence where no server answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.automations import WAKES
from office import wording
from settings import settings
from tests.cli.conftest import Door, Muster
from tests.servers import free_port

KEY = "safety-month-2020"


@pytest.fixture
def operator(
    bare_door: Door, muster: Muster, prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Door]:
    """Return the command in this process, in the installation of ``muster``."""
    monkeypatch.setenv("MUSTER_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("MUSTER_SIGNING_SECRET", "a secret for the tests only")
    settings.cache_clear()
    yield bare_door
    settings.cache_clear()


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
    muster: Muster, operator: Door, prefect: str
) -> None:
    try:
        done = muster("deploy", KEY, PREFECT_API_URL=f"{prefect}/api")
        assert done.returncode == 0, done.stderr
        assert "+ 6 deployments launch, collect, remind, escalate, consolidate, deliver\n" in done.stdout
        assert "+ 6 automations planned, opened, " in done.stdout
        assert "was to be launched on 2020-05-27 15:00 and has closed since: it has no step to come" in done.stdout
        _, again, _ = operator("deploy", KEY)
        assert [line for line in again.splitlines() if line[0] in "+~-"] == []
        assert "= 15 unchanged" in again  # pool, deployments, automations
    finally:
        _, gone, _ = operator("undeploy", KEY, "--all")
    assert sorted(gone.splitlines()) == sorted(
        [
            *(
                f"- deployment {kind}/{wording.STEP[kind]} · {KEY}"
                for kind in ("launch", "collect", "remind", "escalate", "consolidate", "deliver")
            ),
            *(f"- automation {wake.key} {KEY}" for wake in WAKES if wake.key != "complete"),
            "= 2 unchanged",  # the alarms are there for all campaigns
        ]
    )


@pytest.mark.parametrize("verb", ["deploy", "undeploy"])
def test_an_unknown_campaign_is_refused_with_those_there_are(operator: Door, verb: str) -> None:
    status, said, complained = operator(verb, "no-such-month")
    assert status == 1
    assert not [line for line in said.splitlines() if line[0] in "+~-"]
    assert "Known campaigns: safety-month-2020" in complained
    assert "Traceback" not in complained
