"""Boosted trees by XGBoost, kept as UBJSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xgboost

from muniment.analytics.rules.trees import depth_of
from muniment.kernel.digest import Digest
from muniment.programs.engines import LOOKS, Explainer, Look, Part, Progress, Scorer
from muniment.programs.features import Encoding

FILE: Final = "model.ubj"


def versions() -> dict[str, str]:
    """Versions of the libraries that a model rests on."""
    return {"xgboost": xgboost.__version__}


@dataclass(frozen=True, slots=True)
class _XGBoost:
    booster: Any
    encoding: Encoding

    def score(self, matrix: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self.booster.predict(_dmatrix(matrix, None, self.encoding)).astype(np.float64)
        return scores

    def dump(self) -> bytes:
        return bytes(self.booster.save_raw("ubj"))

    def essence(self) -> dict[str, Any]:
        return {"ubj": Digest.of(self.dump())}

    def preprocessing(self) -> dict[str, Any]:
        return {"kind": "none"}

    def importances(self) -> list[float]:
        return self._importance("total_gain")

    def native(self) -> dict[str, list[float]]:
        return {"gain": self._importance("total_gain"), "split": self._importance("weight")}

    def explainer(self, background: np.ndarray) -> Explainer:
        del background  # the trees' own counts of training rows stand in its place
        return _TreeContributions(self.booster, self.encoding)

    def _importance(self, kind: str) -> list[float]:
        found = self.booster.get_score(importance_type=kind)
        return [float(found.get(f"f{number}", 0.0)) for number in range(len(self.encoding.features))]


@dataclass(frozen=True, slots=True)
class _TreeContributions:
    """The library's exact contributions (Lundberg et al. 2020, Nature Machine Intelligence 2), path-dependent."""

    booster: Any
    encoding: Encoding
    method: str = "exact tree contributions (path-dependent)"
    takes_background: bool = False

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        data = _dmatrix(matrix, None, self.encoding)
        found: np.ndarray = self.booster.predict(data, pred_contribs=True).astype(np.float64)
        return found

    def margin(self, matrix: np.ndarray) -> np.ndarray:
        data = _dmatrix(matrix, None, self.encoding)
        found: np.ndarray = self.booster.predict(data, output_margin=True).astype(np.float64)
        return found


def _dmatrix(matrix: np.ndarray, labels: np.ndarray | None, encoding: Encoding) -> Any:
    kinds = ["c" if feature.categories is not None else "q" for feature in encoding.features]
    # Column names may hold characters that the library refuses: bound by place here, by name in model.json.
    names = [f"f{number}" for number in range(len(kinds))]
    return xgboost.DMatrix(matrix, labels, feature_names=names, feature_types=kinds, enable_categorical=True)


class _XGBoostProgress(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    def __init__(self, progress: Progress, look: Look | None, rounds: int, features: int) -> None:
        super().__init__()
        self._progress, self._look, self._features = progress, look, features
        self._every, self._last, self._seen = max(1, rounds // LOOKS), rounds - 1, 0

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self._progress(
            epoch, {f"{part}.{name}": values[-1] for part, found in evals_log.items() for name, values in found.items()}
        )
        if self._look is not None and ((epoch + 1) % self._every == 0 or epoch == self._last):
            found = model.get_score(importance_type="total_gain")
            gains = {str(number): float(found.get(f"f{number}", 0.0)) for number in range(self._features)}
            self._look("importance", epoch, gains)
            grown = model[self._seen : epoch + 1].get_dump(dump_format="json")
            self._seen = epoch + 1
            depths = [depth_of(json.loads(tree), ("children",)) for tree in grown]
            self._look("trees", epoch, {"depth": max(depths, default=0), "trees": len(depths)})
        return False


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
        "objective": "binary:logistic",
        "eval_metric": ["logloss", "auc"],
        "tree_method": "hist",
        "seed": seed,
        "nthread": threads,
        "verbosity": 0,
        "device": "cpu",
    }
    rounds = settings.pop("num_boost_round")
    data = _dmatrix(*train, encoding)
    watched = [(data, "train")]
    if validation is not None:
        watched.append((_dmatrix(*validation, encoding), "validation"))
    report = _XGBoostProgress(progress, look, rounds, len(encoding.features))
    booster = xgboost.train(settings, data, rounds, evals=watched, verbose_eval=False, callbacks=[report])
    return _XGBoost(booster, encoding)


def open_model(data: bytes, preprocessing: dict[str, Any], encoding: Encoding) -> Scorer:
    """Open a model file."""
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    return _XGBoost(booster, encoding)
