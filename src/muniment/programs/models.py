"""Models as files that carry no code: ``model.json`` beside XGBoost UBJSON, LightGBM text or skops.

A model is opened only inside the sandbox: a safe format is not a safe parser. ``model.json`` names the features, the classes, the
preprocessing, the file and its digest; the *canonical digest* covers what decides predictions and nothing else, so that it is
equal for equal models even where a library writes other bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import lightgbm
import numpy as np
import pyarrow as pa
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression

from muniment.errors import IntegrityError, Invalid
from muniment.kernel.canonical import canonical, digest_of
from muniment.kernel.digest import Digest
from muniment.programs.features import Encoding, Target
from muniment.programs.model_formats import HEAD_BYTES, refuse_code

__all__ = ["Model", "fit", "load"]

FORMAT: Final = "muniment.model/1"
Progress = Callable[[int, dict[str, float]], None]
"""Takes the step and the metrics of that step."""


class _Scorer(Protocol):
    """A fitted algorithm."""

    file: str

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Probability of the positive class for each row, float64."""

    def dump(self) -> bytes:
        """The model file."""

    def essence(self) -> dict[str, Any]:
        """What decides predictions, as canonical JSON."""

    def preprocessing(self) -> dict[str, Any]:
        """What happens to the features before the algorithm sees them."""

    def importances(self) -> list[float]:
        """The library's own importance of each feature."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can score tables."""

    algorithm: str
    parameters: dict[str, Any]
    encoding: Encoding
    target: Target
    threshold: float
    scorer: _Scorer

    def score(self, table: pa.Table) -> np.ndarray:
        """Probability of the positive class for each row, float64.

        Raises:
            Invalid: the table does not have the model's features.
        """
        return self.scorer.score(self.encoding.matrix(table))

    def document(self, dumped: bytes) -> dict[str, Any]:
        """``model.json``."""
        features = [feature.document() for feature in self.encoding.features]
        classes = [self.target.negative, self.target.positive]
        preprocessing = self.scorer.preprocessing()
        essence = {
            "algorithm": self.algorithm,
            "features": features,
            "classes": classes,
            "preprocessing": _exact(preprocessing),
            "model": self.scorer.essence(),
        }
        return {
            "format": FORMAT,
            "algorithm": self.algorithm,
            "parameters": self.parameters,
            "libraries": library_versions(self.algorithm),
            "features": features,
            "target": self.target.name,
            "classes": classes,
            "positive": self.target.positive,
            "preprocessing": preprocessing,
            "threshold": self.threshold,
            "file": self.scorer.file,
            "file_digest": Digest.of(dumped),
            "canonical_digest": digest_of(essence),
        }

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model's files; returns ``model.json``."""
        dumped = self.scorer.dump()
        document = self.document(dumped)
        (folder / self.scorer.file).write_bytes(dumped)
        (folder / "model.json").write_bytes(canonical(document))
        return document


def fit(
    algorithm: str,
    parameters: dict[str, Any],
    encoding: Encoding,
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None,
    *,
    seed: int,
    threads: int,
    progress: Progress,
) -> _Scorer:
    """Train an algorithm on a matrix and labels; the same bytes for the same input, seed and threads."""
    return _FIT[algorithm](parameters, encoding, train, validation, seed, threads, progress)


def load(folder: Path) -> Model:
    """Open a model.

    Raises:
        Invalid: there is no model, its format is unknown, or a file would run code.
        IntegrityError: the model file is not the one that ``model.json`` names, or it does not open.
    """
    path = folder / "model.json"
    if not path.exists():
        for other in sorted(folder.iterdir()):
            _refuse_code(other)
        raise Invalid("MUNI-D186", "the model has no model.json", do="give a model that was trained by this platform")
    try:
        document = json.loads(path.read_bytes())
        algorithm = document["algorithm"]
        if document["format"] != FORMAT or algorithm not in _OPEN:
            raise Invalid("MUNI-D186", "the model's format is unknown", format=str(document["format"])[:40],
                          algorithm=str(algorithm)[:40], known=sorted(_OPEN), do="give a model of a known format")
        scorer_file = folder / _FILES[algorithm]
        encoding = Encoding.from_document(document["features"])
        target = Target(document["target"], *document["classes"])
        expected = document["file_digest"]
        preprocessing, threshold = document["preprocessing"], float(document["threshold"])
        parameters = dict(document["parameters"])
    except (KeyError, TypeError, ValueError) as broken:
        raise Invalid("MUNI-D186", "model.json is damaged", detail=type(broken).__name__, do="give the model again") from broken
    _refuse_code(scorer_file)
    data = scorer_file.read_bytes()
    if Digest.of(data) != expected:
        raise IntegrityError("MUNI-D534", "the model file is not the one that model.json names", expected=expected,
                             found=Digest.of(data))
    try:
        scorer = _OPEN[algorithm](data, preprocessing, encoding)
    except Exception as broken:
        raise IntegrityError("MUNI-D535", "the model file does not open", type=type(broken).__name__) from broken
    return Model(algorithm, parameters, encoding, target, threshold, scorer)


