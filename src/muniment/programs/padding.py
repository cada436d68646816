"""Finds fields that a lenient reader takes for numbers although they are codes: ``007``, ``0x7``, ``+7``."""

from __future__ import annotations

from typing import Final

import numpy as np

from muniment.programs.records import Block

__all__ = ["padded_fields"]

_SLICE: Final = 64 << 10
_LF, _QUOTE, _ZERO, _MINUS, _PLUS, _BLANK, _TAB = 10, 34, 48, 45, 43, 32, 9


def padded_fields(block: Block, separator: int, columns: int) -> tuple[list[int], bool]:
    """The columns with a field that begins like ``007``, ``0x7`` or ``+7``, behind blanks, quotes, a minus too.

    Args:
        block: whole records.
        separator: the byte between fields.
        columns: fields of a record.

    Returns:
        Positions of the columns, and whether blanks stand beside separators.
    """
    array = np.frombuffer(b"\n" + block.data + b"\n\n\n", np.uint8)
    present = {mark for mark in (_BLANK, _TAB, _QUOTE, *b"xX") if mark in block.data}
    behind = [mark for mark in (_BLANK, _TAB, _QUOTE) if mark in present and mark != separator]
    hexadecimal = not present.isdisjoint(b"xX")
    found: list[int] = []
    blanks = False
    # Slices that stay in the processor's cache: the same bytes are compared many times.
    for low in range(0, len(block.data), _SLICE):
        view = array[low : low + _SLICE + 3]
        size = len(view) - 3
        edge = (view[:size] == separator) | (view[:size] == _LF)
        first, second, third = view[1 : size + 1], view[2 : size + 2], view[3 : size + 3]
        padded = edge & (first == _ZERO) & _continues(second, hexadecimal)
        padded |= edge & (first == _MINUS) & (second == _ZERO) & _continues(third, hexadecimal)
        padded |= edge & (first == _PLUS)
        if padded.any():
            found.extend(np.flatnonzero(padded) + low)
        for mark in behind:
            marked = edge & (first == mark)
            if marked.any():
                starts = np.flatnonzero(marked) + low
                blank = starts[np.isin(array[starts + 1], [_BLANK, _TAB])]
                blanks |= bool((np.searchsorted(block.quotes, blank) % 2 == 0).any())
                found.extend(_padded_behind(array, starts, behind))
    return (_columns_at(block, array, np.array(found, np.int64), separator, columns) if found else []), blanks


def _padded_behind(array: np.ndarray, starts: np.ndarray, behind: list[int]) -> np.ndarray:
    """Those of the fields that begin with a padded number behind blanks, quotes and a minus sign."""
    at = starts + 1
    while (moving := np.isin(array[at], [*behind, _MINUS])).any():
        at = at + moving
    padded = (array[at] == _ZERO) & _continues(array[at + 1], True)
    found: np.ndarray = starts[padded | (array[at] == _PLUS)]
    return found


def _columns_at(block: Block, array: np.ndarray, starts: np.ndarray, separator: int, columns: int) -> list[int]:
    """The positions of the columns whose fields start here."""
    borders = np.flatnonzero((array[1:-3] == separator) | (array[1:-3] == _LF))
    if len(block.quotes):
        borders = borders[np.searchsorted(block.quotes, borders) % 2 == 0]
    return [int(position) for position in np.unique(np.searchsorted(borders, starts) % columns)]


def _continues(following: np.ndarray, hexadecimal: bool) -> np.ndarray:
    """Where a zero is followed by a digit or an x; what lies below the digits wraps around and fails the comparison."""
    found: np.ndarray = (following - np.uint8(_ZERO)) <= 9
    return found | ((following | np.uint8(32)) == 120) if hexadecimal else found
