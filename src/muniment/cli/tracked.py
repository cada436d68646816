"""Commands of ``muni runs`` about what runs told and left: series, files, deletion, and what waits for the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import RUN
from muniment.cli.screen import Screen
from muniment.errors import NotFound
from muniment.sdk.experiments import POINTS, course, series_of
from muniment.sdk.shown import measure, size, visible
from muniment.wire import tracking as wire

__all__ = ["COMMANDS", "courses"]

_FEW = 8
"""So many courses stand under a run that is shown in full."""

_CURVES = 40
"""So many metrics are drawn in a list; each is one question."""


@click.command(cls=Command, epilog="Example: muni runs metrics RUN loss --points")
@click.argument("run", type=RUN)
@click.argument("name", required=False)
@click.option("--points", is_flag=True, help="Print every value instead of a curve.")
@with_face
def metrics(face: Face, run: str, name: str | None, points: bool) -> None:
    """Show what was measured in RUN, one line per metric; with NAME the course of that metric."""
    client = face.client
    if name is None:
        found = client.tracking.metrics(run)
        face.answer(found, lambda screen: _summaries(screen, client, found))
        return
    series = series_of(client, run, name, thin=None if points or face.json else POINTS)

    def draw(screen: Screen) -> None:
        reply = series.reply
        screen.facts(f"{visible(name)} of {reply.run}", {"values": reply.count, "grade": reply.grade})
        if points:
            rows = [[p.position, p.step, str(p.value), p.at] for p in reply.points]
            screen.table(["position", "step", "value", "taken"], rows)
            return
        plain = screen.mark("⣿", "") == ""
        width = max(20, min(72, screen.console.width - 15))
        for line in series.chart(width, 10, plain=plain):
            screen.raw(line + "\n")

    face.answer(series.reply, draw)


@click.command(cls=Command, epilog="Example: muni runs artifacts RUN figures/roc.svg --to roc.svg")
@click.argument("run", type=RUN)
@click.argument("path", required=False)
@click.option("--to", "target", type=click.Path(path_type=Path), metavar="FILE", help="Where PATH is written to.")
@click.option("--version", type=click.IntRange(1), help="A version of PATH; else the latest.")
@click.option("--versions", is_flag=True, help="List overwritten versions too.")
@with_face
def artifacts(face: Face, run: str, path: str | None, target: Path | None, version: int | None, versions: bool) -> None:
    """List the files of RUN, such as figures; with PATH write that one to a file."""
    found = face.client.tracking.artifacts(run, versions=versions)
    if path is not None:
        place = found.save(path, target or Path(path.rpartition("/")[2]), version)
        face.answer({"run": found.reply.run, "path": path, "file": str(place)}, lambda screen: screen.done(str(place)))
        return

    def draw(screen: Screen) -> None:
        rows = [[a.path, a.version, size(a.size), a.media_type, a.grade, a.digest] for a in found]
        columns = ["file", "version", "size", "type", "grade", "digest"]
        screen.table(columns, rows, empty="the run left no file", spare=["digest", "grade", "type"])

    face.answer(found.reply, draw)


@click.command(cls=Command, epilog="Example: muni runs sync")
@with_face
def sync(face: Face) -> None:
    """Send what tracked runs of killed processes left on this machine; each record is kept once."""
    sent = face.client.tracking.sync()

    def draw(screen: Screen) -> None:
        for run in sent:
            screen.done(run)
        if not sent:
            screen.line("nothing waits", style="dim")

    face.answer({"sent": sent}, draw)


@click.command(cls=Command, epilog="Example: muni runs delete RUN")
@click.argument("run", type=RUN)
@with_face
def delete(face: Face, run: str) -> None:
    """Take a tracked run out of lists; everything of it is retained."""
    face.client.tracking.delete(run)
    face.answer({"run": run, "deleted": True}, lambda screen: screen.done(f"{run} is out of lists; it is retained"))


@click.command(cls=Command, epilog="Example: muni runs restore RUN")
@click.argument("run", type=RUN)
@with_face
def restore(face: Face, run: str) -> None:
    """Put a deleted run back into lists."""
    face.client.tracking.restore(run)
    face.answer({"run": run, "deleted": False}, lambda screen: screen.done(f"{run} is back"))


def courses(screen: Screen, client: Any, run: str) -> None:
    """The course of each metric that has one, for a run that is shown in full."""
    plain = screen.mark("▁", "") == ""
    found = client.tracking.metrics(run)
    long = [one for one in found.metrics if one.count > 1][:_FEW]
    if long:
        screen.line()
        rows = [[one.name, course(client, found.run, one.name, plain=plain), one.count] for one in long]
        screen.table(["course of", "", "values"], rows, right=1)


def _summaries(screen: Screen, client: Any, found: wire.TrackedMetrics) -> None:
    plain = screen.mark("▁", "") == ""
    rows = []
    for position, one in enumerate(found.metrics):
        drawn = ""
        if position < _CURVES and one.count > 1:
            try:
                drawn = course(client, found.run, one.name, width=16, plain=plain)
            except NotFound:  # it vanished with an attempt that begins again
                drawn = ""
        low, high = (("" if v is None else measure(v)) for v in (one.lowest, one.highest))
        rows.append([one.name, drawn, one.count, low, high, measure(wire.number_of(one.last))])
    columns = ["metric", "course", "values", "lowest", "highest", "last"]
    screen.table(columns, rows, empty="nothing was measured", right=4)
    screen.line()
    screen.line(f"grade {found.grade}", style="dim")


COMMANDS = (metrics, artifacts, sync, delete, restore)
