"""A campaign of a few units with the month before it."""

from collections.abc import Iterator

import pytest

from tests.deployments.month import Month, local
from tests.flows.test_month import SetUp
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too


@pytest.fixture
def month(stage: SetUp, prefect: None) -> Iterator[Month]:
    """Return the campaign of 2020 with three units, on the morning of its launch; nothing is deployed."""
    opened = Month(stage("safety-month-2020", units=3, seed=1))
    opened.at(local(5, 27, 10))
    yield opened
    opened.take_down()
