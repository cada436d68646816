"""``muni tune``: searches for parameters as many hermetic trainings."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem
from rich.console import Group as Together
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from muniment.cli.bars import bar
from muniment.cli.face import Face, Group, pairs, values, with_face
from muniment.cli.knowing import ALGORITHM, BUILT_IN, DATA, EXPERIMENT, STUDY
from muniment.cli.rules import rule_options, watching_from
from muniment.cli.screen import Screen
from muniment.errors import Conflict, Invalid
from muniment.sdk.shown import brief, measure, visible
from muniment.sdk.tuning import Show, Study, request_of
from muniment.wire.execution import JobLimits
from muniment.wire.tuning import StudyList, Trial

_MOST_BYTES: Final = 1 << 20
_SHOWN: Final = 15
_COLOURS: Final = {"done": "green", "pruned": "yellow", "failed": "red", "waiting": "dim"}


class _Tune(Group):
    """The first word is an algorithm, or what to do with a search that was asked for."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """``muni tune xgboost ...`` is ``muni tune run xgboost ...``."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What to do with a search, or an algorithm to begin one with."""
        algorithms = [CompletionItem(name) for name in BUILT_IN if name.startswith(incomplete)]
        return [*super().shell_complete(ctx, incomplete), *algorithms]


@click.group(
    cls=_Tune,
    epilog="Example: muni tune xgboost --data credit/train --validation credit/test --experiment Credit "
    "--param max_depth=int:2..8 --param eta=log:0.01..0.3 --trials 20\n"
    "All options of a search: muni tune run --help",
)
def tune() -> None:
    """Search for the parameters of an algorithm: muni tune ALGORITHM ..., or list, show, resume, stop.

    Every trial is a hermetic training and its evaluation, each a run of its own on record. A search that was
    interrupted, however hard, goes on with muni tune resume.
    """


@tune.command("run", epilog="Ranges: int:2..8 | int:10..100:10 | float:0..1 | log:0.01..0.3 | logint:10..1000 | a|b|c")
@click.argument("algorithm", type=ALGORITHM)
@click.option("--data", required=True, type=DATA, metavar="REF", help="The snapshot that trials learn from.")
@click.option("--validation", required=True, type=DATA, metavar="REF", help="The snapshot that they are measured on.")
@click.option("--experiment", required=True, type=EXPERIMENT, metavar="NAME", help="What the runs belong to.")
@click.option("--study", metavar="NAME", help="Name of the search; else made of experiment and algorithm.")
@click.option(
    "--param", "space", multiple=True, metavar="NAME=RANGE", callback=pairs, help="What is searched for; repeatable."
)
@click.option(
    "--space",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Ranges by parameter, JSON or TOML.",
)
@click.option(
    "--set", "fixed", multiple=True, metavar="NAME=VALUE", callback=values, help="What every trial has; repeatable."
)
@click.option(
    "--sampler",
    type=click.Choice(["tpe", "random", "grid"]),
    default="tpe",
    show_default=True,
    help="What chooses the parameters of a trial.",
)
@click.option("--trials", type=click.IntRange(1), metavar="N", help="How many; else the whole grid, or 20.")
@click.option("--concurrency", type=click.IntRange(1), default=1, show_default=True, help="How many at once.")
@click.option("--objective", default="auc", show_default=True, metavar="METRIC", help="What is measured.")
@click.option("--maximise", "direction", flag_value="maximise", help="The larger the better.")
@click.option("--minimise", "direction", flag_value="minimise", help="The smaller the better.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Makes the search repeatable.")
@click.option("--training-seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of each training.")
@click.option(
    "--early-stop",
    type=click.Choice(["median", "none"]),
    default="none",
    show_default=True,
    help="What ends a trial that falls behind.",
)
@click.option("--warmup", type=click.IntRange(0), default=10, show_default=True, help="Rounds that no trial is spared.")
@rule_options("none")
@click.option("--target", metavar="COLUMN", help="Column to predict; else the one the snapshot declares.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out; repeatable.")
@click.option("--use-case", metavar="NAME", help="What it is for; else what its experiment is bound to.")
@click.option("--purpose", default="", metavar="TEXT", help="What the data are used for, where they ask for it.")
@click.option("--env", default="tabular", show_default=True, metavar="REF", help="Job environment.")
@click.option("--memory-mb", type=click.IntRange(min=1), help="Memory limit of a trial, MiB.")
@click.option("--wall-s", type=click.IntRange(min=1), help="Time limit of a trial, seconds.")
@click.option("--svg", type=click.Path(path_type=Path), metavar="DIR", help="Write the pictures there.")
@click.option("--detach", is_flag=True, help="Ask for it only; muni tune resume begins it.")
@with_face
def run(
    face: Face,
    algorithm: str,
    data: str,
    validation: str,
    experiment: str,
    study: str | None,
    space: dict[str, str],
    file: Path | None,
    fixed: dict[str, Any],
    sampler: str,
    trials: int | None,
    concurrency: int,
    objective: str,
    direction: str | None,
    seed: int,
    training_seed: int,
    early_stop: str,
    warmup: int,
    rules: str,
    own: tuple[str, ...],
    rule_config: Path | None,
    stop_on: tuple[str, ...],
    target: str | None,
    drop: tuple[str, ...],
    use_case: str | None,
    purpose: str,
    env: str,
    memory_mb: int | None,
    wall_s: int | None,
    svg: Path | None,
    detach: bool,
) -> None:
    """Search for the parameters of ALGORITHM: xgboost, lightgbm or logistic_regression.

    The same search with the same seed gives the same trials. What a trial is given never hangs on who was faster.
    """
    request = request_of(
        face.client.project,
        algorithm,
        data,
        validation,
        experiment,
        {**_space(file), **space},
        study=study,
        watching=watching_from(rules, own, rule_config, stop_on),
        params=fixed,
        sampler=sampler,
        trials=trials,
        concurrency=concurrency,
        objective=objective,
        direction=direction,
        seed=seed,
        training_seed=training_seed,
        early_stop=early_stop,
        warmup=warmup,
        target=target,
        drop=list(drop),
        use_case=use_case,
        purpose=purpose,
        env=env,
        limits=JobLimits(memory_mb=memory_mb, wall_s=wall_s),
    )
    asked = face.client.studies.create(request)
    if detach:
        face.answer(asked.reply, lambda screen: screen.done(f"study {asked.name} waits: muni tune resume {asked.name}"))
        return
    with _watching(face.notes, asked.name) as show:
        face.client.studies.drive(asked, show)
    _answer(face, asked, svg)


