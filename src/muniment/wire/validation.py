"""Requests and replies about explanations of models."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.wire.execution import JobLimits


class ExplainModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Say what each feature contributes to the output of a model on a snapshot, exactly and hermetically."""

    project: str
    model: str
    data: str
    """Reference of the snapshot whose rows are explained; it need not have the target."""

    background: str | None = None
    """Reference of the snapshot that a linear model's averages are taken over; None takes the explained rows."""

    seed: int = 0
    """Seed of every sample."""

    rows: int | None = None
    """Most rows to explain; of more a seeded sample is taken. None for 50,000."""

    top: int | None = None
    """Features with curves and points; None for 12."""

    limits: JobLimits = field(default_factory=JobLimits)


class ListExplanations(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The explanations of a model version, newest first."""

    project: str
    model: str
    limit: int = 10


class Explanation(Struct, kw_only=True, frozen=True):
    """One explanation of a model on a snapshot."""

    run: str
    data: str
    """Reference of the explained snapshot."""

    created_at: str
    by: str
    grade: str
    report: dict[str, Any]
    """The report as the job wrote it, format ``muniment.explanation/1``."""


class Explanations(Struct, kw_only=True, frozen=True):
    """A list of explanations."""

    explanations: list[Explanation]
