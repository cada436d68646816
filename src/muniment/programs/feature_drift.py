"""How far the features of one build lie from those of another: PSI by feature, at edges that come from the reference.

Channel ``view`` holds the definition, ``reference`` and ``rows`` the two builds. Result: ``report.json``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.content import type_name
from muniment.analytics.stability import by_level, by_quantile
from muniment.programs.contract import Job, run
from muniment.programs.feature_build import view_in
from muniment.programs.snapshots import read_snapshot

FORMAT: Final = "muniment.features-drift/1"
_MOST_LEVELS: Final = 50


def drift(job: Job) -> None:
    """Read both builds, count, report."""
    view = view_in(job)
    before, now = read_snapshot(job.channel("reference")), read_snapshot(job.channel("rows"))
    told = []
    for feature in view.features:
        if feature.name in before.schema.names:
            told.append({"name": feature.name, **_compared(before.column(feature.name), now.column(feature.name))})
        else:
            told.append({"name": feature.name, "psi": None, "reason": "the reference does not have it"})
    job.metrics(None, {f"{one['name']}.psi": one["psi"] for one in told if one["psi"] is not None})
    job.write(
        "report.json",
        {
            "format": FORMAT,
            "view": view.name,
            "rows": {"reference": before.num_rows, "current": now.num_rows},
            "features": told,
        },
    )


def _compared(before: pa.ChunkedArray, now: pa.ChunkedArray) -> dict[str, Any]:
    kinds = [type_name(one.type) for one in (before, now)]
    if all("int" in kind or kind.startswith(("float", "decimal")) for kind in kinds):
        found = by_quantile(_numbers(before), _numbers(now))
        return {"psi": found["psi"], "bins": len(found["reference"]), "missing": found["missing"]}
    if kinds[0] != kinds[1]:
        return {"psi": None, "reason": "its type is another one"}
    texts = [one.cast(pa.string()) for one in (before, now)]
    levels = [value for value in pc.unique(texts[0]).to_pylist() if value is not None]
    if len(levels) > _MOST_LEVELS:
        return {"psi": None, "reason": f"more than {_MOST_LEVELS} levels"}
    found = by_level(_codes(texts[0], levels), _codes(texts[1], levels), levels)
    return {"psi": found["psi"], "bins": len(levels), "missing": found["missing"]}


def _numbers(values: pa.ChunkedArray) -> np.ndarray:
    numbers: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def _codes(values: pa.ChunkedArray, levels: list[str]) -> np.ndarray:
    codes: np.ndarray = pc.index_in(values, value_set=pa.array(levels, pa.string())).cast(pa.float64()).to_numpy()
    return codes


if __name__ == "__main__":
    run(drift)
