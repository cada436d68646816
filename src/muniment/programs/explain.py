"""Explain a model on a snapshot: what each feature contributes to its output, exactly, and how that adds up.

Channels: ``model``, ``data`` (the rows to explain; the target may be missing, and with it the importance by
permutation) and optionally ``background`` (the rows
that a linear model's averages are taken over; else those of ``data``). Result: ``report.json`` of the format
``muniment.explanation/1``. Each row's contributions and the expected output must add up to what the model says, or the
job fails: an explanation that does not add up explains another model.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from muniment.analytics.content import content_digest
from muniment.analytics.contribution import (
    beeswarm,
    dependence,
    digits,
    disagreement,
    global_importance,
    partial_dependence,
    permutation_importance,
)
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job, run
from muniment.programs.engines import Explainer
from muniment.programs.models import Model, load, scores_digest
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

FORMAT: Final = "muniment.explanation/1"
TOLERANCE: Final = 1e-4
"""How far, for each unit of output beyond one, contributions may be from adding up: what float32 trees leave."""

PARAMETERS: Final = (
    Parameter("seed", Kind.INTEGER, "seed of every sample", 0, low=0, high=2**31 - 1),
    Parameter(
        "rows", Kind.INTEGER, "most rows to explain; of more a seeded sample is taken", 50_000, low=1, high=10_000_000
    ),
    Parameter("top", Kind.INTEGER, "features with curves and points", 12, low=1, high=30),
)
_CELLS: Final = 20_000_000
"""Rows times features that are explained at most: 160 MB of contributions."""

_BATCH: Final = 4_096
_POINTS: Final = 300
_PROBED: Final = 250
"""Rows that partial dependence sets a feature in."""

_DEALT: Final = 2_000
_LEAST_DEALT: Final = 400
"""Rows among which the values of a feature are dealt out anew; fewer for a model of many features."""

_CHARACTERS: Final = 200


def explain(job: Job) -> None:
    """Contribute, check that it adds up, and describe."""
    given = job.parameters(PARAMETERS)
    model = load(job.channel("model"))
    table = read_snapshot(job.channel("data"))
    features = len(model.encoding.features)
    most = max(1, min(given["rows"], _CELLS // max(1, features)))
    digest, rows = content_digest(table), table.num_rows
    if not rows:
        raise Invalid("MUNI-D198", "there are no rows to explain", do="give data with rows")
    draw = np.random.Generator(np.random.PCG64(given["seed"]))
    chosen = _some(draw, rows, most)
    table = table if len(chosen) == rows else table.take(pa.array(chosen))
    matrix, labels = model.encoding.matrix(table), _labels(model, table)
    del table
    background, described = _background(job, model, matrix, {"content_digest": digest, "sampled": len(chosen) < rows})
    explainer = model.scorer.explainer(background)
    if job.has_channel("background") and not explainer.takes_background:
        raise Invalid(
            "MUNI-D197",
            "contributions of trees are path-dependent: they take no background",
            algorithm=model.algorithm,
            do="leave the background out",
        )
    del background
    contributions, expected, error = _contributions(job, explainer, matrix)
    scores = model.scorer.score(matrix)
    report = _report(model, matrix, labels, contributions, draw, given["top"])
    job.metrics(None, {"additivity_error": error})
    job.write(
        "report.json",
        {
            "format": FORMAT,
            "algorithm": model.algorithm,
            "method": explainer.method,
            "output": "log-odds",
            "target": {"name": model.target.name, "positive": model.target.positive, "negative": model.target.negative},
            "rows": len(matrix),
            "data": {"rows": rows, "content_digest": digest, "sampled": len(matrix) < rows},
            "background": described if explainer.takes_background else None,
            "expected_value": digits(expected),
            "additivity": {"max_error": digits(error, 3), "tolerance": TOLERANCE},
            **report,
            "seed": given["seed"],
            "scores_digest": scores_digest(scores),
        },
    )


def _background(
    job: Job, model: Model, matrix: np.ndarray, explained: dict[str, Any]
) -> tuple[np.ndarray, dict[str, Any]]:
    """The rows that averages are taken over, and what they are."""
    if not job.has_channel("background"):
        return matrix, {"of": "the explained rows", "rows": len(matrix), **explained}
    table = read_snapshot(job.channel("background"))
    if not table.num_rows:
        raise Invalid("MUNI-D198", "there are no rows to explain", do="give data with rows")
    found = {"of": "the background", "rows": table.num_rows, "content_digest": content_digest(table), "sampled": False}
    return model.encoding.matrix(table), found


def _labels(model: Model, table: pa.Table) -> np.ndarray | None:
    """The outcomes, where the data hold the model's two classes for every row."""
    try:
        return model.target.labels(table)
    except Invalid:
        return None


