"""A campaign of a few units with the month before it."""

import re
from collections.abc import Iterator

import pytest

from settings import settings
from tests.deployments.month import Month, local
from tests.flows.test_month import SetUp
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too

HALF = {
    ", (acknowledge|approval): true": "",
    "  - {key: (report|progress),.*\n": "",
    "ends_on: 2020-06-30": "ends_on: 2020-06-12",
    "closes_on: 2020-07-10": "closes_on: 2020-06-18",
    "close: 2020-07-10": "close: 2020-06-18",
    ", 2020-07-02 17:00": "",
}


@pytest.fixture
def month(stage: SetUp, prefect: None) -> Iterator[Month]:
    """Return the campaign of 2020 with three units, on the morning of its launch; nothing is deployed.

    It ends when its first half has, and its ladder waits for nobody, so that not every working day is a step: a set
    clock plans all runs to come anew, and each costs the server a moment.
    """
    opened = Month(stage("safety-month-2020", units=3, seed=1))
    file = settings().campaigns_dir / opened.key / "campaign.yaml"
    text = file.read_text(encoding="utf-8")
    for whole, half in HALF.items():
        text, found = re.subn(whole, half, text)
        assert found, whole
    file.write_text(text, encoding="utf-8")
    opened.at(local(5, 27, 10))
    yield opened
    opened.take_down()
