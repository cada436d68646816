"""MLflow 3's calls about logged models: announced, filled with files, made final, searched."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from muniment.errors import Invalid, NotFound
from muniment.gateways.mlflow.artifacts import logged_model
from muniment.gateways.mlflow.asking import Calls, Question
from muniment.gateways.mlflow.experiments import limit_of, named
from muniment.gateways.mlflow.filters import Sorting, matches, pages, parse
from muniment.gateways.mlflow.shapes import document_of_logged, milliseconds
from muniment.tracking.items import changed, check_document, check_title
from muniment.wire import registry as wire
from muniment.wire import tracking

__all__ = ["CALLS"]

_STATUS: Final = {
    1: "PENDING",
    2: "READY",
    3: "FAILED",
    "LOGGED_MODEL_PENDING": "PENDING",
    "LOGGED_MODEL_READY": "READY",
    "LOGGED_MODEL_UPLOAD_FAILED": "FAILED",
}


def create(question: Question) -> dict[str, Any]:
    """Announce a model; one that belongs to no run gets a run of its own, so that its files have a maker."""
    fields = question.fields
    experiment = named(question, fields.needed("experiment_id"))
    name = check_title(fields.text("name") or "model", "logged model")
    params, tags = fields.pairs("params"), fields.pairs("tags")
    check_document(  # before there is a run for it
        [changed({}, params, "parameter of a logged model"), changed({}, tags, "logged model")], "logged model"
    )
    run = fields.text("source_run_id")
    own = not run
    if own:
        start = tracking.StartRun(
            project=question.project, experiment=experiment.experiment, name=name, tags={"mlflow.runName": name}
        )
        run = question.ask(start).run
    request = wire.CreateLoggedModel(
        project=question.project,
        experiment=experiment.id,
        run=run,
        own_run=own,
        name=name,
        model_type=fields.text("model_type"),
        params=params,
        tags=tags,
    )
    return {"model": _document(question, question.ask(request))}


def get(question: Question) -> dict[str, Any]:
    """A logged model."""
    found = logged_model(question, question.parts[0])
    if found.deleted and not question.fields.flag("allow_deleted"):
        raise NotFound("MUNI-Y209", f"there is no logged model {found.model[:80]!r}", model=found.model)
    return {"model": _document(question, found)}


def finalize(question: Question) -> dict[str, Any]:
    """Say that a model is whole, or that it failed; a run that exists for it alone has then ended."""
    given = question.fields.told.get("status")
    status = _STATUS.get(given) if isinstance(given, int | str) else None
    if status is None:
        raise Invalid("MUNI-Y127", "not a status of a logged model", given=str(given)[:80])
    request = wire.UpdateLoggedModel(project=question.project, model=question.parts[0], status=status)  # type: ignore[arg-type]
    found: wire.LoggedModel = question.ask(request)
    if found.own_run and status != "PENDING":
        end = "ok" if status == "READY" else "failed"
        question.ask(tracking.EndRun(project=question.project, run=found.run, status=end))  # type: ignore[arg-type]
    return {"model": _document(question, found)}


def delete(question: Question) -> dict[str, Any]:
    """Take a logged model out of lists."""
    question.ask(wire.DeleteLoggedModel(project=question.project, model=question.parts[0]))
    return {}


def set_tags(question: Question) -> dict[str, Any]:
    """Set tags of a logged model."""
    tags: dict[str, str | None] = dict(question.fields.pairs("tags"))
    found = question.ask(wire.UpdateLoggedModel(project=question.project, model=question.parts[0], tags=tags))
    return {"model": _document(question, found)}


def delete_tag(question: Question) -> dict[str, Any]:
    """Take a tag away."""
    model, key = question.parts
    if key not in logged_model(question, model).tags:
        raise NotFound("MUNI-Y217", f"the logged model has no tag {key[:80]!r}", model=model[:80], key=key[:200])
    question.ask(wire.UpdateLoggedModel(project=question.project, model=model, tags={key: None}))
    return {}


def log_params(question: Question) -> dict[str, Any]:
    """Tell parameters of a logged model; each is set once."""
    params = question.fields.pairs("params")
    question.ask(wire.UpdateLoggedModel(project=question.project, model=question.parts[0], params=params))
    return {}


def search(question: Question) -> dict[str, Any]:
    """Logged models of experiments by metrics, parameters, tags and attributes."""
    fields = question.fields
    datasets = [(one.needed("dataset_name"), one.text("dataset_digest")) for one in fields.documents("datasets")]
    ids = fields.texts("experiment_ids")
    listed: wire.LoggedModels = question.ask(wire.ListLoggedModels(project=question.project, experiments=ids))
    clauses = parse(fields.text("filter"))
    found = [one for one in listed.models if matches(clauses, partial(_value, one, datasets))]
    for wanted in reversed(fields.documents("order_by")):
        sorting = _sorting(wanted.told)
        among = [(wanted.text("dataset_name"), wanted.text("dataset_digest"))] if wanted.text("dataset_name") else []
        values = {one.model: _value(one, among, sorting.of, sorting.name) for one in found}
        known = [one for one in found if values[one.model] is not None]
        unknown = [one for one in found if values[one.model] is None]
        known.sort(key=lambda one: values[one.model], reverse=sorting.descending)
        found = known + unknown
    page, token = pages(found, limit_of(fields, 100), fields.text("page_token"))
    versions = _versions(question)
    models = [document_of_logged(one, versions.get(one.model, [])) for one in page]
    return {"models": models, **({"next_page_token": token} if token else {})}


def _document(question: Question, one: wire.LoggedModel) -> dict[str, Any]:
    return document_of_logged(one, _versions(question).get(one.model, []))


def _versions(question: Question) -> dict[str, list[wire.ModelVersion]]:
    """Registered versions by the logged model that they were made of."""
    found: wire.ModelVersions = question.ask(wire.ListModelVersions(project=question.project))
    by_model: dict[str, list[wire.ModelVersion]] = {}
    for version in found.versions:
        if version.logged_model:
            by_model.setdefault(version.logged_model, []).append(version)
    return by_model


def _on(metric: dict[str, Any], datasets: list[tuple[str, str]]) -> bool:
    known = metric.get("dataset"), metric.get("dataset_digest")
    return not datasets or any(name == known[0] and digest in ("", known[1]) for name, digest in datasets)


def _sorting(told: Any) -> Sorting:
    name = str(told.get("field_name", ""))
    of, dot, rest = name.partition(".")
    kinds = {"metrics": "metric", "params": "param", "tags": "tag", "attributes": "attribute"}
    ascending = told.get("ascending", True)
    if dot and of in kinds:
        return Sorting(kinds[of], rest, not ascending)
    return Sorting("attribute", name, not ascending)


def _value(one: wire.LoggedModel, datasets: list[tuple[str, str]], of: str, name: str) -> Any:
    """What a model has under a name; a metric as it was measured on one of the data sets, where some are named."""
    if of == "param":
        return one.params.get(name)
    if of == "tag":
        return one.tags.get(name)
    if of == "metric":
        measured = (metric for metric in reversed(one.metrics) if metric["key"] == name and _on(metric, datasets))
        return next((float(metric["value"]) for metric in measured), None)
    values = {
        "name": one.name,
        "model_id": one.model,
        "model_type": one.model_type,
        "status": one.status,
        "source_run_id": one.run,
        "experiment_id": one.experiment,
        "creation_timestamp": milliseconds(one.created_at),
        "creation_time": milliseconds(one.created_at),
        "last_updated_timestamp": milliseconds(one.updated_at),
    }
    if of != "attribute" or name not in values:
        raise Invalid("MUNI-Y129", f"logged models have no {of} {name[:80]!r}", given=name[:80], known=sorted(values))
    return values[name]


CALLS: Final[Calls] = {
    ("POST", "mlflow/logged-models"): create,
    ("POST", "mlflow/logged-models/search"): search,
    ("GET", "mlflow/logged-models/{id}"): get,
    ("PATCH", "mlflow/logged-models/{id}"): finalize,
    ("DELETE", "mlflow/logged-models/{id}"): delete,
    ("PATCH", "mlflow/logged-models/{id}/tags"): set_tags,
    ("DELETE", "mlflow/logged-models/{id}/tags/{id}"): delete_tag,
    ("POST", "mlflow/logged-models/{id}/params"): log_params,
}
