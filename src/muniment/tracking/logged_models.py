"""Verbs about logged models: what a run says it made, before anybody registers it. Their files are files of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from muniment.errors import Conflict, Invalid, NotFound
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.tracking.grouping import experiment_of
from muniment.tracking.items import (
    Item,
    ItemKind,
    Items,
    changed,
    check_document,
    check_title,
    known_run,
    open_run,
    page,
)
from muniment.wire import registry as wire

__all__ = ["VERBS", "measure_model"]

_MOST_METRICS: Final = 10_000


@verb(
    "tracking:CreateLoggedModel",
    on=PROJECT,
    request=wire.CreateLoggedModel,
    reply=wire.LoggedModel,
    event="model.logged",
    group="run:write",
)
def create_logged_model(call: Call, request: wire.CreateLoggedModel) -> wire.LoggedModel:
    """Announce a model that a running tracked run makes; its files come as files of that run."""
    run = known_run(call, request.run)
    if run is None:
        raise NotFound("MUNI-R252", f"there is no run {request.run[:80]!r}", run=request.run[:80])
    open_run(call, run)
    experiment = experiment_of(call, request.experiment)
    now = format_time(call.now)
    item = Item(
        project=call.project,
        kind=ItemKind.LOGGED,
        key=f"m-{call.new_id()}",
        shelf=experiment.key,
        state={
            "run": run.id,
            "own_run": request.own_run,
            "name": check_title(request.name, "logged model"),
            "type": request.model_type[:200],
            "status": "PENDING",
            "params": _params({}, request.params),
            "tags": changed({}, request.tags, "logged model"),
            "metrics": [],
            "by": str(call.principal),
        },
        created_at=now,
        updated_at=now,
    )
    check_document(dict(item.state), "logged model")
    call.use(Items).put(item)
    call.note(model=item.key, run=run.id)
    return _view(call, item)


@verb(
    "tracking:UpdateLoggedModel",
    on=PROJECT,
    request=wire.UpdateLoggedModel,
    reply=wire.LoggedModel,
    event="model.logged_updated",
    group="run:write",
)
def update_logged_model(call: Call, request: wire.UpdateLoggedModel) -> wire.LoggedModel:
    """Say more about a logged model; once its run has ended only its tags, and what other runs measured of it."""
    item = _living(call, request.model)
    state: dict[str, Any] = dict(item.state)
    if request.status is not None or request.params:
        run = known_run(call, state["run"])
        assert run is not None
        if not (request.status == state["status"] and not request.params):
            open_run(call, run)
        state["status"] = request.status or state["status"]
        state["params"] = _params(state["params"], request.params)
    state["tags"] = changed(state["tags"], request.tags, "logged model")
    state["metrics"] = _metrics(state["metrics"], request.metrics)
    check_document(state, "logged model")
    item = replace(item, state=state, updated_at=format_time(call.now))
    call.use(Items).put(item)
    call.note(model=item.key, run=state["run"])
    return _view(call, item)


@verb(
    "tracking:DeleteLoggedModel",
    on=PROJECT,
    request=wire.DeleteLoggedModel,
    reply=wire.LoggedModel,
    event="model.logged_deleted",
    group="run:write",
)
def delete_logged_model(call: Call, request: wire.DeleteLoggedModel) -> wire.LoggedModel:
    """Take a logged model out of lists; its files stay with the run, and everything is retained."""
    item = replace(_living(call, request.model), deleted=True, updated_at=format_time(call.now))
    call.use(Items).put(item)
    call.note(model=item.key)
    return _view(call, item)


@verb(
    "tracking:ListLoggedModels",
    on=PROJECT,
    request=wire.ListLoggedModels,
    reply=wire.LoggedModels,
    event="models.logged_listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_logged_models(call: Call, request: wire.ListLoggedModels) -> wire.LoggedModels:
    """List the logged models of experiments, newest first."""
    items = call.use(Items)
    if request.model is not None:
        one = items.get(call.project, ItemKind.LOGGED, request.model)
        found = [] if one is None else [one]
    elif request.experiments is not None:
        found = [one for shelf in request.experiments for one in items.list(call.project, ItemKind.LOGGED, shelf)]
    else:
        found = [*items.list(call.project, ItemKind.LOGGED)]
    found = sorted(page(found, deleted=request.deleted), key=lambda one: one.key, reverse=True)
    return wire.LoggedModels(models=[_view(call, one) for one in found])


def measure_model(call: Call, model: str, measured: list[dict[str, Any]]) -> None:
    """Keep with a logged model what a run measured of it.

    Raises:
        NotFound: there is no such model.
        Invalid: it is too much.
    """
    item = _living(call, model)
    state = {**item.state, "metrics": _metrics(item.state["metrics"], measured)}
    check_document(state, "logged model")
    call.use(Items).put(replace(item, state=state, updated_at=format_time(call.now)))
    call.note(model=item.key)


def _living(call: Call, model: str) -> Item:
    item = call.use(Items).get(call.project, ItemKind.LOGGED, model)
    if item is None or item.deleted:
        raise NotFound("MUNI-R253", f"there is no logged model {model[:80]!r}", model=model[:80])
    return item


def _params(known: dict[str, str], told: dict[str, str]) -> dict[str, str]:
    if other := sorted(name for name, text in told.items() if known.get(name, text) != text):
        raise Conflict("MUNI-R356", "a parameter of a logged model is set once", parameters=other[:10])
    return changed(known, told, "parameter of a logged model")


def _metrics(known: list[dict[str, Any]], told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last value of each metric by name, data set and run: that of the highest step."""
    kept = {(one.get("key"), one.get("dataset"), one.get("run")): one for one in known}
    for one in told:
        key = (one.get("key"), one.get("dataset"), one.get("run"))
        if key not in kept or (one.get("step") or 0) >= (kept[key].get("step") or 0):
            kept[key] = one
    if len(kept) > _MOST_METRICS:
        raise Invalid("MUNI-R163", "a logged model has too many metrics", most=_MOST_METRICS)
    return list(kept.values())


def _view(call: Call, item: Item) -> wire.LoggedModel:
    state = item.state
    return wire.LoggedModel(
        model=item.key,
        experiment=item.shelf,
        run=state["run"],
        own_run=state["own_run"],
        name=state["name"],
        model_type=state["type"],
        status=state["status"],
        params=dict(state["params"]),
        tags=dict(state["tags"]),
        metrics=list(state["metrics"]),
        created_at=item.created_at,
        updated_at=item.updated_at,
        deleted=item.deleted,
    )


VERBS: Final = (create_logged_model, delete_logged_model, list_logged_models, update_logged_model)
