"""``muni run``: a script of one's own, unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from muniment.adapters.git.tree import read_tree
from muniment.cli.data import DETACH, FRESH
from muniment.cli.face import Command, Face, pairs, values, with_face
from muniment.cli.rules import rule_options, watching_from
from muniment.cli.runs import run_answer
from muniment.sdk.shown import count, size
from muniment.wire.execution import JobLimits, RunScript


@click.command(
    cls=Command,
    epilog="Example: muni run train.py --input train=credit/train --param depth=5 --param 'cols=[\"age\"]'",
)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1)
@click.option("--input", "inputs", multiple=True, metavar="NAME=REF", callback=pairs, help="Mount a snapshot or model.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    callback=values,
    help="A hyperparameter; JSON if it parses, else text; repeatable.",
)
@click.option("--experiment", default="scripts", show_default=True, metavar="NAME", help="What the run belongs to.")
@click.option("--trial", metavar="NAME", help="The attempt within the experiment that it is a component of.")
@click.option("--seed", type=int, default=0, show_default=True, help="Makes the run repeatable.")
@rule_options("none")
@click.option("--name", metavar="NAME", help="Name of the model; else made of experiment and script.")
@click.option("--use-case", metavar="NAME", help="What it is for; else what its experiment is bound to.")
@click.option("--purpose", default="", metavar="TEXT", help="What the data are used for; else what the use case says.")
@click.option("--env", default="tabular", show_default=True, metavar="REF", help="Job environment.")
@click.option(
    "--tree", type=click.Path(path_type=Path), metavar="DIR", help="Source tree; else git's, else the folder."
)
@click.option("--memory-mb", type=click.IntRange(min=1), help="Memory limit, MiB.")
@click.option("--wall-s", type=click.IntRange(min=1), help="Time limit, seconds.")
@click.option("--cpu-s", type=click.IntRange(min=1), help="Processor time limit, seconds.")
@click.option("--processes", type=click.IntRange(min=1), help="Limit of processes and threads.")
@click.option("--output-mb", type=click.IntRange(min=1), help="Limit of everything it leaves behind, MiB.")
@FRESH
@DETACH
@with_face
def run(
    face: Face,
    script: Path,
    arguments: tuple[str, ...],
    inputs: dict[str, str],
    params: dict[str, Any],
    experiment: str,
    trial: str | None,
    seed: int,
    rules: str,
    own: tuple[str, ...],
    rule_config: Path | None,
    stop_on: tuple[str, ...],
    name: str | None,
    use_case: str | None,
    purpose: str,
    env: str,
    tree: Path | None,
    memory_mb: int | None,
    wall_s: int | None,
    cpu_s: int | None,
    processes: int | None,
    output_mb: int | None,
    fresh: bool,
    detach: bool,
) -> None:
    """Run SCRIPT unchanged and hermetically: no network, no file but what --input mounts.

    The public /opt/ml layout holds: inputs under /opt/ml/input/data/NAME, hyperparameters in
    /opt/ml/input/config/hyperparameters.json, SM_* variables; what it writes to /opt/ml/model is collected as its
    model. Lines like auc=0.77 on its output are metrics. Its source tree is snapshotted: the commit when the tree is
    clean, marked dirty when it is not. Options for the script itself come after --.
    """
    source = read_tree(script, tree)
    if source.left_out:
        face.notes.line(f"left out, they look like keys: {', '.join(source.left_out)}", style="yellow")
    how = (
        f"commit {source.origin.commit[:12]}{'' if source.origin.clean else ', with changes'}"
        if source.origin.commit
        else "no commit"
    )
    face.notes.line(f"source tree: {count(len(source.files))} files, {size(source.size)}, {how}", style="dim")
    request = RunScript(
        project=face.client.project,
        entry=source.entry,
        experiment=experiment,
        trial=trial,
        inputs=inputs,
        params=params,
        arguments=list(arguments),
        seed=seed,
        origin=source.origin,
        name=name,
        env=env,
        use_case=use_case,
        purpose=purpose,
        watching=watching_from(rules, own, rule_config, stop_on),
        limits=JobLimits(memory_mb=memory_mb, wall_s=wall_s, cpu_s=cpu_s, processes=processes, output_mb=output_mb),
        fresh=fresh,
    )
    started = face.client.jobs.script(request, source.pack())
    if detach:
        face.started(started)
    else:
        run_answer(face, face.wait(started))
