"""The rows of a feature view: brought into their declared form, refused where they cannot be one, looked at for leaks.

Clocks become microseconds in UTC: a moment without a zone is taken as UTC, a date as its midnight. Rows are kept in
order of (keys, event, known); among rows that are equal in all of these the last one that the transform gave counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.asof import in_order
from muniment.analytics.content import type_name
from muniment.analytics.performance import auc
from muniment.errors import Invalid
from muniment.programs.feature_view import View

__all__ = ["CLOCK", "arrow_type", "clock", "conform", "key_frame", "leaks", "micros", "observations", "plain"]

CLOCK: Final = pa.timestamp("us", "UTC")
_KEYS: Final = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "string", "date", "bool")
_GIVES_AWAY: Final = 0.95
_LOOKED_AT: Final = 50_000
"""Rows that are looked at for a leak, evenly spread."""

_FIXED: Final = {
    **{f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
}


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a type's name in a schema."""
    if name in _FIXED:
        return _FIXED[name]
    inner = name.partition("[")[2].rstrip("]") or name.partition("(")[2].rstrip(")")
    if name.startswith("timestamp"):
        unit, _, zone = inner.partition(",")
        return pa.timestamp(unit, zone or None)
    precision, scale = inner.split(",")
    return pa.decimal128(int(precision), int(scale))


def conform(made: pa.Table, view: View) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The rows of the view in their declared columns, types and order, and what was found on the way.

    Raises:
        Invalid: a column is missing, a type does not fit, or a key or a clock is null.
    """
    if twice := sorted({name for name in made.schema.names if made.schema.names.count(name) > 1}):
        raise Invalid(
            "MUNI-F136", f"the transform gives {twice[0][:60]!r} twice", columns=twice[:20], do="name columns apart"
        )
    if missing := [name for name in view.columns if name not in made.schema.names]:
        raise Invalid(
            "MUNI-F124",
            f"the transform does not give the column {missing[0][:60]!r}",
            missing=missing[:20],
            given=made.schema.names[:50],
            do="let the transform select every key, clock and feature of the view",
        )
    findings = []
    if extra := [name for name in made.schema.names if name not in view.columns]:
        findings.append(
            _finding(
                "undeclared_columns", "the transform gives columns that the view does not declare", columns=extra[:50]
            )
        )
    columns: dict[str, Any] = {}
    for name in view.entity:
        columns[name] = _key(made.column(name), name)
    for name in view.clocks:
        columns[name] = clock(made.column(name), name)
    for feature in view.features:
        columns[feature.name] = _cast(made.column(feature.name), feature.name, feature.type)
    for name in (*view.entity, *view.clocks):
        _refuse_nulls(columns[name], name)
    table = pa.table(columns)
    rows = key_frame(table, (*view.entity, *view.clocks)).with_row_index("__muniment_row__")
    order = in_order(rows, view.entity, view.event_time, view.knowledge_time)["__muniment_row__"]
    return table.take(pa.array(order.to_numpy())), findings


def clock(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Moments as microseconds in UTC.

    Raises:
        Invalid: the column holds no moments, or some that microseconds cannot say.
    """
    kind = type_name(column.type, name)
    if kind == "date":
        column = column.cast(pa.timestamp("us"))
    elif not kind.startswith("timestamp"):
        raise Invalid(
            "MUNI-F126",
            f"the clock {name[:60]!r} holds {kind}, not moments",
            column=name,
            found=kind,
            expected="date or timestamp",
            do=f"cast it in the transform, or declare it when the data are added: --column {name[:40]}=date, or "
            "=timestamp for moments with their zone",
        )
    try:
        if column.type.tz is None:  # not pc.assume_timezone: it looks UTC up in a database that the sandbox has not
            return column.cast(pa.timestamp("us")).cast(pa.int64()).cast(CLOCK)
        return column.cast(CLOCK)
    except pa.ArrowInvalid as broken:
        raise _unfit(name, "timestamp[us,UTC]", kind, "a moment does not fit into whole microseconds") from broken


