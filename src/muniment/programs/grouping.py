"""Rows into groups of people by a column, which the model need not have."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.content import type_name
from muniment.analytics.fairness import count_groups, unfairness
from muniment.errors import Invalid
from muniment.programs.contract import visible
from muniment.programs.groups import GroupRule

__all__ = ["LEAST_ROWS", "by_group", "with_people"]

LEAST_ROWS: Final = 10
"""A group of fewer rows is counted and never shown: a rare value may name a person."""

_MOST_GROUPS: Final = 50


def with_people(table: pa.Table, people: pa.Table, key: str) -> tuple[pa.Table, int]:
    """The rows with the columns of another table beside them, found by a key, and how many rows were found there.

    A column of both tables is taken from the other one; a row without a match has no value in any of them.

    Args:
        table: the rows, in their order.
        people: one row for each key, such as a table of protected attributes that no training may see.
        key: the column that names a case in both.

    Raises:
        Invalid: a table lacks the key, they hold it in different types, or it names several rows of ``people``.
    """
    lacking = [name for name, one in (("data", table), ("protected", people)) if key not in one.schema.names]
    kinds = [] if lacking else [type_name(one.column(key).type) for one in (table, people)]
    if lacking or kinds[0] != kinds[1] or kinds[0].startswith("float"):
        raise Invalid(
            "MUNI-D167",
            f"the rows cannot be joined by {key[:80]!r}",
            key=key[:80],
            lacking=lacking,
            types=kinds,
            do="name a column of whole numbers or texts that both snapshots hold",
        )
    names = people.column(key).combine_chunks()
    distinct = pc.count_distinct(names, mode="only_valid").as_py()
    if distinct + names.null_count != len(names):
        raise Invalid(
            "MUNI-D168",
            f"{key[:80]!r} names several rows of the protected data",
            key=key[:80],
            rows=len(names),
            distinct=distinct,
            do="give one row for each key",
        )
    kind = pa.string() if kinds[0] == "string" else people.column(key).type
    place = pc.index_in(table.column(key).cast(kind), value_set=names.cast(kind), skip_nulls=True).combine_chunks()
    if isinstance(place, pa.ChunkedArray):
        place = place.combine_chunks()
    for name in people.schema.names:
        if name != key:
            if name in table.schema.names:
                table = table.drop_columns([name])
            table = table.append_column(name, people.column(name).take(place))
    return table, len(place) - place.null_count


def by_group(
    table: pa.Table,
    rule: GroupRule,
    *,
    labels: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    favourable: str,
    features: frozenset[str],
) -> dict[str, Any]:
    """How the groups of a column fare at a threshold.

    Args:
        table: the rows.
        rule: the column and how it parts the rows.
        labels: True where the outcome was positive.
        scores: probability of the positive class.
        threshold: score from which a prediction is positive.
        favourable: which prediction is good for the person.
        features: columns that the model takes.

    Raises:
        Invalid: there is no such column, it parts the rows into too many groups, or the favoured group is none of them.
    """
    codes, names = _grouped(table, rule)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    kept = [number for number in range(len(names)) if counts[number] >= LEAST_ROWS]
    place = np.full(len(names) + 1, -1, np.int64)
    place[kept] = np.arange(len(kept))
    shown = [names[number] for number in kept]
    if rule.favoured is not None and rule.favoured not in shown:
        raise Invalid(
            "MUNI-D196",
            f"{rule.favoured[:80]!r} is no group of {rule.column[:80]!r}",
            column=rule.column[:80],
            given=rule.favoured[:80],
            groups=shown,
            least_rows=LEAST_ROWS,
            do="name one of the groups",
        )
    groups = count_groups(place[codes], shown, labels, scores >= threshold, scores)
    return {
        "column": rule.column,
        "cuts": list(rule.cuts),
        "threshold": threshold,
        "used_by_model": rule.column in features,
        "missing_rows": int((codes < 0).sum()),
        "rare": {
            "least_rows": LEAST_ROWS,
            "groups": len(names) - len(kept),
            "rows": int(sum(counts)) - int(counts[kept].sum()),
        },
        **unfairness(groups, favourable=favourable, favoured=rule.favoured),
    }


def _grouped(table: pa.Table, rule: GroupRule) -> tuple[np.ndarray, list[str]]:
    """The place of each row's group, -1 where the value is missing, and the names of the groups in order."""
    if rule.column not in table.schema.names:
        raise Invalid(
            "MUNI-D194",
            f"there is no column {rule.column[:80]!r} to group by",
            column=rule.column[:80],
            columns=table.schema.names[:50],
            do="name a column of the data",
        )
    column = table.column(rule.column)
    kind = type_name(column.type)
    number = "int" in kind or kind.startswith(("float", "decimal"))
    if rule.cuts:
        if not number:
            raise _parts_badly(rule, kind, 0)
        values = column.cast(pa.float64(), safe=False).to_numpy()
        codes = np.where(np.isnan(values), -1, np.searchsorted(np.array(rule.cuts), values, side="left"))
        inner = [f"{low:g} to {high:g}" for low, high in pairwise(rule.cuts)]
        return codes.astype(np.int64), [f"<= {rule.cuts[0]:g}", *inner, f"> {rule.cuts[-1]:g}"]
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    values = encoded.dictionary.to_pylist()
    if len(values) > _MOST_GROUPS:
        raise _parts_badly(rule, kind, len(values))
    order = sorted(range(len(values)), key=lambda at: values[at] if number else str(values[at]).encode())
    place = np.empty(len(values), np.int64)
    place[order] = np.arange(len(values))
    found = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    codes = np.where(found < 0, -1, place[found]) if len(values) else found
    return codes, [visible(_name(values[at])) for at in order]


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parts_badly(rule: GroupRule, kind: str, found: int) -> Invalid:
    return Invalid(
        "MUNI-D195",
        f"{rule.column[:80]!r} does not part the rows into groups",
        column=rule.column[:80],
        type=kind,
        found=found,
        allowed=_MOST_GROUPS,
        do="cut a column of numbers: COLUMN:cuts=25,60; choose a column with fewer values otherwise",
    )
