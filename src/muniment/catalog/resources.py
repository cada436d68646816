"""The kinds of resource that policies about data and models speak of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from muniment.catalog.model import Activity, Entity, EntityKind
from muniment.catalog.naming import resolve
from muniment.catalog.ports import Activities, Stewarded
from muniment.errors import Invalid, NotFound
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.kernel.reference import Named, bears_kind, parse_reference
from muniment.kernel.verb import Resource, ResourceKind

_ATTRIBUTES: Final = {"classification": "String", "author": "String"}
_STEWARDED: Final = {
    "access": "String",
    "granted": "Set<User>",
    "granted_services": "Set<ServiceAccount>",
    "held": "Bool",
    "legal_basis": "Set<String>",
    "owners": "Set<String>",
    "purposes": "Set<String>",
    "rights": "Set<String>",
}
"""What stewards say of a data set: how it is reached, who has access by a grant at this moment, whether a hold forbids
its use, by which right it is processed, who answers for it, what it may be used for (empty: anything), and which uses
it is kept from."""

_UNSAID: Final = {"String": "role", "Bool": False}


def find(session: Session, project: str, reference: str) -> Entity | Activity:
    """The entity, or for ``run:<id>`` the recorded activity, that a reference means; a bare name is one of data.

    Raises:
        Invalid: not a reference.
        NotFound: there is no such thing, or the run has not ended yet.
    """
    parsed = parse_reference(reference if bears_kind(reference) else f"data:{reference}")
    if not isinstance(parsed, Named) or parsed.kind != "run":
        return resolve(session, project, str(parsed))
    found = session.use(Activities).find(project, [parsed.name]).get(parsed.name)
    if found is None:
        raise NotFound(
            "MUNI-C206",
            f"no run {parsed.name} stands in the record",
            run=parsed.name,
            do="a run stands in the record once it has ended; muni runs show RUN tells how far it is",
        )
    return found


def locate_dataset(session: Session, project: str | None, reference: str) -> Resource:
    """The snapshot that a request names."""
    return dataset_resource(resolve(session, _inside(project), reference, EntityKind.DATA))


def dataset_resource(found: Entity) -> Resource:
    """A snapshot as policies see it, before what stewards said of it is looked up."""
    plain = _resource("Dataset", found)
    unsaid = {name: _UNSAID.get(type_, []) for name, type_ in _STEWARDED.items()}
    return replace(plain, attributes={**unsaid, **plain.attributes})


def stewarded(session: Session, resource: Resource, now: datetime) -> Resource:
    """The snapshot with what stewards said of it, at this moment."""
    digest = Digest(resource.id.rpartition("/")[2])
    said = session.use(Stewarded).attributes(resource.project or "", digest, now)
    return replace(resource, attributes={**resource.attributes, **said})


def locate_model(session: Session, project: str | None, reference: str) -> Resource:
    """The model that a request names."""
    return _resource("Model", resolve(session, _inside(project), reference, EntityKind.MODEL))


def locate_entity(session: Session, project: str | None, reference: str) -> Resource:
    """Whatever a request names."""
    return _resource("Entity", find(session, _inside(project), reference))


def entity_resource(found: Entity) -> Resource:
    """An entity as policies see it."""
    return _resource("Entity", found)


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


DATASET: Final = ResourceKind(
    "Dataset", "datasets", "dataset", locate_dataset, attributes={**_ATTRIBUTES, **_STEWARDED}, dated=stewarded
)
MODEL: Final = ResourceKind("Model", "models", "model", locate_model, attributes=_ATTRIBUTES)
ENTITY: Final = ResourceKind("Entity", "entities", "reference", locate_entity, attributes=_ATTRIBUTES)
