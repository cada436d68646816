"""Verbs about experiments as other people's clients know them: under names of any kind, with tags, deleted or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from muniment.errors import Conflict, NotFound
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.tracking.items import (
    DEFAULT,
    Group,
    Item,
    ItemKind,
    Items,
    RunFinder,
    changed,
    check_title,
    experiment_id,
    short_name,
)
from muniment.wire import registry as wire

__all__ = ["VERBS", "experiment_of"]

_LONGEST_TITLE: Final = 500
"""Characters of an experiment's name for people, as MLflow has it."""


@verb(
    "tracking:NameExperiment",
    on=PROJECT,
    request=wire.NameExperiment,
    reply=wire.NamedExperiment,
    event="experiment.named",
    group="run:write",
)
def name_experiment(call: Call, request: wire.NameExperiment) -> wire.NamedExperiment:
    """Open an experiment under a name for people; what runs in it goes under a short name made from it."""
    title = check_title(request.name, "experiment", longest=_LONGEST_TITLE)
    known = {item.state["name"]: item for item in _all(call).values()}
    if title in known:
        raise Conflict(
            "MUNI-R353",
            f"an experiment of the name {title[:80]!r} exists",
            name=title,
            id=known[title].key,
            deleted=known[title].deleted,
            do="restore it, or choose another name" if known[title].deleted else "use it, or choose another name",
        )
    experiment = DEFAULT if title == "Default" else short_name(title)
    item = _fresh(call, experiment, title, format_time(call.now))
    if item.key in _all(call):
        raise Conflict("MUNI-R354", "the short name of this experiment is taken", name=title, experiment=experiment)
    item = replace(item, state={**item.state, "tags": changed({}, request.tags, "experiment")})
    call.use(Items).put(item)
    call.note(experiment=experiment, id=item.key)
    return _view(item)


@verb(
    "tracking:UpdateExperiment",
    on=PROJECT,
    request=wire.UpdateExperiment,
    reply=wire.NamedExperiment,
    event="experiment.updated",
    group="run:write",
)
def update_experiment(call: Call, request: wire.UpdateExperiment) -> wire.NamedExperiment:
    """Give an experiment another name for people, or other tags; its short name and its id stay."""
    item = _living(call, request.id)
    state = {**item.state, "tags": changed(item.state["tags"], request.tags, "experiment")}
    if request.name is not None and request.name != item.state["name"]:
        title = check_title(request.name, "experiment", longest=_LONGEST_TITLE)
        if any(other.state["name"] == title for other in _all(call).values()):
            raise Conflict(
                "MUNI-R353",
                f"an experiment of the name {title[:80]!r} exists",
                name=title,
                id=item.key,
                deleted=False,
                do="use it, or choose another name",
            )
        state["name"] = title
    return _put(call, item, state=state)


@verb(
    "tracking:DeleteExperiment",
    on=PROJECT,
    request=wire.DeleteExperiment,
    reply=wire.NamedExperiment,
    event="experiment.deleted",
    group="run:write",
)
def delete_experiment(call: Call, request: wire.DeleteExperiment) -> wire.NamedExperiment:
    """Take an experiment out of lists; its runs and everything of them are retained."""
    return _put(call, _living(call, request.id), deleted=True)


@verb(
    "tracking:RestoreExperiment",
    on=PROJECT,
    request=wire.RestoreExperiment,
    reply=wire.NamedExperiment,
    event="experiment.restored",
    group="run:write",
)
def restore_experiment(call: Call, request: wire.RestoreExperiment) -> wire.NamedExperiment:
    """Put a deleted experiment back into lists."""
    return _put(call, experiment_of(call, request.id), deleted=False)


@verb(
    "tracking:ListNamedExperiments",
    on=PROJECT,
    request=wire.ListNamedExperiments,
    reply=wire.NamedExperiments,
    event="experiments.named_listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_named_experiments(call: Call, request: wire.ListNamedExperiments) -> wire.NamedExperiments:
    """List all experiments with their names, ids and tags, also those that only have runs of the platform."""
    if request.id is not None:
        return wire.NamedExperiments(experiments=[_view(experiment_of(call, request.id))])
    items = sorted(_all(call).values(), key=lambda item: (item.created_at, item.key))
    return wire.NamedExperiments(experiments=[_view(item) for item in items])


def experiment_of(call: Call, id: str) -> Item:
    """The experiment of this id; raises NotFound."""
    found = call.use(Items).get(call.project, ItemKind.EXPERIMENT, id) or _all(call).get(id)
    if found is None:
        raise NotFound("MUNI-R251", f"there is no experiment with id {id[:40]!r}", id=id[:80], project=call.project)
    return found


def _living(call: Call, id: str) -> Item:
    item = experiment_of(call, id)
    if item.deleted:
        raise Conflict("MUNI-R355", "the experiment is deleted", id=id, name=item.state["name"], do="restore it first")
    return item


def _all(call: Call) -> dict[str, Item]:
    """Every experiment by id: named ones, those that runs belong to, and the default one, which always is."""
    named = {item.key: item for item in call.use(Items).list(call.project, ItemKind.EXPERIMENT)}
    told = [*call.use(RunFinder).experiments(call.project)]
    if DEFAULT not in {group.experiment for group in told}:
        told.append(Group(DEFAULT, "1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z"))
    for group in told:
        key = experiment_id(call.project, group.experiment)
        if key not in named:
            title = "Default" if group.experiment == DEFAULT else group.experiment
            named[key] = replace(_fresh(call, group.experiment, title, group.first_at), updated_at=group.newest_at)
    return named


def _fresh(call: Call, experiment: str, title: str, at: str) -> Item:
    return Item(
        project=call.project,
        kind=ItemKind.EXPERIMENT,
        key=experiment_id(call.project, experiment),
        shelf="",
        state={"name": title, "experiment": experiment, "tags": {}},
        created_at=at,
        updated_at=at,
    )


def _put(
    call: Call, item: Item, *, state: dict[str, Any] | None = None, deleted: bool | None = None
) -> wire.NamedExperiment:
    changed_item = replace(
        item,
        state=item.state if state is None else state,
        deleted=item.deleted if deleted is None else deleted,
        updated_at=format_time(call.now),
    )
    call.use(Items).put(changed_item)
    call.note(experiment=str(item.state["experiment"]), id=item.key)
    return _view(changed_item)


def _view(item: Item) -> wire.NamedExperiment:
    return wire.NamedExperiment(
        id=item.key,
        name=item.state["name"],
        experiment=item.state["experiment"],
        tags=dict(item.state["tags"]),
        created_at=item.created_at,
        updated_at=item.updated_at,
        deleted=item.deleted,
    )


VERBS: Final = (
    delete_experiment,
    list_named_experiments,
    name_experiment,
    restore_experiment,
    update_experiment,
)
