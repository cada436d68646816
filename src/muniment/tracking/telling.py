"""Verbs by which a run that happens elsewhere tells about itself, from its start to its end.

All of it is declared: the platform keeps who said it and when, and pins it in the ledger, but saw nothing of it happen.
Only who started a run tells about it, and nothing is taken once it has ended.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from muniment.catalog.declaring import Declarer
from muniment.catalog.model import ActivityKind, EntityKind, Relation
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Entities, Last, Metrics, Told
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.execution.admission import DataUse, Using
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import RunLabels
from muniment.execution.reading import RUN, find_run
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, verb
from muniment.tracking import model
from muniment.tracking.model import Artifact, Standing, Used
from muniment.tracking.ports import Measurements, TrackedRuns
from muniment.wire import tracking as wire

_LABEL: Final = 200
_ROLE: Final = 64
"""Characters of a role in the lineage."""

_STEP: Final = 2**63
_PLAIN: Final = "application/octet-stream"
_NOT_PERMITTED: Final = f"{model.RESERVED}not_permitted"
"""Tag of a run that says it used data which it would not have been let use here."""

_REASONS: Final = 1000


@verb(
    "tracking:StartRun",
    on=PROJECT,
    request=wire.StartRun,
    reply=wire.TrackedRun,
    event="run.started",
    group="run:write",
)
def start_run(call: Call, request: wire.StartRun) -> wire.TrackedRun:
    """Make a run known that happens elsewhere and tells about itself."""
    model.check_label(request.experiment, "experiment")
    if request.trial is not None:
        model.check_label(request.trial, "trial")
    runs, agent = call.use(TrackedRuns), str(call.principal)
    if request.key is not None:
        known = runs.of_key(call.project, agent, model.check_key(request.key))
        if known is not None:
            run = find_run(call.session, call.project, known)
            call.note(run=run.id, known=True)
            return _shown(run, known=True)
    params, tags = _params(request.params), _tags(request.tags)
    now = format_time(call.now)
    job: dict[str, Any] = {
        "format": model.JOB_FORMAT,
        "kind": model.KIND,
        "label": request.name[:_LABEL],
        "experiment": request.experiment,
        "trial": request.trial,
        "started_at": _moment(request.started_at),
        "params": {},
        "inputs": {},
        "code": None,
        "source": None,
        "env": None,
        "base": None,
        "seed": None,
    }
    run = Run(
        id=call.new_id(),
        project=call.project,
        kind=model.KIND,
        label=request.name[:_LABEL],
        experiment=request.experiment,
        trial=request.trial,
        name=None,
        requested_by=agent,
        created_at=now,
        plan=digest_of(job),
        job=job,
        asked={},
        facts={},
        status=RunStatus.RUNNING,
        started_at=now,
    )
    runs.start(run, request.key)
    labels = call.use(RunLabels)
    labels.params(call.project, run.id, params)
    labels.tags(call.project, run.id, tags)
    call.note(run=run.id, plan=str(run.plan), params=str(digest_of(params)), tags=str(digest_of(tags)))
    return _shown(run, tags=request.tags)


@verb(
    "tracking:LogParams",
    on=RUN,
    request=wire.LogParams,
    reply=wire.Logged,
    event="run.params_logged",
    group="run:write",
)
def log_params(call: Call, request: wire.LogParams) -> wire.Logged:
    """Keep parameters of a tracked run; each is set once."""
    run, unread = _open(call, request.writer, request.seq, 1)
    if unread:
        keep_params(call, run, request.params)
    return _logged(call, run, request.writer, request.seq, unread)


@verb(
    "tracking:SetTags",
    on=RUN,
    request=wire.SetTags,
    reply=wire.Logged,
    event="run.tags_set",
    group="run:write",
)
def set_tags(call: Call, request: wire.SetTags) -> wire.Logged:
    """Set tags of a tracked run."""
    run, unread = _open(call, request.writer, request.seq, 1)
    if unread:
        keep_tags(call, run, request.tags)
    return _logged(call, run, request.writer, request.seq, unread)


@verb(
    "tracking:LogMetrics",
    on=RUN,
    request=wire.LogMetrics,
    reply=wire.Logged,
    event="run.metrics_logged",
    group="run:write",
)
def log_metrics(call: Call, request: wire.LogMetrics) -> wire.Logged:
    """Keep measurements of a tracked run, in their order."""
    told = request.metrics
    _check_count(told)
    run, unread = _open(call, request.writer, request.seq, len(told))
    if unread:
        keep_metrics(call, run, told[len(told) - unread :])
    return _logged(call, run, request.writer, request.seq, unread, count=len(told))


@verb(
    "tracking:LogInputs",
    on=RUN,
    request=wire.LogInputs,
    reply=wire.Logged,
    event="run.inputs_logged",
    group="run:write",
)
def log_inputs(call: Call, request: wire.LogInputs) -> wire.Logged:
    """Keep what a tracked run says it used: a claim, because nothing was mounted."""
    run, unread = _open(call, request.writer, request.seq, 1)
    if unread:
        used = [_used(call, one) for one in request.inputs]
        runs = call.use(TrackedRuns)
        if len(runs.used(run.id)) + len(used) > model.MOST_INPUTS:
            raise Invalid("MUNI-R109", "a run has too many inputs", most=model.MOST_INPUTS)
        runs.use(run.id, used)
        call.note(run=run.id, inputs=sorted({str(one.digest) for one in used}))
        _examine(call, run, used)
    return _logged(call, run, request.writer, request.seq, unread)


@verb(
    "tracking:LogArtifact",
    on=RUN,
    request=wire.LogArtifact,
    reply=wire.Logged,
    event="run.artifact_logged",
    group="run:write",
    takes_body=True,
)
def log_artifact(call: Call, request: wire.LogArtifact) -> wire.Logged:
    """Keep a file that a tracked run made; the bytes come along."""
    run, unread = _open(call, request.writer, request.seq, 1)
    if unread:
        path, body = model.check_path(request.path), call.body
        runs = call.use(TrackedRuns)
        known = runs.artifacts(run.id)
        _check_place(run, path, known)
        mine = [one for one in known if one.path == path]
        if not mine or mine[-1].digest != body.digest:
            if len(known) >= model.MOST_ARTIFACTS:
                raise Invalid(
                    "MUNI-R110",
                    "a run has too many artifacts",
                    most=model.MOST_ARTIFACTS,
                    do="pack them into one file",
                )
            media = _media_type(request.media_type, path)
            kept = Artifact(path, len(mine) + 1, body.digest, body.size, media, format_time(call.now))
            runs.keep(run.id, kept)
            _declare_file(call, run, kept)
        call.note(run=run.id, artifact=str(body.digest), bytes=body.size)
    return _logged(call, run, request.writer, request.seq, unread)


@verb(
    "tracking:EndRun",
    on=RUN,
    request=wire.EndRun,
    reply=wire.TrackedRun,
    event="run.ended",
    group="run:write",
)
def end_run(call: Call, request: wire.EndRun) -> wire.TrackedRun:
    """Say that a tracked run has ended; it enters the record as declared, and nothing about it changes any more."""
    standing = _standing(call)
    run = find_run(call.session, call.project, standing.id)
    if standing.agent != str(call.principal) and request.status != "cancelled":
        _refuse_stranger(call, standing)
    status = RunStatus(request.status)
    if standing.status is status:
        call.note(run=run.id, again=True)
        return _shown(run, known=True)
    _refuse_ended(standing)
    runs = call.use(TrackedRuns)
    labels, ended = call.use(RunLabels), format_time(call.now)
    params = labels.params_of(call.project, [run.id]).get(run.id, {})
    tags = _own(labels.tags_of(call.project, [run.id]).get(run.id, {}))
    result = _evidence(call, request, params, tags)
    record = digest_of(result)
    _record(call, run, params, result, record)
    result |= {"record": str(record), "products": _products(result)}
    runs.end(run.id, status, ended, result)
    call.note(
        run=run.id,
        plan=str(run.plan),
        status=status.value,
        record=str(record),
        used=sorted({one["digest"] for one in result["inputs"]}),
        generated=sorted({one["digest"] for one in result["artifacts"]}),
    )
    return _shown(replace(run, status=status, ended_at=ended, result=result), tags=tags)


@verb(
    "tracking:DeleteRun",
    on=RUN,
    request=wire.DeleteRun,
    reply=wire.Retained,
    event="run.deleted",
    group="run:write",
)
def delete_run(call: Call, request: wire.DeleteRun) -> wire.Retained:
    """Take a tracked run out of lists; everything of it is retained."""
    run = _standing(call)
    call.use(TrackedRuns).delete(call.project, run.id, f"{format_time(call.now)} {call.principal}")
    call.note(run=run.id)
    return wire.Retained(run=f"run:{run.id}", deleted=True)


@verb(
    "tracking:RestoreRun",
    on=RUN,
    request=wire.RestoreRun,
    reply=wire.Retained,
    event="run.restored",
    group="run:write",
)
def restore_run(call: Call, request: wire.RestoreRun) -> wire.Retained:
    """Put a deleted run back into lists."""
    run = _standing(call)
    call.use(TrackedRuns).delete(call.project, run.id, None)
    call.note(run=run.id)
    return wire.Retained(run=f"run:{run.id}", deleted=False)


def running(call: Call) -> Standing:
    """The run that takes what its own teller tells now.

    Raises:
        Denied: somebody else started it.
        Conflict: it has ended.
    """
    return _open(call, None, None, 1)[0]


def keep_params(call: Call, run: Standing, given: Mapping[str, Any]) -> None:
    """Keep parameters; each is set once."""
    params = _params(given)
    labels = call.use(RunLabels)
    known = labels.params_of(call.project, [run.id]).get(run.id, {})
    _few({*known, *params}, "parameters")
    labels.params(call.project, run.id, params)
    call.note(run=run.id, params=str(digest_of(params)))


def keep_tags(call: Call, run: Standing, given: Mapping[str, str | None]) -> None:
    """Set tags, or take them away."""
    tags = _tags(given)
    labels = call.use(RunLabels)
    known = labels.tags_of(call.project, [run.id]).get(run.id, {})
    _few({*known, *tags}, "tags")
    labels.tags(call.project, run.id, tags)
    call.note(run=run.id, tags=str(digest_of(tags)))


def keep_metrics(call: Call, run: Standing, fresh: Sequence[wire.MetricPoint], last: Last = Last.TOLD_LAST) -> None:
    """Keep measurements in their order; ``last`` says which value of a metric counts as its last one."""
    _check_count(fresh)
    columns = Told(
        [one.name for one in fresh],
        [one.step for one in fresh],
        [float(one.value) for one in fresh],
        [one.at_us for one in fresh],
        last,
    )
    model.check_names(set(columns.names), "metric")
    for step in (min(columns.steps), max(columns.steps)):
        model.check_integer(step, "step")
    if moments := [at_us for at_us in columns.moments_us if at_us is not None]:
        model.check_integer(min(moments), "at_us")
        model.check_integer(max(moments), "at_us")
    kept = call.use(Metrics).tell(call.project, run.id, call.now, columns)
    names = call.use(Measurements).count(run.id)[1]
    if kept > model.MOST_VALUES or names > model.MOST_NAMES:
        raise Invalid(
            "MUNI-R108",
            "a run has too many measurements or names",
            values=kept,
            names=names,
            most_values=model.MOST_VALUES,
            most_names=model.MOST_NAMES,
            do="log less often, or keep the series as an artifact",
        )
    call.note(run=run.id, count=len(fresh), metrics=str(Digest.of(msgspec.json.encode(fresh))))


def _check_count(told: Sequence[wire.MetricPoint]) -> None:
    if not 1 <= len(told) <= model.MOST_METRICS:
        raise Invalid(
            "MUNI-R107",
            f"a request tells 1 to {model.MOST_METRICS:,} measurements",
            given=len(told),
            most=model.MOST_METRICS,
        )


def _standing(call: Call) -> Standing:
    """The tracked run that a request is about; raises NotFound or Invalid when it is none."""
    run = call.use(TrackedRuns).standing(call.project, call.resource.id)
    if run is None:
        raise NotFound("MUNI-R201", "there is no such run", run=call.resource.id)
    if not run.tracked:
        raise Invalid(
            "MUNI-R111",
            "a job tells about itself from inside, by its metrics channel, and nobody else does",
            run=run.id,
            do="log from the script: muniment.log_metric(…)",
        )
    return run


def _open(call: Call, writer: str | None, seq: int | None, count: int) -> tuple[Standing, int]:
    """The run that takes what is told, and how many of these records are new.

    Raises:
        Denied: somebody else started it.
        Conflict: it has ended, or records before these are missing.
        Invalid: a writer without a number, or the other way round.
    """
    run = _standing(call)
    if run.agent != str(call.principal):
        _refuse_stranger(call, run)
    unread = count
    if (writer is None) != (seq is None) or (seq is not None and not 1 <= seq < _STEP - count):
        raise Invalid("MUNI-R112", "a stream has a writer, and its records are numbered from 1", seq=seq)
    if writer is not None and seq is not None:
        upto = call.use(TrackedRuns).upto(run.id, model.check_key(writer))
        if seq > upto + 1:
            raise Conflict("MUNI-R301", "records of this writer are missing before these", upto=upto, seq=seq)
        unread = max(0, min(count, seq + count - 1 - upto))
    if unread:
        _refuse_ended(run)
    return run, unread


def _check_place(run: Standing, path: str, known: Sequence[Artifact]) -> None:
    """Refuse a file where a folder is, or below a file: such files could not be fetched into one folder."""
    for one in known:
        if one.path.startswith(f"{path}/") or path.startswith(f"{one.path}/"):
            raise Conflict(
                "MUNI-R303",
                f"{path[:80]!r} and {one.path[:80]!r} cannot both be files: one would lie inside the other",
                run=run.id,
                path=path[:200],
                known=one.path[:200],
                do="give the file another name",
            )


def _refuse_stranger(call: Call, run: Standing) -> None:
    raise Denied(
        "MUNI-R401",
        "only who started a run tells about it",
        run=run.id,
        started_by=run.agent,
        do="start a run of your own",
    )


def _refuse_ended(run: Standing) -> None:
    if run.status.ended:
        raise Conflict(
            "MUNI-R302",
            f"the run has ended ({run.status.value}), and nothing about it changes any more",
            run=run.id,
            status=run.status.value,
            do="start another run of the same trial",
        )


def _logged(
    call: Call, run: Standing, writer: str | None, seq: int | None, unread: int, *, count: int = 1
) -> wire.Logged:
    upto = None
    if writer is not None and seq is not None:
        runs = call.use(TrackedRuns)
        if unread:
            upto = seq + count - 1
            runs.advance(run.id, writer, upto)
        else:
            upto = runs.upto(run.id, writer)
            call.note(run=run.id, again=True)
    return wire.Logged(run=f"run:{run.id}", taken=unread, upto=upto, cancel_requested=run.cancel_requested)


def _params(given: Mapping[str, Any]) -> dict[str, Any]:
    model.check_names(given, "parameter")
    _few(given, "parameters")
    model.check_values({name: v if isinstance(v, str) else json.dumps(v) for name, v in given.items()}, "parameter")
    return dict(given)


def _tags(given: Mapping[str, str | None]) -> dict[str, str | None]:
    model.check_names(given, "tag")
    _few(given, "tags")
    model.check_values({name: text for name, text in given.items() if text is not None}, "tag")
    if reserved := sorted(name for name in given if name.startswith(model.RESERVED)):
        raise Invalid(
            "MUNI-R113", f"tags that begin with {model.RESERVED!r} are the platform's own", tags=reserved[:10]
        )
    return dict(given)


def _few(names: Any, what: str) -> None:
    if len(names) > model.MOST_NAMES:
        raise Invalid("MUNI-R114", "a run has too many parameters or tags", what=what, most=model.MOST_NAMES)


def _moment(told: str | None) -> str | None:
    """A moment by the clock of who tells it, in its one form; it may lie anywhere."""
    return None if told is None else format_time(parse_time(told))


def _examine(call: Call, run: Standing, used: Sequence[Used]) -> None:
    """Say where the terms of data would not have let a job do what a run elsewhere says that it did.

    It has happened, so refusing to write it down would only hide it: the run bears a tag that searches find, and the
    ledger has the reasons. What the data were used for is the run's own tag ``purpose``.
    """
    labels = call.use(RunLabels)
    tags = labels.tags_of(call.project, [run.id]).get(run.id, {})
    known = call.use(Entities).find(call.project, {one.digest for one in used})
    using = Using(
        kind=ActivityKind.TRACK.value,
        purpose=tags.get("purpose") or None,
        use_case=None,
        inputs=tuple(known[digest] for digest in sorted(known) if known[digest].kind is not EntityKind.MODEL),
    )
    reasons = call.use(DataUse).examine(call, using)
    if reasons:
        said = "; ".join(dict.fromkeys([*filter(None, [tags.get(_NOT_PERMITTED)]), *reasons]))
        labels.tags(call.project, run.id, {_NOT_PERMITTED: said[:_REASONS]})
        call.note(not_permitted="; ".join(reasons)[:_REASONS])


def _used(call: Call, told: wire.TrackedInput) -> Used:
    """What an input is: something that the project knows, or something declared by its digest."""
    model.check_names({told.role}, "role")
    if (told.reference is None) == (told.digest is None):
        raise Invalid("MUNI-R115", "an input is told by a reference or by a digest, one of them", role=told.role[:80])
    if told.reference is not None:
        entity = resolve(call.session, call.project, told.reference, None if ":" in told.reference else EntityKind.DATA)
        return Used(told.role, entity.digest, label(call.session, call.project, entity.digest))
    digest = Digest(str(told.digest))
    facts: dict[str, Any] = {
        "what": (told.name or told.source or digest)[:_LABEL],
        "source": (told.source or "")[:1000],
    }
    if told.size is not None and 0 <= told.size < 2**53:
        facts["bytes"] = told.size
    if digest not in call.use(Entities).find(call.project, [digest]):
        # Whoever only names a digest has shown no bytes: what the project knows of it already, he does not change.
        writer = Declarer(call.session, call.project, call.now)
        writer.entity(digest, EntityKind.FILE, author=str(call.principal), facts=facts)
    return Used(told.role, digest, str(facts["what"]))


def _declare_file(call: Call, run: Standing, kept: Artifact) -> None:
    known = call.use(Entities).find(call.project, [kept.digest]).get(kept.digest)
    if known is not None and known.kind not in (EntityKind.FILE, EntityKind.ARTIFACT):
        return  # a run that keeps a copy of a model's manifest does not make the model a file
    file = {"path": kept.path.rpartition("/")[2], "digest": str(kept.digest), "size": kept.size}
    facts = {"what": kept.path, "bytes": kept.size, "media_type": kept.media_type, "files": [file]}
    writer = Declarer(call.session, call.project, call.now)
    parts = [kept.digest] if kept.size else []
    writer.entity(kept.digest, EntityKind.ARTIFACT, author=run.agent, facts=facts, parts=parts)


def _media_type(given: str | None, path: str) -> str:
    """What a file is, as it was said or as its name says."""
    told = given or mimetypes.guess_type(path, strict=False)[0] or _PLAIN
    if len(told) > 100 or not told.isascii() or not told.isprintable() or told.count("/") != 1:
        raise Invalid("MUNI-R116", "this is not a media type", given=told[:100], example="image/png")
    return told


def _evidence(call: Call, request: wire.EndRun, params: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, Any]:
    """Everything that was told of a run, pinned by digests: what the record of its end names."""
    run, runs = call.resource.id, call.use(TrackedRuns)
    latest = call.use(Metrics).latest(call.project, [run]).get(run, {})
    message = request.message[: model.LONGEST_MESSAGE] if request.message else None
    error = None
    if request.status == "failed":
        error = {
            "code": "MUNI-R117",
            "message": message or "the run failed where it ran",
            "facts": {"grade": "declared"},
        }
    return {
        "told": {"status": request.status, "ended_at": _moment(request.ended_at), "by": str(call.principal)},
        "error": error,
        "params": str(digest_of(params)),
        "tags": str(digest_of(tags)),
        "metrics": {
            "count": call.use(Measurements).count(run)[0],
            "digest": str(digest_of({name: repr(one.value) for name, one in latest.items()})),
        },
        "inputs": [one.document() for one in runs.used(run)],
        "artifacts": [one.document() for one in runs.artifacts(run)],
    }


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that the run set itself."""
    return {name: text for name, text in tags.items() if not name.startswith(model.RESERVED)}


