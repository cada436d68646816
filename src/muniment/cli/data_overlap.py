"""``muni data overlap``: how many rows two snapshots share."""

from __future__ import annotations

from collections.abc import Callable

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import DATA
from muniment.cli.screen import Screen
from muniment.sdk.asking import Job
from muniment.sdk.rows import Overlap, all_but, overlap_of
from muniment.sdk.runs import Run
from muniment.sdk.shown import count

__all__ = ["WITHOUT", "attending", "key_columns", "named", "overlap"]

WITHOUT = click.option(
    "--without",
    metavar="COLUMN,...",
    multiple=True,
    help="Compare all columns but these, such as a running number that a copy has anew.",
)


def named(keys: tuple[str, ...]) -> list[str]:
    """Column names given as a list with commas, any number of times."""
    return [name for text in keys for name in text.split(",") if name]


def key_columns(face: Face, reference: str, keys: tuple[str, ...], without: tuple[str, ...]) -> list[str]:
    """The key columns: those that are named, or all of a snapshot but those that are left out."""
    if keys and without:
        raise click.UsageError("--keys names what is compared, --without what is not: give one of them.")
    return all_but(face.client, reference, named(without)) if without else named(keys)


def attending(face: Face) -> Callable[[Job], Run]:
    """How this invocation waits for a job that must end well."""
    return lambda job: face.wait(Run(face.client, job.reference))


@click.command(cls=Command, epilog="Example: muni data overlap credit/train credit/holdout --keys customer_id")
@click.argument("a", type=DATA)
@click.argument("b", type=DATA)
@click.option("--keys", metavar="COLUMN,...", help="Compare these columns alone; repeatable.", multiple=True)
@click.option("--ignore-names", is_flag=True, help="Compare whole rows by value, whatever columns are called.")
@WITHOUT
@with_face
def overlap(face: Face, a: str, b: str, keys: tuple[str, ...], ignore_names: bool, without: tuple[str, ...]) -> None:
    """Count the rows that snapshots A and B share, whatever their file formats, row order and column order.

    Rows are compared over the columns that both have, by keyed fingerprints that are made once and kept. A key that B
    calls otherwise is written NAME=OTHER. With duplicates "shared" counts pairs: what A has three times and B twice is
    two; how many rows of each occur in the other stands beside it.
    """
    columns = key_columns(face, a, keys, without)
    found = overlap_of(face.client, a, b, keys=columns, ignore_names=ignore_names, attend=attending(face))
    face.answer(found.document, lambda screen: picture(screen, found))


def picture(screen: Screen, found: Overlap) -> None:
    """Shared rows for people."""
    d = found.document
    screen.facts(f"{count(d['shared'])} shared rows", {**found.facts(), "run": d["run"], "grade": d["grade"]})
    screen.line()
    screen.table(
        ["data set", "rows", "different", "also in the other", "share"],
        [
            [name, count(rows), count(kinds), count(there), "" if share is None else f"{share:.2%}"]
            for name, rows, kinds, there, share in found.rows()
        ],
        right=4,
        spare=["different"],
    )
    if found.partial:
        screen.line()
        screen.line(
            "Only columns that both have were compared: rows that differ in others count as equal.", style="dim"
        )
