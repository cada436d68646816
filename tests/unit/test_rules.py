"""Training rules: each fires just beyond its published threshold and not at it, and says what it saw."""

from __future__ import annotations

import math
from typing import Any

import pytest

from muniment.analytics.rules.events import is_training_loss, is_validation_loss
from muniment.analytics.rules.trees import depth_of
from muniment.analytics.rules.watch import Watch
from muniment.errors import Invalid
from muniment.programs.rules import DEFAULT, RULES, Family, read_rules


class Played:
    """A training of which one rule looks at what is reported."""

    def __init__(self, rule: str, *, stop: bool = False, others: Any = None, **settings: Any) -> None:
        plan = read_rules([], {rule: settings}, [rule] if stop else [], custom=False)
        self.rule = rule
        self.watch = Watch(plan["rules"], plan["stop_on"], (), others or {}, 0.0)

    def losses(self, *values: float, name: str = "loss", start: int = 0) -> Played:
        """Report losses at successive steps."""
        for step, value in enumerate(values, start):
            self.watch.scalar(name, step, value, float(step))
        return self

    def both(self, *pairs: tuple[float, float]) -> Played:
        """Report both losses at successive steps."""
        for step, (train, validation) in enumerate(pairs):
            self.watch.scalar("train.logloss", step, train, 0.0)
            self.watch.scalar("validation.logloss", step, validation, 0.0)
        return self

    def tensors(self, collection: str, *facts: dict[str, Any], name: str = "layer") -> Played:
        """Report summaries at successive steps."""
        for step, one in enumerate(facts):
            self.watch.summary(name, collection, step, one, 0.0)
        return self

    @property
    def state(self) -> str:
        """What the rule came to."""
        (verdict,) = [one for one in self.watch.verdicts() if one["rule"] == self.rule]
        return str(verdict["state"])


def matrix(*rows: list[int]) -> dict[str, Any]:
    """Labels and predictions as counts."""
    return {"matrix": [list(row) for row in rows]}


