"""MLflow's calls about experiments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from muniment.errors import Invalid, NotFound
from muniment.gateways.mlflow.asking import Calls, Fields, Question
from muniment.gateways.mlflow.filters import Sorting, matches, order, pages, parse
from muniment.gateways.mlflow.shapes import document_of_experiment, milliseconds
from muniment.wire import registry as wire

__all__ = ["CALLS", "limit_of", "named", "short_names", "view_of"]

_MOST: Final = 50_000


def create(question: Question) -> dict[str, Any]:
    """Create an experiment; where its artifacts go is not for a client to choose."""
    fields = question.fields
    if location := fields.text("artifact_location"):
        raise Invalid(
            "MUNI-Y112",
            "artifacts are kept by this server, sealed; a client chooses no other place for them",
            artifact_location=location[:200],
            do="leave artifact_location out",
        )
    request = wire.NameExperiment(project=question.project, name=fields.needed("name"), tags=fields.pairs("tags"))
    return {"experiment_id": question.ask(request).id}


def get(question: Question) -> dict[str, Any]:
    """An experiment by its id."""
    return {"experiment": document_of_experiment(named(question, question.fields.needed("experiment_id")))}


def get_by_name(question: Question) -> dict[str, Any]:
    """An experiment by its name."""
    name = question.fields.needed("experiment_name")
    for one in _all(question):
        if one.name == name:
            return {"experiment": document_of_experiment(one)}
    raise NotFound("MUNI-Y202", f"there is no experiment of the name {name[:80]!r}", name=name[:200])


def search(question: Question) -> dict[str, Any]:
    """Experiments by name, times and tags."""
    fields = question.fields
    wanted = view_of(fields, "view_type")
    clauses = parse(fields.text("filter"))
    found = [
        one
        for one in _all(question)
        if (wanted is None or one.deleted is wanted) and matches(clauses, partial(_value, one))
    ]
    sortings = order(fields.texts("order_by")) or [Sorting("attribute", "last_update_time", descending=True)]
    for sorting in reversed(sortings):
        found.sort(key=lambda one: _value(one, "attribute", sorting.name), reverse=sorting.descending)
    page, token = pages(found, limit_of(fields, 1000), fields.text("page_token"))
    return {
        "experiments": [document_of_experiment(one) for one in page],
        **({"next_page_token": token} if token else {}),
    }


def update(question: Question) -> dict[str, Any]:
    """Give an experiment another name."""
    fields = question.fields
    question.ask(
        wire.UpdateExperiment(
            project=question.project, id=fields.needed("experiment_id"), name=fields.needed("new_name")
        )
    )
    return {}


def delete(question: Question) -> dict[str, Any]:
    """Take an experiment out of lists."""
    question.ask(wire.DeleteExperiment(project=question.project, id=question.fields.needed("experiment_id")))
    return {}


def restore(question: Question) -> dict[str, Any]:
    """Put it back."""
    question.ask(wire.RestoreExperiment(project=question.project, id=question.fields.needed("experiment_id")))
    return {}


def set_tag(question: Question) -> dict[str, Any]:
    """Set a tag of an experiment."""
    fields = question.fields
    tags: dict[str, str | None] = {fields.needed("key"): fields.text("value")}
    question.ask(wire.UpdateExperiment(project=question.project, id=fields.needed("experiment_id"), tags=tags))
    return {}


def delete_tag(question: Question) -> dict[str, Any]:
    """Take a tag away."""
    fields = question.fields
    experiment, key = named(question, fields.needed("experiment_id")), fields.needed("key")
    if key not in experiment.tags:
        raise NotFound("MUNI-Y215", f"the experiment has no tag {key[:80]!r}", id=experiment.id, key=key[:200])
    question.ask(wire.UpdateExperiment(project=question.project, id=experiment.id, tags={key: None}))
    return {}


def named(question: Question, id: str) -> wire.NamedExperiment:
    """The experiment of an id; raises NotFound."""
    found: wire.NamedExperiments = question.ask(wire.ListNamedExperiments(project=question.project, id=id))
    return found.experiments[0]


def short_names(question: Question, ids: list[str], *, deleted: bool) -> list[str]:
    """The short names of experiments by their ids, deleted ones only where they are wanted.

    Raises:
        NotFound: there is no such experiment.
    """
    known = {ids[0]: named(question, ids[0])} if len(ids) == 1 else {one.id: one for one in _all(question)}
    for id in ids:
        if id not in known:
            raise NotFound(
                "MUNI-Y208", f"there is no experiment with id {id[:40]!r}", id=id[:80], project=question.project
            )
    return [known[id].experiment for id in ids if deleted or not known[id].deleted]


def view_of(fields: Fields, name: str) -> bool | None:
    """Whether deleted things are wanted, others, or both (None)."""
    given = fields.told.get(name)
    views: Mapping[Any, bool | None] = {
        None: False,
        "ACTIVE_ONLY": False,
        1: False,
        "1": False,
        "DELETED_ONLY": True,
        2: True,
        "2": True,
        "ALL": None,
        3: None,
        "3": None,
    }
    if isinstance(given, list | dict) or given not in views:
        raise Invalid("MUNI-Y113", "not a view", field=name, given=str(given)[:80])
    return views[given]


def limit_of(fields: Fields, default: int, most: int = _MOST) -> int:
    """How many a page may hold; raises Invalid when it is not 1 to the most that MLflow allows."""
    limit = fields.integer("max_results", default)
    if not 1 <= limit <= most:
        raise Invalid("MUNI-Y114", f"max_results is 1 to {most}", given=limit)
    return limit


def _all(question: Question) -> list[wire.NamedExperiment]:
    found: wire.NamedExperiments = question.ask(wire.ListNamedExperiments(project=question.project))
    return found.experiments


def _value(one: wire.NamedExperiment, of: str, name: str) -> Any:
    if of == "tag":
        return one.tags.get(name)
    values = {
        "name": one.name,
        "experiment_id": one.id,
        "creation_time": milliseconds(one.created_at),
        "last_update_time": milliseconds(one.updated_at),
    }
    if of != "attribute" or name not in values:
        raise Invalid("MUNI-Y115", f"experiments have no {of} {name[:80]!r}", given=name[:80], known=sorted(values))
    return values[name]


CALLS: Final[Calls] = {
    ("POST", "mlflow/experiments/create"): create,
    ("GET", "mlflow/experiments/get"): get,
    ("GET", "mlflow/experiments/get-by-name"): get_by_name,
    ("GET", "mlflow/experiments/search"): search,
    ("POST", "mlflow/experiments/search"): search,
    ("POST", "mlflow/experiments/update"): update,
    ("POST", "mlflow/experiments/delete"): delete,
    ("POST", "mlflow/experiments/restore"): restore,
    ("POST", "mlflow/experiments/set-experiment-tag"): set_tag,
    ("POST", "mlflow/experiments/delete-experiment-tag"): delete_tag,
}
