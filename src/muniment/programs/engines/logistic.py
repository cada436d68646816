"""Logistic regression by scikit-learn, kept as skops, with its preprocessing in ``model.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sklearn
import skops.io
from sklearn.linear_model import LogisticRegression

from muniment.programs.engines import Explainer, Look, Part, Progress, Scorer
from muniment.programs.engines.skops_files import settled
from muniment.programs.features import Encoding

FILE: Final = "model.skops"


def versions() -> dict[str, str]:
    """Versions of the libraries that a model rests on."""
    return {"scikit-learn": sklearn.__version__, "skops": skops.__version__}


@dataclass(frozen=True, slots=True)
class _Design:
    """Median for missing numbers, unit variance, one column for each level; a missing or unknown level has none set."""

    levels: tuple[int | None, ...]
    """Levels of each feature; None for a number."""

    median: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fitted(cls, matrix: np.ndarray, encoding: Encoding) -> _Design:
        median, mean, scale = [], [], []
        for number, feature in enumerate(encoding.features):
            values = matrix[:, number]
            known = values[~np.isnan(values)]
            if feature.categories is not None or not len(known):
                middle, centre, spread = 0.0, 0.0, 1.0
            else:
                middle = float(np.median(known))
                filled = np.where(np.isnan(values), middle, values)
                centre, spread = float(filled.mean()), float(filled.std()) or 1.0
            median.append(middle)
            mean.append(centre)
            scale.append(spread)
        levels = tuple(None if f.categories is None else len(f.categories) for f in encoding.features)
        return cls(levels, tuple(median), tuple(mean), tuple(scale))

    def document(self) -> dict[str, Any]:
        return {
            "kind": "median, standard score, one-hot",
            "levels": list(self.levels),
            "median": list(self.median),
            "mean": list(self.mean),
            "scale": list(self.scale),
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> _Design:
        return cls(*(tuple(document[name]) for name in ("levels", "median", "mean", "scale")))

    def apply(self, matrix: np.ndarray) -> np.ndarray:
        columns = []
        for number, levels in enumerate(self.levels):
            values = matrix[:, number]
            if levels is None:
                filled = np.where(np.isnan(values), self.median[number], values)
                columns.append(((filled - self.mean[number]) / self.scale[number])[:, None])
            else:
                columns.append((values[:, None] == np.arange(levels)).astype(np.float64))
        return np.ascontiguousarray(np.hstack(columns))


@dataclass(frozen=True, slots=True)
class _Logistic:
    estimator: Any
    design: _Design

    def score(self, matrix: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self.estimator.predict_proba(self.design.apply(matrix))[:, 1]
        return scores

    def dump(self) -> bytes:
        return settled(skops.io.dumps(self.estimator))

    def essence(self) -> dict[str, Any]:
        return {
            "coefficients": [float(value).hex() for value in self.estimator.coef_[0]],
            "intercept": float(self.estimator.intercept_[0]).hex(),
        }

    def preprocessing(self) -> dict[str, Any]:
        return self.design.document()

    def importances(self) -> list[float]:
        weights = iter(np.abs(self.estimator.coef_[0]))
        return [
            float(next(weights)) if levels is None else float(max((next(weights) for _ in range(levels)), default=0.0))
            for levels in self.design.levels
        ]

    def native(self) -> dict[str, list[float]]:
        return {"weight": self.importances()}

    def explainer(self, background: np.ndarray) -> Explainer:
        return _LinearContributions(
            self.design,
            np.asarray(self.estimator.coef_[0], np.float64),
            float(self.estimator.intercept_[0]),
            self.design.apply(background).mean(axis=0),
        )


@dataclass(frozen=True, slots=True)
class _LinearContributions:
    """Weight times distance from the mean of the background, summed over the columns that a feature became."""

    design: _Design
    weights: np.ndarray
    intercept: float
    centre: np.ndarray
    method: str = "exact linear contributions"
    takes_background: bool = True

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        parts = (self.design.apply(matrix) - self.centre) * self.weights
        found = np.empty((len(matrix), len(self.design.levels) + 1))
        column = 0
        for number, levels in enumerate(self.design.levels):
            width = 1 if levels is None else levels
            found[:, number] = parts[:, column : column + width].sum(axis=1)
            column += width
        found[:, -1] = self.intercept + float((self.weights * self.centre).sum())
        return found

    def margin(self, matrix: np.ndarray) -> np.ndarray:
        found: np.ndarray = (self.design.apply(matrix) * self.weights).sum(axis=1) + self.intercept
        return found


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
    matrix, labels = train
    design = _Design.fitted(matrix, encoding)
    estimator = LogisticRegression(
        C=parameters["C"],
        max_iter=parameters["max_iter"],
        tol=parameters["tol"],
        solver="lbfgs",
        class_weight=None if parameters["class_weight"] == "none" else "balanced",
    )
    estimator.fit(design.apply(matrix), labels.astype(np.int64))
    step, fitted = int(estimator.n_iter_[0]), _Logistic(estimator, design)
    parts = {"train": train} if validation is None else {"train": train, "validation": validation}
    if look is not None or validation is not None:
        progress(step, {f"{name}.logloss": _logloss(part[1], fitted.score(part[0])) for name, part in parts.items()})
    if look is not None:
        look("importance", step, {str(place): weight for place, weight in enumerate(fitted.importances())})
    return fitted


def _logloss(labels: np.ndarray, scores: np.ndarray) -> float:
    sure = np.clip(scores, 1e-15, 1 - 1e-15)
    return float(-np.where(labels, np.log(sure), np.log1p(-sure)).mean())


_TRUSTED: Final[list[str]] = []
"""skops' own list of types suffices; nothing is ever added to it from a file."""


def open_model(data: bytes, preprocessing: dict[str, Any], encoding: Encoding) -> Scorer:
    """Open a model file."""
    estimator = skops.io.loads(data, trusted=_TRUSTED)
    if type(estimator) is not LogisticRegression or estimator.coef_.dtype != np.float64:
        raise ValueError("not a logistic regression")
    return _Logistic(estimator, _Design.from_document(preprocessing))
