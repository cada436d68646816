"""``muni data quality``: what share of the rows meets each declared rule."""

from __future__ import annotations

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import DATA
from muniment.cli.screen import Screen
from muniment.sdk.quality import Quality, percent, quality_of
from muniment.sdk.shown import count

__all__ = ["quality"]

_MOST_GAPS = 20


@click.command(cls=Command, epilog="Example: muni data quality credit --rules credit-rules.toml")
@click.argument("dataset", type=DATA)
@click.option("--rules", metavar="FILE", type=click.Path(), help="Rules in TOML or JSON, as the how-to page has them.")
@click.option("--as-of", metavar="TIME", help="The moment from which ages are counted; now by default.")
@click.option("--fresh", is_flag=True, help="Run it although the record holds the answer.")
@click.option("--detach", is_flag=True, help="Return at once; the run goes on in the queue.")
@with_face
def quality(face: Face, dataset: str, rules: str | None, as_of: str | None, fresh: bool, detach: bool) -> None:
    """Measure the quality of a snapshot: completeness, validity, uniqueness, consistency and timeliness.

    Each rule says what share of the rows must meet it; the answer is ok, violated, or unknown where none can be judged.
    Without --rules missing values and duplicate rows are counted, and nothing is judged.
    """
    run = face.client.jobs.quality(dataset, rules, as_of=as_of, fresh=fresh)
    if detach:
        face.started(run)
        return
    found = quality_of(face.wait(run))
    document = {"run": found.run, "dataset": found.dataset, "grade": found.grade, **found.report}
    face.answer(document, lambda screen: picture(screen, found))


def picture(screen: Screen, found: Quality) -> None:
    """A report of quality for people."""
    report = found.report
    screen.facts(
        f"quality of {found.dataset}: {found.verdict}",
        {
            "rows": count(report.get("rows", 0)),
            "duplicate rows": count(report.get("duplicate_rows", 0)),
            "complete columns": f"{report.get('complete_columns', 0)} of {report.get('columns', 0)}",
            **report.get("dimensions", {}),
            "as of": str(report.get("as_of"))[:19],
            "run": found.run,
            "grade": found.grade,
        },
    )
    if rows := found.rows():
        screen.line()
        screen.table(
            ["rule", "dimension", "verdict", "share", "demanded", "broken", "first rows"],
            rows,
            wrap=["rule"],
            spare=["first rows", "dimension"],
        )
    if gaps := report.get("completeness"):
        screen.line()
        shown = [[one["column"], count(one["nulls"]), percent(one["share"])] for one in gaps[:_MOST_GAPS]]
        screen.table(["missing values in", "nulls", "complete"], shown, right=2)
        if len(gaps) > _MOST_GAPS:
            screen.line(f"… and {len(gaps) - _MOST_GAPS} more columns; --json has all of them", style="dim")
