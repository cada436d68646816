"""``muni usecase assess`` and ``muni usecase assessments``: what a use does to people and to society."""

from __future__ import annotations

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.screen import Screen
from muniment.wire import assurance as wire

__all__ = ["ASSESSING"]

_SCOPES = click.Choice(["fundamental rights", "data protection", "people and society"])


@click.command("assess", cls=Command)
@click.argument("use_case")
@click.option("--for", "scopes", type=_SCOPES, multiple=True, required=True, help="What it is for. Repeatable.")
@click.option("--process", metavar="TEXT", required=True, help="What is decided with it, and how.")
@click.option("--period", metavar="TEXT", required=True, help="For how long and how often it is used.")
@click.option("--affects", "affected", metavar="TEXT", multiple=True, required=True, help="Whom. Repeatable.")
@click.option("--harm", "harms", metavar="TEXT", multiple=True, required=True, help="What may happen. Repeatable.")
@click.option("--oversight", metavar="TEXT", required=True, help="Who watches over it, and what he can do.")
@click.option("--measure", "measures", metavar="TEXT", multiple=True, required=True, help="Against harm. Repeatable.")
@click.option("--legal-basis", metavar="TEXT", default="", help="For processing personal data.")
@click.option("--next-due", metavar="DAY", required=True, help="Day by which it is assessed again.")
@with_face
def assess(
    face: Face,
    use_case: str,
    scopes: tuple[str, ...],
    process: str,
    period: str,
    affected: tuple[str, ...],
    harms: tuple[str, ...],
    oversight: str,
    measures: tuple[str, ...],
    legal_basis: str,
    next_due: str,
) -> None:
    """Record what a use does to people and to society, and what is done against harm."""
    made = face.client.impacts.assess(
        use_case,
        scopes=scopes,
        process=process,
        period=period,
        affected=affected,
        harms=harms,
        oversight=oversight,
        measures=measures,
        legal_basis=legal_basis,
        next_due=next_due,
    )
    said = f"{made.use_case}@{made.use_case_version} is assessed for {', '.join(made.scopes)}, again by {made.next_due}"
    face.answer(made, lambda screen: screen.done(said))


@click.command("assessments", cls=Command)
@click.argument("use_case", required=False)
@with_face
def assessments(face: Face, use_case: str | None) -> None:
    """List the assessments of a use case, or of all, newest first."""
    found = face.client.impacts.list(use_case)

    def draw(screen: Screen) -> None:
        rows = [
            [
                f"{one.use_case}@{one.use_case_version}",
                ", ".join(one.scopes),
                "; ".join(one.affected),
                "; ".join(one.harms),
                f"{one.next_due}{' overdue' if one.overdue else ''}",
            ]
            for one in found
        ]
        columns = ["use case", "for", "affects", "harms", "again by"]
        screen.table(columns, rows, empty="nothing was assessed yet: muni usecase assess --help", wrap=["harms"])

    face.answer(wire.Impacts(assessments=found), draw)


ASSESSING = (assess, assessments)
"""The commands that belong to ``muni usecase``."""
