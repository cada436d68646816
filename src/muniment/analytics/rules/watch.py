"""All rules of one training, fed with what it reports, and what they came to. No clock: moments come with events.

A rule fires once; what it found first is its verdict. A rule that never saw what it looks at says so, which is another
thing than having looked and found nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from muniment.analytics.rules import classes, scalars, tensors, trees
from muniment.analytics.rules.events import Finding, Scalar, Summary, is_training_loss, is_validation_loss

__all__ = ["Watch"]

_WINDOW: Final = 1_000
_SERIES: Final = 2_000
_LARGEST: Final = 1e300
_MESSAGE: Final = 400
_SPECIAL: Final = frozenset({"importance", "confusion", "trees", "sequence"})
"""Collections that hold no tensor of the model."""

Settings = Mapping[str, Any]
Others = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Of other runs: value by run, metric and step."""


class Watch:
    """Looks at events as they come."""

    def __init__(
        self,
        rules: Mapping[str, Settings],
        stop_on: Collection[str],
        custom: Collection[str],
        others: Others,
        start: float,
    ) -> None:
        """Begin.

        Args:
            rules: built-in rules by name, each with every one of its settings.
            stop_on: rules that stop the training when they fire.
            custom: rules of the user's own, whose findings come from inside.
            others: of runs to compare with, their values.
            start: moment, in seconds.
        """
        self._rules, self._stop_on, self._custom, self._others = rules, frozenset(stop_on), tuple(custom), others
        self._found: dict[str, Finding] = {}
        self._seen: dict[str, int] = dict.fromkeys([*rules, *custom], 0)
        self._last, self.stopping = start, ""
        """Name of the rule that wants the training stopped; empty for none."""
        self._series: dict[str, deque[Scalar]] = {}
        self._tensors: dict[str, deque[Summary]] = {}
        self._train_name = self._validation_name = ""
        self._weights: deque[Summary] = deque(maxlen=_WINDOW)
        self._gradients: deque[Summary] = deque(maxlen=_WINDOW)

    def scalar(self, name: str, step: int | None, value: float, at: float) -> None:
        """Look at a number; without a step it is the next of its name."""
        self._last = at
        series = self._series.get(name)
        if series is None:
            if len(self._series) >= _SERIES:
                return
            series = self._series[name] = deque(maxlen=_WINDOW)
        series.append(Scalar(step if step is not None else (series[-1].step + 1 if series else 0), value))
        training, validation = is_training_loss(name), is_validation_loss(name)
        if training or validation:
            self._train_name = self._train_name or (name if training else "")
            self._validation_name = self._validation_name or (name if validation else "")
            self._look("ExplodingTensor", lambda only_nan: scalars.exploding_scalar(series, only_nan=only_nan), name)
            self._losses(training=name == self._train_name, validation=name == self._validation_name)
        for run, known in self._others.items():
            if name in known:
                self._look(
                    "SimilarAcrossRuns",
                    lambda other_trials, rtol, atol, known=known[name]: scalars.similar_across_runs(
                        series, known, rtol=rtol, atol=atol
                    ),
                    f"{name} of {run}",
                )
        if self._rules.get("MedianStop", {}).get("metric") == name:
            self._look("MedianStop", lambda **given: _median(series, **given), name)

    def summary(self, name: str, collection: str, step: int, facts: Mapping[str, Any], at: float) -> None:
        """Look at a tensor's summary."""
        self._last = at
        if collection == "confusion":
            self._matrix(step, facts)
        elif collection == "importance":
            values = {str(key): float(value) for key, value in facts.items() if _is_number(value) and value >= 0}
            self._look(
                "FeatureImportanceOverweight",
                lambda **given: trees.feature_importance_overweight(step, values, **given),
            )
        elif collection == "trees":
            found = facts.get("depth")
            if isinstance(found, int) and not isinstance(found, bool):
                self._look("TreeDepth", lambda depth: trees.tree_depth(step, found, threshold=depth))
        else:
            self._tensor(Summary(name, step, facts), collection)

    def told(self, rule: str, fired: bool, step: int, message: str, facts: Mapping[str, Any], at: float) -> None:
        """Take what a rule of the user's own came to, if it was declared."""
        self._last = at
        if rule in self._custom:
            finding = Finding(step, message, facts) if fired else None
            self._take(rule, finding)

    def tick(self, at: float) -> None:
        """Time goes by."""
        if self._rules.get("StalledTraining") is not None and "StalledTraining" not in self._found:
            settings = self._rules["StalledTraining"]
            finding = scalars.stalled_training(self._last, at, threshold=settings["threshold"])
            self._take("StalledTraining", finding)
            if finding is not None and settings["stop_training_on_fire"]:
                self.stopping = self.stopping or "StalledTraining"

    def verdicts(self) -> list[dict[str, Any]]:
        """What each rule came to, in the order they were named; finite numbers only."""
        found = []
        for rule in (*self._rules, *self._custom):
            finding = self._found.get(rule)
            if finding is None:
                state = "quiet" if self._seen[rule] else "nothing to judge"
                finding = Finding(-1, "" if self._seen[rule] else "nothing that it looks at was reported")
            else:
                state = "fired"
            found.append(
                {
                    "rule": rule,
                    "fired": state == "fired",
                    "state": state,
                    "step": finding.step if state == "fired" else None,
                    "message": finding.message[:_MESSAGE],
                    "facts": _plain(finding.facts),
                    "looks": self._seen[rule],
                    "stopped": self.stopping == rule,
                    "settings": {key: _plain_value(value) for key, value in self._rules.get(rule, {}).items()},
                }
            )
        return found

    def _losses(self, *, training: bool, validation: bool) -> None:
        train = self._series.get(self._train_name, deque())
        other = self._series.get(self._validation_name, deque())
        mode = self._rules.get("LossNotDecreasing", {}).get("mode", "GLOBAL")
        for mine, series, modes in ((training, train, ("TRAIN", "GLOBAL")), (validation, other, ("EVAL", "GLOBAL"))):
            if mine and mode in modes:
                self._look(
                    "LossNotDecreasing",
                    lambda num_steps, diff_percent, increase_threshold_percent, mode, series=series: (
                        scalars.loss_not_decreasing(
                            series,
                            num_steps=num_steps,
                            diff_percent=diff_percent,
                            increase_threshold_percent=increase_threshold_percent,
                        )
                    ),
                )
        if train and other:
            self._look("Overfit", lambda **given: scalars.overfit(train, other, **given))
        self._look("Overtraining", lambda **given: scalars.overtraining(train, other, **given))
        if training:
            self._initialisation()

    def _matrix(self, step: int, facts: Mapping[str, Any]) -> None:
        matrix = facts.get("matrix")
        good = isinstance(matrix, list) and all(
            isinstance(row, list) and len(row) == len(matrix) and all(_is_number(cell) and cell >= 0 for cell in row)
            for row in matrix
        )
        if good and isinstance(matrix, list) and matrix:
            self._look("ClassImbalance", lambda **given: classes.class_imbalance(step, matrix, **given))
            self._look("Confusion", lambda **given: classes.confusion(step, matrix, **given))

    def _tensor(self, one: Summary, collection: str) -> None:
        if one.name not in self._tensors and len(self._tensors) >= _SERIES:
            return
        window = self._tensors.setdefault(one.name, deque(maxlen=_WINDOW))
        window.append(one)
        seen: list[tuple[str, Callable[..., Finding | None]]] = []
        if collection == "sequence":
            seen.append(("NLPSequenceRatio", tensors.nlp_sequence_ratio))
        else:
            seen += [
                ("AllZero", tensors.all_zero),
                ("TensorVariance", tensors.tensor_variance),
                ("ExplodingTensor", tensors.exploding_tensor),
            ]
            if len(window) > 1:
                seen.append(("UnchangedTensor", _unchanged))
        if collection == "relu":
            seen.append(("DeadRelu", tensors.dead_relu))
        if collection in ("tanh", "sigmoid"):
            seen.append(("SaturatedActivation", _saturated))
        if collection == "image":
            seen.append(("CheckInputImages", tensors.check_input_images))
        if collection == "gradient":
            seen.append(("VanishingGradient", tensors.vanishing_gradient))
            self._gradients.append(one)
        if collection == "weight":
            if len(window) > 1:
                seen.append(("WeightUpdateRatio", tensors.weight_update_ratio))
            self._weights.append(one)
        for rule, function in seen:
            self._look(rule, lambda function=function, **given: function(list(window), **given))
        if collection in ("gradient", "weight"):
            self._initialisation()

    def _initialisation(self) -> None:
        weights, gradients = list(self._weights), list(self._gradients)
        if weights or gradients:
            losses = list(self._series.get(self._train_name, ()))
            self._look(
                "PoorWeightInitialization",
                lambda **given: tensors.poor_weight_initialization(weights, gradients, losses, **given),
            )

    def _look(self, rule: str, judge: Callable[..., Finding | None], what: str = "") -> None:
        settings = self._rules.get(rule)
        if settings is None or rule in self._found:
            return
        finding = judge(**{key: value for key, value in settings.items() if key != "acknowledge"})
        if finding is not None and what:
            finding = Finding(finding.step, f"{what}: {finding.message}", finding.facts)
        self._take(rule, finding)

    def _take(self, rule: str, finding: Finding | None) -> None:
        self._seen[rule] += 1
        if finding is not None and rule not in self._found:
            self._found[rule] = finding
            acknowledged = bool(self._rules.get(rule, {}).get("acknowledge"))
            if rule in self._stop_on and not self.stopping and not acknowledged:
                self.stopping = rule


def _median(
    series: Sequence[Scalar], *, metric: str, curve: Mapping[str, float], warmup: int, maximise: bool
) -> Finding | None:
    del metric
    by_step = {int(step): value for step, value in curve.items()}
    return scalars.median_stop(series, by_step, warmup=warmup, maximise=maximise)


def _unchanged(window: Sequence[Summary], *, num_steps: int, rtol: float, atol: float) -> Finding | None:
    del rtol, atol  # the tolerances hold inside the job, where the tensors are compared
    return tensors.unchanged_tensor(window, num_steps=num_steps)


def _saturated(window: Sequence[Summary], **given: Any) -> Finding | None:
    wanted = ("threshold_inactivity", "threshold_layer")  # the bounds hold inside the job, where units are counted
    return tensors.saturated_activation(window, **{key: given[key] for key in wanted})


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key)[:80]: _plain_value(value) for key, value in list(facts.items())[:20]}


def _plain_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, (list, tuple)):
        return [_plain_value(one) for one in value[:20]]
    if isinstance(value, Mapping):
        return {str(key)[:80]: _plain_value(one) for key, one in list(value.items())[:500]}
    return value if value is None or isinstance(value, bool) else str(value)[:_MESSAGE]
