"""Pictures of what drives a model's scores; made of an explanation's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from muniment.evidence.charts.canvas import Axes, Canvas, Chart, Colour, Scale, blend, ticks, tidy, width_of
from muniment.evidence.displaying import displayable, shortened

__all__ = ["beeswarm_chart", "dependence_chart", "importance_chart"]

WIDTH: Final = 460.0
_ROW: Final = 21.0
_DOT: Final = 1.35


def importance_chart(features: Sequence[Mapping[str, Any]], output: str) -> Chart:
    """Mean absolute contribution by feature, and whether high values raise or lower the score."""
    shown = list(features)[:16]
    labels = [shortened(displayable(str(row["name"])), 30) for row in shown]
    left = min(160.0, 12 + max([30.0, *(width_of(label) for label in labels)]))
    canvas = Canvas(WIDTH, 48 + 14.0 * len(shown), "What drives the score")
    scale = Scale(0, max([1e-9, *(row["mean_abs"] for row in shown)]) * 1.02, left, canvas.width - 128)
    for place, (row, label) in enumerate(zip(shown, labels, strict=True)):
        y, direction = 14 + 14.0 * place, row.get("direction")
        canvas.rect(left, y + 1.5, scale(row["mean_abs"]) - left, 9.5, Colour.SKY, Colour.BLUE, 0.5)
        canvas.text(left - 5, y + 9, label, anchor="end")
        share = row.get("share")
        words = f"{row['mean_abs']:.3f}" + ("" if share is None else f"  ({100 * share:.0f} %)")
        canvas.text(scale(row["mean_abs"]) + 4, y + 9, words)
        canvas.text(canvas.width - 58, y + 9, _direction(direction), colour=Colour.MUTED, italic=True)
    bottom = canvas.height - 30
    canvas.line(left, bottom, canvas.width - 128, bottom, Colour.MUTED, 0.7)
    for value in ticks(0, scale.high, 5):
        canvas.text(scale(value), bottom + 11.5, tidy(value), anchor="middle", colour=Colour.MUTED)
    title = f"mean absolute contribution ({output})"
    canvas.text((left + canvas.width - 128) / 2, bottom + 23.5, title, anchor="middle")
    canvas.text(canvas.width - 58, 9, "high values", colour=Colour.MUTED)
    return canvas.chart("Mean absolute contributions, largest first: " + ", ".join(labels))


def _direction(value: float | None) -> str:
    if value is None:
        return ""
    return "raise it" if value > 0.3 else "lower it" if value < -0.3 else "mixed"


def beeswarm_chart(beeswarm: Mapping[str, Any], output: str) -> Chart:
    """One dot a row and feature: where it pushes the score, coloured by how high the feature's value is."""
    names = [name for name in beeswarm.get("features", []) if beeswarm["points"].get(name)][:12]
    labels = [shortened(displayable(str(name)), 30) for name in names]
    left = min(160.0, 12 + max([30.0, *(width_of(label) for label in labels)]))
    canvas = Canvas(WIDTH, 38 + _ROW * len(names), "Contributions row by row")
    values = [point["x"] for name in names for point in beeswarm["points"][name]] or [0.0]
    reach = max(1e-9, max(values) - min(values))
    scale = Scale(min(0.0, *values) - 0.03 * reach, max(0.0, *values) + 0.03 * reach, left, canvas.width - 46)
    bottom = canvas.height - 30
    for value in ticks(scale.low, scale.high, 7):
        canvas.line(scale(value), 2, scale(value), bottom, Colour.RULE, 0.5)
        canvas.text(scale(value), bottom + 11.5, tidy(value), anchor="middle", colour=Colour.MUTED)
    canvas.line(scale(0), 2, scale(0), bottom, Colour.MUTED, 0.9)
    for place, (name, label) in enumerate(zip(names, labels, strict=True)):
        y = 4 + _ROW * (place + 0.5)
        canvas.text(left - 5, y + 2.7, label, anchor="end")
        _swarm(canvas, beeswarm["points"][name], scale, y)
    canvas.text((left + canvas.width - 46) / 2, bottom + 24, f"contribution to the score ({output})", anchor="middle")
    _key(canvas, canvas.width - 32, bottom)
    return canvas.chart("Contributions of single rows, by feature: " + ", ".join(labels))


