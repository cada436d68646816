"""Fingerprint the rows of a snapshot, over one or more views of them.

Channel ``data`` holds a snapshot, and ``input/config/keys/rows`` the project's key. Results: for each view a folder
``0``, ``1``, ... with ``rows.fp``, the sorted fingerprints of 16 bytes each, and ``manifest.json``, which names it by
digest. The parts are read piece by piece: what stands in memory at once is 16 bytes a row and view, and one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from muniment.analytics.rows import FINGERPRINT, FORMAT, RowHasher, common, sort_fingerprints
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job, run
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import bytes_digest, manifest_beside, write_manifest

__all__ = ["columns_of", "fingerprint", "pieces", "row_hashers"]

PARAMETERS: Final = (
    Parameter("views", Kind.MAPPING, "what to fingerprint over, by number: {by, columns | except}", required=True),
)
BY: Final = ("names", "values", "keys")
FILE: Final = "rows.fp"


def fingerprint(job: Job) -> None:
    """Read the snapshot once, and fingerprint it over every view."""
    views = [view for _, view in sorted(job.parameters(PARAMETERS)["views"].items())]
    folder = job.channel("data")
    manifest = manifest_beside(folder)
    if manifest is None:
        raise Invalid("MUNI-O110", "the input is no snapshot", channel=folder.name, do="name a data set")
    hashers = row_hashers(job.key("rows"), [column["name"] for column in manifest["schema"]], views)
    found = _hashed(folder, manifest, hashers)
    for number, (view, rows) in enumerate(zip(views, found, strict=True)):
        _write(job, number, view, manifest, sort_fingerprints(rows))
        found[number] = np.zeros((0, 2), np.uint64)
    job.metrics(None, {"rows": manifest["rows"], "views": len(views)})


def columns_of(view: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    """The columns of a view of a table.

    Raises:
        Invalid: the view is not readable, or names a column that is not there.
    """
    by, named, left = view.get("by"), view.get("columns"), view.get("except")
    strangers = sorted({*(named or ()), *(left or ())} - set(columns))
    if by not in BY or strangers or (by == "keys" and not named):
        raise Invalid(
            "MUNI-O111",
            "the rows cannot be looked at like this",
            by=str(by)[:20],
            unknown=[one[:80] for one in strangers[:10]],
            do="name columns of the snapshot",
        )
    if named is not None:
        return list(named)
    without = frozenset(left or ())
    return [name for name in columns if name not in without]


def row_hashers(key: bytes, columns: Sequence[str], views: Sequence[Mapping[str, Any]]) -> list[RowHasher]:
    """One hasher for each view."""
    return [RowHasher(key, view["by"], columns_of(view, columns)) for view in views]


def pieces(
    folder: Path, manifest: Mapping[str, Any], rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a snapshot in order, so many at once, from parts that are those of the manifest.

    Raises:
        IntegrityError: a part is missing, damaged or another one.
    """
    for part in manifest["parts"]:
        path = folder / part["path"]
        if not path.exists() or bytes_digest(path) != part["bytes_digest"]:
            raise IntegrityError("MUNI-D531", "a part is not the one that the manifest names", part=part["path"])
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                yield from file.iter_batches(rows, columns=columns, use_threads=False)
        except (pa.ArrowException, OSError) as broken:
            raise IntegrityError("MUNI-D532", "a part of the snapshot is damaged", part=path.name) from broken


def _hashed(folder: Path, manifest: Mapping[str, Any], hashers: Sequence[RowHasher]) -> list[np.ndarray]:
    found = [np.zeros((manifest["rows"], 2), np.uint64) for _ in hashers]
    ends = [0] * len(hashers)
    for piece in pieces(folder, manifest, min(one.batch_rows() for one in hashers)):
        for number, hasher in enumerate(hashers):
            rows = hasher.fingerprints(piece)
            found[number][ends[number] : ends[number] + len(rows)] = rows
            ends[number] += len(rows)
    return [rows[:end] for rows, end in zip(found, ends, strict=True)]


def _write(job: Job, number: int, view: Mapping[str, Any], manifest: Mapping[str, Any], rows: np.ndarray) -> None:
    folder = job.results / str(number)
    folder.mkdir()
    path = folder / FILE
    rows.astype(">u8").tofile(path)
    counts = common(rows, rows[:0])
    document = {
        "format": FORMAT,
        "view": dict(view),
        "columns": len(columns_of(view, [column["name"] for column in manifest["schema"]])),
        "of": {"content_digest": manifest["content_digest"], "rows": manifest["rows"]},
        "rows": len(rows),
        "left_out": manifest["rows"] - len(rows),
        "distinct": counts.distinct_a,
        "once": counts.once_a,
        "fingerprint_bytes": FINGERPRINT,
        "parts": [{"path": FILE, "bytes_digest": bytes_digest(path), "bytes": path.stat().st_size}],
    }
    write_manifest(folder / "manifest.json", document)


if __name__ == "__main__":
    run(fingerprint)
