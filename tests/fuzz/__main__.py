"""Fuzzing guided by coverage, by hand: ``python -m tests.fuzz NAME --seconds 60``. See docs/how-to/fuzz.md.

What it came by is kept under build/fuzz/NAME, so that the next run goes on there. ``--keep`` copies the smallest set
of short inputs that covers as much to tests/fuzz/seeds/NAME, where ``make test`` judges them all.
"""

import argparse
import importlib
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

HOUSE = Path(__file__).parent.parent.parent
NAMES = ("numbers", "expressions", "mails", "workbooks")
WATCHED = ["rules", "mail", "documents", "openpyxl", "flufl"]
HANGS_S = 10
MEMORY_MB = 2048
SHORT = 2_000  # bytes of a seed that is kept
FEW = 60  # seeds that are kept of one target


def main() -> None:
    """Fuzz one target until the time is up or something is found; libFuzzer then ends the process."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("name", choices=NAMES)
    asked.add_argument("--seconds", type=int, default=60)
    asked.add_argument("--keep", action="store_true", help="renew the seeds instead of fuzzing")
    asked.add_argument("--merge-into", type=Path, help=argparse.SUPPRESS)
    told = asked.parse_args()
    try:
        import atheris  # noqa: PLC0415  only who fuzzes needs it
    except ImportError:
        sys.exit("atheris is not installed: .venv/bin/pip install -e '.[fuzz]' (Linux on x86-64)")
    found = HOUSE / "build" / "fuzz" / told.name
    found.mkdir(parents=True, exist_ok=True)
    if told.keep:
        keep(told.name, found)
        return
    with atheris.instrument_imports(include=WATCHED):
        target = importlib.import_module(f"tests.fuzz.{told.name}")
    kept = HOUSE / "tests" / "fuzz" / "seeds" / told.name
    for seed in target.seeds():
        (found / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    limits = [f"-timeout={HANGS_S}", f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={found.parent}/{told.name}-"]
    if told.merge_into is not None:
        work = [f"-max_len={SHORT}", "-merge=1", str(told.merge_into), str(kept), str(found)]
    else:
        work = [f"-max_total_time={told.seconds}", f"-max_len={target.LONGEST}", str(found), str(kept)]
    kept.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *limits, *work], target.judge)
    atheris.Fuzz()


def keep(name: str, found: Path) -> None:
    """Renew the seeds that cover most; what was kept as a finding bears a name of its own and stays."""
    merged = found.parent / f"{name}-merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir()
    command = [sys.executable, "-m", "tests.fuzz", name, "--merge-into", str(merged)]
    subprocess.run(command, cwd=HOUSE, check=False)
    seeds = HOUSE / "tests" / "fuzz" / "seeds" / name
    for old in seeds.glob("seed-*"):
        old.unlink()
    short = sorted((seed.read_bytes() for seed in merged.iterdir()), key=len)
    for seed in [seed for seed in short if len(seed) <= SHORT][:FEW]:
        (seeds / f"seed-{sha256(seed).hexdigest()[:12]}").write_bytes(seed)


if __name__ == "__main__":
    main()
