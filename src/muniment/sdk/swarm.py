"""The beeswarm of an explanation as a drawing: one line per feature, one dot per row, its value as colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from muniment.sdk.shown import visible

__all__ = ["swarm"]

_ROW: Final = 34
_LEFT: Final = 190
_WIDTH: Final = 640
_RIGHT: Final = 90
_TOP: Final = 34
_DOT: Final = 4.0
_GREY: Final = "#8a8f98"
_TEXT: Final = "#6b7280"
_LOW: Final = (37, 99, 235)
_MIDDLE: Final = (168, 85, 200)
_HIGH: Final = (225, 29, 72)
_SHADES: Final = 11
_LONGEST: Final = 26


def swarm(report: Mapping[str, Any]) -> str | None:
    """The drawing, self-contained and the same for the same report; None when the report has no points.

    Dots that would cover each other are stacked around their line, so that the shape shows how many they are.
    """
    points: Mapping[str, Sequence[Mapping[str, Any]]] = (report.get("beeswarm") or {}).get("points") or {}
    names = [name for name in (report.get("beeswarm") or {}).get("features", []) if points.get(name)]
    if not names:
        return None
    furthest = max((abs(one["x"]) for name in names for one in points[name]), default=0.0) or 1.0
    low = min(one["x"] for name in names for one in points[name])
    high = max(one["x"] for name in names for one in points[name])
    low, high = min(low, -0.05 * furthest), max(high, 0.05 * furthest)
    scale = _WIDTH / (high - low)
    height = _TOP + _ROW * len(names) + 46
    width = _LEFT + _WIDTH + _RIGHT
    zero = _LEFT - low * scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif" font-size="13">',
        f'<line x1="{zero:.1f}" y1="{_TOP - 8}" x2="{zero:.1f}" y2="{height - 40}" stroke="{_GREY}" opacity=".6"/>',
    ]
    shares = {one["name"]: one["share"] for one in report.get("features", [])}
    for row, name in enumerate(names):
        middle = _TOP + _ROW * row + _ROW / 2
        label = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
        parts.append(
            f'<text x="{_LEFT - 12}" y="{middle + 4:.1f}" text-anchor="end" fill="{_TEXT}">'
            f"{escape(visible(label))}</text>"
            f'<line x1="{_LEFT}" y1="{middle:.1f}" x2="{_LEFT + _WIDTH}" y2="{middle:.1f}" stroke="{_GREY}" '
            'opacity=".18"/>'
        )
        parts += _dots(points[name], middle, zero, scale)
        if name in shares:
            parts.append(
                f'<text x="{_LEFT + _WIDTH + 12}" y="{middle + 4:.1f}" fill="{_TEXT}">{shares[name]:.1%}</text>'
            )
    parts += _legend(width, height, zero)
    return "".join([*parts, "</svg>"])


def _dots(points: Sequence[Mapping[str, Any]], middle: float, zero: float, scale: float) -> list[str]:
    """One path per shade: a round cap on a line of no length is a dot, which takes a dozen bytes."""
    taken: dict[int, int] = {}
    paths: dict[str, list[str]] = {}
    for one in sorted(points, key=lambda one: one["x"]):
        slot = round((zero + one["x"] * scale) / _DOT)
        level = taken[slot] = taken.get(slot, -1) + 1
        reach = _ROW / 2 - 3
        step = min((level + 1) // 2 * 2.6, reach)
        y = middle + (step if level % 2 else -step)
        paths.setdefault(_shade(one["v"]), []).append(f"M{slot * _DOT:g} {y:.1f}h0")
    return [
        f'<path d="{"".join(path)}" stroke="{colour}" stroke-width="{_DOT}" stroke-linecap="round" opacity=".75"/>'
        for colour, path in sorted(paths.items())
    ]


def _shade(value: float | None) -> str:
    if value is None:
        return _GREY
    place = round(value * (_SHADES - 1)) / (_SHADES - 1)
    start, end, along = (_LOW, _MIDDLE, place * 2) if place < 0.5 else (_MIDDLE, _HIGH, place * 2 - 1)
    mixed = (round(one + (other - one) * along) for one, other in zip(start, end, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _legend(width: int, height: int, zero: float) -> list[str]:
    base = height - 14
    stops = "".join(
        f'<rect x="{_LEFT + 8 * at}" y="{base - 10}" width="8" height="10" fill="{_shade(at / (_SHADES - 1))}"/>'
        for at in range(_SHADES)
    )
    return [
        f'<text x="{_LEFT - 12}" y="16" text-anchor="end" fill="{_TEXT}" font-weight="600">feature</text>',
        f'<text x="{zero - 10:.1f}" y="16" text-anchor="end" fill="{_TEXT}">◂ lowers</text>',
        f'<text x="{zero + 10:.1f}" y="16" fill="{_TEXT}">raises ▸</text>',
        f'<text x="{width - _RIGHT + 12}" y="16" fill="{_TEXT}" font-weight="600">share</text>',
        f'<text x="{_LEFT - 12}" y="{base}" text-anchor="end" fill="{_TEXT}">low value</text>',
        stops,
        f'<text x="{_LEFT + 8 * _SHADES + 8}" y="{base}" fill="{_TEXT}">high value, grey: missing or without order; '
        "contributions in log-odds</text>",
    ]
