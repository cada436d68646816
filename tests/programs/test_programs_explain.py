"""Explanations: equal to Shapley values by enumeration, adding up to the model, the same bytes twice, small."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from conftest import SOURCE, Bench, snapshot
from muniment.analytics.contribution import (
    beeswarm,
    dependence,
    digits,
    disagreement,
    grid,
    partial_dependence,
    permutation_importance,
)
from muniment.analytics.rank import kendall, ranks, spearman
from muniment.analytics.split import keys
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job
from muniment.programs.engines.logistic import _LinearContributions
from muniment.programs.evaluate import evaluate
from muniment.programs.explain import _contributions, explain
from muniment.programs.models import Model, load
from muniment.programs.train import train

Benches = Callable[[str], Bench]
SMALL: dict[str, dict[str, Any]] = {
    "logistic_regression": {},
    "xgboost": {"num_boost_round": 12, "max_depth": 3},
    "lightgbm": {"num_iterations": 12, "num_leaves": 6},
}


def mixed(rows: int = 700) -> pa.Table:
    """Numbers with gaps, texts, booleans, and a constant that no model can use."""
    drawn = keys(rows * 5, 11).reshape(5, rows)
    x = (drawn[0] % 1000).astype(np.float64) / 100
    kind = np.array(["a", "b", "c", None], object)[drawn[1] % 4]
    noise = (drawn[2] % 1000).astype(np.float64) / 1000
    z = (drawn[4] % 50).astype(np.float64)
    label = (x / 10 + (kind == "b") * 0.5 - z / 100 + noise > 1.0).astype(np.int64)
    x[drawn[3] % 17 == 0] = np.nan
    return pa.table(
        {
            "x": pa.array(x, from_pandas=True),
            "kind": pa.array(kind.tolist(), pa.string()),
            "z": pa.array(z),
            "flag": pa.array(drawn[2] % 2 == 0),
            "still": pa.array([7] * rows),
            "y": label,
        }
    )


def numbers(rows: int = 500) -> pa.Table:
    """Four numbers and an interaction of two of them."""
    drawn = (keys(rows * 5, 3).reshape(5, rows) % 1000).astype(np.float64) / 1000
    label = (drawn[0] * drawn[1] + 0.4 * drawn[2] + 0.3 * drawn[4] > 0.55).astype(np.int64)
    columns = {f"c{number}": pa.array(np.round(drawn[number], 2)) for number in range(4)}
    return pa.table({**columns, "y": label})


def trained(bench: Benches, algorithm: str, data: pa.Table, **given_: Any) -> Path:
    """The files of a model."""
    desk = bench(f"train-{algorithm}")
    desk.channel("train", snapshot(data, "y"))
    desk.given(**({"algorithm": algorithm, "seed": 1} | SMALL[algorithm] | given_))
    train(Job(desk.root))
    return desk.root / "model"


def explained(bench: Benches, name: str, model: Path, data: pa.Table, **given_: Any) -> dict[str, Any]:
    """The report."""
    background = given_.pop("background", None)
    desk = bench(name)
    desk.channel("model", {path.name: path for path in model.iterdir()})
    desk.channel("data", snapshot(data))
    if background is not None:
        desk.channel("background", snapshot(background))
    desk.given(**given_)
    explain(Job(desk.root))
    return desk.result("report.json")


# --- Shapley values by enumeration -----------------------------------------------------------------------------------


def shapley(value: Callable[[frozenset[int]], float], players: int) -> list[float]:
    """Shapley (1953), over all coalitions."""
    found = []
    for one in range(players):
        others = [player for player in range(players) if player != one]
        total = 0.0
        for size in range(players):
            weight = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            for coalition in itertools.combinations(others, size):
                total += weight * (value(frozenset({*coalition, one})) - value(frozenset(coalition)))
        found.append(total)
    return found


def xgboost_trees(model: Model) -> Iterator[dict[str, Any]]:
    """Each tree with its covers, in one form for both libraries."""

    def node(raw: dict[str, Any]) -> dict[str, Any]:
        if "leaf" in raw:
            return {"value": raw["leaf"], "cover": raw["cover"]}
        children = {child["nodeid"]: node(child) for child in raw["children"]}
        return {
            "feature": int(raw["split"][1:]),
            "goes_left": lambda v, c=raw["split_condition"]: np.float32(v) < np.float32(c),
            "left": children[raw["yes"]],
            "right": children[raw["no"]],
            "cover": raw["cover"],
        }

    for dumped in model.scorer.booster.get_dump(dump_format="json", with_stats=True):  # type: ignore[attr-defined]
        yield node(json.loads(dumped))


def lightgbm_trees(model: Model) -> Iterator[dict[str, Any]]:
    """Likewise; a leaf weighs as many rows as it held."""

    def node(raw: dict[str, Any]) -> dict[str, Any]:
        if "leaf_value" in raw:
            return {"value": raw["leaf_value"], "cover": raw.get("leaf_count", 1)}
        return {
            "feature": raw["split_feature"],
            "goes_left": lambda v, c=raw["threshold"]: v <= c,
            "left": node(raw["left_child"]),
            "right": node(raw["right_child"]),
            "cover": raw["internal_count"],
        }

    for tree in model.scorer.booster.dump_model()["tree_info"]:  # type: ignore[attr-defined]
        yield node(tree["tree_structure"])


def conditional(tree: dict[str, Any], row: np.ndarray, known: frozenset[int]) -> float:
    """The tree's output when only some features are known: the others go both ways, as the training rows did."""
    if "value" in tree:
        return float(tree["value"])
    if tree["feature"] in known:
        return conditional(tree["left"] if tree["goes_left"](row[tree["feature"]]) else tree["right"], row, known)
    left, right = tree["left"], tree["right"]
    whole = left["cover"] + right["cover"]
    return (left["cover"] * conditional(left, row, known) + right["cover"] * conditional(right, row, known)) / whole


