"""``muni data represent``: whether a data set represents a population."""

from __future__ import annotations

import click

from muniment.cli.data_overlap import named
from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import DATA
from muniment.cli.screen import Screen
from muniment.sdk.quality import Representation, representation_of
from muniment.sdk.shown import count

__all__ = ["represent"]

_MOST_GROUPS = 60


@click.command(cls=Command, epilog="Example: muni data represent credit --against census --columns sex,age_group")
@click.argument("dataset", type=DATA)
@click.option(
    "--against",
    "--reference",
    metavar="DATASET",
    type=DATA,
    required=True,
    help="The data that stand for the population.",
)
@click.option("--columns", metavar="COLUMN,...", multiple=True, required=True, help="Columns that form groups.")
@click.option("--bound", type=float, help="Greatest population stability index that is fine; 0.1 by default.")
@click.option("--fresh", is_flag=True, help="Run it although the record holds the answer.")
@click.option("--detach", is_flag=True, help="Return at once; the run goes on in the queue.")
@with_face
def represent(
    face: Face, dataset: str, against: str, columns: tuple[str, ...], bound: float | None, fresh: bool, detach: bool
) -> None:
    """Compare the shares of groups in a snapshot with those in a reference population.

    Each column, and all columns together, get a population stability index and a chi-square test; groups that are
    missing here, and groups that the population does not know, are named.
    """
    run = face.client.jobs.representation(dataset, against, named(columns), bound=bound, fresh=fresh)
    if detach:
        face.started(run)
        return
    found = representation_of(face.wait(run))
    document = {
        "run": found.run, "dataset": found.dataset, "against": found.against, "grade": found.grade, **found.report
    }  # fmt: skip
    face.answer(document, lambda screen: picture(screen, found))


def picture(screen: Screen, found: Representation) -> None:
    """A comparison for people."""
    report = found.report
    screen.facts(
        f"{found.dataset} against {found.against}: {found.verdict}",
        {
            "rows": count(report.get("rows", 0)),
            "population": count(report.get("reference_rows", 0)),
            "bound": f"index at most {report.get('bound')}",
            "run": found.run,
            "grade": found.grade,
        },
    )
    screen.line()
    screen.table(
        ["columns", "verdict", "psi", "chi-square", "p", "largest difference", ""],
        found.summary(),
        wrap=[""],
        spare=["chi-square"],
    )
    screen.line()
    groups = found.groups()
    screen.table(
        ["column", "group", "rows", "share", "population", "difference"], groups[:_MOST_GROUPS], right=4, spare=["rows"]
    )
    if len(groups) > _MOST_GROUPS:
        screen.line(f"… and {len(groups) - _MOST_GROUPS} more groups; --json has all of them", style="dim")
    for one in found.measures:
        for what, groups_ in (
            ("has no rows of", one.get("absent")),
            ("has groups unknown there:", one.get("unexpected")),
        ):
            if groups_ and len(one["columns"]) == 1:
                screen.line(f"{one['columns'][0]} {what} {', '.join(groups_[:12])}")
