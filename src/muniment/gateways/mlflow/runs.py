"""MLflow's calls about runs: from creation to the end, and the search for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from muniment.errors import Conflict, Invalid, NotFound
from muniment.gateways.mlflow.asking import Calls, Fields, Question
from muniment.gateways.mlflow.experiments import limit_of, named, short_names, view_of
from muniment.gateways.mlflow.filters import Clause, Sorting, matches, offset_of, order, parse, token_of
from muniment.gateways.mlflow.naming import made_up
from muniment.gateways.mlflow.shapes import (
    OF_DATASET,
    RUN_NAME,
    STATUS,
    document_of_run,
    info_of_run,
    milliseconds,
    moment,
    pairs,
    run_of,
)
from muniment.tracking.items import short_name
from muniment.wire import registry as wire
from muniment.wire import tracking

__all__ = ["CALLS", "found_run"]

_MOST_BATCH: Final = 1000
"""Values in one batch, as MLflow documents it."""

_MOST_PAGE: Final = 1000
_MOST_HISTORY: Final = 25_000
_PARENT: Final = "mlflow.parentRunId"
_ENDS: Final = {"FINISHED": "ok", "FAILED": "failed", "KILLED": "cancelled"}
_NUMBERED: Final = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_ATTRIBUTES: Final = {
    "run_id": "run",
    "run_name": "name",
    "run name": "name",
    "Run name": "name",
    "Run Name": "name",
    "status": "status",
    "user_id": "user",
    "User": "user",
    "start_time": "start_time",
    "created": "start_time",
    "Created": "start_time",
    "end_time": "end_time",
}


def create(question: Question) -> dict[str, Any]:
    """Create a run; it belongs to whoever shows the token, whatever the client says."""
    fields = question.fields
    experiment = named(question, fields.text("experiment_id") or "0")
    if experiment.deleted:
        raise Conflict(
            "MUNI-Y302", "the experiment is deleted", id=experiment.id, name=experiment.name, do="restore it first"
        )
    tags = fields.tags()
    name = fields.text("run_name") or tags.get(RUN_NAME) or made_up()
    parent = tags.get(_PARENT)
    if parent:
        found_run(question, parent)
    request = tracking.StartRun(
        project=question.project,
        experiment=experiment.experiment,
        trial=short_name(parent) if parent else None,
        name=name,
        tags={**tags, RUN_NAME: name},
        started_at=moment(fields.integer("start_time", 0)),
    )
    return {"run": document_of_run(question.project, run_of(question.ask(request)))}


def get(question: Question) -> dict[str, Any]:
    """A run with its data."""
    return {"run": document_of_run(question.project, found_run(question, _id(question)))}


def update(question: Question) -> dict[str, Any]:
    """End a run, or give a running one another name; one that has ended is not opened again."""
    fields, run = question.fields, _id(question)
    status, ended = _status(fields), moment(fields.integer("end_time", 0))
    if name := fields.text("run_name"):
        question.ask(tracking.SetTags(project=question.project, run=run, tags={RUN_NAME: name}))
    if status in _ENDS:
        request = tracking.EndRun(project=question.project, run=run, status=_ENDS[status], ended_at=ended)  # type: ignore[arg-type]
        told: tracking.TrackedRun = question.ask(request)
        if told.tags is not None:  # it has ended just now
            return {"run_info": info_of_run(question.project, run_of(told))}
    found = found_run(question, run)
    if status in ("RUNNING", "SCHEDULED") and found.status != "running":
        raise Conflict(
            "MUNI-Y301",
            "a run that has ended is not opened again: what it came to stands in the record",
            run=found.run,
            status=found.status,
            do="start a new run, with mlflow.parentRunId or a tag that names this one",
        )
    return {"run_info": info_of_run(question.project, found)}


def delete(question: Question) -> dict[str, Any]:
    """Take a run out of lists."""
    question.ask(tracking.DeleteRun(project=question.project, run=_id(question)))
    return {}


def restore(question: Question) -> dict[str, Any]:
    """Put it back."""
    question.ask(tracking.RestoreRun(project=question.project, run=_id(question)))
    return {}


def log_metric(question: Question) -> dict[str, Any]:
    """One value."""
    fields, run = question.fields, _id(question)
    told = wire.LogBatch(project=question.project, run=run, metrics=[_point(fields)], models=_of_models(run, [fields]))
    question.ask(told)
    return {}


def log_param(question: Question) -> dict[str, Any]:
    """One parameter."""
    fields = question.fields
    params: dict[str, str | int | float | bool | None] = {fields.needed("key"): fields.text("value")}
    question.ask(tracking.LogParams(project=question.project, run=_id(question), params=params))
    return {}


def log_batch(question: Question) -> dict[str, Any]:
    """Values, parameters and tags at once: all of them are kept, or none."""
    fields = question.fields
    metrics, params, tags = fields.documents("metrics"), fields.pairs("params"), fields.tags()
    told = len(metrics) + len(params) + len(tags)
    if told > _MOST_BATCH:
        raise Invalid(
            "MUNI-Y116",
            f"a batch has at most {_MOST_BATCH:,} metrics, parameters and tags together",
            metrics=len(metrics),
            params=len(params),
            tags=len(tags),
            do="send several batches; nothing of this one was kept",
        )
    run = _id(question)
    # Clients send a batch in any order; of one step they mean the latest value, and of one moment the highest.
    points = sorted(map(_point, metrics), key=lambda point: (point.step, point.at_us or 0, point.value))
    if told:
        batch = wire.LogBatch(
            project=question.project,
            run=run,
            params=params,
            metrics=points,
            tags=dict(tags),
            models=_of_models(run, metrics),
        )
        question.ask(batch)
    return {}


def set_tag(question: Question) -> dict[str, Any]:
    """Set a tag."""
    fields = question.fields
    tags: dict[str, str | None] = {fields.needed("key"): fields.text("value")}
    question.ask(tracking.SetTags(project=question.project, run=_id(question), tags=tags))
    return {}


def delete_tag(question: Question) -> dict[str, Any]:
    """Take a tag away."""
    fields, run = question.fields, _id(question)
    key = fields.needed("key")
    if key not in found_run(question, run).tags:
        raise NotFound("MUNI-Y203", f"the run has no tag {key[:80]!r}", run=run, key=key[:200])
    question.ask(tracking.SetTags(project=question.project, run=run, tags={key: None}))
    return {}


def log_inputs(question: Question) -> dict[str, Any]:
    """Data sets and models that a run says it read; one that names a snapshot of ours becomes an input of the run."""
    fields, run = question.fields, _id(question)
    told = [(_dataset(one), one.tags()) for one in fields.documents("datasets")]
    inputs: list[dict[str, Any]] = [{"dataset": dataset, "tags": pairs(tags)} for dataset, tags in told]
    inputs += [{"model_id": one.needed("model_id")} for one in fields.documents("models")]
    used = [
        tracking.TrackedInput(role=tags.get("mlflow.data.context", "input"), reference=dataset["name"])
        for dataset, tags in told
        if dataset["name"].startswith("data:")
    ]
    if used:
        question.ask(tracking.LogInputs(project=question.project, run=run, inputs=used))
    if inputs:
        question.ask(wire.DescribeRun(project=question.project, run=run, inputs=inputs))
    return {}


def log_outputs(question: Question) -> dict[str, Any]:
    """Logged models that a run says it made."""
    outputs = [
        {"model_id": one.needed("model_id"), "step": one.integer("step", 0)}
        for one in question.fields.documents("models")
    ]
    if outputs:
        question.ask(wire.DescribeRun(project=question.project, run=_id(question), outputs=outputs))
    return {}


def log_model(question: Question) -> dict[str, Any]:
    """The description of a model that a run logged."""
    outputs = [{"model_json": question.fields.needed("model_json")}]
    question.ask(wire.DescribeRun(project=question.project, run=_id(question), outputs=outputs))
    return {}


def search(question: Question) -> dict[str, Any]:
    """Runs of experiments by metrics, parameters, tags and attributes."""
    fields = question.fields
    deleted = view_of(fields, "run_view_type")
    experiments = short_names(question, fields.texts("experiment_ids"), deleted=deleted is not False)
    limit = min(limit_of(fields, 1000), _MOST_PAGE)
    if not experiments:
        return {"runs": []}
    request = wire.FindRuns(
        project=question.project,
        experiments=experiments,
        where=[_condition(one) for one in parse(fields.text("filter"))],
        order=[_order(one) for one in order(fields.texts("order_by"))],
        deleted=deleted,
        offset=offset_of(fields.text("page_token")),
        limit=limit,
    )
    found: wire.AnyRuns = question.ask(request)
    answer: dict[str, Any] = {"runs": [document_of_run(question.project, run) for run in found.runs]}
    if found.next is not None:
        answer["next_page_token"] = token_of(found.next)
    return answer


def history(question: Question) -> dict[str, Any]:
    """Every value of one metric of a run; none where it has no such metric."""
    fields = question.fields
    limit = limit_of(fields, _MOST_HISTORY, _MOST_HISTORY)
    run, name = found_run(question, _id(question)), fields.needed("metric_key")
    if all(one.name != name for one in run.metrics):
        return {"metrics": []}
    after = offset_of(fields.text("page_token"))
    asked = tracking.ListMetrics(project=question.project, run=run.run, name=name, after=after, limit=limit)
    series: tracking.Series = question.ask(asked)
    metrics = _in_time(_measured(name, point) for point in series.points)
    return {"metrics": metrics, **({"next_page_token": token_of(series.next)} if series.next is not None else {})}


def history_bulk(question: Question) -> dict[str, Any]:
    """Every value of one metric of several runs."""
    fields = question.fields
    runs = fields.texts("run_ids") or fields.texts("run_id")
    if not 1 <= len(runs) <= 100:
        raise Invalid("MUNI-Y118", "a history is asked for 1 to 100 runs", runs=len(runs))
    name = fields.needed("metric_key")
    first = fields.integer("start_step", -(2**62))
    last = fields.integer("end_step", 2**62)
    metrics: list[dict[str, Any]] = []
    for run in runs:
        found = found_run(question, run)
        if all(one.name != name for one in found.metrics):
            continue
        limit = limit_of(fields, 2500, 25_000)
        asked = tracking.ListMetrics(project=question.project, run=found.run, name=name, limit=limit)
        series: tracking.Series = question.ask(asked)
        points = [point for point in series.points if first <= point.step <= last]
        metrics += [{**one, "run_id": found.run} for one in _in_time(_measured(name, point) for point in points)]
    return {"metrics": metrics}


def found_run(question: Question, id: str) -> wire.AnyRun:
    """A run of the project, deleted or not; raises NotFound."""
    found: wire.AnyRuns = question.ask(wire.FindRuns(project=question.project, runs=[id], deleted=None, limit=1))
    if not found.runs:
        raise NotFound("MUNI-Y204", f"there is no run with id {id[:40]!r}", run=id[:80], project=question.project)
    return found.runs[0]


def _id(question: Question) -> str:
    return question.fields.needed("run_id", "run_uuid")


def _dataset(told: Fields) -> dict[str, str]:
    """A data set as a client describes it: texts, of which only the name is needed."""
    given = told.told.get("dataset")
    fields = Fields(given if isinstance(given, dict) else {})
    if not fields.text("name"):
        raise Invalid("MUNI-Y117", "a data set has a name", field="datasets")
    return {name: text for name in OF_DATASET if (text := fields.text(name))}


def _status(fields: Fields) -> str:
    given = fields.told.get("status")
    if given is None or given == "":
        return ""
    status = _NUMBERED.get(given) if isinstance(given, int) else str(given)
    if status not in STATUS:
        raise Invalid("MUNI-Y119", "not a status of a run", given=str(given)[:80], known=sorted(STATUS))
    return str(status)


def _point(fields: Fields) -> tracking.MetricPoint:
    step, at = fields.integer("step", 0), fields.integer("timestamp", 0)
    if abs(at) >= 2**53:
        raise Invalid("MUNI-Y111", "not a time in milliseconds since 1970", given=str(at))
    return tracking.MetricPoint(fields.needed("key"), fields.number("value"), step, at * 1000 if at else None)


def _measured(name: str, point: tracking.Point) -> dict[str, Any]:
    at_ms = milliseconds(point.at) if point.at_us is None else point.at_us // 1000
    return {"key": name, "value": point.value, "step": point.step, "timestamp": at_ms}


def _in_time(measured: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Values in the order that clients expect; what a client sent twice, because an answer was lost, is told once."""
    once = {(one["timestamp"], one["step"], str(one["value"])): one for one in measured}
    return sorted(once.values(), key=lambda one: (one["timestamp"], one["step"], float(one["value"])))