def library_versions(algorithm: str) -> dict[str, str]:
    """Versions of the libraries that a model of this algorithm rests on."""
    versions = {"numpy": np.__version__, "pyarrow": pa.__version__}
    if algorithm == "xgboost":
        return {**versions, "xgboost": xgboost.__version__}
    if algorithm == "lightgbm":
        return {**versions, "lightgbm": lightgbm.__version__}
    import sklearn

    return {**versions, "scikit-learn": sklearn.__version__, "skops": skops.__version__}


def _refuse_code(path: Path) -> None:
    if not path.is_file():
        raise Invalid("MUNI-D186", f"the model file {path.name[:80]!r} is missing", file=path.name[:80], do="give all model files")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, size - HEAD_BYTES))
        refuse_code(path.name, head, size, file.read(HEAD_BYTES))


def _exact(value: Any) -> Any:
    """Floats as hexadecimal text, so that a digest means the bits."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {key: _exact(inner) for key, inner in value.items()}
    return [_exact(inner) for inner in value] if isinstance(value, (list, tuple)) else value


# --- XGBoost ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _XGBoost:
    booster: Any
    encoding: Encoding
    file: str = "model.ubj"

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
        gains = self.booster.get_score(importance_type="total_gain")
        return [float(gains.get(f"f{number}", 0.0)) for number in range(len(self.encoding.features))]


def _dmatrix(matrix: np.ndarray, labels: np.ndarray | None, encoding: Encoding) -> Any:
    kinds = ["c" if feature.categories is not None else "q" for feature in encoding.features]
    # Names of columns may hold characters that the library refuses; the features are bound by place here, by name in model.json.
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


def _fit_xgboost(
    parameters: dict[str, Any], encoding: Encoding, train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None, seed: int, threads: int, progress: Progress,
) -> _Scorer:
    settings = {
        **parameters, "objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "tree_method": "hist", "seed": seed,
        "nthread": threads, "verbosity": 0, "device": "cpu",
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


def _open_xgboost(data: bytes, preprocessing: dict[str, Any], encoding: Encoding) -> _Scorer:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    return _XGBoost(booster, encoding)


# --- LightGBM ---------------------------------------------------------------------------------------------------------

_PARAMETER_LINES: Final = re.compile(r"\nparameters:\n.*?\nend of parameters\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _LightGBM:
    booster: Any
    features: int
    file: str = "model.txt"

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
        return [float(gain) for gain in self.booster.feature_importance("gain")]


def _fit_lightgbm(
    parameters: dict[str, Any], encoding: Encoding, train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None, seed: int, threads: int, progress: Progress,
) -> _Scorer:
    settings = {
        **parameters, "objective": "binary", "metric": ["binary_logloss", "auc"], "seed": seed, "num_threads": threads,
        "deterministic": True, "force_row_wise": True, "verbosity": -1, "feature_pre_filter": False,
    }
    rounds = settings.pop("num_iterations")
    categories = [number for number, feature in enumerate(encoding.features) if feature.categories is not None]
    names = [f"f{number}" for number in range(len(encoding.features))]

    def dataset(part: tuple[np.ndarray, np.ndarray], reference: Any = None) -> Any:
        return lightgbm.Dataset(
            part[0], part[1].astype(np.float64), feature_name=names, categorical_feature=categories, reference=reference,
            params=settings, free_raw_data=True,
        )

    data = dataset(train)
    watched, labels = [data], ["train"]
    if validation is not None:
        watched.append(dataset(validation, data))
        labels.append("validation")

    def report(state: Any) -> None:
        progress(
            state.iteration,
            {f"{part}.{name.replace('binary_', '')}": value for part, name, value, *_ in state.evaluation_result_list},
        )

    booster = lightgbm.train(
        settings, data, rounds, valid_sets=watched, valid_names=labels, callbacks=[report], keep_training_booster=False
    )
    return _LightGBM(booster, len(names))


def _open_lightgbm(data: bytes, preprocessing: dict[str, Any], encoding: Encoding) -> _Scorer:
    booster = lightgbm.Booster(model_str=data.decode())
    if booster.num_feature() != len(encoding.features):
        raise ValueError("another number of features")
    return _LightGBM(booster, len(encoding.features))


# --- logistic regression ----------------------------------------------------------------------------------------------


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
            "kind": "median, standard score, one-hot", "levels": list(self.levels), "median": list(self.median),
            "mean": list(self.mean), "scale": list(self.scale),
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
    file: str = "model.skops"

    def score(self, matrix: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self.estimator.predict_proba(self.design.apply(matrix))[:, 1]
        return scores

    def dump(self) -> bytes:
        return _settled(skops.io.dumps(self.estimator))

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


def _fit_logistic(
    parameters: dict[str, Any], encoding: Encoding, train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None, seed: int, threads: int, progress: Progress,
) -> _Scorer:
    matrix, labels = train
    design = _Design.fitted(matrix, encoding)
    estimator = LogisticRegression(
        C=parameters["C"], max_iter=parameters["max_iter"], tol=parameters["tol"], solver="lbfgs",
        class_weight=None if parameters["class_weight"] == "none" else "balanced",
    )
    estimator.fit(design.apply(matrix), labels.astype(np.int64))
    progress(int(estimator.n_iter_[0]), {})
    return _Logistic(estimator, design)


_TRUSTED: Final[list[str]] = []
"""skops' own list of types suffices; nothing is ever added to it from a file."""


