"""Compare two models, or two sets of predictions: a reproduction is identical, equivalent or different.

Channels ``a`` and ``b`` each hold the files of a model, or ``predictions.parquet``. Models are compared on the rows
of channel ``data``: the probe. Models of the platform's own training and those that a script left are read alike; one
that cannot be asked for scores is compared by what its file means. Result: ``report.json`` with the verdict and the
numbers it rests on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from muniment.analytics.comparison import Verdict, difference, verdict
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job, run
from muniment.programs.foreign_models import open_foreign
from muniment.programs.models import FORMAT as MODEL_FORMAT
from muniment.programs.models import load, scores_digest
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

_ANY: Final = 2**53
"""So many units in the last place and more are all the same: the largest integer that a plan can name."""

PARAMETERS: Final = (
    Parameter("max_difference", Kind.NUMBER, "absolute difference that is still equivalent", 1e-9, low=0, high=1),
    Parameter("max_ulp", Kind.INTEGER, "units in the last place that are still equivalent", 2**22, low=0, high=_ANY),
    Parameter("target", Kind.TEXT, "the column that is no feature of a script's model", ""),
    Parameter("threshold", Kind.NUMBER, "score from which a script's model decides for the positive", 0.5),
)


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two things compared."""

    scores: np.ndarray | None
    threshold: float
    file_digest: str | None
    canonical_digest: str | None
    why_not: str | None = None

    def document(self) -> dict[str, Any]:
        return {
            "scores_digest": None if self.scores is None else scores_digest(self.scores),
            "file_digest": self.file_digest,
            "canonical_digest": self.canonical_digest,
            "why_no_scores": self.why_not,
        }


def compare(job: Job) -> None:
    """Score both where they are models, and compare."""
    given = job.parameters(PARAMETERS)
    ours, theirs = (_side(job, job.channel(name), given) for name in ("a", "b"))
    known = ours.file_digest is not None and theirs.file_digest is not None
    files = ours.file_digest == theirs.file_digest if known else None
    models = ours.canonical_digest == theirs.canonical_digest if known else None
    bounds = {name: given[name] for name in ("max_difference", "max_ulp")}
    result: dict[str, Any] = {
        "equal_files": files,
        "equal_canonical_digests": models,
        "bounds": bounds,
        "a": ours.document(),
        "b": theirs.document(),
    }
    if ours.scores is None or theirs.scores is None:
        # What the file means decides the predictions: without scores, equal meaning is all that can be shown.
        same = Verdict.IDENTICAL_BYTES if files else Verdict.IDENTICAL_PREDICTIONS if models else Verdict.DIFFERENT
        job.write("report.json", {**result, "verdict": same, "rows": 0})
        return
    if len(ours.scores) != len(theirs.scores):
        raise Invalid(
            "MUNI-D191",
            "the two sets of predictions are not equally long",
            a=len(ours.scores),
            b=len(theirs.scores),
            do="compare predictions for the same rows",
        )
    found = difference(ours.scores, theirs.scores, ours.threshold, theirs.threshold)
    limits = {**bounds, "max_ulp": found.max_ulp} if bounds["max_ulp"] == _ANY else bounds
    said = verdict(found, equal_files=files, equal_models=models, **limits)
    job.metrics(None, {"max_difference": found.max_difference, "max_ulp": float(found.max_ulp), "flips": found.flips})
    job.write("report.json", {**result, **asdict(found), "verdict": said})


def _side(job: Job, folder: Path, given: dict[str, Any]) -> _Side:
    path = folder / "predictions.parquet"
    if path.exists():
        return _predictions(path)
    probe = read_snapshot(job.channel("data"))
    if not _is_ours(folder / "model.json"):
        found = open_foreign(folder, probe, given["target"] or None)
        return _Side(found.scores, given["threshold"], found.file_digest, found.canonical_digest, found.why_not)
    model = load(folder)
    document = json.loads((folder / "model.json").read_bytes())
    return _Side(model.score(probe), model.threshold, document["file_digest"], document["canonical_digest"])


def _is_ours(path: Path) -> bool:
    """Whether the platform's own training wrote it; a script may call anything ``model.json``."""
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("format") == MODEL_FORMAT


def _predictions(path: Path) -> _Side:
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