def _of_models(run: str, metrics: list[Fields]) -> dict[str, list[dict[str, Any]]]:
    """What was measured of logged models."""
    by_model: dict[str, list[dict[str, Any]]] = {}
    for one in metrics:
        if model := one.text("model_id"):
            told = {
                "key": one.needed("key"),
                "value": repr(one.number("value")),
                "step": one.integer("step", 0),
                "timestamp": one.integer("timestamp", 0),
                "run": run,
                "dataset": one.text("dataset_name") or None,
                "dataset_digest": one.text("dataset_digest") or None,
            }
            by_model.setdefault(model, []).append(told)
    return by_model


def _condition(clause: Clause) -> wire.Condition:
    if clause.of == "attribute" and clause.name == "status":
        return _of_status(clause)
    value = clause.value
    if clause.of == "attribute" and isinstance(value, float) and clause.name == "run_id":
        value = str(value)
    return wire.Condition(of=clause.of, name=_attribute(clause.of, clause.name), op=clause.op, value=value)  # type: ignore[arg-type]


def _of_status(clause: Clause) -> wire.Condition:
    """A status by all of our words that it stands for."""
    if clause.op in ("like", "ilike"):
        alike = [word for word in STATUS if matches([clause], lambda *_: word)]  # noqa: B023 - asked at once
        clause = Clause(clause.of, clause.name, "in", alike)
    asked = clause.value if isinstance(clause.value, list) else [str(clause.value)]
    if clause.op not in ("=", "!=", "in", "not in") or any(one.upper() not in STATUS for one in asked):
        raise Invalid("MUNI-Y119", "not a status of a run", given=str(clause.value)[:80], known=sorted(STATUS))
    ours = [word for one in asked for word in STATUS[one.upper()]]
    return wire.Condition(of="attribute", name="status", op="in" if clause.op in ("=", "in") else "not in", value=ours)