def _some(draw: np.random.Generator, rows: int, most: int) -> np.ndarray:
    """Places of all rows, or of a sample without repeats, in their order."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(draw.choice(rows, most, replace=False))


def _contributions(job: Job, explainer: Explainer, matrix: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The contributions of all rows, the expected output, and the largest distance of a row from adding up.

    Raises:
        IntegrityError: a row does not add up, or the expected output is not the same for all rows.
    """
    rows, features = matrix.shape
    found = np.empty((rows, features))
    worst, excess, expected = 0.0, 0.0, None
    for start in range(0, rows, _BATCH):
        part = matrix[start : start + _BATCH]
        contributed, margin = explainer.contributions(part), explainer.margin(part)
        apart = np.abs(contributed.sum(axis=1) - margin)
        worst, excess = max(worst, float(apart.max())), max(excess, float((apart / np.maximum(1, abs(margin))).max()))
        expected = float(contributed[0, -1]) if expected is None else expected
        if not np.isfinite(contributed).all() or excess > TOLERANCE or (contributed[:, -1] != expected).any():
            raise IntegrityError(
                "MUNI-D538",
                "the contributions do not add up to what the model says",
                max_error=worst,
                tolerance=TOLERANCE,
            )
        found[start : start + len(part)] = contributed[:, :-1]
        job.metrics(start // _BATCH, {"rows": start + len(part)})
    return found, expected or 0.0, worst


def _report(
    model: Model,
    matrix: np.ndarray,
    labels: np.ndarray | None,
    contributions: np.ndarray,
    draw: np.random.Generator,
    most: int,
) -> dict[str, Any]:
    """Everything that is said about the features."""
    features = model.encoding.features
    # Two columns may share their first characters, so a name is cut only where it is shown, and its place is kept.
    names = [feature.name[:_CHARACTERS] for feature in features]
    levels = [None if feature.categories is None else len(feature.categories) for feature in features]
    entries = global_importance(names, matrix, contributions, levels)
    points = _some(draw, len(matrix), _POINTS)
    probed = matrix[_some(draw, len(matrix), _PROBED)]
    others = _others(model, matrix, labels, draw)
    for number, entry in enumerate(entries):
        for kind in ("gain", "split", "weight", "permutation"):
            entry[kind] = digits(others[kind][number]) if kind in others else None
    agreement, reasons = disagreement({**others, "contribution": [entry["mean_abs"] for entry in entries]})
    order = sorted(range(len(features)), key=lambda at: (-entries[at]["mean_abs"], at))
    top = order[:most]
    curves = []
    partial = []
    for at in top:
        categories = features[at].categories
        curve = {"feature": names[at], **dependence(matrix[:, at], contributions[:, at], categories)}
        curves.append(curve)
        given = curve["grid"] if categories is None else [categories.index(level) for level in curve["grid"]]
        mean = partial_dependence(model.scorer.score, probed, at, given) if given else []
        partial.append({"feature": names[at], "grid": curve["grid"], "mean": mean, "rows": len(probed)})
    return {
        "features": [entries[at] for at in order],
        "rank_disagreement": agreement,
        "undefined": reasons,
        "beeswarm": {
            "features": [names[at] for at in top],
            "rows": len(points),
            "points": {
                names[at]: beeswarm(matrix[points, at], contributions[points, at], ordered=_ordered(levels[at]))
                for at in top
            },
        },
        "dependence": curves,
        "partial_dependence": {"output": "probability", "curves": partial},
        "importances": list(others),
    }


def _others(
    model: Model, matrix: np.ndarray, labels: np.ndarray | None, draw: np.random.Generator
) -> dict[str, list[float]]:
    """The other ways of ranking features: those of the library, and by permutation where the outcomes are known."""
    found = model.scorer.native()
    if labels is not None:
        most = max(_LEAST_DEALT, min(_DEALT, _CELLS // 10 // max(1, matrix.shape[1])))
        chosen = _some(draw, len(matrix), most)
        lost = permutation_importance(model.scorer.score, matrix[chosen], labels[chosen], draw)
        if lost is not None:
            found["permutation"] = lost
    return found


def _ordered(levels: int | None) -> bool:
    return levels is None or levels == 2


if __name__ == "__main__":
    run(explain)
