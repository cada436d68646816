"""Boosted trees by XGBoost, kept as UBJSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xgboost

from muniment.kernel.digest import Digest
from muniment.programs.engines import Explainer, Part, Progress, Scorer
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
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        del model
        self._progress(
            epoch, {f"{part}.{name}": values[-1] for part, found in evals_log.items() for name, values in found.items()}
        )
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
    booster = xgboost.train(
        settings, data, rounds, evals=watched, verbose_eval=False, callbacks=[_XGBoostProgress(progress)]
    )
    return _XGBoost(booster, encoding)


def open_model(data: bytes, preprocessing: dict[str, Any], encoding: Encoding) -> Scorer:
    """Open a model file."""
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    return _XGBoost(booster, encoding)
