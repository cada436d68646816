"""Split a snapshot into parts that are disjoint and together complete, and prove it.

Channel ``data`` holds a snapshot. Results: each part as a snapshot of its own (``<part>/manifest.json`` and its
Parquet files), ``assignment.parquet`` (the part of every row, by position), and ``proof.json``. The proof is made
from what was written: the parts are read back from disk, put together again by the assignment, and must have the
content digest of the whole.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.content import content_digest
from muniment.analytics.split import assign, check_shares
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job, run, visible
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import SnapshotWriter, manifest_beside, read_snapshot, write_manifest

PARAMETERS: Final = (
    Parameter("fractions", Kind.MAPPING, "share of the rows by name of the part; they add up to 1", required=True),
    Parameter("stratify", Kind.TEXT, "column whose classes keep their shares in every part"),
    Parameter("group", Kind.TEXT, "column whose equal values stay in one part"),
    Parameter("seed", Kind.INTEGER, "any integer; equal seeds give equal splits", 0),
    Parameter("target", Kind.TEXT, "column whose class rates the proof reports; the snapshot's target unless given"),
)
_MOST_CLASSES: Final = 100
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED: Final = {"snapshot", "model"}


def split(job: Job) -> None:
    """Assign, write, read back and prove."""
    given = job.parameters(PARAMETERS)
    shares = check_shares(given["fractions"])
    for name in shares:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise Invalid(
                "MUNI-D175",
                f"{name[:40]!r} is not a name for a part",
                given=name[:80],
                rule=_NAME.pattern,
                do="use lower-case letters, digits, underscores and hyphens",
            )
    folder = job.channel("data")
    manifest = manifest_beside(folder) or {}
    table = read_snapshot(folder)
    target = given["target"] or manifest.get("target")
    strata = _codes(table, given["stratify"], "stratify", _MOST_CLASSES) if given["stratify"] else None
    groups = _codes(table, given["group"], "group", None) if given["group"] else None
    chosen = assign(table.num_rows, shares, given["seed"], strata=strata, groups=groups)

    names = list(shares)
    manifests = {}
    for number, name in enumerate(names):
        writer = SnapshotWriter(job.results / name, table.schema)
        writer.write(table.take(pa.array(np.flatnonzero(chosen == number))))
        manifests[name] = writer.close(target)
        write_manifest(job.results / name / "manifest.json", manifests[name])
    labels = pa.DictionaryArray.from_arrays(pa.array(chosen, pa.int32()), pa.array(names)).dictionary_decode()
    assignment = pa.table({"part": labels})
    writer = SnapshotWriter(job.results / "assignment", assignment.schema)
    writer.write(assignment)
    assigned = writer.close(None)
    path = job.results / "assignment.parquet"
    (job.results / "assignment" / assigned["parts"][0]["path"]).rename(path)
    (job.results / "assignment").rmdir()

    proof = prove(table, [job.results / name for name in names], chosen)
    overlap = _equal_rows(table, chosen)
    job.write(
        "proof.json",
        {
            "format": "muniment.split/1",
            **proof,
            "seed": given["seed"],
            "stratify": given["stratify"],
            "group": given["group"],
            "assignment": {
                "path": path.name,
                "content_digest": assigned["content_digest"],
                "bytes_digest": assigned["parts"][0]["bytes_digest"],
            },
            "parts": {
                name: {
                    "share": float(shares[name]),
                    "rows": manifests[name]["rows"],
                    "content_digest": manifests[name]["content_digest"],
                    "classes": _classes(table, target, chosen == number),
                }
                for number, name in enumerate(names)
            },
            "equal_rows_in_different_parts": overlap,
            "findings": _findings(overlap),
        },
    )
    job.metrics(None, {f"{name}.rows": manifests[name]["rows"] for name in names})


def prove(whole: pa.Table, folders: list[Path], chosen: np.ndarray) -> dict[str, Any]:
    """Put the written parts together again; the facts of the proof.

    Raises:
        IntegrityError: the parts overlap, are not complete, or do not hold the rows of the whole.
    """
    parts = [read_snapshot(folder) for folder in folders]
    positions = [np.flatnonzero(chosen == number) for number in range(len(folders))]
    everything = np.concatenate(positions)
    disjoint = len(np.unique(everything)) == len(everything)
    complete = np.array_equal(np.sort(everything), np.arange(whole.num_rows))
    counts = [part.num_rows for part in parts] == [len(found) for found in positions]
    parent = content_digest(whole)
    rebuilt = None
    if disjoint and complete and counts:
        order = np.empty(len(everything), np.int64)
        order[everything] = np.arange(len(everything))
        rebuilt = content_digest(pa.concat_tables(parts).take(pa.array(order)))
    if rebuilt != parent:
        raise IntegrityError(
            "MUNI-D533",
            "the parts that were written are not the whole",
            disjoint=disjoint,
            complete=complete,
            expected=parent,
            found=rebuilt,
        )
    return {
        "rows": whole.num_rows,
        "content_digest": parent,
        "recombined_digest": rebuilt,
        "disjoint": disjoint,
        "complete": complete,
    }


def _codes(table: pa.Table, name: str, role: str, most: int | None) -> np.ndarray:
    """The values of a column as integers in order of first appearance; null is a value of its own."""
    if name not in table.schema.names:
        raise Invalid(
            "MUNI-D172",
            f"there is no column {name[:80]!r}",
            column=name[:80],
            parameter=role,
            columns=table.schema.names[:50],
            do="name a column of the data",
        )
    encoded = table.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
    if most is not None and len(encoded.dictionary) > most:
        raise Invalid(
            "MUNI-D176",
            f"the column {name[:80]!r} has {len(encoded.dictionary)} values: too many to stratify by",
            column=name[:80],
            found=len(encoded.dictionary),
            allowed=most,
            do="stratify by a column with few classes",
        )
    codes: np.ndarray = encoded.indices.to_numpy().astype(np.int64)
    return codes


def _classes(table: pa.Table, target: str | None, rows: np.ndarray) -> dict[str, int] | None:
    """How often each class of the target stands in these rows; None without a target or with many values."""
    if target is None or target not in table.schema.names:
        return None
    counted = pc.value_counts(table.column(target).filter(pa.array(rows)))
    if len(counted) > _MOST_CLASSES:
        return None
    return {visible(str(item["values"])): item["counts"] for item in counted.to_pylist()}


def _equal_rows(table: pa.Table, chosen: np.ndarray) -> dict[str, Any]:
    """Rows that have an equal row in another part, with and without the columns whose values are unique."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    unique = [name for name in frame.columns if frame[name].n_unique() == len(frame)]
    rest = [name for name in frame.columns if name not in unique]

    def count(columns: list[str]) -> int:
        if not columns:
            return 0
        marked = frame.select(columns).with_columns(pl.Series("__part__", chosen))
        groups = marked.group_by(columns).agg(pl.len().alias("__n__"), pl.col("__part__").n_unique().alias("__k__"))
        return int(groups.filter(pl.col("__k__") > 1)["__n__"].sum())

    return {
        "rows": 0 if unique else count(frame.columns),
        "without_unique_columns": count(rest),
        "unique_columns": unique,
    }


def _findings(overlap: dict[str, Any]) -> list[dict[str, Any]]:
    if not overlap["without_unique_columns"]:
        return []
    return [
        {
            "code": "equal_rows_in_different_parts",
            "message": "rows that are equal but for columns of unique values fell into different parts",
            "facts": {"rows": overlap["without_unique_columns"]},
        }
    ]


if __name__ == "__main__":
    run(split)
