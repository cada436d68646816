"""Writes tables with real deltalake and real pyiceberg, and what these say that each version holds.

Run by the interpreter of ``.venv-peers`` (``scripts/peers``), never imported: ``foreign_tables.py FOLDER``. Leaves
``delta/`` and ``iceberg/`` as the libraries wrote them, ``oracle/<kind>-<version>.parquet`` as they read them, and
``versions.json``: kind -> versions with their times in milliseconds.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo, LessThan
from pyiceberg.types import DoubleType, LongType


def rows(start: int, end: int, extra: str | None = None) -> pa.Table:
    """Rows with nulls, empty texts, decimals, days, moments and a column to partition by."""
    numbers = range(start, end)
    columns: dict[str, Any] = {
        "id": pa.array(numbers, pa.int64()),
        "name": pa.array([None if n % 5 == 0 else "" if n % 7 == 0 else f"ü{n}" for n in numbers], pa.string()),
        "amount": pa.array([Decimal(n) / 100 for n in numbers], pa.decimal128(12, 2)),
        "day": pa.array([date(2026, 1, 1) + timedelta(n % 40) for n in numbers]),
        "at": pa.array(
            [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in numbers], pa.timestamp("us", "UTC")
        ),
        "x": pa.array([n / 3 for n in numbers]),
        "flag": pa.array([n % 2 == 0 for n in numbers]),
        "p": pa.array([None if n % 11 == 0 else ["a b", "c/d", "e=f"][n % 3] for n in numbers], pa.string()),
        "small": pa.array([n % 100 for n in numbers], pa.int32()),
    }
    if extra:
        columns[extra] = pa.array([f"n{n}" for n in numbers])
    return pa.table(columns)


def delta(root: Path) -> list[dict[str, Any]]:
    """A partitioned table with appends, deletes, an update, a checkpoint, a new column and a compaction."""
    folder = str(root / "delta")
    write_deltalake(folder, rows(0, 100), partition_by=["p"])
    write_deltalake(folder, rows(100, 150), mode="append")
    DeltaTable(folder).delete("id < 20")
    DeltaTable(folder).create_checkpoint()
    write_deltalake(folder, rows(150, 160, "later"), mode="append", schema_mode="merge")
    DeltaTable(folder).update(predicate="id = 42", updates={"name": "'changed'"})
    DeltaTable(folder).optimize.compact()
    versions = []
    history = {one["version"]: one["timestamp"] for one in DeltaTable(folder).history()}
    for version in range(DeltaTable(folder).version() + 1):
        table = DeltaTable(folder, version=version)
        pq.write_table(pa.table(table.to_pyarrow_table()), root / f"oracle/delta-{version}.parquet")
        versions.append({"version": version, "time": history[version]})
    return versions


def iceberg(root: Path) -> list[dict[str, Any]]:
    """A partitioned table with appends, a delete, a renamed, a widened and an added column."""
    warehouse = root / "warehouse"
    warehouse.mkdir()
    catalog = SqlCatalog("c", uri=f"sqlite:///{root}/catalog.db", warehouse=f"file://{warehouse}")
    catalog.create_namespace("n")
    table = catalog.create_table("n.t", rows(0, 1).schema)
    with table.update_spec() as update:
        update.add_identity("p")
    table.append(rows(0, 100))
    table.append(rows(100, 150))
    table.delete(LessThan("id", 20))
    with table.update_schema() as update:
        update.rename_column("name", "called")
        update.update_column("small", LongType())
        update.add_column("later", DoubleType())
    more = rows(150, 160).rename_columns(["id", "called", *rows(0, 1).column_names[2:]])
    more = more.set_column(8, "small", more.column("small").cast("int64"))
    table.append(more.append_column("later", pa.array([n / 7 for n in range(10)])))
    table.delete(EqualTo("id", 151))
    versions = []
    table = catalog.load_table("n.t")
    for snapshot in table.snapshots():
        pq.write_table(
            table.scan(snapshot_id=snapshot.snapshot_id).to_arrow(),
            root / f"oracle/iceberg-{snapshot.snapshot_id}.parquet",
        )
        versions.append({"version": snapshot.snapshot_id, "time": snapshot.timestamp_ms})
    (Path(table.location().removeprefix("file://"))).rename(root / "iceberg")
    return versions


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "oracle").mkdir(parents=True)
    (folder / "versions.json").write_text(json.dumps({"delta": delta(folder), "iceberg": iceberg(folder)}))
