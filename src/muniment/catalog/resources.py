"""The kinds of resource that policies about data and models speak of."""

from __future__ import annotations

from typing import Final

from muniment.catalog.model import Activity, Entity, EntityKind
from muniment.catalog.naming import resolve
from muniment.catalog.ports import Activities
from muniment.errors import Invalid, NotFound
from muniment.kernel.ports import Session
from muniment.kernel.reference import Named, parse_reference
from muniment.kernel.verb import Resource, ResourceKind

_ATTRIBUTES: Final = {"classification": "String", "author": "String"}


def find(session: Session, project: str, reference: str) -> Entity | Activity:
    """The entity, or for ``run:<id>`` the recorded activity, that a reference means; a bare name is one of data.

    Raises:
        Invalid: not a reference.
        NotFound: there is no such thing, or the run has not ended yet.
    """
    parsed = parse_reference(reference if ":" in reference else f"data:{reference}")
    if not isinstance(parsed, Named) or parsed.kind != "run":
        return resolve(session, project, str(parsed))
    found = session.use(Activities).find(project, [parsed.name]).get(parsed.name)
    if found is None:
        raise NotFound("MUNI-C206", f"no run {parsed.name} stands in the record", run=parsed.name)
    return found


def locate_dataset(session: Session, project: str | None, reference: str) -> Resource:
    """The snapshot that a request names."""
    return _resource("Dataset", resolve(session, _inside(project), reference, EntityKind.DATA))


def locate_model(session: Session, project: str | None, reference: str) -> Resource:
    """The model that a request names."""
    return _resource("Model", resolve(session, _inside(project), reference, EntityKind.MODEL))


def locate_entity(session: Session, project: str | None, reference: str) -> Resource:
    """Whatever a request names."""
    return _resource("Entity", find(session, _inside(project), reference))


def _inside(project: str | None) -> str:
    if project is None:
        raise Invalid("MUNI-C104", "data and models belong to a project", do="name the project")
    return project


def _resource(kind: str, found: Entity | Activity) -> Resource:
    if isinstance(found, Entity):
        attributes = {"classification": found.classification, "author": found.author}
        return Resource(kind, f"{found.project}/{found.digest}", found.project, attributes)
    attributes = {"classification": "internal", "author": found.agent}
    return Resource(kind, f"{found.project}/run:{found.id}", found.project, attributes)


DATASET: Final = ResourceKind("Dataset", "datasets", "dataset", locate_dataset, attributes=_ATTRIBUTES)
MODEL: Final = ResourceKind("Model", "models", "model", locate_model, attributes=_ATTRIBUTES)
ENTITY: Final = ResourceKind("Entity", "entities", "reference", locate_entity, attributes=_ATTRIBUTES)
