"""How a run begins and ends in the record: the only caller of ``catalog.recording``.

``used`` is written from what was mounted, ``was_generated_by`` from the digests the collector saw. Nothing that a job says about
its inputs or outputs is believed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

from msgspec import Struct

from muniment.catalog.declaring import Declarer
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, Invalid, MunimentError
from muniment.execution.environments import Environments
from muniment.execution.model import (
    Outcome,
    Output,
    Part,
    Product,
    ResolvedJob,
    Run,
    RunStatus,
    enforcement_document,
)
from muniment.execution.queue import RunQueue
from muniment.kernel.canonical import canonical, digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.resources import INSTALLATION, PROJECT
from muniment.kernel.verb import Call, verb
from muniment.programs.model_formats import refuse_code
from muniment.vault.service import Vault

ATTEMPTS: Final = 3
"""A run whose worker vanishes is tried this often."""

FILES_FORMAT: Final = "muniment.files/1"


class Interpreter(Protocol):
    """Says what the outputs of one kind of job are; one per kind, owned by the room that understands it."""

    def __call__(self, run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
        """The products of a run that ended well; raises Invalid when the outputs are not what the program promises."""


class Interpreters:
    """The interpreters by kind of job."""

    def __init__(self, by_kind: Mapping[str, Interpreter]) -> None:
        self._by_kind = dict(by_kind)

    def products(self, run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
        """What the run generated; a reproduction is read as the kind of job that it repeats."""
        return self._by_kind[job.kind](run, job, outcome)


class Outcomes:
    """Outcomes on their way from the worker that saw them to the transaction that records them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Outcome] = {}

    def put(self, run: str, outcome: Outcome) -> None:
        """Hold an outcome."""
        with self._lock:
            self._held[run] = outcome

    def get(self, run: str) -> Outcome:
        """The outcome of a run; it stays until dropped, because a transaction may be tried again."""
        with self._lock:
            return self._held[run]

    def drop(self, run: str) -> None:
        """Forget an outcome."""
        with self._lock:
            self._held.pop(run, None)


class LeaseRun(Struct, kw_only=True, frozen=True):
    """A worker asks for work."""

    owner: str
    until: str


class Leased(Struct, kw_only=True, frozen=True):
    """The run that the worker holds now; None when another worker was faster or the run was lost."""

    run: str | None
    project: str | None


class CompleteRun(Struct, kw_only=True, frozen=True):
    """A worker reports how a run ended."""

    project: str
    run: str
    owner: str
    outcome: str
    """Digest of the outcome's document."""


class Completed(Struct, kw_only=True, frozen=True):
    """The run is in the record."""

    status: str


@verb(
    "execution:LeaseRun",
    on=INSTALLATION,
    request=LeaseRun,
    reply=Leased,
    event="run.started",
    group="internal",
    internal=True,
)
def lease_run(call: Call, request: LeaseRun) -> Leased:
    """Give the oldest waiting run to a worker."""
    now = format_time(call.now)
    run = call.use(RunQueue).lease(request.owner, now, request.until, ATTEMPTS)
    if run is None:
        raise Conflict("MUNI-X301", "no run is waiting any more", owner=request.owner)
    call.note(run=run.id, project=run.project, plan=str(run.plan), attempt=run.attempt, status=run.status.value)
    held = run.status is RunStatus.RUNNING
    return Leased(run=run.id if held else None, project=run.project if held else None)


@verb(
    "execution:CompleteRun",
    on=PROJECT,
    request=CompleteRun,
    reply=Completed,
    event="run.ended",
    group="internal",
    internal=True,
)
def complete_run(call: Call, request: CompleteRun) -> Completed:
    """Record how a run ended: its activity, what it used, what it generated, under which walls."""
    queue = call.use(RunQueue)
    run = queue.get(call.project, request.run)
    if run is None or run.owner != request.owner or run.status is not RunStatus.RUNNING:
        raise Conflict("MUNI-X302", "this worker does not hold the run any more", run=request.run, owner=request.owner)
    outcome = call.use(Outcomes).get(run.id)
    job = ResolvedJob.parse(run.job)
    status, error, products = _judge(call.use(Interpreters), run, job, outcome)
    result = _result(outcome, error)
    result["products"] = _record(call, run, job, outcome, status, products, digest_of(result))
    if run.kind == "reproduce" and status is RunStatus.OK:
        result["verdict"] = _verdict(call, run, outcome, products)
    if not queue.finish(run.id, request.owner, status, format_time(call.now), result):
        raise Conflict("MUNI-X302", "this worker does not hold the run any more", run=request.run, owner=request.owner)
    call.note(
        run=run.id,
        plan=str(run.plan),
        status=status.value,
        engine=outcome.exit.enforcement.engine,
        canaries=str(outcome.exit.enforcement.canaries),
        generated=[str(product.digest) for product in products],
        record=str(digest_of(result)),
    )
    return Completed(status=status.value)