@tune.command("list", epilog="Example: muni tune list")
@click.option("--limit", type=click.IntRange(1, 200), default=30, show_default=True, help="So many at most.")
@with_face
def list_(face: Face, limit: int) -> None:
    """List searches, newest first."""
    found = face.client.studies.list(limit)

    def draw(screen: Screen) -> None:
        rows = [
            [
                s.study,
                s.status,
                s.algorithm,
                s.sampler,
                s.experiment,
                f"{s.over}/{s.trials}",
                s.objective,
                "" if s.best is None else measure(s.best),
            ]
            for s in found
        ]
        columns = ["study", "status", "algorithm", "sampler", "experiment", "trials", "objective", "best"]
        screen.table(columns, rows, empty="no search yet", spare=["experiment", "sampler"])

    face.answer(StudyList(studies=found), draw)


@tune.command(epilog="Example: muni tune show Credit-xgboost --all --svg pictures/")
@click.argument("study", type=STUDY)
@click.option("--all", "everything", is_flag=True, help="Show every trial.")
@click.option("--svg", type=click.Path(path_type=Path), metavar="DIR", help="Write the pictures there.")
@with_face
def show(face: Face, study: str, everything: bool, svg: Path | None) -> None:
    """Show a search: its trials, the best of them, and what mattered."""
    _answer(face, face.client.studies.get(study), svg, everything=everything)


@tune.command(epilog="Example: muni tune resume Credit-xgboost")
@click.argument("study", type=STUDY)
@click.option("--svg", type=click.Path(path_type=Path), metavar="DIR", help="Write the pictures there.")
@with_face
def resume(face: Face, study: str, svg: Path | None) -> None:
    """Go on with a search that was stopped or interrupted, until it is over; nothing is done twice."""
    with _watching(face.notes, study) as shown:
        found = face.client.studies.resume(study, shown)
    _answer(face, found, svg)


@tune.command(epilog="Example: muni tune stop Credit-xgboost")
@click.argument("study", type=STUDY)
@with_face
def stop(face: Face, study: str) -> None:
    """Begin nothing more of a search, and stop what runs; muni tune resume goes on with it."""
    found = face.client.studies.get(study).stop()
    face.answer(found.reply, lambda screen: screen.done(f"study {found.name} {found.status}"))


