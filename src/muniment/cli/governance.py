"""``muni governance``: the board's appetite, the accountable senior manager, and what was laid before the board."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from muniment.cli.face import Face, Group, with_face
from muniment.cli.screen import Screen
from muniment.cli.steps import unlocked
from muniment.wire import assurance as wire


@click.group(cls=Group)
def governance() -> None:
    """Governance: what the board decided about model risk, and which reports it was given."""


@governance.command()
@click.option("--appetite", metavar="TEXT", required=True, help="How much model risk the board takes, in its words.")
@click.option("--accountable", metavar="TEXT", required=True, help="The accountable senior manager, with function.")
@click.option("--policy", metavar="TEXT", required=True, help="Reference of the model risk policy.")
@click.option("--adopted", metavar="DAY", required=True, help="Day of the decision, as 2026-06-30.")
@click.option("--text", metavar="TEXT", default="", help="More of it.")
@with_face
def state(face: Face, appetite: str, accountable: str, policy: str, adopted: str, text: str) -> None:
    """Record what the board decided, with your signature."""
    found = unlocked(face).governance.state(
        appetite=appetite, accountable=accountable, policy=policy, adopted=adopted, text=text
    )
    face.answer(found, lambda screen: screen.done(f"stated: {found.statements[0].accountable} is accountable"))


@governance.command(epilog="Example: muni board --pdf board.pdf && muni governance lay board.pdf --on 2026-11-26")
@click.argument("report", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--on", "day", metavar="DAY", required=True, help="The day on which it was laid before the board.")
@click.option("--before", metavar="TEXT", default="board", show_default=True, help="The board or committee.")
@click.option("--note", metavar="TEXT", default="", help="What was decided on it.")
@with_face
def lay(face: Face, report: Path, day: str, before: str, note: str) -> None:
    """Record that the file REPORT, by its digest, was laid before the board, with your signature."""
    found = unlocked(face).governance.lay(report, day, before=before, note=note)
    newest = found.reports[0]
    face.answer(found, lambda screen: screen.done(f"{newest.report} was laid before the {before} on {day}"))


@governance.command()
@with_face
def show(face: Face) -> None:
    """Show what is stated, and which reports were laid before the board."""
    found = face.client.governance.show()
    face.answer(found, lambda screen: _draw(screen, found))


def _draw(screen: Screen, found: wire.Governance) -> None:
    if found.statements:
        one = found.statements[0]
        known = {
            "appetite": one.appetite,
            "accountable": one.accountable,
            "policy": one.policy,
            "adopted": one.adopted,
            "text": one.text or None,
            "recorded": f"{one.at[:16]} by {one.by}",
            "record": one.record,
        }
        screen.facts("governance, as it was stated last", known)
    else:
        screen.line("nothing is stated yet: muni governance state --help")
    screen.line()
    rows = [[one.day, one.before, Text(one.report), one.checkpoint, one.by] for one in found.reports]
    empty = "no report was laid before the board: muni governance lay --help"
    screen.table(["day", "before", "report", "ledger entries", "recorded by"], rows, empty=empty)
    if found.reports and not found.current:
        screen.line("the last report is older than twelve months", style="yellow")