def _judge(
    interpreters: Interpreters, run: Run, job: ResolvedJob, outcome: Outcome
) -> tuple[RunStatus, dict[str, Any] | None, tuple[Product, ...]]:
    """What the run came to: its status, the error that explains a bad end, and the products of a good one."""
    status = RunStatus(outcome.exit.status.value)
    if status is not RunStatus.OK:
        return status, _failure(outcome, status), ()
    try:
        for output in outcome.outputs:
            if output.path.startswith("model/") or job.kind == "run":
                refuse_code(output.path, output.head, output.sealed.size, output.tail)
        return status, None, interpreters.products(run, job, outcome)
    except MunimentError as refused:
        return RunStatus.FAILED, {"code": refused.code, "message": refused.message, "facts": refused.facts}, ()


def _failure(outcome: Outcome, status: RunStatus) -> dict[str, Any]:
    """The error document of a bad end: the program's own when it left a readable one, else what the engine saw."""
    left = outcome.output("output/failure")
    if left is not None and left.document is not None and status is RunStatus.FAILED:
        try:
            document = json.loads(left.document)
        except ValueError:
            document = {"message": left.document[:400].decode(errors="replace")}
        if (
            isinstance(document, dict)
            and isinstance(document.get("code"), str)
            and document["code"].startswith("MUNI-")
        ):
            facts = document.get("facts")
            return {
                "code": document["code"][:16],
                "message": str(document.get("message", ""))[:1000],
                "facts": facts if isinstance(facts, dict) else {},
            }
    codes = {
        RunStatus.TIMEOUT: (
            "MUNI-X131",
            "the job ran longer than its limit and was stopped",
            "give more time: --limit wall_s=…",
        ),
        RunStatus.OOM: (
            "MUNI-X132",
            "the job wanted more memory than its limit and was stopped",
            "--limit memory_mb=…",
        ),
        RunStatus.LIMIT: (
            "MUNI-X133",
            "the job went beyond a limit and was stopped",
            "raise the limit that the reason names",
        ),
        RunStatus.CANCELLED: ("MUNI-X134", "the job was cancelled", "submit it again"),
        RunStatus.REFUSED: ("MUNI-X135", "the job was not started", "the reason says which wall or input failed"),
    }
    code, message, do = codes.get(status, ("MUNI-X136", "the job failed", "read what it printed: muni runs logs RUN"))
    return {
        "code": code,
        "message": message,
        "facts": {
            "exit_code": outcome.exit.exit_code,
            "signal": outcome.exit.signal,
            "reason": outcome.exit.reason,
            "do": do,
        },
    }


def _result(outcome: Outcome, error: dict[str, Any] | None) -> dict[str, Any]:
    end = outcome.exit
    usage = end.usage
    return {
        "exit": {"status": end.status.value, "code": end.exit_code, "signal": end.signal, "reason": end.reason},
        "usage": {
            "wall_s": round(usage.wall_s, 4),
            "cpu_s": round(usage.cpu_s, 4),
            "staging_s": round(usage.staging_s, 4),
            "max_rss_kb": usage.max_rss_kb,
            "memory_peak_kb": usage.memory_peak_kb,
            "output_bytes": usage.output_bytes,
        },
        "enforcement": enforcement_document(end.enforcement),
        "refused": [{"path": one.path, "reason": one.reason} for one in end.refused],
        "log_truncated": end.log_truncated,
        "error": error,
        "outputs": [
            {"path": one.path, "digest": str(one.sealed.digest), "size": one.sealed.size} for one in outcome.outputs
        ],
    }


def _record(
    call: Call,
    run: Run,
    job: ResolvedJob,
    outcome: Outcome,
    status: RunStatus,
    products: tuple[Product, ...],
    record: Digest,
) -> list[dict[str, str]]:
    """Write the activity and its edges; a run without walls is graded by what it is: declared."""
    now, agent, vault = call.now, run.requested_by, call.use(Vault)
    writer = (Recorder if outcome.exit.enforcement.complete else Declarer)(call.session, call.project, now)
    writer.activity(
        run.id,
        ActivityKind(run.kind),
        agent=agent,
        started_at=parse_time(run.started_at or run.created_at),
        ended_at=now,
        plan=run.plan,
        facts={
            "experiment": run.experiment,
            "label": run.label,
            "params": dict(job.params),
            "seed": job.seed,
            "status": status.value,
            "engine": outcome.exit.enforcement.engine,
        },
    )
    _record_inputs(call, writer, run, job, record)
    if status is not RunStatus.OK:
        return []
    kept = {part.digest for product in products for part in product.parts} | {product.digest for product in products}
    for output in outcome.outputs:
        if output.sealed.digest in kept:
            vault.register(call.session, call.project, output.sealed)
    recorded = []
    for product in products:
        if product.document is not None and not vault.has(call.session, call.project, product.digest):
            vault.register(call.session, call.project, vault.seal_bytes(call.project, product.document))
        kind = EntityKind(product.kind)
        facts = {**product.facts, "files": [part.document() for part in product.parts]}
        if product.content is not None:
            facts["content_digest"] = str(product.content)
        writer.entity(
            product.digest, kind, author=agent, facts=facts, parts=[p.digest for p in product.parts if p.size]
        )
        writer.generated(run.id, product.digest, product.role, record)
        reference = str(product.digest)
        if product.name is not None and run.kind != "reproduce":
            reference = str(writer.name(kind, product.name, product.digest, by=agent))
        recorded.append(
            {"reference": reference, "kind": kind.value, "digest": str(product.digest), "role": product.role}
        )
    return recorded


