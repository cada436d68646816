"""Requests and replies about models."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class ListModels(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The models of a project, newest first."""

    project: str
    limit: int = 100


class ModelSummary(Struct, kw_only=True, frozen=True):
    """One model version in one line."""

    model: str
    """``model:name@version``."""

    digest: str
    algorithm: str
    run: str | None
    grade: str
    created_at: str
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the newest evaluation."""


class Models(Struct, kw_only=True, frozen=True):
    """A list of models."""

    models: list[ModelSummary]


class ShowModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One model version in full."""

    project: str
    model: str


class ModelFile(Struct, kw_only=True, frozen=True):
    """One file of a model."""

    path: str
    digest: str
    size: int


class Evaluation(Struct, kw_only=True, frozen=True):
    """One measurement of a model on a snapshot."""

    run: str
    data: str
    created_at: str
    metrics: dict[str, float]
    report: dict[str, Any]


class ModelDetail(Struct, kw_only=True, frozen=True):
    """Everything recorded about a model version."""

    model: str
    digest: str
    algorithm: str
    files: list[ModelFile]
    facts: dict[str, Any]
    run: str | None
    trained_on: list[str]
    created_at: str
    created_by: str
    grade: str
    evaluations: list[Evaluation]


class FetchModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The files of a model as a tar; nothing in it is executed on the way."""

    project: str
    model: str