def _space(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    content = file.read_bytes()[: _MOST_BYTES + 1]
    try:
        if len(content) > _MOST_BYTES:
            raise ValueError("larger than 1 MiB")
        found = tomllib.loads(content.decode()) if file.suffix == ".toml" else json.loads(content)
        if not isinstance(found, dict):
            raise ValueError("no ranges by parameter")
    except (ValueError, RecursionError) as broken:
        raise Invalid(
            "MUNI-A158",
            f"the space in {file.name[:80]!r} is not readable: {str(broken)[:120]}",
            path=str(file),
            do='write ranges by parameter, such as {"eta": "log:0.01..0.3"}',
        ) from broken
    return found


def _answer(face: Face, found: Study, svg: Path | None, *, everything: bool = False) -> None:
    """Answer with a search in full, and write its pictures."""
    written = [] if svg is None else _write(found, svg)
    face.answer(found.reply, lambda screen: picture(screen, found, everything=everything))
    for path in written:
        face.notes.line(f"wrote {path}", style="dim")


def _write(found: Study, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for what, drawn in found.pictures().items():
        path = folder / f"{found.name}-{what.replace(' ', '-')}.svg"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(drawn)
        except FileExistsError:
            raise Conflict(
                "MUNI-A311", f"{str(path)!r} exists already", file=str(path), do="choose another name with --svg"
            ) from None
        written.append(path)
    return written


def picture(screen: Screen, found: Study, *, everything: bool = False) -> None:
    """A search for people: how it went, the trials from the best on, what mattered and why the best won."""
    reply = found.reply
    screen.facts(f"study {found.name}", {"status": found.status, **found.facts(), "grade": reply.grade})
    screen.line()
    names = list(reply.space)
    ordered = _ranked(found)
    shown = ordered if everything else ordered[:_SHOWN]
    known = [one.value for one in found.trials if one.phase == "done" and one.value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    rows: list[list[Any]] = []
    for one in shown:
        share = 0.0
        if one.phase == "done" and one.value is not None:
            share = 1.0 if high == low else (one.value - low) / (high - low)
            share = 0.08 + 0.92 * (share if reply.maximise else 1 - share)
        rows.append(
            [
                one.number,
                Text(one.phase, style=_COLOURS.get(one.phase, "cyan")),
                "" if one.value is None else measure(one.value),
                bar(screen, share, 14, "yellow" if one.number == reply.best else "cyan"),
                *(brief((one.params or {}).get(name)) if name in (one.params or {}) else "" for name in names),
                one.model or visible(one.reason)[:60],
            ]
        )
    screen.table(["trial", "phase", reply.objective, "", *names, "model"], rows, spare=["", "model"])
    if len(ordered) > len(shown):
        screen.line(f"and {len(ordered) - len(shown)} more: --all", style="dim")
    if found.importances():
        screen.line()
        most = max(found.importances().values()) or 1.0
        mattered = sorted(found.importances().items(), key=lambda one: -one[1])
        screen.table(
            ["what mattered", "", "share"],
            [[name, bar(screen, share / most, 24), f"{share:.1%}"] for name, share in mattered],
            right=1,
        )
    if found.why():
        screen.line()
        for line in found.why():
            screen.line(line)
    best = found.best
    if best is not None and best.model is not None:
        screen.line()
        screen.facts("best", {"model": best.model, "run": best.run, "evaluation": best.evaluation})


def _ranked(found: Study) -> list[Trial]:
    sign = -1 if found.reply.maximise else 1

    def key(one: Trial) -> tuple[int, float, int]:
        good = one.phase == "done" and one.value is not None
        return (0 if good else 1, sign * (one.value or 0.0) if good else 0.0, one.number)

    return sorted(found.trials, key=key)


@contextmanager
def _watching(screen: Screen, name: str) -> Iterator[Show]:
    """A picture that moves on a terminal, a line for each trial elsewhere; Ctrl-C leaves the search as it is."""
    try:
        if screen.console.is_terminal and not screen.console.is_dumb_terminal:
            with Live(console=screen.console, transient=True, refresh_per_second=8) as live:
                yield lambda study: live.update(_moving(screen, study))
        else:
            yield _Plain(screen)
    except KeyboardInterrupt:
        screen.line(f"study {name} is left as it is.")
        screen.line(f"  go on with it  muni tune resume {name}")
        screen.line(f"  stop it        muni tune stop {name}")
        raise


def _moving(screen: Screen, study: Study) -> Together:
    reply, best = study.reply, study.best
    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text(visible(study.name), style="bold"),
        ProgressBar(total=len(study.trials), completed=study.over, width=30),
        Text(f"{study.over}/{len(study.trials)}"),
        Text(
            "" if best is None or best.value is None else f"best {reply.objective} {measure(best.value)}", style="green"
        ),
        Text("" if best is None else _params(best.params), style="dim"),
    )
    rows = [
        Text.assemble(
            (f"  trial {one.number:<3} ", "dim"),
            (f"{one.phase:10}", "cyan"),
            " ".join(f"{visible(key)} {measure(value)}" for key, value in list(one.metrics.items())[:3]),
            (f"  {_params(one.params)}", "dim"),
            overflow="ellipsis",
            no_wrap=True,
        )
        for one in study.trials
        if one.phase in ("training", "trained", "evaluating")
    ]
    waits = reply.open and not rows
    return Together(head, *rows, *([Text("  asking for the next trials", style="dim")] if waits else []))


def _params(params: Mapping[str, Any] | None) -> str:
    return "  ".join(f"{visible(name)}={brief(value, 10)}" for name, value in (params or {}).items())


class _Plain:
    """A line for each trial that is over."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told: set[int] = set()

    def __call__(self, study: Study) -> None:
        """Tell what has not been told."""
        for one in study.trials:
            if one.number not in self._told and one.phase in ("done", "pruned", "failed"):
                self._told.add(one.number)
                value = "" if one.value is None else f"{study.reply.objective} {measure(one.value)}  "
                text = f"trial {one.number}  {one.phase}  {value}{_params(one.params)}"
                self._screen.console.print(Text(text, style=_COLOURS[one.phase]), soft_wrap=True)