def _record_inputs(call: Call, writer: Recorder | Declarer, run: Run, job: ResolvedJob, record: Digest) -> None:
    agent = run.requested_by
    environment = call.use(Environments).of_digest(job.env)
    pinned = [(job.code, EntityKind.CODE, "programs", {"what": "the platform's programs"}),
              (job.base, EntityKind.BASE, "base", {"what": "base root"}),
              (job.env, EntityKind.ENVIRONMENT, "environment",
               {"what": f"env:{environment.name}@{environment.version}", "wheels": len(environment.wheels)}
               if environment else {"what": "environment"})]  # fmt: skip
    if job.source is not None:
        facts = {"what": job.entry, "bytes": run.facts.get("source_bytes"), "origin": run.facts.get("origin", {})}
        pinned.append((job.source, EntityKind.CODE, "source", facts))
    for digest, kind, role, facts in pinned:
        writer.entity(digest, kind, author=agent, facts=facts)
        writer.used(run.id, digest, role, record)
    for channel, digest in job.inputs.items():
        writer.used(run.id, digest, channel, record)


def _verdict(call: Call, run: Run, outcome: Outcome, products: tuple[Product, ...]) -> dict[str, Any]:
    """Compare what a reproduction made with what it was to make."""
    wanted = Digest(run.facts["reproduces"])
    made = next((product for product in products if product.kind == "model"), None)
    original = call.use(RunQueue).get(call.project, run.facts["original"])
    if made is None or original is None:
        return {"verdict": "different", "cause": "no model came out", "expected": str(wanted), "made": None}
    base = {
        "expected": str(wanted),
        "made": str(made.digest),
        "original": f"run:{original.id}",
        "requested_by": run.requested_by,
        "original_by": original.requested_by,
        "plan": str(run.plan),
    }
    if made.digest == wanted:
        return {"verdict": "identical-bytes", **base}
    before = next((p for p in original.result.get("products", []) if p["kind"] == "model"), None)
    return {
        "verdict": "different",
        **base,
        "cause": "the files of the model differ",
        "files": sorted(part.path for part in made.parts),
        "recorded": before["digest"] if before else None,
    }


def files_product(
    outputs: Iterable[Output], folder: str, *, kind: str, role: str, name: str | None, facts: Mapping[str, Any]
) -> Product | None:
    """One product made of all files below a folder; None when there are none.

    The manifest names each file by path and digest and nothing else, so equal files are one product whoever made them.
    """
    parts = tuple(
        Part(str(PurePosixPath(one.path).relative_to(folder)), one.sealed.digest, one.sealed.size)
        for one in sorted(outputs, key=lambda one: one.path)
        if one.path.startswith(f"{folder}/")
    )
    if not parts:
        return None
    manifest = canonical({"format": FILES_FORMAT, "files": [part.document() for part in parts]})
    return Product(
        kind=kind, digest=Digest.of(manifest), role=role, name=name, parts=parts, facts=facts, document=manifest
    )


def read_document(outcome: Outcome, path: str) -> dict[str, Any]:
    """A JSON document that a program must have written.

    Raises:
        Invalid: it is missing, too large or not a JSON object.
    """
    output = outcome.output(path)
    try:
        document = json.loads(output.document) if output is not None and output.document is not None else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Invalid("MUNI-X137", f"the job did not leave a readable {path}", path=path)
    return document


def report_product(outcome: Outcome, role: str = "report", kind: str = "report") -> tuple[Product, ...]:
    """The program's report as a product of its own, when it wrote one."""
    report = outcome.output("output/data/report.json")
    if report is None:
        return ()
    part = Part("report.json", report.sealed.digest, report.sealed.size)
    return (Product(kind=kind, digest=part.digest, role=role, parts=(part,)),)


VERBS: Final = (lease_run, complete_run)