FALLING = [1.0 - 0.05 * step for step in range(11)]
CASES: list[tuple[Played, str]] = [
    (Played("AllZero").tensors("weight", {"size": 100, "zeros": 100}), "fired"),
    (Played("AllZero").tensors("weight", {"size": 100, "zeros": 99}), "quiet"),
    (Played("AllZero", threshold=99).tensors("weight", {"size": 100, "zeros": 99}), "fired"),
    (Played("TensorVariance").tensors("weight", {"var": 1e9}), "quiet"),
    (Played("TensorVariance", max_threshold=2).tensors("weight", {"var": 2.0}), "quiet"),
    (Played("TensorVariance", max_threshold=2).tensors("weight", {"var": 2.01}), "fired"),
    (Played("TensorVariance", min_threshold=2).tensors("weight", {"var": 1.99}), "fired"),
    (Played("ClassImbalance").tensors("confusion", matrix([1000, 0], [0, 100])), "quiet"),
    (Played("ClassImbalance").tensors("confusion", matrix([1001, 0], [0, 100])), "fired"),
    (Played("ClassImbalance").tensors("confusion", matrix([300, 0], [140, 60])), "quiet"),
    (Played("ClassImbalance").tensors("confusion", matrix([300, 0], [141, 59])), "fired"),
    (Played("ClassImbalance").tensors("confusion", matrix([490, 0], [0, 9])), "quiet"),
    (Played("Confusion").tensors("confusion", matrix([90, 10], [10, 90])), "quiet"),
    (Played("Confusion").tensors("confusion", matrix([89, 11], [0, 100])), "fired"),
    (Played("Confusion", min_diag=0.8).tensors("confusion", matrix([89, 11], [0, 100])), "fired"),
    (Played("Confusion", min_diag=0.8).tensors("confusion", matrix([89, 10, 1], [0, 9, 0], [0, 0, 9])), "quiet"),
    (Played("LossNotDecreasing").losses(*FALLING), "quiet"),
    (Played("LossNotDecreasing").losses(*[1.0] * 10), "quiet"),
    (Played("LossNotDecreasing").losses(*[1.0] * 11), "fired"),
    (Played("LossNotDecreasing").losses(*[1.0] * 10, 0.9989), "quiet"),
    (Played("LossNotDecreasing").losses(*[1.0] * 10, 0.9991), "fired"),
    (Played("LossNotDecreasing").losses(*FALLING[:-1], FALLING[-2] * 1.049), "quiet"),
    (Played("LossNotDecreasing").losses(*FALLING[:-1], FALLING[-2] * 1.06), "fired"),
    (Played("LossNotDecreasing", mode="EVAL").losses(*[1.0] * 11), "nothing to judge"),
    (Played("LossNotDecreasing", mode="EVAL").losses(*[1.0] * 11, name="val_loss"), "fired"),
    (Played("Overfit").both((10.0, 11.0), (10.0, 11.0), (10.0, 11.0)), "quiet"),
    (Played("Overfit").both((1.0, 1.2)), "quiet"),
    (Played("Overfit").both((1.0, 1.2), (1.0, 1.2)), "fired"),
    (Played("Overfit").both((1.0, 1.2), (1.0, 1.0), (1.0, 1.2)), "quiet"),
    (Played("Overfit", start_step=2).both((1.0, 1.2), (1.0, 1.2), (1.0, 1.2)), "quiet"),
    (Played("Overfit").losses(1.0, 1.0), "nothing to judge"),
    (Played("Overtraining").losses(*[1.0] * 6), "quiet"),
    (Played("Overtraining").losses(*[1.0] * 7), "fired"),
    (Played("Overtraining").losses(*[1.0] * 6, 0.98), "quiet"),
    (Played("Overtraining", patience_train=99).both(*[(1.0, 1.0)] * 11), "quiet"),
    (Played("Overtraining", patience_train=99).both(*[(1.0, 1.0)] * 12), "fired"),
    (Played("UnchangedTensor").tensors("weight", {}, {"close": True}), "quiet"),
    (Played("UnchangedTensor").tensors("weight", {}, {"close": True}, {"close": True}), "fired"),
    (Played("UnchangedTensor").tensors("weight", {}, {"close": True}, {"close": False}), "quiet"),
    (Played("FeatureImportanceOverweight").tensors("importance", {"a": 5, "b": 2, "c": 1, "d": 1, "e": 1}), "quiet"),
    (
        Played("FeatureImportanceOverweight").tensors("importance", {"a": 5, "b": 2, "c": 1.1, "d": 0.9, "e": 1}),
        "fired",
    ),
    (Played("FeatureImportanceOverweight").tensors("importance", {"a": 5, "b": 2, "c": 1}), "quiet"),
    (Played("TreeDepth").tensors("trees", {"depth": 4}), "quiet"),
    (Played("TreeDepth").tensors("trees", {"depth": 5}), "fired"),
    (Played("DeadRelu").tensors("relu", {"unit_active": [0.9, 1.0]}), "quiet"),
    (Played("DeadRelu").tensors("relu", {"unit_active": [0.9, 0.9, 1.0]}), "fired"),
    (Played("ExplodingTensor").tensors("gradient", {"nan": 0, "inf": 0}), "quiet"),
    (Played("ExplodingTensor").tensors("gradient", {"nan": 0, "inf": 1}), "fired"),
    (Played("ExplodingTensor", only_nan=True).tensors("gradient", {"nan": 0, "inf": 1}), "quiet"),
    (Played("ExplodingTensor", only_nan=True).tensors("gradient", {"nan": 1}), "fired"),
    (Played("ExplodingTensor").losses(1.0, math.nan), "fired"),
    (Played("ExplodingTensor").losses(1.0, 2.0), "quiet"),
    (Played("VanishingGradient").tensors("gradient", {"mean_abs": 1e-7}), "quiet"),
    (Played("VanishingGradient").tensors("gradient", {"mean_abs": 0.99e-7}), "fired"),
    (Played("VanishingGradient").tensors("weight", {"mean_abs": 0.0}), "nothing to judge"),
    (Played("PoorWeightInitialization").tensors("gradient", {"p5": 0.0, "p95": 0.001}), "quiet"),
    (Played("PoorWeightInitialization").tensors("gradient", {"p5": 0.0, "p95": 0.0009}), "fired"),
    (Played("PoorWeightInitialization").losses(*[1.0] * 6).tensors("gradient", {"p5": 0, "p95": 1}), "fired"),
    (Played("PoorWeightInitialization").losses(*[1.0] * 5).tensors("gradient", {"p5": 0, "p95": 1}), "quiet"),
    (
        Played("PoorWeightInitialization")
        .tensors("weight", {"var": 1.0}, name="a")
        .tensors("weight", {"var": 10.0}, name="b"),
        "quiet",
    ),
    (
        Played("PoorWeightInitialization")
        .tensors("weight", {"var": 1.0}, name="a")
        .tensors("weight", {"var": 10.1}, name="b"),
        "fired",
    ),
    (Played("SaturatedActivation").tensors("tanh", {"unit_active": [0.5, 50.0]}), "quiet"),
    (Played("SaturatedActivation").tensors("sigmoid", {"unit_active": [0.5, 0.5, 50.0]}), "fired"),
    (Played("WeightUpdateRatio").tensors("weight", {"mean_abs": 1.0}, {"update_mean_abs": 10.0}), "quiet"),
    (Played("WeightUpdateRatio").tensors("weight", {"mean_abs": 1.0}, {"update_mean_abs": 10.1}), "fired"),
    (Played("WeightUpdateRatio").tensors("weight", {"mean_abs": 1.0}, {"update_mean_abs": 0.9e-8}), "fired"),
    (Played("WeightUpdateRatio").tensors("weight", {"mean_abs": 1.0}), "nothing to judge"),
    (Played("CheckInputImages").tensors("image", *[{"samples": 250, "channel_mean": [0.2, 0.0]}] * 2), "quiet"),
    (Played("CheckInputImages").tensors("image", *[{"samples": 250, "channel_mean": [0.0, 0.21]}] * 2), "fired"),
    (Played("CheckInputImages").tensors("image", {"samples": 499, "channel_mean": [0.9]}), "quiet"),
    (Played("NLPSequenceRatio").tensors("sequence", {"size": 100, "tokens": {"0": 50}}), "quiet"),
    (Played("NLPSequenceRatio").tensors("sequence", {"size": 100, "tokens": {"0": 51}}), "fired"),
]


