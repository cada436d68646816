"""Verbs by which other people's clients find runs, and say in their own words what a run read and made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from muniment.catalog.model import Metric
from muniment.catalog.ports import Last, Metrics
from muniment.errors import Invalid, NotFound
from muniment.execution.model import Run
from muniment.execution.queue import RunLabels
from muniment.execution.reading import RUN
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.tracking.items import (
    Item,
    ItemKind,
    Items,
    RunFinder,
    Term,
    Wanted,
    check_document,
    known_run,
    open_run,
)
from muniment.tracking.logged_models import measure_model
from muniment.tracking.model import RESERVED
from muniment.tracking.ports import TrackedRuns
from muniment.tracking.telling import keep_metrics, keep_params, keep_tags, running
from muniment.wire import registry as wire
from muniment.wire.tracking import Logged, value_of

__all__ = ["VERBS"]

_MOST: Final = 1000
_MOST_TERMS: Final = 50
_MOST_OFFSET: Final = 10_000_000
_MOST_DOCUMENTS: Final = 1000
_COLUMNS: Final = {
    "run": "id",
    "name": "name",
    "status": "status",
    "user": "requested_by",
    "start_time": "started_at",
    "end_time": "ended_at",
    "experiment": "experiment",
    "created": "created_at",
}
_OF_DATASET: Final = frozenset({"name", "digest", "context"})
_TIMES: Final = ("start_time", "end_time", "created")
_NOTHING: Final[dict[str, Any]] = {"inputs": [], "outputs": [], "hidden": {}}
_PRESENCE: Final = ("is null", "is not null")


@verb(
    "tracking:FindRuns",
    on=PROJECT,
    request=wire.FindRuns,
    reply=wire.AnyRuns,
    event="runs.found",
    group="catalog:read",
    effect=Effect.READ,
)
def find_runs(call: Call, request: wire.FindRuns) -> wire.AnyRuns:
    """Find runs, tracked and hermetic, by parameters, metrics, tags and attributes, with all that was told of them."""
    if not 1 <= request.limit <= _MOST or not 0 <= request.offset <= _MOST_OFFSET:
        raise Invalid("MUNI-R154", f"a page has 1 to {_MOST} runs", limit=request.limit, offset=request.offset)
    if len(request.where) > _MOST_TERMS or len(request.order) > _MOST_TERMS:
        raise Invalid("MUNI-R155", "too many conditions for one search", most=_MOST_TERMS)
    wanted = Wanted(
        experiments=None if request.experiments is None else tuple(request.experiments),
        runs=None if request.runs is None else tuple(one.removeprefix("run:") for one in request.runs),
        terms=tuple(_term(one) for one in request.where),
        order=tuple((one.of, _name(one.of, one.name), one.descending) for one in request.order),
        deleted=request.deleted,
        offset=request.offset,
        limit=request.limit + 1,
    )
    found = call.use(RunFinder).find(call.project, wanted)
    more = len(found) > request.limit
    return wire.AnyRuns(
        runs=_views(call, found[: request.limit]), next=request.offset + request.limit if more else None
    )


@verb(
    "tracking:LogBatch",
    on=RUN,
    request=wire.LogBatch,
    reply=Logged,
    event="run.batch_logged",
    group="run:write",
)
def log_batch(call: Call, request: wire.LogBatch) -> Logged:
    """Keep parameters, measurements and tags of a tracked run together: all of them, or none."""
    run = running(call)
    if request.params:
        keep_params(call, run, request.params)
    if request.metrics:
        keep_metrics(call, run, request.metrics, Last.HIGHEST_STEP)
    if request.tags:
        keep_tags(call, run, request.tags)
    for model, measured in request.models.items():
        measure_model(call, model, measured)
    taken = len(request.params) + len(request.metrics) + len(request.tags)
    return Logged(run=f"run:{run.id}", taken=taken, cancel_requested=run.cancel_requested)


@verb(
    "tracking:DescribeRun",
    on=PROJECT,
    request=wire.DescribeRun,
    reply=wire.RunDescribed,
    event="run.described",
    group="run:write",
)
def describe_run(call: Call, request: wire.DescribeRun) -> wire.RunDescribed:
    """Keep what a client says a running tracked run read and made, in its own words."""
    run = known_run(call, request.run)
    if run is None:
        raise NotFound("MUNI-R252", f"there is no run {request.run[:80]!r}", run=request.run[:80])
    if request.inputs or request.outputs or run.requested_by != str(call.principal):
        open_run(call, run)
    known = call.use(Items).get(call.project, ItemKind.RUN, run.id)
    state = dict(known.state) if known else dict(_NOTHING)
    state = {
        "inputs": _added(state["inputs"], request.inputs),
        "outputs": _added(state["outputs"], request.outputs),
        "hidden": {**state["hidden"], **_hidden(call, run, request.hidden)},
    }
    check_document(state, "run")
    now = format_time(call.now)
    item = Item(
        project=call.project,
        kind=ItemKind.RUN,
        key=run.id,
        shelf="",
        state=state,
        created_at=known.created_at if known else now,
        updated_at=now,
    )
    call.use(Items).put(item)
    call.note(run=run.id, inputs=len(state["inputs"]), outputs=len(state["outputs"]))
    return wire.RunDescribed(run=f"run:{run.id}", inputs=len(state["inputs"]), outputs=len(state["outputs"]))


def _term(told: wire.Condition) -> Term:
    name = _name(told.of, told.name)
    value: Any = told.value
    if told.op in _PRESENCE:
        return Term(of=told.of, name=name, op=told.op, value=None)
    number = told.of == "metric" or (told.of == "attribute" and told.name in _TIMES)
    if number and not isinstance(value, int | float):
        raise Invalid("MUNI-R156", "this is compared with a number", name=told.name, given=str(value)[:80])
    if told.op in ("in", "not in") and not isinstance(value, list):
        raise Invalid("MUNI-R157", "in takes a list of texts", name=told.name, given=str(value)[:80])
    if not number and told.op not in ("in", "not in") and not isinstance(value, str):
        raise Invalid("MUNI-R158", "this is compared with a text", name=told.name, given=str(value)[:80])
    if number and told.op in ("like", "ilike", "in", "not in"):
        raise Invalid("MUNI-R159", "a number is not compared so", name=told.name, op=told.op)
    if told.of == "attribute" and told.name in _TIMES:
        value = _moment(float(value))
    if told.of == "attribute" and told.name == "user":
        value = [_agent(one) for one in value] if isinstance(value, list) else _agent(value)
    return Term(of=told.of, name=name, op=told.op, value=value)


def _name(of: str, name: str) -> str:
    if of == "dataset" and name not in _OF_DATASET:
        raise Invalid("MUNI-R167", f"data sets have no {name[:80]!r}", given=name[:80], known=sorted(_OF_DATASET))
    if of != "attribute":
        return name
    if name not in _COLUMNS:
        raise Invalid("MUNI-R160", f"runs have no attribute {name[:80]!r}", given=name[:80], known=sorted(_COLUMNS))
    return _COLUMNS[name]


def _agent(user: str) -> str:
    return user if ":" in user or "%" in user else f"User:{user}"


def _moment(milliseconds: float) -> str:
    try:
        return format_time(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (ValueError, OverflowError, OSError) as strange:
        raise Invalid("MUNI-R161", "not a time in milliseconds since 1970", given=str(milliseconds)) from strange


def _views(call: Call, found: tuple[tuple[Run, bool], ...]) -> list[wire.AnyRun]:
    ids = [run.id for run, _ in found]
    params = call.use(RunLabels).params_of(call.project, ids)
    tags = call.use(RunLabels).tags_of(call.project, ids)
    metrics = call.use(Metrics).latest(call.project, ids)
    items = call.use(Items).some(call.project, ItemKind.RUN, (run.id for run, _ in found if run.kind == "track"))
    views = []
    for run, deleted in found:
        described = items.get(run.id)
        told: dict[str, Any] = dict(described.state) if described else dict(_NOTHING)
        enforcement = run.result.get("enforcement")
        views.append(
            wire.AnyRun(
                run=run.id,
                kind=run.kind,
                experiment=run.experiment,
                status=run.status.value,
                label=run.label,
                requested_by=run.requested_by,
                grade="proven" if enforcement and enforcement["complete"] else "declared",
                created_at=run.created_at,
                started_at=run.job.get("started_at") or run.started_at,
                ended_at=(run.result.get("told") or {}).get("ended_at") or run.ended_at,
                deleted=deleted,
                params=params.get(run.id, {}),
                tags={name: text for name, text in tags.get(run.id, {}).items() if not name.startswith(RESERVED)},
                metrics=[
                    wire.Measured(name=name, value=value_of(one.value), step=one.step, at_ms=_milliseconds(one))
                    for name, one in sorted(metrics.get(run.id, {}).items())
                ],
                inputs=told["inputs"],
                outputs=told["outputs"],
                references=dict(run.asked),
                hidden=told["hidden"],
            )
        )
    return views


def _milliseconds(metric: Metric) -> int:
    return metric.told_us // 1000 if metric.told_us is not None else int(metric.at.timestamp() * 1000)


def _hidden(call: Call, run: Run, paths: list[str]) -> dict[str, int]:
    """The newest version of each of these files, and of the files below these folders."""
    if not paths:
        return {}
    hidden = {
        one.path: one.version
        for one in call.use(TrackedRuns).artifacts(run.id)
        if any(one.path == path or one.path.startswith(f"{path}/") for path in paths)
    }
    if not hidden:
        raise NotFound("MUNI-R258", "the run has no such file", run=run.id, paths=[path[:200] for path in paths[:5]])
    return hidden


def _added(known: list[dict[str, Any]], told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged = [*known, *(one for one in told if one not in known)]
    if len(merged) > _MOST_DOCUMENTS:
        raise Invalid("MUNI-R162", "too much is told of one run", most=_MOST_DOCUMENTS)
    return merged


VERBS: Final = (describe_run, find_runs, log_batch)
