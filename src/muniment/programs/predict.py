"""Score a snapshot with a model, row by row, in the order of the rows.

Channels: ``model`` and ``data``. Results: ``predictions.parquet`` (columns ``score``, float64, and ``label``) and
``report.json``.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from muniment.analytics.content import content_digest
from muniment.programs.contract import Job, run
from muniment.programs.models import load, scores_digest
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import bytes_digest, read_snapshot

PARAMETERS: Final = (
    Parameter("threshold", Kind.NUMBER, "score from which a prediction is positive; else the model's", low=0, high=1),
)


def predict(job: Job) -> None:
    """Score and write."""
    given = job.parameters(PARAMETERS)
    model = load(job.channel("model"))
    table = read_snapshot(job.channel("data"))
    threshold = model.threshold if given["threshold"] is None else given["threshold"]
    scores = model.score(table)
    predictions = pa.table({"score": scores, "label": pa.array(scores >= threshold)})
    path = job.results / "predictions.parquet"
    pq.write_table(
        predictions,
        path,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_page_checksum=True,
        store_schema=False,
    )
    job.metrics(None, {"rows": len(scores), "predicted_positive": int((scores >= threshold).sum())})
    job.write(
        "report.json",
        {
            "rows": len(scores),
            "threshold": threshold,
            "predicted_positive": int((scores >= threshold).sum()),
            "scores_digest": scores_digest(scores),
            "predictions": {
                "path": path.name,
                "bytes_digest": bytes_digest(path),
                "content_digest": content_digest(predictions),
            },
            "data": {"content_digest": content_digest(table)},
            "unknown_levels": model.encoding.unknown_levels(table),
        },
    )


if __name__ == "__main__":
    run(predict)
