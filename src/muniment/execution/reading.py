"""Verbs that show runs, their logs and how they compare, and the one that stops them."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Mapping
from typing import Any, Final

from muniment.catalog.ports import Metrics
from muniment.errors import Conflict, Invalid, NotFound
from muniment.execution.judging import parse_object
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import RunLabels, RunLogs, RunQueue
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, is_id
from muniment.kernel.ports import Session
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, Resource, ResourceKind, verb
from muniment.vault.service import Vault
from muniment.wire import execution as wire

_LOG_PART: Final = 1 << 20
_MOST_RUNS: Final = 1000
_MOST_OFFSET: Final = 2**31 - 1
_REPORT: Final = 8 << 20
_TOLD_BY_CODE: Final = frozenset({"run", "track"})
"""Kinds of runs whose measurements are the word of somebody's code."""


def locate_run(session: Session, project: str | None, reference: str) -> Resource:
    """The run that a reference names."""
    wanted = reference.removeprefix("run:").lower()
    if is_id(wanted) and (known := session.use(RunQueue).asked_by(project or "", wanted)) is not None:
        return Resource("Run", wanted, project, {"kind": known[0], "requested_by": known[1]})
    run = find_run(session, project or "", reference)
    return Resource("Run", run.id, run.project, {"kind": run.kind, "requested_by": run.requested_by})


RUN: Final = ResourceKind("Run", "runs", "run", locate_run, attributes={"kind": "String", "requested_by": "String"})


def find_run(session: Session, project: str, reference: str) -> Run:
    """The run ``run:<id>`` or ``<id>`` of a project; a unique ending of at least six characters will do.

    Raises:
        NotFound: there is none.
        Invalid: the ending fits several runs.
    """
    wanted = reference.removeprefix("run:").lower()
    queue = session.use(RunQueue)
    if is_id(wanted):
        found = queue.get(project, wanted)
        if found is not None:
            return found
    elif len(wanted) >= 6 and wanted.isalnum():
        fits = [
            run
            for run in queue.find(project, experiment=None, kind=None, status=None, limit=_MOST_RUNS)
            if run.id.endswith(wanted)
        ]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise Invalid(
                "MUNI-X138", "several runs end like this", given=wanted[:40], runs=[run.id for run in fits[:5]]
            )
    raise NotFound("MUNI-X204", f"there is no run {reference[:80]!r}", given=reference[:200], do="muni runs list")


