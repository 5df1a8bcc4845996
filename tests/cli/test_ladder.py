"""Consent by command: what waits is listed, agreed to or kept back with grounds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from definition.loading import LoadedCampaign
from rules.timetable import StepKind
from tests.cli.conftest import Door
from tests.office.test_ladder import OCCASION, SHIPPED, climb, waiting, with_ladder
from tests.office.test_mailbook import launched
from tests.office.test_office import Desk, local


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    with launched(with_ladder(cast, *SHIPPED), tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        opened.send(local(5, 27, 15))
        for day in (2, 4):
            climb(opened, local(6, day))
        yield opened


def test_what_waits_is_listed_and_approved_with_grounds(door: Door, desk: Desk) -> None:
    assert "1 to be decided" in door("approvals")[1]
    assert f"muster approve {OCCASION} or decline {OCCASION}" in door("queue", width=300)[1]
    listed = door("approvals", OCCASION)[1]
    assert "BH036" in listed
    assert "活动计划表" in listed
    assert "say on what grounds it goes out" in door("approve", OCCASION, "--grounds", " ")[2]
    assert waiting(desk) == [OCCASION]
    assert f"{OCCASION} is approved: 2 mail(s) planned" in door("approve", OCCASION, "--grounds", "主任已阅")[1]
    assert "is approved already" in door("decline", OCCASION, "--grounds", "反悔")[2]
    assert "nothing waits for consent on 'escalate:9'" in door("approve", "escalate:9", "--grounds", "主任已阅")[2]
    assert "0 to be decided" in door("approvals")[1]


def test_what_is_declined_goes_to_nobody(door: Door, desk: Desk) -> None:
    assert "names an hour" in door("decline", OCCASION, "--grounds", "再等等", "--until", "2099-06-20T10:00")[2]
    assert "has come already" in door("decline", OCCASION, "--grounds", "再等等", "--until", "2020-06-20")[2]
    said = door("decline", OCCASION, "--grounds", "再等等", "--until", "2099-06-20")[1]
    assert "asked about again from 2099-06-20 on" in said
    assert desk.plan(StepKind.ESCALATE, local(6, 30)) == {"escalation": 3}  # of what fell due since
    assert waiting(desk) == []
