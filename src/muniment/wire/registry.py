"""Requests and replies about what other people's tracking clients keep beside runs: experiments with names of their
own, logged models, registered models and their versions. All of it is declared by whoever tells it.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from muniment.wire.tracking import MetricPoint

__all__ = [
    "AnyRun",
    "AnyRuns",
    "Condition",
    "CreateLoggedModel",
    "CreateModelVersion",
    "CreateRegisteredModel",
    "DeleteExperiment",
    "DeleteLoggedModel",
    "DeleteModelVersion",
    "DeleteRegisteredModel",
    "DescribeRun",
    "FindRuns",
    "GetVersionFile",
    "ListLoggedModels",
    "ListModelVersions",
    "ListNamedExperiments",
    "ListRegisteredModels",
    "LogBatch",
    "LoggedModel",
    "LoggedModels",
    "Measured",
    "ModelVersion",
    "ModelVersions",
    "NameExperiment",
    "NamedExperiment",
    "NamedExperiments",
    "Order",
    "RegisteredModel",
    "RegisteredModels",
    "RestoreExperiment",
    "RunDescribed",
    "UpdateExperiment",
    "UpdateLoggedModel",
    "UpdateModelVersion",
    "UpdateRegisteredModel",
    "VersionFile",
]


class NameExperiment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Open an experiment under a name of any kind; what is run in it goes under a short name made from it."""

    project: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)


class UpdateExperiment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Give an experiment another name or other tags; null takes a tag away."""

    project: str
    id: str
    name: str | None = None
    tags: dict[str, str | None] = field(default_factory=dict)


class DeleteExperiment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Take an experiment out of lists; everything of it is retained."""

    project: str
    id: str


class RestoreExperiment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Put a deleted experiment back into lists."""

    project: str
    id: str


class ListNamedExperiments(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All experiments with the names and tags that clients gave them, deleted ones included, oldest first."""

    project: str
    id: str | None = None
    """Only this one."""


class NamedExperiment(Struct, kw_only=True, frozen=True):
    """An experiment as other people's clients know it."""

    id: str
    """A number as text, which follows from project and short name; ``0`` is the experiment ``default``."""

    name: str
    experiment: str
    """The short name under which its runs stand."""

    tags: dict[str, str]
    created_at: str
    updated_at: str
    deleted: bool


class NamedExperiments(Struct, kw_only=True, frozen=True):
    """A list of experiments."""

    experiments: list[NamedExperiment]


