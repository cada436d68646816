"""Verbs that show what runs told and left: series, files, experiments; of tracked runs and of jobs alike."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from muniment.catalog.model import Metric
from muniment.catalog.ports import Metrics
from muniment.errors import Invalid, NotFound
from muniment.execution.model import Run
from muniment.execution.queue import RunLabels
from muniment.execution.reading import RUN, find_run, grade_of_values
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Download, Effect, verb
from muniment.tracking.items import check_reading
from muniment.tracking.model import KIND, Glance
from muniment.tracking.ports import Experiments, Measurements, TrackedRuns
from muniment.tracking.series import thin
from muniment.vault.service import Vault
from muniment.wire import tracking as wire

_MOST_POINTS: Final = 100_000
_FEWEST_THIN: Final = 8
_MOST_SHOWN: Final = 1000
_LEFT: Final = "output/data/"
_PLAIN: Final = "application/octet-stream"
_RAW: Final = frozenset({"run"})
"""Kinds of jobs whose files below ``output/data`` are artifacts; what others leave there is data, and read as such."""


class _Row(NamedTuple):
    """One row of a series."""

    position: int
    step: int
    number: float | None
    at: str
    told_us: int | None

    def point(self) -> wire.Point:
        """As it is sent."""
        value = float("nan") if self.number is None else self.number
        return wire.Point(self.position, self.step, wire.value_of(value), self.at, self.told_us)


@verb(
    "tracking:ShowMetrics",
    on=RUN,
    request=wire.ShowMetrics,
    reply=wire.TrackedMetrics,
    event="metrics.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_metrics(call: Call, request: wire.ShowMetrics) -> wire.TrackedMetrics:
    """Show what was measured in a run, one line per metric."""
    run = find_run(call.session, call.project, request.run)
    latest = call.use(Metrics).latest(call.project, [run.id]).get(run.id, {})
    return wire.TrackedMetrics(
        run=f"run:{run.id}",
        grade=grade_of_values(run),
        metrics=[
            wire.MetricSummary(
                name=one.name,
                count=one.count,
                last=wire.value_of(latest[one.name].value),
                last_step=latest[one.name].step,
                lowest=one.lowest,
                highest=one.highest,
            )
            for one in call.use(Measurements).summary(run.id)
            if one.name in latest
        ],
    )


@verb(
    "tracking:ListMetrics",
    on=RUN,
    request=wire.ListMetrics,
    reply=wire.Series,
    event="metrics.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_metrics(call: Call, request: wire.ListMetrics) -> wire.Series:
    """List the values of one metric of a run, in the order in which they came."""
    run = find_run(call.session, call.project, request.run)
    if not 1 <= request.limit <= _MOST_POINTS or request.after < 0:
        raise Invalid("MUNI-R118", f"a page has 1 to {_MOST_POINTS:,} points", limit=request.limit, after=request.after)
    measured = call.use(Measurements)
    counts = {one.name: one.count for one in measured.summary(run.id)}
    if request.name not in counts:
        raise NotFound(
            "MUNI-R202",
            f"the run has no metric {request.name[:80]!r}",
            run=run.id,
            given=request.name[:200],
            metrics=sorted(counts)[:50],
        )
    count, follow = counts[request.name], None
    if request.thin is not None:
        if not _FEWEST_THIN <= request.thin <= _MOST_POINTS:
            raise Invalid("MUNI-R119", "a series is thinned to 8 points or more", given=request.thin, most=_MOST_POINTS)
        rows = thin([_Row(*row) for row in measured.page(run.id, request.name, 0, count)], request.thin)
    else:
        rows = [_Row(*row) for row in measured.page(run.id, request.name, request.after, request.limit + 1)]
        if len(rows) > request.limit:
            rows.pop()
            follow = rows[-1].position
    return wire.Series(
        run=f"run:{run.id}",
        name=request.name,
        grade=grade_of_values(run),
        count=count,
        points=[row.point() for row in rows],
        next=follow,
        thinned=request.thin is not None and len(rows) < count,
    )


@verb(
    "tracking:ListArtifacts",
    on=RUN,
    request=wire.ListArtifacts,
    reply=wire.TrackedArtifacts,
    event="artifacts.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_artifacts(call: Call, request: wire.ListArtifacts) -> wire.TrackedArtifacts:
    """List the files of a run, tracked or hermetic."""
    run = find_run(call.session, call.project, request.run)
    files = files_of_run(call, run)
    latest = {one.path: one.version for one in files}
    return wire.TrackedArtifacts(
        run=f"run:{run.id}",
        artifacts=[one for one in files if request.versions or one.version == latest[one.path]],
    )


@verb(
    "tracking:GetArtifact",
    on=RUN,
    request=wire.GetArtifact,
    reply=Download,
    event="artifact.read",
    group="model:read",
    effect=Effect.READ,
)
def get_artifact(call: Call, request: wire.GetArtifact) -> Download:
    """Give the bytes of one file of a run."""
    run = find_run(call.session, call.project, request.run)
    files = [one for one in files_of_run(call, run) if one.path == request.path]
    found = [one for one in files if request.version in (None, one.version)]
    if not found:
        raise NotFound(
            "MUNI-R203",
            f"the run has no such file: {request.path[:80]!r}",
            run=run.id,
            given=request.path[:200],
            versions=[one.version for one in files][:20],
            do="muni runs artifacts RUN",
        )
    check_reading(call, run)
    file = found[-1]
    call.note(artifact=file.digest, run=run.id)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in file.path.rpartition("/")[2])
    return Download(name, file.media_type, call.use(Vault).stream(call.project, Digest(file.digest)))


@verb(
    "tracking:ListExperiments",
    on=PROJECT,
    request=wire.ListExperiments,
    reply=wire.Experiments,
    event="experiments.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_experiments(call: Call, request: wire.ListExperiments) -> wire.Experiments:
    """List the experiments of a project, the one with the newest run first."""
    limit = max(1, min(request.limit, _MOST_SHOWN))
    found = call.use(Experiments).glance(call.project, request.prefix, limit, deleted=request.deleted)
    return wire.Experiments(experiments=[_glance(one) for one in found])


@verb(
    "tracking:ShowExperiment",
    on=PROJECT,
    request=wire.ShowExperiment,
    reply=wire.ExperimentDetail,
    event="experiment.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_experiment(call: Call, request: wire.ShowExperiment) -> wire.ExperimentDetail:
    """Show an experiment as a tree: its trials and their components."""
    experiments, limit = call.use(Experiments), max(1, min(request.limit, _MOST_SHOWN))
    glances = experiments.glance(call.project, request.experiment, _MOST_SHOWN, deleted=request.deleted)
    glance = next((one for one in glances if one.experiment == request.experiment), None)
    if glance is None:
        raise NotFound(
            "MUNI-R204",
            f"there is no experiment {request.experiment[:80]!r}",
            given=request.experiment[:200],
            do="muni experiment list",
        )
    runs = experiments.runs(call.project, request.experiment, limit, deleted=request.deleted)
    ids = [run.id for run in runs]
    latest, labels = call.use(Metrics).latest(call.project, ids), call.use(RunLabels)
    params, gone = labels.params_of(call.project, ids), experiments.deleted(call.project, ids)
    components = [_component(run, params.get(run.id, {}), latest.get(run.id, {}), run.id in gone) for run in runs]
    return wire.ExperimentDetail(
        experiment=request.experiment,
        runs=glance.runs,
        shown=len(runs),
        trials=_trials(runs, components),
        metrics=_ranges(ids, latest),
    )


def files_of_run(call: Call, run: Run) -> list[wire.TrackedArtifact]:
    """The files of a run by path and version: what a tracked one told, or what a job's script left at its end."""
    if run.kind == KIND:
        return [
            wire.TrackedArtifact(
                path=one.path,
                version=one.version,
                digest=str(one.digest),
                size=one.size,
                media_type=one.media_type,
                at=one.at,
                grade=Grade.DECLARED.value,
            )
            for one in call.use(TrackedRuns).artifacts(run.id)
        ]
    if run.kind not in _RAW or not run.result.get("products"):
        return []
    complete = (run.result.get("enforcement") or {}).get("complete")
    return [
        wire.TrackedArtifact(
            path=path,
            version=1,
            digest=str(left["digest"]),
            size=int(left["size"]),
            media_type=mimetypes.guess_type(path, strict=False)[0] or _PLAIN,
            grade=(Grade.PROVEN if complete else Grade.DECLARED).value,
        )
        for left in sorted(run.result.get("outputs", []), key=lambda one: str(one["path"]))
        if str(left["path"]).startswith(_LEFT) and (path := str(left["path"]).removeprefix(_LEFT))
    ]


