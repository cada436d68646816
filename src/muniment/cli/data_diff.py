"""``muni data diff``: how two snapshots differ."""

from __future__ import annotations

import click

from muniment.cli.data_overlap import attending, named
from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import DATA
from muniment.cli.screen import Screen
from muniment.sdk.rows import MEASURES, Difference, difference_of, measures

__all__ = ["diff"]

_SHOWN = 30


@click.command(cls=Command, epilog="Example: muni data diff credit@1 credit@2 --keys customer_id")
@click.argument("a", type=DATA)
@click.argument("b", type=DATA)
@click.option("--keys", metavar="COLUMN,...", help="Columns that name a row, to tell changed rows.", multiple=True)
@click.option("--all", "everything", is_flag=True, help="Show every column, not only those that moved most.")
@with_face
def diff(face: Face, a: str, b: str, keys: tuple[str, ...], everything: bool) -> None:
    """Say how snapshot B differs from A: schema, counts, distributions, and rows added, removed and changed.

    Without --keys a changed row is one removed and one added. PSI is the population stability index over the deciles of
    A (numbers) or its values: below 0.1 alike, above 0.25 moved.
    """
    found = difference_of(face.client, a, b, keys=named(keys), attend=attending(face))
    face.answer(found.document, lambda screen: picture(screen, found, everything=everything))


def picture(screen: Screen, found: Difference, *, everything: bool = False) -> None:
    """A difference for people: counts, schema, then the columns, those that moved most first."""
    known = {**found.facts(), "run": found.run.reference, "grade": found.run.detail.grade}
    screen.facts(f"{found.a} → {found.b}" if screen.mark("→", "") else f"{found.a} to {found.b}", known)
    if changes := found.schema():
        screen.line()
        screen.table(["column", "change", "type"], changes)
    screen.line()
    columns = found.columns if everything else found.columns[:_SHOWN]
    shown = [at for at, name in enumerate(MEASURES) if any(measures(one)[at] for one in columns)]
    screen.table(
        ["column", *(MEASURES[at] for at in shown)],
        [[one["name"], *(measures(one)[at] for at in shown)] for one in columns],
        right=len(shown),
        empty="no column in common",
        spare=[name for name in ("median", "mean", "nulls") if MEASURES.index(name) in shown],
    )
    if len(found.columns) > len(columns):
        screen.line(f"and {len(found.columns) - len(columns)} columns that moved less: --all", style="dim")
