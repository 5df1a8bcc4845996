"""Settings: documented, and safe."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from cli.app import main
from settings import LANES, Settings, settings


def test_every_setting_is_documented_with_its_default_and_meaning_and_nothing_else_is(house: Path) -> None:
    page = (house / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(MUSTER_\w+)` \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    assert rows == [
        (f"MUSTER_{name.upper()}", stated(name, field.default), str(field.description))
        for name, field in Settings.model_fields.items()
    ]


def test_the_example_of_an_env_file_holds_every_setting_with_its_default_and_meaning(house: Path) -> None:
    lines = (house / ".env.example").read_text(encoding="utf-8").splitlines()
    rows = [
        (match[1], match[2], before.removeprefix("# "))
        for before, line in pairwise(lines)
        if (match := re.match(r"(?:# )?(MUSTER_\w+)=(.*)", line))
    ]
    assert rows == [
        (f"MUSTER_{name.upper()}", written(name, field.default), str(field.description))
        for name, field in Settings.model_fields.items()
    ]


def written(name: str, default: object) -> str:
    """Return a default as an env file has it."""
    said = stated(name, default)
    if name in ("signing_secret", "lanes") or said == "—":
        return ""
    return said.lower() if isinstance(default, bool) else said


def test_the_example_of_an_env_file_is_one_that_settings_take(house: Path, tmp_path: Path) -> None:
    lines = (house / ".env.example").read_text(encoding="utf-8").splitlines()
    said = [line.removeprefix("# ") for line in lines if re.match(r"(# )?MUSTER_\w+=.", line)]
    (tmp_path / ".env").write_text("\n".join(said), encoding="utf-8")
    given = Settings(_env_file=tmp_path / ".env").model_dump()
    folders = ("var_dir", "campaigns_dir", "templates_dir")
    assert {k: v for k, v in given.items() if k not in folders} == {
        k: v for k, v in Settings().model_dump().items() if k not in folders
    }


@pytest.mark.parametrize(
    ("auth", "said"), [("letmein-letmein", "user:password"), (":a-long-password", "user:password"), ("ops:short", "12")]
)
def test_an_auth_string_that_would_not_do_is_refused_and_not_repeated(auth: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        Settings(prefect_auth=SecretStr(auth))
    assert auth not in str(refused.value)


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


DEFAULT = '{"name": "default", "connections": 4}'
QQ = '{"name": "qq", "domains": ["qq.com"], "connections": 1'
KEYS = "name, domains, connections, messages_per_connection, per_minute"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", ", line 1, column 1: no JSON, Expecting value; docs/how-to/lanes.md has an example"),
        (
            f"[{DEFAULT},\n {QQ}]",
            ", line 2, column 56: no JSON, Expecting ',' delimiter; docs/how-to/lanes.md has an exa",
        ),
        (DEFAULT, ": lanes are a list, in square brackets; docs/how-to/lanes.md has an example"),
        (f'[{DEFAULT}, {QQ}, "per_minuet": 9}}]', f", lane 2 (qq): per_minuet is no key of a lane; there are {KEYS}"),
        (
            '[{"name": "default"}]',
            ", lane 1 (default), connections: Field required; docs/how-to/lanes.md has an example",
        ),
        (f"[{DEFAULT}, 3]", ", lane 2: Input should be a valid dictionary"),
        (
            f'[{QQ}, "per_minute": 0}}]',
            ", lane 1 (qq), per_minute: Input should be greater than or equal to 1; docs/how",
        ),
        ("[]", ': no lane is named default; add {"name": "default", "connections": 40} for the addresses that'),
        (f"[{DEFAULT}, {DEFAULT}]", ", lane 2: the name default is lane 1's; give each a name of its own"),
        (
            f'[{QQ}}}, {{"name": "default", "domains": ["QQ.com"], "connections": 4}}]',
            ", lane 2 (default): qq.com is in qq already; leave it in one",
        ),
    ],
)
def test_lanes_that_cannot_be_used_are_refused_in_a_sentence_with_place_and_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    monkeypatch.setenv("MUSTER_LANES", given)
    with pytest.raises(ValidationError) as refused:
        Settings()
    [fault] = refused.value.errors()
    assert fault["msg"].startswith(f"MUSTER_LANES{said}")
    settings.cache_clear()
    with pytest.raises(SystemExit):
        main(["check", "safety-month-2020"])
    assert capsys.readouterr().err == f"{fault['msg']}\n"


def test_lanes_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_LANES", f"[{QQ}}}, {DEFAULT}]")
    assert [(lane.name, lane.domains) for lane in Settings().lanes] == [("qq", ("qq.com",)), ("default", ())]


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


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://report.office.gov", "use https"),
        ("https://office.gov/report", "leave the path out"),
        ("report.office.gov", "write it like"),
        ("https://report.office.gov?x=1", "write it like"),
    ],
)
def test_a_portal_s_address_that_would_not_do_is_refused(url: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(portal_url=url)


@pytest.mark.parametrize("url", ["https://report.office.gov", "https://report.office.gov/", "http://127.0.0.1:8420"])
def test_a_portal_s_address_that_does_is_taken(url: str) -> None:
    assert Settings(portal_url=url).portal_url == url


def test_a_clock_of_the_campaigns_own_is_for_rehearsals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = '{"shows": "2020-05-18T08:00:00+08:00", "at": "2026-03-01T00:00:00Z", "speed": 21600}'
    monkeypatch.setenv("MUSTER_CLOCK", clock)
    with pytest.raises(ValidationError, match="MUSTER_REHEARSAL is not"):
        Settings()
    own = Settings(rehearsal=True).clock
    assert own is not None
    assert own.speed == 21600


def test_the_env_file_is_the_project_s_wherever_a_command_is_started(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("MUSTER_SWEEP_S=7\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert Settings().sweep_s != 7
    assert Settings.model_config["env_file"] == house / ".env"