def _open_logistic(data: bytes, preprocessing: dict[str, Any], encoding: Encoding) -> _Scorer:
    estimator = skops.io.loads(data, trusted=_TRUSTED)
    if type(estimator) is not LogisticRegression or estimator.coef_.dtype != np.float64:
        raise ValueError("not a logistic regression")
    return _Logistic(estimator, _Design.from_document(preprocessing))


_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def _settled(data: bytes) -> bytes:
    """The same skops file with its object numbers in order of appearance and without times: equal objects, equal bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    numbers: dict[Any, int] = {}
    files: dict[str, str] = {}

    def renumbered(value: Any) -> Any:
        if isinstance(value, list):
            return [renumbered(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        result = {}
        for key, inner in value.items():
            if key == "__id__":
                result[key] = numbers.setdefault(inner, len(numbers))
            elif key == "file" and inner in members:
                stem, _, ending = inner.rpartition(".")
                files.setdefault(inner, f"{len(files)}.{ending}" if stem else inner)
                result[key] = files[inner]
            else:
                result[key] = renumbered(inner)
        return result

    schema = renumbered(json.loads(members.pop("schema.json")))
    settled = io.BytesIO()
    with zipfile.ZipFile(settled, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("schema.json", _EPOCH), json.dumps(schema, sort_keys=True))
        for name in sorted(members, key=lambda name: files.get(name, name)):
            archive.writestr(zipfile.ZipInfo(files.get(name, name), _EPOCH), members[name])
    return settled.getvalue()


_FIT: Final[dict[str, Callable[..., _Scorer]]] = {
    "logistic_regression": _fit_logistic,
    "xgboost": _fit_xgboost,
    "lightgbm": _fit_lightgbm,
}
_OPEN: Final[dict[str, Callable[[bytes, dict[str, Any], Encoding], _Scorer]]] = {
    "logistic_regression": _open_logistic,
    "xgboost": _open_xgboost,
    "lightgbm": _open_lightgbm,
}
_FILES: Final = {"logistic_regression": "model.skops", "xgboost": "model.ubj", "lightgbm": "model.txt"}


def scores_digest(scores: np.ndarray) -> str:
    """The digest of predictions, bit for bit: float64, little-endian, in row order."""
    return "sha256:" + hashlib.sha256(np.ascontiguousarray(scores, "<f8").tobytes()).hexdigest()