def _order(sorting: Sorting) -> wire.Order:
    if sorting.of == "dataset":
        raise Invalid("MUNI-Y147", "runs are not put in the order of their data sets", given=sorting.name[:80])
    name = _attribute(sorting.of, sorting.name)
    return wire.Order(of=sorting.of, name=name, descending=sorting.descending)  # type: ignore[arg-type]


def _attribute(of: str, name: str) -> str:
    if of != "attribute":
        return name
    if name not in _ATTRIBUTES:
        raise Invalid(
            "MUNI-Y121", f"runs have no attribute {name[:80]!r}", given=name[:80], known=sorted(set(_ATTRIBUTES))
        )
    return _ATTRIBUTES[name]


CALLS: Final[Calls] = {
    ("POST", "mlflow/runs/create"): create,
    ("GET", "mlflow/runs/get"): get,
    ("POST", "mlflow/runs/update"): update,
    ("POST", "mlflow/runs/delete"): delete,
    ("POST", "mlflow/runs/restore"): restore,
    ("POST", "mlflow/runs/log-metric"): log_metric,
    ("POST", "mlflow/runs/log-parameter"): log_param,
    ("POST", "mlflow/runs/log-batch"): log_batch,
    ("POST", "mlflow/runs/set-tag"): set_tag,
    ("POST", "mlflow/runs/delete-tag"): delete_tag,
    ("POST", "mlflow/runs/log-inputs"): log_inputs,
    ("POST", "mlflow/runs/outputs"): log_outputs,
    ("POST", "mlflow/runs/log-model"): log_model,
    ("POST", "mlflow/runs/search"): search,
    ("GET", "mlflow/metrics/get-history"): history,
    ("GET", "mlflow/metrics/get-history-bulk"): history_bulk,
    ("GET", "mlflow/metrics/get-history-bulk-interval"): history_bulk,
}
