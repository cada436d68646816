"""Pictures of how well a model separates and how true its scores are; made of an evaluation's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from muniment.evidence.charts.canvas import Axes, Canvas, Chart, Colour, Scale, ticks, width_of
from muniment.evidence.displaying import displayable, shortened

__all__ = [
    "band_chart",
    "calibration_chart",
    "capture_chart",
    "distribution_chart",
    "group_chart",
    "ks_chart",
    "roc_chart",
    "shift_chart",
    "stability_chart",
]

HALF: Final = 224.0
WHOLE: Final = 460.0
HEIGHT: Final = 178.0
_FIFTHS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def roc_chart(curves: Mapping[str, Any], auc: float | None, threshold: float | None) -> Chart:
    """Caught positives against false alarms at every threshold, with the one in use."""
    canvas = Canvas(HALF, HEIGHT, "ROC curve")
    axes = Axes.on(canvas, (0, 1), (0, 1))
    false, true = curves["false_positive_rate"], curves["true_positive_rate"]
    points = [(axes.x(x), axes.y(y)) for x, y in zip(false, true, strict=True)]
    canvas.area([*points, (axes.x(1), axes.y(1)), (axes.x(1), axes.y(0)), (axes.x(0), axes.y(0))], Colour.SKY, 0.35)
    axes.frame(canvas, "negatives flagged (%)", "positives caught (%)", x_ticks=_FIFTHS, y_ticks=_FIFTHS, percent="xy")
    canvas.line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), Colour.MUTED, 0.7, "3 2.5")
    canvas.text(axes.x(0.66), axes.y(0.56), "by chance", colour=Colour.MUTED, italic=True)
    canvas.path(points, Colour.BLUE, 1.5)
    if auc is not None:
        canvas.text(axes.x(0.97), axes.y(0.06), f"AUC {auc:.3f}", anchor="end", size=10, weight=600, colour=Colour.BLUE)
    place = _at(curves["threshold"], threshold)
    if place is not None:
        x, y = axes.x(false[place]), axes.y(true[place])
        canvas.dot(x, y, 2.8, Colour.ORANGE, Colour.PAPER, 0.8)
        canvas.text(x + 6, y + 4.5, f"threshold {threshold:.2g}", halo=True)
    return canvas.chart(f"ROC curve, {len(false)} points" + ("" if auc is None else f", area under it {auc:.3f}"))


def ks_chart(curves: Mapping[str, Any], ks: float | None) -> Chart:
    """Both classes' shares above a score, and where they are furthest apart."""
    canvas = Canvas(HALF, HEIGHT, "Kolmogorov-Smirnov distance")
    axes = Axes.on(canvas, (0, 1), (0, 1))
    axes.frame(canvas, "score", "rows above the score (%)", x_ticks=_FIFTHS, y_ticks=_FIFTHS, percent="y")
    thresholds = [1.0 if one is None else one for one in curves["threshold"]]
    true, false = curves["true_positive_rate"], curves["false_positive_rate"]
    canvas.path(((axes.x(t), axes.y(r)) for t, r in zip(thresholds, true, strict=True)), Colour.ORANGE, 1.5)
    canvas.path(((axes.x(t), axes.y(r)) for t, r in zip(thresholds, false, strict=True)), Colour.BLUE, 1.5, "4 2")
    place = _at(curves["threshold"], curves.get("ks_threshold"))
    if place is not None:
        x = axes.x(thresholds[place])
        canvas.line(x, axes.y(true[place]), x, axes.y(false[place]), Colour.INK, 1.0)
        for rate in (true[place], false[place]):
            canvas.line(x - 2.5, axes.y(rate), x + 2.5, axes.y(rate), Colour.INK, 1.0)
        label = (f"KS {ks:.3f}" if ks is not None else "") + f" at {thresholds[place]:.2f}"
        canvas.text(x + 6, axes.y((true[place] + 2.4 * false[place]) / 3.4), label, weight=600, halo=True)
    low = _first_below(true, 0.28)
    canvas.text(axes.x(thresholds[low]) + 5, axes.y(true[low]) - 3, "positives", colour="#9a5c06", halo=True)
    low = _first_below(false, 0.05)
    canvas.text(axes.x(0.03), axes.y(0.04), "negatives", colour=Colour.BLUE, halo=True)
    return canvas.chart("Shares of positives and negatives above each score" + ("" if ks is None else f", KS {ks:.3f}"))


