"""Describe a snapshot, column by column.

Channel ``data`` holds a snapshot. Result: ``report.json``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from muniment.analytics.content import content_digest
from muniment.analytics.performance import auc
from muniment.analytics.profile import profile_table
from muniment.errors import Invalid
from muniment.programs.contract import Job, run
from muniment.programs.features import Target
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import manifest_beside, read_snapshot

PARAMETERS: Final = (
    Parameter("target", Kind.TEXT, "column whose rates are shown; the snapshot's target unless given"),
    Parameter("positive", Kind.TEXT, "value of the target that counts as positive; else the greater one"),
    Parameter("min_count", Kind.INTEGER, "fewest rows that must share a value for it to be shown", 10, low=1),
)
_GIVES_AWAY: Final = 0.95


def profile(job: Job) -> None:
    """Read and describe."""
    given = job.parameters(PARAMETERS)
    folder = job.channel("data")
    table = read_snapshot(folder)
    name = given["target"] or (manifest_beside(folder) or {}).get("target")
    target, labels, reason = _labels(table, name, given["positive"], asked=given["target"] is not None)
    columns = profile_table(table, labels, given["min_count"])
    if labels is not None:
        for column in columns:
            if column["name"] != name and _gives_away(table, column, labels):
                column["findings"].append("gives_target_away")
    findings = [
        {"code": code, "facts": {"column": column["name"]}} for column in columns for code in column["findings"]
    ]
    duplicates = _duplicates(table)
    if duplicates:
        findings.append({"code": "duplicate_rows", "facts": {"rows": duplicates}})
    job.metrics(None, {"rows": table.num_rows, "columns": table.num_columns, "findings": len(findings)})
    job.write(
        "report.json",
        {
            "format": "muniment.profile/1",
            "rows": table.num_rows,
            "content_digest": content_digest(table),
            "duplicate_rows": duplicates,
            "target": None
            if target is None or labels is None
            else {
                "name": target.name,
                "positive": target.positive,
                "positives": int(labels.sum()),
                "rate": float(labels.mean()),
            },
            "target_unused": reason,
            "columns": columns,
            "findings": findings,
        },
    )


def _labels(
    table: pa.Table, name: str | None, positive: str | None, *, asked: bool
) -> tuple[Target | None, np.ndarray | None, str | None]:
    """The labels, or why there are none; a target that was asked for must do."""
    if name is None:
        return None, None, "no target is declared"
    try:
        target = Target.of(table, name, positive)
        return target, target.labels(table), None
    except Invalid as refusal:
        if asked:
            raise
        return None, None, refusal.message


def _gives_away(table: pa.Table, column: dict[str, Any], labels: np.ndarray) -> bool:
    if "numbers" not in column:
        return False
    values = table.column(column["name"]).cast(pa.float64(), safe=False).to_numpy()
    known = np.isfinite(values)
    area = auc(labels[known], values[known])
    return area is not None and max(area, 1 - area) > _GIVES_AWAY


def _duplicates(table: pa.Table) -> int:
    """Rows that equal an earlier row."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return len(frame) - int(frame.n_unique())


if __name__ == "__main__":
    run(profile)
