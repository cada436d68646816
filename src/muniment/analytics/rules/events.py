"""What a training reports, as rules see it, and what a rule finds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Finding", "Scalar", "Summary", "is_training_loss", "is_validation_loss"]

_TRAINING: Final = re.compile(r"(?:train(?:ing)?[._/-])?(?:log)?_?(?:loss|logloss)", re.IGNORECASE)
_VALIDATION: Final = re.compile(r"(?:val|valid|validation|eval|test)[._/-](?:log)?_?(?:loss|logloss)", re.IGNORECASE)


_LARGEST: Final = 1.7e308


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number at one step."""

    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What a tensor was reduced to inside the job; its keys are those that ``summary.summarise`` writes."""

    name: str
    step: int
    facts: Mapping[str, Any]

    def number(self, key: str) -> float | None:
        """A finite number among the facts; None when there is none, for they come from inside the job."""
        return _finite(self.facts.get(key))

    def numbers(self, key: str) -> list[float]:
        """A list of numbers among the facts; empty when it is none."""
        value = self.facts.get(key)
        found = [_finite(one) for one in value] if isinstance(value, list) else []
        return [] if None in found else [one for one in found if one is not None]


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a rule fires."""

    step: int
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > _LARGEST:
        return None
    return None if value != value else float(value)  # noqa: PLR0124 - not a number


def is_training_loss(name: str) -> bool:
    """Whether a metric of this name is the loss on the training rows: ``loss``, ``train_loss``, ``train.logloss``."""
    return _TRAINING.fullmatch(name) is not None


def is_validation_loss(name: str) -> bool:
    """Whether a metric of this name is the loss on other rows: ``val_loss``, ``validation.logloss``."""
    return _VALIDATION.fullmatch(name) is not None
