"""Bringing a store of MLflow in: every run becomes a tracked run, every version a model made elsewhere; all declared.

It may be done again, and goes on where it was broken off: what was brought in is found by the id that it had, which
is kept as a tag. A run stays open until all of it is here; only then does it end, and nothing about it changes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO, Final, Protocol, TypeVar

import msgspec

from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.gateways.mlflow.shapes import RUN_NAME, moment
from muniment.gateways.mlflow.stores import Store, StoredFile, StoredModel, StoredRun, StoredVersion
from muniment.tracking.items import DEFAULT, MODELS, short_name
from muniment.tracking.model import LONGEST_NAME, LONGEST_VALUE, RESERVED
from muniment.wire import registry as wire
from muniment.wire import tracking

__all__ = ["Asking", "Imported", "NotTaken", "bring_in"]

T = TypeVar("T")

SOURCE_RUN: Final = "import.run_id"
SOURCE_EXPERIMENT: Final = "import.experiment_id"
SOURCE_MODEL: Final = "import.model_id"
SOURCE_VERSION: Final = "import.version"
SOURCE_STORE: Final = "import.store"
SOURCE_USER: Final = "import.user"
SOURCE_STATUS: Final = "import.status"
"""Tags that hold what a thing was in the store that it came from."""

_WRITER: Final = "import"
_BATCH: Final = 5_000
_ENDS: Final = {"FINISHED": "ok", "FAILED": "failed"}


class Asking(Protocol):
    """Who asks, in one project."""

    project: str

    def ask(self, action: str, request: msgspec.Struct, reply: type[T], body: BinaryIO | None = None) -> T:
        """Ask a verb."""


Show = Callable[[str, int, int], None]
"""Is told what is done, how much of it, and how much there is."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Something that was left where it is."""

    what: str
    id: str
    why: str


@dataclass(slots=True)
class Imported:
    """What came of it."""

    store: str
    experiments: int = 0
    runs: int = 0
    known_runs: int = 0
    """Runs that had been brought in before."""

    params: int = 0
    tags: int = 0
    metrics: int = 0
    files: int = 0
    bytes: int = 0
    logged_models: int = 0
    names: int = 0
    versions: int = 0
    known_versions: int = 0
    not_taken: list[NotTaken] = field(default_factory=list)


def bring_in(asking: Asking, store: Store, show: Show = lambda what, done, of: None) -> Imported:
    """Bring everything of a store into the asker's project.

    Args:
        asking: who asks, who also counts as the one who declares it.
        store: where it is read.
        show: is told how far it is.

    Raises:
        MunimentError: the platform refuses, or the store cannot be read any further; doing it again goes on.
    """
    return _Import(asking, store, show).everything()