def calibration_chart(table: Sequence[Mapping[str, Any]]) -> Chart:
    """Predicted against observed rates by band of score, with the 95 % interval of the observed ones."""
    canvas = Canvas(HALF, HEIGHT, "Calibration")
    highest = max([0.1, *(max(row["mean_score"], row["observed_rate"]) for row in table)])
    top = min(1.0, highest * 1.12)
    axes = Axes.on(canvas, (0, top), (0, top))
    axes.frame(canvas, "mean score (%)", "observed rate (%)", percent="xy")
    canvas.line(axes.x(0), axes.y(0), axes.x(top), axes.y(top), Colour.MUTED, 0.7, "3 2.5")
    canvas.text(axes.x(top * 0.66), axes.y(top * 0.54), "as predicted", colour=Colour.MUTED, italic=True)
    for row in table:
        low, high = _wilson(row["positives"], row["count"])
        x = axes.x(row["mean_score"])
        canvas.line(x, axes.y(low), x, axes.y(high), Colour.BLUE, 1.0)
        canvas.dot(x, axes.y(row["observed_rate"]), 2.6, Colour.BLUE, Colour.PAPER, 0.7)
    return canvas.chart(f"Mean score and observed rate in {len(table)} bands of score")


def distribution_chart(histogram: Mapping[str, Any], threshold: float | None) -> Chart:
    """How the scores of both classes are spread, each as shares of its own rows."""
    canvas = Canvas(HALF, HEIGHT, "Distribution of scores")
    edges, sides = histogram["edges"], []
    for name in ("negative", "positive"):
        counts = histogram[name]
        rows = sum(counts) or 1
        sides.append([one / rows for one in counts])
    top = max([0.01, *(max(side, default=0) for side in sides)]) * 1.1
    axes = Axes.on(canvas, (edges[0], edges[-1]), (0, top))
    axes.frame(canvas, "score", "share of the class (%)", x_ticks=_FIFTHS, percent="y")
    for side, fill, colour, dash in (
        (sides[0], Colour.SKY, Colour.BLUE, "4 2"),
        (sides[1], Colour.SAND, Colour.ORANGE, ""),
    ):
        steps = [
            (axes.x(edge), axes.y(share))
            for number, share in enumerate(side)
            for edge in (edges[number], edges[number + 1])
        ]
        canvas.area([(axes.x(edges[0]), axes.y(0)), *steps, (axes.x(edges[-1]), axes.y(0))], fill, 0.55)
        canvas.path(steps, colour, 1.2, dash)
    if threshold is not None:
        x = axes.x(threshold)
        canvas.line(x, axes.y(0), x, axes.y(top), Colour.INK, 0.8, "1.5 1.5")
        canvas.text(x + 3, axes.y(top) + 7, f"threshold {threshold:.2g}")
    peak = max(range(len(sides[0])), key=sides[0].__getitem__)
    canvas.text(axes.x(edges[peak + 1]) + 4, axes.y(sides[0][peak]) + 6, "negatives", colour=Colour.BLUE, halo=True)
    place = int(len(sides[1]) * 0.8)
    canvas.text(
        axes.x(edges[place]),
        axes.y(max(sides[1][place - 1 :])) - 5,
        "positives",
        colour="#9a5c06",
        anchor="middle",
        halo=True,
    )
    return canvas.chart("Histogram of scores of positives and negatives")


def band_chart(bands: Sequence[Mapping[str, Any]]) -> Chart:
    """Observed rate of each band of score beside the predicted one, riskiest first."""
    canvas = Canvas(HALF, HEIGHT, "Rate by band of score")
    top = max([0.01, *(max(row["rate"], row["mean_score"]) for row in bands)]) * 1.15
    axes = Axes.on(canvas, (0, max(1, len(bands))), (0, top))
    axes.frame(canvas, "band of score, highest first", "positives (%)", x_ticks=(), percent="y")
    for place, row in enumerate(bands):
        left, right = axes.x(place + 0.14), axes.x(place + 0.86)
        canvas.rect(left, axes.y(row["rate"]), right - left, axes.y(0) - axes.y(row["rate"]), Colour.SKY, Colour.BLUE)
        y = axes.y(row["mean_score"])
        canvas.line(left - 1.5, y, right + 1.5, y, Colour.ORANGE, 1.6)
        canvas.text(
            (left + right) / 2, axes.y(0) + 11.5, str(row.get("band", place + 1)), anchor="middle", colour=Colour.MUTED
        )
    x = axes.x.end - 2
    canvas.rect(x - 62, axes.y.end + 4, 9, 7, Colour.SKY, Colour.BLUE)
    canvas.text(x - 49, axes.y.end + 10.5, "observed")
    canvas.line(x - 63, axes.y.end + 19, x - 52, axes.y.end + 19, Colour.ORANGE, 1.6)
    canvas.text(x - 49, axes.y.end + 21.5, "predicted")
    return canvas.chart(f"Observed and predicted rates in {len(bands)} bands of score")


