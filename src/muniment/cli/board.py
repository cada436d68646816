"""``muni board``: the inventory at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.screen import Screen
from muniment.wire import inventory as wire

_STATES = ("draft", "submitted", "in_validation", "approved", "expired", "rejected", "retired")


@click.command(cls=Command)
@click.option("--top", type=click.IntRange(1, 100), default=10, show_default=True, help="Lines of each list.")
@click.option("--pdf", type=click.Path(), metavar="FILE", help="Write it as a report for a board, as PDF/A.")
@with_face
def board(face: Face, top: int, pdf: str | None) -> None:
    """Show the inventory at a glance: tiers and states, findings, overdue reviews, emergencies, concentration."""
    if pdf is not None:
        path = face.client.inventory.save_board(pdf)
        face.answer({"report": str(path)}, lambda screen: screen.done(f"the board's report is in {path}"))
        return
    found = face.client.inventory.board(top).reply

    def draw(screen: Screen) -> None:
        screen.facts(f"project {found.project}", {"versions": found.versions, "at": found.at[:19]})
        if found.emergencies:
            screen.line()
            names = ", ".join(row.model for row in found.emergencies)
            screen.line(f"EMERGENCY approval, outside of the ordinary steps: {names}", style="bold red")
        screen.line()
        _tiers(screen, found)
        if found.ages:
            screen.line()
            rows = [[age.state, age.versions, age.oldest_days] for age in found.ages]
            screen.table(["state", "versions", "oldest, days"], rows, right=2)
        if any(one.open for one in found.findings):
            screen.line()
            columns = ["findings", "open", "overdue", "to 30 days", "to 90 days", "older"]
            findings = [
                [f.severity, f.open, f.overdue, f.up_to_30_days, f.up_to_90_days, f.older] for f in found.findings
            ]
            screen.table(columns, findings, right=5)
        _versions(screen, "reviews overdue", found.overdue_reviews)
        _versions(screen, "approvals that ended", found.expired)
        if found.concentration:
            screen.line()
            shares = [[share.what, share.value, share.versions] for share in found.concentration]
            screen.table(["shared", "what", "versions"], shares, right=1)

    face.answer(found, draw)


def _tiers(screen: Screen, found: wire.Board) -> None:
    by = {(cell.tier, cell.state): cell.versions for cell in found.cells}
    used = [state for state in _STATES if any(cell.state == state for cell in found.cells)]
    rows = [[f"tier {tier}", *(by.get((tier, state), "") for state in used)] for tier in (1, 2, 3, 4)]
    empty = "nothing is registered yet: muni model register MODEL"
    screen.table(["", *used], rows if used else [], right=len(used), empty=empty)


def _versions(screen: Screen, title: str, rows: Sequence[wire.VersionSummary]) -> None:
    if rows:
        screen.line()
        cells = [[row.model, f"tier {row.tier}", row.owner, row.next_review, (row.expires or "")[:10]] for row in rows]
        screen.table([title, "", "owner", "next review", "expires"], cells)