@verb(
    "execution:ListRuns",
    on=PROJECT,
    request=wire.ListRuns,
    reply=wire.Runs,
    event="runs.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_runs(call: Call, request: wire.ListRuns) -> wire.Runs:
    """List the runs of a project, newest first."""
    runs = call.use(RunQueue).find(
        call.project,
        experiment=request.experiment,
        kind=request.kind,
        status=request.status,
        limit=max(1, min(request.limit, _MOST_RUNS)),
        trial=request.trial,
        deleted=request.deleted,
    )
    ids = [run.id for run in runs]
    metrics, labels = latest_metrics(call, ids), call.use(RunLabels)
    params, tags = labels.params_of(call.project, ids), labels.tags_of(call.project, ids)
    return wire.Runs(
        runs=[
            summary(run, metrics.get(run.id, {}), params=params.get(run.id, {}), tags=tags.get(run.id, {}))
            for run in runs
        ]
    )


@verb(
    "execution:ShowRun",
    on=RUN,
    request=wire.ShowRun,
    reply=wire.RunDetail,
    event="run.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_run(call: Call, request: wire.ShowRun) -> wire.RunDetail:
    """Show everything recorded about a run."""
    run = find_run(call.session, call.project, request.run)
    result = run.result
    chunks = call.use(RunLogs).chunks(run.id, run.attempt, 0)
    labels = call.use(RunLabels)
    told = labels.params_of(call.project, [run.id]).get(run.id, {})
    return wire.RunDetail(
        run=f"run:{run.id}",
        kind=run.kind,
        status=run.status.value,
        experiment=run.experiment,
        label=run.label,
        requested_by=run.requested_by,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        attempt=run.attempt,
        plan=str(run.plan),
        job=dict(run.job),
        inputs=dict(run.asked),
        params=dict(run.job["params"]),
        metrics=latest_metrics(call, [run.id]).get(run.id, {}),
        products=[wire.Product(**product) for product in result.get("products", [])],
        enforcement=result.get("enforcement"),
        machine=result.get("machine"),
        usage=result.get("usage"),
        refused=result.get("refused", []),
        exit_code=(result.get("exit") or {}).get("code"),
        error=_error(run),
        grade=_grade(run),
        log_bytes=sum(chunk.size for chunk in chunks),
        verdict=result.get("verdict"),
        report=report_of(call, run),
        rules=result.get("rules", []),
        trial=run.trial,
        logged={name: text for name, text in told.items() if name not in run.job["params"]},
        tags=labels.tags_of(call.project, [run.id]).get(run.id, {}),
        metrics_grade=grade_of_values(run),
        code={"entry": run.job.get("entry"), **run.facts.get("origin", {})} if run.job.get("source") else {},
    )


@verb(
    "execution:GetLog",
    on=RUN,
    request=wire.GetLog,
    reply=wire.LogPart,
    event="run.log_read",
    group="catalog:read",
    effect=Effect.READ,
)
def get_log(call: Call, request: wire.GetLog) -> wire.LogPart:
    """Read what a run printed, from an offset on."""
    run = find_run(call.session, call.project, request.run)
    offset = max(0, min(request.offset, _MOST_OFFSET))
    vault, text = call.use(Vault), bytearray()
    chunks = call.use(RunLogs).chunks(run.id, run.attempt, offset)
    for chunk in chunks:
        text += vault.read_bytes(call.project, chunk.digest)[max(0, offset - chunk.offset) :]
        if len(text) >= _LOG_PART:
            break
    whole = run.status.ended and (not chunks or offset + len(text) >= chunks[-1].offset + chunks[-1].size)
    shown, used = decode(bytes(text), last=whole)
    return wire.LogPart(text=visible(shown), next_offset=offset + used, status=run.status.value)


@verb(
    "execution:CancelRun",
    on=RUN,
    request=wire.CancelRun,
    reply=wire.Cancelled,
    event="run.cancel_requested",
    group="run:write",
)
def cancel_run(call: Call, request: wire.CancelRun) -> wire.Cancelled:
    """Ask for a queued or running job to be stopped."""
    run = find_run(call.session, call.project, request.run)
    if run.status.ended:
        raise Conflict("MUNI-X303", f"the run has ended already: {run.status}", run=run.id, status=run.status.value)
    status = call.use(RunQueue).withdraw(call.project, run.id, format_time(call.now))
    call.note(run=run.id, status=status.value)
    return wire.Cancelled(run=f"run:{run.id}", status=status.value)


def summary(
    run: Run,
    metrics: dict[str, float],
    *,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> wire.RunSummary:
    """A run in one line; what it was given counts before what it told about itself."""
    return wire.RunSummary(
        run=f"run:{run.id}",
        kind=run.kind,
        status=run.status.value,
        experiment=run.experiment,
        label=run.label,
        requested_by=run.requested_by,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        metrics=metrics,
        products=[product["reference"] for product in run.result.get("products", [])],
        error=_error(run),
        inputs=dict(run.asked),
        params={**(params or {}), **run.job["params"]},
        grade=_grade(run),
        trial=run.trial,
        tags=dict(tags or {}),
    )


def grade_of_values(run: Run) -> str:
    """Who stands behind what was measured: a user's code says so, also where the run that it was part of is proven."""
    return "declared" if run.kind in _TOLD_BY_CODE else _grade(run)


def _grade(run: Run) -> str:
    enforcement = run.result.get("enforcement")
    return "proven" if enforcement and enforcement["complete"] else "declared"


def latest_metrics(call: Call, runs: Iterable[str]) -> dict[str, dict[str, float]]:
    """The last finite value of each metric, by run."""
    found = call.use(Metrics).latest(call.project, runs)
    return {
        run: {name: one.value for name, one in by_name.items() if one.value - one.value == 0}
        for run, by_name in found.items()
    }


def report_of(call: Call, run: Run) -> dict[str, Any] | None:
    """The report that a run's program wrote, when it wrote one that is small enough to show."""
    for output in run.result.get("outputs", []):
        if output["path"] == "output/data/report.json" and run.status is RunStatus.OK and output["size"] <= _REPORT:
            return parse_object(call.use(Vault).read_bytes(call.project, Digest(output["digest"])))
    return None


def decode(content: bytes, *, last: bool) -> tuple[str, int]:
    """The text of these bytes and how many of them it is; an incomplete last character waits for the next part."""
    decoder = getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(content, final=last)
    return text, len(content) - len(decoder.getstate()[0])


def visible(text: str) -> str:
    """The text with control characters other than line feed and tab made visible."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _error(run: Run) -> dict[str, Any] | None:
    if run.status is RunStatus.LOST:
        return {
            "code": "MUNI-X502",
            "message": "the run was given up: its worker vanished each time",
            "facts": {"attempts": run.attempt, "do": "see the server's log, then submit it again"},
        }
    error = run.result.get("error")
    return dict(error) if error else None


VERBS: Final = (list_runs, show_run, get_log, cancel_run)
