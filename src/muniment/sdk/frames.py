"""Rows as a data frame of whichever library the notebook has: pandas when it is installed, else polars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from muniment.errors import Invalid

__all__ = ["to_frame"]


def to_frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> Any:
    """A ``DataFrame``, one row per mapping. Moments stay text as they were recorded, in UTC.

    pandas is taken when both libraries are installed, because most notebooks' plots and tests expect it; who wants the
    other gives the frame to ``polars.from_pandas``.

    Args:
        rows: cells by name of the column; what is missing is empty, a list or mapping becomes its JSON text.
        columns: names that are there in any case, first and in this order; others follow as they are met.

    Raises:
        Invalid: neither library is installed.
    """
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    table = {name: [_cell(row.get(name)) for row in rows] for name in names}
    for library, options in (("pandas", {}), ("polars", {"strict": False})):
        if find_spec(library) is not None:
            return import_module(library).DataFrame(table, **options)
    raise Invalid("MUNI-A103", "a data frame needs pandas or polars", do="pip install pandas")


def _cell(value: Any) -> Any:
    return json.dumps(value, default=str) if isinstance(value, (list, tuple, Mapping)) else value
