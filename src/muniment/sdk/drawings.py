"""Drawings of searches and of runs side by side: self-contained SVG, the same for the same values.

Colours differ in lightness as well as in hue, text takes a grey that reads on light and dark pages, and every drawing
names what it shows for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from muniment.sdk.shown import measure, visible

__all__ = ["bars", "history", "lines", "parallel"]

Point = tuple[float, float]

_TEXT: Final = "#6b7280"
_GRID: Final = "#8a8f98"
_BEST: Final = "#e08e1b"
COLOURS: Final = ("#1f5a96", "#e08e1b", "#2f8f6b", "#b5371f", "#7a4fa3", "#5b7f95", "#a36f1f", "#3d3d8f")
_WIDTH: Final = 760
_FONT: Final = "system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif"


def history(trials: Sequence[Mapping[str, Any]], objective: str, *, maximise: bool) -> str:
    """The objective of each trial, and the best so far as a step line; trials that were stopped are hollow."""
    done = [(one["number"], one["value"]) for one in trials if one["phase"] == "done" and one["value"] is not None]
    if not done:
        return ""
    pruned = [(one["number"], one["value"]) for one in trials if one["phase"] == "pruned" and one["value"] is not None]
    best: list[Point] = []
    for number, value in done:
        known = best[-1][1] if best else value
        best.append((number, (max if maximise else min)(known, value)))
    low, high = _span([value for _, value in done])
    frame = _Frame(_WIDTH, 230, (-0.5, len(trials) - 0.5), (low, high))
    parts = frame.axes("trial", objective)
    steps = [(frame.x(number), frame.y(value)) for number, value in best]
    path = f"M{steps[0][0]:.1f} {steps[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in steps[1:])
    parts.append(f'<path d="{path}H{frame.x(len(trials) - 0.5):.1f}" fill="none" stroke="{_BEST}" stroke-width="2"/>')
    parts += [
        f'<circle cx="{frame.x(number):.1f}" cy="{frame.y(min(max(value, low), high)):.1f}" r="3.4" fill="none" '
        f'stroke="{_GRID}" stroke-width="1.4"/>'
        for number, value in pruned
    ]
    parts += [
        f'<circle cx="{frame.x(number):.1f}" cy="{frame.y(value):.1f}" r="3.8" fill="{COLOURS[0]}"/>'
        for number, value in done
    ]
    number, value = next(one for one in done if one[1] == best[-1][1])
    parts.append(
        f'<circle cx="{frame.x(number):.1f}" cy="{frame.y(value):.1f}" r="6.5" fill="none" stroke="{_BEST}" '
        'stroke-width="2"/>'
    )
    words = f"{objective} by trial; the best, {measure(value)}, is trial {number}"
    return _svg(frame.width, frame.height, words, parts)


def parallel(
    trials: Sequence[Mapping[str, Any]], space: Mapping[str, Mapping[str, Any]], objective: str, *, maximise: bool
) -> str:
    """A line for each trial over the axes of its parameters and the objective; better ones are darker and on top."""
    done = [one for one in trials if one["phase"] == "done" and one["value"] is not None and one["params"]]
    if len(done) < 2:
        return ""
    names = [*space, objective]
    height, top, bottom, left, right = 270, 34, 34, 60, 70
    gap = (_WIDTH - left - right) / (len(names) - 1)
    values = [one["value"] for one in done]
    low, high = _span(values, room=0.0)
    ends: dict[str, tuple[str, str]] = {objective: (measure(low), measure(high))}
    parts: list[str] = []

    def place(name: str, one: Mapping[str, Any]) -> float:
        if name == objective:
            return float((one["value"] - low) / ((high - low) or 1.0))
        return _share(space[name], one["params"].get(name))

    for name, dimension in space.items():
        choices = dimension.get("choices")
        ends[name] = (
            _end(choices[0] if choices else dimension["low"]),
            _end(choices[-1] if choices else dimension["high"]),
        )
    ranked = sorted(done, key=lambda one: one["value"] if maximise else -one["value"])
    for rank, one in enumerate(ranked):
        share = rank / max(1, len(ranked) - 1)
        points = " ".join(
            f"{left + gap * column:.1f},{height - bottom - place(name, one) * (height - top - bottom):.1f}"
            for column, name in enumerate(names)
        )
        first = rank == len(ranked) - 1
        colour, thick = (_BEST, 2.6) if first else (_shade(share), 1.0 + share)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{thick:.2f}" '
            f'opacity="{1.0 if first else 0.35 + 0.5 * share:.2f}"/>'
        )
    for column, name in enumerate(names):
        x = left + gap * column
        parts.append(
            f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - bottom}" stroke="{_GRID}" opacity=".7"/>'
            + _text(x, top - 16, _cut(name, int(gap / 6.5) if len(names) > 2 else 24), "middle", weight=600)
            + _text(x, top - 3, ends[name][1], "middle")
            + _text(x, height - bottom + 14, ends[name][0], "middle")
        )
    return _svg(_WIDTH, height, f"each trial as a line over {', '.join(names)}", parts)


def bars(shares: Mapping[str, float | None], title: str) -> str:
    """A bar for each share, the largest first."""
    known = sorted(((name, share) for name, share in shares.items() if share is not None), key=lambda one: -one[1])
    if not known:
        return ""
    left, row = 150, 22
    height = 26 + row * len(known)
    most = max(share for _, share in known) or 1.0
    parts = [_text(left, 14, title, weight=600)]
    for place, (name, share) in enumerate(known):
        y = 24 + row * place
        width = (_WIDTH - left - 70) * share / most
        parts.append(
            _text(left - 8, y + 12, _cut(name, 22), "end")
            + f'<rect x="{left}" y="{y}" width="{width:.1f}" height="15" rx="2" fill="{COLOURS[0]}" opacity=".85"/>'
            + _text(left + width + 6, y + 12, f"{share:.1%}")
        )
    return _svg(_WIDTH, height, f"{title}: " + ", ".join(f"{name} {share:.1%}" for name, share in known), parts)


def lines(series: Mapping[str, Sequence[Point]], title: str, x_title: str = "step") -> str:
    """Curves on common axes, told apart by colour and dashes, with their names below."""
    drawn = {name: [one for one in points if math.isfinite(one[1])] for name, points in series.items()}
    drawn = {name: points for name, points in drawn.items() if points}
    everything = [point for points in drawn.values() for point in points]
    if not everything:
        return ""
    low, high = _span([y for _, y in everything])
    first, last = min(x for x, _ in everything), max(x for x, _ in everything)
    frame = _Frame(
        _WIDTH,
        240 + 16 * ((len(drawn) + 2) // 3),
        (first, last if last > first else first + 1),
        (low, high),
        below=40 + 16 * ((len(drawn) + 2) // 3),
    )
    parts = frame.axes(x_title, title)
    for place, (name, points) in enumerate(drawn.items()):
        colour, dash = COLOURS[place % len(COLOURS)], ("", "6 3", "2 3", "8 3 2 3")[place // 2 % 4]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        if len(points) == 1:
            x, y = points[0]
            parts.append(f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="4" fill="{colour}"/>')
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"{dashed}/>')
        x, y = 60 + (place % 3) * 235, frame.height - 8 - 16 * ((len(drawn) + 2) // 3 - 1 - place // 3)
        parts.append(
            f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" stroke="{colour}" stroke-width="2.4"{dashed}/>'
            + _text(x + 28, y, _cut(name, 30))
        )
    return _svg(frame.width, frame.height, f"{title} over {x_title} of {', '.join(drawn)}", parts)


class _Frame:
    """A plotting area with ticks."""

    def __init__(self, width: int, height: int, xs: Point, ys: Point, below: int = 40) -> None:
        self.width, self.height, self._below = width, height, below
        self._xs, self._ys = xs, ys

    def x(self, value: float) -> float:
        """Where a value lies, in pixels from the left."""
        return 62 + (value - self._xs[0]) / ((self._xs[1] - self._xs[0]) or 1) * (self.width - 82)

    def y(self, value: float) -> float:
        """Where a value lies, in pixels from the top."""
        room = self.height - self._below - 14
        return 14 + (self._ys[1] - value) / ((self._ys[1] - self._ys[0]) or 1) * room

    def axes(self, x_title: str, y_title: str) -> list[str]:
        """Grid, ticks and titles."""
        parts = []
        for value in _ticks(*self._ys, 5):
            y = self.y(value)
            parts.append(
                f'<line x1="62" y1="{y:.1f}" x2="{self.width - 20}" y2="{y:.1f}" stroke="{_GRID}" opacity=".22"/>'
                + _text(56, y + 4, f"{value:.6g}", "end")
            )
        base = self.height - self._below
        for value in _ticks(*self._xs, 8):
            if value == int(value):
                parts.append(_text(self.x(value), base + 15, f"{int(value):,}", "middle"))
        parts.append(
            f'<line x1="62" y1="{base}" x2="{self.width - 20}" y2="{base}" stroke="{_GRID}" opacity=".7"/>'
            + _text((self.width + 42) / 2, base + 30, x_title, "middle")
            + f'<text x="12" y="{base / 2:.0f}" fill="{_TEXT}" text-anchor="middle" '
            f'transform="rotate(-90 12 {base / 2:.0f})">{escape(visible(_cut(y_title, 34)))}</text>'
        )
        return parts


def _span(values: Sequence[float], room: float = 0.06) -> Point:
    low, high = min(values), max(values)
    margin = (high - low) * room or (abs(high) * 0.01 or 1.0) * (1 if high == low else 0)
    return low - margin, high + margin


def _ticks(low: float, high: float, about: int) -> list[float]:
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= span / about * 0.999)
    return [
        round(number * step, 12) for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _share(dimension: Mapping[str, Any], value: Any) -> float:
    """Where a value lies on its axis, from 0 to 1."""
    if "choices" in dimension:
        choices = list(dimension["choices"])
        return float(choices.index(value) / max(1, len(choices) - 1)) if value in choices else 0.0
    low, high = float(dimension["low"]), float(dimension["high"])
    if not isinstance(value, (int, float)):
        return 0.0
    if dimension["kind"] in ("log", "logint"):
        low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-300))
    return float(min(1.0, max(0.0, (value - low) / ((high - low) or 1.0))))


def _shade(share: float) -> str:
    far, near = (0xB9, 0xC4, 0xD0), (0x1F, 0x5A, 0x96)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(far, near, strict=True))


def _end(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else _cut(str(value), 14)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: max(1, longest - 1)] + "…"


def _text(x: float, y: float, text: str, anchor: str = "start", weight: int = 400) -> str:
    bold = f' font-weight="{weight}"' if weight != 400 else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{_TEXT}" text-anchor="{anchor}"{bold}>{escape(visible(text))}</text>'


def _svg(width: float, height: float, words: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="{_FONT}" font-size="12"><title>{escape(visible(words))}</title>'
        f"{''.join(parts)}</svg>"
    )