@pytest.mark.parametrize(("algorithm", "trees"), [("xgboost", xgboost_trees), ("lightgbm", lightgbm_trees)])
def test_tree_contributions_are_shapley_values(
    algorithm: str, trees: Callable[[Model], Iterator[dict[str, Any]]], bench: Benches
) -> None:
    """On small trees the contributions are the Shapley values of the path-dependent game, by enumeration."""
    data = numbers()
    model = load(trained(bench, algorithm, data))
    matrix = model.encoding.matrix(data)[:12]
    found = model.scorer.explainer(matrix).contributions(matrix)
    forest = list(trees(model))
    for row, contributed in zip(matrix, found, strict=True):
        wanted = shapley(lambda known, row=row: sum(conditional(tree, row, known) for tree in forest), 4)
        assert contributed[:-1] == pytest.approx(wanted, abs=2e-5)


def test_linear_contributions_are_shapley_values(bench: Benches) -> None:
    """A linear model's contributions are the Shapley values of setting the other features to their means."""
    data = numbers()
    model = load(trained(bench, "logistic_regression", data))
    matrix = model.encoding.matrix(data)
    explainer = model.scorer.explainer(matrix)
    assert isinstance(explainer, _LinearContributions)
    for row, contributed in zip(matrix[:10], explainer.contributions(matrix[:10]), strict=True):

        def value(known: frozenset[int], row: np.ndarray = row) -> float:
            place = [at in known for at in range(4)]
            return float(explainer.margin(np.where(place, row, matrix.mean(axis=0))[None, :])[0])

        assert contributed[:-1] == pytest.approx(shapley(value, 4), abs=1e-12)
        assert contributed[-1] == pytest.approx(value(frozenset()), abs=1e-12)


# --- Laws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", SMALL)
def test_contributions_add_up_and_ignore_what_the_model_ignores(algorithm: str, bench: Benches) -> None:
    """Rows add up to the model's own margin and probability; a feature that the model cannot use contributes 0."""
    data = mixed()
    model = load(trained(bench, algorithm, data))
    matrix = model.encoding.matrix(data)
    explainer = model.scorer.explainer(matrix)
    found = explainer.contributions(matrix)
    assert found.shape == (data.num_rows, 6)
    assert np.abs(found.sum(axis=1) - explainer.margin(matrix)).max() <= 1e-5
    assert 1 / (1 + np.exp(-found.sum(axis=1))) == pytest.approx(model.score(data), abs=1e-6)
    still = [feature.name for feature in model.encoding.features].index("still")
    assert (found[:, still] == 0).all()
    report = explained(bench, "explain", trained(bench, algorithm, data), data)
    entry = next(one for one in report["features"] if one["name"] == "still")
    assert (entry["mean_abs"], entry["share"], entry["direction"]) == (0, 0, None)
    assert sum(one["share"] for one in report["features"]) == pytest.approx(1)
    assert report["additivity"]["max_error"] <= 1e-5
    assert [one["mean_abs"] for one in report["features"]] == sorted(
        (one["mean_abs"] for one in report["features"]), reverse=True
    )
    assert report["expected_value"] == digits(float(found[0, -1]))


