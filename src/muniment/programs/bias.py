"""Review a snapshot for bias: sampling, stereotype and measurement, group by group.

Channel ``data`` holds the snapshot, ``reference`` a snapshot of the population it should look like, if one is given.
The fourth check, exclusion, is about what people leave out and why; the platform adds it from its records.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.bias import cddl, class_imbalance, difference_in_proportions, share_gaps
from muniment.analytics.performance import auc
from muniment.errors import Invalid
from muniment.programs.contract import Job, run
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

PARAMETERS = (
    Parameter("facet", Kind.TEXT, "column whose groups are compared", required=True),
    Parameter("disfavoured", Kind.NAMES, "values of the group that may be treated worse", ()),
    Parameter("at_most", Kind.NUMBER, "for a numeric facet: the disfavoured have at most this value"),
    Parameter("label", Kind.TEXT, "column of the outcome"),
    Parameter("favourable", Kind.TEXT, "value of the label that is good for a person"),
    Parameter("strata", Kind.TEXT, "column within whose values outcomes are compared too"),
    Parameter("default_values", Kind.NAMES, "spellings that stand for no real measurement", ()),
)
_FOLDS = 5
_PROXY = 0.7
"""A feature that tells the groups apart with at least this area under the curve is named a proxy."""

_BOUNDS = {"difference_in_proportions": 0.1, "share": 0.1, "measurement": 0.05}
"""Beyond these a review asks for a person's judgement; they are conventions, and stand in every report."""

_MOST_CATEGORIES = 1000


def bias(job: Job) -> None:
    """Count, compare, report."""
    given = job.parameters(PARAMETERS)
    table = read_snapshot(job.channel("data"))
    for role in ("facet", "label", "strata"):
        if given[role] is not None and given[role] not in table.column_names:
            raise Invalid("MUNI-W184", f"there is no column {given[role]!r}", column=given[role], role=role)
    worse = _worse(table[given["facet"]], given)
    known = ~_nulls(table[given["facet"]])
    rows_d, rows_a = int((worse & known).sum()), int((~worse & known).sum())
    if not rows_a or not rows_d:
        raise Invalid("MUNI-W185", "one of the two groups has no row", favoured=rows_a, disfavoured=rows_d)
    report: dict[str, Any] = {
        "facet": given["facet"],
        "rows": {"favoured": rows_a, "disfavoured": rows_d, "unknown": table.num_rows - rows_a - rows_d},
        "sampling": _sampling(job, table, given, rows_a, rows_d),
        "stereotype": _stereotype(table, given, worse, known),
        "measurement": _measurement(table, given, worse, known),
    }
    report |= {"format": "muniment.bias/1", "thresholds": _BOUNDS, **_judged(report)}
    job.write("report.json", report)
    job.metrics(None, {"class_imbalance": report["sampling"]["class_imbalance"]})


def _judged(report: dict[str, Any]) -> dict[str, Any]:
    """What lies beyond its bound; ``unknown`` where a check had nothing to look at."""
    parts = report["stereotype"]["difference_in_proportions_of_labels"]
    shares = report["sampling"]["against_reference"]
    widest = max((abs(one["difference"]) for one in report["measurement"]), default=0.0)
    gap = None if shares is None else max((abs(one["difference"] or 0.0) for one in shares), default=0.0)
    dimensions = {
        "sampling": _beyond(gap, _BOUNDS["share"]),
        "stereotype": _beyond(parts, _BOUNDS["difference_in_proportions"]),
        "measurement": _beyond(widest, _BOUNDS["measurement"]),
    }
    worst = next((one for one in ("violated", "unknown") if one in dimensions.values()), "ok")
    return {"dimensions": dimensions, "verdict": worst}


def _beyond(value: float | None, bound: float) -> str:
    return "unknown" if value is None else "violated" if abs(value) > bound else "ok"


def _worse(column: pa.ChunkedArray, given: dict[str, Any]) -> np.ndarray:
    if given["at_most"] is not None:
        try:
            values = column.cast(pa.float64())
        except pa.ArrowInvalid as broken:
            raise Invalid(
                "MUNI-W186", "the facet is not a number, so it has no bound", facet=given["facet"]
            ) from broken
        return np.asarray(pc.fill_null(pc.less_equal(values, given["at_most"]), False))
    if not given["disfavoured"]:
        raise Invalid("MUNI-W187", "name the disfavoured group, by its values or by a bound", facet=given["facet"])
    return np.asarray(pc.fill_null(pc.is_in(_text(column), pa.array(list(given["disfavoured"]))), False))


def _sampling(job: Job, table: pa.Table, given: dict[str, Any], rows_a: int, rows_d: int) -> dict[str, Any]:
    found: dict[str, Any] = {"class_imbalance": class_imbalance(rows_a, rows_d), "against_reference": None}
    if job.has_channel("reference"):
        other = read_snapshot(job.channel("reference"))
        if given["facet"] not in other.column_names:
            raise Invalid(
                "MUNI-W184", f"there is no column {given['facet']!r}", column=given["facet"], role="reference"
            )
        found["against_reference"] = share_gaps(_groups(table, given), _groups(other, given))
    return found


