"""How one table differs from another, column by column: what is missing, where values lie, how far they moved.

The population stability index (PSI) compares shares per bin: the sum of (q - p) ln(q / p), with shares floored at
1e-4 so that an empty bin counts as rare and not as impossible. Numbers are binned at the distinct deciles of the
first table, anything else by its values; what is missing is a bin of its own. Rules of thumb: below 0.1 alike, above
0.25 moved.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.content import type_name

__all__ = ["column_difference", "stability_index"]

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
FLOOR: Final = 1e-4
_BINS: Final = 10
_LEVELS: Final = 50
"""Of more different values the commonest are told apart, and the rest is one bin."""


def column_difference(a: pa.ChunkedArray, b: pa.ChunkedArray) -> dict[str, Any]:
    """Nulls, place and spread of a column in both tables, and how far it moved from the first to the second."""
    kinds = type_name(a.type), type_name(b.type)
    facts: dict[str, Any] = {
        "type_a": kinds[0],
        "type_b": kinds[1],
        "nulls_a": a.null_count,
        "nulls_b": b.null_count,
        "null_rate_a": a.null_count / len(a) if len(a) else None,
        "null_rate_b": b.null_count / len(b) if len(b) else None,
    }
    if all(_is_number(kind) for kind in kinds):
        known = [_finite(one) for one in (a, b)]
        for side, values in zip("ab", known, strict=True):
            facts |= {f"{name}_{side}": value for name, value in _numbers(values).items()}
        bins = _number_bins(known[0], known[1], len(a) - len(known[0]), len(b) - len(known[1]))
    else:
        bins = _level_bins(a, b)
    facts["psi"] = stability_index(*bins) if len(a) and len(b) else None
    return facts


def stability_index(before: np.ndarray, after: np.ndarray) -> float:
    """The population stability index of two counts over the same bins; 0 for equal shares."""
    p, q = (np.maximum(one / one.sum(), FLOOR) for one in (before.astype(float), after.astype(float)))
    return float(((q - p) * np.log(q / p)).sum())


def _is_number(kind: str) -> bool:
    return "int" in kind or kind.startswith(("float", "decimal"))


def _finite(values: pa.ChunkedArray) -> np.ndarray:
    known: np.ndarray = values.drop_null().cast(pa.float64(), safe=False).to_numpy()
    return known[np.isfinite(known)]


def _numbers(values: np.ndarray) -> dict[str, Any]:
    """Mean, spread and quantiles; None where there is no value."""
    if not len(values):
        return dict.fromkeys(("mean", "sd", "min", "max", "quantiles"))
    found = np.quantile(values, QUANTILES, method="inverted_cdf")
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "min": float(values.min()),
        "max": float(values.max()),
        "quantiles": {f"{share:g}": float(value) for share, value in zip(QUANTILES, found, strict=True)},
    }


def _number_bins(a: np.ndarray, b: np.ndarray, missing_a: int, missing_b: int) -> tuple[np.ndarray, np.ndarray]:
    edges = np.zeros(0)
    if len(a):
        edges = np.unique(np.quantile(a, np.arange(1, _BINS) / _BINS, method="inverted_cdf"))
        edges = edges[edges > a.min()]
    found = [np.bincount(np.searchsorted(edges, one, side="right"), minlength=len(edges) + 1) for one in (a, b)]
    return np.append(found[0], missing_a), np.append(found[1], missing_b)


def _level_bins(a: pa.ChunkedArray, b: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    counts = [_levels(one) for one in (a, b)]
    told = sorted(counts[0], key=lambda level: (-counts[0][level], level))[:_LEVELS]
    bins = []
    for one, values in zip(counts, (a, b), strict=True):
        known = [one.get(level, 0) for level in told]
        bins.append(np.array([*known, sum(one.values()) - sum(known), values.null_count]))
    return bins[0], bins[1]


def _levels(values: pa.ChunkedArray) -> dict[str, int]:
    """How often each value occurs, by its text."""
    found = pc.value_counts(values.drop_null())
    texts = found.field("values").cast(pa.string()).to_pylist()
    return dict(zip(texts, found.field("counts").to_pylist(), strict=True))
