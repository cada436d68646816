"""``muni instructions``: what whoever uses a model must know of it, and who signed that he read it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.cli.steps import unlocked


@click.group(cls=Group)
def instructions() -> None:
    """Instructions for use: written from the records, acknowledged by a signature over their digest."""


@instructions.command()
@click.argument("model", type=MODEL)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the Markdown to a file.")
@with_face
def show(face: Face, model: str, output: Path | None) -> None:
    """Show the instructions for use of a version, and who acknowledged them."""
    found = face.client.instructions.of(model)
    if output is not None:
        output.write_text(found.text, encoding="utf-8")

    def draw(screen: Screen) -> None:
        if output is None:
            for line in found.text.splitlines():
                screen.line(line)
        screen.line()
        known = {
            "digest": Text(found.digest),
            "written to": output and str(output),
            "it tells nothing of": tuple(found.reply.missing),
        }
        screen.facts("instructions", known)
        rows = [
            [one.by, one.at[:16], "the text of now" if one.current else "an older text: does not count"]
            for one in found.reply.acknowledged
        ]
        screen.table(["read by", "at", "which"], rows, empty="nobody has acknowledged them yet")

    face.answer(found.reply, draw)
    if not face.json:
        face.notes.line(f"  read it, then  muni instructions acknowledge {model} --digest {found.digest}", style="dim")


@instructions.command()
@click.argument("model", type=MODEL)
@click.option("--digest", metavar="DIGEST", required=True, help="Of the text that you read; show prints it.")
@with_face
def acknowledge(face: Face, model: str, digest: str) -> None:
    """Sign that you read and understood the instructions; refused when the text has changed since."""
    found = unlocked(face).instructions.acknowledge(model, digest)
    said = f"read and understood: {found.digest}, by {len(found.readers)} so far"
    face.answer(found.reply, lambda screen: screen.done(said))
