"""How what stands in a record becomes text on a page: nothing breaks the page or is left out in silence.

The page is set in typefaces that come with the typesetter. A character that they lack, or that has no shape or turns
the direction of reading, is shown by its code point in braces: two different names never look alike because of it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import datetime
from typing import Any, Final

__all__ = ["count", "day", "decimal", "displayable", "moment", "number", "percent", "shortened", "signed"]

_COVERED: Final = (
    "20-7e a1-ac ae-1ba 1bc-1bf 1cd-1dd 1df-1e3 1e6-1ef 1f4-1f6 1f8-1f9 1fc-21f 221 224-241 243-245 249 "
    "24c-24d 250-293 295-2af 2c2-2c5 2d2-2df 2e5-2e9 2ed 2f3 375-377 37b-37f 384-38a 38c 38e-3a1 3a3-3ce "
    "3d0-3e1 3f0-45f 462-463 472-473 490-49b 4a2-4a5 4aa-4b3 4ba-4bb 4c0-4c4 4c7-4c8 4cb-4cc 4cf-4f9 "
    "510-511 51a-51d 531-556 55a-55f 561-587 589-58a e3f 10d0-10fb 1d02 1d08-1d09 1d14 1d16-1d17 "
    "1d1d-1d1f 1d77 1d7b 1d85 1e00-1e9b 1e9e-1ef9 1f00-1f15 1f18-1f1d 1f20-1f45 1f48-1f4d 1f50-1f57 1f59 "
    "1f5b 1f5d 1f5f-1f7d 1f80-1fb4 1fb6-1fc4 1fc6-1fd3 1fd6-1fdb 1fdd-1fef 1ff2-1ff4 1ff6-1ffe 2010-2027 "
    "2030-2037 2039-203f 2042 2044-204b 204f 2070 2074-207e 2080-208e 20a0-20b5 20b8-20ba 20bd 20bf "
    "2100-2103 2105-2106 2109 210c-210f 2111 2113 2115-2117 2119-211a 211c-211d 2120 2122 2124 2126-2127 "
    "212a-212b 212e 2139 2148 2150-2151 2153-2184 2189 2190-2220 2223-222d 2234-223d 2241-226b 226d-228b "
    "228d-22a5 22b2-22b5 22b8 22c2-22c6 22cd-22d1 22da-22e9 22ef 2300-2306 2308-2315 2318-2319 231c-2321 "
    "2325-232b 2335-237a 237d 2380-2383 2388-238b 2395 239b-23ae 23ce-23cf 23d3 2423 2500-2600 2605 2619 "
    "261b 261e 2627 262f 2638-2653 2660-2667 2669-266f 2695 2698 26a2-26a4 2767 27c2 27c5-27c6 27dc 27e0 "
    "27e6-27eb 27f5-27f7 2987-2988 2997-2998 29eb 29fa-29fb 2a00 2a2f 2a6a-2a6b 2b05-2b0d 2b12-2b1a "
    "2c60-2c70 2c74-2c77 2c79-2c7a 2c7e-2c7f 2e18 2e1f 2e22-2e25 2e2e a708-a716 a720-a727 a789-a78e "
    "a790-a791 a7aa fb01-fb02 fb29 fffc-fffd 1d106-1d107 1d55a "
)
"""Code points that every face of the typefaces used has, as ranges in hexadecimal."""


def _points(ranges: str) -> frozenset[int]:
    points: set[int] = set()
    for piece in ranges.split():
        low, _, high = piece.partition("-")
        points.update(range(int(low, 16), int(high or low, 16) + 1))
    return frozenset(points)


COVERED: Final = _points(_COVERED)
LONGEST_TEXT: Final = 20_000
"""Characters of one text on a page; of a longer one the beginning is shown, and it is said."""

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

LONGEST_WORD: Final = 120
"""Characters of one word on a page; of a longer one the middle is left out."""

_SPACES: Final = re.compile(r"\s+")


def displayable(text: str) -> str:
    """One line of text that any page can show: spaces made one, uncovered characters as ``{U+1F600}``.

    Endless words lose their middle, endless texts their end; both say so.
    """
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]} … ({len(text) - LONGEST_TEXT:,} more characters are in the record)"
    line = _SPACES.sub(" ", unicodedata.normalize("NFC", text))
    shown = "".join(letter if ord(letter) in COVERED else f"{{U+{ord(letter):04X}}}" for letter in line)
    if len(shown) <= LONGEST_WORD:
        return shown
    return " ".join(shortened(word, LONGEST_WORD) for word in shown.split(" "))


def shortened(text: str, longest: int) -> str:
    """The text with its middle left out where it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def number(value: Any) -> str:
    """A number for reading: whole numbers with separators, others to four digits after the point at most.

    Text is taken as it is: numbers in records that are not whole are written as text.
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "\N{MINUS SIGN}")
    if isinstance(value, float):
        return _real(value)
    return str(value)


def _real(value: float) -> str:
    size = abs(value)
    if math.isnan(value) or size == float("inf"):
        return "not a number" if math.isnan(value) else "infinite"
    if size >= 100_000:
        text = f"{value:,.0f}"
    elif size >= 1000:
        text = f"{value:,.1f}"
    elif size >= 100:
        text = f"{value:.2f}"
    elif size >= 0.001 or size == 0:
        text = f"{value:.4f}"
    else:
        return _power(value)
    if "." in text and value == round(value):
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


def _power(value: float) -> str:
    mantissa, _, power = f"{value:.2e}".partition("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}·10{raised}".replace("-", "\N{MINUS SIGN}")


def decimal(value: Any, digits: int = 4) -> str:
    """A measure with the same digits after the point as its neighbours in a column, a dash when it is not known."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return number(value)
    if not math.isfinite(value) or 0 < abs(value) < 0.5 * 10**-digits:
        return _real(float(value))
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(value: Any) -> str:
    """A count with separators, a dash when it is not known."""
    return f"{value:,}" if isinstance(value, int) else "–" if value is None else number(value)


def percent(value: Any, digits: int = 1) -> str:
    """A share as a percentage, a dash when it is not known."""
    return f"{100 * value:.{digits}f} %" if isinstance(value, (int, float)) else "–"


def signed(value: Any, digits: int = 3) -> str:
    """A difference with its sign."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if isinstance(value, (int, float)) else "–"


def moment(text: Any) -> str:
    """A recorded time as ``26 November 2026, 10:43 UTC``; what is no time is shown as it is."""
    at = _parsed(text)
    return f"{_dated(at)}, {at:%H:%M} UTC" if at else str(text or "–")


def day(text: Any) -> str:
    """A recorded time or date as ``26 November 2026``; what is neither is shown as it is."""
    at = _parsed(text)
    return _dated(at) if at else str(text or "–")


def _dated(at: datetime) -> str:
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def _parsed(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