def capture_chart(bands: Sequence[Mapping[str, Any]], rows: int) -> Chart:
    """Which share of all positives is caught when the riskiest share of the rows is looked at."""
    canvas = Canvas(HALF, HEIGHT, "Capture")
    axes = Axes.on(canvas, (0, 1), (0, 1))
    axes.frame(
        canvas, "rows, highest scores first (%)", "positives caught (%)", x_ticks=_FIFTHS, y_ticks=_FIFTHS, percent="xy"
    )
    canvas.line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), Colour.MUTED, 0.7, "3 2.5")
    canvas.text(axes.x(0.56), axes.y(0.44), "by chance", colour=Colour.MUTED, italic=True)
    kept = [row for row in bands if row.get("capture") is not None]
    points = [(0.0, 0.0), *((row["cumulative_rows"] / (rows or 1), row["capture"]) for row in kept)]
    canvas.path(((axes.x(x), axes.y(y)) for x, y in points), Colour.BLUE, 1.5)
    for x, y in points[1:]:
        canvas.dot(axes.x(x), axes.y(y), 2.1, Colour.BLUE, Colour.PAPER, 0.6)
    for place in [place for place in (0, 2) if place < len(kept)]:
        row, (x, y) = kept[place], points[place + 1]
        label = f"{100 * row['capture']:.0f} % in the top {100 * x:.0f} %"
        canvas.text(axes.x(x) + 6, axes.y(y) + 6, label, halo=True)
    return canvas.chart("Share of positives caught against the share of rows looked at")


def stability_chart(rows: Sequence[tuple[str, float]], *, amber: float = 0.10, red: float = 0.25) -> Chart:
    """Population stability index by characteristic, with the two customary limits."""
    shown = sorted(rows, key=lambda row: (-row[1], row[0]))[:14]
    labels = [shortened(displayable(name), 26) for name, _ in shown]
    left = min(140.0, 12 + max([30.0, *(width_of(label) for label in labels)]))
    canvas = Canvas(HALF, max(HEIGHT, 40 + 13.0 * len(shown)), "Population stability")
    scale = Scale(0, max([red * 1.15, *(value * 1.15 for _, value in shown)]), left, canvas.width - 12)
    bottom = canvas.height - 30
    for value, label in ((amber, "watch"), (red, "shifted")):
        canvas.line(scale(value), 14, scale(value), bottom, Colour.MUTED, 0.7, "2.5 2")
        canvas.text(scale(value), 10, label, anchor="middle", colour=Colour.MUTED, italic=True)
    step = (bottom - 18) / max(1, len(shown))
    for place, ((_, value), label) in enumerate(zip(shown, labels, strict=True)):
        y = 18 + step * place
        fill = Colour.SKY if value < amber else Colour.SAND if value < red else Colour.ORANGE
        canvas.rect(left, y + 1.5, scale(value) - left, min(9.0, step - 3), fill, Colour.INK, 0.4)
        canvas.text(left - 4, y + 8.4, label, anchor="end")
        canvas.text(scale(value) + 3, y + 8.4, f"{value:.3f}", size=7.5, halo=True)
    canvas.line(left, bottom, canvas.width - 12, bottom, Colour.MUTED, 0.7)
    for value in ticks(0, scale.high, 4):
        canvas.text(scale(value), bottom + 11.5, f"{value:g}", anchor="middle", colour=Colour.MUTED)
    canvas.text((left + canvas.width - 12) / 2, bottom + 23.5, "PSI against the training data", anchor="middle")
    return canvas.chart("Population stability index of " + ", ".join(labels[:6]))


def shift_chart(score: Mapping[str, Any]) -> Chart:
    """Shares of rows by band of score, in training and now."""
    canvas = Canvas(HALF, HEIGHT, "Scores then and now")
    sides = []
    for name in ("reference", "current"):
        total = sum(score[name]) or 1
        sides.append([one / total for one in score[name]])
    last = len(sides[0]) - 1
    kept = [n for n in range(last + 1) if 0 < n < last or max(sides[0][n], sides[1][n]) > 0.002]
    top = max([0.01, *(max(sides[0][n], sides[1][n]) for n in kept)]) * 1.22
    axes = Axes.on(canvas, (0, max(1, len(kept))), (0, top))
    axes.frame(canvas, "decile of the training scores", "rows (%)", x_ticks=(), percent="y")
    for place, n in enumerate(kept):
        for offset, side, fill, edge in (
            (0.1, sides[0], Colour.SKY, Colour.BLUE),
            (0.5, sides[1], Colour.ORANGE, "#9a5c06"),
        ):
            left, width = axes.x(place + offset), axes.x(0.38) - axes.x(0)
            canvas.rect(left, axes.y(side[n]), width, axes.y(0) - axes.y(side[n]), fill, edge, 0.5)
        label = "below" if n == 0 else "above" if n == last else str(n)
        canvas.text(axes.x(place + 0.5), axes.y(0) + 11.5, label, anchor="middle", colour=Colour.MUTED)
    x = axes.x.start + 6
    for label, fill, edge in (("training", Colour.SKY, Colour.BLUE), ("evaluated", Colour.ORANGE, "#9a5c06")):
        canvas.rect(x, axes.y.end + 1, 9, 7, fill, edge)
        canvas.text(x + 12, axes.y.end + 7.5, label)
        x += 58
    return canvas.chart("Shares of rows by decile of score, in training and in the evaluated data")


