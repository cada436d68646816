"""Bands, PSI and CSI: counts at stated edges that anybody can add up again."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Bench, snapshot
from muniment.analytics.bands import score_bands
from muniment.analytics.split import keys
from muniment.analytics.stability import by_level, by_quantile, psi
from muniment.programs.contract import Job
from muniment.programs.evaluate import evaluate
from muniment.programs.train import train

QUICK = settings(deadline=None, max_examples=200)
histogram = st.lists(st.integers(0, 500), min_size=2, max_size=12)


def test_psi_by_hand() -> None:
    """Half and half against three quarters, with half a row added to each count."""
    a, b = 50.5 / 101, 75.5 / 101
    wanted = (b - a) * math.log(b / a) + ((1 - b) - (1 - a)) * math.log((1 - b) / (1 - a))
    assert psi([50, 50], [75, 25]) == pytest.approx(wanted)
    assert psi([0, 0], [5, 5]) is None
    assert psi([1, 0, 3], [1, 0, 3]) == psi([1, 3], [1, 3])


@QUICK
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12))
def test_psi_is_a_divergence(drawn: list[tuple[int, int]]) -> None:
    """Zero at equality, never negative, symmetric, finite even where a bin is empty."""
    first, second = [a for a, _ in drawn], [b for _, b in drawn]
    if not sum(first) or not sum(second):
        assert psi(first, second) is None
        return
    assert psi(first, first) == 0
    found, back = psi(first, second), psi(second, first)
    assert found is not None
    assert found >= 0
    assert found == pytest.approx(back)
    assert math.isfinite(found)


numbers = st.lists(st.integers(-3, 3) | st.floats(-100, 100), min_size=1, max_size=80).map(
    lambda drawn: np.array(drawn, np.float64)
)


@QUICK
@given(numbers, numbers)
def test_every_value_falls_between_stated_edges(reference: np.ndarray, current: np.ndarray) -> None:
    """Counts are those of the edges, none of the reference lies outside, and all rows are counted."""
    found = by_quantile(reference, current)
    edges = [-math.inf, *found["edges"], math.inf]
    for side, counts in ((reference, found["reference"]), (current, found["current"])):
        assert counts == [int(((side >= low) & (side < high)).sum()) for low, high in pairwise(edges)]
    assert (found["reference"][0], found["reference"][-1]) == (0, 0)
    assert by_quantile(reference, reference)["psi"] == 0


def test_what_was_never_there_before_shows() -> None:
    """Values below, above, and missing where nothing was missing have bins of their own; one outlier moves nothing."""
    reference = np.linspace(0, 1, 10_000)
    assert by_quantile(reference, reference + 5)["psi"] > 5
    assert by_quantile(np.full(100, 3.0), np.full(100, 4.0))["psi"] > 5
    gone = np.where(np.arange(10_000) % 2 == 0, np.nan, reference)
    found = by_quantile(reference, gone)
    assert found["missing"] == [0, 5000]
    assert found["psi"] > 1
    outlier = reference.copy()
    outlier[0] = 1e9
    assert by_quantile(reference, outlier)["psi"] < 1e-3
    assert by_quantile(np.full(3, np.nan), np.full(3, np.nan))["psi"] == 0


def test_levels_are_counted_by_name() -> None:
    """Each level has a bin, and a level that the model does not know counts as missing."""
    before, now = np.array([0.0, 0, 1, 1]), np.array([0.0, np.nan, 1, 1])
    found = by_level(before, now, ["a", "b"])
    assert (found["reference"], found["current"], found["missing"]) == ([2, 2], [1, 2], [0, 1])


@QUICK
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20)), min_size=1, max_size=80))
def test_bands_part_the_rows_from_the_riskiest_down(drawn: list[tuple[bool, float]]) -> None:
    """Bands fall, hold every row once, catch everything at the end, and equal scores stand together."""
    labels, scores = np.array([label for label, _ in drawn]), np.array([score for _, score in drawn])
    bands = score_bands(labels, scores)
    assert [band["band"] for band in bands] == list(range(1, len(bands) + 1))
    for above, below in pairwise(bands):
        assert above["low"] > below["high"]
    assert (bands[-1]["cumulative_rows"], bands[-1]["cumulative_positives"]) == (len(drawn), int(labels.sum()))
    for band in bands:
        inside = (scores >= band["low"]) & (scores <= band["high"])
        assert (band["rows"], band["positives"]) == (int(inside.sum()), int(labels[inside].sum()))
        above = scores >= band["low"]
        if labels.any():
            assert band["capture"] == labels[above].sum() / labels.sum()
            assert band["lift"] == pytest.approx(labels[above].mean() / labels.mean())
        else:
            assert (band["capture"], band["lift"]) == (None, None)
    if labels.any():
        assert (bands[-1]["capture"], bands[-1]["lift"]) == (1, 1)


def test_bands_of_no_rows() -> None:
    """Without rows there is no band."""
    assert score_bands(np.empty(0, bool), np.empty(0)) == []


def data(rows: int, shift: float = 0.0) -> pa.Table:
    """A number, a text and an outcome."""
    drawn = keys(rows * 2, 4).reshape(2, rows)
    x = (drawn[0] % 1000).astype(np.float64) + shift
    kind = np.array(["a", "b", "c"])[drawn[1] % 3]
    return pa.table({"x": x, "kind": kind.tolist(), "y": (x % 1000 > 500).astype(np.int64)})


def test_an_evaluation_compares_with_its_reference(bench: Callable[[str], Bench]) -> None:
    """Against itself everything is 0; against a population that moved, the feature that moved stands first."""
    desk = bench("train")
    desk.channel("train", snapshot(data(900), "y"))
    desk.given(algorithm="xgboost", num_boost_round=5)
    train(Job(desk.root))

    def report(name: str, reference: pa.Table) -> Any:
        job = bench(name)
        job.channel("model", {path.name: path for path in (desk.root / "model").iterdir()})
        job.channel("data", snapshot(data(600)))
        job.channel("reference", snapshot(reference.drop_columns(["y"])))
        job.given()
        evaluate(Job(job.root))
        return job.result("report.json")

    same = report("same", data(600))
    assert (same["metrics"]["psi"], same["metrics"]["csi"]) == (0, 0)
    assert same["stability"]["reference"]["rows"] == 600
    moved = report("moved", data(900, 400.0))["stability"]
    assert (moved["csi_feature"], moved["features"][0]["feature"]) == ("x", "x")
    assert moved["csi"] > 0.25
    assert moved["psi"] == psi(
        [*moved["scores"]["reference"], moved["scores"]["missing"][0]],
        [*moved["scores"]["current"], moved["scores"]["missing"][1]],
    )
    for one in moved["features"]:
        assert sum(one["reference"]) + one["missing"][0] == 900
        assert sum(one["current"]) + one["missing"][1] == 600