def _swarm(canvas: Canvas, points: Sequence[Mapping[str, Any]], scale: Scale, middle: float) -> None:
    """Dots that lie beside each other where they would lie on each other, in the order of their place."""
    taken: dict[int, int] = {}
    most = int((_ROW / 2 - 1) / (_DOT * 1.15))
    for point in sorted(points, key=lambda one: (one["x"], -1.0 if one.get("v") is None else one["v"])):
        x = scale(point["x"])
        cell = int(x / (_DOT * 1.9))
        stacked = taken.get(cell, 0)
        taken[cell] = stacked + 1
        step = (stacked + 1) // 2 * (1 if stacked % 2 else -1)
        step = max(-most, min(most, step))
        value = point.get("v")
        fill = Colour.PAPER if value is None else blend(value)
        canvas.dot(x, middle + step * _DOT * 1.15, _DOT, fill, Colour.MUTED if value is None else "none", 0.35)


def _key(canvas: Canvas, x: float, bottom: float) -> None:
    """The colour key."""
    top, steps = 14.0, 24
    height = min(120.0, bottom - 34) / steps
    for step in range(steps):
        canvas.rect(x, top + step * height, 7, height + 0.3, blend(1 - step / (steps - 1)))
    canvas.text(x + 3.5, top - 4, "high", size=7.5, anchor="middle")
    canvas.text(x + 3.5, top + steps * height + 9, "low", size=7.5, anchor="middle")
    canvas.text(x + 16, top + steps * height / 2, "value of the feature", size=7.5, anchor="middle", turned=True)


def dependence_chart(one: Mapping[str, Any], output: str) -> Chart:
    """Mean contribution over the values of one feature, and how many rows stand behind each."""
    canvas = Canvas(224.0, 132.0, f"Dependence on {one['feature']}")
    pairs = [(x, y, n) for x, y, n in zip(one["grid"], one["mean"], one["n"], strict=False) if y is not None]
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x, _, _ in pairs)
    xs = [float(x) if numbers else float(place) for place, (x, _, _) in enumerate(pairs)] or [0.0]
    ys = [y for _, y, _ in pairs] or [0.0]
    low, high = min(0.0, *ys), max(0.0, *ys)
    room = (high - low or 1.0) * 0.12
    axes = Axes.on(canvas, (min(xs), max(xs)), (low - room, high + room), top=16, bottom=16)
    most = max([1, *(n for _, _, n in pairs)])
    axes.frame(
        canvas, "", f"contribution ({output})" if len(output) < 12 else "contribution", x_ticks=None if numbers else ()
    )
    for x, (_, _, n) in zip(xs, pairs, strict=False):
        canvas.line(axes.x(x), axes.y.start, axes.x(x), axes.y.start - 12 * n / most, Colour.SAND, 2.2)
    canvas.line(axes.x.start, axes.y(0), axes.x.end, axes.y(0), Colour.MUTED, 0.7)
    canvas.path(((axes.x(x), axes.y(y)) for x, y in zip(xs, ys, strict=False)), Colour.BLUE, 1.3)
    for x, y in zip(xs, ys, strict=False):
        canvas.dot(axes.x(x), axes.y(y), 1.7, Colour.BLUE)
    if not numbers:
        for x, (name, _, _) in list(zip(xs, pairs, strict=False))[:8]:
            canvas.text(
                axes.x(x),
                axes.y.start + 11,
                shortened(displayable(str(name)), 10),
                anchor="middle",
                colour=Colour.MUTED,
            )
    canvas.text(axes.x.start, 9, shortened(displayable(str(one["feature"])), 36), weight=600)
    return canvas.chart(f"Mean contribution over the values of {one['feature']}")