def group_chart(groups: Sequence[Mapping[str, Any]], favourable: str) -> Chart:
    """Rates of favourable predictions by group with their 95 % intervals, and four fifths of the highest."""
    shown = [row for row in groups if row.get("selection_rate") is not None][:16]
    labels = [shortened(displayable(str(row.get("group", ""))), 24) for row in shown]
    left = min(150.0, 14 + max([40.0, *(width_of(label) for label in labels)]))
    step = 15.0
    canvas = Canvas(WHOLE, 48 + step * len(shown), "Favourable predictions by group")
    rates = [row["selection_rate"] for row in shown]
    highest = max([0.0, *(row["selection_rate"] for row in shown if row.get("compared", True))])
    low = max(0.0, min([highest * 0.8, *rates]) - 0.12)
    scale = Scale(low, 1.0 if highest > 0.75 else min(1.0, highest * 1.2), left, canvas.width - 96)
    bottom = canvas.height - 30
    for value in ticks(low, scale.high, 6):
        canvas.line(scale(value), 16, scale(value), bottom, Colour.RULE, 0.5)
        canvas.text(scale(value), bottom + 11.5, f"{100 * value:g}", anchor="middle", colour=Colour.MUTED)
    if highest:
        x = scale(0.8 * highest)
        canvas.line(x, 14, x, bottom, Colour.RED, 0.8, "3 2")
        canvas.text(x, 10, "four fifths of the highest", anchor="middle", colour=Colour.RED, italic=True)
    for place, (row, label) in enumerate(zip(shown, labels, strict=True)):
        y, rate = 24 + step * place, row["selection_rate"]
        fill = Colour.BLUE if row.get("compared", True) else Colour.PAPER
        if row.get("interval"):
            canvas.line(scale(row["interval"][0]), y, scale(row["interval"][1]), y, Colour.BLUE, 1.2)
        canvas.dot(scale(rate), y, 2.9, fill, Colour.BLUE, 0.9)
        canvas.text(left - 6, y + 2.7, label, anchor="end")
        air = row.get("air")
        canvas.text(canvas.width - 52, y + 2.7, f"{100 * rate:.1f} %", anchor="end")
        canvas.text(canvas.width - 8, y + 2.7, "–" if air is None else f"{air:.3f}", anchor="end")
    canvas.text(canvas.width - 52, 10, "rate", anchor="end", colour=Colour.MUTED, italic=True)
    canvas.text(canvas.width - 8, 10, "ratio", anchor="end", colour=Colour.MUTED, italic=True)
    canvas.line(left, bottom, canvas.width - 96, bottom, Colour.MUTED, 0.7)
    title = f"favourable ({shortened(displayable(favourable), 24)}) predictions (%), with 95 % intervals"
    canvas.text((left + canvas.width - 96) / 2, bottom + 23.5, title, anchor="middle")
    return canvas.chart("Rates of favourable predictions of " + ", ".join(labels))


def _at(thresholds: Sequence[float | None], threshold: float | None) -> int | None:
    """The point of a curve nearest to a threshold."""
    known = [place for place, one in enumerate(thresholds) if one is not None]
    if threshold is None or not known:
        return None
    return min(known, key=lambda place: abs((thresholds[place] or 0.0) - threshold))


def _first_below(rates: Sequence[float], level: float) -> int:
    """The last place, coming from the highest threshold, at which a rate is still below a level."""
    below = [place for place, rate in enumerate(rates) if rate <= level]
    return below[-1] if below else 0


def _wilson(hits: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927)."""
    if not rows:
        return 0.0, 1.0
    z, share = 1.959963984540054, hits / rows
    centre = share + z * z / (2 * rows)
    reach = z * ((share * (1 - share) + z * z / (4 * rows)) / rows) ** 0.5
    return max(0.0, (centre - reach) / (1 + z * z / rows)), min(1.0, (centre + reach) / (1 + z * z / rows))
