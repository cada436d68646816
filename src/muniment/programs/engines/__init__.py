"""The training libraries, one module each, loaded only when an algorithm needs it.

A module has ``FILE`` (name of the model file), ``versions()``, ``fit(...)`` and ``open_model(...)``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Protocol, cast

import numpy as np

from muniment.errors import Invalid
from muniment.programs.features import Encoding

__all__ = ["LOOKS", "Engine", "Explainer", "Look", "Part", "Progress", "Scorer", "engine"]

Progress = Callable[[int, dict[str, float]], None]
"""Takes the step and the metrics of that step."""

Look = Callable[[str, int, dict[str, Any]], None]
"""Takes what rules look at besides metrics: collection, step, facts."""

LOOKS: Final = 20
"""So often in a training trees and importances are looked at: looking takes time."""

Part = tuple[np.ndarray, np.ndarray]
"""A matrix of features, float64, and the labels, booleans."""


class Explainer(Protocol):
    """Says what each feature contributes to the output of a fitted algorithm, exactly."""

    @property
    def method(self) -> str:
        """How, in a few words."""

    @property
    def takes_background(self) -> bool:
        """Whether contributions are those against the mean of chosen rows."""

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """One column per feature and last the expected output, in log-odds, float64; rows add up to ``margin``."""

    def margin(self, matrix: np.ndarray) -> np.ndarray:
        """The output itself, in log-odds, float64."""


class Scorer(Protocol):
    """A fitted algorithm."""

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

    def native(self) -> dict[str, list[float]]:
        """All kinds of importance that the library knows, by name: ``gain`` and ``split`` for trees."""

    def explainer(self, background: np.ndarray) -> Explainer:
        """What explains it; ``background`` are the rows that an average is taken over, where the method takes one."""


class Engine(Protocol):
    """A training library."""

    @property
    def FILE(self) -> str:  # noqa: N802 - a constant of the module
        """Name of the model file."""

    def versions(self) -> dict[str, str]:
        """Versions of the libraries that a model rests on."""

    def fit(
        self,
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
        """Train; equal input, seed and threads give equal bytes, whoever looks; ``look`` is None when nobody does."""

    def open_model(self, data: bytes, preprocessing: dict[str, Any], encoding: Encoding) -> Scorer:
        """Open a model file."""


_MODULES: Final = {"logistic_regression": "logistic", "xgboost": "xgboost_trees", "lightgbm": "lightgbm_trees"}


def engine(algorithm: str) -> Engine:
    """The library of an algorithm.

    Raises:
        Invalid: there is no such algorithm.
    """
    if algorithm not in _MODULES:
        raise Invalid(
            "MUNI-D189",
            f"there is no algorithm {algorithm[:40]!r}",
            given=algorithm[:40],
            known=sorted(_MODULES),
            do="use one of the known algorithms",
        )
    return cast(Engine, import_module(f"{__name__}.{_MODULES[algorithm]}"))
