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


class Kpi(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A key figure by which the use is judged."""

    name: str
    expression: str
    """What must hold, over the facts of a model: ``metric.auc >= 0.75``."""


class AddUseCase(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """State what models may be used for; under a name that is there, its next version."""

    project: str
    name: str
    purpose: str
    owner: str
    """Name of the person who answers for it."""

    kpis: list[Kpi] = field(default_factory=list)
    legal: list[str] = field(default_factory=list)
    """Constraints that the law sets."""

    jurisdiction: list[str] = field(default_factory=list)
    allowed_algorithms: list[str] = field(default_factory=list)
    """Empty for any; ``script`` stands for a script of one's own."""

    prohibited_attributes: list[str] = field(default_factory=list)
    """Columns that no model may learn from."""

    exposure: int = 0
    """What is decided or measured with such a model, in whole units of currency."""

    currency: str = "EUR"
    purpose_class: str = "operations"
    """``credit-decision``, ``capital``, ``pricing``, ``fraud``, ``marketing``, ``operations``, or one's own."""

    intended_use: str = ""
    out_of_scope: str = ""


class UseCase(Struct, kw_only=True, frozen=True):
    """A use case in its newest version."""

    use_case: str
    """``name@version``."""

    name: str
    version: int
    purpose: str
    kpis: list[Kpi]
    legal: list[str]
    jurisdiction: list[str]
    allowed_algorithms: list[str]
    prohibited_attributes: list[str]
    owner: str
    exposure: int
    currency: str
    purpose_class: str
    intended_use: str
    out_of_scope: str
    record: str
    """Digest of the record that states it."""

    at: str
    by: str
    retired: str | None
    """When it was retired."""


class RetireUseCase(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """End a use case."""

    project: str
    name: str
    reason: str


class ListUseCases(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The use cases of a project, by name."""

    project: str
    retired: bool = True
    """Whether retired ones are listed too."""


class UseCases(Struct, kw_only=True, frozen=True):
    """A list of use cases."""

    use_cases: list[UseCase]


class ShowUseCase(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One use case in full."""

    project: str
    name: str


class UseCaseVersion(Struct, kw_only=True, frozen=True):
    """One version of a use case."""

    version: int
    record: str
    at: str
    by: str


class UseCaseDetail(Struct, kw_only=True, frozen=True):
    """A use case with its history and what belongs to it."""

    use_case: UseCase
    history: list[UseCaseVersion]
    experiments: list[str]
    """That are bound to it."""

    models: list[str]
    """References of the versions that are registered under it."""


class BindExperiment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let every job of an experiment belong to a use case; with None free the experiment."""

    project: str
    experiment: str
    use_case: str | None = None


class Binding(Struct, kw_only=True, frozen=True):
    """Which use case the jobs of an experiment belong to."""

    experiment: str
    use_case: str | None


class ShowTiering(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The tiering rule in force."""


class PublishTiering(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Put another tiering rule in force, for all projects."""

    rule: dict[str, Any]


class Tiering(Struct, kw_only=True, frozen=True):
    """A tiering rule."""

    rule: str
    """``id@version sha256:…``."""

    document: dict[str, Any]
    published_by: str | None
    """None for the rule that ships."""

    published_at: str | None
