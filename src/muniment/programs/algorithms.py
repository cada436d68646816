"""The training algorithms and their parameters: the one table that the program, the command line and the docs read.

Standard library only. Names are those of the libraries, so that their documentation applies.
"""

from __future__ import annotations

from typing import Final

from muniment.programs.parameters import Kind, Parameter

__all__ = ["ALGORITHMS", "TRAINING", "training_parameters"]

TRAINING: Final = (
    Parameter(
        "algorithm", Kind.TEXT, "what to train", required=True, choices=("logistic_regression", "xgboost", "lightgbm")
    ),
    Parameter("target", Kind.TEXT, "column to predict; the snapshot's target unless given"),
    Parameter(
        "positive", Kind.TEXT, "value of the target that counts as positive; the greater of the two unless given"
    ),
    Parameter("drop", Kind.NAMES, "columns that are no features", ()),
    Parameter("keep_identifiers", Kind.BOOLEAN, "keep columns that look like identifiers as features", False),
    Parameter("threshold", Kind.NUMBER, "score from which a prediction is positive", 0.5, low=0, high=1),
    Parameter("seed", Kind.INTEGER, "seed of everything random", 0, low=0, high=2**31 - 1),
    Parameter(
        "validation_fraction",
        Kind.NUMBER,
        "share of the rows that is not learned from and whose loss is reported",
        0.0,
        low=0,
        high=0.9,
    ),
    Parameter("threads", Kind.INTEGER, "threads of the numerical libraries", 1, low=1, high=256),
)
"""Parameters of every training job."""

ALGORITHMS: Final[dict[str, tuple[Parameter, ...]]] = {
    "logistic_regression": (
        Parameter("C", Kind.NUMBER, "inverse strength of the L2 penalty", 1.0, low=1e-6, high=1e6),
        Parameter("max_iter", Kind.INTEGER, "most iterations of the solver", 1000, low=1, high=100_000),
        Parameter("tol", Kind.NUMBER, "tolerance of the solver", 1e-6, low=1e-12, high=0.1),
        Parameter("class_weight", Kind.TEXT, "weight of the classes", "none", choices=("none", "balanced")),
    ),
    "xgboost": (
        Parameter(
            "num_boost_round", Kind.INTEGER, "trees", 200, low=1, high=10_000, aliases=("n_estimators", "num_round")
        ),
        Parameter("eta", Kind.NUMBER, "learning rate", 0.05, low=1e-4, high=1, aliases=("learning_rate",)),
        Parameter("max_depth", Kind.INTEGER, "depth of a tree", 5, low=1, high=16),
        Parameter("min_child_weight", Kind.NUMBER, "least sum of hessians in a leaf", 5.0, low=0, high=1e6),
        Parameter("subsample", Kind.NUMBER, "share of the rows for each tree", 0.8, low=0.01, high=1),
        Parameter("colsample_bytree", Kind.NUMBER, "share of the features for each tree", 0.7, low=0.01, high=1),
        Parameter("reg_lambda", Kind.NUMBER, "L2 penalty on leaf values", 1.0, low=0, high=1e6, aliases=("lambda",)),
        Parameter("reg_alpha", Kind.NUMBER, "L1 penalty on leaf values", 0.0, low=0, high=1e6, aliases=("alpha",)),
        Parameter("gamma", Kind.NUMBER, "least gain of a cut", 0.0, low=0, high=1e6, aliases=("min_split_loss",)),
        Parameter("scale_pos_weight", Kind.NUMBER, "weight of the positive class", 1.0, low=1e-6, high=1e6),
        Parameter("max_bin", Kind.INTEGER, "bins of a feature", 256, low=2, high=4096),
    ),
    "lightgbm": (
        Parameter(
            "num_iterations",
            Kind.INTEGER,
            "trees",
            300,
            low=1,
            high=10_000,
            aliases=("n_estimators", "num_boost_round"),
        ),
        Parameter(
            "learning_rate", Kind.NUMBER, "learning rate", 0.03, low=1e-4, high=1, aliases=("eta", "shrinkage_rate")
        ),
        Parameter("num_leaves", Kind.INTEGER, "leaves of a tree", 15, low=2, high=4096),
        Parameter("max_depth", Kind.INTEGER, "depth of a tree; -1 for no bound", -1, low=-1, high=64),
        Parameter(
            "min_data_in_leaf",
            Kind.INTEGER,
            "least rows in a leaf",
            30,
            low=1,
            high=10_000_000,
            aliases=("min_child_samples",),
        ),
        Parameter(
            "bagging_fraction",
            Kind.NUMBER,
            "share of the rows for each tree",
            0.8,
            low=0.01,
            high=1,
            aliases=("subsample",),
        ),
        Parameter(
            "bagging_freq",
            Kind.INTEGER,
            "trees between two draws of rows; 0 for none",
            1,
            low=0,
            high=10_000,
            aliases=("subsample_freq",),
        ),
        Parameter(
            "feature_fraction",
            Kind.NUMBER,
            "share of the features for each tree",
            0.7,
            low=0.01,
            high=1,
            aliases=("colsample_bytree",),
        ),
        Parameter("lambda_l1", Kind.NUMBER, "L1 penalty on leaf values", 0.0, low=0, high=1e6, aliases=("reg_alpha",)),
        Parameter("lambda_l2", Kind.NUMBER, "L2 penalty on leaf values", 0.0, low=0, high=1e6, aliases=("reg_lambda",)),
        Parameter(
            "min_gain_to_split", Kind.NUMBER, "least gain of a cut", 0.0, low=0, high=1e6, aliases=("min_split_gain",)
        ),
        Parameter("scale_pos_weight", Kind.NUMBER, "weight of the positive class", 1.0, low=1e-6, high=1e6),
        Parameter("max_bin", Kind.INTEGER, "bins of a feature", 255, low=2, high=4096),
    ),
}
"""Parameters of each algorithm."""


def training_parameters(algorithm: str) -> tuple[Parameter, ...]:
    """Everything a training job with this algorithm may be told.

    Raises:
        Invalid: there is no such algorithm.
    """
    return TRAINING + ALGORITHMS[TRAINING[0].read(algorithm)]
