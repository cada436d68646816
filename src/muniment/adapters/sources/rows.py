"""Typed rows on their way from a database: one JSON line for each, exact, and their count at the end.

No value passes through a float that is none, and nothing is held in memory: a row is written as it comes. The layout is
that of ``muniment.rows/1``, which the job reads inside the sandbox.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final

from muniment.errors import Invalid

__all__ = ["RowsWriter", "exact"]

FORMAT: Final = "muniment.rows/1"


class RowsWriter:
    """Writes rows; without ``end`` what was written counts as cut off."""

    def __init__(self, out: BinaryIO, columns: Sequence[tuple[str, str]]) -> None:
        """Begin with the names and types of the columns."""
        header = {"format": FORMAT, "columns": [{"name": name, "type": kind} for name, kind in columns]}
        self._out = out
        self._line(header)
        self.rows = 0

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take rows whose values JSON can hold: whole numbers, floats, texts, booleans, null."""
        for row in rows:
            self._line(list(row))
            self.rows += 1

    def end(self) -> None:
        """Say how many rows there were."""
        self._line({"rows": self.rows})

    def _line(self, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        try:
            self._out.write(text.encode() + b"\n")
        except UnicodeEncodeError as broken:
            raise Invalid("MUNI-J160", "a text of the source is no Unicode", do="convert it in the query") from broken


def exact(value: Any, column: str) -> Any:
    """A value of a Python database driver as the layout writes it.

    Raises:
        Invalid: it is bytes, or of a type that a snapshot does not have.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise unsupported(column, type(value).__name__)


def unsupported(column: str, kind: str) -> Invalid:
    """The refusal of a column whose type a snapshot does not have."""
    return Invalid(
        "MUNI-J161",
        f"column {column[:80]!r} is of type {kind[:40]}",
        column=column[:80],
        type=kind[:40],
        do="cast it in the query, for example to text, or leave it out",
    )
