"""Measure a model on a snapshot it did not see.

Channels: ``model`` (the files of the model) and ``data`` (a snapshot with the target). Result: ``report.json``. A
measure without a value is null with its reason; it is never 0 or 0.5.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from muniment.analytics.calibration import calibration_error, calibration_table
from muniment.analytics.content import content_digest
from muniment.analytics.performance import confusion, curves, measure, score_histogram
from muniment.programs.contract import Job, run
from muniment.programs.models import load, scores_digest
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

PARAMETERS: Final = (
    Parameter(
        "threshold", Kind.NUMBER, "score from which a prediction is positive; the model's unless given", low=0, high=1
    ),
    Parameter("bins", Kind.INTEGER, "bins of the calibration table", 10, low=2, high=100),
)


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
    job.metrics(None, {**measures.defined(), **({} if error is None else {"ece": error})})
    job.write(
        "report.json",
        {
            "algorithm": model.algorithm,
            "target": {"name": model.target.name, "positive": model.target.positive, "negative": model.target.negative},
            "rows": table.num_rows,
            "content_digest": content_digest(table),
            "metrics": {**measures.values, "ece": error},
            "undefined": measures.undefined,
            "threshold": threshold,
            "confusion": asdict(confusion(labels, scores, threshold)),
            "calibration": [asdict(row) for row in calibration],
            "curves": None if curve is None else asdict(curve),
            "histogram": score_histogram(labels, scores),
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


if __name__ == "__main__":
    run(evaluate)
