"""The verbs of searches: a study is asked for once, and then goes on by steps that are safe to ask for again.

A study is nothing but its record and its runs. Each step looks at how it stands, begins what is due in the same
transaction, and notes for what: whoever dies in between, nothing is begun twice and nothing is left out. Every trial
is asked for by the person who asks for the step, and passes all that a training passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.naming import label, resolve
from muniment.errors import Conflict, Invalid, NotFound
from muniment.execution.model import JobSpec, Run, RunStatus
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of
from muniment.execution.submitting import check_permitted, submit, training_spec
from muniment.kernel.draws import draw
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.programs.algorithms import ALGORITHMS, training_parameters
from muniment.programs.parameters import read_parameters
from muniment.tuning.planning import STARTUP, Do, Step, batch_range, due
from muniment.tuning.ports import Studies, StudyRow, StudyStep
from muniment.tuning.space import Space, read_space
from muniment.tuning.standing import Standing, TrialState, curve, early_metric, look, reported_by_training
from muniment.wire import execution as running
from muniment.wire import tuning as wire

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_METRIC: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,99}")
_SAMPLERS: Final = ("grid", "random", "tpe")
_SMALL_IS_GOOD: Final = re.compile(r".*(loss|error|brier|ece|psi|csi|rmse|mae|mse).*")
_MOST_TRIALS: Final = 1_000
_MOST_AT_ONCE: Final = 64
_USUAL_TRIALS: Final = 20
_HISTORY_BYTES: Final = 48 * 1024
_ROUND_WISE: Final = ("xgboost", "lightgbm")
_SEED: Final = 2**31 - 1


@verb(
    "tuning:CreateStudy",
    on=PROJECT,
    request=wire.CreateStudy,
    reply=wire.Study,
    event="study.created",
    group="run:write",
)
def create_study(call: Call, request: wire.CreateStudy) -> wire.Study:
    """Begin a search for parameters; nothing runs until it is advanced."""
    space = read_space(request.space)
    document = _document(call, request, space)
    # The whole request is tried as a training is: what would refuse the first trial refuses the study.
    check_permitted(call, training_spec(call, _training(document, request.project, space.random(request.seed, 0))))
    row = StudyRow(
        id=call.new_id(),
        project=call.project,
        name=request.name,
        by=str(call.principal),
        at=call.now,
        document=document,
    )
    call.use(Studies).add(row)
    call.note(study=row.name, sampler=document["sampler"], trials=document["trials"], seed=str(document["seed"]))
    return _shown(call, look(call, row))


@verb(
    "tuning:AdvanceStudy",
    on=PROJECT,
    request=wire.AdvanceStudy,
    reply=wire.Study,
    event="study.advanced",
    group="run:write",
)
def advance_study(call: Call, request: wire.AdvanceStudy) -> wire.Study:
    """Begin the jobs of a study that are due, each once whoever asks; answers how it stands then."""
    row = _find(call, request.study)
    if row.stopped_at is not None:
        raise Conflict("MUNI-N302", "the study was stopped", study=row.name, do=f"muni tune resume {row.name}")
    standing = look(call, row)
    begun = []
    for step in _due(standing):
        spec = _job(call, standing, step)
        started = submit(call, spec)
        run = started.run.removeprefix("run:")
        call.use(Studies).add_step(row.id, StudyStep(step.do.value, step.number, row.resumed, run))
        call.note_more(begun=f"{step.do}:{step.number}={run}")
        begun.append(run)
    call.note(study=row.name, jobs=len(begun))
    return _shown(call, look(call, row) if begun else standing)


@verb(
    "tuning:ShowStudy",
    on=PROJECT,
    request=wire.ShowStudy,
    reply=wire.Study,
    event="study.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_study(call: Call, request: wire.ShowStudy) -> wire.Study:
    """Show a study: its trials, the best of them, and what mattered."""
    return _shown(call, look(call, _find(call, request.study)))


@verb(
    "tuning:StopStudy",
    on=PROJECT,
    request=wire.StopStudy,
    reply=wire.Study,
    event="study.stopped",
    group="run:write",
)
def stop_study(call: Call, request: wire.StopStudy) -> wire.Study:
    """Begin nothing more of a study, and stop what runs; it can be resumed."""
    row = _find(call, request.study)
    standing = look(call, row)
    if _finished(standing):
        raise Conflict("MUNI-N303", "the study has ended", study=row.name, do=f"muni tune show {row.name}")
    call.use(Studies).stop(row.id, call.now)
    queue = call.use(RunQueue)
    for run in standing.runs:
        if not run.status.ended:
            queue.withdraw(call.project, run.id, format_time(call.now))
            call.note_more(withdrawn=run.id)
    call.note(study=row.name)
    return _shown(call, look(call, replace(row, stopped_at=call.now)))


@verb(
    "tuning:ResumeStudy",
    on=PROJECT,
    request=wire.ResumeStudy,
    reply=wire.Study,
    event="study.resumed",
    group="run:write",
)
def resume_study(call: Call, request: wire.ResumeStudy) -> wire.Study:
    """Let a study go on; trials that were stopped, or whose worker vanished, are done again."""
    row = _find(call, request.study)
    call.use(Studies).resume(row.id)
    call.note(study=row.name)
    return _shown(call, look(call, replace(row, stopped_at=None, resumed=row.resumed + 1)))


@verb(
    "tuning:ListStudies",
    on=PROJECT,
    request=wire.ListStudies,
    reply=wire.StudyList,
    event="studies.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_studies(call: Call, request: wire.ListStudies) -> wire.StudyList:
    """List the studies of a project, newest first."""
    rows = call.use(Studies).all(call.project, max(1, min(request.limit, 200)))
    return wire.StudyList(studies=[_line(look(call, row)) for row in rows])


def _document(call: Call, request: wire.CreateStudy, space: Space) -> dict[str, Any]:
    """Everything that decides how a study goes, checked and with names made digests.

    Raises:
        Invalid: something is unknown, out of range, or does not go together.
    """
    if not _NAME.fullmatch(request.name):
        raise Invalid(
            "MUNI-N115",
            f"{request.name[:60]!r} is not a name for a study",
            given=request.name[:200],
            rule=_NAME.pattern,
        )
    _one_of("sampler", request.sampler, _SAMPLERS)
    _one_of("early_stop", request.early_stop, ("none", "median"))
    _one_of("direction", request.direction or "maximise", ("maximise", "minimise"))
    if not _METRIC.fullmatch(request.objective):
        raise Invalid("MUNI-N116", "the objective is no name of a metric", given=request.objective[:120])
    _check_space(request, space)
    points = len(space.grid()) if request.sampler == "grid" else None
    trials = request.trials if request.trials is not None else points or _USUAL_TRIALS
    trials = min(trials, points) if points is not None else trials
    bounds = {
        "trials": (trials, 1, _MOST_TRIALS),
        "concurrency": (request.concurrency, 1, _MOST_AT_ONCE),
        "seed": (request.seed, 0, _SEED),
        "training_seed": (request.training_seed, 0, _SEED),
        "warmup": (request.warmup, 0, 1_000_000),
    }
    for name, (given, low, high) in bounds.items():
        if not low <= given <= high:
            raise Invalid("MUNI-N117", f"{name} is out of range", given=given, least=low, most=high)
    if request.sampler == "tpe" and trials * (24 * len(space.dimensions) + 40) > _HISTORY_BYTES:
        raise Invalid(
            "MUNI-N118",
            "the history of so many trials is too long for TPE",
            trials=trials,
            most=_HISTORY_BYTES // (24 * len(space.dimensions) + 40),
            do="search at random, or in several studies",
        )
    if request.early_stop != "none" and request.algorithm not in _ROUND_WISE:
        raise Invalid(
            "MUNI-N119",
            f"{request.algorithm[:40]} reports nothing before its end, so no trial can be stopped early",
            algorithm=request.algorithm[:80],
            do="leave --early-stop out",
        )
    data = resolve(call.session, call.project, request.data, EntityKind.DATA)
    validation = resolve(call.session, call.project, request.validation, EntityKind.DATA)
    if data.digest == validation.digest:
        raise Invalid(
            "MUNI-N122",
            "trials would be measured on the rows that they learn from",
            data=request.data,
            do="split the data, and name another part: --validation",
        )
    least = _SMALL_IS_GOOD.fullmatch(request.objective) is not None
    return {
        "format": "muniment.study/1",
        "experiment": request.experiment,
        "algorithm": request.algorithm,
        "data": {"digest": str(data.digest), "label": label(call.session, call.project, data.digest)},
        "validation": {"digest": str(validation.digest), "label": label(call.session, call.project, validation.digest)},
        "space": space.document(),
        "params": request.params,
        "sampler": request.sampler,
        "trials": trials,
        "concurrency": request.concurrency,
        "objective": request.objective,
        "maximise": request.direction == "maximise" if request.direction else not least,
        "seed": request.seed,
        "training_seed": request.training_seed,
        "early_stop": request.early_stop,
        "warmup": request.warmup,
        "watching": {
            "rules": request.watching.rules,
            "settings": request.watching.settings,
            "stop_on": request.watching.stop_on,
        },
        "target": request.target,
        "drop": request.drop,
        "env": request.env,
        "limits": {name: getattr(request.limits, name) for name in request.limits.__struct_fields__},
        "use_case": request.use_case,
        "name": request.name,
        **({"purpose": request.purpose} if request.purpose else {}),
    }


def _check_space(request: wire.CreateStudy, space: Space) -> None:
    """Refuse a space that leaves the ranges of the algorithm, before anything has run."""
    if request.algorithm not in ALGORITHMS:
        raise Invalid(
            "MUNI-N123",
            f"{request.algorithm[:40]!r} is not a built-in algorithm",
            given=request.algorithm[:80],
            algorithms=list(ALGORITHMS),
        )
    if both := sorted(set(request.params) & {one.name for one in space.dimensions}):
        raise Invalid("MUNI-N124", f"{both[0]} is both fixed and searched for", parameters=both)
    declared = training_parameters(request.algorithm)
    known = {one.name: one for one in declared}
    for one in space.dimensions:
        # Other names that a library knows would split one parameter over two columns of the record.
        alias = next((other.name for other in declared if one.name in other.aliases), one.name)
        if alias != one.name:
            raise Invalid(
                "MUNI-N125", f"{one.name} is another name of {alias}", given=one.name, do=f"search for {alias}"
            )
        for share in (0.0, 1.0 - 1e-12):
            ends = one.choices if one.kind == "choice" else (one.at(share),)
            for value in ends:
                read_parameters({one.name: value, "algorithm": request.algorithm}, declared)
    if fixed := {"algorithm", "target", "drop", "seed"} & {one.name for one in space.dimensions}:
        raise Invalid("MUNI-N126", f"{min(fixed)} is not searched for", known=sorted(known), given=sorted(fixed))


def _due(standing: Standing) -> tuple[Step, ...]:
    explaining = () if standing.explaining is None else (0,)
    return due(standing.design, [one.trial for one in standing.trials], standing.batches, explaining)


def _job(call: Call, standing: Standing, step: Step) -> JobSpec:
    """The job that a step is."""
    document = standing.row.document
    trial = f"{standing.row.name}.{step.number:04d}"
    if step.do is Do.TRAIN:
        state = standing.trials[step.number]
        assert state.params is not None
        request = _training(document, call.project, state.params)
        if standing.design.early_stop:
            request = _watched(call, standing, request, step.number)
        return replace(training_spec(call, request), trial=trial)
    if step.do is Do.EVALUATE:
        train = standing.trials[step.number].train
        assert train is not None
        return JobSpec(
            kind="evaluate",
            program="muniment.programs.evaluate",
            label="evaluate",
            inputs={"model": _model(train), "data": document["validation"]["digest"]},
            experiment=document["experiment"],
            trial=trial,
            purpose=document.get("purpose"),
        )
    suggests = step.do is Do.SUGGEST
    batch = batch_range(standing.design, step.number) if suggests else range(0)
    seed = int(draw(document["seed"], step.do.value, step.number) * _SEED)
    params = {
        "mode": "suggest" if suggests else "explain",
        "space": standing.space.document(),
        "history": {"trials": standing.history(batch.start if suggests else standing.design.trials)},
        "count": len(batch) or 1,
        "startup": STARTUP,
        "seed": seed,
        "maximise": standing.maximise,
    }
    return JobSpec(
        kind=ActivityKind.SUGGEST.value,
        program="muniment.programs.suggest",
        label="suggest" if suggests else "explain search",
        inputs={},
        params=params,
        env=document["env"],
        seed=seed,
        experiment=document["experiment"],
        trial=f"{standing.row.name}.{step.do}-{step.number}",
    )


def _training(document: Mapping[str, Any], project: str, params: Mapping[str, Any]) -> running.TrainModel:
    return running.TrainModel(
        project=project,
        experiment=document["experiment"],
        data=document["data"]["digest"],
        algorithm=document["algorithm"],
        params={**document["params"], **params},
        seed=document["training_seed"],
        target=document["target"],
        drop=document["drop"],
        name=_model_name(document),
        env=document["env"],
        limits=running.JobLimits(**document["limits"]),
        use_case=document["use_case"],
        purpose=document.get("purpose", ""),
        fresh=True,
        validation=document["validation"]["digest"] if reported_by_training(document["objective"]) else None,
        watching=running.Watching(**document["watching"]),
    )


def _watched(call: Call, standing: Standing, request: running.TrainModel, number: int) -> running.TrainModel:
    """The training with the rule that stops it when it is worse than the median of the others."""
    document = standing.row.document
    metric, maximise = early_metric(document["objective"])
    settings = {
        "metric": metric,
        "curve": curve(call, standing, number),
        "warmup": document["warmup"],
        "maximise": maximise,
    }
    watching = request.watching
    return msgspec.structs.replace(
        request,
        validation=document["validation"]["digest"],
        watching=running.Watching(
            rules=watching.rules,
            settings={**watching.settings, "MedianStop": settings},
            stop_on=[*watching.stop_on, "MedianStop"],
        ),
    )


def _model(run: Run) -> str:
    """Digest of the model that a run made."""
    return next(str(one["digest"]) for one in run.result["products"] if one["kind"] == EntityKind.MODEL.value)


def _model_name(document: Mapping[str, Any]) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", document["name"].lower()).strip("-.") or "study"


def _finished(standing: Standing) -> bool:
    return standing.over and not _due(standing) and not standing.open


def _status(standing: Standing) -> str:
    if _finished(standing):
        return "finished"
    return "stopped" if standing.row.stopped_at is not None else "running"


def _shown(call: Call, standing: Standing) -> wire.Study:
    row, document = standing.row, standing.row.document
    best, status = standing.best, _status(standing)
    return wire.Study(
        study=row.name,
        status=status,
        due=status == "running" and bool(_due(standing)),
        open=standing.open,
        by=row.by,
        created_at=format_time(row.at),
        experiment=document["experiment"],
        algorithm=document["algorithm"],
        data=document["data"]["label"],
        validation=document["validation"]["label"],
        space=document["space"],
        params=document["params"],
        sampler=document["sampler"],
        concurrency=document["concurrency"],
        objective=document["objective"],
        maximise=document["maximise"],
        seed=document["seed"],
        early_stop=document["early_stop"],
        trials=[_trial(one) for one in standing.trials],
        best=None if best is None else best.trial.number,
        explanation=_explanation(call, standing),
        grade=standing.grade,
    )


def _trial(one: TrialState) -> wire.Trial:
    model = None
    if one.train is not None and one.train.status is RunStatus.OK:
        model = next((str(p["reference"]) for p in one.train.result["products"] if p["kind"] == "model"), None)
    return wire.Trial(
        number=one.trial.number,
        phase=one.trial.phase.value,
        params=None if one.params is None else dict(one.params),
        value=one.trial.value,
        run=None if one.train is None else f"run:{one.train.id}",
        evaluation=None if one.evaluate is None else f"run:{one.evaluate.id}",
        model=model,
        suggested_by=one.suggested_by,
        reason=one.reason[:300],
        metrics=dict(one.metrics),
    )


def _explanation(call: Call, standing: Standing) -> dict[str, Any] | None:
    run = standing.explaining
    report = None if run is None or run.status is not RunStatus.OK else report_of(call, run)
    if report is None or run is None:
        return None
    wanted = ("importances", "method", "undefined", "trials", "best", "median", "marginals")
    return {"run": f"run:{run.id}", **{key: report.get(key) for key in wanted}}


def _line(standing: Standing) -> wire.StudyLine:
    row, document, best = standing.row, standing.row.document, standing.best
    return wire.StudyLine(
        study=row.name,
        status=_status(standing),
        experiment=document["experiment"],
        algorithm=document["algorithm"],
        sampler=document["sampler"],
        objective=document["objective"],
        by=row.by,
        created_at=format_time(row.at),
        trials=standing.design.trials,
        over=sum(one.trial.phase.over for one in standing.trials),
        best=None if best is None else best.trial.value,
    )


def _find(call: Call, name: str) -> StudyRow:
    row = call.use(Studies).get(call.project, name[:200])
    if row is None:
        raise NotFound("MUNI-N201", f"there is no study {name[:60]!r}", given=name[:200], do="muni tune list")
    return row


def _one_of(what: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise Invalid("MUNI-N127", f"{given[:40]!r} is no {what}", given=given[:80], allowed=list(allowed))


VERBS: Final = (create_study, advance_study, show_study, stop_study, resume_study, list_studies)
"""Everything that can be asked of searches."""
