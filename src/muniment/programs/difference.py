"""Say how two snapshots differ: schema, counts, distributions, and rows added, removed and changed.

Channels ``a`` and ``b`` hold snapshots, and ``input/config/keys/rows`` the project's key. Result: ``report.json``.
Rows are compared over the columns that both have, by their fingerprints, with duplicates counted; with ``keys`` rows
of equal keys are laid side by side, and each column is asked in how many of them its value changed. Columns are read
one after the other, so that memory holds one column of both snapshots, not the snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from muniment.analytics.difference import column_difference
from muniment.analytics.rows import RowHasher, common, sort_fingerprints
from muniment.errors import Invalid
from muniment.programs.contract import Job, run
from muniment.programs.fingerprint import pieces
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import manifest_beside

PARAMETERS: Final = (Parameter("keys", Kind.NAMES, "columns that together name a row", ()),)
_PIECE: Final = 131_072


@dataclass(frozen=True, slots=True)
class _Snapshot:
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def rows(self) -> int:
        return int(self.manifest["rows"])

    @property
    def columns(self) -> list[str]:
        return [column["name"] for column in self.manifest["schema"]]

    def types(self) -> dict[str, str]:
        return {column["name"]: column["type"] for column in self.manifest["schema"]}

    def column(self, name: str) -> pa.ChunkedArray:
        found = [piece.column(0) for piece in pieces(self.folder, self.manifest, _PIECE, [name])]
        return pa.chunked_array(found) if found else pa.chunked_array([], pa.string())

    def hashed(self, hasher: RowHasher, columns: Sequence[str]) -> np.ndarray:
        """The fingerprints of the rows, in their order."""
        found = [hasher.fingerprints(piece) for piece in self._pieces(hasher, columns)]
        return np.concatenate(found) if found else np.zeros((0, 2), np.uint64)

    def _pieces(self, hasher: RowHasher, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return pieces(self.folder, self.manifest, hasher.batch_rows(), list(columns))


def difference(job: Job) -> None:
    """Compare and report."""
    keys = list(job.parameters(PARAMETERS)["keys"] or ())
    key = job.key("rows")
    a, b = (_snapshot(job, side) for side in ("a", "b"))
    types_a, types_b = a.types(), b.types()
    both = [name for name in a.columns if name in types_b]
    if strangers := [name for name in keys if name not in both]:
        raise Invalid(
            "MUNI-O128",
            f"both snapshots need the key column {strangers[0][:80]!r}",
            columns=[name[:80] for name in strangers[:10]],
            do="name columns that both have",
        )
    whole_a, whole_b = (sort_fingerprints(one.hashed(RowHasher(key, "names", both), both)) for one in (a, b))
    counts = common(whole_a, whole_b)
    del whole_a, whole_b
    rows: dict[str, Any] = {
        "removed": counts.rows_a - counts.shared,
        "added": counts.rows_b - counts.shared,
        "unchanged": counts.shared,
        "duplicates_a": counts.rows_a - counts.distinct_a,
        "duplicates_b": counts.rows_b - counts.distinct_b,
    }
    changed: dict[str, int] = {}
    if keys:
        matched = _matched(key, a, b, keys)
        changed = _changed(key, a, b, [name for name in both if name not in keys], matched, rows)
    columns = []
    for name in both:
        facts = column_difference(a.column(name), b.column(name))
        columns.append({"name": name, **facts, **({"changed": changed[name]} if name in changed else {})})
    job.metrics(None, {"rows.added": rows["added"], "rows.removed": rows["removed"]})
    job.write(
        "report.json",
        {
            "format": "muniment.difference/1",
            "rows_a": a.rows,
            "rows_b": b.rows,
            "content_equal": a.manifest["content_digest"] == b.manifest["content_digest"],
            "schema": {
                "added": [{"name": name, "type": types_b[name]} for name in b.columns if name not in types_a],
                "removed": [{"name": name, "type": types_a[name]} for name in a.columns if name not in types_b],
                "retyped": [
                    {"name": name, "from": types_a[name], "to": types_b[name]}
                    for name in both
                    if types_a[name] != types_b[name]
                ],
                "reordered": [name for name in b.columns if name in types_a] != both,
            },
            "keys": keys,
            "rows": rows,
            "columns": columns,
        },
    )


def _snapshot(job: Job, channel: str) -> _Snapshot:
    folder = job.channel(channel)
    manifest = manifest_beside(folder)
    if manifest is None:
        raise Invalid("MUNI-O110", "the input is no snapshot", channel=channel, do="name a data set")
    return _Snapshot(folder, manifest)


def _matched(key: bytes, a: _Snapshot, b: _Snapshot, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Positions in A and in B of the rows whose keys are equal.

    Raises:
        Invalid: the keys name several rows of one snapshot.
    """
    # By name, so that a row whose keys are all missing keeps its place.
    hasher = RowHasher(key, "names", keys)
    orders, found = [], []
    for side, one in (("a", a), ("b", b)):
        prints = one.hashed(hasher, keys)
        order = np.lexsort((prints[:, 1], prints[:, 0]))
        ordered = prints[order]
        repeated = int(np.all(ordered[1:] == ordered[:-1], axis=1).sum())
        if repeated:
            raise Invalid(
                "MUNI-O129",
                "the keys do not name one row each",
                side=side,
                keys=[name[:80] for name in keys],
                repeated_rows=repeated,
                do="name more columns, or compare without keys",
            )
        orders.append(order)
        found.append(ordered)
    pair = np.concatenate(found)
    source = np.lexsort((np.arange(len(pair)), pair[:, 1], pair[:, 0]))
    same = np.flatnonzero(np.all(pair[source[1:]] == pair[source[:-1]], axis=1))
    return orders[0][source[same]], orders[1][source[same + 1] - len(found[0])]


def _changed(
    key: bytes,
    a: _Snapshot,
    b: _Snapshot,
    columns: Sequence[str],
    matched: tuple[np.ndarray, np.ndarray],
    rows: dict[str, Any],
) -> dict[str, int]:
    """In how many of the rows with equal keys each column changed; rows are told anew, by their keys."""
    at_a, at_b = matched
    any_changed = np.zeros(len(at_a), bool)
    found = {}
    for name in columns:
        hasher = RowHasher(key, "names", [name])
        one, other = (side.hashed(hasher, [name]) for side in (a, b))
        differs = np.any(one[at_a] != other[at_b], axis=1)
        found[name] = int(differs.sum())
        any_changed |= differs
    rows |= {
        "removed": a.rows - len(at_a),
        "added": b.rows - len(at_b),
        "changed": int(any_changed.sum()),
        "unchanged": len(at_a) - int(any_changed.sum()),
    }
    return found


if __name__ == "__main__":
    run(difference)
