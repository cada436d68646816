"""The training rules and their settings: the one table that jobs, the command line and the docs read.

Names and defaults are those of the SageMaker Debugger built-in rules. Standard library only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from muniment.errors import Invalid
from muniment.programs.parameters import Kind, Parameter, read_parameters

__all__ = ["DEFAULT", "RULES", "Family", "Rule", "read_rules"]

_MOST: Final = 20
_CUSTOM: Final = re.compile(r"(?!.*\.\./)[A-Za-z0-9_][A-Za-z0-9_./-]{0,180}\.py:[A-Za-z_][A-Za-z0-9_]{0,60}")


class Family(StrEnum):
    """What a rule looks at."""

    GENERIC = "generic"
    TREES = "gradient boosting"
    DEEP = "deep learning"
    SEARCH = "search"
    """Of a search for parameters, which sets it itself."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that a training can be watched by."""

    name: str
    family: Family
    meaning: str
    looks_at: str
    """What must be reported for it."""

    settings: tuple[Parameter, ...] = ()


def _number(name: str, meaning: str, default: float | None, low: float | None = 0.0) -> Parameter:
    return Parameter(name, Kind.NUMBER, meaning, default, low=low)


def _count(name: str, meaning: str, default: int, low: int = 1) -> Parameter:
    return Parameter(name, Kind.INTEGER, meaning, default, low=low)


_LOSS: Final = "the loss on the training rows, and on others where there are some"
_INACTIVITY: Final = (
    _number("threshold_inactivity", "percent of the rows below which a unit counts as inactive", 1.0),
    _number("threshold_layer", "percent of a layer's units that may be inactive", 50.0),
)

