"""Settings: documented, and safe."""

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from settings import LANES, Settings


def test_every_setting_is_documented_with_its_default_and_meaning_and_nothing_else_is(house: Path) -> None:
    page = (house / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(MUSTER_\w+)` \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    assert rows == [
        (f"MUSTER_{name.upper()}", stated(name, field.default), str(field.description))
        for name, field in Settings.model_fields.items()
    ]


def stated(name: str, default: object) -> str:
    """Return a default as the page states it."""
    if name == "signing_secret":
        return "(none: required)"
    if name == "lanes":
        return "(six lanes)"
    if isinstance(default, Path):
        return default.name
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return "—" if default in ("", (), None) else str(default)


def test_the_lanes_that_ship_are_documented_with_their_limits(house: Path) -> None:
    page = (house / "docs" / "how-to" / "lanes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z]+)` \| (.*?) \| (\d+) \| (\d+) \| (.*?) \|$", page, re.MULTILINE)
    assert rows == [
        (
            lane.name,
            ", ".join(lane.domains) or "all others",
            str(lane.connections),
            str(lane.messages_per_connection),
            str(lane.per_minute or "no limit"),
        )
        for lane in LANES
    ]


def test_the_example_of_other_lanes_is_one_that_settings_take(house: Path) -> None:
    page = (house / "docs" / "how-to" / "lanes.md").read_text(encoding="utf-8")
    [example] = re.findall(r"MUSTER_LANES='(\[.*?\])'", page, re.DOTALL)
    lanes = Settings(lanes=json.loads(example)).lanes
    assert {lane.name for lane in lanes} > {"default"}


def test_a_rehearsal_sends_to_this_machine_only() -> None:
    with pytest.raises(ValidationError, match="only ever sends to this machine"):
        Settings(rehearsal=True, smtp_host="mail.gov.example")


def test_an_unencrypted_relay_elsewhere_is_refused() -> None:
    with pytest.raises(ValidationError, match="set starttls or implicit"):
        Settings(smtp_host="mail.gov.example", smtp_tls="none")


@pytest.mark.parametrize("secret", ["change-me", "short"])
def test_a_placeholder_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="MUSTER_SIGNING_SECRET is not set"):
        _ = Settings(signing_secret=secret).secret
