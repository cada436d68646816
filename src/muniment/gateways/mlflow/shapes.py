"""Experiments, runs and models as MLflow's clients expect them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from muniment.errors import Invalid
from muniment.kernel.identifiers import format_time, parse_time
from muniment.tracking.items import DEFAULT, experiment_id
from muniment.wire import registry as wire
from muniment.wire import tracking

__all__ = [
    "STATUS",
    "document_of_experiment",
    "document_of_logged",
    "document_of_name",
    "document_of_run",
    "document_of_version",
    "info_of_run",
    "milliseconds",
    "moment",
    "pairs",
    "run_of",
]

OF_DATASET: Final = ("name", "digest", "source_type", "source", "schema", "profile")
"""What clients tell of a data set."""

RUN_NAME: Final = "mlflow.runName"
PLATFORM_TAGS: Final = ("muniment.model", "muniment.state", "muniment.grade")
"""What the platform says of a registered version."""

STAGES: Final = ("None", "Staging", "Production", "Archived")
HISTORY: Final = "mlflow.log-model.history"

STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "SCHEDULED": ("queued",),
    "RUNNING": ("running",),
    "FINISHED": ("ok",),
    "FAILED": ("failed", "timeout", "oom", "limit", "refused", "lost"),
    "KILLED": ("cancelled",),
}
"""MLflow's word for where a run stands, and ours."""

_WORD: Final = {ours: theirs for theirs, several in STATUS.items() for ours in several}


def milliseconds(at: str | None) -> int:
    """Milliseconds since 1970; 0 for no moment."""
    return 0 if at is None else int(parse_time(at).timestamp() * 1000)


def moment(told_ms: int) -> str | None:
    """The moment that a client tells in milliseconds; None for none. Raises Invalid when there is no such moment."""
    if told_ms <= 0:
        return None
    try:
        return format_time(datetime.fromtimestamp(told_ms / 1000, UTC))
    except (ValueError, OverflowError, OSError) as strange:
        raise Invalid("MUNI-Y111", "not a time in milliseconds since 1970", given=str(told_ms)) from strange


def pairs(texts: Mapping[str, str]) -> list[dict[str, str]]:
    """Texts by name as a list of ``{key, value}``."""
    return [{"key": name, "value": text} for name, text in sorted(texts.items())]


def document_of_experiment(one: wire.NamedExperiment) -> dict[str, Any]:
    """An experiment."""
    return {
        "experiment_id": one.id,
        "name": one.name,
        "artifact_location": f"mlflow-artifacts:/{one.id}",
        "lifecycle_stage": "deleted" if one.deleted else "active",
        "creation_time": milliseconds(one.created_at),
        "last_update_time": milliseconds(one.updated_at),
        "tags": pairs(one.tags),
    }


def info_of_run(project: str, run: wire.AnyRun) -> dict[str, Any]:
    """The head of a run."""
    experiment = experiment_id(project, run.experiment or DEFAULT)
    info: dict[str, Any] = {
        "run_id": run.run,
        "run_uuid": run.run,
        "run_name": run.tags.get(RUN_NAME) or run.label,
        "experiment_id": experiment,
        "user_id": run.requested_by.partition(":")[2],
        "status": _WORD[run.status],
        "start_time": milliseconds(run.started_at or run.created_at),
        "artifact_uri": f"mlflow-artifacts:/{experiment}/{run.run}/artifacts",
        "lifecycle_stage": "deleted" if run.deleted else "active",
    }
    if run.ended_at:
        info["end_time"] = milliseconds(run.ended_at)
    return info


def run_of(told: tracking.TrackedRun) -> wire.AnyRun:
    """A run as the answer to its start, or to its end, tells it: without what was told of it between them."""
    assert told.tags is not None
    return wire.AnyRun(
        run=told.run.removeprefix("run:"),
        kind="track",
        experiment=told.experiment,
        status=told.status,
        label=told.label,
        requested_by=told.requested_by,
        grade="declared",
        created_at=told.created_at,
        started_at=told.started_at,
        ended_at=told.ended_at,
        deleted=False,
        params={},
        tags=told.tags,
        metrics=[],
    )


def document_of_run(project: str, run: wire.AnyRun) -> dict[str, Any]:
    """A run with everything that was told of it; what the platform itself says of it stands in tags of its own."""
    models = [text for one in run.outputs if isinstance(text := one.get("model_json"), str)]
    tags = {
        RUN_NAME: run.label,
        **run.tags,
        "muniment.grade": run.grade,
        "muniment.kind": run.kind,
        **({HISTORY: json.dumps(models)} if models else {}),
    }
    known = [
        {
            "dataset": {"name": reference, "digest": "", "source_type": "muniment", "source": reference},
            "tags": [{"key": "mlflow.data.context", "value": role}],
        }
        for role, reference in sorted(run.references.items())
    ]
    return {
        "info": info_of_run(project, run),
        "data": {
            "metrics": [
                {"key": one.name, "value": one.value, "timestamp": one.at_ms, "step": one.step} for one in run.metrics
            ],
            "params": pairs(run.params),
            "tags": pairs(tags),
        },
        "inputs": {
            "dataset_inputs": [*_datasets(run.inputs), *known],
            "model_inputs": _models({"model_id": one.get("model_id")} for one in run.inputs),
        },
        "outputs": {"model_outputs": _models(run.outputs)},
    }


