"""Boosted trees by LightGBM, kept as its text.

The library's text loader has an open out-of-bounds write: models are opened inside the sandbox and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import lightgbm
import numpy as np

from muniment.analytics.rules.trees import depth_of
from muniment.kernel.digest import Digest
from muniment.programs.engines import LOOKS, Explainer, Look, Part, Progress, Scorer
from muniment.programs.features import Encoding

FILE: Final = "model.txt"


def versions() -> dict[str, str]:
    """Versions of the libraries that a model rests on."""
    return {"lightgbm": lightgbm.__version__}


_PARAMETER_LINES: Final = re.compile(r"\nparameters:\n.*?\nend of parameters\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _LightGBM:
    booster: Any
    features: int

    def score(self, matrix: np.ndarray) -> np.ndarray:
        scores: np.ndarray = np.asarray(self.booster.predict(matrix, num_threads=1), np.float64)
        return scores

    def dump(self) -> bytes:
        return str(self.booster.model_to_string()).encode()

    def essence(self) -> dict[str, Any]:
        # The parameter lines hold the number of threads, which changes no prediction.
        return {"text": Digest.of(_PARAMETER_LINES.sub("\n", self.dump().decode()).encode())}

    def preprocessing(self) -> dict[str, Any]:
        return {"kind": "none"}

    def importances(self) -> list[float]:
        return self.native()["gain"]

    def native(self) -> dict[str, list[float]]:
        return {kind: [float(one) for one in self.booster.feature_importance(kind)] for kind in ("gain", "split")}

    def explainer(self, background: np.ndarray) -> Explainer:
        del background  # the trees' own counts of training rows stand in its place
        return _TreeContributions(self.booster)


@dataclass(frozen=True, slots=True)
class _TreeContributions:
    """The library's exact contributions (Lundberg et al. 2020, Nature Machine Intelligence 2), path-dependent."""

    booster: Any
    method: str = "exact tree contributions (path-dependent)"
    takes_background: bool = False

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        return np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=1), np.float64)

    def margin(self, matrix: np.ndarray) -> np.ndarray:
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=1), np.float64)


def fit(
    parameters: dict[str, Any],
    encoding: Encoding,
    train: Part,
    validation: Part | None,
    *,
    seed: int,
    threads: int,
    progress: Progress,
    look: Look | None,
) -> Scorer:
    """Train; equal input, seed and threads give equal bytes."""
    settings = {
        **parameters,
        "objective": "binary",
        "metric": ["binary_logloss", "auc"],
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        "feature_pre_filter": False,
    }
    rounds = settings.pop("num_iterations")
    categories = [number for number, feature in enumerate(encoding.features) if feature.categories is not None]
    names = [f"f{number}" for number in range(len(encoding.features))]

    def dataset(part: Part, reference: Any = None) -> Any:
        return lightgbm.Dataset(
            part[0],
            part[1].astype(np.float64),
            feature_name=names,
            categorical_feature=categories,
            reference=reference,
            params=settings,
            free_raw_data=True,
        )

    data = dataset(train)
    watched, labels = [data], ["train"]
    if validation is not None:
        watched.append(dataset(validation, data))
        labels.append("validation")

    every, seen = max(1, rounds // LOOKS), [0]

    def report(state: Any) -> None:
        progress(
            state.iteration,
            {f"{part}.{name.replace('binary_', '')}": value for part, name, value, *_ in state.evaluation_result_list},
        )
        done = state.iteration + 1
        if look is not None and (done % every == 0 or done == rounds):
            gains = state.model.feature_importance("gain")
            look("importance", state.iteration, {str(number): float(gain) for number, gain in enumerate(gains)})
            grown = state.model.dump_model(num_iteration=done - seen[0], start_iteration=seen[0])["tree_info"]
            seen[0] = done
            depths = [depth_of(one["tree_structure"], ("left_child", "right_child")) for one in grown]
            look("trees", state.iteration, {"depth": max(depths, default=0), "trees": len(depths)})

    booster = lightgbm.train(
        settings, data, rounds, valid_sets=watched, valid_names=labels, callbacks=[report], keep_training_booster=False
    )
    return _LightGBM(booster, len(names))


def open_model(data: bytes, preprocessing: dict[str, Any], encoding: Encoding) -> Scorer:
    """Open a model file."""
    booster = lightgbm.Booster(model_str=data.decode())
    if booster.num_feature() != len(encoding.features):
        raise ValueError("another number of features")
    return _LightGBM(booster, len(encoding.features))
