"""``muni experiment``: what belongs together, as a tree of trials and their components."""

from __future__ import annotations

import click

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import EXPERIMENT
from muniment.cli.screen import Screen
from muniment.sdk.shown import elapsed, headline, measure, visible
from muniment.wire import tracking as wire

_COLUMNS = 5
"""So many metrics stand beside a run, unless one is named."""


@click.group(cls=Group)
def experiment() -> None:
    """Experiments: trials and their components, which are runs, hermetic or tracked."""


@experiment.command("list", epilog="Example: muni experiment list --prefix Credit")
@click.option("--prefix", default="", metavar="TEXT", help="Only names that begin so.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@click.option("--deleted", is_flag=True, help="Count deleted tracked runs too.")
@with_face
def list_(face: Face, prefix: str, limit: int, deleted: bool) -> None:
    """List experiments, the one with the newest run first."""
    found = face.client.tracking.experiments(prefix, limit=limit, deleted=deleted)

    def draw(screen: Screen) -> None:
        rows = [[e.experiment, e.newest_at[:19], e.newest, e.trials, e.runs, e.running, e.failed] for e in found]
        columns = ["experiment", "newest", "run", "trials", "runs", "running", "failed"]
        screen.table(columns, rows, empty="no experiment yet", right=4, spare=["run", "newest"])

    face.answer(found.reply, draw)


@experiment.command(epilog="Example: muni experiment show Credit --metric auc")
@click.argument("name", type=EXPERIMENT)
@click.option("--metric", metavar="NAME", help="Sort by this metric and name the best run.")
@click.option("--lowest", is_flag=True, help="The lowest value of the metric is the best.")
@click.option("--limit", type=click.IntRange(1, 1000), default=200, show_default=True, help="So many newest runs.")
@click.option("--deleted", is_flag=True, help="Show deleted tracked runs too.")
@with_face
def show(face: Face, name: str, metric: str | None, lowest: bool, limit: int, deleted: bool) -> None:
    """Show the experiment NAME: its trials, their components, and how far each metric moves."""
    found = face.client.tracking.experiment(name, limit=limit, deleted=deleted)
    face.answer(found.reply, lambda screen: picture(screen, found.reply, metric, lowest=lowest))


def picture(screen: Screen, detail: wire.ExperimentDetail, metric: str | None = None, *, lowest: bool = False) -> None:
    """An experiment for people."""
    screen.facts(detail.experiment, {"runs": detail.runs, "trials": sum(1 for one in detail.trials if one.trial)})
    known = [*headline({one.name: one.highest for one in detail.metrics}, len(detail.metrics))]
    names = [metric] if metric else known[:_COLUMNS]
    branch, last = screen.mark("├ ", "+ "), screen.mark("└ ", "+ ")
    rows: list[list[object]] = []
    for trial in _sorted(detail.trials, metric, lowest=lowest):
        lone = trial.trial is None
        if not lone:
            rows.append([visible(str(trial.trial)), "", "", "", *[""] * (len(names) + 1)])
        for position, run in enumerate(trial.runs):
            lead = "" if lone else last if position == len(trial.runs) - 1 else branch
            values = [measure(wire.number_of(run.metrics[one])) if one in run.metrics else "" for one in names]
            took = elapsed(run.created_at, run.ended_at)
            state = "deleted" if run.deleted else run.status
            rows.append([f"{lead}{run.run}", run.label, state, took, run.grade, *values])
    screen.line()
    columns = ["trial, run", "what", "status", "took", "grade", *names]
    spare = ["took", "grade", *reversed(names[2:]), "what", *names[1:2]]
    screen.table(columns, rows, right=len(names), spare=spare)
    where = {run.run: trial.trial or run.run for trial in detail.trials for run in trial.runs}
    ranges = [
        [
            m.name,
            measure(m.lowest),
            where.get(m.lowest_run, m.lowest_run),
            measure(m.highest),
            where.get(m.highest_run, m.highest_run),
        ]
        for m in sorted(detail.metrics, key=lambda one: known.index(one.name))
    ]
    if ranges:
        screen.line()
        screen.table(["metric", "lowest", "in", "highest", "in "], ranges)
    best = next((one for one in detail.metrics if one.name == metric), None)
    if best is not None:
        screen.line()
        value, run_ = (best.lowest, best.lowest_run) if lowest else (best.highest, best.highest_run)
        screen.done(f"best {best.name} {measure(value)}: {run_}")
    if detail.shown < detail.runs:
        screen.line(f"the newest {detail.shown} of {detail.runs} runs; --limit shows more", style="dim")


def _sorted(trials: list[wire.Trial], metric: str | None, *, lowest: bool) -> list[wire.Trial]:
    """The trials as they came, or the best of a metric first; those that did not measure it last."""
    if metric is None:
        return trials

    def rank(trial: wire.Trial) -> tuple[bool, float]:
        value = wire.number_of(trial.metrics.get(metric, "NaN"))
        return (value != value, value if lowest else -value)  # noqa: PLR0124 - NaN alone differs from itself

    return sorted(trials, key=rank)
