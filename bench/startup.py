"""How long a person waits before anything happens: CPU time of ``import muniment`` and of ``muni --help``."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from table import Row

RUNS = 15
MUNI = Path(sys.executable).with_name("muni")


def cpu_s(command: list[str]) -> float:
    """Median CPU seconds, user and system, of a whole process over the runs, after one to warm the file cache."""
    figures = []
    for _ in range(RUNS + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        figures.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(figures[1:])


def run() -> list[Row]:
    """Each against a bare interpreter of the same run."""
    bare = cpu_s([sys.executable, "-c", "pass"])
    rows = []
    for what, command, bar in (
        ("import muniment, CPU", [sys.executable, "-c", "import muniment; muniment.connect"], 0.3),
        ("muni --help, CPU", [str(MUNI), "--help"], 0.4),
    ):
        ours = cpu_s(command)
        peer = f"{bare * 1e3:.0f} ms bare Python"
        rows.append(Row(what, f"{ours * 1e3:.0f} ms", peer, ours / bare, f"<= {bar} s", ours <= bar))
    return rows
