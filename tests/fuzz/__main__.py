"""Fuzzing guided by coverage, by hand: ``python -m tests.fuzz NAME --seconds 60``. See docs/how-to/fuzz.md.

What it came by is kept under build/fuzz/NAME, so that the next run goes on there. ``--keep`` copies some of it, short
ones of every length, to tests/fuzz/seeds/NAME, where ``make test`` judges them all.
"""

import argparse
import importlib
import sys
from hashlib import sha256
from pathlib import Path

HOUSE = Path(__file__).parent.parent.parent
NAMES = ("numbers", "expressions", "mails", "workbooks")
WATCHED = ["rules", "mail", "documents", "openpyxl", "flufl"]
HANGS_S = 10
MEMORY_MB = 2048
SHORT = 4_000  # bytes of a seed that is kept
LIBFUZZERS = 40  # characters in the names that libFuzzer gives; ours are shorter
FEW = 40  # seeds that are kept of one target


def main() -> None:
    """Fuzz one target until the time is up or something is found; libFuzzer then ends the process."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("name", choices=NAMES)
    asked.add_argument("--seconds", type=int, default=60)
    asked.add_argument("--keep", action="store_true", help="renew the seeds instead of fuzzing")
    told = asked.parse_args()
    try:
        import atheris  # noqa: PLC0415  only who fuzzes needs it
    except ImportError:
        sys.exit("atheris is not installed: .venv/bin/pip install -e '.[fuzz]' (Linux on x86-64)")
    found, kept = HOUSE / "build" / "fuzz" / told.name, HOUSE / "tests" / "fuzz" / "seeds" / told.name
    for folder in (found, kept):
        folder.mkdir(parents=True, exist_ok=True)
    if told.keep:
        keep(found, kept)
        return
    with atheris.instrument_imports(include=WATCHED):
        target = importlib.import_module(f"tests.fuzz.{told.name}")
    for seed in target.seeds():
        (found / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    limits = [f"-timeout={HANGS_S}", f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={found.parent}/{told.name}-"]
    work = [f"-max_total_time={told.seconds}", f"-max_len={target.LONGEST}", str(found), str(kept)]
    atheris.Setup([sys.argv[0], *limits, *work], target.judge)
    atheris.Fuzz()


def keep(found: Path, kept: Path) -> None:
    """Renew the seeds: short inputs that went where none had gone before. What is named as a finding stays."""
    for old in kept.glob("seed-*"):
        old.unlink()
    by_fuzzing = (file.read_bytes() for file in found.iterdir() if len(file.name) == LIBFUZZERS)
    short = sorted({seed for seed in by_fuzzing if len(seed) <= SHORT}, key=lambda seed: (len(seed), seed))
    for seed in short[:: len(short) // FEW + 1]:
        (kept / f"seed-{sha256(seed).hexdigest()[:12]}").write_bytes(seed)


if __name__ == "__main__":
    main()
