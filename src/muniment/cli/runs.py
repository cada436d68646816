"""``muni runs``: jobs, waiting, running and ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.text import Text

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import EXPERIMENT, RUN
from muniment.cli.rules import rules_told
from muniment.cli.screen import Screen
from muniment.cli.tracked import COMMANDS as TRACKED
from muniment.cli.tracked import courses
from muniment.errors import Conflict
from muniment.sdk.comparisons import Comparison, data_facts, page
from muniment.sdk.courses import spark
from muniment.sdk.runs import Run
from muniment.sdk.shown import brief, duration, elapsed, headline, measure, size, visible
from muniment.wire import execution as wire

_CODE_LINES: Final = 60
_INKS: Final = {"+": "green", "-": "red", "@": "cyan", "#": "bold"}
_SHOWN = 3
"""So many metrics fit on a line of the list."""


@click.group(cls=Group)
def runs() -> None:
    """Runs: every job that was asked for, with what it used, made, measured and printed."""


@runs.command("list", epilog="Example: muni runs list --experiment Credit --status failed")
@click.option("--experiment", type=EXPERIMENT, metavar="NAME", help="Only of this experiment.")
@click.option("--trial", metavar="NAME", help="Only of this trial.")
@click.option("--kind", metavar="KIND", help="Only of this kind, such as ingest, train, run or track.")
@click.option("--status", metavar="STATUS", help="Only with this status, such as running or failed.")
@click.option("--limit", type=click.IntRange(1, 1000), default=30, show_default=True, help="So many at most.")
@click.option("--deleted", is_flag=True, help="List deleted tracked runs too.")
@with_face
def list_(
    face: Face,
    experiment: str | None,
    trial: str | None,
    kind: str | None,
    status: str | None,
    limit: int,
    deleted: bool,
) -> None:
    """List runs, newest first."""
    found = face.client.runs(experiment, trial=trial, kind=kind, status=status, limit=limit, deleted=deleted)

    def draw(screen: Screen) -> None:
        rows = [
            [
                r.run,
                r.status,
                r.kind,
                r.label,
                r.experiment,
                elapsed(r.started_at, r.ended_at),
                _result(r),
            ]
            for r in found
        ]
        columns = ["run", "status", "kind", "what", "experiment", "took", "result"]
        screen.table(columns, rows, empty="no run yet", spare=["experiment", "took", "what"])

    face.answer(wire.Runs(runs=list(found)), draw)


@runs.command(epilog="Example: muni runs show RUN")
@click.argument("run", type=RUN)
@with_face
def show(face: Face, run: str) -> None:
    """Show everything recorded about a run: inputs, products, metrics, what was enforced."""
    run_answer(face, face.client.run(run))
    if not face.json:
        courses(face.screen, face.client, run)


@runs.command(epilog="Example: muni runs logs RUN")
@click.argument("run", type=RUN)
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@with_face
def logs(face: Face, run: str, follow: bool) -> None:
    """Print what a run printed, with control characters made visible."""
    found = face.client.run(run)
    if face.json:
        text = "".join(found.log_parts(follow=follow))
        face.answer({"run": found.reference, "text": text}, lambda screen: None)
        return
    for piece in found.log_parts(follow=follow):
        face.screen.raw(visible(piece, lines=True))


@runs.command(epilog="Example: muni runs watch RUN")
@click.argument("run", type=RUN)
@with_face
def watch(face: Face, run: str) -> None:
    """Wait for a run again, as if one had never looked away."""
    run_answer(face, face.wait(face.client.run(run)))


@runs.command(epilog="Example: muni runs cancel RUN")
@click.argument("run", type=RUN)
@with_face
def cancel(face: Face, run: str) -> None:
    """Ask for a waiting or running job to be stopped."""
    found = face.client.run(run)
    status = found.cancel()
    document = {"run": found.reference, "status": status}
    face.answer(document, lambda screen: screen.done(f"{found.reference} {status}"))


@runs.command(epilog="Example: muni runs compare RUN_A RUN_B --html comparison.html")
@click.argument("run", nargs=-1, required=True, type=RUN)
@click.option("--all", "everything", is_flag=True, help="Show rows that do not differ too, and all of the code.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with pictures there.")
@with_face
def compare(face: Face, run: tuple[str, ...], everything: bool, html: Path | None) -> None:
    """Put two or more runs side by side: what differs in parameters, code, packages and data, and what was measured."""
    if len(run) < 2:
        raise click.UsageError("name at least two runs to compare")
    found = face.client.compare(*run)
    if html is not None:
        _write_page(html, page(found))
    face.answer(found.reply, lambda screen: _side_by_side(screen, found, everything=everything))
    if html is not None:
        face.notes.line(f"wrote {html}", style="dim")


def _write_page(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Conflict(
            "MUNI-A311", f"{str(path)!r} exists already", file=str(path), do="choose another name with --html"
        ) from None


def _side_by_side(screen: Screen, found: Comparison, *, everything: bool) -> None:
    """Runs side by side for people: what differs, curves in one line each, then data and code."""
    reply = found.reply
    rows = [
        [f"{row.section} {row.name}", *(_value(row, value) for value in row.values)]
        for row in reply.rows
        if everything or row.differs or row.section == "metric"
    ]
    columns = ["", *(f"run:…{reference[-8:]}" for reference in reply.runs)]
    screen.table(columns, rows, empty="the runs do not differ")
    if screen.mark("▁▂▃▄▅▆▇█", "") and reply.curves:
        screen.line()
        curves = [
            [curve.metric, *(Text(spark([y for _, y in points], 24), style="cyan") for points in curve.points)]
            for curve in reply.curves
        ]
        screen.table(["curves", *columns[1:]], curves)
    for difference in reply.data:
        screen.line()
        screen.facts(f"input {difference.channel} of {columns[difference.run + 1]}", data_facts(difference))
    code = found.code_diff().splitlines()
    if code:
        screen.line()
        for line in code if everything else code[:_CODE_LINES]:
            screen.console.print(Text(line, style=_INKS.get(line[:1], "")), soft_wrap=True)
        if len(code) > _CODE_LINES and not everything:
            screen.line(f"and {len(code) - _CODE_LINES} more lines: --all", style="dim")


def _result(run: wire.RunSummary) -> str:
    """What came of a run in a few words: its error, its named products, or its metrics."""
    if run.error:
        return str(run.error.get("message", ""))
    named = [product for product in run.products if not product.startswith("sha256:")]
    measured = [f"{name} {measure(value)}" for name, value in headline(run.metrics, _SHOWN).items()]
    return ", ".join(named) or "  ".join(measured)


def run_answer(face: Face, run: Run) -> None:
    """Answer with a run in full."""
    document = {**msgspec.to_builtins(run.detail), "answered": run.answered}
    face.answer(document, lambda screen: picture(screen, run.detail))


def picture(screen: Screen, d: wire.RunDetail) -> None:
    """A run for people."""
    screen.facts(
        d.run,
        {
            "status": d.status,
            "what": f"{d.kind} {d.label}",
            "experiment": d.experiment,
            "trial": d.trial,
            "asked for": f"{d.created_at[:19]} by {d.requested_by}",
            "took": elapsed(d.started_at, d.ended_at),
            "attempt": d.attempt if d.attempt > 1 else None,
            "plan": d.plan,
            "exit code": d.exit_code,
            "verdict": d.verdict and d.verdict.get("verdict"),
            "grade": d.grade,
        },
    )
    for title, facts in (("inputs", d.inputs), ("parameters", d.params), ("verdict", d.verdict or {})):
        _section(screen, title, facts)
    _section(screen, "told by the run itself (declared)", {**d.logged, **{f"tag {n}": t for n, t in d.tags.items()}})
    by_code = d.grade == "proven" and d.metrics_grade == "declared"
    _section(
        screen,
        "metrics (declared by the script)" if by_code else "metrics",
        {name: measure(value) for name, value in d.metrics.items()},
    )
    rules_told(screen, d.rules)
    if d.products:
        screen.line()
        screen.table(
            ["generated", "as", "digest"], [[p.reference, p.role, p.digest] for p in d.products], spare=["digest"]
        )
    _section(screen, "code", _code(d.code))
    if d.refused:
        screen.line()
        screen.table(
            ["refused output", "because"], [[r.get("path"), r.get("reason")] for r in d.refused], wrap=["because"]
        )
    _section(screen, "enforced", _enforced(d.enforcement or {}))
    kernel = (d.enforcement or {}).get("kernel")
    pinned = {"environment": d.job.get("env"), "base root": d.job.get("base"), "seed": d.job.get("seed")}
    machine = {name: value for name, value in (d.machine or {}).items() if name != "flags"}
    ran = {**pinned, "kernel": kernel, **machine}
    _section(screen, "ran on", {name: value for name, value in ran.items() if value is not None})
    _section(screen, "used", _used(d.usage or {}))
    if d.error:
        _section(screen, "error", {**d.error, **dict(d.error.get("facts") or {}), "facts": None})
    if d.log_bytes:
        screen.line()
        screen.line(f"printed {size(d.log_bytes)}: muni runs logs {d.run}", style="dim")


def _code(code: dict[str, Any]) -> dict[str, Any]:
    """A script and the commit that its tree was, or that it was none."""
    if not code:
        return {}
    commit = str(code.get("commit") or "none: a snapshot of the files")
    return {
        "script": code.get("entry"),
        "commit": commit[:12] + ("" if code.get("clean") else ", with changes") if code.get("commit") else commit,
        "author": code.get("author"),
        "committed": str(code.get("committed_at") or "")[:19] or None,
        "message": code.get("message"),
    }


def _section(screen: Screen, title: str, facts: dict[str, Any]) -> None:
    if facts:
        screen.line()
        screen.facts(title, facts)


def _enforced(facts: dict[str, Any]) -> dict[str, Any]:
    """The walls in one line, weak ones by name."""
    walls = facts.get("walls")
    if not isinstance(walls, dict):
        return facts
    weak = {name: strength for name, strength in walls.items() if strength != "enforced"}
    firm = ", ".join(name.replace("_", " ") for name in walls if name not in weak)
    return {**{name: value for name, value in facts.items() if name != "walls"}, "walls": firm, "but": weak}


def _used(facts: dict[str, Any]) -> dict[str, Any]:
    """What a job took, in units for people; the unit stands last in a name."""
    shown: dict[str, Any] = {}
    for name, value in facts.items():
        plain, _, unit = name.rpartition("_")
        if isinstance(value, (int, float)) and unit in _UNITS:
            shown[plain.replace("_", " ")] = _UNITS[unit](value)
        else:
            shown[name.replace("_", " ")] = value
    return shown


_UNITS: Final[dict[str, Callable[[float], str]]] = {
    "s": duration,
    "kb": lambda value: size(int(value) * 1024),
    "bytes": lambda value: size(int(value)),
}


def _value(row: wire.ComparisonRow, value: Any) -> str:
    return measure(value) if row.section == "metric" and isinstance(value, (int, float)) else brief(value)


for _command in TRACKED:
    runs.add_command(_command)
