"""docs/events.md says what the code does: kinds, payloads, automations."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from deployments.automations import ALARMS, WAKES
from ledger.event_kinds import KINDS, Told
from office import wording

TYPES: dict[object, str] = {
    int: "int",
    str: "str",
    int | None: "int or null",
    dict[str, int]: "object of int",
    datetime: "instant",
    list[dict[str, Any]]: "list of objects",
}
FIELD = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


@pytest.fixture(scope="session")
def page(house: Path) -> str:
    return (house / "docs" / "events.md").read_text(encoding="utf-8")


def fields(model: type[BaseModel]) -> list[tuple[str, str, str]]:
    return [(name, TYPES[f.annotation], str(f.description)) for name, f in model.model_fields.items()]


def section(page: str, heading: str) -> str:
    """Return what stands below a heading, down to the next one."""
    _, found, rest = page.partition(f"\n{heading}\n")
    assert found, heading
    return re.split(r"\n##", rest)[0]


def test_the_page_says_what_every_event_says(page: str) -> None:
    assert FIELD.findall(section(page, "## What every event says")) == fields(Told)


def test_the_page_has_every_kind_with_when_it_is_written_and_its_payload_and_no_other(page: str) -> None:
    assert re.findall(r"^### `(.*)`$", page, re.MULTILINE) == [kind.value for kind in KINDS]
    for kind, says in KINDS.items():
        part = section(page, f"### `{kind.value}`")
        assert part.strip().splitlines()[0] == says.when
        assert FIELD.findall(part) == fields(says.cause)


def test_the_page_has_every_automation_with_its_event_and_the_deployment_it_runs(page: str) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]+) \| `([\w.]+)` \| (\w+) \| `([\w/<>]+)` \| ([^|]+) \|$",
        section(page, "## Automations"),
        re.MULTILINE,
    )
    assert [row[:5] for row in rows] == [
        (
            wake.key,
            wording.AUTOMATION[wake.key][0],
            wake.on.value,
            wake.origin.value if wake.origin else "any",
            f"{wake.runs}/{'house' if wake.house_wide else '<campaign>'}",
        )
        for wake in WAKES
    ]
    alarms = re.findall(r"^\| `(\w+)` \| ([^|]+) \| a run|^\| `(\w+)` \| ([^|]+) \| such a run", page, re.MULTILINE)
    assert [tuple(part for part in row if part) for row in alarms] == [
        (key, wording.AUTOMATION[key][0]) for key in ALARMS
    ]
