"""Join features to requests as they were known at the moment of each request.

Channel ``requests`` holds a snapshot; for each view ``view_N`` holds the definition and ``rows_N`` the rows that were
built. Results: a snapshot with every request once, in its order, and the chosen features beside it, null where nothing
was known; ``report.json`` with how many requests were answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.asof import MISSING, as_of
from muniment.analytics.content import type_name
from muniment.errors import Invalid
from muniment.programs.contract import Job, run
from muniment.programs.feature_build import view_in
from muniment.programs.feature_rows import clock, key_frame, leaks
from muniment.programs.feature_view import View
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import SnapshotWriter, manifest_beside, read_snapshot, write_manifest

FORMAT: Final = "muniment.features-join/1"
PARAMETERS: Final = (
    Parameter(
        "time",
        Kind.TEXT,
        "column of the requests with the moment at which features must have been known",
        required=True,
    ),
    Parameter(
        "views",
        Kind.MAPPING,
        "by number of the view its features and their names in the result, in order",
        required=True,
    ),
)
_TIME: Final = "__muniment_time__"
_THREADS: Final = 2


def join(job: Job) -> None:
    """Read, find, take, write."""
    given = job.parameters(PARAMETERS)
    folder = job.channel("requests")
    requests = read_snapshot(folder)
    target = (manifest_beside(folder) or {}).get("target")
    joined, told = requests, []
    for number in range(len(given["views"])):
        view = view_in(job, f"view_{number}")
        rows = read_snapshot(job.channel(f"rows_{number}"))
        answered, facts = features_at(requests, given["time"], rows, view, dict(given["views"][str(number)]))
        for name, column in answered.items():
            joined = joined.append_column(name, column)
        told.append(facts)
    names = [name for one in told for name in one["features"]]
    findings = [finding for one in told for finding in one.pop("findings")]
    if target is not None and target in requests.schema.names:
        findings += leaks(joined, names, requests.column(target), target, "requests")
        findings += [
            {
                "code": "named_as_target",
                "message": "the feature is called as the target is",
                "facts": {"feature": name, "target": target, "data": "requests"},
            }
            for name in names
            if name.rpartition("__")[2] == target
        ]
    writer = SnapshotWriter(job.results, joined.schema)
    writer.write(joined)
    manifest = writer.close(target)
    write_manifest(job.results / "manifest.json", manifest)
    job.metrics(None, {"rows": joined.num_rows, **{f"{one['view']}.answered": one["answered"] for one in told}})
    job.write(
        "report.json",
        {
            "format": FORMAT,
            "rows": joined.num_rows,
            "time": given["time"],
            "content_digest": manifest["content_digest"],
            "views": told,
            "findings": findings,
        },
    )


def features_at(
    requests: pa.Table, time: str, rows: pa.Table, view: View, features: Mapping[str, str]
) -> tuple[dict[str, pa.Array], dict[str, Any]]:
    """The chosen features of one view at the moment of each request.

    Args:
        requests: the keys and the moment of each request.
        time: column of the moment.
        rows: the rows of the view, as its build wrote them.
        view: their definition.
        features: name in the result by name in the view.

    Returns:
        The columns by name in the result, one value for each request; and how the requests fared.

    Raises:
        Invalid: the requests lack a key or the moment, or hold another type there.
    """
    position = positions(requests, time, rows, view)
    missing = position == MISSING
    wanted = pa.array(np.where(missing, 0, position), mask=missing)
    with ThreadPoolExecutor(_THREADS) as threads:
        taken = dict(zip(features.values(), threads.map(lambda one: _take(rows, one, wanted), features), strict=True))
    moments = requests.column(time)
    findings = []
    if moments.null_count:
        message = "requests without a moment have no features"
        findings.append(
            {"code": "no_moment", "message": message, "facts": {"rows": moments.null_count, "view": view.name}}
        )
    facts = {
        "view": view.name,
        "features": list(features.values()),
        "answered": int((~missing).sum()),
        "unanswered": int(missing.sum()),
        "ttl_s": view.ttl_s,
        "knowledge_time": view.knowledge_time or f"{view.event_time} (known when it happens)",
        "findings": findings,
    }
    return taken, facts


def positions(requests: pa.Table, time: str, rows: pa.Table, view: View) -> np.ndarray:
    """The row of the view that answers each request, ``MISSING`` where there is none."""
    lacking = [name for name in (*view.entity, time) if name not in requests.schema.names]
    if lacking:
        raise Invalid(
            "MUNI-F134",
            f"the requests have no column {lacking[0][:60]!r}",
            missing=lacking[:20],
            view=view.name,
            columns=requests.schema.names[:50],
            do="requests carry the keys of every view, by the same names, and a moment",
        )
    keys = {
        name: _same_type(requests.column(name), rows.schema.field(name).type, name, view.name) for name in view.entity
    }
    asked = key_frame(pa.table({**keys, _TIME: clock(requests.column(time), time)}), (*view.entity, _TIME))
    held = key_frame(rows, (*view.entity, *view.clocks))
    ttl = None if view.ttl_s is None else view.ttl_s * 1_000_000
    return as_of(asked, _TIME, held, view.entity, view.event_time, view.knowledge_time, ttl)


def _take(rows: pa.Table, feature: str, wanted: pa.Array) -> pa.Array:
    if not rows.num_rows:
        return pa.nulls(len(wanted), rows.schema.field(feature).type)
    column = rows.column(feature)
    return pc.take(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0), wanted)


def _same_type(column: pa.ChunkedArray, wanted: pa.DataType, name: str, view: str) -> pa.ChunkedArray:
    found, kind = type_name(column.type, name), type_name(wanted)
    if found != kind and not ("int" in found and "int" in kind):
        raise Invalid(
            "MUNI-F135",
            f"the key {name[:60]!r} is {found} in the requests and {kind} in the view {view}",
            column=name,
            requests=found,
            view=view,
            rows=kind,
            do="give both the same type; nothing is converted between numbers and texts",
        )
    if found == kind:
        return column.cast(wanted)
    # A number beyond the other type's range is nobody's key: it has no answer, and is no error.
    fits = pc.and_kleene(pc.greater_equal(column, _least(wanted, column)), pc.less_equal(column, _most(wanted, column)))
    return pc.if_else(fits, column, pa.scalar(None, column.type)).cast(wanted)


def _least(wanted: pa.DataType, column: pa.ChunkedArray) -> pa.Scalar:
    return _bound(wanted, column, 0 if str(wanted).startswith("u") else -(2 ** (wanted.bit_width - 1)))


def _most(wanted: pa.DataType, column: pa.ChunkedArray) -> pa.Scalar:
    return _bound(wanted, column, 2 ** (wanted.bit_width - (0 if str(wanted).startswith("u") else 1)) - 1)


def _bound(wanted: pa.DataType, column: pa.ChunkedArray, value: int) -> pa.Scalar:
    unsigned = str(column.type).startswith("u")
    low = 0 if unsigned else -(2 ** (column.type.bit_width - 1))
    high = 2 ** (column.type.bit_width - (0 if unsigned else 1)) - 1
    return pa.scalar(min(max(value, low), high), column.type)


if __name__ == "__main__":
    run(join)