def _datasets(inputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The data sets among what a run read, each as it was told first, in the one shape that clients can read."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for one in inputs:
        given, tags = one.get("dataset"), one.get("tags")
        if not isinstance(given, dict):
            continue
        dataset = {name: text for name in OF_DATASET if isinstance(text := given.get(name), str)}
        known = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
        first.setdefault(
            (dataset.get("name", ""), dataset.get("digest", "")),
            {
                "dataset": dataset,
                "tags": [{"key": str(tag.get("key", "")), "value": str(tag.get("value", ""))} for tag in known],
            },
        )
    return list(first.values())


def _models(told: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The logged models among what a run read or made."""
    return [
        {"model_id": one["model_id"], **({"step": step} if isinstance(step := one.get("step"), int) else {})}
        for one in told
        if isinstance(one.get("model_id"), str)
    ]


def document_of_logged(one: wire.LoggedModel, registrations: Iterable[wire.ModelVersion]) -> dict[str, Any]:
    """A logged model."""
    status = {"PENDING": 1, "READY": 2, "FAILED": 3}[one.status]
    registered = [{"name": version.name, "version": str(version.version)} for version in registrations]
    return {
        "info": {
            "model_id": one.model,
            "experiment_id": one.experiment,
            "name": one.name,
            "creation_timestamp_ms": milliseconds(one.created_at),
            "last_updated_timestamp_ms": milliseconds(one.updated_at),
            "artifact_uri": f"mlflow-artifacts:/{one.experiment}/models/{one.model}/artifacts",
            "status": status,
            "model_type": one.model_type,
            "source_run_id": "" if one.own_run else one.run,
            "tags": pairs(one.tags),
            "registrations": registered,
        },
        "data": {
            "params": pairs(one.params),
            "metrics": [
                {
                    "key": metric["key"],
                    "value": float(metric["value"]),
                    "timestamp": metric["timestamp"],
                    "step": metric["step"],
                    "model_id": one.model,
                    "run_id": metric["run"],
                    **({"dataset_name": metric["dataset"]} if metric.get("dataset") else {}),
                    **({"dataset_digest": metric["dataset_digest"]} if metric.get("dataset_digest") else {}),
                }
                for metric in one.metrics
            ],
        },
    }


def document_of_version(one: wire.ModelVersion, aliases: Iterable[str] = ()) -> dict[str, Any]:
    """A registered version; what the platform says of it stands in tags of its own."""
    platform = dict(zip(PLATFORM_TAGS, (one.model, one.state, "declared"), strict=True))
    document: dict[str, Any] = {
        "name": one.name,
        "version": str(one.version),
        "creation_timestamp": milliseconds(one.created_at),
        "last_updated_timestamp": milliseconds(one.updated_at),
        "user_id": one.by.partition(":")[2],
        "current_stage": one.stage,
        "description": one.description,
        "source": one.source,
        "run_id": one.run,
        "status": "READY",
        "tags": pairs({**one.tags, **platform}),
        "aliases": sorted(aliases),
    }
    if one.logged_model:
        document["model_id"] = one.logged_model
    return document


def document_of_name(one: wire.RegisteredModel) -> dict[str, Any]:
    """A registered model with the newest version of each stage."""
    newest: dict[str, wire.ModelVersion] = {}
    for version in sorted(one.versions, key=lambda version: version.version):
        newest[version.stage] = version
    return {
        "name": one.name,
        "creation_timestamp": milliseconds(one.created_at),
        "last_updated_timestamp": milliseconds(one.updated_at),
        "description": one.description,
        "latest_versions": [
            document_of_version(version, aliases_of(one, version.version)) for version in newest.values()
        ],
        "tags": pairs(one.tags),
        "aliases": [{"alias": alias, "version": str(version)} for alias, version in sorted(one.aliases.items())],
    }


def aliases_of(one: wire.RegisteredModel, version: int) -> list[str]:
    """The aliases that mean a version."""
    return sorted(alias for alias, meant in one.aliases.items() if meant == version)


def download_uri(name: str, version: int) -> str:
    """Where the files of a registered version are fetched, as they were fixed."""
    return f"mlflow-artifacts:/registered/{quote(name, safe='')}/{version}"
