"""Feature views as the catalog keeps them: found by name, with the builds that filled them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from muniment.catalog.growing import CLASSIFICATIONS
from muniment.catalog.model import ActivityKind, Direction, Entity, EntityKind, Relation
from muniment.catalog.naming import resolve
from muniment.catalog.ports import Activities, Entities, Lineage, Names
from muniment.errors import IntegrityError, Invalid, NotFound
from muniment.execution.model import Run
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.kernel.reference import Named, parse_reference
from muniment.kernel.verb import Call, Resource, ResourceKind
from muniment.programs.feature_view import View, read_view

__all__ = ["FEATURES", "Filling", "Known", "fillings", "newest_report", "rows_for", "strictest", "view_of"]


@dataclass(frozen=True, slots=True)
class Known:
    """A view that stands in the catalog."""

    entity: Entity
    view: View

    @property
    def digest(self) -> Digest:
        """Its identity."""
        return self.entity.digest


@dataclass(frozen=True, slots=True)
class Filling:
    """One build of a view."""

    run: str
    at: datetime
    rows: Entity


def view_of(session: Session, project: str, reference: str) -> Known:
    """The view that a reference means.

    Raises:
        NotFound: there is none.
        Invalid: the reference is none, or names something else.
    """
    return known(resolve(session, project, reference, EntityKind.FEATURES))


def known(entity: Entity) -> Known:
    """The view that an entity is."""
    document = entity.facts.get("document")
    if not isinstance(document, dict):
        raise IntegrityError("MUNI-F501", "the record of this feature view lacks its definition", digest=entity.digest)
    return Known(entity, read_view(document))


def locate_view(session: Session, project: str | None, reference: str) -> Resource:
    """The feature view that a request names."""
    if project is None:
        raise Invalid("MUNI-F144", "feature views belong to a project", do="name the project")
    entity = resolve(session, project, reference, EntityKind.FEATURES)
    attributes = {"classification": entity.classification, "author": entity.author}
    return Resource("FeatureView", f"{project}/{entity.digest}", project, attributes)


FEATURES: Final = ResourceKind(
    "FeatureView",
    "features",
    "view",
    locate_view,
    attributes={"classification": "String", "author": "String"},
)


def fillings(call: Call, view: Digest) -> Sequence[Filling]:
    """The builds of a view, newest first."""
    kinds = _users(call, view)
    made = call.use(Lineage).of_activities(
        call.project, [one for one, kind in kinds.items() if kind is ActivityKind.TRANSFORM]
    )
    rows = {
        edge.activity: edge.entity for edge in made.edges if edge.relation is Relation.GENERATED and edge.role == "rows"
    }
    entities = call.use(Entities).find(call.project, rows.values())
    activities = call.use(Activities).find(call.project, rows)
    found = [Filling(one, activities[one].ended_at, entities[digest]) for one, digest in rows.items()]
    return sorted(found, key=lambda filling: filling.run, reverse=True)


def rows_for(call: Call, view: Known, build: str | None) -> Entity:
    """The rows of a view: those that were asked for, else those of its latest build.

    Raises:
        NotFound: it was never built.
        Invalid: what was asked for is no build of it.
    """
    builds = fillings(call, view.digest)
    if build is None:
        if not builds:
            raise NotFound(
                "MUNI-F201",
                f"the view {view.view.name} has not been built",
                view=view.view.name,
                digest=view.digest,
                do=f"muni feature build {view.view.name}",
            )
        return builds[0].rows
    asked = resolve(call.session, call.project, build, EntityKind.DATA)
    if asked.digest not in {filling.rows.digest for filling in builds}:
        raise Invalid(
            "MUNI-F109",
            f"{build[:80]} is no build of the view {view.view.name}",
            build=build[:200],
            view=view.view.name,
            do=f"muni feature show {view.view.name} lists its builds",
        )
    return asked


def before(call: Call, view: Known, rows: Entity) -> Entity | None:
    """The rows that came before these: of the build before, or of the version of the view before."""
    builds = fillings(call, view.digest)
    older = [one for one in builds if one.rows.digest != rows.digest]
    if older:
        return older[0].rows
    for name in call.use(Names).versions(call.project, EntityKind.FEATURES, view.view.name):
        if name.digest != view.digest and (made := fillings(call, name.digest)):
            return made[0].rows
    return None


def newest_report(call: Call, view: Digest, kind: ActivityKind) -> tuple[Run, dict[str, Any]] | None:
    """The newest report of this kind about a view, with the run that made it."""
    kinds = _users(call, view)
    for one in sorted((one for one, found in kinds.items() if found is kind), reverse=True):
        run = call.use(RunQueue).get(call.project, one)
        report = report_of(call, run) if run is not None else None
        if run is not None and report is not None:
            return run, report
    return None


def published_version(call: Call, reference: str) -> Sequence[Digest]:
    """The versions that a reference may mean for reading online: that one, or all of the name, newest first."""
    parsed = parse_reference(reference, kind=EntityKind.FEATURES)
    if isinstance(parsed, Named) and parsed.version is None:
        versions = call.use(Names).versions(call.project, EntityKind.FEATURES, parsed.name)
        return [name.digest for name in versions]
    return [resolve(call.session, call.project, reference, EntityKind.FEATURES).digest]


def strictest(entities: Iterable[Entity]) -> str:
    """The strictest classification among these: what is made of them is handled like it."""
    classes = [entity.classification for entity in entities]
    unknown = [one for one in classes if one not in CLASSIFICATIONS]
    return unknown[0] if unknown else max(classes, key=CLASSIFICATIONS.index, default="internal")


def _users(call: Call, view: Digest) -> dict[str, ActivityKind]:
    graph = call.use(Lineage).closure(call.project, view, Direction.DOWNSTREAM, 1)
    return {
        edge.activity: graph.activities[edge.activity].kind
        for edge in graph.edges
        if edge.relation is Relation.USED and edge.entity == view
    }
