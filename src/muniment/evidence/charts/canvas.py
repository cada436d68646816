"""A drawing surface for charts: shapes and text in points, axes, and colours that survive a black-and-white printer.

The palette goes from dark to light in steps that differ in lightness as well as in hue (blue against orange, after
Okabe and Ito, *Color Universal Design*, 2008); lines differ in their dashes too, and are labelled where they end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from muniment.evidence.displaying import displayable

__all__ = ["Axes", "Canvas", "Chart", "Colour", "Scale", "blend", "ticks", "tidy", "width_of"]


class Colour:
    """Colours of the charts, by their part in them."""

    INK: Final = "#1c2733"
    MUTED: Final = "#5c6875"
    RULE: Final = "#d9dee4"
    BLUE: Final = "#1f5a96"
    ORANGE: Final = "#e08e1b"
    SKY: Final = "#a9c8e4"
    SAND: Final = "#f4d9a8"
    PAPER: Final = "#ffffff"
    RED: Final = "#b5371f"


FONT: Final = "'Libertinus Serif', 'Linux Libertine O', Georgia, serif"
SIZE: Final = 8.0
_WIDTHS: Final = (
    *(250, 288, 336, 465, 465, 637, 705, 190, 298, 298, 369, 550, 220, 338, 220, 323, 465, 465, 465, 465, 465, 465),
    *(465, 465, 465, 465, 236, 236, 550, 550, 550, 435, 895, 695, 588, 646, 701, 557, 485, 685, 730, 297, 322, 637),
    *(528, 839, 699, 702, 541, 702, 587, 485, 597, 661, 652, 951, 660, 575, 604, 356, 287, 356, 518, 486, 392, 457),
    *(493, 428, 506, 447, 310, 500, 538, 271, 272, 512, 264, 790, 542, 504, 519, 503, 372, 390, 316, 531, 497, 747),
    *(490, 515, 424, 277, 205, 277, 449),
)
"""Advance widths of the printable ASCII characters in Libertinus Serif, in thousandths of the font size."""


def width_of(text: str, size: float = SIZE) -> float:
    """How many points wide a text is."""
    widths = (_WIDTHS[ord(letter) - 32] if 32 <= ord(letter) < 127 else 560 for letter in text)
    return sum(widths) * size / 1000


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and what it shows in words, for those who cannot see it."""

    svg: str
    width: float
    height: float
    alt: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from ``low`` to ``high`` laid out from ``start`` to ``end``, in points."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where the value lies; outside the range it lies on the border."""
        span = self.high - self.low
        share = 0.5 if not span else min(1.0, max(0.0, (value - self.low) / span))
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values between two bounds, about so many."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    raw = span / max(1, about)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def tidy(value: float) -> str:
    """A tick's label: no needless zeros, thousands as k, millions as M."""
    size = abs(value)
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            return f"{value / (1e3 if letter == 'k' else unit):g}{letter}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def blend(share: float) -> str:
    """The colour of a value from 0 (dark blue) over grey to 1 (orange); its lightness rises all the way."""
    stops = ((0x16, 0x3A, 0x6B), (0x8A, 0x93, 0x9C), (0xF2, 0xA9, 0x2E))
    place = min(1.0, max(0.0, share)) * 2
    low, high = (stops[0], stops[1]) if place < 1 else (stops[1], stops[2])
    part = place if place < 1 else place - 1
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(low, high, strict=True))


