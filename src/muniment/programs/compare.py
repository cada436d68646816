"""Compare two models, or two sets of predictions: a reproduction is identical, equivalent or different.

Channels ``a`` and ``b`` each hold the files of a model, or ``predictions.parquet``. Models are compared on the rows
of channel ``data``: the probe. Result: ``report.json`` with the verdict and the numbers it rests on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from muniment.analytics.comparison import difference, verdict
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job, run
from muniment.programs.models import load, scores_digest
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

PARAMETERS: Final = (
    Parameter("max_difference", Kind.NUMBER, "absolute difference that is still equivalent", 1e-9, low=0, high=1),
    Parameter("max_ulp", Kind.INTEGER, "units in the last place that are still equivalent", 2**22, low=0, high=2**62),
)


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two things compared."""

    scores: np.ndarray
    threshold: float
    file_digest: str | None
    canonical_digest: str | None


def compare(job: Job) -> None:
    """Score both where they are models, and compare."""
    given = job.parameters(PARAMETERS)
    ours, theirs = (_side(job, job.channel(name)) for name in ("a", "b"))
    if len(ours.scores) != len(theirs.scores):
        raise Invalid(
            "MUNI-D191",
            "the two sets of predictions are not equally long",
            a=len(ours.scores),
            b=len(theirs.scores),
            do="compare predictions for the same rows",
        )
    found = difference(ours.scores, theirs.scores, ours.threshold, theirs.threshold)
    known = ours.file_digest is not None and theirs.file_digest is not None
    files = ours.file_digest == theirs.file_digest if known else None
    models = ours.canonical_digest == theirs.canonical_digest if known else None
    result = verdict(
        found, equal_files=files, equal_models=models, max_difference=given["max_difference"], max_ulp=given["max_ulp"]
    )
    job.metrics(None, {"max_difference": found.max_difference, "max_ulp": float(found.max_ulp), "flips": found.flips})
    job.write(
        "report.json",
        {
            "verdict": result,
            **asdict(found),
            "equal_files": files,
            "equal_canonical_digests": models,
            "bounds": given,
            "a": {"scores_digest": scores_digest(ours.scores), "file_digest": ours.file_digest},
            "b": {"scores_digest": scores_digest(theirs.scores), "file_digest": theirs.file_digest},
        },
    )


def _side(job: Job, folder: Path) -> _Side:
    path = folder / "predictions.parquet"
    if not path.exists():
        probe = read_snapshot(job.channel("data"))
        model = load(folder)
        document = json.loads((folder / "model.json").read_bytes())
        return _Side(model.score(probe), model.threshold, document["file_digest"], document["canonical_digest"])
    try:
        table = pq.read_table(path, page_checksum_verification=True, use_threads=False)
        scores = table.column("score").to_numpy().astype(np.float64, copy=False)
        labels = table.column("label").to_numpy(zero_copy_only=False)
    except (pa.ArrowException, OSError, KeyError) as broken:
        raise IntegrityError("MUNI-D537", "the predictions are damaged", file=path.name) from broken
    # The threshold is not in the file: the lowest score that was labelled positive stands for it.
    threshold = float(scores[labels].min()) if labels.any() else float("inf")
    return _Side(scores, threshold, None, None)


if __name__ == "__main__":
    run(compare)
