"""How many rows two tables of ten million share: our fingerprints and merge, beside a hash join that sees the rows.

The peer is an equi-join by polars over all columns of the same Parquet files, null equal to null: what somebody would
write who may read both tables at once, has them in the same types, and needs neither duplicates counted nor a proof.
The physical limit is reading both files and hashing every row once with the same keyed hash, in the same loop, and
nothing else. Every measurement is a process of its own, without a sandbox around it; CPU and peak memory are those of
the whole process. Our three processes hold at most one table's fingerprints each.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from ingest import PYTHON, ROOT, Cost, cost
from table import Row

ROWS = int(os.environ.get("MUNIMENT_BENCH_OVERLAP_ROWS", "10000000"))
SHARED = ROWS // 2
MEMORY = 4 << 30
MAKE = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa
from muniment.programs.snapshots import SnapshotWriter, write_manifest
folder, rows, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
writer = None
for start in range(0, rows, 500_000):
    ids = np.arange(start, min(start + 500_000, rows)) + first
    def column(k, below):
        x = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15 + 2 * k)
        x ^= x >> np.uint64(29)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(32)
        return (x % np.uint64(below)).astype(np.int64)
    columns = {"id": ids, **{f"i{k}": column(k, 10 ** (k + 1)) for k in range(6)}}
    columns |= {f"f{k}": column(10 + k, 10**6) / 100 for k in range(3)}
    columns |= {f"s{k}": np.array(["alpha", "beta", "gamma", "delta"])[column(20 + k, 4)] for k in range(2)}
    table = pa.table(columns).take(pa.array(np.random.default_rng(start + first).permutation(len(ids))))
    table = table.select(table.schema.names[:: -1 if first else 1])
    writer = writer or SnapshotWriter(folder, table.schema)
    writer.write(table)
write_manifest(folder / "manifest.json", writer.close(None))
"""
PEER = """
import sys, polars as pl
a, b = (pl.scan_parquet(f"{folder}/*.parquet") for folder in sys.argv[1:3])
names = a.collect_schema().names()
joined = a.join(b.select(names), on=names, how="semi", nulls_equal=True)
found = joined.select(pl.len()).collect(engine="streaming").item()
assert found == int(sys.argv[3]), found
"""
LIMIT = """
import hashlib, sys
from pathlib import Path
import pyarrow.parquet as pq
row = hashlib.blake2b(digest_size=16, key=bytes(32))
content = bytes(204)
for folder in sys.argv[1:3]:
    for path in sorted(Path(folder).glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for piece in file.iter_batches(131_072, use_threads=False):
                for _ in range(piece.num_rows):
                    one = row.copy()
                    one.update(content)
                    one.digest()
"""


def run() -> list[Row]:
    """Time and memory of ours, of the peer, and of the limit."""
    what = f"overlap {ROWS:,} with {ROWS:,} rows x 12"
    if not PYTHON.exists():
        return [Row(what, "", "", None, "<= 4 GiB", None, "not measured: no job environment; make setup builds it")]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "0", "POLARS_MAX_THREADS": "2"}
    with tempfile.TemporaryDirectory(dir=os.environ.get("MUNIMENT_BENCH_FOLDER")) as folder:
        tables = [Path(folder, side, "input/data/data") for side in "ab"]
        for table, first in zip(tables, (0, ROWS - SHARED), strict=True):
            table.mkdir(parents=True)
            cost([str(PYTHON), "-c", MAKE, str(table), str(ROWS), str(first)], **environment)
        ours = [_fingerprinted(Path(folder, side), environment) for side in "ab"]
        ours.append(_counted(Path(folder), environment))
        peer = cost([str(PYTHON), "-c", PEER, *map(str, tables), str(SHARED)], **environment)
        limit = cost([str(PYTHON), "-c", LIMIT, *map(str, tables)], **environment)
    total, most = sum(one.cpu_s for one in ours), max(one.peak_bytes for one in ours)
    return [
        Row(
            f"{what}, CPU",
            f"{total:.1f} s ({', '.join(f'{one.cpu_s:.1f}' for one in ours)})",
            f"{peer.cpu_s:.1f} s (polars semi join)",
            total / peer.cpu_s,
            f"physical limit {limit.cpu_s:.1f} s",
            None,
            "peer reads both tables at once, in equal types, without a key",
        ),
        Row(
            f"{what}, peak memory of one job",
            f"{most / 2**20:,.0f} MiB",
            f"{peer.peak_bytes / 2**20:,.0f} MiB (polars semi join)",
            most / peer.peak_bytes,
            "<= 4 GiB",
            most <= MEMORY,
            f"the merge alone {ours[2].peak_bytes / 2**20:,.0f} MiB, file pages included",
        ),
    ]


def _fingerprinted(job: Path, environment: dict[str, str]) -> Cost:
    (job / "input/config/keys").mkdir(parents=True)
    (job / "input/config/keys/rows").write_bytes(bytes(32))
    (job / "input/config/hyperparameters.json").write_text(json.dumps({"views": {"00": {"by": "names"}}}))
    return cost(
        [str(PYTHON), "-s", "-P", "-m", "muniment.programs.fingerprint"], **environment, MUNIMENT_ML_ROOT=str(job)
    )


def _counted(folder: Path, environment: dict[str, str]) -> Cost:
    job = folder / "count"
    (job / "input/config").mkdir(parents=True)
    for side in "ab":
        shutil.copytree(folder / side / "output/data/0", job / "input/data" / side)
    (job / "input/config/hyperparameters.json").write_text(json.dumps({"pairs": {"rows": {"a": "a", "b": "b"}}}))
    found = cost([str(PYTHON), "-s", "-P", "-m", "muniment.programs.overlap"], **environment, MUNIMENT_ML_ROOT=str(job))
    shared = json.loads((job / "output/data/report.json").read_bytes())["pairs"]["rows"]["shared"]
    if shared != SHARED:
        raise RuntimeError(f"{shared} shared rows, and there are {SHARED}")
    return found


if __name__ == "__main__":
    for row in run():
        sys.stdout.write(f"{row}\n")
