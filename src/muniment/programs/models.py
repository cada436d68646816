"""Models as files that carry no code: ``model.json`` beside XGBoost UBJSON, LightGBM text or skops.

A model is opened only inside the sandbox: a safe format is not a safe parser. ``model.json`` names the features, the
classes, the preprocessing, the file and its digest; the *canonical digest* covers what decides predictions and
nothing else, so that it is equal for equal models even where a library writes other bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from muniment.errors import IntegrityError, Invalid
from muniment.kernel.canonical import canonical, digest_of
from muniment.kernel.digest import Digest
from muniment.programs.engines import Scorer, engine
from muniment.programs.features import Encoding, Target
from muniment.programs.model_formats import HEAD_BYTES, refuse_code

__all__ = ["Model", "library_versions", "load", "scores_digest"]

FORMAT: Final = "muniment.model/1"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can score tables."""

    algorithm: str
    parameters: dict[str, Any]
    encoding: Encoding
    target: Target
    threshold: float
    scorer: Scorer

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
            "file": engine(self.algorithm).FILE,
            "file_digest": Digest.of(dumped),
            "canonical_digest": digest_of(essence),
        }

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model's files; returns ``model.json``."""
        dumped = self.scorer.dump()
        document = self.document(dumped)
        (folder / engine(self.algorithm).FILE).write_bytes(dumped)
        (folder / "model.json").write_bytes(canonical(document))
        return document


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
        raise Invalid("MUNI-D119", "the model has no model.json", do="give a model that was trained by this platform")
    try:
        document = json.loads(path.read_bytes())
        algorithm = document["algorithm"]
        if document["format"] != FORMAT:
            raise ValueError(document["format"])
        scorer_file = folder / engine(algorithm).FILE
        encoding = Encoding.from_document(document["features"])
        target = Target(document["target"], *document["classes"])
        expected = document["file_digest"]
        preprocessing, threshold = document["preprocessing"], float(document["threshold"])
        parameters = dict(document["parameters"])
    except (KeyError, TypeError, ValueError) as broken:
        raise Invalid(
            "MUNI-D186", "model.json is damaged", detail=type(broken).__name__, do="give the model again"
        ) from broken
    _refuse_code(scorer_file)
    data = scorer_file.read_bytes()
    if Digest.of(data) != expected:
        raise IntegrityError(
            "MUNI-D534", "the model file is not the one that model.json names", expected=expected, found=Digest.of(data)
        )
    try:
        scorer = engine(algorithm).open_model(data, preprocessing, encoding)
    except Exception as broken:
        raise IntegrityError("MUNI-D535", "the model file does not open", type=type(broken).__name__) from broken
    return Model(algorithm, parameters, encoding, target, threshold, scorer)


def library_versions(algorithm: str) -> dict[str, str]:
    """Versions of the libraries that a model of this algorithm rests on."""
    return {"numpy": np.__version__, "pyarrow": pa.__version__, **engine(algorithm).versions()}


def _refuse_code(path: Path) -> None:
    if not path.is_file():
        raise Invalid(
            "MUNI-D120", f"the model file {path.name[:80]!r} is missing", file=path.name[:80], do="give all model files"
        )
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


def scores_digest(scores: np.ndarray) -> str:
    """The digest of predictions, bit for bit: float64, little-endian, in row order."""
    return "sha256:" + hashlib.sha256(np.ascontiguousarray(scores, "<f8").tobytes()).hexdigest()
