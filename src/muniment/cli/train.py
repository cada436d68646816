"""``muni train``: built-in algorithms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from muniment.cli.data import DETACH, FRESH
from muniment.cli.face import Command, Face, values, with_face
from muniment.cli.knowing import ALGORITHM, DATA, EXPERIMENT
from muniment.cli.rules import rule_options, watching_from
from muniment.cli.runs import run_answer
from muniment.wire.execution import JobLimits, TrainModel

LIMITS = (
    click.option("--memory-mb", type=click.IntRange(min=1), help="Memory limit, MiB."),
    click.option("--wall-s", type=click.IntRange(min=1), help="Time limit, seconds."),
)


@click.command(cls=Command, epilog="Example: muni train xgboost --data credit/train --experiment Credit")
@click.argument("named", required=False, type=ALGORITHM, metavar="ALGORITHM")
@click.option("--experiment", required=True, type=EXPERIMENT, metavar="NAME", help="What the run belongs to.")
@click.option("--data", "data", required=True, type=DATA, metavar="REF", help="The training snapshot.")
@click.option("--algorithm", type=ALGORITHM, metavar="NAME", help="The same as ALGORITHM.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    callback=values,
    help="A parameter of the algorithm; JSON if it parses, else text; repeatable.",
)
@click.option("--trial", metavar="NAME", help="The attempt within the experiment that it is a component of.")
@click.option("--seed", type=int, default=0, show_default=True, help="Makes the run repeatable.")
@click.option("--target", metavar="COLUMN", help="Column to predict; else the one the snapshot declares.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out; repeatable.")
@click.option("--validation", type=DATA, metavar="REF", help="A snapshot whose loss is reported after every round.")
@rule_options("default")
@click.option("--name", metavar="NAME", help="Name of the model; else made of experiment and algorithm.")
@click.option("--use-case", metavar="NAME", help="What it is for; else what its experiment is bound to.")
@click.option("--purpose", default="", metavar="TEXT", help="What the data are used for; else what the use case says.")
@click.option("--env", default="tabular", show_default=True, metavar="REF", help="Job environment.")
@LIMITS[0]
@LIMITS[1]
@FRESH
@DETACH
@with_face
def train(
    face: Face,
    named: str | None,
    experiment: str,
    data: str,
    algorithm: str | None,
    params: dict[str, Any],
    trial: str | None,
    seed: int,
    target: str | None,
    drop: tuple[str, ...],
    validation: str | None,
    rules: str,
    own: tuple[str, ...],
    rule_config: Path | None,
    stop_on: tuple[str, ...],
    name: str | None,
    use_case: str | None,
    purpose: str,
    env: str,
    memory_mb: int | None,
    wall_s: int | None,
    fresh: bool,
    detach: bool,
) -> None:
    """Train ALGORITHM on one snapshot, hermetically: logistic_regression, xgboost or lightgbm.

    The job sees that snapshot and nothing else; what it used and made is recorded by the platform, not by the job.
    """
    request = TrainModel(
        project=face.client.project,
        experiment=experiment,
        trial=trial,
        data=data,
        algorithm=_one(named, algorithm),
        params=params,
        seed=seed,
        target=target,
        drop=list(drop),
        name=name,
        use_case=use_case,
        purpose=purpose,
        validation=validation,
        watching=watching_from(rules, own, rule_config, stop_on),
        env=env,
        limits=JobLimits(memory_mb=memory_mb, wall_s=wall_s),
        fresh=fresh,
    )
    run = face.client.jobs.train(request)
    if detach:
        face.started(run)
    else:
        run_answer(face, face.wait(run))


def _one(named: str | None, algorithm: str | None) -> str:
    """The algorithm, which may be said in two ways but not twice differently."""
    said = {name for name in (named, algorithm) if name}
    if not said:
        raise click.UsageError("Missing argument 'ALGORITHM': logistic_regression, xgboost or lightgbm.")
    if len(said) > 1:
        raise click.UsageError(f"ALGORITHM is {named!r} and --algorithm is {algorithm!r}: say one of them.")
    return said.pop()