@pytest.mark.parametrize(
    ("played", "expected"), CASES, ids=[f"{one.rule}-{word}-{n}" for n, (one, word) in enumerate(CASES)]
)
def test_a_rule_fires_beyond_its_threshold_and_not_at_it(played: Played, expected: str) -> None:
    """Every rule, with its published defaults, at and around each of its bounds."""
    assert played.state == expected


def test_every_rule_has_a_case_that_fires_and_one_that_does_not() -> None:
    """A rule that is added is tested: it must fire somewhere and stay quiet somewhere."""
    tested = {(one.rule, expected) for one, expected in CASES}
    elsewhere = {"StalledTraining", "SimilarAcrossRuns", "MedianStop"}
    for rule in RULES:
        if rule.name not in elsewhere:
            assert {(rule.name, "fired"), (rule.name, "quiet")} <= tested


def test_silence_is_measured_by_the_clock_of_the_platform() -> None:
    """1,800 s of silence are let pass, more are not; what comes meanwhile starts the count again."""
    played = Played("StalledTraining")
    played.watch.tick(1800.0)
    assert played.state == "quiet"
    played.losses(1.0, start=1000)
    played.watch.tick(2800.0)
    assert played.state == "quiet"
    played.watch.tick(2801.0)
    assert played.state == "fired"
    assert played.watch.stopping == ""
    strict = Played("StalledTraining", stop_training_on_fire=True)
    strict.watch.tick(1801.0)
    assert strict.watch.stopping == "StalledTraining"