def _products(result: Mapping[str, Any]) -> list[dict[str, str]]:
    """The latest version of each file, as the products of a run are shown."""
    latest = {one["path"]: one for one in result["artifacts"]}
    return [
        {"reference": one["digest"], "kind": EntityKind.ARTIFACT.value, "digest": one["digest"], "role": one["path"]}
        for one in latest.values()
    ]


def _record(call: Call, run: Run, params: Mapping[str, str], result: Mapping[str, Any], record: Digest) -> None:
    """Write the activity and its edges, all of them declared."""
    writer = Declarer(call.session, call.project, call.now)
    writer.activity(
        run.id,
        ActivityKind.TRACK,
        agent=run.requested_by,
        started_at=parse_time(run.started_at or run.created_at),
        ended_at=call.now,
        plan=run.plan,
        facts={
            "experiment": run.experiment,
            "trial": run.trial,
            "label": run.label,
            "params": dict(params),
            "status": result["told"]["status"],
        },
    )
    writer.edges(
        run.id,
        [
            *((Relation.USED, Digest(one["digest"]), one["role"][:_ROLE]) for one in result["inputs"]),
            *((Relation.GENERATED, Digest(one["digest"]), role_of(one["path"])) for one in result["artifacts"]),
        ],
        record,
    )


def role_of(path: str) -> str:
    """What a file is to its run: its path, cut from the front where it is long."""
    return path[-_ROLE:]


def _shown(run: Run, *, known: bool = False, tags: Mapping[str, str] | None = None) -> wire.TrackedRun:
    return wire.TrackedRun(
        run=f"run:{run.id}",
        experiment=str(run.experiment),
        trial=run.trial,
        status=run.status.value,
        known=known,
        label=run.label,
        requested_by=run.requested_by,
        created_at=run.created_at,
        started_at=run.job.get("started_at") or run.started_at,
        ended_at=(run.result.get("told") or {}).get("ended_at") or run.ended_at,
        tags=None if tags is None else dict(tags),
    )


VERBS: Final = (
    start_run,
    log_params,
    set_tags,
    log_metrics,
    log_inputs,
    log_artifact,
    end_run,
    delete_run,
    restore_run,
)