def test_twins_contribute_alike(bench: Benches) -> None:
    """Two equal columns of a linear model contribute the same: symmetry."""
    data = numbers()
    twin = data.append_column("c4", data.column("c0"))
    model = load(trained(bench, "logistic_regression", twin.select(["c0", "c1", "c4", "y"]), tol=1e-10))
    matrix = model.encoding.matrix(twin)
    found = model.scorer.explainer(matrix).contributions(matrix)
    assert found[:, 0] == pytest.approx(found[:, 2], abs=1e-6)


@pytest.mark.parametrize("algorithm", SMALL)
def test_the_order_of_columns_changes_nothing(algorithm: str, bench: Benches) -> None:
    """Features are bound by name: other order and more columns in the data give the same explanation."""
    data = mixed()
    model = trained(bench, algorithm, data)
    first = explained(bench, "a", model, data, seed=3)
    other = data.select(["y", "flag", "still", "z", "kind", "x"]).append_column("more", data.column("z"))
    second = explained(bench, "b", model, other, seed=3)
    assert first.pop("data")["content_digest"] != second.pop("data")["content_digest"]
    backgrounds = first.pop("background"), second.pop("background")
    assert {one and one["of"] for one in backgrounds} == {"the explained rows" if "logistic" in algorithm else None}
    assert first == second


def test_without_outcomes_there_is_no_importance_by_permutation(bench: Benches) -> None:
    """With the target it stands beside the library's own, without it, or with one class, it does not."""
    data = mixed()
    model = trained(bench, "xgboost", data)
    whole = explained(bench, "a", model, data)
    bare = explained(bench, "b", model, data.drop_columns(["y"]))
    alone = explained(bench, "c", model, data.set_column(5, "y", pa.array([1] * 700)))
    assert whole["importances"] == ["gain", "split", "permutation"]
    assert bare["importances"] == alone["importances"] == ["gain", "split"]
    assert "permutation_vs_contribution" in whole["rank_disagreement"]
    for one in whole["features"]:
        assert (one["permutation"] == 0) == (one["name"] == "still")
    assert {one["permutation"] for one in bare["features"]} == {None}
    assert bare["scores_digest"] == whole["scores_digest"]


def test_permutation_costs_what_the_model_needs() -> None:
    """A score that is one feature loses its whole AUC with it, and nothing with the other."""
    rows = np.column_stack([np.arange(1000, dtype=np.float64), np.arange(1000, dtype=np.float64) % 7])
    labels = rows[:, 0] >= 500
    lost = permutation_importance(lambda m: m[:, 0] / 1000, rows, labels, np.random.Generator(np.random.PCG64(1)))
    assert lost is not None
    assert lost[0] == pytest.approx(0.5, abs=0.05)
    assert lost[1] == 0


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", SMALL)
def test_the_same_bytes_twice(algorithm: str, bench: Benches) -> None:
    """Other processes, hash seeds and folders give the same report, byte for byte; another seed other points."""
    data = mixed()
    model = trained(bench, algorithm, data)
    reports = []
    for number, (seed, hashed) in enumerate([(5, "0"), (5, "random"), (6, "0")]):
        desk = bench(f"job{number}")
        desk.channel("model", {path.name: path for path in model.iterdir()})
        desk.channel("data", snapshot(data))
        desk.given(seed=seed)
        variables = {"MUNIMENT_ML_ROOT": str(desk.root), "PYTHONPATH": str(SOURCE), "PYTHONHASHSEED": hashed}
        subprocess.run([sys.executable, "-s", "-P", "-m", "muniment.programs.explain"], env=variables, check=True)
        reports.append((desk.root / "output/data/report.json").read_bytes())
    assert reports[0] == reports[1] != reports[2]


def test_the_scores_are_those_of_an_evaluation(bench: Benches) -> None:
    """What is explained is what is measured: both reports name the same scores."""
    data = mixed()
    for algorithm in SMALL:
        model = trained(bench, algorithm, data)
        desk = bench(f"evaluate-{algorithm}")
        desk.channel("model", {path.name: path for path in model.iterdir()})
        desk.channel("data", snapshot(data))
        desk.given()
        evaluate(Job(desk.root))
        report = explained(bench, f"explain-{algorithm}", model, data)
        assert report["scores_digest"] == desk.result("report.json")["scores_digest"]