def test_another_run_is_met_within_tolerances() -> None:
    """The same value, or one within rtol and atol of it, is similar; a step that the other run lacks says nothing."""
    others = {"r1": {"loss": {0: 1.0, 1: 0.5}}}
    assert Played("SimilarAcrossRuns", others=others, other_trials=["r1"]).losses(1.0, 0.500004).state == "quiet"
    assert Played("SimilarAcrossRuns", others=others, other_trials=["r1"]).losses(1.0, 0.50001).state == "fired"
    assert Played("SimilarAcrossRuns", others=others, other_trials=["r1"]).losses(1.0, 0.5, 9.0).state == "quiet"


@pytest.mark.parametrize(
    ("maximise", "values", "state"),
    [
        (False, [0.9, 0.6, 0.51], "fired"),
        (False, [0.9, 0.6, 0.5], "quiet"),
        (False, [0.4, 0.6, 0.9], "quiet"),
        (True, [0.1, 0.2, 0.49], "fired"),
        (True, [0.1, 0.2, 0.5], "quiet"),
    ],
)
def test_a_trial_that_is_worse_than_the_median_of_others_is_stopped(
    maximise: bool, values: list[float], state: str
) -> None:
    """The best value so far counts, not the last one, and a trial at the median goes on."""
    played = Played(
        "MedianStop", stop=True, metric="validation.auc", curve={"2": 0.5}, warmup=1, maximise=maximise
    ).losses(*values, name="validation.auc")
    assert played.state == state
    assert played.watch.stopping == ("MedianStop" if state == "fired" else "")


def test_a_rule_keeps_what_it_found_first() -> None:
    """The verdict is of the first step that fired; what comes later does not change it."""
    played = Played("ExplodingTensor", stop=True).losses(1.0, math.nan, 1.0, math.inf)
    (verdict,) = played.watch.verdicts()
    assert (verdict["step"], verdict["stopped"]) == (1, True)
    assert verdict["message"] == "loss: the value is not a number"


def test_an_acknowledged_finding_is_kept_and_stops_nothing() -> None:
    """A portfolio with few defaults fires ClassImbalance by its nature: acknowledged, it is on record and goes on."""
    played = Played("ClassImbalance", stop=True, acknowledge="defaults are rare here")
    played.tensors("confusion", matrix([5000, 0], [100, 0]))
    (verdict,) = played.watch.verdicts()
    assert verdict["fired"]
    assert verdict["settings"]["acknowledge"] == "defaults are rare here"
    assert played.watch.stopping == ""


def test_two_classes_can_both_reach_the_bound_of_confusion() -> None:
    """Shares are of the observed class: by the published text no two classes could both be predicted well enough."""
    assert Played("Confusion").tensors("confusion", matrix([500, 0], [0, 500])).state == "quiet"


def test_the_depth_of_a_tree_is_walked_and_not_guessed_from_numbers() -> None:
    """A chain to one side of three cuts is three deep; heap numbers would make a leaf-wise tree look deeper."""
    chain = {"nodeid": 0, "children": [{"nodeid": 40, "children": [{"nodeid": 900, "children": [{"leaf": 1.0}]}]}]}
    assert depth_of(chain, ("children",)) == 3
    assert depth_of({"leaf": 1.0}, ("children",)) == 0
    assert depth_of({"left_child": {"leaf": 0}, "right_child": {"left_child": {}}}, ("left_child", "right_child")) == 2