class _Import:
    def __init__(self, asking: Asking, store: Store, show: Show) -> None:
        self._asking, self._store, self._show = asking, store, show
        self._project = asking.project
        self.done = Imported(store.label)
        self._folders: dict[str, tuple[str, str]] = {}
        """Where the files of a place in the store are here: run and folder."""

    def everything(self) -> Imported:
        """Experiments with their runs and models, then the registry."""
        experiments = self._store.experiments()
        for number, one in enumerate(experiments):
            runs = self._store.runs(one.id)
            models = self._store.models(one.id)
            if not runs and not models and one.name == "Default":
                continue
            self._show(f"experiment {number + 1} of {len(experiments)}: {one.name[:60]}", 0, len(runs))
            known = self._experiment(one.name, one.id, one.tags)
            by_run: dict[str, list[StoredModel]] = {}
            for model in models:
                by_run.setdefault(model.run, []).append(model)
            for done, run in enumerate(runs):
                self._run(known, run, by_run.pop(run.id, []))
                self._show(f"experiment {number + 1} of {len(experiments)}: {one.name[:60]}", done + 1, len(runs))
            for model in (model for several in by_run.values() for model in several):
                self._leave("logged model", model.id, "the run that made it is not in the store")
            if one.deleted and not known.deleted:
                self._ask(wire.DeleteExperiment(project=self._project, id=known.id), wire.NamedExperiment)
        self._registry()
        return self.done

    def _experiment(self, name: str, id: str, tags: Mapping[str, str]) -> wire.NamedExperiment:
        found = self._ask(wire.ListNamedExperiments(project=self._project), wire.NamedExperiments).experiments
        known = next((one for one in found if one.name == name), None)
        told = {**self._keepable("experiment", id, tags), SOURCE_EXPERIMENT: id, SOURCE_STORE: self._store.label}
        if known is None:
            self.done.experiments += 1
            request = wire.NameExperiment(project=self._project, name=_title(name), tags=told)
            return self._ask(request, wire.NamedExperiment)
        if not known.deleted and known.tags.get(SOURCE_EXPERIMENT) is None:
            known = self._ask(
                wire.UpdateExperiment(project=self._project, id=known.id, tags=dict(told)), wire.NamedExperiment
            )
        return known

    def _run(self, experiment: wire.NamedExperiment, run: StoredRun, models: list[StoredModel]) -> None:
        known = self._known_run(run.id)
        if known is not None and known.status != "running":
            self.done.known_runs += 1
            self._folders[run.id] = (known.run, "")
            self._remember_models(known, models)
            return
        here = known.run if known else self._start(experiment, run)
        self._folders[run.id] = (here, "")
        try:
            self._fill(experiment, run, models, here)
        except Denied:
            self._leave("run", run.id, "somebody else has begun to bring it in")
            return
        status = _ENDS.get(run.status, "cancelled")
        end = tracking.EndRun(
            project=self._project,
            run=here,
            status=status,  # type: ignore[arg-type]
            ended_at=moment(run.ended_ms),
            message=f"{run.status} in the store that it came from" if status != "ok" else None,
        )
        self._ask(end, tracking.TrackedRun)
        if run.deleted:
            self._ask(tracking.DeleteRun(project=self._project, run=here), tracking.Retained)
        self.done.runs += 1

    def _start(self, experiment: wire.NamedExperiment, run: StoredRun) -> str:
        name = run.name or run.tags.get(RUN_NAME, "") or run.id
        parent = run.tags.get("mlflow.parentRunId")
        request = tracking.StartRun(
            project=self._project,
            experiment=experiment.experiment,
            trial=short_name(parent) if parent else None,
            name=name[:LONGEST_NAME],
            key=f"import-{short_name(run.id, most=40)}".replace(".", "-"),
            tags={SOURCE_RUN: run.id},
            started_at=moment(run.started_ms),
        )
        return self._ask(request, tracking.TrackedRun).run.removeprefix("run:")

    def _fill(self, experiment: wire.NamedExperiment, run: StoredRun, models: list[StoredModel], here: str) -> None:
        params = self._keepable("parameter of run", run.id, run.params)
        tags = self._keepable("tag of run", run.id, run.tags) | {
            SOURCE_RUN: run.id,
            SOURCE_EXPERIMENT: run.experiment,
            SOURCE_STORE: self._store.label[:LONGEST_VALUE],
            SOURCE_USER: run.user,
            SOURCE_STATUS: run.status,
        }
        batch = wire.LogBatch(project=self._project, run=here, params=params, tags=dict(tags))
        self._ask(batch, tracking.Logged)
        self.done.params += len(params)
        self.done.tags += len(tags)
        self._metrics(run, here)
        if run.inputs:
            inputs = [dict(one) for one in run.inputs]
            self._ask(wire.DescribeRun(project=self._project, run=here, inputs=inputs), wire.RunDescribed)
        self._files("run", run.id, run.artifacts, here, "")
        for model in models:
            self._model(experiment, model, here)

    def _metrics(self, run: StoredRun, here: str) -> None:
        seq = 1
        for batch in _batches(self._store.metrics(run.id)):
            points = [
                tracking.MetricPoint(
                    one.name, tracking.value_of(one.value), one.step, one.at_ms * 1000 if one.at_ms else None
                )
                for one in batch
                if 1 <= len(one.name) <= LONGEST_NAME and one.name.isprintable()
            ]
            for lost in sorted({one.name for one in batch} - {point.name for point in points}):
                self._leave("metric", f"{run.id} {lost[:80]}", f"its name is not one of 1 to {LONGEST_NAME} characters")
            if points:
                request = tracking.LogMetrics(project=self._project, run=here, metrics=points, writer=_WRITER, seq=seq)
                self.done.metrics += self._ask(request, tracking.Logged).taken
                seq += len(points)

    def _files(self, what: str, id: str, place: str, here: str, folder: str) -> bool:
        """Bring the files of a place in; whether all of them could be."""
        if not place:
            return False
        listed = self._ask(tracking.ListArtifacts(project=self._project, run=here), tracking.TrackedArtifacts)
        known = {one.path: one.size for one in listed.artifacts}
        whole = True
        try:
            for file in self._store.files(place):
                path = f"{folder}/{file.path}" if folder else file.path
                if known.get(path) == file.size:
                    continue
                whole &= self._file(what, id, file, here, path)
        except NotFound as lost:
            self._leave(f"files of {what}", id, lost.message)
            return False
        return whole

    def _file(self, what: str, id: str, file: StoredFile, here: str, path: str) -> bool:
        request = tracking.LogArtifact(project=self._project, run=here, path=path)
        try:
            with file.open() as body:
                self._ask(request, tracking.Logged, body)
        except Invalid as refused:
            self._leave(f"file of {what}", f"{id} {path[:120]}", f"{refused.message} ({refused.code})")
            return False
        self.done.files += 1
        self.done.bytes += max(0, file.size)
        return True

    def _model(self, experiment: wire.NamedExperiment, model: StoredModel, here: str) -> None:
        known = self._known_models(experiment).get(model.id)
        if known is None:
            tags = {
                **self._keepable("tag of logged model", model.id, model.tags),
                SOURCE_MODEL: model.id,
                SOURCE_STORE: self._store.label[:LONGEST_VALUE],
            }
            request = wire.CreateLoggedModel(
                project=self._project,
                experiment=experiment.id,
                run=here,
                name=_title(model.name),
                model_type=model.model_type,
                params=self._keepable("parameter of logged model", model.id, model.params),
                tags=tags,
            )
            known = self._ask(request, wire.LoggedModel)
            self.done.logged_models += 1
        folder = f"{MODELS}/{known.model}"
        self._folders[model.id] = (here, folder)
        self._files("logged model", model.id, model.artifacts, here, folder)
        status = "READY" if model.ready else "FAILED"
        update = wire.UpdateLoggedModel(project=self._project, model=known.model, status=status)  # type: ignore[arg-type]
        self._ask(update, wire.LoggedModel)
        outputs = [{"model_id": known.model, "step": 0}]
        self._ask(wire.DescribeRun(project=self._project, run=here, outputs=outputs), wire.RunDescribed)

    def _remember_models(self, run: wire.AnyRun, models: list[StoredModel]) -> None:
        if models:
            listed = self._ask(wire.ListLoggedModels(project=self._project), wire.LoggedModels).models
            for one in listed:
                if one.run == run.run and SOURCE_MODEL in one.tags:
                    self._folders[one.tags[SOURCE_MODEL]] = (run.run, f"{MODELS}/{one.model}")

    def _known_models(self, experiment: wire.NamedExperiment) -> dict[str, wire.LoggedModel]:
        request = wire.ListLoggedModels(project=self._project, experiments=[experiment.id])
        listed = self._ask(request, wire.LoggedModels).models
        return {one.tags[SOURCE_MODEL]: one for one in listed if SOURCE_MODEL in one.tags}

    def _known_run(self, id: str) -> wire.AnyRun | None:
        where = [wire.Condition(of="tag", name=SOURCE_RUN, op="=", value=id)]
        request = wire.FindRuns(project=self._project, where=where, deleted=None, limit=1)
        found = self._ask(request, wire.AnyRuns).runs
        return found[0] if found else None

    def _registry(self) -> None:
        names = self._store.names()
        for number, one in enumerate(names):
            self._show("registered models", number, len(names))
            known = self._known_name(one.name)
            if known is None:
                request = wire.CreateRegisteredModel(
                    project=self._project,
                    name=one.name,
                    description=one.description,
                    tags=self._keepable("tag of registered model", one.name, one.tags),
                )
                try:
                    known = self._ask(request, wire.RegisteredModel)
                except Invalid as refused:
                    self._leave("registered model", one.name, f"{refused.message} ({refused.code})")
                    continue
                self.done.names += 1
            numbers = {
                int(version.tags[SOURCE_VERSION]): version.version
                for version in known.versions
                if version.tags.get(SOURCE_STORE) == self._store.label
                and version.tags.get(SOURCE_VERSION, "").isdigit()
            }
            for version in self._store.versions(one.name):
                if version.version in numbers:
                    self.done.known_versions += 1
                elif (made := self._version(version)) is not None:
                    numbers[version.version] = made
            aliases = {alias: numbers[meant] for alias, meant in one.aliases.items() if meant in numbers}
            if aliases and aliases != {alias: known.aliases.get(alias) for alias in aliases}:
                update = wire.UpdateRegisteredModel(project=self._project, name=one.name, aliases=dict(aliases))
                self._ask(update, wire.RegisteredModel)
        self._show("registered models", len(names), len(names))

    def _known_name(self, name: str) -> wire.RegisteredModel | None:
        listed = self._ask(wire.ListRegisteredModels(project=self._project), wire.RegisteredModels).models
        return next((one for one in listed if one.name == name), None)

    def _version(self, version: StoredVersion) -> int | None:
        label = f"{version.name} {version.version}"
        place = self._place(version)
        if place is None:
            self._leave("registered version", label, "the run or logged model that it was made of did not come in")
            return None
        run, folder = place
        tags = {
            **self._keepable("tag of version", label, version.tags),
            SOURCE_VERSION: str(version.version),
            SOURCE_STORE: self._store.label[:LONGEST_VALUE],
        }
        request = wire.CreateModelVersion(
            project=self._project,
            name=version.name,
            run=run,
            path=folder,
            source=version.source,
            description=version.description,
            tags=tags,
        )
        try:
            made = self._ask(request, wire.ModelVersion)
        except (Invalid, NotFound, Conflict) as refused:
            self._leave("registered version", label, f"{refused.message} ({refused.code})")
            return None
        if version.stage not in ("", "None"):
            update = wire.UpdateModelVersion(
                project=self._project, name=version.name, version=made.version, stage=version.stage
            )
            try:
                self._ask(update, wire.ModelVersion)
            except Invalid as refused:
                self._leave("stage of registered version", label, refused.message)
        self.done.versions += 1
        return made.version

    def _place(self, version: StoredVersion) -> tuple[str, str] | None:
        """Where the files of a version are here, by what its source says: a logged model, or a folder of a run."""
        for text in (version.source, version.location):
            for id, (run, folder) in self._folders.items():
                if id not in text.replace("\\", "/").replace(":", "/").split("/"):
                    continue
                below = text.partition(f"{id}/artifacts")[2] or (
                    text.partition(id)[2] if text.startswith("runs:") else ""
                )
                path = "/".join(part for part in (folder, below.strip("/")) if part)
                if folder or path:
                    return run, path
        return None

    def _keepable(self, what: str, id: str, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts that can be kept; what cannot is left, and said."""
        kept = {}
        for name, text in texts.items():
            if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
                self._leave(what, f"{id} {name[:80]}", f"its name is not one of 1 to {LONGEST_NAME} characters")
            elif len(text) > LONGEST_VALUE or "\0" in text:
                self._leave(what, f"{id} {name[:80]}", f"its value is longer than {LONGEST_VALUE:,} characters")
            elif name.startswith(RESERVED):
                self._leave(what, f"{id} {name[:80]}", f"names that begin with {RESERVED!r} are the platform's own")
            else:
                kept[name] = text
        return kept

    def _leave(self, what: str, id: str, why: str) -> None:
        self.done.not_taken.append(NotTaken(what, id, why))

    def _ask(self, request: msgspec.Struct, reply: type[T], body: BinaryIO | None = None) -> T:
        return self._asking.ask(f"tracking:{type(request).__name__}", request, reply, body)


def _batches(metrics: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(metrics, _BATCH)):
        yield batch


def _title(name: str) -> str:
    shown = "".join(c if c.isprintable() else "-" for c in name)[:LONGEST_NAME].strip()
    return shown or DEFAULT