def test_of_many_rows_a_seeded_sample_is_explained(bench: Benches) -> None:
    """Beyond the most rows a sample is taken, and the report says so; the same seed takes the same rows."""
    data = mixed()
    model = trained(bench, "xgboost", data)
    found = [explained(bench, f"job{at}", model, data, rows=100, seed=seed) for at, seed in enumerate([1, 1, 2])]
    assert [one["rows"] for one in found] == [100] * 3
    assert found[0]["data"] == {"rows": 700, "content_digest": found[0]["data"]["content_digest"], "sampled": True}
    assert found[0] == found[1]
    assert found[0]["scores_digest"] != found[2]["scores_digest"]


def test_a_background_moves_linear_averages_and_trees_refuse_it(bench: Benches) -> None:
    """A linear model is explained against the chosen rows; contributions of trees have no such choice and say so."""
    data = mixed()
    background = data.slice(0, 50)
    linear = trained(bench, "logistic_regression", data)
    plain, chosen = explained(bench, "a", linear, data), explained(bench, "b", linear, data, background=background)
    assert (plain["background"]["of"], chosen["background"]["of"]) == ("the explained rows", "the background")
    assert chosen["background"]["rows"] == 50
    assert plain["expected_value"] != chosen["expected_value"]
    with pytest.raises(Invalid) as refused:
        explained(bench, "c", trained(bench, "xgboost", data), data, background=background)
    assert refused.value.code == "MUNI-D197"


def test_what_does_not_add_up_fails(bench: Benches) -> None:
    """An explanation of another model is never written: the job fails instead."""
    data = numbers()
    model = trained(bench, "logistic_regression", data)
    other = load(trained(bench, "xgboost", data)).scorer.explainer(np.empty((0, 4)))
    linear = load(model).scorer.explainer(load(model).encoding.matrix(data))

    class _Wrong:
        method, takes_background = linear.method, True
        contributions = staticmethod(linear.contributions)
        margin = staticmethod(other.margin)

    desk = bench("wrong")
    with pytest.raises(IntegrityError) as refused:
        _contributions(Job(desk.root), _Wrong(), load(model).encoding.matrix(data))
    assert refused.value.code == "MUNI-D538"
    assert not (desk.root / "output/data/report.json").exists()


def test_no_rows_and_foreign_models_are_refused(bench: Benches, tmp_path: Path) -> None:
    """Nothing can be explained on no rows; a folder without the platform's description is no model."""
    data = mixed()
    model = trained(bench, "xgboost", data)
    with pytest.raises(Invalid) as refused:
        explained(bench, "a", model, data.slice(0, 0))
    assert refused.value.code == "MUNI-D198"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "weights.bin").write_bytes(b"mine")
    with pytest.raises(Invalid) as refused:
        explained(bench, "b", foreign, data)
    assert refused.value.code == "MUNI-D119"


def test_a_wide_model_has_a_small_report(bench: Benches) -> None:
    """With many features, long names and the most curves a report stays below 1 MB."""
    rows, wide = 400, 300
    drawn = (keys(rows * wide, 2).reshape(wide, rows) % 1000).astype(np.float64) / 1000
    columns = {f"{'a long name of a column ' * 8}{number}": drawn[number] for number in range(wide)}
    data = pa.table({**columns, "y": (drawn[0] + drawn[1] > 1).astype(np.int64)})
    model = trained(bench, "lightgbm", data)
    report = explained(bench, "wide", model, data, top=30)
    assert (bench("wide").root / "output/data/report.json").stat().st_size < 1_000_000
    assert len(report["beeswarm"]["features"]) == 30
    assert {len(points) for points in report["beeswarm"]["points"].values()} == {300}


def test_the_report_holds_no_rare_value(bench: Benches) -> None:
    """A level that fewer than ten rows share is counted and stands nowhere in the report."""
    data = mixed()
    kinds = ["Ms Unique Name" if at == 5 else kind for at, kind in enumerate(data.column("kind").to_pylist())]
    data = data.set_column(1, "kind", pa.array(kinds, pa.string()))
    report = explained(bench, "a", trained(bench, "xgboost", data), data)
    curve = next(one for one in report["dependence"] if one["feature"] == "kind")
    assert (curve["rare"], sorted(curve["grid"])) == (1, ["a", "b", "c"])
    assert "Unique" not in json.dumps(report)


