"""Tables as open files: CSV as RFC 4180 writes it, and JSON; both with columns that stay as they are. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from muniment.errors import Invalid

__all__ = ["FORMS", "written"]

FORMS: Final = ("csv", "json")
_PIECE: Final = 500
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so; it gets an apostrophe before it. JSON holds the text as it is."""

Row = Mapping[str, Any]


def written(
    form: str, title: str, head: Mapping[str, Any], columns: Sequence[str], rows: Iterable[Row]
) -> Iterator[bytes]:
    """A table, piece by piece.

    Args:
        form: ``csv`` or ``json``.
        title: name and version of the format, such as ``muniment.assets/1``; stands in JSON alone.
        head: what is said of the whole; stands in JSON alone.
        columns: the columns in their order.
        rows: texts, numbers and lists of texts by column; what is missing is empty.

    Raises:
        Invalid: there is no such form.
    """
    if form not in FORMS:
        raise Invalid("MUNI-E160", f"{form[:40]!r} is no form of a table", given=form[:80], forms=list(FORMS))
    return _csv(columns, rows) if form == "csv" else _json(title, head, columns, rows)


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow([_cell(row.get(column)) for column in columns])
        if number % _PIECE == 0:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json(title: str, head: Mapping[str, Any], columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    opening = json.dumps({"format": title, **head, "columns": list(columns)}, ensure_ascii=False)
    yield f'{opening[:-1]}, "rows": ['.encode()
    between = "\n"
    for row in rows:
        yield f"{between}{json.dumps({name: row.get(name) for name in columns}, ensure_ascii=False)}".encode()
        between = ",\n"
    yield b"\n]}\n"
