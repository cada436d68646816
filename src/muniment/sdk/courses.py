"""Series as pictures: one line of blocks, a chart of dots for a terminal, and SVG for a notebook. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Final

from muniment.sdk.shown import measure

__all__ = ["chart", "spark", "svg"]

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_PLAIN: Final = "_.-=+*#@"
_STRANGE: Final = "×"
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the dots of a braille sign, from the top (Unicode 15, block U+2800)."""

_LABEL: Final = 11
_WIDTH: Final = 640
_HEIGHT: Final = 220
_EDGE: Final = (64, 12, 12, 28)
"""Room left, right, above and below the drawing."""


def spark(values: Sequence[float], width: int = 24, *, plain: bool = False) -> str:
    """The course of a series in one line; what is not finite is a cross, and plain signs fit any terminal."""
    if not values:
        return ""
    signs = _PLAIN if plain else _BLOCKS
    stretches = [_stretch(values, at, min(width, len(values))) for at in range(min(width, len(values)))]
    means = [None if any(not math.isfinite(v) for v in part) else math.fsum(part) / len(part) for part in stretches]
    finite = [mean for mean in means if mean is not None]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    cross = "x" if plain else _STRANGE
    return "".join(cross if mean is None else signs[_level(mean, low, high, len(signs))] for mean in means)


def chart(
    points: Sequence[tuple[float, float]], *, width: int = 60, height: int = 10, plain: bool = False
) -> list[str]:
    """A series over its steps as lines of text, with the lowest and highest value and the first and last step.

    Args:
        points: step and value; what is not finite leaves a gap and is counted below.
        width: signs of the drawing, without its labels.
        height: lines of the drawing.
        plain: stars instead of braille dots, for terminals that know no more.
    """
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    if not finite:
        return [f"{len(points)} values, none of them finite"] if points else []
    columns, rows = (width, height) if plain else (2 * width, 4 * height)
    low_x, high_x = min(x for x, _ in finite), max(x for x, _ in finite)
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    dots = {
        (_level(x, low_x, high_x, columns), rows - 1 - _level(y, low, high, rows)) for x, y in _joined(finite, columns)
    }
    lines = [_line(dots, row, width, plain=plain) for row in range(height)]
    labels = [measure(high), *[""] * (height - 2), measure(low)] if height > 1 else [measure(high)]
    bar = "|" if plain else "│"
    shown = [f"{label:>{_LABEL}} {bar}{line.rstrip()}" for label, line in zip(labels, lines, strict=True)]
    ends = f"{low_x:g}", f"{high_x:g}"
    shown.append(" " * (_LABEL + 2) + ends[0] + " " * max(1, width - len(ends[0]) - len(ends[1])) + ends[1])
    if len(finite) < len(points):
        shown.append(" " * (_LABEL + 2) + f"{len(points) - len(finite)} not finite, not drawn")
    return shown


def svg(points: Sequence[tuple[float, float]], name: str) -> str:
    """A series over its steps as SVG in the colour of the page; values that are not finite are marks at the bottom."""
    left, right, above, below = _EDGE
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
    title = f"<title>{escape(name)}</title>"
    if not finite:
        text = f'<text x="{left}" y="{above + 20}" fill="currentColor" font-size="12">no finite value</text>'
        return f"{head}{title}{text}</svg>"
    xs = [x for x, _ in points]
    low_x, high_x = min(xs), max(xs)
    low, high = min(y for _, y in finite), max(y for _, y in finite)

    def across(x: float) -> float:
        return left + _share(x, low_x, high_x) * (_WIDTH - left - right)

    def down(y: float) -> float:
        return above + (1 - _share(y, low, high)) * (_HEIGHT - above - below)

    path, pen = [], "M"
    for x, y in points:
        if math.isfinite(y):
            path.append(f"{pen}{across(x):.1f} {down(y):.1f}")
            pen = "L"
        else:
            pen = "M"
    base = _HEIGHT - below
    crosses = "".join(
        f'<path d="M{across(x) - 3:.1f} {base - 3}l6 6m0 -6l-6 6" stroke="#dc3c32" fill="none"/>'
        for x, y in points
        if not math.isfinite(y)
    )
    grid = "".join(
        f'<line x1="{left}" x2="{_WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity=".2"/>'
        for y in (down(low), down((low + high) / 2), down(high))
    )
    words = "".join(
        f'<text x="{x}" y="{y:.1f}" fill="currentColor" font-size="11" text-anchor="{anchor}">{escape(text)}</text>'
        for x, y, anchor, text in (
            (left - 6, down(high) + 4, "end", measure(high)),
            (left - 6, down(low) + 4, "end", measure(low)),
            (left, _HEIGHT - 8, "start", f"{low_x:g}"),
            (_WIDTH - right, _HEIGHT - 8, "end", f"{high_x:g}"),
        )
    )
    line = f'<path d="{"".join(path)}" fill="none" stroke="#2a6fdb" stroke-width="1.5" stroke-linejoin="round"/>'
    lone = "".join(f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="2.5" fill="#2a6fdb"/>' for x, y in finite[:1])
    return f"{head}{title}{grid}{line}{lone if len(finite) == 1 else ''}{crosses}{words}</svg>"


def _stretch(values: Sequence[float], at: int, many: int) -> Sequence[float]:
    return values[at * len(values) // many : (at + 1) * len(values) // many]


def _share(value: float, low: float, high: float) -> float:
    """Where a value stands between two others, 0 to 1; in the middle when they are one."""
    # Halved, so that the distance of two huge numbers of opposite sign stays finite.
    span = high / 2 - low / 2
    return 0.5 if span <= 0 else min(1.0, max(0.0, (value / 2 - low / 2) / span))


def _level(value: float, low: float, high: float, levels: int) -> int:
    return min(levels - 1, int(_share(value, low, high) * (levels - 1) + 0.5))


def _joined(points: Sequence[tuple[float, float]], columns: int) -> list[tuple[float, float]]:
    """The points, and where they are few the straight lines between them."""
    if len(points) >= columns or len(points) < 2:
        return list(points)
    steps = max(2, 2 * columns // (len(points) - 1))
    joined = [points[-1]]
    for (x, y), (next_x, next_y) in pairwise(points):
        for step in range(steps):
            share = step / steps
            joined.append((x + (next_x - x) * share, y * (1 - share) + next_y * share))
    return joined


def _line(dots: set[tuple[int, int]], row: int, width: int, *, plain: bool) -> str:
    if plain:
        return "".join("*" if (column, row) in dots else " " for column in range(width))
    signs = []
    for column in range(width):
        bits = 0
        for down, pair in enumerate(_DOTS):
            for across, bit in enumerate(pair):
                if (2 * column + across, 4 * row + down) in dots:
                    bits |= bit
        signs.append(chr(0x2800 + bits) if bits else " ")
    return "".join(signs)
