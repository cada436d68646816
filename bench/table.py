"""The one table of all benchmarks: ours against a peer, as a ratio taken inside one run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measured comparison."""

    what: str
    ours: str
    """Our figure with its unit, such as ``512 ms``."""

    peer: str
    """The figure it is compared with, and of what, such as ``390 ms hash + plain write``."""

    ratio: float | None
    """Ours to the peer's; None when there is no peer."""

    bar: str
    """What is promised, such as ``<= 1.6x``; empty when the figure is only reported."""

    ok: bool | None
    """Whether the bar is kept; None when the figure is only reported."""

    note: str = ""


def print_table(rows: Iterable[Row]) -> None:
    """Print the rows as aligned columns, with a verdict for each bar."""
    cells = [("what", "ours", "peer", "ratio", "bar", "", "note")]
    for row in rows:
        verdict = "" if row.ok is None else "ok" if row.ok else "MISSED"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        cells.append((row.what, row.ours, row.peer, ratio, row.bar, verdict, row.note))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
