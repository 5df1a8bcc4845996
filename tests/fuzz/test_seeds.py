"""What fuzzing came by keeps its promise: each seed, and each input that once broke something (``found-…``)."""

import importlib
from pathlib import Path

import pytest

from tests.fuzz.__main__ import NAMES

SEEDS = Path(__file__).parent / "seeds"


@pytest.mark.filterwarnings("ignore")  # openpyxl and Python's parser wonder at much of it
@pytest.mark.parametrize("name", NAMES)
def test_every_kept_input_keeps_the_promise(name: str) -> None:
    target = importlib.import_module(f"tests.fuzz.{name}")
    kept = sorted((SEEDS / name).iterdir())
    assert kept
    for seed in kept:
        target.judge(seed.read_bytes())
