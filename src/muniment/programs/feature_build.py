"""Fill a feature view: run its transform over the pinned sources, twice, and keep the rows with what they rest on.

Channel ``view`` holds the definition, each source is a channel of its own, and the source tree holds the transform.
Results: the rows as a snapshot (``manifest.json`` and its parts) and ``report.json`` with statistics, findings, and the
source columns that each feature rests on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.content import content_digest
from muniment.errors import MunimentError
from muniment.programs.contract import Job, run
from muniment.programs.feature_rows import conform, key_frame, leaks, observations
from muniment.programs.feature_transform import PythonTransform, Reads, SqlTransform, Transforming, by_chance
from muniment.programs.feature_view import View, read_view
from muniment.programs.script import TREE, unpack
from muniment.programs.snapshots import SnapshotWriter, manifest_beside, read_snapshot, write_manifest

FORMAT: Final = "muniment.features-build/1"
_CHECKED_ROWS: Final = 50_000
"""Rows of each source that the check of the columns runs over."""

_MOST_CHECKS: Final = 24
"""Different lists of columns that are checked; a view with more is told which were not."""


def build(job: Job) -> None:
    """Read, transform twice, check, write."""
    view = view_in(job)
    root = Path(os.environ.get("MUNIMENT_ML_ROOT", "/opt/ml"))
    unpack(root / "input/source.tar", TREE)
    sources = {name: read_snapshot(job.channel(name)) for name in view.sources}
    kind = PythonTransform if view.transform.language == "python" else SqlTransform
    transform: Transforming = kind(view, TREE)

    table, findings = conform(transform(sources, watched=True), view)
    again, _ = conform(transform(sources), view)
    if content_digest(table) != content_digest(again):
        raise by_chance(view.transform.entry, columns=_different(table, again)[:20])
    findings += observations(table, view)
    lineage = column_lineage(view, transform, sources)
    findings += _leaks(job, view, table, sources, lineage["features"])

    writer = SnapshotWriter(job.results, table.schema)
    writer.write(table)
    manifest = writer.close(None)
    write_manifest(job.results / "manifest.json", manifest)
    entities = key_frame(table, view.entity).n_unique() if table.num_rows else 0
    job.metrics(None, {"rows": table.num_rows, "entities": entities, "findings": len(findings)})
    job.write(
        "report.json",
        {
            "format": FORMAT,
            "view": view.name,
            "rows": table.num_rows,
            "entities": entities,
            "content_digest": manifest["content_digest"],
            "clocks": {name: _span(table, name) for name in view.clocks},
            "features": [_statistics(table, one.name, one.type) for one in view.features],
            "runs": 2,
            "tie_rule": "among rows with equal keys and times the last one that the transform gave counts",
            "column_lineage": lineage,
            "findings": findings,
        },
    )


def view_in(job: Job, channel: str = "view") -> View:
    """The view whose definition lies in a channel."""
    folder = job.channel(channel)
    return read_view(json.loads(next(iter(sorted(folder.iterdir()))).read_bytes()))


def column_lineage(view: View, transform: Transforming, sources: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Which columns of which source each feature rests on, how that is known, and how firmly.

    That nothing but the columns of the mounted sources can have come in is proven by the walls. That a feature rests on
    no more than the listed ones is proven where it came out the same with all others blanked; else it is declared.
    """
    names = tuple(feature.name for feature in view.features)
    bound = {name: list(table.schema.names) for name, table in sources.items()}
    try:
        reads = transform.reads({name: table.schema for name, table in sources.items()}, names)
    except MunimentError as refused:
        # A transform that cannot run over no rows: the plan cannot be asked, and nothing is made up.
        everything = dict.fromkeys(names, bound)
        return _told("sources", everything, dict.fromkeys(names, "proven"), f"not derived: {refused.message}"[:200])
    if transform.method == "sources":
        reason = "not derived: the transform takes data frames; every column of the sources may count"
        return _told("sources", reads, dict.fromkeys(names, "proven"), reason)
    grades = _checked(view, transform, sources, reads)
    return _told(transform.method, reads, grades, None)


def _told(method: str, reads: Reads, grades: Mapping[str, str], reason: str | None) -> dict[str, Any]:
    features = {
        name: {
            "columns": [f"{source}.{column}" for source, columns in by_source.items() for column in columns],
            "grade": grades[name],
        }
        for name, by_source in reads.items()
    }
    weakest = "declared" if "declared" in grades.values() else "proven"
    return {"method": method, "grade": weakest, "reason": reason, "features": features}


