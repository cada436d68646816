"""What strictness costs: ingest of a million rows against a lenient reader that writes the same Parquet.

Both run as processes of their own in the job environment, without a sandbox around them; CPU and peak memory are those
of the whole process, imports included. Whole runs alternate, medians count.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from table import Row

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("MUNIMENT_JOBS_PYTHON", ROOT / ".venv-jobs/bin/python"))
RUNS = 5
ROWS = 1_000_000
MAKE = """
import sys, numpy as np, polars as pl
chance, rows = np.random.default_rng(0), int(sys.argv[2])
columns = {f"i{k}": chance.integers(0, 10 ** (k % 6 + 1), rows) for k in range(16)}
columns |= {f"f{k}": np.round(chance.normal(size=rows) * 1000, 2) for k in range(5)}
columns |= {f"s{k}": np.array(["alpha", "beta", "gamma", "delta"])[chance.integers(0, 4, rows)] for k in range(3)}
pl.DataFrame(columns).write_csv(sys.argv[1])
"""
PEER = "import sys, polars as pl; pl.read_csv(sys.argv[1]).write_parquet(sys.argv[2])"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took."""

    cpu_s: float
    peak_bytes: int


def cost(command: list[str], **environment: str) -> Cost:
    """Run a process to its end; its own CPU time and peak memory."""
    process = subprocess.Popen(command, env={"PATH": os.defpath, **environment})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:4]} exits {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def run() -> list[Row]:
    """CPU against polars reading and writing the same; memory against the size of the file."""
    what = f"ingest {ROWS:,} x 24 CSV"
    if not PYTHON.exists():
        return [Row(what, "", "", None, "<= 2x", None, "not measured: no job environment; make setup builds it")]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table.csv")
        subprocess.run([str(PYTHON), "-c", MAKE, str(table), str(ROWS)], check=True)
        ours, peers = [], []
        for turn in range(RUNS + 1):
            job = Path(folder, f"job{turn}")
            (job / "input/data/file").mkdir(parents=True)
            (job / "input/config").mkdir()
            (job / "input/data/file/source").symlink_to(table)
            (job / "input/config/hyperparameters.json").write_text(json.dumps({"name": "bench"}))
            environment = {"MUNIMENT_ML_ROOT": str(job), "PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "0"}
            ours.append(cost([str(PYTHON), "-s", "-P", "-m", "muniment.programs.ingest"], **environment))
            rows = json.loads((job / "output/data/manifest.json").read_bytes())["rows"]
            if rows != ROWS:
                raise RuntimeError(f"{rows} rows came out")
            peers.append(cost([str(PYTHON), "-c", PEER, str(table), str(job / "peer.parquet")]))
        size = table.stat().st_size
    ours_cpu = statistics.median(one.cpu_s for one in ours[1:])
    peer_cpu = statistics.median(one.cpu_s for one in peers[1:])
    memory = statistics.median(one.peak_bytes for one in ours[1:])
    peer_memory = statistics.median(one.peak_bytes for one in peers[1:])
    return [
        Row(
            f"{what}, CPU",
            f"{ours_cpu:.2f} s",
            f"{peer_cpu:.2f} s polars read + write",
            ours_cpu / peer_cpu,
            "<= 2x",
            ours_cpu <= 2 * peer_cpu,
            "strict, hashed; outside the sandbox",
        ),
        Row(
            f"{what}, peak memory",
            f"{memory / 2**20:.0f} MiB",
            f"{size / 2**20:.0f} MiB file",
            memory / size,
            "<= 1.5x",
            memory <= 1.5 * size,
            f"polars: {peer_memory / 2**20:.0f} MiB",
        ),
    ]
