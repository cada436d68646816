"""``muni lineage``: where a thing comes from, or what was made of it."""

from __future__ import annotations

from pathlib import Path

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import ANYTHING
from muniment.cli.screen import Screen
from muniment.errors import Unavailable
from muniment.sdk.lineage import Lineage
from muniment.sdk.shown import short


@click.command(cls=Command, epilog="Example: muni lineage model:creditcarddefault-xgboost --format svg -o origin.svg")
@click.argument("reference", type=ANYTHING)
@click.option("--upstream", "direction", flag_value="upstream", default=True, help="Where it comes from (the default).")
@click.option("--downstream", "direction", flag_value="downstream", help="What was made of it.")
@click.option("--depth", type=click.IntRange(min=1), help="How many runs away to go at most.")
@click.option(
    "--format", "form", type=click.Choice(["table", "svg"]), default="table", show_default=True, help="What to give."
)
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Where the picture is written; else to stdout.")
@with_face
def lineage(face: Face, reference: str, direction: str, depth: int | None, form: str, output: str | None) -> None:
    """Show where REFERENCE comes from, down to file, code and environment, or what was made of it.

    A grade stands at every link; the whole carries the weakest of them.
    """
    found = face.client.lineage(
        reference, direction=direction, depth=depth, picture=form == "svg" or output is not None
    )
    if form == "svg" or output is not None:
        _picture(face, found, output)
    else:
        face.answer(found.view, lambda screen: tree(screen, found))


def tree(screen: Screen, found: Lineage) -> None:
    """A lineage for people: a tree in reading order."""
    rows = [
        [
            "  " * row["level"] + short(row["node"]) + (" (see above)" if row["again"] else ""),
            row["kind"],
            f"{row['relation'].replace('_', ' ')} {('as ' + row['role']) if row['role'] else ''}".strip(),
            row["by"],
            row["grade"],
        ]
        for row in found.rows()
    ]
    screen.table([found.view.direction, "kind", "link", "by", "grade"], rows, spare=["by", "kind", "link"])
    if found.view.truncated:
        screen.line("only the nearest part is shown; --depth limits it, -o FILE draws it", style="dim")
    screen.line()
    where = found.view.elsewhere and f"recorded in project {found.view.elsewhere}, where it was promoted from"
    screen.facts("", {"grade of the whole": found.grade, "origin": where})


def _picture(face: Face, found: Lineage, output: str | None) -> None:
    if found.svg is None:
        raise Unavailable("MUNI-A526", "the platform drew no picture", reference=found.view.reference)
    if output is not None:
        path = Path(output)
        path.write_text(found.svg, encoding="utf-8")
        document = {"file": str(path), "grade": found.grade, "reference": found.view.reference}
        face.answer(document, lambda screen: screen.done(f"{path} (grade {found.grade})"))
    elif face.json:
        face.answer(found.view, lambda screen: None)
    else:
        click.echo(found.svg)