def _checked(view: View, transform: Transforming, sources: Mapping[str, pa.Table], reads: Reads) -> dict[str, str]:
    """``proven`` for each feature that comes out the same when every column that it does not rest on is blank."""
    sample = {name: table.slice(0, _CHECKED_ROWS) for name, table in sources.items()}
    grades = dict.fromkeys(reads, "declared")
    try:
        whole = transform(sample)
    except MunimentError:
        return grades
    by_list: dict[str, list[str]] = {}
    for name, columns in reads.items():
        by_list.setdefault(json.dumps(columns, sort_keys=True), []).append(name)
    keys = [name for name in (*view.entity, *view.clocks) if name in whole.schema.names]
    # The keys are looked for too: they order the rows, and so belong to what stands beside each value.
    resting = _resting_on(transform, sources, keys)
    for features in list(by_list.values())[:_MOST_CHECKS]:
        used = {source: set(columns) | set(resting.get(source, ())) for source, columns in reads[features[0]].items()}
        blanked = {name: _blank(table, used[name]) for name, table in sample.items()}
        try:
            alone = transform(blanked)
            same = all(
                content_digest(_ordered(whole, keys, name)) == content_digest(_ordered(alone, keys, name))
                for name in features
            )
        except (MunimentError, pa.ArrowException, KeyError):
            continue
        if same:
            grades.update(dict.fromkeys(features, "proven"))
    return grades


def _resting_on(transform: Transforming, sources: Mapping[str, pa.Table], keys: list[str]) -> dict[str, set[str]]:
    found = transform.reads({name: table.schema for name, table in sources.items()}, tuple(keys))
    return {name: {c for columns in found.values() for c in columns[name]} for name in sources}


def _ordered(table: pa.Table, keys: list[str], feature: str) -> pa.Table:
    frame = pl.from_arrow(table.select([*keys, feature]))
    assert isinstance(frame, pl.DataFrame)
    return frame.sort([*keys, feature]).to_arrow()


def _blank(table: pa.Table, kept: set[str]) -> pa.Table:
    columns = [
        table.column(field.name)
        if field.name in kept
        else pa.chunked_array([pa.nulls(table.num_rows, field.type)], field.type)
        for field in table.schema
    ]
    return pa.table(columns, schema=table.schema)


def _leaks(
    job: Job, view: View, table: pa.Table, sources: Mapping[str, pa.Table], lineage: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Features that a source's own target leaks into: by name, by what they read, by what they say."""
    findings: list[dict[str, Any]] = []
    names = [feature.name for feature in view.features]
    for source, rows in sources.items():
        target = (manifest_beside(job.channel(source)) or {}).get("target")
        if target is None or target not in rows.schema.names:
            continue
        facts = {"target": target, "data": source}
        if target in names:
            message = "the feature is called as the target is"
            findings.append({"code": "named_as_target", "message": message, "facts": {"feature": target, **facts}})
        findings += [
            {"code": "reads_target", "message": "the feature rests on the target", "facts": {"feature": name, **facts}}
            for name, told in lineage.items()
            if f"{source}.{target}" in told["columns"]
        ]
        labels = _labels_for(table, rows, view, target)
        if labels is not None:
            findings += leaks(table, names, labels, target, source)
    return findings


def _labels_for(table: pa.Table, rows: pa.Table, view: View, target: str) -> pa.ChunkedArray | None:
    """The target of each feature row by its keys; None where the source does not settle it."""
    if not table.num_rows or any(name not in rows.schema.names for name in view.entity):
        return None
    if any(rows.schema.field(name).type != table.schema.field(name).type for name in view.entity):
        return None
    known = key_frame(rows, view.entity).with_row_index("__muniment_at__")
    known = known.unique(list(view.entity), keep="none", maintain_order=True)
    found = key_frame(table, view.entity).join(known, on=list(view.entity), how="left", maintain_order="left")
    return rows.column(target).take(pa.array(found["__muniment_at__"].cast(pl.Int64).to_arrow()))


def _different(first: pa.Table, second: pa.Table) -> list[str]:
    if first.num_rows != second.num_rows:
        return [f"{first.num_rows} rows, then {second.num_rows}"]
    return [n for n in first.schema.names if content_digest(first.select([n])) != content_digest(second.select([n]))]


def _span(table: pa.Table, name: str) -> dict[str, Any]:
    found = pc.min_max(table.column(name)).as_py()
    return {end: None if value is None else value.isoformat() for end, value in found.items()}


def _statistics(table: pa.Table, name: str, kind: str) -> dict[str, Any]:
    """How a feature is filled, in counts that show no single value."""
    values = table.column(name)
    facts: dict[str, Any] = {"name": name, "type": kind, "nulls": values.null_count}
    if "int" in kind or kind.startswith(("float", "decimal")):
        numbers = values.drop_null().cast(pa.float64(), safe=False).to_numpy()
        numbers = numbers[np.isfinite(numbers)]
        facts["mean"] = float(numbers.mean()) if len(numbers) else None
        facts["sd"] = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
    facts["distinct"] = int(pc.count_distinct(values, mode="only_valid").as_py())
    return facts


if __name__ == "__main__":
    run(build)
