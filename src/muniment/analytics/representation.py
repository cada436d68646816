"""Whether a table represents a population: shares by group beside those of a reference. Pure.

A group is a level of a text, a truth value, a whole number of few values, or lies between the deciles of the reference.
No level is dropped or merged in silence: a column with more levels than can be shown is refused. Missing values are a
group of their own. With several columns their combinations are compared too, where they are few enough.

Measures: the difference of shares; the population stability index (``stability.psi``); Pearson's chi-square of
goodness of fit against the shares of the reference, which takes these as known and so is meant for a reference that is
much larger than the data, or a whole population (Pearson, 1900). A small p says that so large a difference would be
rare by chance; the index says whether it is large. The verdict goes by the index, since with many rows any difference
is significant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import chi2

from muniment.analytics.stability import psi
from muniment.errors import Invalid

__all__ = ["AMBER", "MOST_LEVELS", "represent"]

FORMAT: Final = "muniment.representation/1"
AMBER: Final = 0.10

"""The index from which a difference is worth a look. Source: Siddiqi (2006), *Credit Risk Scorecards*."""

MOST_LEVELS: Final = 60
MOST_CELLS: Final = 400
_FEW_NUMBERS: Final = 20
_DECILES: Final = 10
_FEW_EXPECTED: Final = 5
"""Below so many expected rows in a group the chi-square approximation is poor (Cochran, 1954)."""

_NONE: Final = "(missing)"


def represent(data: pa.Table, reference: pa.Table, columns: Sequence[str], *, bound: float = AMBER) -> dict[str, Any]:
    """Compare shares by group.

    Args:
        data: the rows to be judged.
        reference: the rows of the population.
        columns: the columns that form groups.
        bound: the greatest index that is fine.

    Raises:
        Invalid: a side has no rows, a column is not in both, of another kind, or has too many levels.
    """
    for side, table in (("data", data), ("reference", reference)):
        if not table.num_rows:
            raise Invalid("MUNI-J186", "there are no rows to compare", side=side, do="give a snapshot with rows")
    labels = {name: _labels(name, data, reference) for name in columns}
    results = [_compared([name], labels, bound) for name in columns]
    joint = _compared(list(columns), labels, bound) if len(columns) > 1 else None
    verdicts = {one["verdict"] for one in results} | ({joint["verdict"]} if joint else set())
    return {
        "format": FORMAT,
        "rows": data.num_rows,
        "reference_rows": reference.num_rows,
        "bound": bound,
        "verdict": next((one for one in ("violated", "unknown", "ok") if one in verdicts), "unknown"),
        "columns": results,
        "joint": joint,
    }


def _labels(name: str, data: pa.Table, reference: pa.Table) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The groups of a column, and of each row on both sides which one it is in."""
    for side, table in (("data", data), ("reference", reference)):
        if name not in table.column_names:
            raise Invalid(
                "MUNI-J187",
                f"the {side} has no column {name[:80]!r}",
                side=side,
                column=name[:80],
                known=table.column_names[:50],
                do="choose columns that both sides have",
            )
    here, there = data.column(name), reference.column(name)
    numbers = [_is_number(one.type) for one in (here, there)]
    if numbers[0] != numbers[1]:
        raise Invalid(
            "MUNI-J188",
            f"column {name[:80]!r} is of another kind on each side",
            column=name[:80],
            types=[str(here.type), str(there.type)],
            do="bring both sides to one type",
        )
    if numbers[0]:
        whole = pa.types.is_integer(here.type) and pa.types.is_integer(there.type)
        distinct = pc.count_distinct(there, mode="only_valid").as_py()
        if not whole or distinct > _FEW_NUMBERS or pc.count_distinct(here, mode="only_valid").as_py() > MOST_LEVELS:
            return _by_decile(here, there)
    texts = [_as_text(one) for one in (here, there)]
    levels = sorted({value for side in texts for value in pc.unique(side).to_pylist() if value is not None})
    if len(levels) > MOST_LEVELS:
        raise Invalid(
            "MUNI-J189",
            f"column {name[:80]!r} has more than {MOST_LEVELS} levels",
            column=name[:80],
            levels=len(levels),
            allowed=MOST_LEVELS,
            do="group its values first; no level is dropped or merged in silence",
        )
    if numbers[0]:
        levels.sort(key=int)
    known = pa.array(levels, pa.string())
    codes = [pc.fill_null(pc.index_in(side, known), len(levels)).to_numpy() for side in texts]
    return [*levels, _NONE], codes[0], codes[1]