def micros(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Moments as microseconds since 1970."""
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def key_frame(table: pa.Table, columns: Sequence[str]) -> pl.DataFrame:
    """These columns as polars has them, moments as microseconds."""
    frame = pl.from_arrow(pa.table({name: micros(table.column(name)) for name in columns}))
    assert isinstance(frame, pl.DataFrame)
    return frame


def observations(table: pa.Table, view: View) -> list[dict[str, Any]]:
    """What is suspicious about the rows, though they can be used."""
    findings = []
    if not table.num_rows:
        findings.append(_finding("no_rows", "the transform gives no row"))
        return findings
    marks = key_frame(table, (*view.entity, *view.clocks))
    equal = len(marks) - marks.n_unique()
    if equal:
        findings.append(
            _finding(
                "equal_times",
                "rows of one entity have equal times; the last one that the transform gave counts",
                rows=equal,
            )
        )
    if view.knowledge_time is not None:
        early = int((marks[view.knowledge_time] < marks[view.event_time]).sum())
        if early:
            findings.append(
                _finding(
                    "known_before_it_happened",
                    "the clocks go backwards: known before it happened; such a value counts from its event on",
                    rows=early,
                )
            )
    for feature in view.features:
        values = table.column(feature.name)
        if values.null_count == table.num_rows:
            findings.append(_finding("all_missing", "the feature has no value", feature=feature.name))
        elif table.num_rows > 1 and pc.count_distinct(values, mode="all").as_py() == 1:
            findings.append(_finding("constant", "the feature has one value only", feature=feature.name))
    return findings


def leaks(
    table: pa.Table, features: Iterable[str], labels: pa.ChunkedArray, target: str, data: str
) -> list[dict[str, Any]]:
    """Features that are the target in other words.

    Args:
        table: the features, row for row beside the labels.
        features: which columns to look at.
        labels: the values of the target.
        target: its name.
        data: what it is the target of.
    """
    step = max(1, -(-table.num_rows // _LOOKED_AT))
    chosen = pa.array(np.arange(0, table.num_rows, step))
    labels = labels.take(chosen)
    classes = [value for value in pc.unique(labels).to_pylist() if value is not None]
    truth = _codes(labels)
    findings = []
    for name in features:
        values = table.column(name).take(chosen)
        both = np.asarray(pc.and_(values.is_valid(), labels.is_valid()))
        if both.sum() < 2 or len(np.unique(truth[both])) < 2:
            continue
        codes = _codes(values)
        pairs = len(np.unique(codes[both].astype(np.int64) * (len(truth) + 1) + truth[both]))
        if pairs == len(np.unique(codes[both])) == len(np.unique(truth[both])):
            findings.append(_leak("equals_target", "the feature says the same as the target", name, target, data))
            continue
        numbers = _numbers(values)
        if numbers is None or len(classes) != 2:
            continue
        known = both & np.isfinite(numbers)
        area = auc(truth[known] == truth[known].max(), numbers[known]) if known.any() else None
        if area is not None and max(area, 1 - area) > _GIVES_AWAY:
            found = _leak("gives_target_away", "the feature almost gives the target away", name, target, data)
            found["facts"]["auc"] = round(float(max(area, 1 - area)), 6)
            findings.append(found)
    return findings


def _leak(code: str, message: str, feature: str, target: str, data: str) -> dict[str, Any]:
    return _finding(code, message, feature=feature, target=target, data=data)


def _finding(code: str, message: str, **facts: Any) -> dict[str, Any]:
    return {"code": code, "message": message, "facts": facts}


def _codes(values: pa.ChunkedArray) -> np.ndarray:
    encoded = values.combine_chunks().dictionary_encode()
    codes: np.ndarray = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64)


def _numbers(values: pa.ChunkedArray) -> np.ndarray | None:
    kind = type_name(values.type)
    if "int" not in kind and kind != "bool" and not kind.startswith(("float", "decimal")):
        return None
    values = values.cast(pa.uint8()) if kind == "bool" else values
    numbers: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def _key(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    kind = type_name(column.type, name)
    if kind not in _KEYS:
        raise Invalid(
            "MUNI-F127",
            f"the key {name[:60]!r} holds {kind}, which names nothing for sure",
            column=name,
            found=kind,
            expected="integers, texts, dates or booleans",
            do="cast it in the transform",
        )
    return column.cast(pa.string()) if kind == "string" else column


def _cast(column: pa.ChunkedArray, name: str, wanted: str) -> pa.ChunkedArray:
    """The column in its declared type, where every value keeps its meaning."""
    found = "null" if pa.types.is_null(column.type) else type_name(column.type, name)
    widens = (
        found in (wanted, "null")
        or ("int" in found and ("int" in wanted or wanted.startswith(("float", "decimal"))))
        or (found == "float32" and wanted == "float64")
        or (found.startswith("decimal") and wanted.startswith("decimal"))
        or (found.startswith("timestamp") and wanted.startswith("timestamp") and ("," in found) == ("," in wanted))
    )
    if not widens:
        raise _unfit(name, wanted, found, "another type")
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.cast(arrow_type(wanted))
    except pa.ArrowInvalid as broken:
        raise _unfit(name, wanted, found, "a value does not fit") from broken


def _unfit(name: str, wanted: str, found: str, reason: str) -> Invalid:
    return Invalid(
        "MUNI-F125",
        f"the column {name[:60]!r} is {found}, not {wanted}",
        column=name,
        expected=wanted,
        found=found,
        reason=reason,
        do="cast it in the transform, or declare the type that it has",
    )


def _refuse_nulls(column: pa.ChunkedArray, name: str) -> None:
    if column.null_count:
        first = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise Invalid(
            "MUNI-F132",
            f"{column.null_count} rows have no value in {name[:60]!r}",
            column=name,
            rows=column.null_count,
            first_row=first,
            do="drop such rows in the transform: keys and clocks are never null",
        )


def plain(value: Any) -> Any:
    """A value as JSON holds it exactly: decimals and moments as texts, a number that is none by its name."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float) and np.isfinite(value):
        return value
    if isinstance(value, float):
        return "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value.isoformat()