RULES: Final = (
    Rule(
        "AllZero",
        Family.GENERIC,
        "a tensor is zero",
        "tensors",
        (_number("threshold", "percent of zeros from which it fires", 100.0),),
    ),
    Rule(
        "TensorVariance",
        Family.GENERIC,
        "a tensor varies too much or too little",
        "tensors",
        (
            _number("max_threshold", "variance above which it fires", None),
            _number("min_threshold", "variance below which it fires", None),
        ),
    ),
    Rule(
        "ClassImbalance",
        Family.GENERIC,
        "one class is far larger than another, or mostly predicted wrongly",
        "labels and predictions",
        (
            _number("threshold_imbalance", "rows of the largest class over those of the smallest", 10.0),
            _number("threshold_misprediction", "share of a class that may be predicted wrongly", 0.7),
            _count("samples", "rows from which it looks", 500),
        ),
    ),
    Rule(
        "Confusion",
        Family.GENERIC,
        "a class is too rarely predicted as itself, or too often as another",
        "labels and predictions",
        (
            _number("min_diag", "least share of an observed class that is predicted as it", 0.9),
            _number("max_off_diag", "most share of an observed class that is predicted as one other", 0.1),
        ),
    ),
    Rule(
        "LossNotDecreasing",
        Family.GENERIC,
        "the loss has stopped falling, or rises",
        _LOSS,
        (
            _count("num_steps", "steps over which it must fall", 10),
            _number("diff_percent", "least decrease, percent", 0.1),
            _number("increase_threshold_percent", "most increase over the lowest within these steps, percent", 5.0),
            Parameter("mode", Kind.TEXT, "which losses", "GLOBAL", choices=("TRAIN", "EVAL", "GLOBAL")),
        ),
    ),
    Rule(
        "Overfit",
        Family.GENERIC,
        "the loss on other rows is well above that on the training rows",
        "both losses at the same steps",
        (
            _number("ratio_threshold", "most of (validation - training) / training", 0.1),
            _count("patience", "steps in a row that are let pass", 1, low=0),
            _count("start_step", "first step that counts", 0, low=0),
        ),
    ),
    Rule(
        "Overtraining",
        Family.GENERIC,
        "training goes on though a loss no longer improves",
        _LOSS,
        (
            _count("patience_train", "steps without improvement of the training loss", 5),
            _count("patience_validation", "steps without improvement of the validation loss", 10),
            _number("delta", "least decrease that counts as improvement", 0.01),
        ),
    ),
    Rule(
        "StalledTraining",
        Family.GENERIC,
        "nothing has been reported for long",
        "anything, and the clock of the platform",
        (
            _number("threshold", "seconds of silence", 1800.0),
            Parameter("stop_training_on_fire", Kind.BOOLEAN, "stop the job then", False),
        ),
    ),
    Rule(
        "UnchangedTensor",
        Family.GENERIC,
        "a tensor does not change",
        "tensors reported at several steps",
        (
            _count("num_steps", "reports that must be alike", 3, low=2),
            _number("rtol", "relative tolerance", 1e-5),
            _number("atol", "absolute tolerance", 1e-8),
        ),
    ),
    Rule(
        "SimilarAcrossRuns",
        Family.GENERIC,
        "a metric differs from what another run had at the same step",
        "metrics with the names and steps of the other run",
        (
            Parameter("other_trials", Kind.NAMES, "runs to compare with", required=True),
            _number("rtol", "relative tolerance", 1e-5),
            _number("atol", "absolute tolerance", 1e-8),
        ),
    ),
    Rule(
        "FeatureImportanceOverweight",
        Family.TREES,
        "few features hold nearly all importance",
        "importances",
        (
            _number("threshold", "share that the top features may hold", 0.8),
            _count("nfeatures", "so many top features", 3),
        ),
    ),
    Rule(
        "TreeDepth",
        Family.TREES,
        "a tree is deep",
        "depths of trees",
        (_count("depth", "levels of cuts that are let pass", 4),),
    ),
    Rule(
        "DeadRelu",
        Family.DEEP,
        "units of a ReLU layer are never active",
        "tensors of the collection relu, what comes out of the layer",
        _INACTIVITY,
    ),
    Rule(
        "ExplodingTensor",
        Family.DEEP,
        "a value is infinite or not a number",
        "tensors and losses",
        (Parameter("only_nan", Kind.BOOLEAN, "let infinite values pass", False),),
    ),
    Rule(
        "VanishingGradient",
        Family.DEEP,
        "a gradient is nearly zero",
        "tensors of the collection gradient",
        (_number("threshold", "mean absolute value below which it fires", 1e-7),),
    ),
    Rule(
        "PoorWeightInitialization",
        Family.DEEP,
        "layers start too unlike, gradients lie too close together, or the loss stands still from the start",
        "tensors of the collections weight and gradient, and the loss",
        (
            _number("threshold", "most ratio of the variances of two layers", 10.0),
            _number("distribution_range", "least distance of the 5th and 95th percentile of a gradient", 0.001),
            _count("patience", "steps that the loss may stand still", 5),
            _count("steps", "first steps that are looked at", 10),
        ),
    ),
    Rule(
        "SaturatedActivation",
        Family.DEEP,
        "units of a tanh or sigmoid layer are saturated",
        "tensors of the collections tanh and sigmoid, what goes into the layer",
        (
            _number("threshold_tanh_min", "input below which tanh is saturated", -9.4999, low=None),
            _number("threshold_tanh_max", "input above which tanh is saturated", 9.4999, low=None),
            _number("threshold_sigmoid_min", "input below which sigmoid is saturated", -23.0, low=None),
            _number("threshold_sigmoid_max", "input above which sigmoid is saturated", 16.99999, low=None),
            *_INACTIVITY,
        ),
    ),
    Rule(
        "WeightUpdateRatio",
        Family.DEEP,
        "weights move too far or too little",
        "tensors of the collection weight at several steps",
        (
            _number("large_threshold", "mean update over mean weight above which it fires", 10.0),
            _number("small_threshold", "mean update over mean weight below which it fires", 1e-8),
            _number("epsilon", "added to the mean weight", 1e-9),
        ),
    ),
    Rule(
        "CheckInputImages",
        Family.DEEP,
        "images that go in are not centred",
        "tensors of the collection image, shaped N, C, ...",
        (
            _number("threshold_mean", "most distance of a channel's mean from 0", 0.2),
            _count("threshold_samples", "images from which it looks", 500),
        ),
    ),
    Rule(
        "NLPSequenceRatio",
        Family.DEEP,
        "a token, such as padding, makes up most of a batch",
        "tensors of the collection sequence",
        (
            Parameter("token_values", Kind.NAMES, "tokens that are counted", ("0",)),
            Parameter("token_thresholds_percent", Kind.NAMES, "most percent of each", ("50",)),
        ),
    ),
    Rule(
        "MedianStop",
        Family.SEARCH,
        "a trial is worse than the median of others at the same step",
        "the metric that a search watches",
        (
            Parameter("metric", Kind.TEXT, "the metric", required=True),
            Parameter("curve", Kind.MAPPING, "median of the other trials by step", {}),
            _count("warmup", "first step that counts", 10, low=0),
            Parameter("maximise", Kind.BOOLEAN, "whether larger is better", False),
        ),
    ),
)
"""Every rule."""

