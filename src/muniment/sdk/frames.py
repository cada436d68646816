"""Rows as a data frame of whichever library the notebook has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from muniment.errors import Invalid

__all__ = ["to_frame"]


def to_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A pandas or polars ``DataFrame``, one row per mapping; columns appear in the order in which they are met.

    Raises:
        Invalid: neither library is installed.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = {name: [row.get(name) for row in rows] for name in columns}
    for library, options in (("pandas", {}), ("polars", {"strict": False})):
        if find_spec(library) is not None:
            return import_module(library).DataFrame(table, **options)
    raise Invalid("MUNI-A103", "a data frame needs pandas or polars", do="pip install pandas")
