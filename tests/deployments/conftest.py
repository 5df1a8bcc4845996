"""A campaign of a few units with the month before it."""

import re
from collections.abc import Iterator

import pytest

from settings import settings
from tests.deployments.month import Month, local
from tests.flows.test_month import SetUp
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too


@pytest.fixture
def month(stage: SetUp, prefect: None) -> Iterator[Month]:
    """Return the campaign of 2020 with three units, on the morning of its launch; nothing is deployed.

    Its ladder waits for nobody, so that not every working day is a step: a set clock plans all runs to come anew.
    """
    opened = Month(stage("safety-month-2020", units=3, seed=1))
    file = settings().campaigns_dir / opened.key / "campaign.yaml"
    plain = re.sub(", (acknowledge|approval): true", "", file.read_text(encoding="utf-8"))
    file.write_text(plain, encoding="utf-8")
    opened.at(local(5, 27, 10))
    yield opened
    opened.take_down()
