"""``muni evaluate``: how good a model is."""

from __future__ import annotations

import click

from muniment.cli.data import DETACH
from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import DATA, MODEL
from muniment.cli.runs import run_answer


@click.command(
    cls=Command, epilog="Example: muni evaluate creditcarddefault-xgboost --data credit/test --threshold 0.3"
)
@click.argument("model", type=MODEL)
@click.option("--data", required=True, type=DATA, metavar="REF", help="The snapshot to measure it on.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Score from which a case counts as positive.",
)
@DETACH
@with_face
def evaluate(face: Face, model: str, data: str, threshold: float | None, detach: bool) -> None:
    """Measure MODEL on a snapshot, hermetically: AUC, KS, Gini, Brier, calibration, confusion at the threshold."""
    run = face.client.jobs.evaluate(model, data, threshold)
    if detach:
        face.started(run)
    else:
        run_answer(face, face.wait(run))
