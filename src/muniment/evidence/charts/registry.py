"""Pictures of an inventory: how facts are borne out, how old models are, what many of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from muniment.evidence.charts.canvas import Canvas, Chart, Colour, Scale, ticks, tidy, width_of
from muniment.evidence.displaying import displayable, shortened

__all__ = ["bar_chart", "grade_chart"]

GRADES: Final = (
    ("proven", Colour.BLUE, "#ffffff"),
    ("attested", Colour.SKY, Colour.INK),
    ("declared", "#ffffff", Colour.INK),
)


def grade_chart(counts: Mapping[str, int]) -> Chart:
    """One bar: how many facts are proven, attested and declared."""
    canvas = Canvas(460.0, 26.0, "Grades of the facts")
    total = sum(counts.get(name, 0) for name, _, _ in GRADES) or 1
    x = 0.5
    for name, fill, ink in GRADES:
        width = counts.get(name, 0) / total * (canvas.width - 1)
        if width <= 0:
            continue
        canvas.rect(x, 1, width, 22, fill, Colour.BLUE, 0.8)
        label = f"{counts[name]} {name}"
        if width_of(label, 9.5) + 10 < width:
            canvas.text(x + width / 2, 15.5, label, size=9.5, weight=600, anchor="middle", colour=ink)
        elif width_of(str(counts[name]), 9.5) + 4 < width:
            canvas.text(x + width / 2, 15.5, str(counts[name]), size=9.5, weight=600, anchor="middle", colour=ink)
        x += width
    return canvas.chart(", ".join(f"{counts.get(name, 0)} {name}" for name, _, _ in GRADES))


def bar_chart(title: str, unit: str, rows: Sequence[tuple[str, float]], *, width: float = 460.0) -> Chart:
    """Horizontal bars with their values beside them, in the order given."""
    shown = list(rows)[:20]
    labels = [shortened(displayable(name), 40) for name, _ in shown]
    left = min(width * 0.42, 12 + max([30.0, *(width_of(label) for label in labels)]))
    canvas = Canvas(width, 36 + 15.0 * len(shown), title)
    scale = Scale(0, max([1.0, *(value for _, value in shown)]), left, canvas.width - 34)
    for place, ((_, value), label) in enumerate(zip(shown, labels, strict=True)):
        y = 4 + 15.0 * place
        canvas.rect(left, y + 1.5, scale(value) - left, 10, Colour.SKY, Colour.BLUE, 0.5)
        canvas.text(left - 5, y + 9.2, label, anchor="end")
        canvas.text(scale(value) + 4, y + 9.2, tidy(value))
    bottom = canvas.height - 28
    canvas.line(left, bottom, canvas.width - 34, bottom, Colour.MUTED, 0.7)
    for value in ticks(0, scale.high, 4):
        canvas.text(scale(value), bottom + 11.5, tidy(value), anchor="middle", colour=Colour.MUTED)
    canvas.text((left + canvas.width - 34) / 2, bottom + 23.5, unit, anchor="middle")
    return canvas.chart(
        f"{title}: " + ", ".join(f"{label} {tidy(value)}" for label, (_, value) in zip(labels, shown, strict=True))
    )
