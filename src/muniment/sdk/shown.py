"""How values look to people: nothing from outside reaches a screen as it is."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from muniment.kernel.identifiers import parse_time

__all__ = [
    "brief",
    "count",
    "duration",
    "elapsed",
    "headline",
    "measure",
    "seconds",
    "short",
    "size",
    "visible",
]

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DAY: Final = 86_400
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_FAVOURITES: Final = ("auc", "ks", "gini", "brier", "log_loss", "f1", "accuracy", "train.auc")


def visible(text: object, *, lines: bool = False) -> str:
    """The text with every control, format and unassigned character written as its escape.

    A file name or a log line can then neither move the cursor, nor change colours, nor reverse the reading direction.
    With ``lines`` line feeds and tabs stay.
    """
    keep = "\n\t" if lines else ""
    return "".join(
        letter if letter in keep or unicodedata.category(letter) not in _HIDDEN else _escaped(letter)
        for letter in str(text)
    )


def short(text: str) -> str:
    """A digest by its first 12 hex digits, for people; anything else unchanged."""
    return text[:19] + "…" if text.startswith("sha256:") and len(text) == 71 else text


def count(value: int) -> str:
    """A count with separated thousands."""
    return f"{value:,}"


def measure(value: float) -> str:
    """A metric with four decimals, a tiny or huge one in powers of ten, a whole number as a count."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return count(int(value))
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e7 else f"{value:.3g}"


def headline(metrics: Mapping[str, float], limit: int) -> dict[str, float]:
    """The metrics that tell most, at most ``limit``: those people look at first, then the others as they come."""
    order = [*(name for name in _FAVOURITES if name in metrics), *(name for name in metrics if name not in _FAVOURITES)]
    return {name: metrics[name] for name in order[:limit]}


def size(octets: int) -> str:
    """A number of bytes in the largest unit that leaves at least one."""
    amount, unit = float(octets), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{octets} B" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """A span of time: ``0.42 s``, ``12.3 s``, ``3:07``, ``2:05:09``, and from two days on ``7,729 days``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds >= 2 * _DAY:
        return f"{count(int(seconds // _DAY))} days"
    text = str(timedelta(seconds=int(seconds)))
    return text.removeprefix("0:").removeprefix("0") if seconds < 3600 else text


def seconds(start: str | None, end: str | None) -> float | None:
    """The span between two moments as the platform writes them; None when one is not known yet."""
    if start is None or end is None:
        return None
    return max(0.0, (parse_time(end) - parse_time(start)).total_seconds())


def elapsed(start: str | None, end: str | None) -> str:
    """The span between two moments as people read it; empty when one is not known yet."""
    span = seconds(start, end)
    return "" if span is None else duration(span)


def brief(value: Any, limit: int = 120) -> str:
    """Any JSON value in one visible line of at most ``limit`` characters."""
    if isinstance(value, str):
        text = short(value)
    elif isinstance(value, bool) or value is None:
        text = {True: "yes", False: "no", None: "–"}[value]
    elif isinstance(value, (int, float)):
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
    elif isinstance(value, Mapping):
        text = ", ".join(f"{key}={brief(inner, limit)}" for key, inner in value.items())
    elif isinstance(value, Iterable):
        text = ", ".join(brief(inner, limit) for inner in value)
    else:
        text = str(value)
    text = visible(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
