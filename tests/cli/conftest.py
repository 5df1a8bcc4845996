"""The command as a process of its own, and in this one at an office after its launch."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

import settings
from cli.app import main
from definition.loading import LoadedCampaign
from tasks import desk as premises_of_settings
from tests.office.test_mailbook import LOST, answered, launched
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import LAUNCH, Desk

Muster = Callable[..., subprocess.CompletedProcess[str]]
Door = Callable[..., tuple[int, str, str]]


def own_settings(folder: Path) -> dict[str, str]:
    return {"MUSTER_VAR_DIR": str(folder / "var"), "MUSTER_SIGNING_SECRET": "a secret for the tests only"}


@pytest.fixture
def muster(house: Path, tmp_path: Path) -> Muster:
    """Return a function that runs the command in an installation of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MUSTER_", "PREFECT_"))}
    own = own_settings(tmp_path)

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=house, env={**clean, **own, **settings}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def bare_door(monkeypatch: pytest.MonkeyPatch) -> Door:
    """Return a function that runs the command in this process: exit status, output, errors."""

    def run(*words: str, width: int = 150) -> tuple[int, str, str]:
        said, complained = io.StringIO(), io.StringIO()
        monkeypatch.setattr("cli.showing.out", Console(file=said, width=width, highlight=False))
        monkeypatch.setattr("cli.showing.err", Console(file=complained, soft_wrap=True, highlight=False))
        with pytest.raises(SystemExit) as ended:
            main(words)
        return int(ended.value.code or 0), said.getvalue(), complained.getvalue()

    return run


@pytest.fixture
def own_door(bare_door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Return the same in the installation of :func:`muster`; each command opens and closes the ledger anew."""
    for name, value in own_settings(tmp_path).items():
        monkeypatch.setenv(name, value)

    def run(*words: str, width: int = 150) -> tuple[int, str, str]:
        settings.settings.cache_clear()
        try:
            return bare_door(*words, width=width)
        finally:
            if premises_of_settings._open.cache_info().currsize:
                premises_of_settings.premises().ledger.close()
            premises_of_settings._open.cache_clear()
            settings.settings.cache_clear()

    return run


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    """Return an office after its launch: BH001's mail may have left, or not."""
    with launched(cast, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        answered(opened, LAUNCH, {"BH001": LOST})
        yield opened


@pytest.fixture
def door(bare_door: Door, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Return the same at the office of the test."""
    monkeypatch.setattr("tasks.desk.premises", lambda: desk.house)
    return bare_door
