"""Bars and curves of characters, for tables on a terminal."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from muniment.cli.screen import Screen
from muniment.sdk.shown import visible

__all__ = ["bar", "verdict"]

_EIGHTHS: Final = "▏▎▍▌▋▊▉█"


def bar(screen: Screen, share: float, width: int, style: str = "cyan") -> Text:
    """A bar as long as a share of the width, 0 to 1, in eighths of a character where the terminal has them."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if screen.mark(_EIGHTHS, "") == "":
        return Text("#" * round(eighths / 8), style=style)
    whole, rest = divmod(eighths, 8)
    return Text(_EIGHTHS[-1] * whole + (_EIGHTHS[rest - 1] if rest else ""), style=style)


def verdict(text: str, *, good: bool, poor: bool = False) -> Text:
    """A number in the colour of what it means: good, in between, poor."""
    return Text(visible(text), style="green" if good else "red" if poor else "yellow")
