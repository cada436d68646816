"""``muni model``: what was trained."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.errors import Conflict
from muniment.sdk.shown import brief, headline, measure, size
from muniment.wire import inventory as wire

_SHOWN = 3
"""So many metrics fit on a line of the list."""


@click.group(cls=Group)
def model() -> None:
    """Models: model:NAME@VERSION; without a version the latest is taken."""


@model.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def list_(face: Face, limit: int) -> None:
    """List the models of the project, newest first, with the metrics of their newest evaluation."""
    found = face.client.models.list(limit)

    def draw(screen: Screen) -> None:
        names = list(headline({name: 0.0 for m in found for name in m.metrics}, _SHOWN))
        rows = [
            [
                m.model,
                m.algorithm,
                m.grade,
                m.created_at[:16],
                *(measure(m.metrics[name]) if name in m.metrics else "" for name in names),
            ]
            for m in found
        ]
        columns = ["model", "algorithm", "grade", "made", *names]
        empty = "no model yet; train one: muni train --help"
        screen.table(columns, rows, right=len(names), empty=empty, spare=["made", "algorithm", *reversed(names)])

    face.answer(wire.Models(models=list(found)), draw)


@model.command()
@click.argument("model", type=MODEL)
@with_face
def show(face: Face, model: str) -> None:
    """Show everything recorded about a model: files, evaluations, origin, grade."""
    d = face.client.models.get(model).detail

    def draw(screen: Screen) -> None:
        screen.facts(
            d.model,
            {
                "algorithm": d.algorithm,
                "digest": d.digest,
                "trained on": ", ".join(d.trained_on),
                "run": d.run,
                "made": f"{d.created_at[:19]} by {d.created_by}",
                "grade": d.grade,
            },
        )
        screen.line()
        screen.table(["file", "digest", "size"], [[f.path, f.digest, size(f.size)] for f in d.files], right=1)
        for e in d.evaluations:
            screen.line()
            metrics = {name: measure(value) for name, value in e.metrics.items()}
            screen.facts(f"on {e.data}", {**metrics, "run": e.run, "at": e.created_at[:19]})
        if d.facts:
            screen.line()
            screen.facts("facts", {name: brief(value, 300) for name, value in d.facts.items()})

    face.answer(d, draw)


@model.command()
@click.argument("model", type=MODEL)
@click.option("-o", "--output", type=click.Path(), required=True, metavar="FILE", help="Where the tar is written.")
@with_face
def fetch(face: Face, model: str, output: str) -> None:
    """Fetch the files of a model as a tar; nothing in it is executed on the way."""
    found = face.client.models.get(model)
    target = Path(output)
    written = save(found.fetch(), target)
    document = {"model": found.reference, "digest": found.digest, "file": str(target), "size": written}
    face.answer(document, lambda screen: screen.done(f"{found.reference} -> {target} ({size(written)})"))


def save(chunks: Iterable[bytes], target: Path) -> int:
    """Write what comes to a new file, whole or not at all; gives its size in bytes.

    Raises:
        Conflict: there is such a file already.
    """
    if target.exists():
        raise Conflict(
            "MUNI-A311", f"{str(target)!r} exists already", file=str(target), do="choose another name with -o"
        )
    part = target.with_name(target.name + ".part")
    written = 0
    try:
        with part.open("xb") as out:
            for chunk in chunks:
                written += out.write(chunk)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return written
