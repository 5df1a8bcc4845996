"""How a rehearsal grows: time and peak memory of all its processes, for 57, 500 and 2,000 units.

``python -m benchmarks.rehearsal_scale [--quick | UNITS …]``. The baseline is the smallest size of the same run: the
goal is that time per unit does not grow with size.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

SIZES, QUICK_SIZES = (57, 500, 2000), (12, 57)
SAMPLE_S = 1.0
GIB = 1024**3
GOAL_GIB = 1.5


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One rehearsal: seconds, and the peak of the summed proportional set size of all its processes, in bytes."""

    units: int
    seconds: float
    peak: int


def measure(units: int) -> Measured:
    """Rehearse with so many units.

    Raises:
        RuntimeError: the rehearsal failed; the message carries the end of what it said.

    """
    folder = Path(tempfile.mkdtemp(prefix="muster-scale-"))
    command = [
        sys.executable,
        "-m",
        "cli",
        "rehearse",
        "--seed",
        "1",
        "--units",
        str(units),
        "--out",
        str(folder / "r"),
    ]
    started, peak = time.monotonic(), 0
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603  our own command
        while process.poll() is None:
            peak = max(peak, _summed_pss(process.pid))
            time.sleep(SAMPLE_S)
    seconds = time.monotonic() - started
    said = (folder / "log").read_text(encoding="utf-8", errors="replace")
    shutil.rmtree(folder)
    if process.returncode:
        raise RuntimeError(f"the rehearsal of {units} units failed:\n{said[-2000:]}")
    print(f"{units} units: {seconds:.0f} s, {peak / GIB:.2f} GiB", flush=True)
    print("\n".join(line for line in said.splitlines() if "server " in line or line.startswith(("✓", "✗"))), flush=True)
    return Measured(units=units, seconds=seconds, peak=peak)


def _summed_pss(pid: int) -> int:
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def main(arguments: list[str]) -> int:
    """Measure all sizes and print the figures."""
    named = tuple(int(a) for a in arguments if a.isdigit())
    results = [measure(units) for units in named or (QUICK_SIZES if "--quick" in arguments else SIZES)]
    for one in results:
        print(f"time_{one.units}_units_s: {one.seconds:.0f} (goal {'< 90' if one.units <= 57 else 'stated'})")  # noqa: PLR2004
        print(f"peak_{one.units}_units_gib: {one.peak / GIB:.2f} (goal ≤ {GOAL_GIB})")
    slopes = [(b.seconds - a.seconds) / (b.units - a.units) for a, b in pairwise(results)]
    for (a, b), slope in zip(pairwise(results), slopes, strict=True):
        print(f"slope_{a.units}_to_{b.units}_ms_per_unit: {slope * 1000:.0f} (goal: not above the one before)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