_BY_NAME: Final = {rule.name: rule for rule in RULES}

DEFAULT: Final = (
    "ExplodingTensor",
    "LossNotDecreasing",
    "Overfit",
    "StalledTraining",
    "ClassImbalance",
    "FeatureImportanceOverweight",
)
"""What a training is watched by when nobody says otherwise."""

_ACKNOWLEDGE: Final = Parameter("acknowledge", Kind.TEXT, "why a finding of this rule is expected of this model")


def read_rules(
    named: Sequence[str],
    settings: Mapping[str, Any],
    stop_on: Sequence[str],
    *,
    custom: bool,
) -> dict[str, Any]:
    """What a job is watched by, with every setting filled in, as it stands in the plan; empty for nothing.

    Args:
        named: names of rules, ``default``, ``all`` or ``none``, and ``FILE.py:FUNCTION`` for one of the user's own.
        settings: by rule, settings that differ from the defaults.
        stop_on: rules that stop the job when they fire.
        custom: whether the job has a source tree in which rules of the user's own may lie.

    Raises:
        Invalid: a rule or a setting is unknown or out of range, there are too many, or a rule of the user's own is
            named where there is no source tree.
    """
    wanted: dict[str, None] = {}
    own: dict[str, None] = {}
    for name in [*named, *stop_on]:
        if name == "default":
            wanted |= dict.fromkeys(DEFAULT)
        elif name == "all":
            wanted |= {
                rule.name: None
                for rule in RULES
                if rule.family is not Family.SEARCH and not any(one.required for one in rule.settings)
            }
        elif name == "none" and name not in stop_on:
            continue
        elif name in _BY_NAME:
            wanted[name] = None
        elif _CUSTOM.fullmatch(name):
            own[name] = None
        else:
            raise _unknown(name)
    for name in settings:
        if name not in _BY_NAME:
            raise _unknown(name)
        wanted[name] = None
    if own and not custom:
        raise Invalid(
            "MUNI-N101",
            "a rule of your own lies in the source tree of a script, and a built-in training has none",
            rules=list(own)[:5],
            do="run a script with it: muni run train.py --rule mine.py:check",
        )
    if len(wanted) + len(own) > _MOST:
        raise Invalid("MUNI-N102", "a job has at most 20 rules", given=len(wanted) + len(own), most=_MOST)
    if not wanted and not own:
        return {}
    rules = {name: _settings(name, settings.get(name, {})) for name in wanted}
    return {"rules": rules, "stop_on": list(dict.fromkeys(stop_on)), "custom": list(own)}


def _settings(name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise Invalid("MUNI-N103", f"the settings of {name} are no mapping", rule=name, type=type(given).__name__)
    values = read_parameters(given, (*_BY_NAME[name].settings, _ACKNOWLEDGE))
    if values["acknowledge"] is None:
        del values["acknowledge"]
    if name == "NLPSequenceRatio":
        values["token_thresholds_percent"] = [_percent(one) for one in values["token_thresholds_percent"]]
        if not values["token_values"] or not values["token_thresholds_percent"]:
            raise Invalid("MUNI-N104", "NLPSequenceRatio needs tokens, and a percentage for them", rule=name)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def _percent(text: str) -> float:
    read: float = _number("token_thresholds_percent", "", 50.0).read(text)
    return read


def _unknown(name: str) -> Invalid:
    near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.5)
    return Invalid(
        "MUNI-N105",
        f"there is no rule {name[:60]!r}",
        given=name[:200],
        known=[rule.name for rule in RULES if rule.family is not Family.SEARCH],
        do=f"did you mean {near[0]}?" if near else "name one of the known rules, default, all or none",
    )
