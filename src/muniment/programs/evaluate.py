"""Measure a model on a snapshot it did not see: how well it separates, how true it is, and how it treats groups.

Channels: ``model`` (the files of the model), ``data`` (a snapshot with the target) and optionally ``reference`` (the
population that the model was made for, to compare with) and ``protected`` (who the people are, by a key: a snapshot
that no training sees). Result: ``report.json``. A measure without a value is null with its reason, never 0 or 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pyarrow as pa

from muniment.analytics.bands import score_bands
from muniment.analytics.calibration import calibration_error, calibration_table
from muniment.analytics.content import content_digest
from muniment.analytics.performance import confusion, curves, measure, score_histogram
from muniment.analytics.stability import PSEUDO_COUNT, by_level, by_quantile
from muniment.programs.contract import Job, run
from muniment.programs.grouping import by_group, with_people
from muniment.programs.groups import FAVOURABLE, read_groups
from muniment.programs.models import Model, load, scores_digest
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

PARAMETERS: Final = (
    Parameter(
        "threshold", Kind.NUMBER, "score from which a prediction is positive; the model's unless given", low=0, high=1
    ),
    Parameter("bins", Kind.INTEGER, "bins of the calibration table", 10, low=2, high=100),
    Parameter("groups", Kind.MAPPING, "columns whose groups are compared, each with how it parts the rows", {}),
    Parameter("key", Kind.TEXT, "column that names a case in the data and in the protected data"),
    Parameter("favourable", Kind.TEXT, "which prediction is good for the person", FAVOURABLE[0], choices=FAVOURABLE),
)
_NAME: Final = 200
"""Characters of a metric's name that are kept: it ends in the name of a column, which may be longer."""


def evaluate(job: Job) -> None:
    """Score and measure."""
    given = job.parameters(PARAMETERS)
    model = load(job.channel("model"))
    table = read_snapshot(job.channel("data"))
    labels = model.target.labels(table)
    scores = model.score(table)
    threshold = model.threshold if given["threshold"] is None else given["threshold"]
    measures = measure(labels, scores, threshold)
    calibration = calibration_table(labels, scores, given["bins"])
    error = calibration_error(calibration)
    curve = curves(labels, scores)
    unknown = model.encoding.unknown_levels(table)
    features = frozenset(feature.name for feature in model.encoding.features)
    people, joined = table, None
    if job.has_channel("protected") and given["key"] is not None:
        people, joined = _people(job, table, given["key"])
    groups = [
        by_group(
            people,
            rule,
            labels=labels,
            scores=scores,
            threshold=threshold,
            favourable=given["favourable"],
            features=features,
        )
        for rule in read_groups(given["groups"])
    ]
    stability = None
    if job.has_channel("reference"):
        stability = _stability(model, read_snapshot(job.channel("reference")), table, scores)
    more, reasons = _more_metrics(error, groups, stability)
    values = {**measures.values, **more}
    job.metrics(None, {name[:_NAME]: value for name, value in values.items() if value is not None})
    job.write(
        "report.json",
        {
            "algorithm": model.algorithm,
            "target": {"name": model.target.name, "positive": model.target.positive, "negative": model.target.negative},
            "rows": table.num_rows,
            "content_digest": content_digest(table),
            "metrics": values,
            "undefined": {**measures.undefined, **reasons},
            "threshold": threshold,
            "confusion": asdict(confusion(labels, scores, threshold)),
            "calibration": [asdict(row) for row in calibration],
            "curves": None if curve is None else asdict(curve),
            "histogram": score_histogram(labels, scores),
            "score_bands": score_bands(labels, scores),
            "groups": groups,
            "protected": joined,
            "stability": stability,
            "scores_digest": scores_digest(scores),
            "findings": [
                {
                    "code": "unknown_levels",
                    "message": "levels that were not seen in training: treated as missing",
                    "facts": {"column": name, "rows": rows},
                }
                for name, rows in unknown.items()
            ],
        },
    )


def _more_metrics(
    error: float | None, groups: Sequence[dict[str, Any]], stability: dict[str, Any] | None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """The metrics beside those of the classifier, and why some of them have no value.

    ``air`` and ``spd`` are those of the column where groups are furthest apart.
    """
    values: dict[str, float | None] = {"ece": error}
    reasons: dict[str, str] = {}
    for name in ("air", "spd") if groups else ():
        for one in groups:
            values[f"{name}.{one['column']}"] = one[name]
            if one[name] is None:
                reasons[f"{name}.{one['column']}"] = one["undefined"][name]
        known = [one[name] for one in groups if one[name] is not None]
        values[name] = (min(known) if name == "air" else max(known, key=abs)) if known else None
        if not known:
            reasons[name] = "no column has a value"
    if stability is not None:
        for name in ("psi", "csi"):
            values[name] = stability[name]
            if stability[name] is None:
                reasons[name] = "one side has no rows"
    return values, reasons


def _people(job: Job, table: pa.Table, key: str) -> tuple[pa.Table, dict[str, Any]]:
    """The rows with who their people are beside them, and where that came from."""
    protected = read_snapshot(job.channel("protected"))
    people, found = with_people(table, protected, key)
    return people, {
        "key": key,
        "rows": protected.num_rows,
        "content_digest": content_digest(protected),
        "found": found,
        "not_found": table.num_rows - found,
    }


def _stability(model: Model, reference: pa.Table, table: pa.Table, scores: np.ndarray) -> dict[str, Any]:
    """How far scores (PSI) and features (CSI) of the data are from those of the reference, most moved first."""
    before, now = model.encoding.matrix(reference), model.encoding.matrix(table)
    features = []
    for number, feature in enumerate(model.encoding.features):
        sides = before[:, number], now[:, number]
        found = by_quantile(*sides) if feature.categories is None else by_level(*sides, feature.categories)
        features.append({"feature": feature.name, "csi": found.pop("psi"), **found})
    features.sort(key=lambda one: -1.0 if one["csi"] is None else one["csi"], reverse=True)
    of_scores = by_quantile(model.score(reference), scores)
    return {
        "reference": {"rows": reference.num_rows, "content_digest": content_digest(reference)},
        "pseudo_count": PSEUDO_COUNT,
        "psi": of_scores["psi"],
        "csi": features[0]["csi"] if features else None,
        "csi_feature": features[0]["feature"] if features else None,
        "scores": of_scores,
        "features": features,
    }


if __name__ == "__main__":
    run(evaluate)