def _groups(table: pa.Table, given: dict[str, Any]) -> dict[str, int]:
    column = table[given["facet"]]
    if given["at_most"] is not None:
        worse, known = _worse(column, given), ~_nulls(column)
        return {
            f"at most {given['at_most']:g}": int((worse & known).sum()),
            f"above {given['at_most']:g}": int((~worse & known).sum()),
        }
    counts = pc.value_counts(_text(column).drop_null())
    if len(counts) > _MOST_CATEGORIES:
        raise Invalid("MUNI-W188", "the facet has too many values to be groups", values=len(counts))
    return {str(one["values"]): int(one["counts"]) for one in counts.to_pylist()}


def _stereotype(table: pa.Table, given: dict[str, Any], worse: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {"difference_in_proportions_of_labels": None, "conditional_demographic_disparity": None}
    if given["label"] is not None:
        if given["favourable"] is None:
            raise Invalid("MUNI-W189", "say which value of the label is favourable", label=given["label"])
        good = np.asarray(pc.fill_null(pc.equal(_text(table[given["label"]]), given["favourable"]), False))
        judged = known & ~_nulls(table[given["label"]])
        a, d = judged & ~worse, judged & worse
        found["difference_in_proportions_of_labels"] = difference_in_proportions(
            int((good & a).sum()), int(a.sum()), int((good & d).sum()), int(d.sum())
        )
        found["counts"] = {
            "favoured": {"rows": int(a.sum()), "favourable": int((good & a).sum())},
            "disfavoured": {"rows": int(d.sum()), "favourable": int((good & d).sum())},
        }
        if given["strata"] is not None:
            codes = np.asarray(pc.fill_null(_text(table[given["strata"]]), "")).astype(str)
            strata = []
            for value in np.unique(codes[judged]):
                inside = codes == value
                cells = ((good & a), (good & d), (~good & a), (~good & d))
                kept_a, kept_d, lost_a, lost_d = (int((cell & inside).sum()) for cell in cells)
                strata.append((kept_a, kept_d, lost_a, lost_d))
            found["conditional_demographic_disparity"] = cddl(strata)
    found["proxies"] = _proxies(table, given, worse, known)
    return found


def _proxies(table: pa.Table, given: dict[str, Any], worse: np.ndarray, known: np.ndarray) -> list[dict[str, Any]]:
    """How well each feature by itself tells the groups apart: area under the curve, 0.5 for not at all."""
    found = []
    for name in table.column_names:
        if name in (given["facet"], given["label"]):
            continue
        strength = _strength(table[name], worse[known], known)
        if strength is not None:
            found.append({"feature": name, "auc": strength, "proxy": strength >= _PROXY})
    return sorted(found, key=lambda one: (-one["auc"], one["feature"]))


def _strength(column: pa.ChunkedArray, worse: np.ndarray, known: np.ndarray) -> float | None:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        texts = np.asarray(pc.fill_null(_text(column), "")).astype(str)[known]
        return _told_apart(np.unique(texts, return_inverse=True)[1], worse)
    scores = np.asarray(pc.fill_null(column.cast(pa.float64()), float("nan")), dtype=float)[known]
    usable = np.isfinite(scores)
    area = auc(worse[usable], scores[usable]) if usable.any() else None
    return None if area is None else float(max(area, 1 - area))


def _told_apart(codes: np.ndarray, worse: np.ndarray) -> float | None:
    """How well categories tell the groups apart: shares from four fifths of the rows judge the fifth that is left.

    Rows judged by shares that they are part of would make every identifier a perfect proxy; a share that leaves out
    one row alone ranks the rows of a category against their own group.
    """
    folds = np.random.default_rng(0).permutation(len(codes)) % _FOLDS
    areas, pairs = [], []
    for fold in range(_FOLDS):
        held = folds == fold
        rows = np.bincount(codes[~held], minlength=codes.max() + 1)
        hits = np.bincount(codes[~held], weights=worse[~held], minlength=codes.max() + 1)
        overall = hits.sum() / max(rows.sum(), 1)
        area = auc(worse[held], np.where(rows > 0, hits / np.maximum(rows, 1), overall)[codes[held]])
        if area is not None:
            areas.append(area)
            pairs.append(int(worse[held].sum()) * int((~worse[held]).sum()))
    return float(max(np.average(areas, weights=pairs), 0.5)) if areas else None


def _measurement(table: pa.Table, given: dict[str, Any], worse: np.ndarray, known: np.ndarray) -> list[dict[str, Any]]:
    """Missing and default values in each group; the widest difference first."""
    a, d = known & ~worse, known & worse
    found = []
    for name in table.column_names:
        if name == given["facet"]:
            continue
        missing = _nulls(table[name])
        default = np.zeros(len(missing), dtype=bool)
        if given["default_values"]:
            default = np.asarray(
                pc.fill_null(pc.is_in(_text(table[name]), pa.array(list(given["default_values"]))), False)
            )
        rates = {
            f"{what}_{who}": float(mask[group].mean())
            for what, mask in (("missing", missing), ("default", default))
            for who, group in (("favoured", a), ("disfavoured", d))
        }
        gap = (rates["missing_disfavoured"] + rates["default_disfavoured"]) - (
            rates["missing_favoured"] + rates["default_favoured"]
        )
        found.append({"feature": name, **rates, "difference": gap})
    return sorted(found, key=lambda one: (-abs(one["difference"]), one["feature"]))


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = column.cast(pa.string())
    return pc.utf8_trim_whitespace(text)


def _nulls(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.is_null(column, nan_is_null=True))


if __name__ == "__main__":
    run(bias)