# --- Curves and ranks ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=30))
def test_rank_correlations_equal_the_oracle(drawn: list[tuple[int, int]]) -> None:
    """Kendall's tau-b and Spearman's rho are scipy's, with ties; None where scipy has none."""
    first, second = (np.array(side, np.float64) for side in zip(*drawn, strict=True))
    assert ranks(first) == pytest.approx(stats.rankdata(first))
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert kendall(first, second) is None
        assert spearman(first, second) is None
        return
    assert kendall(first, second) == pytest.approx(stats.kendalltau(first, second).statistic, abs=1e-12)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)


def test_disagreement_of_lists() -> None:
    """The same order gives 1, the reverse -1, a list without differences nothing, with the reason."""
    found, reasons = disagreement({"a": [3, 2, 1], "b": [30, 20, 10], "c": [1, 2, 3], "d": [0, 0, 0]})
    assert (found["a_vs_b"], found["a_vs_c"], found["a_vs_d"]) == (1, -1, None)
    assert set(reasons) == {"a_vs_d", "b_vs_d", "c_vs_d"}


def test_partial_dependence_of_an_additive_model_is_its_component() -> None:
    """For f(x) = 2 x0 + x1 the curve along x0 rises by 2 for each unit, whatever x1 is."""
    rows = np.array([[0.0, 5.0], [1.0, -3.0], [2.0, 4.0]])
    curve = partial_dependence(lambda m: 2 * m[:, 0] + m[:, 1], rows, 0, [0.0, 1.0, 10.0])
    assert curve == [2.0, 4.0, 22.0]


def test_dependence_recovers_a_component_and_counts_every_row() -> None:
    """Contributions that are a function of the value come back as that function; missing rows stand apart."""
    value = np.repeat(np.arange(5, dtype=np.float64), 20)
    value[:20] = np.nan
    found = dependence(value, np.where(np.isnan(value), -7.0, value**2), None)
    assert (found["grid"], found["mean"], found["n"]) == ([1, 2, 3, 4], [1, 4, 9, 16], [20] * 4)
    assert (found["missing"], found["rare"]) == ({"n": 20, "mean": -7.0}, 0)
    long = np.linspace(0, 1, 1000)
    found = dependence(long, long * 3, None)
    assert len(found["grid"]) == 20
    assert sum(found["n"]) == 1000
    assert found["mean"] == pytest.approx([3 * x for x in found["grid"]], abs=1e-4)
    assert dependence(np.full(30, np.nan), np.zeros(30), None)["grid"] == []


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 3) | st.floats(-50, 50), min_size=1, max_size=200), st.integers(0, 400))
def test_steps_cover_all_values_and_part_what_many_share(drawn: list[float], zeros: int) -> None:
    """At most 20 rising steps from the lowest value on; a value of many rows shares its step with no other."""
    known = np.array([*drawn, *[0.0] * zeros], np.float64)
    steps = grid(known)
    assert 1 <= len(steps) <= 20
    assert (np.diff(steps) > 0).all()
    assert steps[0] == known.min()
    place = np.searchsorted(steps, known, side="right") - 1
    spike = known == 0
    if spike.sum() > len(known) / 20:
        assert set(known[place == place[spike][0]]) == {0.0}


def test_points_are_scaled_between_percentiles() -> None:
    """Beyond the 95th percentile a value is shown as 1, below the 5th as 0, a missing or unordered one as nothing."""
    found = beeswarm(np.array([*range(100), 1e9]), np.zeros(101), ordered=True)
    assert [found[0]["v"], found[50]["v"], found[-1]["v"]] == [0, 0.5, 1]
    assert beeswarm(np.array([np.nan, 1.0]), np.zeros(2), ordered=True)[0]["v"] is None
    assert {one["v"] for one in beeswarm(np.array([0.0, 1.0]), np.zeros(2), ordered=False)} == {None}
    assert {one["v"] for one in beeswarm(np.array([4.0, 4.0]), np.zeros(2), ordered=True)} == {0.5}


@pytest.mark.parametrize(("value", "count", "shown"), [(0.1 + 0.2, 12, 0.3), (-0.0, 5, 0.0), (1234567.0, 3, 1.23e6)])
def test_digits(value: float, count: int, shown: float) -> None:
    """Numbers are cut to significant digits, and 0 has no sign."""
    assert digits(value, count) == shown
    assert math.copysign(1, digits(value, count)) == 1
