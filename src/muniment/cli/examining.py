"""``muni audit examine`` and ``muni audit examinations``: what internal audit looked at, signed by the auditor."""

from __future__ import annotations

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.cli.steps import unlocked
from muniment.wire import assurance as wire

__all__ = ["EXAMINING"]

_AREAS = click.Choice(["records", "validation", "approval", "findings", "data", "ledger", "policies", "inventory"])
_OUTCOMES = click.Choice(["satisfactory", "satisfactory with findings", "unsatisfactory"])


@click.command("examine", cls=Command)
@click.argument("model", type=MODEL, required=False)
@click.option("--scope", type=_AREAS, multiple=True, required=True, help="What was looked at. Repeatable.")
@click.option("--from", "since", metavar="DAY", required=True, help="First day that was looked at, as 2026-01-01.")
@click.option("--to", "until", metavar="DAY", required=True, help="Last day that was looked at.")
@click.option("--outcome", type=_OUTCOMES, required=True, help="What came out.")
@click.option("--text", metavar="TEXT", required=True, help="What was found.")
@click.option("--recommend", metavar="TEXT", multiple=True, help="What should be done. Repeatable.")
@click.option("--next-due", metavar="DAY", required=True, help="Day by which it is examined again.")
@with_face
def examine(
    face: Face,
    model: str | None,
    scope: tuple[str, ...],
    since: str,
    until: str,
    outcome: str,
    text: str,
    recommend: tuple[str, ...],
    next_due: str,
) -> None:
    """Record what internal audit found of MODEL, or without one of how model risk is managed, with your signature."""
    done = unlocked(face).audits.examine(
        model,
        scope=scope,
        period=(since, until),
        outcome=outcome,
        text=text,
        next_due=next_due,
        recommendations=recommend,
    )
    said = f"{done.model or 'the management of model risk'} is examined: {done.outcome}, again by {done.next_due}"
    face.answer(done, lambda screen: screen.done(said))


@click.command("examinations", cls=Command)
@click.argument("model", type=MODEL, required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def examinations(face: Face, model: str | None, limit: int) -> None:
    """List what internal audit examined, newest first."""
    found = face.client.audits.list(model, limit=limit)

    def draw(screen: Screen) -> None:
        rows = [
            [
                one.model or "how model risk is managed",
                one.outcome,
                ", ".join(one.scope),
                one.at[:10],
                f"{one.next_due}{' overdue' if one.overdue else ''}",
                one.by,
            ]
            for one in found
        ]
        columns = ["examined", "outcome", "scope", "on", "again by", "by"]
        screen.table(columns, rows, empty="internal audit examined nothing yet", wrap=["scope"], spare=["by"])

    face.answer(wire.Examinations(examinations=found), draw)


EXAMINING = (examine, examinations)
"""The commands that belong to ``muni audit``."""
