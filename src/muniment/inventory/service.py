"""The verbs of models: list, show, fetch. No verb opens a model file; that happens inside the sandbox only."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from muniment.catalog.model import ActivityKind, Direction, EntityKind, Graph, Relation
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Activities, Entities, Lineage, Names
from muniment.catalog.resources import MODEL
from muniment.execution.contents import parts_of
from muniment.execution.model import Part, Run, RunStatus
from muniment.execution.queue import RunQueue
from muniment.execution.reading import latest_metrics, report_of
from muniment.execution.submitting import files_of
from muniment.inventory.ports import VersionRow, Versions
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Download, Effect, verb
from muniment.vault.service import Vault
from muniment.wire import inventory as wire

_BLOCK: Final = 512


@verb(
    "inventory:ListModels",
    on=PROJECT,
    request=wire.ListModels,
    reply=wire.Models,
    event="models.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_models(call: Call, request: wire.ListModels) -> wire.Models:
    """List the models of a project, newest first."""
    names = call.use(Names).latest(call.project, EntityKind.MODEL, "", max(1, min(request.limit, 1000)))
    entities = call.use(Entities).find(call.project, [name.digest for name in names])
    rows = call.use(Versions).find(call.project, entities)
    makers, evaluations = _activities_around(call, entities)
    metrics = latest_metrics(call, evaluations.values())
    models = [
        wire.ModelSummary(
            model=str(name),
            digest=str(name.digest),
            algorithm=str(entities[name.digest].facts.get("algorithm", "")),
            run=f"run:{makers[name.digest]}" if name.digest in makers else None,
            grade=entities[name.digest].grade.value,
            created_at=format_time(name.at),
            metrics=metrics.get(evaluations.get(name.digest, ""), {}),
            **_standing(rows.get(name.digest), call.now),
        )
        for name in names
    ]
    return wire.Models(models=models)


@verb(
    "inventory:ShowModel",
    on=MODEL,
    request=wire.ShowModel,
    reply=wire.ModelDetail,
    event="model.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_model(call: Call, request: wire.ShowModel) -> wire.ModelDetail:
    """Show everything recorded about a model version."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    makers, evaluations = _runs_around(call, model.digest)
    metrics = latest_metrics(call, [run.id for run in evaluations])
    trained_on = [reference for run in makers[:1] for reference in run.asked.values()]
    return wire.ModelDetail(
        model=label(call.session, call.project, model.digest),
        digest=str(model.digest),
        algorithm=str(model.facts.get("algorithm", "")),
        files=[wire.ModelFile(path=f["path"], digest=f["digest"], size=f["size"]) for f in files_of(model)],
        facts={key: value for key, value in model.facts.items() if key not in ("files", "algorithm")},
        run=f"run:{makers[0].id}" if makers else None,
        trained_on=trained_on,
        created_at=format_time(model.at),
        created_by=model.author,
        grade=model.grade.value,
        evaluations=[
            wire.Evaluation(
                run=f"run:{run.id}",
                data=run.asked.get("data", ""),
                created_at=run.created_at,
                metrics=metrics.get(run.id, {}),
                report=report_of(call, run) or {},
            )
            for run in evaluations
        ],
        **_standing(call.use(Versions).get(call.project, model.digest), call.now),
    )


@verb(
    "inventory:FetchModel",
    on=MODEL,
    request=wire.FetchModel,
    reply=Download,
    event="model.fetched",
    group="model:read",
    effect=Effect.READ,
)
def fetch_model(call: Call, request: wire.FetchModel) -> Download:
    """Fetch the files of a model as a tar; nothing in it is executed on the way."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    call.note(model=str(model.digest))
    name = label(call.session, call.project, model.digest).replace(":", "-").replace("@", "-")
    vault = call.use(Vault)
    parts = parts_of(model, lambda manifest: vault.read_bytes(call.project, manifest))
    return Download(f"{name}.tar", "application/x-tar", _tar(vault, call.project, parts))


def _standing(row: VersionRow | None, now: datetime) -> dict[str, Any]:
    """What a registered version adds to its line; nothing for what is not registered."""
    if row is None:
        return {}
    return {
        "state": row.state_at(now).value,
        "tier": row.tier,
        "use_case": row.use_case,
        "emergency": row.emergency_at(now),
        "expired": row.expired_at(now),
    }


def _activities_around(call: Call, models: Iterable[Digest]) -> tuple[dict[Digest, str], dict[Digest, str]]:
    """For each model the oldest activity that made it, and the newest that measured it well."""
    graph = call.use(Lineage).around(call.project, models)
    kinds = {id_: node.kind for id_, node in graph.activities.items()}
    measuring = [id_ for id_, kind in kinds.items() if kind is ActivityKind.EVALUATE]
    known = call.use(Activities).find(call.project, measuring)
    well = {id_ for id_, one in known.items() if one.facts.get("status", "ok") == "ok"}
    makers: dict[Digest, str] = {}
    evaluations: dict[Digest, str] = {}
    for edge in graph.edges:
        if edge.relation is Relation.GENERATED and kinds[edge.activity] is not ActivityKind.REPRODUCE:
            makers[edge.entity] = min(makers.get(edge.entity, edge.activity), edge.activity)
        elif edge.relation is Relation.USED and edge.activity in well:
            evaluations[edge.entity] = max(evaluations.get(edge.entity, edge.activity), edge.activity)
    return makers, evaluations


def _runs_around(call: Call, model: Digest) -> tuple[list[Run], list[Run]]:
    """The runs that made a model, oldest first, and those that measured it, newest first."""
    lineage = call.use(Lineage)
    makers = _runs(call, lineage.closure(call.project, model, Direction.UPSTREAM, 1), model, Relation.GENERATED)
    users = _runs(call, lineage.closure(call.project, model, Direction.DOWNSTREAM, 1), model, Relation.USED)
    measured = [run for run in users if run.kind == "evaluate" and run.status is RunStatus.OK]
    return [run for run in makers if run.kind != "reproduce"], sorted(measured, key=lambda run: run.id, reverse=True)


def _runs(call: Call, graph: Graph, entity: Digest, relation: Relation) -> Sequence[Run]:
    queue = call.use(RunQueue)
    ids = sorted({edge.activity for edge in graph.edges if edge.relation is relation and edge.entity == entity})
    return [run for one in ids if (run := queue.get(call.project, one)) is not None]


def _tar(vault: Vault, project: str, parts: Sequence[Part]) -> Iterator[bytes]:
    """A deterministic tar, streamed: one file after the other, each verified at its end."""
    for part in parts:
        header = tarfile.TarInfo(part.path)
        header.size, header.mode = part.size, 0o644
        yield header.tobuf(tarfile.PAX_FORMAT)
        yield from vault.stream(project, part.digest)
        yield b"\0" * (-part.size % _BLOCK)
    yield b"\0" * (2 * _BLOCK)


VERBS: Final = (list_models, show_model, fetch_model)