class LogBatch(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Tell parameters, measurements and tags of a run at once: all of them are kept, or none.

    Batches may come in any order: the last value of a metric is that of the highest step.
    """

    project: str
    run: str
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[MetricPoint] = field(default_factory=list)
    tags: dict[str, str | None] = field(default_factory=dict)
    models: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What of this was measured of logged models, by their ids: kept with them too."""


class DescribeRun(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Keep what a client says a running tracked run read and made, in the client's own words; each document once."""

    project: str
    run: str
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    """Files, or folders of files, that are taken out of the client's lists until they come again; retained."""


class RunDescribed(Struct, kw_only=True, frozen=True):
    """It is kept."""

    run: str
    inputs: int
    outputs: int


class Condition(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What must hold of a run: ``metric auc > 0.7``."""

    of: Literal["metric", "param", "tag", "attribute", "dataset"]
    name: str
    """Of an attribute: run, name, status, user, start_time, end_time, or experiment. Of a data set that the run says
    it read: name, digest, or context."""

    op: Literal["=", "!=", ">", ">=", "<", "<=", "like", "ilike", "in", "not in", "is null", "is not null"]
    value: str | float | list[str] | None = None
    """A number for metrics and for times, which are milliseconds since 1970; else text, or texts for in."""


class Order(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What runs are ordered by; runs without it come last."""

    of: Literal["metric", "param", "tag", "attribute"]
    name: str
    descending: bool = False


class FindRuns(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Runs that meet all conditions, tracked and hermetic, with everything that was told of them."""

    project: str
    experiments: list[str] | None = None
    """Short names of experiments; None for all."""

    runs: list[str] | None = None
    """Ids of runs; None for all."""

    where: list[Condition] = field(default_factory=list)
    order: list[Order] = field(default_factory=list)
    """Then the newest first."""

    deleted: bool | None = False
    """Whether deleted ones, or others; None for both."""

    offset: int = 0
    limit: int = 100


class Measured(Struct, kw_only=True, frozen=True):
    """The last value of a metric."""

    name: str
    value: float | Literal["NaN", "Infinity", "-Infinity"]
    step: int
    at_ms: int


class AnyRun(Struct, kw_only=True, frozen=True):
    """A run with everything that was told of it."""

    run: str
    kind: str
    experiment: str | None
    status: str
    label: str
    requested_by: str
    grade: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    deleted: bool
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[Measured]
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)
    """Inputs by role, for hermetic runs."""

    hidden: dict[str, int] = field(default_factory=dict)
    """Files that were taken out of lists, up to which version."""


class AnyRuns(Struct, kw_only=True, frozen=True):
    """A page of runs."""

    runs: list[AnyRun]
    next: int | None = None
    """Offset of the next page; None when this is the last."""


class CreateLoggedModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Announce a model that a running tracked run makes; its files come as files of that run."""

    project: str
    experiment: str
    """Id of the experiment."""

    run: str
    """The run that makes it."""

    own_run: bool = False
    """Whether the run exists for this model alone."""

    name: str
    model_type: str = ""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class UpdateLoggedModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Say more about a logged model: its status, its tags, parameters and measurements."""

    project: str
    model: str
    status: Literal["PENDING", "READY", "FAILED"] | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)


class DeleteLoggedModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Take a logged model out of lists; everything of it is retained."""

    project: str
    model: str


class ListLoggedModels(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The logged models of experiments, newest first."""

    project: str
    experiments: list[str] | None = None
    """Ids of experiments; None for all."""

    model: str | None = None
    """Only this one."""

    deleted: bool = False
    """Whether deleted ones too."""


class LoggedModel(Struct, kw_only=True, frozen=True):
    """A model that a run says it made; not registered, never loaded."""

    model: str
    experiment: str
    run: str
    own_run: bool
    """Whether the run exists for this model alone."""

    name: str
    model_type: str
    status: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[dict[str, Any]]
    created_at: str
    updated_at: str
    deleted: bool
    registrations: list[str] = field(default_factory=list)
    """``name@version``, of registered versions made of it."""


class LoggedModels(Struct, kw_only=True, frozen=True):
    """A list of logged models."""

    models: list[LoggedModel]


class CreateRegisteredModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Open a name under which versions of a model from outside are registered."""

    project: str
    name: str
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


class UpdateRegisteredModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Change what is said about a registered model: description, tags, aliases; null takes one away."""

    project: str
    name: str
    new_name: str | None = None
    description: str | None = None
    tags: dict[str, str | None] = field(default_factory=dict)
    aliases: dict[str, int | None] = field(default_factory=dict)


class DeleteRegisteredModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Take a registered model with its versions out of lists; everything is retained."""

    project: str
    name: str


class ListRegisteredModels(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Registered models by name."""

    project: str
    name: str | None = None
    """Only this one."""


class RegisteredModel(Struct, kw_only=True, frozen=True):
    """A name with its versions."""

    name: str
    model: str
    """The name that its versions have in the inventory."""

    description: str
    tags: dict[str, str]
    aliases: dict[str, int]
    created_at: str
    updated_at: str
    versions: list[ModelVersion] = field(default_factory=list)


class RegisteredModels(Struct, kw_only=True, frozen=True):
    """A list of registered models."""

    models: list[RegisteredModel]


class CreateModelVersion(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Register files of a run as the next version of a name: its bytes are fixed, and it enters the inventory.

    The entry is that of a model made elsewhere: a draft, graded declared. Nothing is opened or executed.
    """

    project: str
    name: str
    run: str
    path: str = ""
    """The folder among the run's files; empty for all of them."""

    source: str = ""
    """Where the client says it comes from."""

    model: str | None = None
    """The logged model that it is."""

    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    version: int | None = None
    """The version that the asker expects to make; asking again for one that is there gives it back."""


class UpdateModelVersion(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Change what is said about a registered version; its bytes and its standing in the inventory do not change."""

    project: str
    name: str
    version: int
    description: str | None = None
    stage: str | None = None
    archive_others: bool = False
    """Whether other versions of that stage become archived."""

    tags: dict[str, str | None] = field(default_factory=dict)


class DeleteModelVersion(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Take a registered version out of lists; it stays in the inventory, and everything is retained."""

    project: str
    name: str
    version: int


class ListModelVersions(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Registered versions, newest first."""

    project: str
    name: str | None = None
    version: int | None = None


class VersionFile(Struct, kw_only=True, frozen=True):
    """A file of a registered version."""

    path: str
    digest: str
    size: int


class ModelVersion(Struct, kw_only=True, frozen=True):
    """A registered version."""

    name: str
    version: int
    model: str
    """Its reference in the inventory."""

    digest: str
    run: str
    path: str
    source: str
    logged_model: str | None
    description: str
    stage: str
    """What clients say of it: None, Staging, Production or Archived. It means nothing for its use."""

    state: str
    """Where it stands in the inventory."""

    tags: dict[str, str]
    files: list[VersionFile]
    by: str
    created_at: str
    updated_at: str


class ModelVersions(Struct, kw_only=True, frozen=True):
    """A list of registered versions."""

    versions: list[ModelVersion]


class GetVersionFile(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The bytes of one file of a registered version."""

    project: str
    name: str
    version: int
    path: str