@pytest.mark.parametrize(
    ("name", "train", "validation"),
    [
        ("loss", True, False),
        ("train_loss", True, False),
        ("train.logloss", True, False),
        ("val_loss", False, True),
        ("validation.logloss", False, True),
        ("eval/loss", False, True),
        ("auc", False, False),
        ("stop_loss_price", False, False),
    ],
)
def test_losses_are_known_by_their_names(name: str, train: bool, validation: bool) -> None:
    """The names that people use are told apart, and nothing else is taken for a loss."""
    assert (is_training_loss(name), is_validation_loss(name)) == (train, validation)


@pytest.mark.parametrize(
    "facts",
    [
        {"matrix": "x"},
        {"matrix": [[1, 2], [3]]},
        {"matrix": [[math.nan, 0], [0, 1]]},
        {"matrix": [[-1, 0], [0, 1]]},
        {"matrix": []},
        {},
    ],
)
def test_what_is_no_matrix_is_not_judged(facts: dict[str, Any]) -> None:
    """A job may report anything; what a rule cannot read it leaves."""
    assert Played("Confusion").tensors("confusion", facts).state == "nothing to judge"


@pytest.mark.parametrize(
    "collection", ["weight", "gradient", "relu", "tanh", "image", "sequence", "importance", "trees"]
)
def test_nothing_that_a_job_reports_breaks_a_rule(collection: str) -> None:
    """Facts of the wrong kinds are looked at by every rule, and none of them raises."""
    plan = read_rules(["all"], {}, [], custom=False)
    watch = Watch(plan["rules"], (), (), {}, 0.0)
    for value in (None, "x", [], ["x"], {}, math.nan, 10**400, -1, 1e308, True):
        keys = ("size", "zeros", "var", "nan", "inf", "mean_abs", "unit_active", "close", "samples", "channel_mean")
        for step in range(3):
            watch.summary("t", collection, step, dict.fromkeys((*keys, "tokens", "depth", "p5", "p95"), value), 0.0)
    assert len(watch.verdicts()) == len(plan["rules"])


@pytest.mark.parametrize(
    ("named", "settings", "stop_on", "code"),
    [
        (["Overfitt"], {}, [], "MUNI-N105"),
        ([], {"nope": {}}, [], "MUNI-N105"),
        ([], {}, ["none"], "MUNI-N105"),
        (["mine.py:check"], {}, [], "MUNI-N101"),
        ([], {"Overfit": {"patience": -1}}, [], "MUNI-D132"),
        ([], {"Overfit": {"patients": 1}}, [], "MUNI-D130"),
        ([], {"Overfit": 3}, [], "MUNI-N103"),
        (["SimilarAcrossRuns"], {}, [], "MUNI-D133"),
        ([], {"NLPSequenceRatio": {"token_values": []}}, [], "MUNI-N104"),
    ],
)
def test_a_rule_that_is_none_is_refused(named: list[str], settings: Any, stop_on: list[str], code: str) -> None:
    """Unknown names, settings and values are refused before anything runs, with the nearest name."""
    with pytest.raises(Invalid) as refused:
        read_rules(named, settings, stop_on, custom=False)
    assert refused.value.code == code


def test_a_job_has_at_most_twenty_rules() -> None:
    """The bound counts built-in rules and those of the user's own."""
    own = [f"mine.py:check{number}" for number in range(21)]
    assert len(read_rules(own[:20], {}, [], custom=True)["custom"]) == 20
    with pytest.raises(Invalid) as refused:
        read_rules(own, {}, [], custom=True)
    assert refused.value.code == "MUNI-N102"


def test_sets_of_rules_by_one_word() -> None:
    """``none`` is an empty plan, ``default`` the set of trainings, ``all`` everything that needs no more to be said."""
    assert read_rules(["none"], {}, [], custom=False) == {}
    assert tuple(read_rules(["default"], {}, [], custom=False)["rules"]) == DEFAULT
    everything = read_rules(["all"], {}, [], custom=False)["rules"]
    assert {"MedianStop", "SimilarAcrossRuns"}.isdisjoint(everything)
    assert len(everything) == len([one for one in RULES if one.family is not Family.SEARCH]) - 1