def _by_decile(here: Any, there: Any) -> tuple[list[str], np.ndarray, np.ndarray]:
    sides = [one.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) for one in (here, there)]
    known = sides[1][np.isfinite(sides[1])]
    edges = (
        np.unique(np.quantile(known, np.arange(1, _DECILES) / _DECILES, method="inverted_cdf")) if len(known) else []
    )
    shown = [f"{edge:g}" for edge in edges]
    levels = [
        *(f"< {shown[0]}" if at == 0 else f"{shown[at - 1]} to < {shown[at]}" for at in range(len(shown))),
        f">= {shown[-1]}" if shown else "any",
    ]
    codes = []
    for side in sides:
        bins = np.searchsorted(edges, side, side="right")
        codes.append(np.where(np.isnan(side), len(levels), bins))
    return [*levels, _NONE], codes[0], codes[1]


def _compared(
    columns: list[str], labels: Mapping[str, tuple[list[str], np.ndarray, np.ndarray]], bound: float
) -> dict[str, Any]:
    sizes = [len(labels[name][0]) for name in columns]
    cells = int(np.prod(sizes, dtype=np.int64))
    if len(columns) > 1 and cells > MOST_CELLS * 10:
        return _unknown(columns, f"{cells} combinations are too many")
    codes = [np.zeros(len(labels[columns[0]][side]), np.int64) for side in (1, 2)]
    for name, size in zip(columns, sizes, strict=True):
        for side in (0, 1):
            codes[side] = codes[side] * size + labels[name][side + 1]
    counts = [np.bincount(side, minlength=cells) for side in codes]
    there = np.flatnonzero((counts[0] > 0) | (counts[1] > 0))
    if len(columns) > 1 and len(there) > MOST_CELLS:
        return _unknown(columns, f"{len(there)} combinations are too many")
    here, reference = counts[0][there], counts[1][there]
    rows, known = int(here.sum()), int(reference.sum())
    index = psi(reference.tolist(), here.tolist())
    expected = reference / known * rows
    groups = []
    for at, cell in enumerate(there):
        names = []
        rest = int(cell)
        for name, size in zip(reversed(columns), reversed(sizes), strict=True):
            names.append(labels[name][0][rest % size])
            rest //= size
        groups.append(
            {
                "group": " · ".join(reversed(names)),
                "rows": int(here[at]),
                "reference_rows": int(reference[at]),
                "share": int(here[at]) / rows,
                "reference_share": int(reference[at]) / known,
                "difference": int(here[at]) / rows - int(reference[at]) / known,
            }
        )
    return {
        "columns": columns,
        "groups": groups,
        "psi": index,
        "chi_square": _chi_square(here, expected),
        "largest_difference": max((abs(float(str(one["difference"]))) for one in groups), default=None),
        "absent": [one["group"] for one in groups if not one["rows"]],
        "unexpected": [one["group"] for one in groups if not one["reference_rows"]],
        "verdict": "unknown" if index is None else "ok" if index <= bound else "violated",
    }


def _chi_square(found: np.ndarray, expected: np.ndarray) -> dict[str, Any]:
    """The statistic, its degrees of freedom and p; undefined where the reference lacks a group that the data have."""
    if bool((expected == 0).any()):
        return {"statistic": None, "degrees": None, "p": None, "why": "a group is not in the reference"}
    if len(found) < 2:
        return {"statistic": None, "degrees": None, "p": None, "why": "there is one group only"}
    statistic = float(((found - expected) ** 2 / expected).sum())
    degrees = len(found) - 1
    small = int((expected < _FEW_EXPECTED).sum())
    return {"statistic": statistic, "degrees": degrees, "p": float(chi2.sf(statistic, degrees)), "few_expected": small}


def _unknown(columns: list[str], why: str) -> dict[str, Any]:
    return {"columns": columns, "groups": [], "psi": None, "verdict": "unknown", "why": why}


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _as_text(values: Any) -> Any:
    if pa.types.is_boolean(values.type):
        return pc.if_else(values, "true", "false").combine_chunks()
    return values.cast(pa.string()).combine_chunks()
