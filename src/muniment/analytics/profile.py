"""What a table looks like, column by column, in counts that add up.

Counts are integers at stated edges, so that profiles of parts with equal edges merge by addition. Values that fewer
than ``min_count`` rows share are counted and never shown: a rare text may name a person.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.content import type_name

__all__ = ["profile_table"]

QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS: Final = 10
EXACT_DISTINCT_ROWS: Final = 5_000_000
"""Distinct values are counted exactly up to this many rows; beyond, in these first rows: a lower bound."""

SHOWN_VALUES: Final = 20
SHOWN_CHARACTERS: Final = 40
_FEW: Final = 50


def profile_table(table: pa.Table, labels: np.ndarray | None, min_count: int) -> list[dict[str, Any]]:
    """The profile of every column, in the table's order.

    Args:
        table: the rows.
        labels: True where the target is positive, for target rates; None when there is no target of two classes.
        min_count: fewest rows that must share a value before it is shown.
    """
    return [_column(field.name, table.column(field.name), labels, min_count) for field in table.schema]


def _column(name: str, values: pa.ChunkedArray, labels: np.ndarray | None, min_count: int) -> dict[str, Any]:
    kind = type_name(values.type)
    rows, nulls = len(values), values.null_count
    facts: dict[str, Any] = {
        "name": name,
        "type": kind,
        "rows": rows,
        "nulls": nulls,
        "completeness": (rows - nulls) / rows if rows else None,
        "distinct": _distinct(values),
    }
    findings = []
    if rows == nulls:
        findings.append("all_missing")
    elif facts["distinct"]["count"] == 1:
        findings.append("constant")
    elif facts["distinct"]["count"] == rows - nulls > _FEW:
        findings.append("unique")
    if "int" in kind or kind.startswith(("float", "decimal")):
        facts["numbers"] = _numbers(values)
        facts["histogram"] = _histogram(values, labels)
    if kind in ("string", "bool") or facts["distinct"]["count"] <= _FEW:
        facts["values"] = _values(values, labels, min_count)
    if kind == "string":
        facts["lengths"] = _lengths(values)
        findings.extend(_text_findings(values))
    facts["findings"] = findings
    return facts


def _distinct(values: pa.ChunkedArray) -> dict[str, Any]:
    exact = len(values) <= EXACT_DISTINCT_ROWS
    seen = values if exact else values.slice(0, EXACT_DISTINCT_ROWS)
    count = int(pc.count_distinct(seen, mode="only_valid").as_py())
    return {"count": count, "exact": exact} if exact else {"count": count, "exact": False, "of_first_rows": len(seen)}


def _known(values: pa.ChunkedArray) -> np.ndarray:
    """The finite values as float64."""
    known: np.ndarray = values.drop_null().cast(pa.float64(), safe=False).to_numpy()
    return known[np.isfinite(known)]


def _numbers(values: pa.ChunkedArray) -> dict[str, Any]:
    """Moments and quantiles of the finite values; None where there is none, and no spread of a single value."""
    known = _known(values)
    facts: dict[str, Any] = {"finite": len(known), "not_finite": len(values) - values.null_count - len(known)}
    if not len(known):
        return {**facts, "min": None, "max": None, "mean": None, "sd": None, "quantiles": None}
    return {
        **facts,
        "min": float(known.min()),
        "max": float(known.max()),
        "mean": float(known.mean()),
        "sd": float(known.std(ddof=1)) if len(known) > 1 else None,
        "zero": int((known == 0).sum()),
        "negative": int((known < 0).sum()),
        "quantiles": {
            f"{share:g}": float(value)
            for share, value in zip(QUANTILES, np.quantile(known, QUANTILES, method="inverted_cdf"), strict=True)
        },
    }


def _histogram(values: pa.ChunkedArray, labels: np.ndarray | None) -> dict[str, Any] | None:
    """Counts between the distinct deciles: bin i holds edges[i-1] <= v < edges[i]; the outer bins are open."""
    numbers: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    finite = np.isfinite(numbers)
    known = numbers[finite]
    if not len(known):
        return None
    inner = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
    edges = np.unique(inner)
    edges = edges[edges > known.min()]
    bins = np.searchsorted(edges, known, side="right")
    facts: dict[str, Any] = {
        "edges": edges.tolist(),
        "counts": np.bincount(bins, minlength=len(edges) + 1).tolist(),
        "missing": int(len(numbers) - len(known)),
    }
    if labels is not None:
        facts["positive"] = np.bincount(bins[labels[finite]], minlength=len(edges) + 1).tolist()
        facts["missing_positive"] = int(labels[~finite].sum())
    return facts


def _values(values: pa.ChunkedArray, labels: np.ndarray | None, min_count: int) -> dict[str, Any]:
    """The commonest values with their counts; what fewer rows share is only counted."""
    encoded = values.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    known = codes >= 0
    counts = np.bincount(codes[known], minlength=len(encoded.dictionary))
    order = np.lexsort((np.arange(len(counts)), -counts))
    common = [int(i) for i in order[:SHOWN_VALUES] if counts[i] >= min_count]
    positives = None
    if labels is not None:
        positives = np.bincount(codes[known & labels], minlength=len(encoded.dictionary))
    shown = [
        {
            "value": _shown(encoded.dictionary[i].as_py()),
            "count": int(counts[i]),
            **({} if positives is None else {"positive": int(positives[i])}),
        }
        for i in common
    ]
    rare = counts < min_count
    return {
        "top": shown,
        "min_count": min_count,
        "rare": {"values": int(rare.sum()), "rows": int(counts[rare].sum())},
    }


def _shown(value: Any) -> Any:
    if not isinstance(value, str):
        return value if isinstance(value, (bool, int, float)) else str(value)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value[:SHOWN_CHARACTERS])
    return text[:SHOWN_CHARACTERS] + ("…" if len(value) > SHOWN_CHARACTERS else "")


def _lengths(values: pa.ChunkedArray) -> dict[str, int] | None:
    """The shortest and the longest text, in characters."""
    if values.null_count == len(values):
        return None
    found = pc.min_max(pc.utf8_length(values)).as_py()
    return {"min": found["min"], "max": found["max"]}


def _text_findings(values: pa.ChunkedArray) -> list[str]:
    """What makes texts dangerous elsewhere: formulas in a spreadsheet, control characters in a log or a terminal."""
    found = []
    texts = pc.unique(values).drop_null()
    if pc.any(pc.match_substring_regex(texts, r"^[=+@\-\t\r]")).as_py():
        found.append("formula_like")
    if pc.any(pc.match_substring_regex(texts, r"[\x00-\x1f\x7f\x{202a}-\x{202e}\x{2066}-\x{2069}]")).as_py():
        found.append("control_characters")
    if len(texts) > 1 and len(pc.unique(pc.utf8_trim_whitespace(texts))) < len(texts):
        found.append("equal_but_for_blanks")
    return found