@dataclass(slots=True)
class Canvas:
    """What has been drawn so far."""

    width: float
    height: float
    title: str
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str, thick: float = 0.6, dash: str = "") -> None:
        """A straight line."""
        self.parts.append(
            f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" stroke="{colour}" '
            f'stroke-width="{thick}"{_dashed(dash)}/>'
        )

    def path(
        self, points: Iterable[tuple[float, float]], colour: str, thick: float = 1.3, dash: str = "", fill: str = "none"
    ) -> None:
        """Straight lines from point to point."""
        d = "L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        if d:
            self.parts.append(
                f'<path d="M{d}" fill="{fill}" stroke="{colour}" stroke-width="{thick}" stroke-linejoin="round" '
                f'stroke-linecap="round"{_dashed(dash)}/>'
            )

    def area(self, points: Iterable[tuple[float, float]], fill: str, opacity: float = 1.0) -> None:
        """A filled shape without an outline."""
        d = "L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        if d:
            self.parts.append(f'<path d="M{d}Z" fill="{fill}" fill-opacity="{opacity:g}"/>')

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        edge: str = "none",
        thick: float = 0.6,
        radius: float = 0.0,
    ) -> None:
        """A box."""
        self.parts.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(0.0, width):.2f}" height="{max(0.0, height):.2f}" '
            f'rx="{radius:g}" fill="{fill}" stroke="{edge}" stroke-width="{thick}"/>'
        )

    def dot(self, x: float, y: float, radius: float, fill: str, edge: str = "none", thick: float = 0.6) -> None:
        """A disc."""
        self.parts.append(
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:g}" fill="{fill}" stroke="{edge}" stroke-width="{thick}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = SIZE,
        colour: str = Colour.INK,
        anchor: str = "start",
        weight: int = 400,
        turned: bool = False,
        italic: bool = False,
        halo: bool = False,
    ) -> None:
        """A line of text with its baseline at y; ``turned`` reads from bottom to top, ``halo`` clears the ground."""
        shape = f' transform="rotate(-90 {x:.2f} {y:.2f})"' if turned else ""
        slant = ' font-style="italic"' if italic else ""
        bold = f' font-weight="{weight}"' if weight != 400 else ""
        words = escape(displayable(text), quote=False)
        where = f'x="{x:.2f}" y="{y:.2f}" font-size="{size:g}" text-anchor="{anchor}"{bold}{slant}{shape}'
        if halo:
            self.parts.append(
                f'<text {where} fill="none" stroke="{Colour.PAPER}" stroke-width="2.4" '
                f'stroke-linejoin="round">{words}</text>'
            )
        self.parts.append(f'<text {where} fill="{colour}">{words}</text>')

    def chart(self, alt: str) -> Chart:
        """The finished picture."""
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}pt" height="{self.height:g}pt" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" role="img" font-family="{FONT}">'
            f"<title>{escape(displayable(self.title), quote=False)}</title>{''.join(self.parts)}</svg>"
        )
        return Chart(svg, self.width, self.height, alt)


@dataclass(frozen=True, slots=True)
class Axes:
    """A plotting area with a horizontal and a vertical scale."""

    x: Scale
    y: Scale

    @staticmethod
    def on(
        canvas: Canvas,
        xs: tuple[float, float],
        ys: tuple[float, float],
        *,
        left: float = 34,
        right: float = 8,
        top: float = 8,
        bottom: float = 30,
    ) -> Axes:
        """Axes over the canvas within margins."""
        return Axes(Scale(*xs, left, canvas.width - right), Scale(*ys, canvas.height - bottom, top))

    def frame(
        self,
        canvas: Canvas,
        x_title: str,
        y_title: str,
        *,
        x_ticks: Sequence[float] | None = None,
        y_ticks: Sequence[float] | None = None,
        percent: str = "",
    ) -> None:
        """Grid, ticks, labels and titles; ``percent`` names the axes ("x", "y", "xy") that show shares."""
        x, y = self.x, self.y
        for value in ticks(y.low, y.high, 5) if y_ticks is None else y_ticks:
            canvas.line(x.start, y(value), x.end, y(value), Colour.RULE, 0.5)
            label = f"{100 * value:g}" if "y" in percent else tidy(value)
            canvas.text(x.start - 4, y(value) + 2.6, label, anchor="end", colour=Colour.MUTED)
        for value in ticks(x.low, x.high, 5) if x_ticks is None else x_ticks:
            canvas.line(x(value), y.start, x(value), y.start + 3, Colour.MUTED, 0.6)
            label = f"{100 * value:g}" if "x" in percent else tidy(value)
            canvas.text(x(value), y.start + 11.5, label, anchor="middle", colour=Colour.MUTED)
        canvas.line(x.start, y.start, x.end, y.start, Colour.MUTED, 0.7)
        canvas.text((x.start + x.end) / 2, y.start + 23.5, x_title, anchor="middle")
        canvas.text(9, (y.start + y.end) / 2, y_title, anchor="middle", turned=True)


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""