def _glance(one: Glance) -> wire.Experiment:
    return wire.Experiment(
        experiment=one.experiment,
        runs=one.runs,
        trials=one.trials,
        running=one.running,
        failed=one.failed,
        first_at=one.first_at,
        newest_at=one.newest_at,
        newest=one.newest,
    )


def _component(run: Run, params: Mapping[str, str], latest: Mapping[str, Metric], deleted: bool) -> wire.TrialRun:
    enforcement = run.result.get("enforcement")
    return wire.TrialRun(
        run=f"run:{run.id}",
        kind=run.kind,
        label=run.label,
        status=run.status.value,
        created_at=run.created_at,
        ended_at=run.ended_at,
        requested_by=run.requested_by,
        grade=(Grade.PROVEN if enforcement and enforcement["complete"] else Grade.DECLARED).value,
        params=dict(params),
        metrics={name: wire.value_of(one.value) for name, one in latest.items()},
        deleted=deleted,
    )


def _trials(runs: Sequence[Run], components: Sequence[wire.TrialRun]) -> list[wire.Trial]:
    """The runs, newest first, as trials; a run without a trial is one of its own."""
    grouped: dict[tuple[str | None, str | None], list[wire.TrialRun]] = {}
    for run, component in zip(runs, components, strict=True):
        grouped.setdefault((run.trial, None if run.trial else run.id), []).append(component)
    trials = []
    for (name, _), members in grouped.items():
        metrics: dict[str, Any] = {}
        for member in reversed(members):
            metrics |= member.metrics
        trials.append(wire.Trial(trial=name, runs=members, metrics=metrics))
    return trials


def _ranges(ids: Sequence[str], latest: Mapping[str, Mapping[str, Metric]]) -> list[wire.MetricRange]:
    """Between which runs each metric moves, by finite last values."""
    seen: dict[str, list[tuple[float, str]]] = {}
    for run in ids:
        for name, one in latest.get(run, {}).items():
            if one.value - one.value == 0:
                seen.setdefault(name, []).append((one.value, f"run:{run}"))
    return [
        wire.MetricRange(
            name=name,
            lowest=min(values)[0],
            lowest_run=min(values)[1],
            highest=max(values)[0],
            highest_run=max(values)[1],
        )
        for name, values in sorted(seen.items())
    ]


VERBS: Final = (show_metrics, list_metrics, list_artifacts, get_artifact, list_experiments, show_experiment)
