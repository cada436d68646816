"""Fingerprints as they are found again, or asked for: what was made once over a view is not made twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from muniment.catalog.model import ActivityKind, Direction, Entity, EntityKind, Relation
from muniment.catalog.naming import label
from muniment.catalog.ports import Entities, Lineage
from muniment.data.rows.views import View
from muniment.execution.model import JobSpec, RunStatus
from muniment.execution.ports import Limits
from muniment.execution.queue import RunQueue
from muniment.execution.submitting import files_of, submit
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade, weakest
from muniment.kernel.verb import Call
from muniment.vault.service import Vault
from muniment.wire.execution import JobLimits

USE: Final = "rows-1"
"""What the project's key is lent for; another layout of rows would be another use."""

KEY_FILE: Final = "rows"
_OPEN: Final = 1000
_MOST_VIEWS: Final = 16
"""Of one job, so that what it writes stays within the limits of one."""


@dataclass(frozen=True, slots=True)
class Made:
    """Fingerprints that are there."""

    digest: Digest
    grade: Grade
    """Who stands behind that they are the fingerprints of that snapshot."""


@dataclass(frozen=True, slots=True)
class Found:
    """Which of the wanted fingerprints are there, and what is being done about the others."""

    made: dict[tuple[Digest, str], Made]
    """By snapshot and view."""
    waiting: tuple[str, ...]
    """Runs that make the others."""

    def of(self, data: Entity, view: View) -> Made:
        """Those of a snapshot over a view."""
        return self.made[data.digest, _name(view)]


def find_or_make(call: Call, wanted: Iterable[tuple[Entity, View]], limits: JobLimits) -> Found:
    """The wanted fingerprints; those that are missing are asked for, one job for each snapshot."""
    key = call.use(Vault).lending.name(call.session, call.project, USE)
    by_data: dict[Digest, tuple[Entity, dict[str, View]]] = {}
    for data, view in wanted:
        by_data.setdefault(data.digest, (data, {}))[1][_name(view)] = view
    made: dict[tuple[Digest, str], Made] = {}
    waiting: list[str] = []
    for data, views in by_data.values():
        there = _there(call, data, key)
        made |= {(data.digest, name): there[name] for name in views if name in there}
        missing = [view for name, view in sorted(views.items()) if name not in there]
        waiting += _asked(call, data, key, missing, limits)
    return Found(made, tuple(dict.fromkeys(waiting)))


def _there(call: Call, data: Entity, key: str) -> dict[str, Made]:
    """The fingerprints of a snapshot under the project's key, by view: those that a fingerprinting of it made."""
    below = call.use(Lineage).closure(call.project, data.digest, Direction.DOWNSTREAM, 1)
    jobs = [node.id for node in below.activities.values() if node.kind is ActivityKind.FINGERPRINT]
    graph = call.use(Lineage).of_activities(call.project, jobs)
    read = {
        edge.activity: edge.grade
        for edge in graph.edges
        if edge.relation is Relation.USED and edge.role == "data" and edge.entity == data.digest
    }
    edges = [edge for edge in graph.edges if edge.relation is Relation.GENERATED and edge.activity in read]
    entities = call.use(Entities).find(call.project, {edge.entity for edge in edges})
    found: dict[str, Made] = {}
    for edge in edges:
        entity = entities[edge.entity]
        if entity.kind is not EntityKind.FINGERPRINTS or entity.facts.get("key") != key or not _kept(call, entity):
            continue
        grade = weakest((edge.grade, read[edge.activity], entity.grade))
        name = _name(entity.facts["view"])
        if name not in found or weakest((grade, found[name].grade)) is not grade:
            found[name] = Made(entity.digest, grade)
    return found


def _kept(call: Call, entity: Entity) -> bool:
    """Whether the bytes are still there: they go with what is erased."""
    vault = call.use(Vault)
    return all(vault.has(call.session, call.project, Digest(file["digest"])) for file in files_of(entity))


def _asked(call: Call, data: Entity, key: str, views: Sequence[View], limits: JobLimits) -> list[str]:
    """The runs that make these views: those under way already, and new ones for the rest."""
    if not views:
        return []
    queue = call.use(RunQueue)
    runs, under_way = [], set()
    for status in (RunStatus.QUEUED, RunStatus.RUNNING):
        for run in queue.find(
            call.project, experiment=None, kind=ActivityKind.FINGERPRINT.value, status=status.value, limit=_OPEN
        ):
            same = run.job["inputs"].get("data") == str(data.digest) and run.job.get("keys") == {KEY_FILE: key}
            made = {_name(view) for view in run.job["params"]["views"].values()} if same else set()
            if made & {_name(view) for view in views}:
                runs.append(f"run:{run.id}")
                under_way |= made
    missing = [view for view in views if _name(view) not in under_way]
    for start in range(0, len(missing), _MOST_VIEWS):
        some = missing[start : start + _MOST_VIEWS]
        spec = JobSpec(
            kind=ActivityKind.FINGERPRINT.value,
            program="muniment.programs.fingerprint",
            label=label(call.session, call.project, data.digest),
            inputs={"data": str(data.digest)},
            params={"views": {f"{number:02d}": dict(view) for number, view in enumerate(some)}},
            limits=_limits(data, len(some), limits),
            keys={KEY_FILE: key},
        )
        runs.append(submit(call, spec).run)
    return runs


def _limits(data: Entity, views: int, asked: JobLimits) -> Limits:
    """The limits that are asked for; otherwise enough for 16 bytes a row and view, twice, and what sorting takes."""
    given = {name: getattr(asked, name) for name in asked.__struct_fields__ if getattr(asked, name) is not None}
    rows = data.facts.get("rows")
    megabytes = (rows if isinstance(rows, int) else 0) * 16 * views // 2**20
    usual = Limits()
    most = {
        "memory_mb": max(usual.memory_mb, 1024 + 4 * megabytes),
        "output_mb": max(usual.output_mb, 64 + megabytes + megabytes // 8),
    }
    return Limits(**{**most, **given})


def _name(view: View) -> str:
    """One text for each view."""
    return repr(sorted((name, value) for name, value in view.items()))
