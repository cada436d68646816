"""The verbs that examine a model: what each feature contributes, and what was found before."""

from __future__ import annotations

from typing import Any, Final

from muniment.catalog.model import ActivityKind, Direction, EntityKind, Relation
from muniment.catalog.naming import resolve
from muniment.catalog.ports import Lineage
from muniment.catalog.resources import MODEL
from muniment.errors import Invalid
from muniment.execution.model import JobSpec, RunStatus
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of, summary
from muniment.execution.submitting import files_of, limits_from, submit
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import execution as running
from muniment.wire import validation as wire

_DESCRIPTION: Final = "model.json"
_MOST_SEED: Final = 2**31 - 1
_BOUNDS: Final = {"seed": (0, _MOST_SEED), "rows": (1, 10_000_000), "top": (1, 30)}


@verb(
    "validation:ExplainModel",
    on=PROJECT,
    request=wire.ExplainModel,
    reply=running.Started,
    event="explanation.requested",
    group="run:validate",
)
def explain_model(call: Call, request: wire.ExplainModel) -> running.Started:
    """Say what each feature contributes to the output of a model on a snapshot, exactly and hermetically."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    data = resolve(call.session, call.project, request.data, EntityKind.DATA)
    if _DESCRIPTION not in {file["path"] for file in files_of(model)}:
        raise Invalid(
            "MUNI-T102",
            "this model has no format that can be explained exactly",
            model=request.model[:200],
            algorithm=str(model.facts.get("algorithm", ""))[:80],
            explained="models that muni train made: logistic_regression, xgboost, lightgbm",
            do="train it with muni train, or explain it in a script of your own: muni run",
        )
    params: dict[str, Any] = {}
    for name, (low, high) in _BOUNDS.items():
        value = getattr(request, name)
        if value is not None and not low <= value <= high:
            raise Invalid("MUNI-T103", f"{name} is out of range", given=value, allowed=f"{low} to {high}")
        if value is not None:
            params[name] = value
    inputs = {"model": str(model.digest), "data": str(data.digest)}
    if request.background is not None:
        background = resolve(call.session, call.project, request.background, EntityKind.DATA)
        inputs["background"] = str(background.digest)
    spec = JobSpec(
        kind=ActivityKind.EXPLAIN.value,
        program="muniment.programs.explain",
        label="explain",
        inputs=inputs,
        params=params,
        seed=request.seed,
        limits=limits_from(request.limits),
        experiment=None,
    )
    return submit(call, spec)


@verb(
    "validation:ListExplanations",
    on=MODEL,
    request=wire.ListExplanations,
    reply=wire.Explanations,
    event="explanations.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_explanations(call: Call, request: wire.ListExplanations) -> wire.Explanations:
    """List the explanations of a model version, newest first, each with its report."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    graph = call.use(Lineage).closure(call.project, model.digest, Direction.DOWNSTREAM, 1)
    users = {edge.activity for edge in graph.edges if edge.relation is Relation.USED and edge.entity == model.digest}
    queue = call.use(RunQueue)
    found = []
    for one in sorted(users, reverse=True):
        run = queue.get(call.project, one)
        if run is None or run.kind != ActivityKind.EXPLAIN.value or run.status is not RunStatus.OK:
            continue
        found.append(
            wire.Explanation(
                run=f"run:{run.id}",
                data=run.asked.get("data", ""),
                created_at=run.created_at,
                by=run.requested_by,
                grade=summary(run, {}).grade,
                report=report_of(call, run) or {},
            )
        )
        if len(found) >= max(1, min(request.limit, 50)):
            break
    return wire.Explanations(explanations=found)


VERBS: Final = (explain_model, list_explanations)
