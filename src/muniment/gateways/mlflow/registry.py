"""MLflow's calls about the model registry: names, versions, aliases, stages."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from muniment.errors import Invalid, NotFound
from muniment.gateways.mlflow.artifacts import place_of_uri
from muniment.gateways.mlflow.asking import Calls, Fields, Question
from muniment.gateways.mlflow.experiments import limit_of
from muniment.gateways.mlflow.filters import Sorting, matches, order, pages, parse
from muniment.gateways.mlflow.shapes import (
    PLATFORM_TAGS,
    STAGES,
    aliases_of,
    document_of_name,
    document_of_version,
    download_uri,
    milliseconds,
)
from muniment.wire import registry as wire

__all__ = ["CALLS"]

_PROMPT: Final = "mlflow.prompt.is_prompt"
"""Clients ask for names without this tag as for those where it is not ``true``."""

_MOST_VERSION: Final = 10**9
_TAKEN: Final = re.compile(r"latest|v\d+", re.IGNORECASE)
"""What clients read as a version in ``models:/NAME@…`` and ``models:/NAME/…``."""


def create_name(question: Question) -> dict[str, Any]:
    """Open a name."""
    fields = question.fields
    tags = fields.pairs("tags")
    if tags.get(_PROMPT, "false") != "false":
        raise NotFound("MUNI-Y216", "prompts of MLflow are not kept here", name=fields.text("name")[:200])
    request = wire.CreateRegisteredModel(
        project=question.project, name=fields.needed("name"), description=fields.text("description"), tags=tags
    )
    return {"registered_model": document_of_name(question.ask(request))}


def get_name(question: Question) -> dict[str, Any]:
    """A registered model."""
    return {"registered_model": document_of_name(_name(question, question.fields.needed("name")))}


def update_name(question: Question) -> dict[str, Any]:
    """Change its description."""
    fields = question.fields
    request = wire.UpdateRegisteredModel(
        project=question.project, name=fields.needed("name"), description=fields.text("description")
    )
    return {"registered_model": document_of_name(question.ask(request))}


def rename(question: Question) -> dict[str, Any]:
    """Names stay; the refusal says why."""
    fields = question.fields
    request = wire.UpdateRegisteredModel(
        project=question.project, name=fields.needed("name"), new_name=fields.needed("new_name")
    )
    return {"registered_model": document_of_name(question.ask(request))}


def delete_name(question: Question) -> dict[str, Any]:
    """Take it out of lists."""
    question.ask(wire.DeleteRegisteredModel(project=question.project, name=question.fields.needed("name")))
    return {}


def search_names(question: Question) -> dict[str, Any]:
    """Registered models by name and tags."""
    fields = question.fields
    listed: wire.RegisteredModels = question.ask(wire.ListRegisteredModels(project=question.project))
    clauses = parse(fields.text("filter"))
    found = [one for one in listed.models if matches(clauses, partial(_of_name, one))]
    for sorting in reversed(order(fields.texts("order_by")) or [Sorting("attribute", "name", descending=False)]):
        found.sort(key=lambda one: _of_name(one, sorting.of, sorting.name) or "", reverse=sorting.descending)
    page, token = pages(found, limit_of(fields, 100), fields.text("page_token"))
    documents = [document_of_name(one) for one in page]
    return {"registered_models": documents, **({"next_page_token": token} if token else {})}


def latest(question: Question) -> dict[str, Any]:
    """The newest version of each stage."""
    fields = question.fields
    found = _name(question, fields.needed("name"))
    stages = {stage.lower() for stage in fields.texts("stages")}
    if unknown := sorted(stages - {stage.lower() for stage in STAGES}):
        raise Invalid("MUNI-Y145", "not a stage", given=unknown[0][:80], stages=list(STAGES))
    documents = document_of_name(found)["latest_versions"]
    return {"model_versions": [one for one in documents if not stages or one["current_stage"].lower() in stages]}


def set_name_tag(question: Question) -> dict[str, Any]:
    """Set a tag of a registered model."""
    fields = question.fields
    tags: dict[str, str | None] = {fields.needed("key"): fields.text("value")}
    question.ask(wire.UpdateRegisteredModel(project=question.project, name=fields.needed("name"), tags=tags))
    return {}


def delete_name_tag(question: Question) -> dict[str, Any]:
    """Take a tag away."""
    fields = question.fields
    tags: dict[str, str | None] = {fields.needed("key"): None}
    question.ask(wire.UpdateRegisteredModel(project=question.project, name=fields.needed("name"), tags=tags))
    return {}


def set_alias(question: Question) -> dict[str, Any]:
    """Let an alias mean a version."""
    fields = question.fields
    alias = fields.needed("alias")
    if _TAKEN.fullmatch(alias):
        raise Invalid("MUNI-Y146", f"{alias[:80]!r} cannot be an alias: it means a version already", given=alias[:80])
    aliases: dict[str, int | None] = {alias: _number(fields)}
    question.ask(wire.UpdateRegisteredModel(project=question.project, name=fields.needed("name"), aliases=aliases))
    return {}


def delete_alias(question: Question) -> dict[str, Any]:
    """Take an alias away."""
    fields = question.fields
    aliases: dict[str, int | None] = {fields.needed("alias"): None}
    question.ask(wire.UpdateRegisteredModel(project=question.project, name=fields.needed("name"), aliases=aliases))
    return {}


def get_by_alias(question: Question) -> dict[str, Any]:
    """The version that an alias means."""
    fields = question.fields
    name, alias = _name(question, fields.needed("name")), fields.needed("alias")
    if alias not in name.aliases:
        raise NotFound(
            "MUNI-Y207", f"{name.name[:80]!r} has no alias {alias[:80]!r}", name=name.name, alias=alias[:200]
        )
    return {"model_version": _document(name, name.aliases[alias])}


def create_version(question: Question) -> dict[str, Any]:
    """Fix the files of a run or logged model as the next version; only bytes that are here can be registered."""
    fields = question.fields
    source, model = fields.text("source"), fields.text("model_id")
    place = place_of_uri(question, source if source or not model else f"models:/{model}")
    if not place.run:
        raise Invalid("MUNI-Y130", "a version is registered from the files of a run", source=source[:300])
    request = wire.CreateModelVersion(
        project=question.project,
        name=fields.needed("name"),
        run=place.run,
        path=place.full,
        source=source,
        model=model or place.model,
        description=fields.text("description"),
        tags=_own(fields.pairs("tags")) if place.name else fields.pairs("tags"),
    )
    return {"model_version": document_of_version(question.ask(request))}


def get_version(question: Question) -> dict[str, Any]:
    """A registered version."""
    name = _name(question, question.fields.needed("name"))
    return {"model_version": _document(name, _number(question.fields))}


def update_version(question: Question) -> dict[str, Any]:
    """Change its description."""
    fields = question.fields
    request = wire.UpdateModelVersion(
        project=question.project,
        name=fields.needed("name"),
        version=_number(fields),
        description=fields.text("description"),
    )
    question.ask(request)
    return get_version(question)


def transition(question: Question) -> dict[str, Any]:
    """Say of which stage a version is; it opens no gate."""
    fields = question.fields
    request = wire.UpdateModelVersion(
        project=question.project,
        name=fields.needed("name"),
        version=_number(fields),
        stage=fields.needed("stage"),
        archive_others=fields.flag("archive_existing_versions"),
    )
    question.ask(request)
    return get_version(question)


def delete_version(question: Question) -> dict[str, Any]:
    """Take a version out of lists."""
    fields = question.fields
    request = wire.DeleteModelVersion(project=question.project, name=fields.needed("name"), version=_number(fields))
    question.ask(request)
    return {}


def set_version_tag(question: Question) -> dict[str, Any]:
    """Set a tag of a version."""
    fields = question.fields
    tags: dict[str, str | None] = {fields.needed("key"): fields.text("value")}
    name, version = fields.needed("name"), _number(fields)
    question.ask(wire.UpdateModelVersion(project=question.project, name=name, version=version, tags=tags))
    return {}


def delete_version_tag(question: Question) -> dict[str, Any]:
    """Take a tag away."""
    fields = question.fields
    tags: dict[str, str | None] = {fields.needed("key"): None}
    name, version = fields.needed("name"), _number(fields)
    question.ask(wire.UpdateModelVersion(project=question.project, name=name, version=version, tags=tags))
    return {}


def get_download_uri(question: Question) -> dict[str, Any]:
    """Where the files of a version are fetched, as they were fixed."""
    fields = question.fields
    name = _name(question, fields.needed("name"))
    _document(name, _number(fields))
    return {"artifact_uri": download_uri(name.name, _number(fields))}


def search_versions(question: Question) -> dict[str, Any]:
    """Versions by name, run, source, number and tags."""
    fields = question.fields
    listed: wire.RegisteredModels = question.ask(wire.ListRegisteredModels(project=question.project))
    clauses = parse(fields.text("filter"))
    found = [
        (version, aliases_of(name, version.version))
        for name in listed.models
        for version in name.versions
        if matches(clauses, partial(_of_version, version))
    ]
    sortings = order(fields.texts("order_by")) or [Sorting("attribute", "last_updated_timestamp", descending=True)]
    for sorting in reversed(sortings):
        found.sort(key=lambda one: _of_version(one[0], sorting.of, sorting.name), reverse=sorting.descending)
    page, token = pages(found, limit_of(fields, 10_000, 200_000), fields.text("page_token"))
    documents = [document_of_version(version, aliases) for version, aliases in page]
    return {"model_versions": documents, **({"next_page_token": token} if token else {})}


def _own(tags: dict[str, str]) -> dict[str, str]:
    """The tags of a version that is copied, without what the platform said of it: it says that of the copy itself."""
    return {name: text for name, text in tags.items() if name not in PLATFORM_TAGS}


def _name(question: Question, name: str) -> wire.RegisteredModel:
    found: wire.RegisteredModels = question.ask(wire.ListRegisteredModels(project=question.project, name=name))
    return found.models[0]


def _document(name: wire.RegisteredModel, number: int) -> dict[str, Any]:
    for version in name.versions:
        if version.version == number:
            return document_of_version(version, aliases_of(name, number))
    raise NotFound("MUNI-Y210", f"{name.name[:80]!r} has no version {number}", name=name.name, version=number)


def _number(fields: Fields) -> int:
    number = fields.integer("version", 0)
    if not 1 <= number < _MOST_VERSION:
        raise Invalid("MUNI-Y131", "a version is a number from 1 on", given=str(fields.told.get("version"))[:80])
    return number


def _of_name(one: wire.RegisteredModel, of: str, name: str) -> Any:
    if of == "tag":
        return one.tags.get(name, "false" if name == _PROMPT else None)
    values = {
        "name": one.name,
        "timestamp": milliseconds(one.updated_at),
        "last_updated_timestamp": milliseconds(one.updated_at),
        "creation_timestamp": milliseconds(one.created_at),
    }
    if of != "attribute" or name not in values:
        raise Invalid(
            "MUNI-Y132", f"registered models have no {of} {name[:80]!r}", given=name[:80], known=sorted(values)
        )
    return values[name]


def _of_version(one: wire.ModelVersion, of: str, name: str) -> Any:
    if of == "tag":
        return one.tags.get(name)
    values = {
        "name": one.name,
        "version_number": one.version,
        "run_id": one.run,
        "source_path": one.source,
        "creation_timestamp": milliseconds(one.created_at),
        "last_updated_timestamp": milliseconds(one.updated_at),
    }
    if of != "attribute" or name not in values:
        raise Invalid("MUNI-Y133", f"model versions have no {of} {name[:80]!r}", given=name[:80], known=sorted(values))
    return values[name]


CALLS: Final[Calls] = {
    ("POST", "mlflow/registered-models/create"): create_name,
    ("GET", "mlflow/registered-models/get"): get_name,
    ("PATCH", "mlflow/registered-models/update"): update_name,
    ("POST", "mlflow/registered-models/rename"): rename,
    ("DELETE", "mlflow/registered-models/delete"): delete_name,
    ("GET", "mlflow/registered-models/search"): search_names,
    ("GET", "mlflow/registered-models/get-latest-versions"): latest,
    ("POST", "mlflow/registered-models/get-latest-versions"): latest,
    ("POST", "mlflow/registered-models/set-tag"): set_name_tag,
    ("DELETE", "mlflow/registered-models/delete-tag"): delete_name_tag,
    ("POST", "mlflow/registered-models/alias"): set_alias,
    ("DELETE", "mlflow/registered-models/alias"): delete_alias,
    ("GET", "mlflow/registered-models/alias"): get_by_alias,
    ("POST", "mlflow/model-versions/create"): create_version,
    ("GET", "mlflow/model-versions/get"): get_version,
    ("PATCH", "mlflow/model-versions/update"): update_version,
    ("POST", "mlflow/model-versions/transition-stage"): transition,
    ("DELETE", "mlflow/model-versions/delete"): delete_version,
    ("POST", "mlflow/model-versions/set-tag"): set_version_tag,
    ("DELETE", "mlflow/model-versions/delete-tag"): delete_version_tag,
    ("GET", "mlflow/model-versions/get-download-uri"): get_download_uri,
    ("GET", "mlflow/model-versions/search"): search_versions,
}
