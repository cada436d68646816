"""The evidence pack of the model of ``muni demo``: how long it takes to make, how large it is, how long to verify.

Whole commands are timed, as a person waits for them: ``muni evidence``, and the verifier of the pack alone with the
standard library. The same checkpoint must give the same bytes each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from pathlib import Path

from muniment.adapters.sandbox.workshop import cache_folder
from table import Row, print_table

ROUNDS = 5
BUILD_S, VERIFY_S, MOST_MB = 10.0, 2.0, 5.0
MUNI = Path(sysconfig.get_path("scripts")) / "muni"


def run() -> list[Row]:
    """Measure and compare."""
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as name:
        folder = Path(name)
        _muni(folder, "init")
        told = _muni(folder, "demo")
        return _measure(folder, told["project"], told["model"])


def _measure(folder: Path, project: str, model: str) -> list[Row]:
    size = _muni(folder, "--profile", "auditor", "audit", "checkpoint")["size"]
    build, verify, digests = [], [], set()
    for number in range(ROUNDS):
        pack = folder / f"pack-{number}.zip"
        started = time.perf_counter()
        _muni(
            folder, "--profile", "scientist", "--project", project, "evidence", model, "-o", str(pack),
            "--checkpoint", str(size),
        )  # fmt: skip
        build.append(time.perf_counter() - started)
        digests.add(hashlib.sha256(pack.read_bytes()).hexdigest())
        with zipfile.ZipFile(pack) as opened:
            program = Path(opened.extract("verify.py", folder))
        started = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-S", str(program), str(pack)], check=True, capture_output=True)
        verify.append(time.perf_counter() - started)
    megabytes = pack.stat().st_size / 1e6
    made, checked = statistics.median(build), statistics.median(verify)
    return [
        Row("evidence pack, made", f"{made:.1f} s", "", None, f"<= {BUILD_S:g} s", made <= BUILD_S, "whole command"),
        Row("evidence pack, size", f"{megabytes:.2f} MB", "", None, f"<= {MOST_MB:g} MB", megabytes <= MOST_MB),
        Row(
            "evidence pack, verified", f"{checked:.2f} s", "", None, f"<= {VERIFY_S:g} s", checked <= VERIFY_S, "alone"
        ),
        Row("evidence pack, same bytes", f"{len(digests)} of {ROUNDS}", "", None, "1", len(digests) == 1),
    ]


def _muni(folder: Path, *arguments: str) -> dict[str, str]:
    """A command in a home of its own; its document."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUNI")}
    environment |= {"MUNIMENT_HOME": str(folder / "home"), "HOME": str(folder), "MUNIMENT_CACHE": str(cache_folder())}
    done = subprocess.run([MUNI, "--json", *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"muni {arguments[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    print_table(run())
